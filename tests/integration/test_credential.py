"""The credential itself: read when a request wants it, from the place that the verdict names, and shown by nothing but
`reveal`.
"""

from __future__ import annotations

import asyncio
import copy
import json
import os
import pickle
import re
import threading
import traceback
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
from homes import (
    CANARY,
    Home,
    SqliteOwner,
    Supervise,
    api_key,
    eventually,
    now_ms,
    oauth,
    replace_json,
    replace_text,
    secret,
    token,
    write_secret,
)
from loguru import logger

from openclaw_actors import AuthSupervisor, Credential, CredentialError, OpenclawActorsError, State
from openclaw_actors.auth.binding import candidates_of
from openclaw_actors.home.files import read_regular

T = TypeVar("T")
ACME = {"baseUrl": "https://user:pw@acme.test/v1", "api": "openai-completions", "models": [{"id": "anvil-1"}]}


def run(live: Callable[[], Awaitable[T]]) -> T:
    """Run a coroutine on a loop of its own, with a deadline."""

    async def main() -> T:
        async with asyncio.timeout(20):
            return await live()

    return asyncio.run(main())


def given(supervisor: AuthSupervisor, provider: str, **wanted: Any) -> tuple[str, bool]:
    """Return the evidence id of what is handed out, and whether its secret is the one in the homes' `openai-key`."""
    found = supervisor.credential(provider, **wanted)
    return found.evidence_id, found.reveal() == secret("openai-key")


def refusal(supervisor: AuthSupervisor, provider: str, **wanted: Any) -> CredentialError:
    """Return why nothing is handed out; it holds no secret."""
    with pytest.raises(CredentialError) as raised:
        supervisor.credential(provider, **wanted)
    for text in (str(raised.value), repr(raised.value), repr(vars(raised.value))):
        assert CANARY not in text
    return raised.value


def acme(key: object, **more: object) -> dict[str, object]:
    """Return a `models` block with one configured provider."""
    return {"providers": {"acme": {**ACME, "apiKey": key, **more}}}


# ------------------------------------------------------------------------------------------------------------- sources


def test_a_stored_key_is_handed_out_with_what_is_known_of_it(home: Home, supervise: Supervise) -> None:
    """A literal key comes with its evidence, its kind and the base URL of the config, without what may be a secret."""
    home.write_config(models={"providers": {"openai": {**ACME, "baseUrl": "https://u:p@proxy.test/v1?k=v"}}})
    home.write_profiles(openai__work=api_key("openai"))
    supervisor = supervise(home)
    found = supervisor.credential("OpenAI")
    assert found.reveal() == secret("openai-key")
    assert (found.agent_id, found.provider, found.evidence_id) == ("main", "openai", "openai:work")
    assert (found.kind, found.source, found.state, found.expires_at) == ("api_key", "profile", State.USABLE, None)
    assert found.base_url == "https://proxy.test/v1"
    assert found.passed_over == ()
    assert found.evidence == supervisor.verdict("openai").evidence


def test_what_is_on_the_disk_now_is_handed_out(home: Home, supervise: Supervise) -> None:
    """Nothing is kept: a key that was replaced a moment ago counts, though no watcher has told of it."""
    home.write_config().write_profiles(openai__work=api_key("openai", "first"))
    supervisor = supervise(home, watch=False)
    assert supervisor.credential("openai").reveal() == secret("openai-first")
    home.write_profiles(openai__work=api_key("openai", "second"))
    assert supervisor.credential("openai").reveal() == secret("openai-second")


