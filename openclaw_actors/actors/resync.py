"""The resync: a slow, jittered comparison of everything with the disk, as a net under the file events.

A round compares the stamps of all paths at once, and reads a part of the sources again one by one, since a file may
change under the same stamp. What it finds is handled like any change. Where no event tells of it either, that is a bug
in the events (or a file system that makes none): it is counted and logged. Decides only; the WarmerActor's.
"""

from __future__ import annotations

import random
from collections import deque
from typing import Any

import pykka

from openclaw_actors.actors.address import Address
from openclaw_actors.actors.dispatch import Alarm, Dispatcher
from openclaw_actors.actors.reading_desk import ReadingDesk
from openclaw_actors.actors.source_board import Asked
from openclaw_actors.counters import Counters
from openclaw_actors.log import log
from openclaw_actors.messages import CheckStamps, ResyncDue, ResyncStep
from openclaw_actors.settings import Settings

_STEP_S = 0.02
"""The pause between two readings of a round, in seconds: at about 1 ms for a store of 18 kB (measured), some 5 % of a
core."""

_PER_ROUND = 1000
"""How many sources one round reads, at most; the next round goes on from there."""


class Resync:
    """One round at a time."""

    def __init__(
        self,
        actor: pykka.ActorRef[Any],
        watcher: Address,
        desk: ReadingDesk,
        dispatcher: Dispatcher,
        settings: Settings,
        counters: Counters,
        chance: random.Random,
    ) -> None:
        self._actor = actor
        self._watcher = watcher
        self._desk = desk
        self._dispatcher = dispatcher
        self._clock = dispatcher.clock
        self._settings = settings
        self._counters = counters
        self._chance = chance
        self._settle_s = max(1.0, 2 * settings.poll_interval_s)
        """How long before or after a finding an event may have told of it: polled paths are told of late."""
        self._due: Alarm | None = None
        self._next_step: Alarm | None = None
        self._left: deque[str] = deque()
        self._last = ""
        self._found: dict[str, float] = {}

    def set(self) -> None:
        """Set the next round."""
        if self._due is not None:
            self._due.cancel()
        delay_s = self._settings.resync_interval_s * self._chance.uniform(0.9, 1.1)
        self._due = self._dispatcher.tell_later(delay_s, self._actor, ResyncDue())

    def begin(self) -> None:
        """Begin a round, unless the last one still goes on."""
        if self._left or self._next_step is not None:
            return
        self._counters.resyncs += 1
        self._watcher.tell(CheckStamps())
        sources = sorted(self._desk.board.records)
        later = [source for source in sources if source > self._last]
        self._left.extend([*later, *sources[: len(sources) - len(later)]][:_PER_ROUND])
        self._last = self._left[-1] if self._left else ""
        self._step_in(_STEP_S)

    def step(self) -> None:
        """Read the next source, or, after the last one, say what no event has told of."""
        self._next_step = None
        if self._left:
            record = self._desk.board.records.get(self._left.popleft())
            # what is being read, or will be in a moment, needs no look; nor does what can't be read and is tried again
            if record is not None and not (record.running or record.alarm is not None or record.problem):
                self._desk.want(record.name, self._clock.monotonic(), Asked.RESYNC)
            self._step_in(_STEP_S if self._left else self._settle_s)
            return
        self._confirm()
        if self._found:
            self._step_in(self._settle_s)

    def found(self, source: str) -> None:
        """Note a source that is not what it was; whether an event tells of that shows in a while.

        A source that an event has told of since its last good reading (it waits for its turn, or can't be read) is as
        it was told to be.
        """
        record = self._desk.board.records.get(source)
        if record is None or record.alarm is not None or record.hinted or record.problem:
            return
        self._found.setdefault(source, self._clock.monotonic())
        if self._next_step is None:
            self._step_in(self._settle_s)

    def cancel(self) -> None:
        """Cancel the alarms."""
        for alarm in (self._due, self._next_step):
            if alarm is not None:
                alarm.cancel()

    def _confirm(self) -> None:
        now = self._clock.monotonic()
        for source, found_at in list(self._found.items()):
            if now - found_at < self._settle_s:
                continue
            del self._found[source]
            record = self._desk.board.records.get(source)
            if record is None or record.told_at >= found_at - self._settle_s:
                continue
            self._counters.resync_drifts += 1
            log.bind(source=source).warning("resync found a change that no file event had told of")

    def _step_in(self, delay_s: float) -> None:
        self._next_step = self._dispatcher.tell_later(delay_s, self._actor, ResyncStep())
