"""Usage that can't be written now: full disks, read-only ones, foreign locks, disks that hang. A whole supervisor on a
real home: what was reported counts at once, is kept, is said in `health`, and is written once it can be.
"""

from __future__ import annotations

import datetime
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from homes import Home, Supervise, api_key, eventually

from openclaw_actors import AuthSupervisor, StoreBusyError

ROOT = Path(__file__).parents[2]
LOCK = "auth-profiles.json.lock"
QUICK = {"usage_flush_s": 0.01, "lock_timeout_s": 0.1}
"""Settings with which a write that fails is tried again soon."""


@pytest.fixture
def two(home: Home) -> Home:
    """Return a home in which `main` and `ops` have a store each."""
    home.agents("main", "ops").write_config().write_profiles(openai__work=api_key("openai"))
    return home.write_profiles("ops", zai__me=api_key("zai"))


def said(supervisor: AuthSupervisor, kind: str = "UsagePersisted") -> str:
    """Return what a condition says is wrong; empty while all is well."""
    condition = supervisor.health().condition(kind)
    return condition.message if condition is not None and not condition.status else ""


def our_threads() -> list[str]:
    """Return the names of the package's threads that are alive."""
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("openclaw"))


# --------------------------------------------------------------------------------------------- full and read-only disks

PRELUDE = f"""
import os, subprocess, sys
from pathlib import Path
sys.path[:0] = [{str(ROOT)!r}, {str(Path(__file__).parent)!r}]
from homes import Home, api_key, eventually
from openclaw_actors import AuthSupervisor, Settings, StoreReadOnlyError

home = Home(Path(sys.argv[1])).agents("main", "ops").write_config()
home.write_profiles("ops", zai__me=api_key("zai"))
store = home.agent_dir()
store.mkdir(parents=True)

def mount(*arguments):
    subprocess.run(["mount", *arguments], check=True)

def start():
    home.write_profiles(openai__work=api_key("openai"), groq__work=api_key("groq"))
    settings = Settings(usage_flush_s=0.01, lock_timeout_s=0.5)
    supervisor = AuthSupervisor(home.path, env=home.env, settings=settings).start()
    assert supervisor.wait_warm(10)
    return supervisor

def said():
    condition = supervisor.health().condition("UsagePersisted")
    return condition.message if condition is not None and not condition.status else ""

def check_that_the_rest_goes_on():
    assert not supervisor.has_auth("openai") and supervisor.has_auth("groq")
    supervisor.report_failure("zai:me", "auth", agent_id="ops")
    assert eventually(lambda: "zai:me" in home.usage("ops"))
    assert said(), "one store that can be written must not hide the other"

def check_that_it_has_recovered(profile="openai:work"):
    assert eventually(lambda: profile in home.usage()), said()
    assert home.usage()[profile]["failureCounts"] == {{"auth": 1}}
    assert eventually(lambda: not said()), said()
    assert eventually(lambda: supervisor.verdict("openai").fresh)
    assert not supervisor.has_auth("openai") and supervisor.health().ok, supervisor.health()
    assert sorted(os.listdir(store)) == ["auth-profiles.json", "auth-state.json"], os.listdir(store)

def log_out():
    supervisor.logout("groq")

def clear():
    supervisor.clear_cooldown("openai:work")

def check_that_it_is_refused(words, *changes):
    before = (store / "auth-profiles.json").read_bytes()
    for change in changes:
        try:
            change()
        except StoreReadOnlyError as error:
            assert words in str(error) and str(store) in str(error), error
        else:
            raise AssertionError("it should have been refused")
    assert supervisor.has_auth("groq")
    assert (store / "auth-profiles.json").read_bytes() == before
"""

TMPFS = """
mount("-t", "tmpfs", "-o", "size=64k", "none", str(store))
"""