@pytest.mark.parametrize(
    "profile",
    [
        {"key": "${STORED_KEY}"},
        {"key": "$STORED_KEY"},
        {"keyRef": {"source": "env", "provider": "default", "id": "STORED_KEY"}},
        {"key": secret("not-this"), "keyRef": {"source": "file", "provider": "disk", "id": "/deep/0"}},
        {"keyRef": {"source": "file", "provider": "single", "id": "value"}},
        {"keyRef": {"source": "file", "provider": "disk", "id": "/by-env"}},
    ],
    ids=["text", "short text", "variable", "file", "single value", "file that names a variable"],
)
def test_a_reference_of_a_profile_is_followed(profile: dict[str, object], home: Home, supervise: Supervise) -> None:
    """References to variables and files yield what stands there when the request is made."""
    home.env["STORED_KEY"] = secret("openai-key")
    write_secret(home.user / "vault.json", json.dumps({"deep": [secret("openai-key")], "by-env": "${STORED_KEY}"}))
    write_secret(home.user / "single", secret("openai-key") + "\n")
    home.write_config(
        secrets={
            "providers": {
                "disk": {"source": "file", "path": str(home.user / "vault.json")},
                "single": {"source": "file", "path": str(home.user / "single"), "mode": "singleValue"},
            }
        }
    )
    home.write_profiles(openai__work={"type": "api_key", "provider": "openai", **profile})
    assert given(supervise(home), "openai") == ("openai:work", True)


def test_a_secret_file_is_read_when_it_is_asked_for(home: Home, supervise: Supervise) -> None:
    """A file of secrets that has changed since the answer counts as it is, and a torn one is named."""
    vault = home.user / "vault.json"
    write_secret(vault, json.dumps({"a": secret("old")}))
    home.write_config(
        models=acme({"source": "file", "provider": "disk", "id": "/a"}),
        secrets={"providers": {"disk": {"source": "file", "path": str(vault)}}},
    )
    supervisor = supervise(home, watch=False)
    write_secret(vault, json.dumps({"a": secret("new")}))
    assert supervisor.credential("acme").reveal() == secret("new")
    write_secret(vault, '{"a": "' + secret("torn"))
    error = refusal(supervisor, "acme")
    assert str(vault) in str(error)
    assert "not valid JSON" in str(error)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (secret("literal") + "\n", "literal"),
        ("${ACME_SECRET}", "dotenv"),
        ({"source": "env", "provider": "default", "id": "ACME_SECRET"}, "dotenv"),
        ("OPENAI_API_KEY", "variable"),
    ],
    ids=["literal", "text", "reference", "bare name"],
)
def test_a_configured_key_is_handed_out(key: object, expected: str, home: Home, supervise: Supervise) -> None:
    """The config's key, its references and bare names of variables, with the base URL of the same reading."""
    home.env["OPENAI_API_KEY"] = secret("variable")
    replace_text(home.dotenv_path, f"ACME_SECRET={secret('dotenv')}\n")
    home.write_config(models=acme(key))
    found = supervise(home).credential("acme")
    assert found.reveal() == secret(expected)
    assert (found.evidence_id, found.kind, found.base_url) == ("config:acme", "api_key", "https://acme.test/v1")


def test_a_key_and_its_base_url_are_of_one_reading(home: Home, supervise: Supervise) -> None:
    """A new key never goes to the host that the old one was for."""
    home.write_config(models=acme(secret("old")))
    supervisor = supervise(home, watch=False)
    home.write_config(models=acme(secret("new"), baseUrl="https://moved.test"))
    found = supervisor.credential("acme")
    assert (found.reveal(), found.base_url) == (secret("new"), "https://moved.test")


def test_variables_come_from_the_process_a_dotenv_file_and_the_config(home: Home, supervise: Supervise) -> None:
    """Each layer of variables is handed out; files are read again, what the process was given is as it was copied."""
    home.env["GROQ_API_KEY"] = secret("process")
    replace_text(home.dotenv_path, f"MISTRAL_API_KEY={secret('before')}\n")
    home.write_config(env={"XAI_API_KEY": secret("config")})
    supervisor = supervise(home, watch=False)
    replace_text(home.dotenv_path, f"MISTRAL_API_KEY={secret('after')}\n")
    found = {one: supervisor.credential(one) for one in ("groq", "mistral", "xai")}
    assert {one: of.reveal() for one, of in found.items()} == {
        "groq": secret("process"),
        "mistral": secret("after"),
        "xai": secret("config"),
    }
    assert [of.evidence_id for of in found.values()] == ["env:GROQ_API_KEY", "env:MISTRAL_API_KEY", "env:XAI_API_KEY"]


