"""The polling watcher with its thread, on real files."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from openclaw_actors.watching import PollingWatcher

DEADLINE_S = 5.0


class Ear:
    """A sink that remembers and can be waited on."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.paths: set[str] = set()

    def touched(self, paths: tuple[str, ...]) -> None:
        with self.changed:
            self.paths.update(paths)
            self.changed.notify_all()

    def rescan(self, reason: str) -> None:
        raise AssertionError("polling loses nothing")

    def degraded(self, reason: str) -> None:
        raise AssertionError("polling is what others degrade to")

    def recovered(self, reason: str) -> None:
        raise AssertionError("polling is what others recover from")

    def hears(self, path: Path) -> bool:
        with self.changed:
            heard = self.changed.wait_for(lambda: str(path) in self.paths, DEADLINE_S)
            self.paths.clear()
            return heard


@pytest.fixture
def poller() -> Iterator[PollingWatcher]:
    poller = PollingWatcher(interval_s=0.01)
    yield poller
    poller.stop()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("openclaw-watch")]


def test_changes_are_told_by_the_thread(poller: PollingWatcher, tmp_path: Path) -> None:
    """A file that appears with its directories, changes and goes with them is told each time."""
    ear, file = Ear(), tmp_path / "a" / "b" / "auth.json"
    poller.watch([str(file)])
    poller.start(ear)
    file.parent.mkdir(parents=True)
    file.write_text("{}")
    assert ear.hears(file)
    file.write_text("longer")
    assert ear.hears(file)
    shutil.rmtree(tmp_path / "a")
    assert ear.hears(file)


def test_the_thread_is_a_daemon_that_a_stop_interrupts(tmp_path: Path) -> None:
    """A long interval is no reason to wait: stop ends it at once."""
    poller = PollingWatcher(interval_s=3600)
    poller.start(Ear())
    (thread,) = [each for each in threading.enumerate() if each.name == "openclaw-watch-polling"]
    assert thread.daemon
    poller.stop(DEADLINE_S)
    assert not thread.is_alive()
    assert not poller.alive()


def test_a_failing_look_is_survived(poller: PollingWatcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look that raises costs that look only."""
    ear, file, failed = Ear(), tmp_path / "auth.json", threading.Event()
    real = PollingWatcher.poll_once

    def once(self: PollingWatcher) -> tuple[str, ...]:
        if not failed.is_set():
            failed.set()
            raise OSError("a bug")
        return real(self)

    monkeypatch.setattr(PollingWatcher, "poll_once", once)
    poller.watch([str(file)])
    poller.start(ear)
    assert failed.wait(DEADLINE_S)
    file.write_text("{}")
    assert ear.hears(file)
