"""The one writer of a home among others: locks, real processes, and death in the middle."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from homes import Home, api_key
from stores import ID, bump, make_store, state_of

from openclaw_actors.auth.failures import Windows
from openclaw_actors.errors import StoreBusyError
from openclaw_actors.home.stores.usage_writer import write_usage

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data"
FOREIGN = {
    "python": [sys.executable, str(DATA / "foreign_writer.py")],
    "node": ["node", str(DATA / "foreign_writer.mjs")],
}
"""Writers that speak OpenClaw's lock protocol and share no code with the package."""


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


def test_a_lock_lost_while_the_disk_was_slow_stops_the_write(agent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may take longer to write the new content than a lock lasts: what another process wrote meanwhile stays."""
    lock, state = agent / "auth-profiles.json.lock", agent / "auth-state.json"
    genuine = os.fsync

    def slow(descriptor: int) -> None:
        genuine(descriptor)
        if lock.read_text() != "{}":
            lock.unlink()
            lock.write_text("{}")
            state.write_text(json.dumps({"usageStats": {"theirs": {"errorCount": 7}}}))

    monkeypatch.setattr(os, "fsync", slow)
    with pytest.raises(StoreBusyError, match="taken over"):
        write(agent, bump)
    assert state_of(agent) == {"usageStats": {"theirs": {"errorCount": 7}}}
    assert sorted(os.listdir(agent)) == ["auth-profiles.json", lock.name, state.name]


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


# ----------------------------------------------------------------------------------------------- OpenClaw's own writers


READING = """
import json, sys
path, before, seen = sys.argv[1] + "/auth-state.json", 0, 0
print("ready", flush=True)
while before < int(sys.argv[2]):
    try:
        with open(path, "rb") as file:
            shared = json.load(file)["usageStats"]["shared"]["errorCount"]
    except FileNotFoundError:
        assert not before, "it was there, and is gone"
        continue
    assert shared >= before, "an update was lost"
    seen, before = seen + (shared > before), shared
print(seen, flush=True)
"""


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Collect processes that a test started; those that are left are killed in the end."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate(timeout=30)


def hammer(agent: Path, foreign: str, times: int, processes: list[subprocess.Popen[bytes]]) -> None:
    """Have two writers of ours, a foreign one and a reader at one store together, and check that everything adds up."""
    total = times * 3
    reader = spawn(READING, str(agent), str(total))
    processes.append(reader)
    assert reader.stdout is not None
    assert reader.stdout.readline() == b"ready\n"
    ours = [spawn(BUMPING, str(agent), str(times), name) for name in ("one", "two")]
    processes.extend(ours)
    command = [*FOREIGN[foreign], str(agent), str(times), "three"]
    processes.append(subprocess.Popen(command, stdout=subprocess.PIPE))
    for writer in processes[1:]:
        writer.communicate(timeout=300)
        assert writer.returncode == 0
    seen, _ = reader.communicate(timeout=60)
    assert reader.returncode == 0, "a version that can't be read, or a count that went back"
    assert int(seen) > 1, "the reader looked too late"
    counts = {name: entry["errorCount"] for name, entry in state_of(agent)["usageStats"].items()}
    assert counts == {"shared": total, "one": times, "two": times, "three": times}
    assert sorted(os.listdir(agent)) == ["auth-profiles.json", "auth-state.json"]


def test_together_with_openclaws_writers_no_update_is_lost(
    agent: Path, processes: list[subprocess.Popen[bytes]]
) -> None:
    """Two writers of ours and one that isn't add up exactly, and each version that a reader meets is whole."""
    hammer(agent, "python", 60, processes)


@pytest.mark.stress
@pytest.mark.timeout(600)
@pytest.mark.parametrize("foreign", FOREIGN)
def test_together_with_openclaws_writers_no_update_is_lost_in_thousands(
    foreign: str, agent: Path, processes: list[subprocess.Popen[bytes]]
) -> None:
    """The same for three thousand updates each."""
    if shutil.which(FOREIGN[foreign][0]) is None:
        pytest.skip(f"there is no {foreign} here")
    hammer(agent, foreign, 3000, processes)


REPORTING = """
import sys, threading
from openclaw_actors import AuthSupervisor, Settings
from openclaw_actors.provider_auth import mark_auth_profile_failure, mark_auth_profile_success
home, user, first, times = sys.argv[1:]
settings = Settings(usage_flush_s=0.002, lock_timeout_s=30.0)
with AuthSupervisor(home, env={"HOME": user}, settings=settings) as supervisor:
    assert supervisor.wait_warm(30)
    print("ready", flush=True)
    sys.stdin.readline()
    pause = threading.Event()
    for number in range(int(times)):
        mark_auth_profile_failure(f"openai:{first}{number}", "rate_limit")
        mark_auth_profile_failure("openai:shared", "timeout" if first == "a" else "overloaded")
        pause.wait(0.002)  # so that it is many writes
"""


def test_marked_failures_of_many_processes_all_arrive(home: Home, processes: list[subprocess.Popen[bytes]]) -> None:
    """`mark_auth_profile_failure` of two gateways, with an OpenClaw writer between them: each failure counts once."""
    times = 40
    names = [f"{first}{number}" for first in "ab" for number in range(times)]
    home.write_config().write_profiles(**{f"openai__{name}": api_key("openai", name) for name in (*names, "shared")})
    for first in "ab":
        command = [sys.executable, "-c", REPORTING, str(home.path), str(home.user), first, str(times)]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        processes.append(subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
    for gateway in processes:
        assert gateway.stdout is not None
        assert gateway.stdout.readline() == b"ready\n"
    other = subprocess.Popen([*FOREIGN["python"], str(home.agent_dir()), str(times), "three"], stdout=subprocess.PIPE)
    for gateway in processes:
        assert gateway.stdin is not None
        gateway.stdin.write(b"go\n")
        gateway.stdin.flush()
    processes.append(other)
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    stats = home.usage()
    counted = {name: stats.get(f"openai:{name}", {}).get("failureCounts") for name in names}
    assert counted == {name: {"rate_limit": 1} for name in names}
    assert stats["openai:shared"]["failureCounts"].keys() == {"timeout", "overloaded"}
    assert stats["three"]["errorCount"] == stats["shared"]["errorCount"] == times
    assert sorted(os.listdir(home.agent_dir())) == ["auth-profiles.json", "auth-state.json"]


# ------------------------------------------------------------------------------------------------------------- crashes


def make_used_store(folder: Path) -> Path:
    """Make a store in which every part of the state says something of the profile that a write is about."""
    agent = make_store(folder)
    state = {
        "version": 1,
        "order": {"openai": [ID], "groq": ["groq:default"]},
        "lastGood": {"openai": ID},
        "usageStats": {
            ID: {"errorCount": 3, "cooldownUntil": 4102444800000, "cooldownReason": "rate_limit"},
            "groq:default": {"errorCount": 2},
        },
    }
    (agent / "auth-state.json").write_text(json.dumps(state))
    return agent


@pytest.mark.parametrize(
    ("write", "locks"),
    [
        ("usage", "whole"),
        ("clear", "whole"),
        ("logout", "whole"),
        ("usage", "plain"),
        pytest.param("clear", "plain", marks=pytest.mark.stress),
        pytest.param("logout", "plain", marks=pytest.mark.stress),
    ],
)
def test_a_crash_at_any_system_call_leaves_the_old_files_or_the_new_ones(
    write: str, locks: str, tmp_path: Path
) -> None:
    """Killed at each of its calls in turn, a writer leaves whole files, a lock that the next one takes over (by its
    age where locks can't be made whole, else at once), and nothing that the next one doesn't clear away.
    """
    agent = make_used_store(tmp_path)
    command = [sys.executable, str(DATA / "crashing_writer.py"), str(agent), write, locks, "1"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 30, "it died at each call of a write, and there are many"


def test_what_openclaw_left_unfinished_is_not_removed(agent: Path) -> None:
    """Only our own temporary files are known to be nobody's under the lock; OpenClaw may write without it."""
    ours = "auth-profiles.json.0b1c2d3e-0000-4000-8000-0123456789ab.actors.tmp"
    others = [
        "auth-profiles.json.0b1c2d3e-0000-4000-8000-0123456789ab.tmp",
        "auth-state.json.actors.tmp",
        "notes.0b1c2d3e-0000-4000-8000-0123456789ab.actors.tmp",
    ]
    for name in (ours, *others):
        (agent / name).write_text("{")
    write(agent, bump)
    assert sorted(os.listdir(agent)) == sorted(["auth-profiles.json", "auth-state.json", *others])


@pytest.mark.stress
@pytest.mark.timeout(600)
def test_writers_that_are_killed_again_and_again_tear_nothing(agent: Path) -> None:
    """Three hundred times a SIGKILL at any moment into two writers at once: counts that belong together stay so."""
    for _ in range(300):
        writers = [spawn(BUMPING, str(agent), "100000", name) for name in ("one", "two")]
        before = state_of(agent)["usageStats"] if (agent / "auth-state.json").exists() else {}
        start = before.get("shared", {}).get("errorCount", 0)
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
        while not (agent / "auth-state.json").exists() or (
            state_of(agent)["usageStats"]["shared"]["errorCount"] < start + 10
        ):
            assert all(writer.poll() is None for writer in writers)
        for writer in writers:
            writer.send_signal(signal.SIGKILL)
        for writer in writers:
            writer.communicate(timeout=30)
        stats = state_of(agent)["usageStats"]
        counts = {name: entry["errorCount"] for name, entry in stats.items()}
        assert counts.get("one", 0) + counts.get("two", 0) == counts["shared"]
    assert write_usage(str(agent), {"one": bump, "shared": bump}, lock_timeout_s=0.0).wrote
    assert sorted(os.listdir(agent)) == ["auth-profiles.json", "auth-state.json"]
