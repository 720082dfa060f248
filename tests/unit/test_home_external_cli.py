"""The logins of other programs (formats 4.7)."""

from __future__ import annotations

import base64
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.pretty import pretty_repr

from openclaw_actors.home.external_cli import _Login
from openclaw_actors.home.facts import CliFacts
from openclaw_actors.home.reader import HomeReader

CANARY = "CANARY-91bc"


def jwt(**claims: object) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"h{CANARY}.{payload}.s"


def read(home: Path, name: str, path: str, content: object, **env: str) -> CliFacts:
    target = home / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    facts = HomeReader(home / "state", env={"HOME": str(home)} | env, cwd=str(home)).read_cli(name)
    assert CANARY not in repr(facts)
    assert CANARY.encode() not in msgspec.json.encode(facts)
    return facts


def test_codex_expires_with_its_token_or_an_hour_after_the_file(tmp_path: Path) -> None:
    """`exp` of the access JWT, else the file's time plus one hour; the account becomes a digest, the e-mail is left."""
    tokens = {
        "access_token": jwt(exp=4102444800),
        "refresh_token": CANARY,
        "account_id": CANARY,
        "id_token": jwt(email="A@b"),
    }
    facts = read(tmp_path, "codex", ".codex/auth.json", {"tokens": tokens})
    assert (facts.found, facts.provider, facts.profile_id) == (True, "openai-codex", "openai-codex:default")
    assert (facts.expires_at, facts.kind, facts.has_refresh) == (4102444800.0, "oauth", True)
    assert facts.account is not None
    assert facts.email is None
    two_parts = jwt(exp=4102444800).rpartition(".")[0]
    unsigned = read(tmp_path, "codex", ".codex/auth.json", {"tokens": tokens | {"access_token": two_parts}})
    assert unsigned.expires_at == 4102444800.0
    opaque = read(tmp_path, "codex", ".codex/auth.json", {"tokens": tokens | {"access_token": CANARY}})
    assert opaque.expires_at == pytest.approx(os.stat(tmp_path / ".codex/auth.json").st_mtime + 3600)


def test_codex_home_moves_the_file_and_links_are_followed(tmp_path: Path) -> None:
    """`CODEX_HOME` names the folder; both the named and the real path are depended on."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    tokens = {"tokens": {"access_token": "a", "refresh_token": "r"}}
    facts = read(tmp_path, "codex", "real/auth.json", tokens, CODEX_HOME="~/link")
    assert facts.found
    assert facts.path == str(tmp_path / "real/auth.json")
    assert set(facts.depends_on) == {str(tmp_path / "real/auth.json"), str(tmp_path / "link/auth.json")}


def test_claude_without_refresh_is_a_token_and_needs_an_expiry(tmp_path: Path) -> None:
    """The access token and a positive `expiresAt` are required, the refresh token is not."""
    login = {"accessToken": CANARY, "refreshToken": CANARY, "expiresAt": 4102444800000}
    path = ".claude/.credentials.json"
    facts = read(tmp_path, "claude", path, {"claudeAiOauth": login})
    assert (facts.found, facts.kind, facts.expires_at, facts.provider) == (True, "oauth", 4102444800.0, "claude-cli")
    assert facts.profile_id == "anthropic:claude-cli"
    assert read(tmp_path, "claude", path, {"claudeAiOauth": login | {"refreshToken": ""}}).kind == "token"
    assert read(tmp_path, "claude", path, {"claudeAiOauth": login | {"refreshToken": " "}}).kind == "oauth"
    for bad in (0, -1, "soon", None, True):
        facts = read(tmp_path, "claude", path, {"claudeAiOauth": login | {"expiresAt": bad}})
        assert (facts.found, bool(facts.problem)) == (False, True)


@pytest.mark.parametrize(
    ("name", "path", "profile"),
    [
        ("minimax", ".minimax/oauth_creds.json", "minimax-portal:minimax-cli"),
        ("gemini", ".gemini/oauth_creds.json", ""),
    ],
)
def test_minimax_and_gemini_need_all_three_fields(tmp_path: Path, name: str, path: str, profile: str) -> None:
    """Access token, refresh token and a finite expiry date."""
    whole = {
        "access_token": CANARY,
        "refresh_token": CANARY,
        "expiry_date": 1000,
        "id_token": jwt(email="x@y", sub="1"),
    }
    facts = read(tmp_path, name, path, whole)
    assert (facts.found, facts.profile_id, facts.expires_at) == (True, profile, 1.0)
    assert (facts.email is not None) == (name == "gemini")
    for key in ("access_token", "refresh_token", "expiry_date"):
        facts = read(tmp_path, name, path, {k: v for k, v in whole.items() if k != key})
        assert facts.found is False
        assert key in facts.problem


def test_the_openclaw_home_moves_the_logins(tmp_path: Path) -> None:
    """`~` is the home of OpenClaw here."""
    (tmp_path / "oc").mkdir()
    facts = read(tmp_path, "minimax", "oc/.minimax/oauth_creds.json", {}, OPENCLAW_HOME=str(tmp_path / "oc"))
    assert facts.path == str(tmp_path / "oc/.minimax/oauth_creds.json")
    assert facts.problem


def test_no_file_is_no_problem_and_an_unknown_name_is_a_key_error(tmp_path: Path) -> None:
    """Not installed is not worth a word."""
    reader = HomeReader(tmp_path, env={"HOME": str(tmp_path)}, cwd=str(tmp_path))
    assert set(reader.CLI_NAMES) == {"codex", "claude", "minimax", "gemini"}
    for name in reader.CLI_NAMES:
        facts = reader.read_cli(name)
        assert (facts.found, facts.problem) == (False, "")
        assert facts.depends_on
    with pytest.raises(KeyError):
        reader.read_cli("qwen")


def test_a_directory_in_the_files_place_is_a_problem(tmp_path: Path) -> None:
    """It is said, not raised."""
    (tmp_path / ".codex/auth.json").mkdir(parents=True)
    assert "directory" in HomeReader(tmp_path, env={"HOME": str(tmp_path)}, cwd=str(tmp_path)).read_cli("codex").problem


@given(
    st.sampled_from(HomeReader.CLI_NAMES),
    st.binary(max_size=60)
    | st.sampled_from(
        [
            b"[]",
            b"1" * 500,
            b'{"tokens":[]}',
            b'{"tokens":{"access_token":"a.!!.c","refresh_token":"r"}}',
            b'{"access_token":"a","refresh_token":"r","expiry_date":1' + b"0" * 400 + b"}",
        ]
    ),
)
def test_any_content_is_facts(tmp_path_factory: pytest.TempPathFactory, name: str, data: bytes) -> None:
    """Content never raises."""
    paths = {"codex": ".codex/auth.json", "claude": ".claude/.credentials.json", "minimax": ".minimax/oauth_creds.json"}
    facts = read(tmp_path_factory.mktemp("h"), name, paths.get(name, ".gemini/oauth_creds.json"), data)
    assert facts.found or facts.problem


def test_a_login_shows_itself_to_nobody() -> None:
    """What passes inside the module can't be printed, not even prettily, nor encoded or pickled."""
    login = _Login(CANARY, CANARY, 1.0, CANARY, CANARY)
    for shown in (repr(login), str(login), pretty_repr(login), pretty_repr([login])):
        assert CANARY not in shown
    encoders: tuple[Callable[[object], bytes], ...] = (msgspec.json.encode, msgspec.msgpack.encode, pickle.dumps)
    for encode in encoders:
        with pytest.raises(TypeError):
            encode(login)
    assert not hasattr(login, "__dict__")
