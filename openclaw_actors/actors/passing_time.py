"""How the WarmerActor takes in that time has passed: answers that end, and a wall clock that was set back."""

from __future__ import annotations

from openclaw_actors.actors.agent_board import AgentRecord, DirtyScope
from openclaw_actors.actors.evaluations import Evaluations
from openclaw_actors.actors.publisher import Publisher
from openclaw_actors.actors.roster import Roster
from openclaw_actors.actors.sweeps import Sweeps
from openclaw_actors.clock import Clock
from openclaw_actors.counters import Counters
from openclaw_actors.ids import ProviderId
from openclaw_actors.prepared import PreparedMap
from openclaw_actors.scope import Scope


class PassingTime:
    """Makes dirty what time alone changes: no event tells of it, and nothing is read for it."""

    def __init__(
        self,
        facts: Evaluations,
        roster: Roster,
        sweeps: Sweeps,
        publisher: Publisher,
        prepared: PreparedMap,
        counters: Counters,
        clock: Clock,
    ) -> None:
        self._facts = facts
        self._roster = roster
        self._sweeps = sweeps
        self._publisher = publisher
        self._map = prepared
        self._counters = counters
        self._clock = clock

    def ended(self) -> list[AgentRecord]:
        """Make dirty the cells that have ended by now, and return their agents."""
        now, cause_at = self._clock.epoch(), self._clock.monotonic()
        due: list[tuple[AgentRecord, frozenset[ProviderId]]] = []
        for agent_id in self._publisher.agents_ending(now):
            record, auth = self._roster.agents.get(agent_id), self._map.agents.get(agent_id)
            if record is not None and auth is not None:
                due.append((record, auth.table.ended(now)))
        if due:
            self._counters.alarms += 1
            self._facts.let_time_pass()
            scope = Scope.cells((record.config.id, provider) for record, ended in due for provider in ended)
            generation = self._sweeps.mint(scope, "time-passed", cause_at)
            for record, ended in due:
                self._sweeps.dirty(record, DirtyScope({generation}, ended, {}, "time-passed", cause_at))
            self._sweeps.seal(generation)
        return [record for record, _ in due]

    def went_back(self) -> list[AgentRecord]:
        """Make everything dirty, since what had ended by a clock that was wrong goes on; return the agents."""
        self._facts.let_time_pass()
        everyone = [record for record in self._roster.all() if record.swept or record.running is not None]
        self._sweeps.dirty_now(everyone, None, "clock-set-back", self._clock.monotonic())
        return everyone
