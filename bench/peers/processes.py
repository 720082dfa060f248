"""Processes of peers: their memory while they run, and that none of them stays."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from time import monotonic
from types import TracebackType
from typing import Any, Self

from bench.peers.protocol import Interrupted, PeerError, Watcher

_SAMPLE_S = 0.25
_STEP_S = 0.2
_MIB = 2**20


def extra(module: str) -> Any:
    """Return a module that comes with the extra `bench`.

    Raises:
        PeerError: It isn't installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        name = module.partition(".")[0]
        raise PeerError(f"{name} isn't installed, and peers are measured with it: pip install -e '.[bench]'") from None


class ProcessTree:
    """Samples the memory of a process and of all that it started, for as long as the `with` lasts."""

    def __init__(self, pid: int) -> None:
        self._psutil = extra("psutil")
        self._root = self._psutil.Process(pid)
        self._seen: dict[int, Any] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="bench-memory", daemon=True)
        self.peak_mib = 0.0
        """The most that they held together at a sample; what they share counts for each."""

    def rss_mib(self) -> float:
        """Return what they hold together now; 0 when they are gone."""
        total = 0
        for process in self._members():
            with contextlib.suppress(self._psutil.Error):
                total += process.memory_info().rss
        self.peak_mib = max(self.peak_mib, total / _MIB)
        return total / _MIB

    def kill(self) -> None:
        """End every process of it that is still there, also one that left the group."""
        for process in [self._root, *self._members(), *self._seen.values()]:
            with contextlib.suppress(self._psutil.Error):
                process.kill()  # psutil checks that the pid still is this process

    def _members(self) -> list[Any]:
        try:
            found = [self._root, *self._root.children(recursive=True)]
        except self._psutil.Error:
            return []
        self._seen |= {process.pid: process for process in found}
        return found

    def _sample(self) -> None:
        while not self._over.wait(_SAMPLE_S):
            self.rss_mib()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()


def wait_until(condition: Callable[[], bool], limit_s: float, watcher: Watcher, step_s: float = _STEP_S) -> bool:
    """Wait for a condition and return whether it came true within the limit.

    Raises:
        Interrupted: The watcher asked for an early end.
    """
    pause = threading.Event()
    end = monotonic() + limit_s
    while not condition():
        if watcher.is_over():
            raise Interrupted
        if monotonic() >= end:
            return False
        pause.wait(step_s)
    return True


def end_group(process: subprocess.Popen[Any], patience_s: float) -> None:
    """End a process that leads a group, and the group: first by SIGTERM, after some patience by SIGKILL."""
    for number, wait_s in ((signal.SIGTERM, patience_s), (signal.SIGKILL, None)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(wait_s)
