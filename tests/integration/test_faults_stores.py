"""Faults of what is read, as an embedder meets them: broken, huge, closed and strange files in a real home, and clocks
that jump.

Each test asserts the same four things: nothing that happened during the fault is lost, the last good answer stays while
it lasts, the health says what is wrong, where and what to do, and it is over without a restart when the fault is.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faults import (
    assert_bad,
    assert_recovered,
    condition,
    holds_for,
    is_well,
    without_roots_powers,
)
from homes import (
    DATABASE,
    Home,
    SqliteOwner,
    Supervise,
    api_key,
    eventually,
    oauth,
    profiles_json,
    replace_json,
    replace_text,
    secret,
    token,
    write_secret,
)

from openclaw_actors import AuthSupervisor, State
from openclaw_actors.actors import wakings
from openclaw_actors.clock import Clock, SystemClock

QUICK = {"gone_grace_s": 0.1, "retry_max_s": 1.0}
DAY_S = 86_400.0
ACME = {
    "baseUrl": "https://acme.test/v1",
    "apiKey": {"source": "file", "provider": "vault", "id": "/acme"},
    "models": [{"id": "anvil-1"}],
}


@pytest.fixture
def small(home: Home) -> Home:
    """Return a home with one agent and one stored key."""
    home.write_config().write_profiles(openai__work=api_key("openai"))
    return home


@pytest.fixture
def full(home: Home) -> Home:
    """Return a home in which every kind of file has a say: store, state, config, variables, secrets, a login."""
    vault = home.user / "vault.json"
    write_secret(vault, json.dumps({"acme": secret("acme")}))
    replace_text(home.dotenv_path, f"GROQ_API_KEY={secret('groq')}\n")
    replace_json(home.user / ".codex" / "auth.json", codex_login())
    home.write_usage({"openai:work": {"errorCount": 0}})
    home.write_config(
        models={"providers": {"acme": ACME}},
        secrets={"providers": {"vault": {"source": "file", "path": str(vault)}}},
    )
    home.write_profiles(openai__work=api_key("openai"))
    return home


def codex_login() -> dict[str, object]:
    """Return a login of the Codex CLI."""
    return {"tokens": {"access_token": secret("codex"), "refresh_token": secret("codex-refresh"), "account_id": "a"}}


def remove(path: Path) -> None:
    """Remove whatever is at a path."""
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def kept(supervisor: AuthSupervisor, *providers: str) -> bool:
    """Tell whether the last good answers stand, presence included, and are called not fresh."""
    found = [supervisor.verdict(one) for one in providers]
    return all(one.has_auth and one.presence and not one.fresh for one in found)


# ------------------------------------------------------------------------------------------- strange things for files


def _fifo(path: Path) -> None:
    os.mkfifo(path, 0o600)


def _directory(path: Path) -> None:
    path.mkdir()


def _socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's address is short
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(here)


def _endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _loop(path: Path) -> None:
    circle = path.with_name("circle")
    remove(circle)
    circle.symlink_to("circle")
    path.symlink_to("circle")


STRANGE = (_fifo, _directory, _socket, _endless)
FILES: dict[str, tuple[Callable[[Home], Path], str, str]] = {
    "profiles": (Home.profiles_path, "StoresReadable", "openai"),
    "state": (Home.state_path, "StoresReadable", "openai"),
    "config": (lambda home: home.config_path, "ConfigValid", "acme"),
    "dotenv": (lambda home: home.dotenv_path, "DotenvReadable", "groq"),
    "login": (lambda home: home.user / ".codex" / "auth.json", "LoginsReadable", "openai-codex"),
}


@pytest.mark.parametrize("put", [*STRANGE, _loop])
def test_what_is_no_file_hangs_nobody_and_keeps_the_answers(
    put: Callable[[Path], None], full: Home, supervise: Supervise
) -> None:
    """A FIFO, a folder, a socket, an endless device or a circular link in place of each file in turn."""
    supervisor = supervise(full, **QUICK)
    providers = tuple(name for _, _, name in FILES.values())
    assert eventually(lambda: all(map(supervisor.has_auth, providers)))
    for path_of, kind, provider in FILES.values():
        path = path_of(full)
        content = path.read_text()
        aside = path.with_name("aside")
        put(aside)
        path.unlink()
        os.rename(aside, path)
        assert_bad(supervisor, kind, path)
        assert supervisor.has_auth(provider)
        assert supervisor.presence(provider)
        remove(path)
        replace_text(path, content)
        assert eventually(lambda: is_well(supervisor, kind)), supervisor.health()  # noqa: B023
    assert all(map(supervisor.has_auth, providers))
    assert supervisor.stats().deadline_overruns == 0
    assert_recovered(supervisor, full)


@pytest.mark.parametrize("put", STRANGE)
def test_what_is_no_secret_file_hangs_nobody(put: Callable[[Path], None], full: Home, supervise: Supervise) -> None:
    """A secret that can't be read any more is unresolved, as it is for OpenClaw, until the file is back; no other
    answer changes.
    """
    supervisor = supervise(full, **QUICK)
    path = full.user / "vault.json"
    text = path.read_text()
    path.unlink()
    put(path)
    assert_bad(supervisor, "SecretFilesReadable", path)
    assert eventually(lambda: supervisor.verdict("acme").state is State.UNRESOLVED)
    assert str(path) in supervisor.verdict("acme").reason
    assert supervisor.has_auth("openai")
    assert supervisor.has_auth("groq")
    remove(path)
    write_secret(path, text)
    assert eventually(lambda: supervisor.has_auth("acme"))
    assert supervisor.stats().deadline_overruns == 0
    assert_recovered(supervisor, full)


@pytest.mark.parametrize(
    ("put", "ending"),
    [*((put, "") for put in STRANGE), *((_fifo, ending) for ending in ("-wal", "-shm", "-journal"))],
)
def test_what_is_no_database_hangs_nobody(
    put: Callable[[Path], None], ending: str, home: Home, supervise: Supervise
) -> None:
    """A FIFO, a folder, a socket or an endless device in place of a database, or of one of the files beside it."""
    home.write_config()
    owner = SqliteOwner(home.agent_dir())
    owner.write({"openai:work": api_key("openai")})
    owner.close()
    supervisor = supervise(home, **QUICK)
    assert supervisor.has_auth("openai")
    path = home.agent_dir() / f"{DATABASE}{ending}"
    content = path.read_bytes() if path.exists() else None
    if content is not None:
        path.unlink()
    put(path)
    supervisor.recheck()
    assert_bad(supervisor, "StoresReadable", path, "Put a regular file there")
    assert kept(supervisor, "openai")
    remove(path)
    if content is not None:
        path.write_bytes(content)
    supervisor.recheck()
    assert supervisor.stats().deadline_overruns == 0
    assert_recovered(supervisor, home)


def test_a_first_start_on_strange_files_warms_the_rest(full: Home, supervise: Supervise) -> None:
    """Without a last good answer the agent is unknown, not without auth; others are as ever; it comes up by itself."""
    full.agents("main", "ops").write_config().write_profiles("ops", zai__me=api_key("zai"))
    remove(full.profiles_path())
    _fifo(full.profiles_path())
    supervisor = supervise(full, **QUICK)
    assert supervisor.verdict("openai").state is State.UNKNOWN
    assert_bad(supervisor, "StoresReadable", full.profiles_path(), "regular file")
    remove(full.profiles_path())
    full.write_profiles(openai__work=api_key("openai"))
    assert eventually(lambda: supervisor.has_auth("openai") and supervisor.has_auth("zai", agent_id="ops"))
    assert_recovered(supervisor, full)


def test_usage_is_not_written_into_a_fifo(small: Home, supervise: Supervise) -> None:
    """A report is not lost, and nobody hangs, while the state file is a FIFO; it is written when that is gone."""
    supervisor = supervise(small, usage_flush_s=0.01, **QUICK)
    _fifo(small.state_path())
    assert_bad(supervisor, "StoresReadable", small.state_path())
    supervisor.report_failure("openai:work", "billing")
    assert eventually(lambda: supervisor.verdict("openai").state is State.DISABLED)
    assert_bad(supervisor, "UsagePersisted", small.state_path())
    remove(small.state_path())
    assert eventually(lambda: small.usage().get("openai:work", {}).get("disabledReason") == "billing")
    assert eventually(lambda: supervisor.health().ok), supervisor.health()
    assert supervisor.verdict("openai").state is State.DISABLED


# -------------------------------------------------------------------------------------------------------- permissions


@pytest.mark.parametrize("name", ["profiles", "state", "config", "dotenv", "login"])
def test_a_file_that_may_not_be_read_for_a_while_keeps_its_answers(name: str, full: Home, supervise: Supervise) -> None:
    """chmod 000 and back, on the file itself; what was written meanwhile shows when it may be read again."""
    with without_roots_powers():
        supervisor = supervise(full, **QUICK)
    path_of, kind, provider = FILES[name]
    path = path_of(full)
    assert eventually(lambda: supervisor.has_auth(provider))
    mode = path.stat().st_mode
    path.chmod(0)
    assert_bad(supervisor, kind, path, "permission denied")
    assert supervisor.has_auth(provider)
    assert supervisor.presence(provider)
    if name == "profiles":
        replace_text(
            path.with_name("next"), profiles_json({"zai:me": api_key("zai"), "openai:work": api_key("openai")})
        )
        path.with_name("next").chmod(0)
        os.replace(path.with_name("next"), path)
        assert holds_for(0.1, lambda: kept(supervisor, "openai") and not supervisor.has_auth("zai"))
    path.chmod(mode)
    assert eventually(lambda: is_well(supervisor, kind)), supervisor.health()
    assert name != "profiles" or eventually(lambda: supervisor.has_auth("zai"))
    assert_recovered(supervisor, full)


@pytest.mark.parametrize("folder", ["agent", "agents", "home"])
def test_a_folder_that_may_not_be_entered_for_a_while_keeps_its_answers(
    folder: str, small: Home, supervise: Supervise
) -> None:
    """chmod 000 on a folder hides what is in it: that is no logout and no lost config."""
    with without_roots_powers():
        supervisor = supervise(small, **QUICK)
    path = {"agent": small.agent_dir(), "agents": small.path / "agents", "home": small.path}[folder]
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        kind = "ConfigValid" if folder == "home" else "StoresReadable"
        assert_bad(supervisor, kind, small.path, "permission denied")
        assert holds_for(0.3, lambda: kept(supervisor, "openai")), "longer than the grace of what is gone"
        small.write_profiles(openai__work=api_key("openai"), zai__me=api_key("zai"))
    finally:
        path.chmod(mode)
    assert eventually(lambda: supervisor.has_auth("zai"))
    assert_recovered(supervisor, small)


# ------------------------------------------------------------------------------------------------------ broken content


def test_half_written_files_for_two_seconds_keep_the_answers(full: Home, supervise: Supervise) -> None:
    """Store, config and login are cut off in the middle and stay so: two seconds later the answers still stand, and the
    reading of them has been patient.
    """
    supervisor = supervise(full, **QUICK)
    paths = [full.profiles_path(), full.config_path, full.user / ".codex" / "auth.json"]
    texts = [path.read_text() for path in paths]
    assert eventually(lambda: supervisor.has_auth("openai-codex"))
    before = supervisor.stats()
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text[: len(text) // 2])
    for kind, path in zip(("StoresReadable", "ConfigValid", "LoginsReadable"), paths, strict=True):
        assert_bad(supervisor, kind, path)
    assert holds_for(2.0, lambda: kept(supervisor, "openai", "acme", "openai-codex"))
    after = supervisor.stats()
    assert after.store_reads - before.store_reads < 30, "it is not read all the time"
    full.config["models"] = {"providers": {"acme": ACME, "other": {**ACME, "apiKey": secret("other")}}}
    texts[0] = profiles_json({"openai:work": api_key("openai"), "zai:me": api_key("zai")})
    texts[1] = json.dumps(full.config)
    for path, text in zip(paths, texts, strict=True):
        path.write_text(text)
    assert eventually(lambda: supervisor.has_auth("zai") and supervisor.has_auth("other"))
    assert_recovered(supervisor, full)


_STORE = profiles_json({"openai:work": api_key("openai"), "zai:me": api_key("zai")}).encode()
UNREADABLE = {
    "cut": _STORE[:-30],
    "cut in an escape": _STORE[:60] + b"\\ud8",
    "empty": b"",
    "NUL bytes for all": b"\0" * 4096,
    "a NUL byte": _STORE.replace(b'"version"', b'"ver\0sion"'),
    "NUL bytes behind it": _STORE + b"\0" * 512,
    "a NUL byte in a key": _STORE.replace(b"canary-zai", b"canary\0-zai"),
    "2,000 levels": _STORE.replace(b'"version": 1', b'"deep": ' + b"[" * 2000 + b"]" * 2000),
    "100,000 levels": _STORE.replace(b'"version": 1', b'"deep": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    "100,000 brackets": b"[" * 100_000,
    "no UTF-8 in a name": _STORE.replace(b'"zai:me"', b'"zai:\xff"'),
}


def test_a_store_that_cannot_be_read_keeps_the_last_good_answers(small: Home, supervise: Supervise) -> None:
    """Whatever is wrong with its bytes: the health names the file, and its next good version counts."""
    supervisor = supervise(small, **QUICK)
    for what, data in UNREADABLE.items():
        small.profiles_path().write_bytes(data)
        assert_bad(supervisor, "StoresReadable", small.profiles_path())
        assert kept(supervisor, "openai"), what
        assert not supervisor.has_auth("zai"), what
        small.write_profiles(openai__work=api_key("openai"))
        assert eventually(lambda: is_well(supervisor, "StoresReadable")), what
    small.profiles_path().write_bytes(_STORE)
    assert eventually(lambda: supervisor.has_auth("zai"))
    assert_recovered(supervisor, small)


SURROGATES = {
    "in a key": {"zai:me": {"type": "api_key", "provider": "zai", "key": "KEY\ud800"}},
    "in a key, at its end": {"zai:me": {"type": "api_key", "provider": "zai", "key": "KEY\udfff"}},
    "in an unused field": {"zai:me": {**api_key("zai"), "displayName": "\udc00 \ud83d\ude00 \ud800\ud800\udc00"}},
    "in a name": {"zai:\ud800": api_key("zai")},
    "in a name of a field": {"zai:me": {**api_key("zai"), "\udbff": {"\udbff": ["\udbff"]}}},
    "escaped itself": {"zai:me": {**api_key("zai"), "displayName": "\\ud800"}},
}


@pytest.mark.parametrize("where", ["json", "sqlite"])
def test_half_a_surrogate_pair_makes_no_store_unreadable(where: str, home: Home, supervise: Supervise) -> None:
    """`"\\ud800"` is JSON, and OpenClaw takes it: the profile counts, and so do the others and the state."""
    home.write_config()
    base: dict[str, object] = {"openai:work": api_key("openai")}
    stats = {"openai:work": {"errorCount": 0}, "mistral:\ud800": {"errorCount": 0}}
    owner = SqliteOwner(home.agent_dir()) if where == "sqlite" else None

    def write(profiles: dict[str, object]) -> None:
        if owner is not None:
            owner.write(profiles)
            owner.write_usage(stats)
        else:
            replace_text(home.profiles_path(), profiles_json(profiles))
            home.write_usage(stats)

    write(base)
    supervisor = supervise(home, **QUICK)
    for what, more in SURROGATES.items():
        write({**base, **more})
        assert eventually(lambda: supervisor.has_auth("zai")), (what, supervisor.health())
        assert supervisor.health().ok
        assert supervisor.has_auth("openai")
        write(base)
        assert eventually(lambda: not supervisor.has_auth("zai")), what
    write({**base, **SURROGATES["in a name"]})
    assert eventually(lambda: supervisor.has_auth("zai"))
    assert_recovered(supervisor, home)
    if owner is not None:
        owner.close()  # a database is written by its owner alone
        return
    supervisor.report_failure("openai:work", "billing")
    assert eventually(lambda: home.usage().get("openai:work", {}).get("disabledReason") == "billing")
    assert eventually(lambda: is_well(supervisor, "UsagePersisted"))
    assert "mistral:\ud800" in home.usage(), "what OpenClaw wrote stays as it was"


def test_half_a_surrogate_pair_elsewhere_breaks_nothing(full: Home, supervise: Supervise) -> None:
    """In the config, in a secret file, in a login: where it stands in a text that doesn't matter nothing changes, and
    where it stands in a secret the secret is another one.
    """
    supervisor = supervise(full, **QUICK)
    assert eventually(lambda: supervisor.has_auth("openai-codex"))
    write_secret(full.user / "vault.json", json.dumps({"acme": "KEY\ud800", "\udfff": "\udfff"}))
    replace_json(full.user / ".codex" / "auth.json", {**codex_login(), "note\ud800": "\udfff"})
    rows = {"models": [{"id": "anvil-1", "name": "\ud800"}, {"id": "\udfff"}]}
    full.write_config(
        models={"providers": {"acme": ACME, "other": {**ACME, "apiKey": secret("other"), **rows}}},
        note="\ud800",
    )
    assert eventually(lambda: supervisor.has_auth("other")), supervisor.health()
    assert supervisor.has_auth("acme")
    assert eventually(lambda: supervisor.verdict("openai-codex").fresh)
    assert supervisor.has_auth("openai-codex")
    assert supervisor.models()
    assert_recovered(supervisor, full)
    full.agents("main", "o\ud800ps").write_config()
    full.write_config(models={"providers": {"a\ud800b": {**ACME, "apiKey": "KEY\ud800"}, "acme": ACME}})
    assert eventually(lambda: not supervisor.has_auth("other")), supervisor.health()
    assert supervisor.has_auth("acme")
    assert_recovered(supervisor, full)


def test_a_config_that_cannot_be_read_keeps_the_last_good_answers(full: Home, supervise: Supervise) -> None:
    """The same bytes in the config: cut, NUL, too deep, no UTF-8, too large."""
    supervisor = supervise(full, **QUICK)
    good = full.config_path.read_bytes()
    for what, data in {
        "cut": good[: len(good) // 2],
        "empty": b"",
        "NUL bytes for all": b"\0" * 4096,
        "a NUL byte": good.replace(b'"agents"', b'"age\0nts"'),
        "2,000 levels": b'{"deep": ' + b"[" * 2000 + b"]" * 2000 + b"}",
        "100,000 brackets": b"[" * 100_000,
        "no UTF-8": good.replace(b'"main"', b'"main\xff"'),
        "more than 2 MiB": good + b" " * (2 * 1024 * 1024),
    }.items():
        full.config_path.write_bytes(data)
        assert_bad(supervisor, "ConfigValid", full.config_path)
        assert kept(supervisor, "openai", "acme"), what
        full.config_path.write_bytes(good)
        assert eventually(lambda: is_well(supervisor, "ConfigValid")), what
    assert_recovered(supervisor, full)


# -------------------------------------------------------------------------------------------------------------- size


def _padded(size: int, **profiles: object) -> str:
    """Return a store of a size in bytes, most of it in a field that nobody looks at."""
    text = profiles_json({**{name.replace("__", ":"): one for name, one in profiles.items()}, "pad:x": {"pad": "PAD"}})
    return text.replace("PAD", "x" * (size - len(text) + 3))


def test_a_store_over_the_limit_keeps_the_last_good_answers(small: Home, supervise: Supervise) -> None:
    """Up to `max_store_bytes` a store is read, above it isn't, and the health says so with the limit."""
    limit = 1_000_000
    supervisor = supervise(small, max_store_bytes=limit, **QUICK)
    replace_text(small.profiles_path(), _padded(limit, openai__work=api_key("openai"), zai__me=api_key("zai")))
    assert small.profiles_path().stat().st_size == limit
    assert eventually(lambda: supervisor.has_auth("zai"))
    replace_text(small.profiles_path(), _padded(limit + 1, groq__me=api_key("groq")))
    assert_bad(supervisor, "StoresReadable", small.profiles_path(), f"larger than {limit} bytes")
    assert kept(supervisor, "openai", "zai")
    assert not supervisor.has_auth("groq")
    small.write_profiles(groq__me=api_key("groq"))
    assert eventually(lambda: supervisor.has_auth("groq"))
    assert_recovered(supervisor, small, max_store_bytes=limit)


