"""The progress bar: only on a terminal."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

_EVERY_S = 0.25


class SoakProgress:
    """Shows how far the run is, with live counts."""

    def __init__(self, console: Console, duration_s: float) -> None:
        self._duration_s = duration_s
        self._next_at = 0.0
        columns = (TextColumn("soak"), BarColumn(24), TimeRemainingColumn(), TextColumn("{task.fields[counts]}"))
        self._progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._progress.add_task("soak", total=duration_s, counts="warming")

    def show(self, elapsed_s: float, counts: str) -> None:
        """Show the newest counts, if it is time to."""
        now = time.monotonic()
        if now >= self._next_at:
            self._next_at = now + _EVERY_S
            self._progress.update(self._task, completed=min(elapsed_s, self._duration_s), counts=counts)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