def test_a_broken_config_leaves_variables_and_stores_to_be_handed_out(home: Home, supervise: Supervise) -> None:
    """References then resolve by the last good config; the key that the broken file holds is passed over."""
    replace_text(home.dotenv_path, f"MISTRAL_API_KEY={secret('dotenv')}\nSTORED_KEY={secret('openai-key')}\n")
    home.write_config(models=acme(secret("config")))
    home.write_profiles(openai__work={"type": "api_key", "provider": "openai", "key": "${STORED_KEY}"})
    supervisor = supervise(home, watch=False)
    replace_text(home.config_path, '{"models": ')
    assert supervisor.credential("mistral").reveal() == secret("dotenv")
    assert given(supervisor, "openai") == ("openai:work", True)
    assert str(home.config_path) in str(refusal(supervisor, "acme"))


def test_a_token_and_a_login_come_with_their_expiry(home: Home, supervise: Supervise) -> None:
    """Of a login it is the access token."""
    home.write_config()
    home.write_profiles(
        anthropic__me=oauth("anthropic"), github__x={**token("github-copilot", expires_in_s=9e3), "tokenRef": 7}
    )
    supervisor = supervise(home)
    login, bearer = supervisor.credential("anthropic"), supervisor.credential("github-copilot")
    assert (login.reveal(), login.kind) == (secret("anthropic-oauth-access"), "oauth")
    assert (bearer.reveal(), bearer.kind) == (secret("github-copilot-token"), "token")
    for found in (login, bearer):
        assert found.expires_at == found.evidence.expires_at
        assert found.expires_at is not None


def test_a_login_that_needs_refreshing_says_so(home: Home, supervise: Supervise) -> None:
    """An access token that lasts a few minutes is handed out; an expired one must be refreshed by the gateway."""
    home.write_config()
    home.write_profiles(
        anthropic__soon=oauth("anthropic", expires_in_s=120.0),
        qwen__old=oauth("qwen-portal", expires_in_s=-60.0),
    )
    supervisor = supervise(home)
    soon = supervisor.credential("anthropic")
    assert (soon.state, soon.reveal()) == (State.REFRESHABLE, secret("anthropic-oauth-access"))
    error = refusal(supervisor, "qwen-portal")
    assert "the gateway must refresh" in str(error).lower()
    assert str(home.profiles_path()) in str(error)
    assert [name for name, _ in error.candidates] == ["qwen:old"]


def test_a_login_that_needs_refreshing_is_passed_over_for_a_good_one(home: Home, supervise: Supervise) -> None:
    """What is handed out says what was passed over."""
    home.write_config()
    home.write_profiles(anthropic__old=oauth("anthropic", expires_in_s=-60.0), anthropic__key=api_key("anthropic"))
    found = supervise(home).credential("anthropic")
    assert (found.evidence_id, found.reveal()) == ("anthropic:key", secret("anthropic-key"))
    ((name, why),) = found.passed_over
    assert name == "anthropic:old"
    assert "refresh" in why


def test_the_login_of_another_program_is_handed_out(home: Home, supervise: Supervise) -> None:
    """Its access token as its file has it now; an expired one is left to that program."""

    def write(name: str, expires_in_s: float) -> None:
        login = {
            "access_token": secret(f"{name}-a"),
            "refresh_token": secret(f"{name}-r"),
            "expiry_date": now_ms(expires_in_s),
        }
        replace_json(home.user / ".minimax" / "oauth_creds.json", login)

    write("first", 9e3)
    home.write_config()
    supervisor = supervise(home, watch=False)
    write("second", 8e3)
    found = supervisor.credential("minimax-portal")
    assert (found.evidence_id, found.source, found.kind) == ("cli:minimax", "external-cli", "oauth")
    assert found.reveal() == secret("second-a")
    assert found.expires_at == pytest.approx(now_ms(8e3) / 1000, abs=30)
    write("third", -60)
    assert "the access token has expired" in str(refusal(supervisor, "minimax-portal"))
    (home.user / ".minimax" / "oauth_creds.json").unlink()
    assert "oauth_creds.json: it is not there any more" in str(refusal(supervisor, "minimax-portal"))