FULL_DISK = """
supervisor = start()
filler = store / "filler"
with open(filler, "wb", buffering=0) as file:
    try:
        while True:
            file.write(bytes(4096))
    except OSError:
        pass
supervisor.report_failure("openai:work", "auth")
assert not supervisor.has_auth("openai")
assert eventually(lambda: "no space left on device" in said()), said()
assert "free some space" in said() and str(store) in said(), said()
check_that_the_rest_goes_on()
check_that_it_is_refused("no space left on device", log_out, clear)

# room for the lock file, and none for what is to be written under it
os.truncate(filler, filler.stat().st_size - 4096)
assert eventually(lambda: "auth-state.json: can't be written (no space" in said()), said()
assert not (store / "auth-state.json").exists()
check_that_it_is_refused("no space left on device", log_out)
assert eventually(lambda: sorted(os.listdir(store)) in (
    ["auth-profiles.json", "filler"], ["auth-profiles.json", "auth-profiles.json.lock", "filler"])), os.listdir(store)
filler.unlink()
check_that_it_has_recovered()
supervisor.stop()
print("done")
"""

READ_ONLY = """
supervisor = start()
mount("-o", "remount,ro", str(store))
supervisor.report_failure("openai:work", "auth")
assert not supervisor.has_auth("openai")
assert eventually(lambda: "read-only" in said()), said()
assert "mount it writable" in said() and str(store) in said(), said()
check_that_the_rest_goes_on()
check_that_it_is_refused("mount it writable", log_out, clear)
mount("-o", "remount,rw", str(store))
check_that_it_has_recovered()
mount("-o", "remount,ro", str(store))
supervisor.report_failure("groq:work", "billing")
supervisor.stop(5)
assert "read-only" in said(), "what a stop could not write is said"
assert not supervisor.has_auth("groq")
print("done")
"""

LIMITED = """
import resource, signal
supervisor = start()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))  # enough for a lock file
supervisor.report_failure("openai:work", "auth")
assert not supervisor.has_auth("openai")
assert eventually(lambda: "auth-state.json: can't be written (file too large)" in said()), said()
assert "ulimit" in said()
check_that_it_is_refused("file too large", log_out)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
check_that_it_has_recovered()
supervisor.stop()
print("done")
"""


def run(code: str, folder: Path, *prefix: str) -> None:
    """Run a script on a home of its own and wait for its end."""
    folder.mkdir()
    command = [*prefix, sys.executable, "-c", PRELUDE + code, str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "done"), done.stderr


