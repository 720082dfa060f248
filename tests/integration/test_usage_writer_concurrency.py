"""The one writer of a home among others: locks, real processes, and death in the middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stores import ID, bump, state_of

from openclaw_actors.auth.failures import Windows
from openclaw_actors.errors import StoreBusyError
from openclaw_actors.home.stores.usage_writer import write_usage

ROOT = Path(__file__).resolve().parents[2]


def write(agent: Path, change: Callable[[Windows | None], Windows | None], profile: str = ID, **more: Any) -> Any:
    return write_usage(str(agent), {profile: change}, **({"lock_timeout_s": 5.0} | more))


def spawn(code: str, *args: str) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", code, *args], env=environment, stdout=subprocess.PIPE)


def test_a_live_foreign_lock_is_busy_within_the_timeout(agent: Path) -> None:
    """OpenClaw's lock is honoured: nothing is written, and the holder is named."""
    lock = agent / "auth-profiles.json.lock"
    lock.write_text(json.dumps({"pid": 1, "createdAt": "2999-01-01T00:00:00.000Z"}))
    with pytest.raises(StoreBusyError, match="process 1 "):
        write(agent, bump, lock_timeout_s=0.3)
    assert sorted(os.listdir(agent)) == ["auth-profiles.json", "auth-profiles.json.lock"]


def test_the_lock_of_a_dead_process_does_not_hinder(agent: Path) -> None:
    """A crashed gateway's lock is taken over."""
    child = spawn("")
    child.communicate(timeout=30)
    lock = agent / "auth-profiles.json.lock"
    lock.write_text(json.dumps({"pid": child.pid, "createdAt": "2999-01-01T00:00:00.000Z"}))
    assert write(agent, bump, lock_timeout_s=0.0).wrote
    assert not lock.exists()


def test_a_lock_lost_under_way_stops_the_write(agent: Path) -> None:
    """Who was stopped for so long that its lock was taken over must not overwrite the new holder's work."""
    lock = agent / "auth-profiles.json.lock"

    def stolen(windows: Windows | None) -> Windows:
        lock.unlink()
        lock.write_text("{}")
        return bump(windows)

    with pytest.raises(StoreBusyError, match="taken over"):
        write(agent, stolen)
    assert lock.read_text() == "{}"
    assert not (agent / "auth-state.json").exists()


BUMPING = """
import sys, msgspec
from openclaw_actors.home.stores.usage_writer import write_usage
from openclaw_actors.home.stores.windows import Windows

def bump(windows):
    current = windows or Windows()
    return msgspec.structs.replace(current, error_count=(current.error_count or 0) + 1)

print("ready", flush=True)
for _ in range(int(sys.argv[2])):
    write_usage(sys.argv[1], {sys.argv[3]: bump, "shared": bump}, lock_timeout_s=50.0)
"""


def test_two_processes_lose_no_increment(agent: Path) -> None:
    """A hundred increments each, one of a shared counter and one of their own."""
    writers = [spawn(BUMPING, str(agent), "100", name) for name in ("one", "two")]
    for writer in writers:
        writer.communicate(timeout=55)
        assert writer.returncode == 0
    stats = state_of(agent)["usageStats"]
    assert {name: entry["errorCount"] for name, entry in stats.items()} == {"shared": 200, "one": 100, "two": 100}
    assert sorted(os.listdir(agent)) == ["auth-profiles.json", "auth-state.json"]


def test_a_killed_writer_leaves_the_old_file_or_the_new_one(agent: Path) -> None:
    """Wherever it dies the state is whole, no increment is half there, and the next writer gets in."""
    count = 0
    for kill_at in (1, 2, 3, 5, 8, 13):
        writer = spawn(BUMPING, str(agent), "100000", "one")
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"ready\n"
        while not (agent / "auth-state.json").exists() or (
            state_of(agent)["usageStats"]["one"]["errorCount"] < count + kill_at
        ):
            assert writer.poll() is None
        writer.send_signal(signal.SIGKILL)
        writer.communicate(timeout=30)
        stats = state_of(agent)["usageStats"]
        assert stats["one"] == stats["shared"]
        assert stats["one"]["errorCount"] >= count + kill_at
        # at once, but where the file system can't create a lock whole: there its age may have to tell
        write_usage(str(agent), {"one": bump, "shared": bump}, lock_timeout_s=40.0)
        count = state_of(agent)["usageStats"]["one"]["errorCount"]