def test_an_inherited_profile_is_read_where_it_is(home: Home, supervise: Supervise) -> None:
    """An agent's own profile comes from its own store, an inherited one from the store that owns it."""
    home.agents("main", "ops").write_config()
    home.write_profiles(openai__work=api_key("openai"), groq__x=api_key("groq"))
    home.write_profiles("ops", groq__x=api_key("groq", "own"))
    supervisor = supervise(home)
    assert given(supervisor, "openai", agent_id="ops") == ("openai:work", True)
    own = supervisor.credential("groq", agent_id="ops")
    assert (own.reveal(), own.agent_id) == (secret("groq-own"), "ops")
    assert str(home.agent_dir("ops")) in own.evidence.detail
    assert supervisor.credential("groq").reveal() == secret("groq-key")


def test_a_sqlite_store_is_read_as_it_is(home: Home, supervise: Supervise) -> None:
    """The last commit counts, whether it was checkpointed or not."""
    owner = SqliteOwner(home.agent_dir())
    try:
        owner.write({"openai:work": api_key("openai", "old")})
        home.write_config().write_profiles(openai__work=api_key("openai", "json"))
        supervisor = supervise(home, watch=False)
        owner.write({"openai:work": api_key("openai")})
        assert given(supervisor, "openai") == ("openai:work", True)
        owner.write({})
        error = refusal(supervisor, "openai")
        assert "openclaw-agent.sqlite (profiles.openai:work): the profile is not there any more" in str(error)
    finally:
        owner.close()


def test_a_profile_of_an_old_version_is_handed_out(home: Home, supervise: Supervise) -> None:
    """Legacy files are read in place."""
    replace_json(home.agent_dir() / "auth.json", {"openai": api_key("openai")})
    replace_json(
        home.path / "credentials" / "oauth.json",
        {"anthropic": {"access": secret("a"), "refresh": secret("r"), "expires": now_ms(9e5)}},
    )
    supervisor = supervise(home.write_config())
    assert given(supervisor, "openai") == ("openai:default", True)
    assert supervisor.credential("anthropic").reveal() == secret("a")


@pytest.mark.parametrize(
    ("provider", "config", "env", "says"),
    [
        ("amazon-bedrock", {}, {"AWS_PROFILE": "x"}, "AWS SDK"),
        (
            "ollama",
            {"models": {"providers": {"ollama": {**ACME, "baseUrl": "http://127.0.0.1:11434", "api": "ollama"}}}},
            {},
            "no key",
        ),
        (
            "vllm",
            {"models": {"providers": {"vllm": {**ACME, "baseUrl": "http://127.0.0.1:8000"}}}},
            {},
            "without one",
        ),
    ],
    ids=["cloud", "synthetic", "local"],
)
def test_what_has_no_secret_says_what_to_do_instead(
    provider: str, config: dict[str, Any], env: dict[str, str], says: str, home: Home, supervise: Supervise
) -> None:
    """Identities of the cloud, local servers and plugins' answers have auth and nothing to hand out."""
    home.env.update(env)
    supervisor = supervise(home.write_config(**config))
    assert supervisor.has_auth(provider)
    error = refusal(supervisor, provider)
    assert "no credential can be handed out" in str(error)
    assert says in str(error) or "no secret to hand out" in str(error)


def test_the_search_key_of_xai_is_handed_out(home: Home, supervise: Supervise) -> None:
    """It is the one synthetic answer that is a key."""
    home.write_config(plugins={"entries": {"xai": {"config": {"webSearch": {"apiKey": secret("search")}}}}})
    found = supervise(home).credential("xai")
    assert (found.evidence_id, found.reveal()) == ("synthetic:xai", secret("search"))


# ------------------------------------------------------------------------------------------------------------ rotation


@pytest.mark.parametrize("reason", ["auth", "billing", "rate_limit", "overloaded"])
def test_after_a_report_the_next_call_returns_the_next_credential(
    reason: str, home: Home, supervise: Supervise
) -> None:
    """A gateway calls, fails, reports and asks again, without waiting for anything in between."""
    home.env["OPENAI_API_KEY"] = secret("variable")
    home.write_config(auth={"order": {"openai": ["openai:a", "openai:b"]}})
    home.write_profiles(openai__a=api_key("openai", "a"), openai__b=api_key("openai", "b"))
    supervisor = supervise(home)

    async def gateway() -> list[str]:
        tried: list[str] = []
        for _ in range(3):
            credential = await supervisor.aio.credential("openai")
            tried.append(credential.evidence_id)
            supervisor.report_failure(credential.evidence_id, reason)
        return tried

    assert run(gateway) == ["openai:a", "openai:b", "env:OPENAI_API_KEY"]


