"""When watching goes wrong: limits, lost events, raising sinks, stopping, forking. Something always goes on looking."""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from openclaw_actors.watching import FileWatcher, open_watcher

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux")
from watchdog.observers.inotify_c import InotifyFD  # noqa: E402  # not importable elsewhere

DEADLINE_S = 5.0


class Ear:
    """A sink that remembers, can be waited on, and does something of the test's choosing."""

    def __init__(self, act: Callable[[], None] | None = None) -> None:
        self.changed = threading.Condition()
        self.paths: list[str] = []
        self.rescans: list[str] = []
        self.reasons: list[str] = []
        self.over: list[str] = []
        self.threads: set[str] = set()
        self.act = act

    def touched(self, paths: tuple[str, ...]) -> None:
        with self.changed:
            self.paths.extend(paths)
            self.threads.add(threading.current_thread().name)
            self.changed.notify_all()
        if self.act is not None:
            self.act()

    def rescan(self, reason: str) -> None:
        with self.changed:
            self.rescans.append(reason)
            self.changed.notify_all()

    def degraded(self, reason: str) -> None:
        with self.changed:
            self.reasons.append(reason)
            self.changed.notify_all()

    def recovered(self, reason: str) -> None:
        with self.changed:
            self.over.append(reason)
            self.changed.notify_all()

    def hears(self, *paths: Path) -> bool:
        wanted = {str(path) for path in paths}
        return self.until(lambda: wanted <= set(self.paths))

    def until(self, condition: Callable[[], bool]) -> bool:
        with self.changed:
            return self.changed.wait_for(condition, DEADLINE_S)


@pytest.fixture
def watchers() -> Any:
    """Opens watchers that are stopped afterwards, and checks that no thread of theirs is left."""
    opened: list[FileWatcher] = []

    def open_one(**options: Any) -> FileWatcher:
        opened.append(open_watcher(poll_interval_s=0.02, **options))
        return opened[-1]

    yield open_one
    for watcher in opened:
        watcher.stop()
    assert not watch_threads()


def watch_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("openclaw-watch")]


def descriptors() -> set[str]:
    """What this process has open, of the kinds that a watcher opens."""
    found = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        if "inotify" in target or target.startswith("pipe:"):
            found.add(f"{number} {target}")
    return found


def refuse(monkeypatch: pytest.MonkeyPatch, number: int, *, below: Path) -> None:
    """Has inotify refuse every directory below a path."""
    real = InotifyFD.add_callback

    def add_callback(self: InotifyFD, path: bytes, *rest: Any) -> Any:
        if path.startswith(os.fsencode(below)):
            raise OSError(number, os.strerror(number))
        return real(self, path, *rest)

    monkeypatch.setattr(InotifyFD, "add_callback", add_callback)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EMFILE, errno.EIO])
