"""What the rest of the package sees of file watching: a watcher, and the sink that it tells."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol


class WatchSink(Protocol):
    """Hears what a watcher noticed.

    Calls come on the watcher's own threads; what `start`, `watch` or `add` find out while they arm is told on the
    thread that called them. No lock of the watcher is held meanwhile. A sink must be quick; one that raises is logged
    and survived.
    """

    def touched(self, paths: tuple[str, ...]) -> None:
        """Look at these watched paths again (spelled as they were given); what happened to them is not said."""

    def rescan(self, reason: str) -> None:
        """Events may have been lost: look at everything again."""

    def degraded(self, reason: str) -> None:
        """Native watching isn't possible for some path, polling does it; said once per distinct reason, and again only
        after it was over.
        """

    def recovered(self, reason: str) -> None:
        """No path is polled for this reason any more, spelled as `degraded` had it."""


class FileWatcher(Protocol):
    """Watches a set of paths and tells one sink when to look at them again.

    All methods may be called from any thread. A change made after `watch` or `add` returned (and `start` did) is told.
    One made before is not: who reads a file first and watches it then compares a stamp from before the read with one
    from after `watch`. A path may be missing, may run through symlinks, and may be a directory (then its list of
    entries is what is watched).
    """

    @property
    def backend(self) -> str:
        """What does the watching: `inotify` or `polling`."""

    @property
    def watched_paths(self) -> int:
        """How many paths are watched."""

    def watch(self, paths: Iterable[str]) -> None:
        """Replaces the whole set of watched paths; costs next to nothing when it is the same set.

        Raises:
            ValueError: a path is not absolute.
        """

    def add(self, paths: Iterable[str]) -> None:
        """Watches these paths too. A path that is watched already stays as it is.

        Raises:
            ValueError: a path is not absolute.
        """

    def remove(self, paths: Iterable[str]) -> None:
        """Stops watching these paths; those that are not watched are ignored."""

    def start(self, sink: WatchSink) -> None:
        """Starts telling `sink`; no thread and no descriptor exists before.

        Raises:
            RuntimeError: it was started or stopped before.
        """

    def stop(self, timeout_s: float = 2.0) -> None:
        """Ends the watcher's threads and closes its descriptors; safe twice, unstarted, and from the sink."""

    def alive(self) -> bool:
        """Says whether the watcher was started and the threads it needs still run."""


def absolute(paths: Iterable[str]) -> set[str]:
    """Gives the paths as a set.

    Raises:
        ValueError: one of them is not absolute.
    """
    found = set(paths)
    for path in found:
        if not path.startswith("/"):
            raise ValueError(f"watched paths are absolute, this one is not: {path!r}")
    return found
