"""The one writer of a home: real files, real processes."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stores import ID, bump, state_of

from openclaw_actors.auth.failures import Windows, after_failure, after_success, cleared
from openclaw_actors.errors import StoreReadOnlyError, StoreUnreadableError
from openclaw_actors.home.stores.usage_writer import remove_profiles, write_usage
from openclaw_actors.watching.stamp import stamp

ROOT = Path(__file__).resolve().parents[2]
T1, T2, T3 = 1_795_173_338_882, 1_795_173_338_906, 1_795_173_339_000


def failed(reason: str, now: int, model: str | None = None) -> Callable[[Windows | None], Windows]:
    return lambda windows: after_failure(windows, reason, now, provider="openai", model=model)


def write(agent: Path, change: Callable[[Windows | None], Windows | None], profile: str = ID, **more: Any) -> Any:
    return write_usage(str(agent), {profile: change}, **({"lock_timeout_s": 5.0} | more))


# --- what is written ---


def test_two_failures_and_a_success_are_byte_for_byte_what_openclaw_writes(agent: Path) -> None:
    """The recorded files of the real program, key order and final newline included."""
    path = agent / "auth-state.json"
    path.write_text(json.dumps({"version": 1, "usageStats": {ID: {"lastUsed": 123}}}))
    write(agent, failed("rate_limit", T1, "gpt-5"))
    written = write(agent, failed("billing", T2))
    expected = {
        "version": 1,
        "usageStats": {
            ID: {
                "lastUsed": 123,
                "cooldownUntil": 1795173368882,
                "cooldownReason": "rate_limit",
                "cooldownModel": "gpt-5",
                "disabledUntil": 1795191338906,
                "disabledReason": "billing",
                "errorCount": 2,
                "failureCounts": {"rate_limit": 1, "billing": 1},
                "lastFailureAt": 1795173338906,
            }
        },
    }
    assert path.read_text() == json.dumps(expected, indent=2) + "\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert (written.profiles, written.wrote) == ((ID,), True)
    assert written.windows[0][1].disabled_until == 1795191338906

    write(agent, lambda w: after_success(w, T3), last_good={"openai": ID})
    after = {
        "version": 1,
        "lastGood": {"openai": ID},
        "usageStats": {ID: {"lastUsed": T3, "errorCount": 0, "lastFailureAt": T2}},
    }
    assert path.read_text() == json.dumps(after, indent=2) + "\n"


def test_a_first_failure_makes_the_state_and_touches_no_credentials(agent: Path) -> None:
    """Only auth-state.json appears; the profiles file keeps its inode, and no lock or temporary file stays."""
    before = stamp(str(agent / "auth-profiles.json"))
    write(agent, failed("billing", T1))
    assert stamp(str(agent / "auth-profiles.json")) == before
    assert sorted(os.listdir(agent)) == ["auth-profiles.json", "auth-state.json"]


def test_the_profiles_file_is_never_created(tmp_path: Path) -> None:
    """A store without one gets its stats all the same."""
    assert write_usage(str(tmp_path), {"a": bump}, lock_timeout_s=1.0).wrote
    assert os.listdir(tmp_path) == ["auth-state.json"]


def test_identical_stats_are_not_written_again(agent: Path) -> None:
    """The same failure in its window, and the same success, leave the inode; so does another writer's spacing."""
    write(agent, failed("billing", T1))
    path = agent / "auth-state.json"
    before = stamp(str(path))
    again = write(agent, failed("billing", T2))
    assert (again.wrote, again.profiles) == (False, ())
    assert again.windows[0][1].last_failure_at == T1
    assert stamp(str(path)) == before
    path.write_text(json.dumps(state_of(agent), indent=7))
    before = stamp(str(path))
    assert not write(agent, lambda w: w, last_good={}).wrote
    assert stamp(str(path)) == before
    assert not write_usage(str(agent), {}, lock_timeout_s=1.0).wrote


