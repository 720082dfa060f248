"""A gateway as a process of ours: started, its log read line by line, and ended with all that it started."""

from __future__ import annotations

import collections
import subprocess
import threading
import time
from types import TracebackType
from typing import Self

from bench.peers.openclaw.installation import Installation
from bench.peers.openclaw.log_lines import Warmed, WarmFailed, read_line, shown
from bench.peers.openclaw.surroundings import Surroundings
from bench.peers.processes import ProcessTree, end_group

_STOP_S = 30.0
_KEPT_LINES = 400
_SHOWN_LINES = 6


class Gateway:
    """Runs `openclaw gateway run` for as long as the `with` lasts."""

    def __init__(self, installation: Installation, surroundings: Surroundings) -> None:
        self._installation = installation
        self._surroundings = surroundings
        self._lines: collections.deque[str] = collections.deque(maxlen=_KEPT_LINES)
        self.started_at = 0.0
        """Monotonic."""
        self.warm: Warmed | WarmFailed | None = None
        """What the log says of the end of the pre-warm."""
        self.warm_at: float | None = None
        """When that line was seen, monotonic."""

    @property
    def memory(self) -> ProcessTree:
        """The gateway's processes."""
        return self._tree

    def has_ended(self) -> bool:
        """Look whether the process is gone by itself."""
        return self._process.poll() is not None

    def account(self) -> str:
        """Return how it ended and the end of its log, fit to be shown."""
        status = self._process.poll()
        end = "is still running" if status is None else f"ended with status {status}"
        told = " / ".join(line.strip() for line in list(self._lines)[-_SHOWN_LINES:] if line.strip())
        folders = (str(self._surroundings.home), str(self._installation.folder))
        return f"the gateway {end}; the end of its log: {shown(told, *folders) or 'nothing'}"

    def __enter__(self) -> Self:
        command = (*self._installation.command, "gateway", "run", "--port", str(self._surroundings.port))
        self.started_at = time.monotonic()
        self._process = subprocess.Popen(
            [*command, "--bind", "loopback", "--auth", "token"],
            cwd=self._surroundings.home,
            env=self._surroundings.env(self._installation),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            self._tree = ProcessTree(self._process.pid).__enter__()
        except BaseException:
            end_group(self._process, _STOP_S)
            raise
        self._reader = threading.Thread(target=self._read, name="bench-gateway-log", daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            end_group(self._process, _STOP_S)
        finally:
            self._tree.kill()
            self._tree.__exit__(kind, error, trace)
            self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            for line in stream:
                self._lines.append(line)
                found = read_line(line)
                if found is not None and self.warm is None:
                    self.warm, self.warm_at = found, time.monotonic()
