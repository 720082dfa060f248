"""`serve` as an operator runs it: a real process, a real home, real signals."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from gateways import running
from homes import Home, api_key, eventually

from openclaw_actors.gateway.access import Right, TokenFileError, host_of, is_loopback, load_tokens


@pytest.fixture
def small(home: Home) -> Home:
    """Return a home with one key."""
    return home.write_config().write_profiles(zai__work=api_key("zai"))


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_follows_the_disk_and_ends_well(small: Home, tmp_path: Path, end: signal.Signals) -> None:
    """From the first line on it answers; an edit shows; a signal ends it with 0, also while somebody listens."""
    with running(small, tmp_path / "state") as (process, said):
        url, tokens = str(said["url"]), Path(str(said["tokens"]))
        assert said["open_reads"]
        assert stat.S_IMODE(tokens.stat().st_mode) == 0o600
        admin = dict(line.split() for line in tokens.read_text().splitlines())["admin"]
        with httpx.Client(base_url=url, timeout=10.0) as client:
            assert client.get("/livez").text == "ok\n"
            assert eventually(lambda: client.get("/readyz").status_code == 200)
            small.write_profiles(groq__me=api_key("groq"))
            assert eventually(lambda: client.get("/auth/main/groq").json()["state"] == "usable")
            assert client.post("/reload").status_code == 401
            headers = {"authorization": f"Bearer {admin}"}
            assert client.post("/reload?wait=5", headers=headers).json()["answered"]
            with client.stream("GET", "/events") as stream:
                lines = stream.iter_lines()
                assert next(lines)
                process.send_signal(end)
                assert process.wait(15.0) == 0
                assert not any("error" in line for line in lines), "the stream ends well, too"
    assert (tmp_path / "state" / "stderr").read_text() == ""
    assert admin not in json.dumps(said)


def test_what_it_may_not_listen_on_is_said(small: Home, tmp_path: Path) -> None:
    """Other machines need to be meant; a port that is taken is named."""
    state = tmp_path / "state"
    with running(small, state) as (_, said):
        port = str(said["url"]).rstrip("/").rpartition(":")[2]
        env = {**os.environ, **small.env, "XDG_STATE_HOME": str(state)}
        open_to_all = tmp_path / "open"
        open_to_all.write_text("admin x\n")
        open_to_all.chmod(0o644)
        for arguments, status, words in (
            (["--host", "0.0.0.0"], 64, "--allow-remote"),  # noqa: S104  # it is refused
            (["--port", port], 69, "can't be listened on"),
            (["--port", "0", "--token-file", str(tmp_path)], 78, "it is a directory"),
            (["--port", "0", "--token-file", str(open_to_all)], 78, "chmod 600"),
        ):
            command = [sys.executable, "-m", "openclaw_actors", "serve", "--home", str(small.path), *arguments]
            done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=30, check=False)
            assert (done.returncode, words in done.stderr, done.stdout) == (status, True, "")
            assert "Traceback" not in done.stderr


def test_token_files_are_made_kept_and_refused(tmp_path: Path) -> None:
    """Made once, for this user alone; one that others may read, or that holds no tokens, is refused by name."""
    path = tmp_path / "state" / "tokens"
    made, is_made = load_tokens(path)
    again, is_made_again = load_tokens(path)
    assert (is_made, is_made_again) == (True, False)
    admin = path.read_text().split()[1]
    assert made.right_of(f"Bearer {admin}") == again.right_of(f"bearer {admin}") is not None
    assert admin not in repr(made)
    path.chmod(0o640)
    with pytest.raises(TokenFileError, match="others may read it"):
        load_tokens(path)
    path.chmod(0o600)
    for text in ("", "admin short\nread other\n", f"admin {admin}\nread {admin}\n", "admin\n", "\xff"):
        path.write_bytes(text.encode("latin-1"))
        with pytest.raises(TokenFileError, match=str(path)):
            load_tokens(path)


def test_gateways_that_start_together_make_one_token_file(tmp_path: Path) -> None:
    """Each gets the same tokens, whoever was first; nothing is left beside the file."""
    for number in range(20):
        path = tmp_path / f"{number}" / "tokens"
        with ThreadPoolExecutor(4) as pool:
            made = list(pool.map(load_tokens, [path] * 4))
        admin = dict(line.split() for line in path.read_text().splitlines())["admin"]
        assert sum(is_made for _, is_made in made) == 1
        assert all(tokens.right_of(f"Bearer {admin}") is Right.ADMIN for tokens, _ in made)
        assert [one.name for one in path.parent.iterdir()] == ["tokens"]


@pytest.mark.parametrize(
    ("text", "host", "is_local"),
    [
        ("localhost:80", "localhost", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.9.9.9:1", "127.9.9.9", True),
        ("[::1]:80", "::1", True),
        ("LocalHost.:8", "localhost.", True),
        ("evil.test:80", "evil.test", False),
        ("localhost.evil.test", "localhost.evil.test", False),
        ("0.0.0.0:1", "0.0.0.0", False),  # noqa: S104  # only looked at
        ("", "", False),
    ],
)
def test_hosts_are_told_apart(text: str, host: str, is_local: bool) -> None:
    """With and without a port, in brackets, with a final dot."""
    assert (host_of(text), is_loopback(host_of(text))) == (host, is_local)