def test_only_the_asked_profile_changes_and_the_rest_of_the_disk_survives(agent: Path) -> None:
    """Case 10: what others wrote meanwhile is the base; unknown keys stay, also inside the entry."""
    state = {
        "future": {"deep": [1.5, None, "ü"]},
        "version": 3,
        "order": {"openai": ["b", "a"]},
        "lastGood": {"groq": "groq:default"},
        "usageStats": {
            "groq:default": {"errorCount": "odd", "cooldownUntil": 12.75, "new": True},
            ID: {"errorCount": 1, "lastFailureAt": T1 - 5, "lastProbeAt": 7, "lastUsed": "wrong type"},
        },
    }
    (agent / "auth-state.json").write_text(json.dumps(state))
    write(agent, failed("timeout", T1))
    after = state_of(agent)
    assert list(after) == ["version", "order", "lastGood", "usageStats", "future"]
    assert after["usageStats"].pop(ID) == {
        "cooldownUntil": T1 + 60_000,
        "cooldownReason": "timeout",
        "errorCount": 2,
        "failureCounts": {"timeout": 1},
        "lastFailureAt": T1,
        "lastProbeAt": 7,
    }
    del state["usageStats"][ID]  # type: ignore[attr-defined]
    assert after == state


def test_what_describes_a_window_goes_with_it(agent: Path) -> None:
    """A newer version's note on a cooldown doesn't outlive that cooldown."""
    entry = {"cooldownUntil": T1 + 9, "cooldownClassification": "wham_token_expired", "blockedScope": "model"}
    (agent / "auth-state.json").write_text(json.dumps({"usageStats": {ID: entry}}))
    write(agent, cleared)
    assert state_of(agent) == {"version": 1, "usageStats": {ID: {"errorCount": 0, "blockedScope": "model"}}}


def test_stats_of_the_older_layout_are_the_base_and_stay_where_they_are(agent: Path) -> None:
    """An entry of auth-state.json wins over the one in auth-profiles.json, per profile."""
    path = agent / "auth-profiles.json"
    old = {"usageStats": {ID: {"errorCount": 4, "lastFailureAt": T1 - 1}, "groq:default": {"errorCount": 8}}}
    path.write_text(json.dumps(json.loads(path.read_text()) | old))
    (agent / "auth-state.json").write_text(json.dumps({"usageStats": {"groq:default": {"errorCount": 1}}}))
    before = path.read_bytes()
    write_usage(str(agent), {ID: bump, "groq:default": bump, "zai:default": bump}, lock_timeout_s=5.0)
    stats = state_of(agent)["usageStats"]
    assert {k: v["errorCount"] for k, v in stats.items()} == {"groq:default": 2, ID: 5, "zai:default": 1}
    assert path.read_bytes() == before


def test_removed_stats_do_not_let_the_older_layout_show_through(agent: Path) -> None:
    """No entry would bring the old window back, so an empty count stands in its place."""
    path = agent / "auth-profiles.json"
    old = {"usageStats": {ID: {"disabledUntil": T1 + 10**9}}}
    path.write_text(json.dumps(json.loads(path.read_text()) | old))
    written = write(agent, lambda _w: None)
    assert state_of(agent)["usageStats"] == {ID: {"errorCount": 0}}
    assert written.windows == ((ID, Windows(error_count=0)),)


def test_a_state_that_becomes_empty_is_removed(agent: Path) -> None:
    """As OpenClaw does; a file with keys of somebody else's stays."""
    path = agent / "auth-state.json"
    write(agent, bump)
    assert write(agent, lambda _w: None).wrote
    assert not path.exists()
    assert not write(agent, lambda _w: Windows()).wrote
    assert not path.exists()
    path.write_text(json.dumps({"usageStats": {ID: {"errorCount": 1}}, "future": 1}))
    write(agent, lambda _w: None)
    assert state_of(agent) == {"version": 1, "future": 1}


