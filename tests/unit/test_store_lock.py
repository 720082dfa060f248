"""The lock of a store: OpenClaw's protocol, step by step, on a real directory and with a clock of the test's own."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from openclaw_actors.errors import StoreBusyError, StoreReadOnlyError
from openclaw_actors.home.stores import lock as lock_module
from openclaw_actors.home.stores.lock import StoreLock

NOW = 1_795_173_338.882
LIVE = 1
"""The one process that is always there."""


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self, on_sleep: Callable[[], None] | None = None) -> None:
        self.now = 100.0
        self.pauses: list[float] = []
        self._on_sleep = on_sleep

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)
        if self._on_sleep is not None:
            self._on_sleep()


def make(path: Path, clock: Clock | None = None, *, timeout_s: float = 5.0, jitter: float = 0.0) -> StoreLock:
    clock = clock or Clock()
    return StoreLock(
        str(path),
        timeout_s=timeout_s,
        clock=clock,
        wall_clock=lambda: NOW,
        sleep=clock.sleep,
        jitter=lambda: jitter,
    )


def write_lock(path: Path, pid: object, age_s: float = 0.0) -> None:
    created = datetime.fromtimestamp(NOW - age_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    path.write_text(json.dumps({"pid": pid, "createdAt": created}, indent=2) + "\n")
    os.utime(path, (NOW - age_s, NOW - age_s))


def dead_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "auth-profiles.json.lock"


@pytest.fixture
def plain_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that can't name a finished file, as network mounts."""

    def refuse(_path: str, _content: bytes) -> int:
        raise OSError(errno.EOPNOTSUPP, "not here")

    monkeypatch.setattr(lock_module, "_create_whole", refuse)


def check_held_and_released(path: Path) -> None:
    with make(path) as lock:
        assert lock.is_held()
        assert path.read_text() == f'{{\n  "pid": {os.getpid()},\n  "createdAt": "2026-11-20T11:15:38.882Z"\n}}\n'
        with pytest.raises(StoreBusyError):
            make(path, timeout_s=0.0).__enter__()
    assert not path.exists()
    assert not lock.is_held()


def test_the_lock_file_is_there_only_while_held_and_names_its_holder(path: Path) -> None:
    """Its content is what OpenClaw writes: pid and time, pretty-printed, with a newline."""
    check_held_and_released(path)


@pytest.mark.usefixtures("plain_files")
def test_the_lock_is_the_same_where_files_are_created_empty(path: Path) -> None:
    """The protocol doesn't depend on what the file system can do."""
    check_held_and_released(path)


def test_a_lock_file_is_never_there_without_its_content(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed while it writes, a process leaves no lock that names nobody."""
    seen: list[bool] = []
    real = lock_module._write_all

    def watch(fd: int, content: bytes) -> None:
        real(fd, content)
        seen.append(path.exists())

    monkeypatch.setattr(lock_module, "_write_all", watch)
    with make(path):
        assert seen == [False]
    assert os.listdir(path.parent) == []


def test_an_exception_leaves_no_lock_behind(path: Path) -> None:
    """Whatever happens under the lock, it is given up."""
    with pytest.raises(KeyboardInterrupt), make(path):
        raise KeyboardInterrupt
    assert not path.exists()


def test_a_lock_that_cannot_be_written_down_is_removed_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk leaves no empty lock file."""

    def full(_fd: int, _content: bytes) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(lock_module, "_write_all", full)
    with pytest.raises(StoreReadOnlyError, match=r"(?s)lock.*free some space"):
        make(path).__enter__()
    assert not path.exists()


def test_a_missing_directory_is_a_store_that_cannot_be_written(tmp_path: Path) -> None:
    """The lock makes no directories."""
    with pytest.raises(StoreReadOnlyError, match="isn't there"):
        make(tmp_path / "gone" / "x.lock").__enter__()


def test_a_live_holder_makes_it_busy_when_the_time_is_over(path: Path) -> None:
    """The error names file, pid and remedy; the waiting doubles, and never goes past the timeout."""
    write_lock(path, LIVE)
    before = path.read_bytes()
    clock = Clock()
    with pytest.raises(StoreBusyError) as caught:
        make(path, clock, timeout_s=2.0).__enter__()
    assert str(path) in str(caught.value)
    assert f"process {LIVE}" in str(caught.value)
    assert "deleted" in str(caught.value)
    assert clock.pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 0.5])
    assert path.read_bytes() == before


def test_pauses_are_randomised_up_to_double_and_bounded(path: Path) -> None:
    """The documented back-off: factor 2 from 100 ms, up to twice that by chance, at most 10 s."""
    write_lock(path, LIVE)
    clock = Clock()
    with pytest.raises(StoreBusyError):
        make(path, clock, timeout_s=60.0, jitter=1.0).__enter__()
    assert clock.pauses[:7] == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0])
    assert max(clock.pauses) == 10.0
    assert sum(clock.pauses) == pytest.approx(60.0)


def test_a_timeout_of_zero_tries_once(path: Path) -> None:
    """No pause at all."""
    write_lock(path, LIVE)
    clock = Clock()
    with pytest.raises(StoreBusyError):
        make(path, clock, timeout_s=0.0).__enter__()
    assert clock.pauses == []