def test_when_all_are_refused_the_error_says_it_of_each(home: Home, supervise: Supervise) -> None:
    """Every candidate is named with its reason, in the order in which they would be tried."""
    home.env["OPENAI_API_KEY"] = secret("variable")
    home.write_config().write_profiles(
        openai__a=api_key("openai", "a"), openai__b={"type": "api_key", "provider": "openai", "key": "${NOT_SET}"}
    )
    supervisor = supervise(home)
    for evidence_id in ("openai:a", "env:OPENAI_API_KEY"):
        supervisor.report_failure(evidence_id, "auth")
    error = refusal(supervisor, "openai")
    assert {name for name, _ in error.candidates} == {"openai:a", "env:OPENAI_API_KEY", "openai:b"}
    assert error.provider == "openai"
    assert "openai:a was refused" in str(error)
    assert "NOT_SET" in str(error)


def test_one_that_rests_comes_when_nothing_else_is_left(home: Home, supervise: Supervise) -> None:
    """Resting ones come last and say so; a rest of one model holds for that model alone."""
    home.write_config(auth={"order": {"openai": ["openai:a", "openai:b"]}})
    home.write_profiles(openai__a=api_key("openai", "a"), openai__b=api_key("openai", "b"))
    supervisor = supervise(home)
    supervisor.report_failure("openai:a", "rate_limit", model="gpt-5")
    assert supervisor.credential("openai", model="gpt-5").evidence_id == "openai:b"
    assert supervisor.credential("openai", model="gpt-4").evidence_id == "openai:a"
    supervisor.report_failure("openai:b", "auth")
    resting = supervisor.credential("openai", model="gpt-5")
    assert (resting.evidence_id, resting.state) == ("openai:a", State.COOLDOWN)


def test_a_new_secret_in_a_refused_profile_is_handed_out(home: Home, supervise: Supervise) -> None:
    """What was refused is the secret and not its name."""
    home.write_config().write_profiles(openai__a=api_key("openai", "a"))
    supervisor = supervise(home)
    supervisor.report_failure("openai:a", "auth")
    assert "was refused" in str(refusal(supervisor, "openai"))
    home.write_profiles(openai__a=api_key("openai", "b"))
    assert eventually(lambda: supervisor.has_auth("openai"))
    assert supervisor.credential("openai").reveal() == secret("openai-b")


@pytest.mark.parametrize("kind", ["api_key", "oauth", "config"])
def test_a_late_refusal_of_an_old_secret_is_not_blamed_on_the_new_one(
    kind: str, home: Home, supervise: Supervise
) -> None:
    """Nor does its late success clear the new one; a report of the new one counts, and so does one by name."""
    evidence = "config:acme" if kind == "config" else "openai:work"
    provider = "acme" if kind == "config" else "openai"

    def put(name: str) -> None:
        if kind == "config":
            entry = {"baseUrl": "https://acme.test/v1", "apiKey": secret(name)}
            home.write_config(models={"providers": {"acme": entry}})
        else:
            home.write_profiles(openai__work={"api_key": api_key, "oauth": oauth}[kind]("openai", name=name))

    home.write_config()
    put("first")
    supervisor = supervise(home)
    old = supervisor.credential(provider)
    assert "first" in old.reveal()
    put("second")

    def is_known() -> bool:
        """Tell whether the map has the new secret."""
        auth = supervisor.snapshot()
        cell = auth.table.get(provider)
        return cell is not None and candidates_of(cell, auth.view)[0].digest not in old._digests

    assert eventually(is_known)
    assert asyncio.run(supervisor.aio.answered(supervisor.report_failure(old, "auth")))
    assert supervisor.verdict(provider).state is State.USABLE
    new = supervisor.credential(provider)
    assert new.evidence_id == evidence
    assert "second" in new.reveal()
    supervisor.report_failure(new, "auth")
    assert supervisor.verdict(provider).state is State.REJECTED, "at once"
    supervisor.report_success(old)
    assert asyncio.run(supervisor.aio.answered(supervisor.recheck(provider)))
    assert asyncio.run(supervisor.aio.answered(supervisor.report_failure(evidence, "auth")))
    assert supervisor.verdict(provider).state is State.REJECTED


