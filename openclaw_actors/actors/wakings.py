"""The WarmerActor's three alarms: the end of the grace, the earliest end of an answer, and the resync."""

from __future__ import annotations

import random
from typing import Any

import pykka

from openclaw_actors.actors.dispatch import Alarm, Dispatcher
from openclaw_actors.messages import GraceOver, ResyncDue, TimePassed
from openclaw_actors.settings import Settings

_MAX_ALARM_S = 300.0
"""Alarms for wall-clock moments are set again at least this often, so that a clock that jumped is noticed."""


class Wakings:
    """Sets alarms for one actor: at most one of each kind."""

    def __init__(
        self, actor: pykka.ActorRef[Any], dispatcher: Dispatcher, settings: Settings, chance: random.Random
    ) -> None:
        self._actor = actor
        self._dispatcher = dispatcher
        self._clock = dispatcher.clock
        self._settings = settings
        self._chance = chance
        self._grace_set = False
        self._end: tuple[float, Alarm] | None = None
        self._resync: Alarm | None = None

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

    def set_resync(self) -> None:
        """Set the next resync."""
        if self._resync is not None:
            self._resync.cancel()
        delay_s = self._settings.resync_interval_s * self._chance.uniform(0.9, 1.1)
        self._resync = self._dispatcher.tell_later(delay_s, self._actor, ResyncDue())

    def set_end(self, moment: float | None) -> None:
        """Set the one alarm for the earliest moment (epoch seconds) at which time changes an answer; None for none."""
        if self._end is not None:
            if self._end[0] == moment:
                return
            self._end[1].cancel()
            self._end = None
        if moment is not None:
            # a millisecond late rather than a millisecond early: early would find nothing ended and be set again
            delay_s = min(max(0.0, moment - self._clock.epoch()) + 0.001, _MAX_ALARM_S)
            self._end = (moment, self._dispatcher.tell_later(delay_s, self._actor, TimePassed()))

    def end_rang(self) -> None:
        """Note that the alarm for the earliest end rang."""
        self._end = None

    def cancel(self) -> None:
        """Cancel the alarms."""
        for alarm in (self._resync, self._end[1] if self._end is not None else None):
            if alarm is not None:
                alarm.cancel()
