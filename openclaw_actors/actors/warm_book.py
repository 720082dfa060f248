"""Which attempts are open, and which agents still owe them an answer. Pure bookkeeping."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from openclaw_actors.ids import AgentId, Generation


class WarmReport(msgspec.Struct, frozen=True):
    """A warm that is finished."""

    generation: Generation
    reason: str
    agents: int
    """How many agents it answered."""
    started_at: float
    """Monotonic seconds."""
    duration_s: float
    source: str = ""
    """The source whose file event caused it; empty when something else did."""
    changed: bool = True
    """Whether any answer has changed."""


@dataclass(slots=True)
class WarmRecord:
    """One attempt that is not answered yet."""

    generation: Generation
    reason: str
    cause_at: float
    source: str = ""
    changed: bool = False
    sealed: bool = False
    """Whether all agents that owe it an answer are known."""
    waiting: set[AgentId] = field(default_factory=set)
    answered: int = 0


class WarmBook:
    """All open attempts by generation."""

    def __init__(self) -> None:
        self._open: dict[Generation, WarmRecord] = {}

    def open(self, generation: Generation, reason: str, cause_at: float, source: str = "") -> None:
        """Note an attempt whose agents are not all known yet."""
        self._open.setdefault(generation, WarmRecord(generation, reason, cause_at, source))

    def owe(self, generation: Generation, agent_id: AgentId) -> None:
        """Note that an agent owes an attempt an answer."""
        record = self._open.get(generation)
        if record is not None:
            record.waiting.add(agent_id)

    def seal(self, generation: Generation, now: float) -> WarmReport | None:
        """Note that no more agents will owe this attempt; return the report if that finishes it."""
        record = self._open.get(generation)
        if record is None:
            return None
        record.sealed = True
        return self._finish(record, now)

    def answer(
        self, generations: Iterable[Generation], agent_id: AgentId, now: float, *, changed: bool
    ) -> list[WarmReport]:
        """Note that an agent has answered some attempts; return the reports of those that this finishes."""
        reports = []
        for generation in generations:
            record = self._open.get(generation)
            if record is None or agent_id not in record.waiting:
                continue
            record.waiting.discard(agent_id)
            record.answered += 1
            record.changed |= changed
            report = self._finish(record, now)
            if report is not None:
                reports.append(report)
        return reports

    def _finish(self, record: WarmRecord, now: float) -> WarmReport | None:
        if record.waiting or not record.sealed:
            return None
        del self._open[record.generation]
        return WarmReport(
            generation=record.generation,
            reason=record.reason,
            agents=record.answered,
            started_at=record.cause_at,
            duration_s=max(0.0, now - record.cause_at),
            source=record.source,
            changed=record.changed,
        )