def test_a_report_with_a_credential_is_of_its_agent(home: Home, supervise: Supervise) -> None:
    """Whoever has the credential need not say again whose it is."""
    home.agents("main", "ops").write_config()
    home.write_profiles("ops", openai__mine=api_key("openai"))
    supervisor = supervise(home)
    credential = supervisor.credential("openai", agent_id="ops")
    supervisor.report_failure(credential, "billing")
    assert supervisor.verdict("openai", agent_id="ops").state is State.DISABLED


def test_a_profile_that_became_another_providers_is_not_handed_out(home: Home, supervise: Supervise) -> None:
    """A secret never goes to a provider that it is not for."""
    home.write_config().write_profiles(openai__a=api_key("openai"))
    supervisor = supervise(home, watch=False)
    home.write_profiles(openai__a=api_key("groq"))
    assert "of another provider by now (groq)" in str(refusal(supervisor, "openai"))


def test_an_error_about_many_credentials_stays_short(home: Home, supervise: Supervise) -> None:
    """The text names some of them, the attribute has them all."""
    many: dict[str, object] = {f"openai__{at}": token("openai", expires_in_s=-60.0) for at in range(50)}
    home.write_config().write_profiles(**many)
    error = refusal(supervise(home), "openai")
    assert len(error.candidates) == 50
    assert "and 30 more" in str(error)


@pytest.mark.parametrize("agent", ["main", "nobody"])
def test_an_unknown_agent_or_provider_is_told_like_in_a_verdict(agent: str, home: Home, supervise: Supervise) -> None:
    """The error has the verdict's reason and next step."""
    supervisor = supervise(home.write_config())
    error = refusal(supervisor, "nonsense", agent_id=agent)
    verdict = supervisor.verdict("nonsense", agent_id=agent)
    assert verdict.reason in str(error)
    assert (error.agent_id, error.provider, error.candidates) == (agent, "nonsense", ())
    assert isinstance(error, OpenclawActorsError)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301  # our own error
    with pytest.raises(TypeError):
        supervisor.credential(7)  # type: ignore[arg-type]


def test_before_the_warm_nothing_is_handed_out(home: Home) -> None:
    """A supervisor that hasn't started says that it isn't warm."""
    supervisor = AuthSupervisor(home.write_config().path, env=home.env)
    assert "not warmed" in str(refusal(supervisor, "openai"))


def test_after_a_stop_the_last_answers_are_handed_out(home: Home, supervise: Supervise) -> None:
    """Like other reads it goes on: by the last verdict, with what is on the disk now."""
    home.write_config().write_profiles(openai__work=api_key("openai", "first"))
    supervisor = supervise(home)
    supervisor.stop()
    home.write_profiles(openai__work=api_key("openai"))
    assert given(supervisor, "openai") == ("openai:work", True)


# ------------------------------------------------------------------------------------------------------------- trouble


def tear(path: Path) -> None:
    """Tear a store."""
    replace_text(path, path.read_text()[:-40])


def remove(path: Path) -> None:
    """Remove a store."""
    path.unlink()


def pipe(path: Path) -> None:
    """Put a FIFO in a store's place: whoever opens it plainly waits for ever."""
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("spoil", "problem"), [(tear, "not valid JSON"), (remove, "not there any more"), (pipe, "not a regular file")]
)
def test_what_cannot_be_read_any_more_is_passed_over(
    spoil: Callable[[Path], None], problem: str, home: Home, supervise: Supervise
) -> None:
    """The next credential takes the place of one whose store is torn, gone or a FIFO; else the error names the file."""
    home.env["OPENAI_API_KEY"] = secret("variable")
    home.write_config().write_profiles(openai__work=api_key("openai"), groq__x=api_key("groq"))
    supervisor = supervise(home, watch=False)
    spoil(home.profiles_path())
    found = supervisor.credential("openai")
    assert (found.evidence_id, found.reveal()) == ("env:OPENAI_API_KEY", secret("variable"))
    ((name, why),) = found.passed_over
    assert name == "openai:work"
    assert problem in why
    error = refusal(supervisor, "groq")
    assert str(home.profiles_path()) in str(error)
    assert problem in str(error)


