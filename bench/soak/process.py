"""The second process as the first one sees it: its journal, and its end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.soak.journal import Line, decode

_ROOT = Path(__file__).parents[2]
_CHUNK = 1 << 16
_END_S = 5.0


class WriterProcess:
    """Runs the writer for as long as the `with` lasts; never leaves it behind. For one thread."""

    def __init__(self, home: Path, *, agents: int, seed: int, duration_s: float) -> None:
        arguments = (str(home), str(agents), str(seed), str(duration_s))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.soak.writer", *arguments],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C is for us: the writer mends what it has torn before it ends
            process_group=0,
        )
        assert self._process.stdout is not None
        self._stdout = self._process.stdout.fileno()
        os.set_blocking(self._stdout, False)
        self._rest = b""
        self.has_ended = False
        """Whether the journal is over."""

    def lines(self) -> Iterator[Line]:
        """Yield what the journal says since the last call; never blocks."""
        while not self.has_ended:
            try:
                chunk = os.read(self._stdout, _CHUNK)
            except BlockingIOError:
                return
            if not chunk:
                self.has_ended = True
                return
            *whole, self._rest = (self._rest + chunk).split(b"\n")
            yield from map(decode, whole)

    def tell_to_stop(self) -> None:
        """Have the writer finish what it has begun, say `Done` and end; safe twice."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()

    def status(self) -> int:
        """Wait for the end and return the exit status; a writer that doesn't end is ended."""
        try:
            return self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.tell_to_stop()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self.status()