def test_a_change_that_raises_writes_nothing_and_frees_the_lock(agent: Path) -> None:
    """A caller's bug is the caller's; the store is as it was."""
    with pytest.raises(ZeroDivisionError):
        write_usage(str(agent), {"a": bump, "b": lambda _w: Windows(error_count=1 // 0)}, lock_timeout_s=1.0)
    assert os.listdir(agent) == ["auth-profiles.json"]


# --- what is refused ---


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff{}", b"[]", b"null", b"[" * 100_000, b'{"a": NaN}', b'{"a":1e999}']
)
def test_a_broken_state_is_not_overwritten(agent: Path, content: bytes) -> None:
    """What can't be read can't be merged with, so it stays for a person to mend."""
    path = agent / "auth-state.json"
    path.write_bytes(content)
    with pytest.raises(StoreUnreadableError, match=r"auth-state\.json.*Mend it"):
        write(agent, bump)
    assert path.read_bytes() == content
    assert sorted(os.listdir(agent)) == ["auth-profiles.json", "auth-state.json"]


def test_a_missing_agent_dir_is_not_created(tmp_path: Path) -> None:
    """An agent without a store has nothing to write into."""
    for call in (
        lambda: write_usage(str(tmp_path / "gone"), {"a": bump}, lock_timeout_s=1.0),
        lambda: remove_profiles(str(tmp_path / "gone"), ["a"], lock_timeout_s=1.0),
    ):
        with pytest.raises(StoreReadOnlyError, match="isn't there"):
            call()
    assert os.listdir(tmp_path) == []


def test_a_read_only_file_system_is_told_with_its_remedy(agent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first thing that can't be created says so."""
    real = os.open

    def read_only(path: str, flags: int, *args: Any, **more: Any) -> int:
        if flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR):
            raise OSError(errno.EROFS, "Read-only file system")
        return real(path, flags, *args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", read_only)
        with pytest.raises(StoreReadOnlyError, match="mounted read-only"):
            write(agent, bump)
    assert os.listdir(agent) == ["auth-profiles.json"]


def fill(connection: sqlite3.Connection, *, row: bool) -> None:
    connection.execute("CREATE TABLE auth_profile_store(store_key TEXT PRIMARY KEY, store_json TEXT, updated_at INT)")
    if row:
        connection.execute("INSERT INTO auth_profile_store VALUES ('primary', '{}', 0)")
    connection.commit()


def make_database(path: Path, *, row: bool) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        fill(connection, row=row)


def test_a_store_in_sqlite_is_not_written_yet(agent: Path) -> None:
    """Its files would be ignored by the versions that use SQLite, so it is told instead."""
    make_database(agent / "openclaw-agent.sqlite", row=True)
    before = sorted(os.listdir(agent))
    with pytest.raises(StoreReadOnlyError, match="SQLite, which isn't written yet"):
        write(agent, bump)
    with pytest.raises(StoreReadOnlyError, match="SQLite"):
        remove_profiles(str(agent), [ID], lock_timeout_s=1.0)
    assert sorted(os.listdir(agent)) == before


@pytest.mark.parametrize("row", [True, False])
def test_a_store_that_is_only_in_the_write_ahead_log_is_seen_too(agent: Path, row: bool) -> None:
    """A running gateway keeps the newest part in the -wal file; asking adds no file and takes none away."""
    path = agent / "openclaw-agent.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        fill(connection, row=row)
        before = {p.name for p in agent.iterdir()}
        assert "openclaw-agent.sqlite-wal" in before
        if row:
            with pytest.raises(StoreReadOnlyError, match="SQLite"):
                write(agent, bump)
        else:
            assert write(agent, bump).wrote
        assert {p.name for p in agent.iterdir()} - {"auth-state.json"} == before


def test_a_log_that_nobody_has_open_counts_as_the_store(agent: Path, tmp_path: Path) -> None:
    """After a crash only the gateway may open it again: an index file of ours could lock it out."""
    source = tmp_path / "live.sqlite"
    with contextlib.closing(sqlite3.connect(source)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        fill(connection, row=False)
        for suffix in ("", "-wal"):
            shutil.copy(f"{source}{suffix}", f"{agent}/openclaw-agent.sqlite{suffix}")
    before = sorted(os.listdir(agent))
    with pytest.raises(StoreReadOnlyError, match="SQLite"):
        write(agent, bump)
    assert sorted(os.listdir(agent)) == before


def test_a_database_without_profiles_does_not_hinder_the_json_store(agent: Path) -> None:
    """Versions in between keep other things in the same file."""
    make_database(agent / "openclaw-agent.sqlite", row=False)
    assert write(agent, bump).wrote


def test_a_database_that_cannot_be_asked_counts_as_the_store(agent: Path) -> None:
    """In doubt nothing is written."""
    (agent / "openclaw-agent.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreReadOnlyError, match="SQLite"):
        write(agent, bump)
