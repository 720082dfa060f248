"""A file watcher that sees what a test says: events that come, come late, or never."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import final

from openclaw_actors.watching.protocol import WatchSink, absolute


@final
class ScriptedWatcher:
    """A `FileWatcher` without threads; a test tells it what happened, and it tells the sink as a real one would.

    It lives on over restarts of the WatcherActor: each incarnation opens it anew. All methods belong to the test's
    thread.
    """

    def __init__(self) -> None:
        self._sink: WatchSink | None = None
        self._paths: set[str] = set()
        self.refuses: str = ""
        """Why paths can't be armed at the moment, as a kernel without watches says; empty when they can."""
        self.opened = 0
        """How often it was opened."""

    def open(self) -> ScriptedWatcher:
        """Return the watcher, not started, with no path watched."""
        self._sink, self._paths = None, set()
        self.opened += 1
        return self

    # what a test says

    def happened(self, *paths: str | os.PathLike[str]) -> bool:
        """Something happened to these paths, or in directories above or below them; return whether anybody was told.

        A real watcher that is told of a directory finds everything that is watched in it; so does this one.
        """
        named = {os.fspath(path) for path in paths}
        touched = tuple(
            watched
            for watched in sorted(self._paths)
            if any(
                watched == name or watched.startswith(name + "/") or os.path.dirname(name) == watched for name in named
            )
        )
        if self._sink is None or not touched:
            return False
        self._sink.touched(touched)
        return True

    def overflow(self, reason: str = "the kernel's queue overflowed") -> bool:
        """Events were lost; return whether anybody was told."""
        if self._sink is None:
            return False
        self._sink.rescan(reason)
        return True

    def degrade(self, reason: str = "scripted: no watches left") -> bool:
        """Some paths can't be watched natively; return whether anybody was told."""
        if self._sink is None:
            return False
        self._sink.degraded(reason)
        return True

    def recover(self, reason: str = "scripted: no watches left") -> bool:
        """No path is polled for this reason any more; return whether anybody was told."""
        if self._sink is None:
            return False
        self._sink.recovered(reason)
        return True

    # what the WatcherActor calls

    @property
    def backend(self) -> str:
        """Always `scripted`."""
        return "scripted"

    @property
    def watched_paths(self) -> int:
        """How many paths are watched."""
        return len(self._paths)

    @property
    def paths(self) -> frozenset[str]:
        """The paths that are watched."""
        return frozenset(self._paths)

    def watch(self, paths: Iterable[str]) -> None:
        """Replace the whole set of watched paths.

        Raises:
            OSError: `refuses` says that nothing can be armed.
            ValueError: A path is not absolute.
        """
        self._check()
        self._paths = absolute(paths)

    def add(self, paths: Iterable[str]) -> None:
        """Watch these paths too; raises what `watch` does."""
        self._check()
        self._paths |= absolute(paths)

    def remove(self, paths: Iterable[str]) -> None:
        """Stop watching these paths."""
        self._paths -= set(paths)

    def start(self, sink: WatchSink) -> None:
        """Tell this sink from now on."""
        self._sink = sink

    def stop(self, timeout_s: float = 2.0) -> None:
        """Tell nobody any more."""
        self._sink = None

    def alive(self) -> bool:
        """Say whether somebody is told."""
        return self._sink is not None

    def _check(self) -> None:
        if self.refuses:
            raise OSError(28, self.refuses)