@pytest.fixture(scope="module")
def namespace() -> tuple[str, ...]:
    """Return what runs a command where it may mount; skips where the kernel lets nobody."""
    command = ("unshare", "-Urm", "--")
    if shutil.which("unshare") is None:
        pytest.skip("there is no unshare here")
    probe = subprocess.run([*command, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("no file system can be mounted here, not even in a namespace of one's own")
    return command


def test_a_full_disk_loses_no_report(namespace: tuple[str, ...], tmp_path: Path) -> None:
    """A real, tiny file system without a free page: said with file and remedy, nothing half written, then written."""
    run(TMPFS + FULL_DISK, tmp_path / "full", *namespace)


def test_a_read_only_disk_loses_no_report(namespace: tuple[str, ...], tmp_path: Path) -> None:
    """A file system that is really remounted read-only: said with its remedy, and written when it can be again."""
    run(TMPFS + READ_ONLY, tmp_path / "read-only", *namespace)


def test_a_limit_on_the_size_of_files_loses_no_report(tmp_path: Path) -> None:
    """A write that the kernel refuses half way (EFBIG) tears nothing, is said, and succeeds when the limit is gone."""
    run(LIMITED, tmp_path / "limited")


# ------------------------------------------------------------------------------------------------------- foreign locks

HOLDING = """
import json, os, sys
from datetime import datetime, timezone
path = sys.argv[1]
descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
created = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
os.write(descriptor, (json.dumps({"pid": os.getpid(), "createdAt": created}, indent=2) + "\\n").encode())
print("held", flush=True)
sys.stdin.read()
os.unlink(path)
"""

Holder = Callable[[Path], "subprocess.Popen[bytes]"]


@pytest.fixture
def holder() -> Iterator[Holder]:
    """Return a function that has another process take a lock, as OpenClaw does, until its standard input is closed."""
    started: list[subprocess.Popen[bytes]] = []

    def hold(path: Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", HOLDING, str(path)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        return process

    yield hold
    for process in started:
        process.kill()
        process.wait(20)
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()


def created(seconds_ago: float) -> str:
    """Return a time as lock files have it."""
    moment = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=seconds_ago)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def check_it_was_written(supervisor: AuthSupervisor, home: Home, profile: str = "openai:work") -> None:
    """Check that a failure came to be on disk, once, with everything well and nothing left over."""
    assert eventually(lambda: profile in home.usage()), said(supervisor)
    assert home.usage()[profile]["failureCounts"] == {"auth": 1}
    assert eventually(lambda: supervisor.health().ok), supervisor.health()
    assert not supervisor.has_auth("openai")
    assert eventually(lambda: sorted(os.listdir(home.agent_dir())) == ["auth-profiles.json", "auth-state.json"])


def test_a_lock_of_a_live_process_delays_a_report_and_loses_nothing(
    two: Home, supervise: Supervise, holder: Holder
) -> None:
    """The report counts at once; health names file and holder; others' stores are written; a change that a person asks
    for is refused and takes no report along; once the lock is free everything is written.
    """
    supervisor = supervise(two, **QUICK)
    process = holder(two.agent_dir() / LOCK)
    supervisor.report_failure("openai:work", "auth")
    assert not supervisor.has_auth("openai")
    assert eventually(lambda: f"process {process.pid}" in said(supervisor)), said(supervisor)
    assert str(two.agent_dir() / LOCK) in said(supervisor)
    for change in (lambda: supervisor.clear_cooldown("openai:work"), lambda: supervisor.logout("openai")):
        with pytest.raises(StoreBusyError, match=f"process {process.pid}"):
            change()
    assert not supervisor.has_auth("openai"), "a logout that failed has taken nothing away, nor given back"
    supervisor.report_failure("zai:me", "auth", agent_id="ops")
    assert eventually(lambda: "zai:me" in two.usage("ops"))
    assert said(supervisor), "the other store still waits"
    assert not two.usage()
    assert process.stdin is not None
    process.stdin.close()
    check_it_was_written(supervisor, two)


def test_a_lock_of_a_killed_process_hinders_nobody(
    two: Home, supervise: Supervise, holder: Holder, log_lines: list[str]
) -> None:
    """What a real process left when it was killed is taken over at once: no condition, one log line."""
    supervisor = supervise(two, **QUICK)
    process = holder(two.agent_dir() / LOCK)
    process.send_signal(signal.SIGKILL)
    process.wait(20)
    supervisor.report_failure("openai:work", "auth")
    check_it_was_written(supervisor, two)
    assert not any("can't be written" in line for line in log_lines)
    assert sum("stale store lock removed" in line for line in log_lines) == 1


LEFT = {
    "held too long": json.dumps({"pid": os.getpid(), "createdAt": created(31)}),
    "garbage": "\x00\xff not a lock {",
    "empty": "",
    "other fields": '{"pid": "me", "createdAt": 12}',
}


@pytest.mark.parametrize("left", LEFT)
def test_a_lock_that_tells_nothing_is_waited_for_and_then_taken_over(
    left: str, two: Home, supervise: Supervise
) -> None:
    """A lock file that nobody can make out is its holder's until it is 30 s old by its file's time."""
    supervisor = supervise(two, **QUICK)
    lock = two.agent_dir() / LOCK
    lock.write_text(LEFT[left], encoding="latin-1")
    supervisor.report_failure("openai:work", "auth")
    assert not supervisor.has_auth("openai")
    if left != "held too long":
        assert eventually(lambda: "an unknown process" in said(supervisor)), said(supervisor)
        assert "may be deleted" in said(supervisor)
        assert not two.usage()
        os.utime(lock, (time.time() - 31,) * 2)
    check_it_was_written(supervisor, two)


def test_a_directory_in_place_of_the_lock_is_said_and_never_removed(two: Home, supervise: Supervise) -> None:
    """Other programs' locks may be directories: however old, it is left alone, and health says what to do."""
    supervisor = supervise(two, **QUICK)
    lock = two.agent_dir() / LOCK
    lock.mkdir()
    os.utime(lock, (time.time() - 3600,) * 2)
    supervisor.report_failure("openai:work", "auth")
    assert eventually(lambda: "a directory in place of" in said(supervisor)), said(supervisor)
    assert str(lock) in said(supervisor)
    assert "Remove it" in said(supervisor)
    assert not two.usage()
    assert lock.is_dir()
    lock.rmdir()
    check_it_was_written(supervisor, two)


def test_a_stop_ends_the_wait_for_a_lock(two: Home, supervise: Supervise, holder: Holder) -> None:
    """However long it would wait for a foreign lock, a write ends with the supervisor: in time, with no thread left,
    and nothing is written afterwards.
    """
    supervisor = supervise(two, usage_flush_s=0.01, lock_timeout_s=60.0)
    process = holder(two.agent_dir() / LOCK)
    supervisor.report_failure("openai:work", "auth")
    source = f"usage:{two.agent_dir()}"
    pool = supervisor._runtime.dispatcher._pool  # type: ignore[attr-defined]
    assert eventually(lambda: any(one.job is not None and one.job.source == source for one in list(pool._busy)))
    began = time.monotonic()
    supervisor.stop(1.0)
    assert time.monotonic() - began < 2.0
    assert our_threads() == []
    alive = supervisor.health().condition("ActorsAlive")
    assert alive is not None
    assert alive.reason == "Stopped"
    assert process.stdin is not None
    process.stdin.close()
    process.wait(20)
    assert os.listdir(two.agent_dir()) == ["auth-profiles.json"]


# ---------------------------------------------------------------------------------------------------- disks that hang


def test_a_write_that_hangs_is_neither_lost_nor_done_twice(
    two: Home, supervise: Supervise, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that takes longer than a write may last (here `fsync` waits, since no test can stop a disk): said with the
    store, while others are written; what comes of it in the end counts once.
    """
    genuine, reached, release = os.fsync, threading.Event(), threading.Event()

    def fsync(descriptor: int) -> None:
        if str(two.agent_dir()) in os.readlink(f"/proc/self/fd/{descriptor}") and not release.is_set():
            reached.set()
            release.wait(30)
        genuine(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    supervisor = supervise(two, **QUICK, source_deadline_s=0.1)
    try:
        supervisor.report_failure("openai:work", "rate_limit")
        assert reached.wait(5)
        assert eventually(lambda: f"usage:{two.agent_dir()}" in said(supervisor)), said(supervisor)
        supervisor.report_failure("openai:work", "auth")
        assert not supervisor.has_auth("openai")
        supervisor.report_failure("zai:me", "auth", agent_id="ops")
        assert eventually(lambda: "zai:me" in two.usage("ops"))
        assert said(supervisor)
        assert not two.usage()
    finally:
        release.set()
    assert eventually(lambda: two.usage().get("openai:work", {}).get("errorCount") == 2), two.usage()
    assert eventually(lambda: supervisor.health().ok), supervisor.health()
    supervisor.stop()
    assert two.usage()["openai:work"]["failureCounts"] == {"rate_limit": 1, "auth": 1}


def test_a_stop_while_a_write_hangs_keeps_its_time_and_names_it(
    two: Home, supervise: Supervise, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread is left behind as a daemon, and health says which store it is at."""
    genuine, reached, release = os.fsync, threading.Event(), threading.Event()

    def fsync(descriptor: int) -> None:
        reached.set()
        release.wait(30)
        genuine(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    supervisor = supervise(two, **QUICK)
    try:
        supervisor.report_failure("openai:work", "auth")
        assert reached.wait(5)
        began = time.monotonic()
        supervisor.stop(0.4)
        assert time.monotonic() - began < 1.5
        assert f"usage:{two.agent_dir()}" in said(supervisor, "ActorsAlive")
        left = [thread for thread in threading.enumerate() if thread.name.startswith("openclaw")]
        assert [thread.daemon for thread in left] == [True]
    finally:
        release.set()


def test_a_database_that_cannot_be_asked_for_a_while_delays_usage(two: Home, supervise: Supervise) -> None:
    """Whether profiles are in a damaged SQLite file can't be told, so nothing is written; once it can be, usage is."""
    supervisor = supervise(two, **QUICK)
    supervisor.stop()
    database = two.agent_dir("ops") / "openclaw-agent.sqlite"
    supervisor = supervise(two, **QUICK, watch=False)
    database.write_bytes(b"no database at all" * 100)
    supervisor.report_failure("zai:me", "auth", agent_id="ops")
    assert eventually(lambda: str(database) in said(supervisor)), said(supervisor)
    assert not two.usage("ops")
    database.unlink()
    assert eventually(lambda: "zai:me" in two.usage("ops")), said(supervisor)
    assert eventually(lambda: supervisor.health().ok)
