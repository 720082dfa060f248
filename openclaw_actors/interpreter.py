"""Settings of the whole interpreter, for who asks for them (`Settings.tune_interpreter`): never touched otherwise."""

from __future__ import annotations

import gc
import sys
from typing import final

SWITCH_INTERVAL_S = 0.001
"""After which a thread that wants the interpreter gets it, in seconds; Python's own is 0.005."""


@final
class Tuning:
    """Tunes the interpreter from `begin` to `end`; one that isn't wanted does nothing. For one thread at a time."""

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted
        self._interval_s: float | None = None
        self._frozen = False

    def begin(self) -> None:
        """Have threads give each other the interpreter sooner."""
        if self._wanted:
            self._interval_s = sys.getswitchinterval()
            sys.setswitchinterval(min(self._interval_s, SWITCH_INTERVAL_S))

    def settle(self) -> None:
        """Have garbage collections leave out what is there now, and mostly stays: the answers."""
        if self._wanted and not self._frozen:
            self._frozen = True
            gc.freeze()

    def end(self) -> None:
        """Give the process its own settings back."""
        if self._interval_s is not None:
            sys.setswitchinterval(self._interval_s)
            self._interval_s = None
        if self._frozen:
            self._frozen = False
            gc.unfreeze()
