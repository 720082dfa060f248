"""Reports for agents that aren't published yet: they wait for them, and are answered in any case."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import pykka

from openclaw_actors.actors.address import Address
from openclaw_actors.actors.dispatch import Dispatcher
from openclaw_actors.actors.report_memory import Report
from openclaw_actors.home.facts import ConfigFacts
from openclaw_actors.ids import Generation
from openclaw_actors.log import log
from openclaw_actors.messages import EarlyReportsDue, ReportAnswered, ReportSuccess
from openclaw_actors.prepared import PreparedMap

_CHECK_S = 0.05
_WAIT_S = 10.0
"""How often it is looked, and for how long, whether the agent of an early report is published."""
_MOST = 1000
"""How many early reports wait; of more, the newest, and failures rather than successes."""


class EarlyReports:
    """The FailureListener's. What waits is kept with the supervisor: the next incarnation goes on with it."""

    def __init__(
        self,
        actor: pykka.ActorRef[Any],
        me: Address,
        warmer: Address,
        dispatcher: Dispatcher,
        prepared: PreparedMap,
        config: Callable[[], ConfigFacts | None],
        waiting: deque[Report],
    ) -> None:
        self._actor = actor
        self._me = me
        self._warmer = warmer
        self._dispatcher = dispatcher
        self._map = prepared
        self._config = config
        self._waiting = waiting
        self._is_set = False
        self._has_given_up = False

    def waits(self, report: Report) -> bool:
        """Put a report aside whose agent isn't published yet, and tell whether it was."""
        if not self._is_early(report):
            return False
        self._waiting.append(report)
        if len(self._waiting) > _MOST:
            self._give_one_up()
        self.set_alarm()
        return True

    def has(self, generation: Generation) -> bool:
        """Tell whether the report of an attempt waits here."""
        return any(report.generation == generation for report in self._waiting)

    def look(self) -> None:
        """Have those told again whose agent is there or has taken too long; their handler finds that out again."""
        self._is_set = False
        for _ in range(len(self._waiting)):
            report = self._waiting[0]
            if self._is_early(report):
                self._waiting.append(report)
            else:
                self._me.tell(report)
            self._waiting.popleft()  # last, so that it is somewhere all the time
        self.set_alarm()

    def set_alarm(self) -> None:
        """Look again soon, if any waits."""
        if self._waiting and not self._is_set:
            self._is_set = True
            self._dispatcher.tell_later(_CHECK_S, self._actor, EarlyReportsDue())

    def _give_one_up(self) -> None:
        """Drop the oldest success, or else the oldest failure: a success hides no credential."""
        waiting = self._waiting
        given_up = next((report for report in waiting if isinstance(report, ReportSuccess)), waiting[0])
        waiting.remove(given_up)
        self._warmer.tell(ReportAnswered(generation=given_up.generation))
        if not self._has_given_up:
            self._has_given_up = True
            log.bind(most=_MOST).warning("more reports came for agents that aren't published yet than are kept")

    def _is_early(self, report: Report) -> bool:
        if report.agent_id in self._map.agents:
            return False
        config = self._config()
        if config is not None and all(agent.id != report.agent_id for agent in config.agents):
            return False  # it will never be published
        return self._dispatcher.clock.monotonic() - report.cause_at < _WAIT_S
