"""The WarmerActor's alarms about time: the end of the grace, the earliest end of an answer, looks at the clock."""

from __future__ import annotations

from typing import Any

import pykka

from openclaw_actors.actors.dispatch import Alarm, Dispatcher
from openclaw_actors.messages import ClockDue, GraceOver, TimePassed
from openclaw_actors.settings import Settings

CLOCK_LOOK_S = 10.0
"""How often the wall clock is compared with the monotonic one, in seconds: within this time it is noticed that it was
set (by NTP, by a person, while the machine slept).
"""

_SET_BACK_S = 1.0
"""By how much the wall clock must go back to be taken for set rather than slewed, in seconds."""

_OFF_S = 0.05
"""By how much an alarm may be off because the wall clock is slewed, in seconds, before it is set again."""


class Wakings:
    """Sets alarms for one actor: at most one of each kind."""

    def __init__(self, actor: pykka.ActorRef[Any], dispatcher: Dispatcher, settings: Settings) -> None:
        self._actor = actor
        self._dispatcher = dispatcher
        self._clock = dispatcher.clock
        self._settings = settings
        self._grace_set = False
        self._end: tuple[float, Alarm] | None = None
        self._look: Alarm | None = None
        self._most_offset = self._set_at_offset = self._clock.epoch() - self._clock.monotonic()

    def note_clock(self) -> None:
        """Note what the wall clock says while something is answered: should it be ahead just then, that is to be looked
        at again.
        """
        self._most_offset = max(self._most_offset, self._clock.epoch() - self._clock.monotonic())

    def set_grace(self) -> bool:
        """Set the end of the grace for slow login files; return whether it wasn't set already."""
        if self._grace_set:
            return False
        self._grace_set = True
        settings = self._settings
        wait_s = settings.source_deadline_s if settings.one_shot else settings.source_grace_s
        self._dispatcher.tell_later(wait_s, self._actor, GraceOver())
        return True

    def grace_rang(self) -> None:
        """Note that the grace is over."""
        self._grace_set = False

    def set_end(self, moment: float | None) -> None:
        """Set the one alarm for the earliest moment (epoch seconds) at which time changes an answer; None for none."""
        if self._end is not None:
            if self._end[0] == moment:
                return
            self._end[1].cancel()
            self._end = None
        if moment is not None:
            now = self._clock.epoch()
            self._set_at_offset = now - self._clock.monotonic()
            # a millisecond late rather than a millisecond early: early would find nothing ended and be set again
            delay_s = max(0.0, moment - now) + 0.001
            self._end = (moment, self._dispatcher.tell_later(delay_s, self._actor, TimePassed()))

    def end_rang(self) -> None:
        """Note that the alarm for the earliest end rang."""
        self._end = None

    def look_at_clock(self) -> bool:
        """Set the alarm again if the wall clock has gone another way since, and have the clock looked at again.

        Returns:
            Whether the wall clock was set back since the last look, or since anything was answered after that: what
            ended by it may not have ended after all.
        """
        offset = self._clock.epoch() - self._clock.monotonic()
        was_set_back = offset < self._most_offset - _SET_BACK_S
        self._most_offset = offset
        if self._end is not None and abs(offset - self._set_at_offset) > _OFF_S:
            moment = self._end[0]
            self._end[1].cancel()
            self._end = None
            self.set_end(moment)
        if self._look is not None:
            self._look.cancel()
        self._look = self._dispatcher.tell_later(CLOCK_LOOK_S, self._actor, ClockDue())
        return was_set_back

    def cancel(self) -> None:
        """Cancel the alarms."""
        for alarm in (self._look, self._end[1] if self._end is not None else None):
            if alarm is not None:
                alarm.cancel()
