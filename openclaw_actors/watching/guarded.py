"""The seam to the sink: somebody else's code, called on threads that must not die."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from openclaw_actors.log import log
from openclaw_actors.watching.protocol import WatchSink


class GuardedSink:
    """A sink that never raises, whatever the one behind it does; says each reason for degradation once. Thread-safe."""

    def __init__(self, sink: WatchSink) -> None:
        self._sink = sink
        self._lock = threading.Lock()
        self._reasons: set[str] = set()

    def touched(self, paths: Iterable[str]) -> None:
        """Passes touched paths on, in a stable order; nothing is said about no paths."""
        told = tuple(sorted(paths))
        if not told:
            return
        try:
            self._sink.touched(told)
        except Exception as error:
            _survived("touched", error)

    def rescan(self, reason: str) -> None:
        """Passes the wish for a full look on."""
        log.bind(reason=reason).warning("file events may have been lost: everything is looked at again")
        try:
            self._sink.rescan(reason)
        except Exception as error:
            _survived("rescan", error)

    def degraded(self, reasons: Iterable[str]) -> None:
        """Passes those reasons on that were not told before."""
        with self._lock:
            new = sorted(set(reasons) - self._reasons)
            self._reasons.update(new)
        for reason in new:
            log.bind(reason=reason).warning("native file watching is not possible for some paths: they are polled")
            try:
                self._sink.degraded(reason)
            except Exception as error:
                _survived("degraded", error)


def _survived(call: str, error: Exception) -> None:
    # The type only: an exception's text may carry what its raiser was reading.
    log.bind(call=call, error=type(error).__name__).error("a watch sink raised: survived, the hint is lost")