class Heartbeat:
    """An event loop on a thread of its own that ticks each millisecond, and notes how late."""

    def __init__(self, read: Callable[[], object]) -> None:
        self._read = read
        self._stop = threading.Event()
        self.late_s: list[float] = []
        self.reads_s: list[float] = []
        self._thread = threading.Thread(target=lambda: asyncio.run(self._beat()))

    async def _beat(self) -> None:
        while not self._stop.is_set():
            due = time.perf_counter() + 0.001
            await asyncio.sleep(0.001)
            began = time.perf_counter()
            self.late_s.append(began - due)
            self._read()
            self.reads_s.append(time.perf_counter() - began)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def figures(self) -> str:
        """Return beats, and lateness of beats and length of reads as p50, p99 and worst, in milliseconds."""
        shown = [f"{len(self.late_s)} beats"]
        for name, values in (("late", sorted(self.late_s)), ("reads", sorted(self.reads_s))):
            picked = (values[len(values) // 2], values[len(values) * 99 // 100], values[-1])
            shown.append(f"{name} {' / '.join(f'{1000 * one:.3f}' for one in picked)} ms")
        return ", ".join(shown)


def _many_profiles(count: int, name: str) -> str:
    entries = {f"openai:p{number}": api_key("openai", f"{name}-{number}") for number in range(count)}
    return profiles_json({**entries, f"{name}:last": api_key(name)})


@pytest.mark.stress
@pytest.mark.parametrize("what", ["100,000 profiles", "50 MB"])
def test_a_huge_store_is_read_while_an_event_loop_goes_on(what: str, small: Home, supervise: Supervise) -> None:
    """Its reading yields: an event loop beside it ticks, and reads answers, all the while; the figures are printed."""
    settings: dict[str, Any] = {"source_deadline_s": 60.0, **QUICK}
    supervisor = supervise(small, **settings)

    def text(name: str) -> str:
        if what == "50 MB":
            return _padded(50_000_000, **{"openai__work": api_key("openai"), f"{name}__last": api_key(name)})
        return _many_profiles(100_000, name)

    texts = {name: text(name) for name in ("zai", "groq")}
    for name, document in texts.items():
        ready = small.profiles_path().with_name("ready")
        ready.write_text(document)  # not part of what is measured
        with Heartbeat(lambda: supervisor.has_auth("openai")) as heart:
            began = time.perf_counter()
            os.replace(ready, small.profiles_path())
            assert eventually(lambda: supervisor.has_auth(name), 50.0), supervisor.health()  # noqa: B023
            took_s = time.perf_counter() - began
        print(f"{what}: shown after {took_s:.2f} s; {heart.figures()}", file=sys.__stderr__)
        assert len(heart.late_s) > 20 * took_s, "the loop stood still"
    small.profiles_path().write_text(texts["groq"][:-100])
    assert_bad(supervisor, "StoresReadable", small.profiles_path())
    assert eventually(lambda: kept(supervisor, "openai", "groq"))
    small.write_profiles(openai__work=api_key("openai"), mistral__me=api_key("mistral"))
    assert eventually(lambda: supervisor.has_auth("mistral"))
    assert_recovered(supervisor, small)


# ------------------------------------------------------------------------------------------------------------- clocks


class JumpingClock(SystemClock):
    """The machine's clocks, with a wall clock that can be set."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead_s = 0.0

    def epoch(self) -> float:
        """Return the time of day, as it was set."""
        return super().epoch() + self.ahead_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> JumpingClock:
    """Give supervisors a wall clock that a test can set (the machine's is not ours to set)."""
    from openclaw_actors import supervisor as module

    jumping = JumpingClock()
    real = module.ThreadedDispatcher

    def dispatcher(given: Clock | None = None, **settings: Any) -> Any:
        return real(given or jumping, **settings)

    monkeypatch.setattr(module, "ThreadedDispatcher", dispatcher)
    monkeypatch.setattr(wakings, "CLOCK_LOOK_S", 0.02)
    return jumping


def test_a_clock_that_jumps_a_day_ahead_and_back_costs_no_answer(
    home: Home, supervise: Supervise, clock: JumpingClock
) -> None:
    """Ahead: what has expired by then is expired, what can be refreshed is refreshable, a rest is over. Back: all is as
    it was, though no file was touched.
    """
    home.write_config().write_profiles(
        openai__work=api_key("openai"),
        anthropic__me=token("anthropic", expires_in_s=3600.0),
        zai__me=oauth("zai", expires_in_s=3600.0),
        groq__me=api_key("groq"),
    )
    rest = {"disabledUntil": int((time.time() + 3600) * 1000), "disabledReason": "billing", "errorCount": 1}
    home.write_usage({"groq:me": rest})
    supervisor = supervise(home, **QUICK)
    names = ("openai", "anthropic", "zai", "groq")

    def states() -> tuple[str, ...]:
        return tuple(supervisor.verdict(name).state.value for name in names)

    before = ("usable", "usable", "usable", "disabled")
    assert eventually(lambda: states() == before), states()
    for _ in range(2):
        clock.ahead_s = DAY_S
        assert eventually(lambda: states() == ("usable", "expired", "refreshable", "usable")), states()
        clock.ahead_s = 0.0
        assert eventually(lambda: states() == before), states()
        clock.ahead_s = -DAY_S
        assert holds_for(0.2, lambda: states() == before)
        home.write_profiles(
            openai__work=api_key("openai"),
            anthropic__me=token("anthropic", expires_in_s=3600.0),
            zai__me=oauth("zai", expires_in_s=3600.0),
            groq__me=api_key("groq"),
            mistral__me=api_key("mistral"),
        )
        assert eventually(lambda: supervisor.has_auth("mistral")), "files are read by any clock"
        clock.ahead_s = 0.0
        assert eventually(lambda: states() == before)
    assert supervisor.health().ok
    assert_recovered(supervisor, home)
    assert condition(supervisor, "Watching").status
