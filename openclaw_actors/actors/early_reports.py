"""Reports for agents that aren't published yet: they wait for them, and are answered in any case."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import pykka

from openclaw_actors.actors.address import Address
from openclaw_actors.actors.base import tell
from openclaw_actors.actors.dispatch import Dispatcher
from openclaw_actors.home.facts import ConfigFacts
from openclaw_actors.messages import ReportAnswered, ReportFailure, ReportSuccess
from openclaw_actors.prepared import PreparedMap

Report = ReportFailure | ReportSuccess

_CHECK_S = 0.05
_WAIT_S = 10.0
"""How often it is looked, and for how long, whether the agent of an early report is published."""
_MOST = 1000
"""How many early reports wait; of more, the newest."""


class EarlyReports:
    """The FailureListener's."""

    def __init__(
        self,
        actor: pykka.ActorRef[Any],
        warmer: Address,
        dispatcher: Dispatcher,
        prepared: PreparedMap,
        config: Callable[[], ConfigFacts | None],
    ) -> None:
        self._actor = actor
        self._warmer = warmer
        self._dispatcher = dispatcher
        self._map = prepared
        self._config = config
        self._waiting: deque[Report] = deque()
        self._reminder: Report | None = None
        """One of them that an alarm tells again: its coming is the time to look at all of them."""

    def waits(self, report: Report) -> bool:
        """Put a report aside whose agent isn't published yet, and tell whether it was."""
        if report is self._reminder:
            self._reminder = None
            # each is told again when its agent is there or has taken too long; its handler finds that out again
            looked_at, self._waiting = self._waiting, deque()
            for one in looked_at:
                if self._is_early(one):
                    self._waiting.append(one)
                else:
                    tell(self._actor, one)
        elif not self._is_early(report):
            return False
        else:
            self._waiting.append(report)
            if len(self._waiting) > _MOST:
                self._warmer.tell(ReportAnswered(generation=self._waiting.popleft().generation))
        if self._waiting and self._reminder is None:
            self._reminder = self._waiting[0]
            self._dispatcher.tell_later(_CHECK_S, self._actor, self._reminder)
        return True

    def give_up(self) -> None:
        """Answer all of them: nobody will look at them any more."""
        for report in self._waiting:
            self._warmer.tell(ReportAnswered(generation=report.generation))

    def _is_early(self, report: Report) -> bool:
        if report.agent_id in self._map.agents:
            return False
        config = self._config()
        if config is not None and all(agent.id != report.agent_id for agent in config.agents):
            return False  # it will never be published
        return self._dispatcher.clock.monotonic() - report.cause_at < _WAIT_S
