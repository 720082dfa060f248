"""The WarmerActor's roster: which agents the config has, with their actors and the stores that they see."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pykka

from openclaw_actors.actors.agent_board import AgentRecord
from openclaw_actors.actors.evaluations import Evaluations
from openclaw_actors.actors.reading_desk import ReadingDesk
from openclaw_actors.actors.readings import store_source
from openclaw_actors.few import with_member, without_member
from openclaw_actors.home.facts import AgentConfig, ConfigFacts
from openclaw_actors.ids import AgentId, StoreId
from openclaw_actors.prepared import MAIN, MAIN_SHADOW
from openclaw_actors.reading.pace import give_way
from openclaw_actors.scope import Scope


@dataclass(slots=True)
class RosterChange:
    """What a config changed about the agents."""

    retired: list[AgentRecord] = field(default_factory=list)
    moved: list[AgentRecord] = field(default_factory=list)
    """Agents with another store now; what they showed is of the old one."""
    added: list[AgentRecord] = field(default_factory=list)
    redescribed: list[AgentRecord] = field(default_factory=list)
    """Agents of which something else changed: workspace, name, models."""

    @property
    def to_warm(self) -> list[AgentRecord]:
        """The agents all of whose cells are wanted."""
        return [*self.moved, *self.added]


class Roster:
    """All agents by id, and who sees which store."""

    def __init__(
        self, desk: ReadingDesk, facts: Evaluations, spawn: Callable[[AgentConfig], pykka.ActorRef[Any]]
    ) -> None:
        self._desk = desk
        self._facts = facts
        self._spawn = spawn
        self.agents: dict[AgentId, AgentRecord] = {}
        self.main = ""
        """The source that every agent inherits from."""

    def all(self) -> list[AgentRecord]:
        """Return every agent."""
        return list(self.agents.values())

    def in_scope(self, scope: Scope) -> list[AgentRecord]:
        """Return the agents that a scope touches."""
        if scope.agents is None:
            return self.all()
        return [self.agents[agent] for agent in sorted(scope.agents) if agent in self.agents]

    def users(self, source: str) -> list[AgentRecord]:
        """Return the agents that see a store; all of them for a source that is no store."""
        record = self._desk.board.records.get(source)
        if record is None or not record.users:
            return self.all()
        return [self.agents[agent] for agent in sorted(record.users)]

    def stores(self, records: Iterable[AgentRecord]) -> list[str]:
        """Return the stores that some agents see."""
        return sorted({source for record in records for source in (record.own, self.main)})

    def reconcile(self, config: ConfigFacts, take_away: Callable[[AgentId], None]) -> RosterChange:
        """Bring the agents in line with the config, and say what that changed.

        Args:
            config: The config.
            take_away: Takes the published answers of an agent away that leaves. It is called before anything of that
                agent is forgotten: should the warmer die in between, its answers don't outlive what they are made of.
        """
        change = RosterChange()
        main = store_source(config.main_store)
        wanted = {agent.id: agent for agent in config.agents}
        if MAIN not in wanted:
            # what an agent outside the config would inherit is still asked for (formats 5.2)
            wanted[MAIN_SHADOW] = AgentConfig(id=MAIN_SHADOW, agent_dir=config.main_store, workspace_dir="")
        if self.main not in ("", main):
            change.retired.extend(self._retire(agent, take_away) for agent in list(self.agents))
        self.main = main
        self._facts.set_main(main)
        change.retired.extend(self._retire(agent, take_away) for agent in list(self.agents) if agent not in wanted)
        for agent in wanted.values():
            give_way()
            known = self.agents.get(agent.id)
            if known is None:
                change.added.append(self._add(agent))
            elif known.config.agent_dir != agent.agent_dir:
                self._release(known)
                known.config, known.own = agent, store_source(StoreId(agent.agent_dir))
                known.swept = False
                self._settle(known)
                change.moved.append(known)
            elif known.config != agent:
                known.config = agent
                change.redescribed.append(known)
        return change

    def revive(self, record: AgentRecord) -> None:
        """Give an agent whose actor died a new one."""
        record.ref = self._spawn(record.config)

    def stop(self, record: AgentRecord) -> None:
        """Have an agent's actor stop; returns at once."""
        if record.ref is not None and record.ref.is_alive():
            record.ref.stop(block=False)
        record.ref = None

    def _add(self, agent: AgentConfig) -> AgentRecord:
        record = AgentRecord(agent, store_source(StoreId(agent.agent_dir)), self._spawn(agent))
        self.agents[agent.id] = record
        self._settle(record)
        return record

    def _retire(self, agent_id: AgentId, take_away: Callable[[AgentId], None]) -> AgentRecord:
        take_away(agent_id)
        record = self.agents.pop(agent_id)
        self.stop(record)
        self._release(record)
        return record

    def _settle(self, record: AgentRecord) -> None:
        for source in dict.fromkeys((record.own, self.main)):
            known = self._desk.board.record(source)
            known.users = with_member(known.users, record.config.id)

    def _release(self, record: AgentRecord) -> None:
        for source in dict.fromkeys((record.own, self.main)):
            known = self._desk.board.record(source)
            known.users = without_member(known.users, record.config.id)
            if not known.users:
                self._desk.forget(source)
                self._facts.forget_store(source)
