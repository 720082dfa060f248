"""A clock that only the test moves."""

from __future__ import annotations


class VirtualClock:
    """A `Clock` that stands still until the test moves it; reads are safe on any thread, moves belong to one."""

    def __init__(self, epoch: float = 1_780_000_000.0, monotonic: float = 1_000.0) -> None:
        self._epoch = epoch
        self._monotonic = monotonic

    def monotonic(self) -> float:
        """Return the virtual monotonic time in seconds."""
        return self._monotonic

    def epoch(self) -> float:
        """Return the virtual time since 1970 in seconds."""
        return self._epoch

    def advance(self, seconds: float) -> None:
        """Let time pass on both clocks.

        Raises:
            ValueError: the seconds are negative; monotonic time can't go back.
        """
        if seconds < 0:
            raise ValueError("time can't be advanced by a negative number of seconds; jump_epoch can go back")
        self._monotonic += seconds
        self._epoch += seconds

    def jump_epoch(self, seconds: float) -> None:
        """Set the wall clock forth or back, as a correction by NTP or a person does; monotonic time stands."""
        self._epoch += seconds