def test_a_store_that_is_being_written_is_read_once_more(
    home: Home, supervise: Supervise, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that is torn for a moment costs that moment, and doesn't make the next credential count."""
    home.env["OPENAI_API_KEY"] = secret("variable")
    home.write_config().write_profiles(openai__work=api_key("openai"))
    supervisor = supervise(home, watch=False)
    tear(home.profiles_path())

    def finish() -> None:
        home.write_profiles(openai__work=api_key("openai"))

    monkeypatch.setattr("openclaw_actors.handover._let_its_writer_finish", finish)
    assert given(supervisor, "openai") == ("openai:work", True)


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Have stores hang, like a dead disk, when their secrets are read; the event that is returned ends that."""
    go_on = threading.Event()

    def hang(*arguments: Any, **named: Any) -> Any:
        go_on.wait(20)
        return read_regular(*arguments, **named)

    monkeypatch.setattr("openclaw_actors.home.stores.single.read_regular", hang)
    yield go_on
    go_on.set()


def test_a_disk_that_hangs_holds_up_neither_the_loop_nor_the_next_request(
    hanging: threading.Event, home: Home, supervise: Supervise
) -> None:
    """The first request ends at its deadline, the loop goes on meanwhile, and the next one passes the store over."""
    home.env["OPENAI_API_KEY"] = secret("variable")
    home.write_config().write_profiles(openai__work=api_key("openai"))
    supervisor = supervise(home, source_deadline_s=0.1)
    ticks = 0

    async def live() -> Credential:
        nonlocal ticks
        asking = asyncio.ensure_future(supervisor.aio.credential("openai"))
        while not asking.done():
            ticks += 1
            await asyncio.wait((asking,), timeout=0.005)
        with pytest.raises(CredentialError, match=r"did not answer within 0\.1 s"):
            await asking
        return await supervisor.aio.credential("openai")

    found = run(live)
    assert ticks > 5
    assert found.evidence_id == "env:OPENAI_API_KEY"
    assert "it has not answered" in found.passed_over[0][1]
    hanging.set()
    assert eventually(lambda: given(supervisor, "openai") == ("openai:work", True))


def test_many_threads_may_ask_at_once(home: Home, supervise: Supervise) -> None:
    """Requests share nothing: each gets what is there, while the store is replaced again and again."""
    home.write_config().write_profiles(openai__work=api_key("openai"))
    supervisor = supervise(home)

    async def live() -> set[bool]:
        async def ask() -> bool:
            return (await supervisor.aio.credential("openai")).reveal().startswith(secret("openai-")[:14])

        async def write() -> bool:
            home.write_profiles(openai__work=api_key("openai"))
            return True

        return set(await asyncio.gather(*(call() for _ in range(20) for call in (ask, ask, write))))

    assert run(live) == {True}


# ------------------------------------------------------------------------------------------------------------- secrecy


def test_nothing_but_reveal_shows_the_secret(home: Home, supervise: Supervise) -> None:
    """Repr, text, format, attributes, comparison and copies of a credential tell nothing; encoders refuse it."""
    home.write_config().write_profiles(openai__work=api_key("openai"))
    supervisor = supervise(home)
    found, again = supervisor.credential("openai"), supervisor.credential("openai")
    shown = [repr(found), str(found), f"{found}", f"{found!r:>10}", repr([found]), repr(found.evidence)]
    shown += [repr(getattr(found, name)) for name in dir(found)]
    shown += [repr(getattr(found._secret, name)) for name in dir(found._secret)]
    for text in shown:
        assert CANARY not in text
    assert "openai:work" in repr(found)
    same_text: object = found.reveal()
    assert (found == again, found == same_text, copy.copy(found) is found) == (False, False, True)
    assert copy.deepcopy({"a": found})["a"] is found
    for encode in (pickle.dumps, msgspec.json.encode, msgspec.msgpack.encode, msgspec.to_builtins, json.dumps, vars):
        with pytest.raises(TypeError) as raised:
            encode(found)
        assert CANARY not in str(raised.value)
    with pytest.raises(AttributeError):
        found.kind = "x"  # type: ignore[misc]


def test_a_traceback_with_variables_shows_no_secret(home: Home, supervise: Supervise, log_lines: list[str]) -> None:
    """A gateway that fails with a credential in its hands may log that with the variables of each frame."""
    home.write_config().write_profiles(openai__work=api_key("openai"))
    supervisor = supervise(home)
    lines: list[str] = []
    sink = logger.add(lines.append, format="{message}", backtrace=True, diagnose=True)

    def request(credential: Credential) -> None:
        raise RuntimeError(f"the provider refused {credential}")

    try:
        credential = supervisor.credential("openai")
        request(credential)
    except RuntimeError as error:
        logger.exception("a request failed")
        trace = traceback.TracebackException.from_exception(error, capture_locals=True)
        lines.extend(trace.format())
    finally:
        logger.remove(sink)
    assert "openai:work" in "".join(lines)
    assert CANARY not in "".join(lines)
    assert not [line for line in log_lines if "handed out" in line]


FAULTS = (
    "openclaw_actors.home.stores.single.held_by",
    "openclaw_actors.home.stores.single.json_object",
    "openclaw_actors.home.taking._key",
    "openclaw_actors.home.taking._is_literal",
)


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_while_a_secret_is_taken_shows_none(
    name: str, home: Home, supervise: Supervise, log_lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug in a reader is told by its kind and place, in the log and in the error, whose frames hold no secret."""
    home.write_config().write_profiles(openai__work=api_key("openai"))
    supervisor = supervise(home)

    def fault(*arguments: object, **named: object) -> None:
        raise ValueError(f"{secret('quoted')} {arguments!r} {named!r}")

    monkeypatch.setattr(name, fault)
    with pytest.raises(CredentialError) as raised:
        run(lambda: supervisor.aio.credential("openai"))
    error: BaseException | None = raised.value
    assert "please report it" in str(error)
    package = str(Path(__file__).parents[2] / "openclaw_actors")
    while error is not None:
        assert CANARY not in f"{error} {error!r} {vars(error)!r}"
        walk = error.__traceback__
        while walk is not None:
            if walk.tb_frame.f_code.co_filename.startswith(package):
                assert CANARY not in repr(walk.tb_frame.f_locals)
            walk = walk.tb_next
        error = error.__cause__ or error.__context__
    assert any("a reader failed" in line and "ValueError" in line for line in log_lines)


def test_what_was_handed_out_is_kept_by_nobody(home: Home, supervise: Supervise) -> None:
    """When the gateway lets go of a credential, its secret is gone from this process's objects."""
    import gc

    home.write_config(models=acme(secret("config"))).write_profiles(openai__work=api_key("openai"))
    supervisor = supervise(home)
    for provider in ("openai", "acme"):
        supervisor.credential(provider).reveal()
    gc.collect()
    held = [one for one in gc.get_objects() if type(one).__name__ in ("Credential", "Secret", "Held", "_Document")]
    assert held == []


def test_the_readme_example_runs(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the README says about calling a provider can be pasted."""
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    section = readme.partition("### The credential itself")[2]
    example = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert example is not None
    home.write_config(auth={"order": {"openai": ["openai:a", "openai:b"]}})
    home.write_profiles(openai__a=api_key("openai", "a"), openai__b=api_key("openai", "b"))
    asked: list[str] = []

    async def call_provider(base_url: str | None, key: str) -> int:
        asked.append(key)
        return 401 if key == secret("openai-a") else 200

    names: dict[str, Any] = {"call_provider": call_provider}
    exec(example[1], names)  # noqa: S102  # our own README

    async def live() -> int:
        async with AuthSupervisor(home.path, env=home.env) as supervisor:
            await supervisor.aio.wait_warm()
            status: int = await names["request"](supervisor, "openai")
            return status

    assert run(live) == 200
    assert asked == [secret("openai-a"), secret("openai-b")]
