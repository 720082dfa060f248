"""When the writer does what: a cycle of editing, settling and windows in which only usage is written. Pure.

|---------------- editing ----------------| settling |--- usage window ---|- config window -|
"""

from __future__ import annotations

import enum

_LONGEST_CYCLE_S = 15.0
_SHORTEST_PAUSE_S = 0.7
"""How long things are left alone before a window, at least: as long as two edits of one answer are kept apart."""


class Phase(enum.Enum):
    """What is done at a moment."""

    EDITING = enum.auto()
    SETTLING = enum.auto()
    USAGE_WINDOW = enum.auto()
    CONFIG_WINDOW = enum.auto()


class Rhythm:
    """The phases of a run. Short runs have shorter cycles, so that each has a window at least."""

    def __init__(self, duration_s: float) -> None:
        self.cycle_s = min(_LONGEST_CYCLE_S, 0.9 * duration_s)
        self.scale = self.cycle_s / _LONGEST_CYCLE_S
        """By how much pauses between edits are shorter than in a full cycle."""
        self._settling_s = max(_SHORTEST_PAUSE_S, self.cycle_s / 15)
        self._usage_s = self.cycle_s / 5
        self._config_s = max(_SHORTEST_PAUSE_S, self.cycle_s / 15)
        self._editing_s = max(0.0, self.cycle_s - self._settling_s - self._usage_s - self._config_s)

    @property
    def has_full_cycles(self) -> bool:
        """Whether a run lasts long enough for windows of full length: then each kind has to be judged once at least."""
        return self.scale == 1.0

    def at(self, elapsed_s: float) -> Phase:
        """Return the phase at a moment of the run."""
        into = elapsed_s % self.cycle_s
        for phase, length_s in (
            (Phase.EDITING, self._editing_s),
            (Phase.SETTLING, self._settling_s),
            (Phase.USAGE_WINDOW, self._usage_s),
        ):
            if into < length_s:
                return phase
            into -= length_s
        return Phase.CONFIG_WINDOW

    def editing_left_s(self, elapsed_s: float) -> float:
        """Return how long editing still lasts in this cycle; not positive when it is over."""
        return self._editing_s - elapsed_s % self.cycle_s
