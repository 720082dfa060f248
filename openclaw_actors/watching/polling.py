"""Watching by looking: one thread compares stamps. Works on every platform and file system, a second late."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from openclaw_actors.log import log
from openclaw_actors.watching.guarded import GuardedSink
from openclaw_actors.watching.protocol import WatchSink, absolute
from openclaw_actors.watching.stamp import FileStamp, stamp

POLL_INTERVAL_S = 1.0
"""Seconds between two looks: 2-6 µs per file and look (measured), so 1 % of a core watches about 2,500 files."""


class PollingWatcher:
    """A `FileWatcher` that compares stamps on one daemon thread.

    It is the whole watcher where inotify is missing, and looks after single paths where inotify can't.
    Stamps are taken on the thread that calls `watch` or `add`, so that every change after their return is seen.
    """

    def __init__(self, *, interval_s: float = POLL_INTERVAL_S, on_look: Callable[[], None] | None = None) -> None:
        """Makes one that is not started yet.

        Args:
            interval_s: Seconds between two looks.
            on_look: Called on its thread after each look.
        """
        self._interval_s = interval_s
        self._on_look = on_look
        self._lock = threading.Lock()
        self._stamps: dict[str, FileStamp | None] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._sink: GuardedSink | None = None

    @property
    def backend(self) -> str:
        """What does the watching: `polling`."""
        return "polling"

    @property
    def watched_paths(self) -> int:
        """How many paths are watched."""
        return len(self._stamps)

    def watch(self, paths: Iterable[str]) -> None:
        """Replaces the whole set of watched paths. See `FileWatcher.watch`."""
        wanted = absolute(paths)
        with self._lock:
            surplus = self._stamps.keys() - wanted
        self.remove(surplus)
        self.add(wanted)

    def add(self, paths: Iterable[str]) -> None:
        """Watches these paths too. See `FileWatcher.add`."""
        wanted = absolute(paths)
        with self._lock:
            new = wanted - self._stamps.keys()
        taken = {path: stamp(path) for path in new}  # outside the lock: a slow file system holds up nobody else
        with self._lock:
            for path, seen in taken.items():
                self._stamps.setdefault(path, seen)

    def remove(self, paths: Iterable[str]) -> None:
        """Stops watching these paths. See `FileWatcher.remove`."""
        with self._lock:
            for path in paths:
                self._stamps.pop(path, None)

    def start(self, sink: WatchSink) -> None:
        """Starts the thread. See `FileWatcher.start`."""
        with self._lock:
            if self._thread is not None or self._stopping.is_set():
                raise RuntimeError("a watcher is started once: open another one")
            self._sink = GuardedSink(sink)
            self._launch()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Ends the thread. See `FileWatcher.stop`."""
        self._stopping.set()
        with self._lock:
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)

    def alive(self) -> bool:
        """Says whether the thread runs."""
        thread = self._thread
        return thread is not None and thread.is_alive() and not self._stopping.is_set()

    def hand_over(self, paths: Iterable[str]) -> set[str]:
        """Stops watching these paths, which another watcher watches by now, and gives those that changed since the last
        look: nobody else has seen that.
        """
        with self._lock:
            left = {path: self._stamps.pop(path) for path in paths if path in self._stamps}
        return {path for path, seen in left.items() if stamp(path) != seen}

    def poll_once(self) -> tuple[str, ...]:
        """Looks at every path now and gives those that changed since the last look: one beat of the thread."""
        with self._lock:
            before = list(self._stamps.items())
        changed = [(path, old, new) for path, old in before if (new := stamp(path)) != old]
        if not changed:
            return ()
        told = []
        with self._lock:
            for path, old, new in changed:
                # A path that was removed (and added again) meanwhile has a newer stamp than ours, or none.
                if path in self._stamps and self._stamps[path] is old:
                    self._stamps[path] = new
                    told.append(path)
        return tuple(told)

    def _launch(self) -> None:
        thread = threading.Thread(target=self._run, name="openclaw-watch-polling", daemon=True)
        thread.start()
        self._thread = thread

    def _run(self) -> None:
        try:
            self._look_on()
        finally:
            # whatever ended it (a SystemExit that somebody threw at it, say), another one goes on by the same stamps
            with self._lock:
                if not self._stopping.is_set():
                    log.error("the polling thread ended: another one goes on")
                    self._launch()

    def _look_is_over(self) -> None:
        if self._on_look is None:
            return
        try:
            self._on_look()
        except Exception as error:
            log.bind(error=type(error).__name__).error("what follows a look at the polled paths failed")

    def _look_on(self) -> None:
        assert self._sink is not None
        spent_s = 0.0
        # At least as long a rest as the look took: on a slow file system polling must not become all that a core does.
        while not self._stopping.wait(max(self._interval_s, spent_s)):
            began = time.monotonic()
            try:
                changed = self.poll_once()
            except Exception as error:  # a thread that dies here would mean silence for ever
                log.bind(error=type(error).__name__).error("a look at the polled paths failed: the next one is tried")
                continue
            spent_s = time.monotonic() - began
            if not self._stopping.is_set():
                self._sink.touched(changed)
                self._look_is_over()
