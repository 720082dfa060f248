"""Ctrl-C and SIGTERM as a wish that is looked at between two steps: nothing is lost in the middle of one."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Notes the first signal for as long as the `with` lasts; a second one raises KeyboardInterrupt. Main thread
    only.
    """

    def __init__(self) -> None:
        self.is_wanted = False
        """Whether somebody wants an early end."""
        self._before: list[tuple[signal.Signals, Callable[[int, FrameType | None], Any] | int | None]] = []

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        if self.is_wanted:
            raise KeyboardInterrupt
        self.is_wanted = True

    def __enter__(self) -> Self:
        self._before = [(one, signal.signal(one, self._note)) for one in _SIGNALS]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one, handler in self._before:
            signal.signal(one, signal.SIG_DFL if handler is None else handler)
