"""The breaker against trigger loops: a source whose file events keep causing sweeps for nothing is read more slowly.

Nothing of ours writes what we watch in answer to a change, so a loop takes somebody else: a program that stores a new
token each second, say. Each of its turns costs a sweep of every agent that sees the source. Changes that do change an
answer are no loop, however many there are. Decides only; the WarmerActor's.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import pykka

from openclaw_actors.actors.dispatch import Dispatcher
from openclaw_actors.health import ConditionBoard
from openclaw_actors.log import log
from openclaw_actors.messages import BreakerDue
from openclaw_actors.settings import Settings

_PERIOD_S = 60.0
"""Over how long sweeps for nothing are counted, in seconds (DESIGN.md and `trigger_loop_sweeps` speak of a minute)."""

_MAX_SHOWN = 3
"""How many sources the condition names."""


class Breaker:
    """Counts, per source, the sweeps that its file events caused and that changed no answer."""

    def __init__(
        self, actor: pykka.ActorRef[Any], dispatcher: Dispatcher, settings: Settings, conditions: ConditionBoard
    ) -> None:
        self._actor = actor
        self._dispatcher = dispatcher
        self._clock = dispatcher.clock
        self._settings = settings
        self._conditions = conditions
        self._in_vain: dict[str, deque[float]] = {}
        self._tripped: set[str] = set()
        self._is_set = False
        self._look_s = max(_PERIOD_S, 2 * settings.trigger_loop_interval_s)
        """How often it is looked whether sources have settled: two slow readings come in between at least."""
        self._show()

    def pace_s(self, source: str) -> float:
        """Return how long after a reading the next one may follow because of a file event, in seconds."""
        settings = self._settings
        return settings.trigger_loop_interval_s if source in self._tripped else settings.hint_interval_s

    def swept_in_vain(self, source: str) -> None:
        """Note that a file event of a source caused sweeps which changed no answer."""
        now, times = self._clock.monotonic(), self._in_vain.setdefault(source, deque())
        times.append(now)
        _forget_before(times, now - _PERIOD_S)
        if source in self._tripped or len(times) <= self._settings.trigger_loop_sweeps:
            return
        self._tripped.add(source)
        log.bind(source=source, sweeps=len(times)).warning(
            "a source keeps changing without changing any answer; it is read more slowly until it settles"
        )
        self._show()
        self._set()

    def look(self) -> None:
        """Let the sources go that have settled: at most half of the slow readings since the last look were in vain."""
        self._is_set = False
        now = self._clock.monotonic()
        few = self._look_s / self._settings.trigger_loop_interval_s / 2
        for source, times in list(self._in_vain.items()):
            _forget_before(times, now - self._look_s)
            if source in self._tripped and len(times) <= few:
                self._tripped.discard(source)
                log.bind(source=source).info("a source that kept changing has settled")
            if not times:
                del self._in_vain[source]
        self._show()
        self._set()

    def forget(self, source: str) -> None:
        """Drop a source that nobody reads any more."""
        self._in_vain.pop(source, None)
        if source in self._tripped:
            self._tripped.discard(source)
            self._show()

    def _set(self) -> None:
        if self._tripped and not self._is_set:
            self._is_set = True
            self._dispatcher.tell_later(self._look_s, self._actor, BreakerDue())

    def _show(self) -> None:
        if not self._tripped:
            self._conditions.set("SourcesSettled", True, "Settled", "")
            return
        names = sorted(source.partition(":")[2] or source for source in self._tripped)
        text = ", ".join(names[:_MAX_SHOWN]) + (f" and {len(names) - _MAX_SHOWN} more" if names[_MAX_SHOWN:] else "")
        settings = self._settings
        self._conditions.set(
            "SourcesSettled",
            False,
            "TriggerLoop",
            f"{text}: changed more than {settings.trigger_loop_sweeps} times in a minute without changing any answer; "
            f"read every {settings.trigger_loop_interval_s:g} s at most until that ends. Find out what rewrites it",
        )


def _forget_before(times: deque[float], moment: float) -> None:
    while times and times[0] < moment:
        times.popleft()
