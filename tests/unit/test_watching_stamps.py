"""Stamps, and the poller's one look: no threads."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from openclaw_actors.watching import FileWatcher, PollingWatcher, open_watcher, stamp
from openclaw_actors.watching.guarded import GuardedSink


class Broken:
    """A sink that always raises."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def touched(self, paths: tuple[str, ...]) -> None:
        self.calls.append("touched")
        raise RuntimeError("sk-canary")

    def rescan(self, reason: str) -> None:
        self.calls.append("rescan")
        raise RuntimeError("sk-canary")

    def degraded(self, reason: str) -> None:
        self.calls.append(reason)
        raise RuntimeError("sk-canary")

    def recovered(self, reason: str) -> None:
        self.calls.append(f"no more {reason}")
        raise RuntimeError("sk-canary")


def test_a_stamp_follows_links_and_differs_after_a_replace(tmp_path: Path) -> None:
    """Two stamps are equal while the file is the same, through links too, and differ once it is another."""
    file, link = tmp_path / "a", tmp_path / "l"
    file.write_text("1")
    link.symlink_to("a")
    first = stamp(str(link))
    assert first == stamp(str(file))
    (tmp_path / "b").write_text("1")
    os.replace(tmp_path / "b", file)
    assert stamp(str(link)) != first


def test_what_cant_be_seen_has_no_stamp(tmp_path: Path) -> None:
    """Missing, below a file, dangling, circular or impossible names give None and never an exception."""
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("missing", "file/below", "loop", "dangling", "a\0b", "\ud800", "x" * 5000):
        assert stamp(f"{tmp_path}/{name}") is None


def test_a_look_tells_each_change_once(tmp_path: Path) -> None:
    """Appearing, changing, changing mode and vanishing are each seen, and once."""
    path = str(tmp_path / "auth.json")
    poller = PollingWatcher()
    poller.watch([path])
    assert poller.poll_once() == ()
    steps = (
        lambda: Path(path).write_text("{}"),
        lambda: Path(path).write_text("longer"),
        lambda: os.chmod(path, 0o400),
        lambda: os.unlink(path),
    )
    for step in steps:
        step()
        assert poller.poll_once() == (path,)
        assert poller.poll_once() == ()


def test_reading_is_no_change(tmp_path: Path) -> None:
    """A read leaves the stamp alone, access time or not."""
    file = tmp_path / "auth.json"
    file.write_text("{}")
    poller = PollingWatcher()
    poller.watch([str(file)])
    file.read_text()
    assert poller.poll_once() == ()


def test_watching_again_keeps_the_first_stamp(tmp_path: Path) -> None:
    """`watch` and `add` of a path that is watched already lose no change in between."""
    file = tmp_path / "auth.json"
    poller = PollingWatcher()
    poller.watch([str(file)])
    file.write_text("{}")
    poller.watch([str(file), str(tmp_path / "other")])
    poller.add([str(file)])
    assert poller.poll_once() == (str(file),)


def test_the_set_of_paths_is_a_set(tmp_path: Path) -> None:
    """`watch` replaces, `add` joins, `remove` ignores what isn't there."""
    for watcher in (PollingWatcher(), open_watcher()):
        watcher.watch([f"{tmp_path}/a", f"{tmp_path}/b"])
        watcher.watch([f"{tmp_path}/b", f"{tmp_path}/c"])
        watcher.add([f"{tmp_path}/d", f"{tmp_path}/d"])
        watcher.remove([f"{tmp_path}/b", f"{tmp_path}/never"])
        assert watcher.watched_paths == 2


@pytest.mark.parametrize("force", [False, True])
def test_a_relative_path_is_refused(force: bool) -> None:
    """A relative path is a bug of the caller, and nothing of such a set is watched."""
    watcher = open_watcher(force_polling=force)
    with pytest.raises(ValueError, match="absolute"):
        watcher.watch(["/a", "b"])
    assert watcher.watched_paths == 0


def test_polling_can_be_forced() -> None:
    """The choice is the caller's to overrule."""
    watcher: FileWatcher = open_watcher(force_polling=True)
    assert watcher.backend == "polling"


def test_inotify_that_cant_be_imported_means_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where watchdog's inotify isn't usable, files are polled and nothing is raised."""
    monkeypatch.setitem(__import__("sys").modules, "openclaw_actors.watching.inotify", None)
    assert open_watcher().backend == "polling"


def test_a_guarded_sink_survives_everything_and_says_a_reason_once() -> None:
    """Whatever the sink raises stops here; a reason for degradation is told when it begins and when it is over."""
    broken = Broken()
    guarded = GuardedSink(broken)
    guarded.touched(["/a"])
    guarded.touched([])
    guarded.rescan("overflow")
    guarded.polled_for(lambda: {"x": "x"})
    guarded.polled_for(lambda: {"x": "x", "y": "y"})
    guarded.polled_for(lambda: {"y": "y"})
    guarded.polled_for(lambda: {"x": "x", "y": "y"})
    assert broken.calls == ["touched", "rescan", "x", "y", "no more x", "x"]
