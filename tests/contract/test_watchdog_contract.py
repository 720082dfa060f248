"""What we lean on in watchdog 7.1's `InotifyFD`, which is not its documented face: a new version must keep it."""

from __future__ import annotations

import inspect
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux")
from watchdog.observers.inotify_c import (  # noqa: E402  # not importable elsewhere
    CallbackId,
    InotifyConstants,
    InotifyEvent,
    InotifyFD,
    Mask,
    WatchDescriptor,
)

from openclaw_actors.watching.directories import FULL, SELF  # noqa: E402

DEADLINE_S = 5.0


class Record:
    """A callback object that remembers."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.events: list[tuple[int, bytes]] = []
        self.deleted: list[int] = []
        self.overflows = 0

    def on_event(self, event: InotifyEvent) -> None:
        with self.changed:
            self.events.append((event.mask, event.name))
            self.changed.notify_all()

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        with self.changed:
            self.deleted.append(wd)
            self.changed.notify_all()

    def on_queue_overflow(self) -> None:
        with self.changed:
            self.overflows += 1

    def names(self) -> set[bytes]:
        return {name for _, name in self.events}

    def until_name(self, name: bytes) -> bool:
        with self.changed:
            return self.changed.wait_for(lambda: name in self.names(), DEADLINE_S)


@pytest.fixture
def fd() -> Iterator[InotifyFD]:
    fd = InotifyFD()
    fd._is_reading = False
    fd.start()
    yield fd
    fd.stop()
    fd.join(DEADLINE_S)
    assert not fd.is_alive()


def watch(fd: InotifyFD, path: Path, record: Record, mask: int = FULL, number: int = 1) -> WatchDescriptor:
    return fd.add_callback(os.fsencode(path), Mask(mask), record, CallbackId(number))


def test_the_signatures_are_those_we_call() -> None:
    """`add_callback(path, mask, callback, id_)` and `remove_callbacks([(wd, id_)])`."""
    assert list(inspect.signature(InotifyFD.add_callback).parameters) == ["self", "path", "mask", "callback", "id_"]
    assert list(inspect.signature(InotifyFD.remove_callbacks).parameters) == ["self", "callbacks"]


def test_the_thread_is_a_daemon_and_starts_only_when_told() -> None:
    """An instance owns its thread; a process may end while it runs, and it may be named before it starts."""
    fd = InotifyFD()
    assert not fd.is_alive()
    assert fd.daemon
    fd._is_reading = False
    fd.stop()


def test_is_reading_decides_who_closes_the_descriptors() -> None:
    """With `_is_reading` false, a stop before or during the thread's start closes the descriptors at once."""
    before = len(os.listdir("/proc/self/fd"))
    fd = InotifyFD()
    assert fd._is_reading is True
    fd._is_reading = False
    fd.stop()
    assert len(os.listdir("/proc/self/fd")) == before


def test_events_name_the_entry_in_bytes(fd: InotifyFD, tmp_path: Path) -> None:
    """An atomic replace is one MOVED_TO with the target's name."""
    record = Record()
    watch(fd, tmp_path, record)
    (tmp_path / "tmp").write_text("x")
    os.replace(tmp_path / "tmp", tmp_path / "auth.json")
    assert record.until_name(b"auth.json")
    assert [mask for mask, name in record.events if name == b"auth.json"] == [InotifyConstants.IN_MOVED_TO]


def test_reading_yields_nothing_with_our_masks(fd: InotifyFD, tmp_path: Path) -> None:
    """Opening, reading and listing are silent: the mask asks for none of it."""
    (tmp_path / "auth.json").write_text("{}")
    record = Record()
    watch(fd, tmp_path, record)
    for _ in range(100):
        (tmp_path / "auth.json").read_text()
        os.listdir(tmp_path)
    (tmp_path / "bell").write_text("")
    assert record.until_name(b"bell")
    assert record.names() == {b"bell"}
    reads = InotifyConstants.IN_OPEN | InotifyConstants.IN_ACCESS | InotifyConstants.IN_CLOSE_NOWRITE
    assert not (FULL | SELF) & reads


def test_a_narrow_mask_joins_a_wide_one_and_each_callback_gets_its_events(fd: InotifyFD, tmp_path: Path) -> None:
    """IN_MASK_ADD passes through: a second, narrower callback on the same directory takes nothing from the first."""
    first, second = Record(), Record()
    wd = watch(fd, tmp_path, first, FULL | InotifyConstants.IN_MASK_ADD, 1)
    assert watch(fd, tmp_path, second, SELF | InotifyConstants.IN_MASK_ADD, 2) == wd
    (tmp_path / "a").write_text("")
    assert first.until_name(b"a")
    fd.remove_callbacks([(wd, CallbackId(1))])
    (tmp_path / "b").write_text("")
    assert second.until_name(b"b")
    assert b"b" not in first.names()


def test_a_removed_directory_is_told_twice(fd: InotifyFD, tmp_path: Path) -> None:
    """First as DELETE_SELF without a name, then by `on_watch_deleted`; removing its callback afterwards is harmless."""
    record, directory = Record(), tmp_path / "d"
    directory.mkdir()
    wd = watch(fd, directory, record)
    directory.rmdir()
    with record.changed:
        assert record.changed.wait_for(lambda: record.deleted == [wd], DEADLINE_S)
    assert any(mask & InotifyConstants.IN_DELETE_SELF and name == b"" for mask, name in record.events)
    fd.remove_callbacks([(wd, CallbackId(1))])


def test_missing_directories_and_links_are_refused(fd: InotifyFD, tmp_path: Path) -> None:
    """What raced away raises OSError; a link is not followed."""
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(FileNotFoundError):
        watch(fd, tmp_path / "missing", Record())
    with pytest.raises(NotADirectoryError):
        watch(fd, tmp_path / "link", Record())


def test_an_overflow_reaches_every_callback(fd: InotifyFD, tmp_path: Path) -> None:
    """The kernel's overflow event calls `on_queue_overflow` of each callback object once."""
    one, two = Record(), Record()
    (tmp_path / "d").mkdir()
    watch(fd, tmp_path, one)
    watch(fd, tmp_path / "d", two)
    fd.handle_event(InotifyEvent(WatchDescriptor(-1), InotifyConstants.IN_Q_OVERFLOW, 0, b""))
    assert (one.overflows, two.overflows) == (1, 1)


def test_callbacks_may_add_and_remove_watches(fd: InotifyFD, tmp_path: Path) -> None:
    """Callbacks run outside InotifyFD's lock: arming from inside one can't deadlock."""
    (tmp_path / "d").mkdir()
    inner, added = Record(), threading.Event()

    class Arming(Record):
        def on_event(self, event: InotifyEvent) -> None:
            if not added.is_set():
                fd.remove_callbacks([(watch(fd, tmp_path / "d", inner, number=7), CallbackId(7))])
                watch(fd, tmp_path / "d", inner, number=8)
                added.set()

    watch(fd, tmp_path, Arming())
    (tmp_path / "go").write_text("")
    assert added.wait(DEADLINE_S)
    (tmp_path / "d" / "x").write_text("")
    assert inner.until_name(b"x")
