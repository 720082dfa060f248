"""Progress bars of a run: only on a terminal. Redrawn rarely, since what is measured runs beside them."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

_REDRAWS_PER_S = 2


class RunProgress:
    """Shows which scenario runs and what it measures at the moment."""

    def __init__(self, console: Console, scenarios: int) -> None:
        columns = (
            BarColumn(24),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
        )
        self._progress = Progress(
            *columns,
            console=console,
            transient=True,
            refresh_per_second=_REDRAWS_PER_S,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=scenarios)
        self._scenario = ""

    def begin(self, scenario: str) -> None:
        """Say that a scenario begins."""
        self._scenario = scenario
        self.say("")

    def say(self, what: str) -> None:
        """Say what is being measured."""
        self._progress.update(self._task, description=f"{self._scenario}: {what}" if what else self._scenario)

    def end(self) -> None:
        """Say that a scenario is over."""
        self._progress.advance(self._task)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