def test_a_lock_released_meanwhile_is_taken(path: Path) -> None:
    """Waiting ends with the holder's release."""
    write_lock(path, LIVE)
    clock = Clock(on_sleep=lambda: path.unlink(missing_ok=True))
    with make(path, clock) as lock:
        assert lock.is_held()
    assert len(clock.pauses) == 1


def test_the_lock_of_a_dead_process_is_taken_over_at_once(path: Path) -> None:
    """A crashed holder costs no waiting."""
    write_lock(path, dead_pid())
    clock = Clock()
    with make(path, clock, timeout_s=0.0) as lock:
        assert lock.is_held()
    assert clock.pauses == []
    assert not path.exists()


@pytest.mark.parametrize(("age_s", "stale"), [(29.0, False), (31.0, True)])
def test_a_live_holders_lock_is_stale_after_30_seconds(path: Path, age_s: float, stale: bool) -> None:
    """Age decides where the pid can't."""
    write_lock(path, LIVE, age_s)
    lock = make(path, timeout_s=0.0)
    if stale:
        with lock:
            assert lock.is_held()
    else:
        with pytest.raises(StoreBusyError):
            lock.__enter__()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": "x"}', '{"pid": true, "createdAt": 5}', "[" * 5000])
@pytest.mark.parametrize(("age_s", "stale"), [(1.0, False), (31.0, True)])
def test_a_lock_that_cannot_be_read_is_stale_by_its_files_age(
    path: Path, content: str, age_s: float, stale: bool
) -> None:
    """A torn lock file may be one that is just being written, so only time tells."""
    path.write_text(content)
    os.utime(path, (NOW - age_s, NOW - age_s))
    lock = make(path, timeout_s=0.0)
    if stale:
        with lock:
            assert lock.is_held()
    else:
        with pytest.raises(StoreBusyError, match="unknown process"):
            lock.__enter__()


def test_a_time_to_come_does_not_lock_for_ever(path: Path) -> None:
    """A holder's wrong clock is set right by the file's own time."""
    write_lock(path, LIVE, age_s=-86_400.0)
    os.utime(path, (NOW - 31.0, NOW - 31.0))
    with make(path, timeout_s=0.0) as lock:
        assert lock.is_held()


def test_a_pid_beyond_all_pids_is_judged_by_age(path: Path) -> None:
    """A number that the system can't look up is no proof of death."""
    write_lock(path, 2**70)
    with pytest.raises(StoreBusyError):
        make(path, timeout_s=0.0).__enter__()


def test_a_lock_that_was_taken_over_is_not_removed_on_release(path: Path) -> None:
    """Release compares inode and content, so that the new holder keeps its lock."""
    with make(path) as lock:
        path.unlink()
        write_lock(path, LIVE)
        assert not lock.is_held()
    assert json.loads(path.read_text())["pid"] == LIVE


def test_a_lock_rewritten_in_place_is_not_removed_on_release(path: Path) -> None:
    """The same inode with other content is somebody else's."""
    with make(path) as lock:
        path.write_text("{}")
        assert not lock.is_held()
    assert path.exists()


def test_a_lock_is_not_re_entrant(path: Path) -> None:
    """Entering twice is a bug, told as one, and the lock stays held."""
    with make(path) as lock:
        with pytest.raises(RuntimeError, match="re-entrant"):
            lock.__enter__()
        assert lock.is_held()


def test_a_judge_that_comes_late_does_not_remove_the_fresh_lock(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two judge the same file stale: the second finds another file there and leaves it."""
    write_lock(path, dead_pid())
    real = lock_module._is_stale
    winner = make(path, timeout_s=0.0)
    judged: list[bool] = []

    def judge(holder: lock_module._Holder, modified_at: float, now: float) -> bool:
        verdict = real(holder, modified_at, now)
        judged.append(verdict)
        if len(judged) == 1:
            winner.__enter__()  # between the loser's judgement and its removal
        return verdict

    monkeypatch.setattr(lock_module, "_is_stale", judge)
    with pytest.raises(StoreBusyError):
        make(path, timeout_s=0.0).__enter__()
    assert judged[:2] == [True, True]
    assert winner.is_held()
    winner.__exit__(None, None, None)
    assert not path.exists()


def test_many_that_take_over_one_stale_lock_never_hold_it_together(path: Path) -> None:
    """However many find the same dead holder at once, one at a time gets in."""
    rounds, threads = 20, 6
    inside = threading.Lock()
    overlaps: list[int] = []
    entered: list[int] = []

    def run(barrier: threading.Barrier) -> None:
        barrier.wait(10)
        with StoreLock(str(path), timeout_s=30.0, jitter=lambda: 0.0, sleep=lambda _s: None):
            if not inside.acquire(blocking=False):
                overlaps.append(1)
                return
            entered.append(1)
            inside.release()

    gone = dead_pid()
    for _ in range(rounds):
        path.write_text(json.dumps({"pid": gone, "createdAt": "2020-01-01T00:00:00.000Z"}))
        barrier = threading.Barrier(threads)
        workers = [threading.Thread(target=run, args=(barrier,)) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(30)
    assert overlaps == []
    assert len(entered) == rounds * threads
    assert not path.exists()