def test_refused_directories_are_polled(
    watchers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Without watches to spare, polling takes over; said once, however many paths it hits, and others stay native."""
    (tmp_path / "full").mkdir()
    refuse(monkeypatch, number, below=tmp_path / "full")
    ear, files = Ear(), [tmp_path / "full" / f"{i}.json" for i in range(30)]
    watcher = watchers()
    watcher.start(ear)
    watcher.watch(map(str, files))
    watcher.add([str(tmp_path / "native.json"), str(tmp_path / "full" / "sub" / "x")])
    assert len(ear.reasons) == 1
    assert watcher.polled_paths == 31
    assert watcher.alive()
    for file in files:
        file.write_text("{}")
    (tmp_path / "native.json").write_text("{}")
    assert ear.hears(*files, tmp_path / "native.json")
    assert ear.threads == {"openclaw-watch-inotify", "openclaw-watch-polling"}
    assert len(ear.reasons) == 1


def test_a_path_returns_to_inotify_when_it_can(watchers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once watches are there again, the next touch moves a polled path back."""
    (tmp_path / "full").mkdir()
    file, ear, watcher = tmp_path / "full" / "a.json", Ear(), watchers()
    with monkeypatch.context() as patch:
        refuse(patch, errno.ENOSPC, below=tmp_path / "full")
        watcher.start(ear)
        watcher.watch([str(file)])
        assert watcher.polled_paths == 1
    file.write_text("{}")
    assert ear.hears(file)
    assert watcher.polled_paths == 0
    ear.paths.clear()
    ear.threads.clear()
    file.write_text("more")
    assert ear.hears(file)
    assert ear.threads == {"openclaw-watch-inotify"}


def test_an_unreadable_directory_is_polled(watchers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """InotifyFD answers EACCES with the descriptor -1: that is no watch, and the path is polled."""
    import ctypes

    from watchdog.observers import inotify_c

    real = inotify_c.inotify_add_watch

    def add_watch(fd: int, path: bytes, mask: int) -> int:
        if path.endswith(b"/closed"):
            ctypes.set_errno(errno.EACCES)
            return -1
        return real(fd, path, mask)

    monkeypatch.setattr(inotify_c, "inotify_add_watch", add_watch)
    (tmp_path / "closed").mkdir()
    ear, watcher, file = Ear(), watchers(), tmp_path / "closed" / "a.json"
    watcher.start(ear)
    watcher.watch([str(file)])
    assert ear.reasons == [f"a directory may not be read, so it can't be watched ({file})"]
    file.write_text("{}")
    assert ear.hears(file)


def test_an_unreadable_ancestor_is_no_reason_to_poll(
    watchers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Homes are often below a directory that may be passed but not read: what is in them is watched all the same."""
    import ctypes

    from watchdog.observers import inotify_c

    real = inotify_c.inotify_add_watch

    def add_watch(fd: int, path: bytes, mask: int) -> int:
        if path.endswith(b"/passage"):
            ctypes.set_errno(errno.EACCES)
            return -1
        return real(fd, path, mask)

    monkeypatch.setattr(inotify_c, "inotify_add_watch", add_watch)
    (tmp_path / "passage" / "home").mkdir(parents=True)
    ear, watcher, file = Ear(), watchers(), tmp_path / "passage" / "home" / "a.json"
    watcher.start(ear)
    watcher.watch([str(file)])
    file.write_text("{}")
    assert ear.hears(file)
    assert watcher.polled_paths == 0
    assert ear.reasons == []


def test_without_any_inotify_instance_everything_is_polled(
    watchers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine out of inotify instances gets a polling watcher that says so."""

    def refused() -> int:
        raise OSError(errno.EMFILE, "inotify instance limit reached")

    monkeypatch.setattr(InotifyFD, "_create_inotify_fd", staticmethod(refused))
    ear, watcher, file = Ear(), watchers(), tmp_path / "a.json"
    watcher.watch([str(file)])
    watcher.start(ear)
    assert watcher.backend == "polling"
    assert watcher.alive()
    assert len(ear.reasons) == 1
    file.write_text("{}")
    assert ear.hears(file)


def test_directories_that_never_hold_still_are_polled(
    watchers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arming that always comes too late ends after some rounds, and polling looks after the path."""
    (tmp_path / "busy").mkdir()
    refuse(monkeypatch, errno.ENOENT, below=tmp_path / "busy")
    ear, watcher, file = Ear(), watchers(), tmp_path / "busy" / "a.json"
    watcher.start(ear)
    watcher.watch([str(file)])
    file.write_text("{}")
    assert ear.hears(file)
    assert ear.reasons == [f"the directories of a watched path keep changing ({file})"]


def test_an_overflow_asks_for_a_full_look_and_watching_goes_on(watchers: Any, tmp_path: Path) -> None:
    """When the kernel's queue really overflows, one rescan is asked for and later changes are seen."""
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 70_000:
        pytest.skip("too long a queue to fill")
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        assert free.wait(30)

    ear, watcher = Ear(hold), watchers()
    files = [tmp_path / "a.json", tmp_path / "sub" / "b.json"]
    files[1].parent.mkdir()
    watcher.start(ear)
    watcher.watch(map(str, files))
    files[0].write_text("{}")
    assert held.wait(DEADLINE_S)
    for number in range(limit // 3 + 1000):
        name = tmp_path / f"noise{number % 7}"
        name.touch()
        name.unlink()
    files[1].unlink(missing_ok=True)
    free.set()
    assert ear.until(lambda: bool(ear.rescans))
    ear.paths.clear()
    for file in files:
        file.write_text("later")
    assert ear.hears(*files)
    assert ear.rescans == ["overflow"]


def test_a_bug_while_handling_an_event_asks_for_a_full_look(
    watchers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What goes wrong inside the watcher never ends watchdog's thread, and never just loses the hint."""
    ear, watcher, file = Ear(), watchers(), tmp_path / "a.json"
    watcher.start(ear)
    watcher.watch([str(file)])
    with monkeypatch.context() as patch:
        patch.setattr(type(watcher), "_hang_up", lambda *_: 1 / 0)
        file.write_text("{}")
        assert ear.until(lambda: bool(ear.rescans))
    file.write_text("more")
    assert ear.hears(file)
    assert watcher.alive()


def test_a_raising_sink_is_survived(watchers: Any, tmp_path: Path) -> None:
    """What a sink raises reaches neither watchdog's thread nor the poller's."""

    def fail() -> None:
        raise RuntimeError("a sink's bug")

    for force in (False, True):
        ear, watcher, file = Ear(fail), watchers(force_polling=force), tmp_path / f"{force}.json"
        watcher.start(ear)
        watcher.watch([str(file)])
        for text in ("1", "22", "333"):
            ear.paths.clear()
            file.write_text(text)
            assert ear.hears(file)
        assert watcher.alive()


@pytest.mark.parametrize("force", [False, True])
def test_stop_leaves_no_thread_and_no_descriptor(watchers: Any, tmp_path: Path, force: bool) -> None:
    """After stop nothing of the watcher is left; stopping twice, late or before the start is harmless."""
    before = descriptors()
    watcher = watchers(force_polling=force)
    watcher.watch([str(tmp_path / "a"), str(tmp_path / "b" / "c")])
    assert not watcher.alive()
    watcher.start(Ear())
    assert watcher.alive()
    watcher.stop()
    assert not watcher.alive()
    assert not watch_threads()
    assert descriptors() == before
    watcher.stop()
    watcher.watch([str(tmp_path / "d")])
    watcher.remove([str(tmp_path / "d")])
    with pytest.raises(RuntimeError, match="once"):
        watcher.start(Ear())
    unstarted = watchers(force_polling=force)
    unstarted.stop()
    with pytest.raises(RuntimeError, match="once"):
        unstarted.start(Ear())


def test_stop_right_after_start_leaves_nothing(watchers: Any, tmp_path: Path) -> None:
    """A stop that overtakes the new thread still closes everything, every time."""
    before = descriptors()
    for _ in range(100):
        watcher = watchers()
        watcher.watch([str(tmp_path / "a")])
        watcher.start(Ear())
        watcher.stop()
    assert descriptors() == before


def test_a_sink_may_stop_its_watcher(watchers: Any, tmp_path: Path) -> None:
    """Stop from the watcher's own thread neither waits for itself nor leaves anything open."""
    before = descriptors()
    for force in (False, True):
        watcher, done, file = watchers(force_polling=force), threading.Event(), tmp_path / f"{force}.json"

        def end(watcher: FileWatcher = watcher, done: threading.Event = done) -> None:
            watcher.stop()
            done.set()

        watcher.start(Ear(end))
        watcher.watch([str(file)])
        file.write_text("{}")
        assert done.wait(DEADLINE_S)
        for thread in watch_threads():
            thread.join(DEADLINE_S)
    assert descriptors() == before


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12 warns of what is tested here
def test_a_forked_child_leaves_its_parents_watches_alone(watchers: Any, tmp_path: Path) -> None:
    """The child shares the kernel's queue: its stop and its changes must not reach the parent's watcher."""
    ear, watcher, file = Ear(), watchers(), tmp_path / "a.json"
    watcher.start(ear)
    watcher.watch([str(file)])
    child = os.fork()
    if child == 0:
        try:
            watcher.remove([str(file)])
            watcher.watch([])
            watcher.stop()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    file.write_text("{}")
    assert ear.hears(file)


def test_changes_from_many_threads_end_in_one_consistent_set(watchers: Any, tmp_path: Path) -> None:
    """Concurrent add, remove and file events neither deadlock nor lose a path that is watched in the end."""
    ear, watcher = Ear(), watchers()
    kept = [tmp_path / f"d{i}" / "kept.json" for i in range(8)]
    watcher.start(ear)

    def churn(number: int) -> None:
        mine = [str(tmp_path / f"d{i}" / f"{number}.json") for i in range(8)]
        for _ in range(20):
            watcher.add(mine)
            kept[number].parent.mkdir(exist_ok=True)
            watcher.add([str(kept[number])])
            kept[number].write_text("{}")
            watcher.remove(mine)

    threads = [threading.Thread(target=churn, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert watcher.watched_paths == 8
    assert ear.hears(*kept)
