"""How the WarmerActor's results, patches and reports become published answers. Decides what is published; the swap
itself is the publisher's.
"""

from __future__ import annotations

from collections.abc import Iterable, Set

from openclaw_actors.actors.agent_board import AgentRecord, RunningSweep
from openclaw_actors.actors.evaluations import Evaluations
from openclaw_actors.actors.publisher import Publisher
from openclaw_actors.actors.reading_desk import ReadingDesk
from openclaw_actors.actors.roster import Roster
from openclaw_actors.actors.tables import Tables
from openclaw_actors.auth.cells import CellTable
from openclaw_actors.auth.ledger import LedgerKey
from openclaw_actors.clock import Clock
from openclaw_actors.ids import Generation, ProviderId
from openclaw_actors.messages import LedgerChanged, SweepFinished
from openclaw_actors.prepared import PreparedMap
from openclaw_actors.reading.pace import give_way


class Answers:
    """Publishes what is known of agents."""

    def __init__(
        self,
        publisher: Publisher,
        facts: Evaluations,
        desk: ReadingDesk,
        roster: Roster,
        prepared: PreparedMap,
        clock: Clock,
    ) -> None:
        self._publisher = publisher
        self._facts = facts
        self._tables = Tables(facts)
        self._desk = desk
        self._roster = roster
        self._map = prepared
        self._clock = clock

    def publish_sweep(self, record: AgentRecord, sweep: RunningSweep, message: SweepFinished) -> bool:
        """Publish what a sweep found, with the reports that came meanwhile; return whether any answer has changed."""
        evaluation = message.evaluation
        published = self._map.agents.get(message.agent_id)
        if message.providers is None or published is None:
            table = evaluation.table()
        else:
            table = self._tables.with_sweep(published.table, evaluation, message.providers)
            table = self._tables.carried(table, published.view, evaluation.view, message.providers)
        table = self._tables.with_newer_reports(table, evaluation, self._clock.epoch())
        view = sweep.newer_view or evaluation.view
        newest = max(sweep.scopes, key=lambda scope: max(scope.generations))
        return self._publisher.publish(
            record.config,
            view,
            self._tables.carried(table, evaluation.view, view, sweep.overtaken),
            generation=message.generation,
            providers=message.providers,
            stale=self._stale(record),
            reason=newest.reason,
            cause_at=min(scope.cause_at for scope in sweep.scopes),
            overtaken=sweep.overtaken,
        )

    def apply_report(
        self, records: Iterable[AgentRecord], message: LedgerChanged
    ) -> list[tuple[AgentRecord, tuple[ProviderId, ...]]]:
        """Apply a report to the published cells that depend on it, before any check; return these cells."""
        now = self._clock.epoch()
        patched: dict[tuple[int, int], tuple[CellTable, tuple[ProviderId, ...]]] = {}
        concerned = []
        for record in records:
            auth = self._map.agents.get(record.config.id)
            if auth is None:
                continue
            same = (id(auth.table), id(auth.view))
            known = patched.get(same)
            if known is None:
                known = patched[same] = self._tables.with_report(auth.table, auth.view, message.key, now)
            table, providers = known
            if not providers:
                continue
            self._publisher.publish(
                record.config,
                auth.view,
                table,
                generation=message.generation,
                providers=providers,
                stale=auth.stale,
                reason=message.reason,
                cause_at=message.cause_at,
            )
            record.overtake(providers)
            concerned.append((record, providers))
        return concerned

    def apply_reports(
        self, keys: Set[LedgerKey], reason: str, cause_at: float, generation: Generation | None = None
    ) -> None:
        """Apply to all published cells what was reported of some secrets, of whichever agents: a warmer that was
        started again may not know yet whom the config has.
        """
        if not keys:
            return
        now, names = self._clock.epoch(), {key.evidence_id for key in keys}
        patched: dict[tuple[int, int], CellTable] = {}
        for auth in list(self._map.agents.values()):
            give_way()
            same = (id(auth.table), id(auth.view))
            table = patched.get(same)
            if table is None:
                table = patched[same] = self._tables.with_reports(auth.table, auth.view, keys, names, now)
            differing = tuple(auth.table.differing(table))
            if differing:
                self._publisher.publish(
                    auth.agent,
                    auth.view,
                    table,
                    generation=generation,
                    providers=differing,
                    stale=auth.stale,
                    reason=reason,
                    cause_at=cause_at,
                )

    def that_use_decides(self, record: AgentRecord, used: frozenset[ProviderId]) -> frozenset[ProviderId]:
        """Return the providers whose answer may be another one because a credential of theirs was used."""
        auth = self._map.agents.get(record.config.id)
        return frozenset() if auth is None else frozenset(self._tables.that_use_decides(auth.table, auth.view, used))

    def is_of_its_stores(self, record: AgentRecord) -> bool:
        """Tell whether an agent's published cells were made of the stores that it has now, all of them read; otherwise
        a sweep of all cells is on its way.
        """
        auth = self._map.agents.get(record.config.id)
        if auth is None or not record.swept:
            return False
        was_unread = auth.view.unread
        return not was_unread or was_unread == self._facts.evaluation(record.own, self._clock.epoch()).view.unread

    def patch(self, record: AgentRecord, changed: frozenset[ProviderId], cause_at: float) -> None:
        """Publish cells whose windows alone have changed: no check, no attempt of their own, and no publication where
        no reader could tell the difference.
        """
        auth = self._map.agents.get(record.config.id)
        if auth is None or not changed:
            return
        providers = tuple(sorted(changed))
        evaluation = self._facts.evaluation(record.own, self._clock.epoch())
        table = self._tables.patched(auth.table, evaluation, providers)
        record.overtake(providers, evaluation.view)
        if table is auth.table:
            return
        table = self._tables.carried(table, auth.view, evaluation.view, providers)
        self._publisher.publish(
            record.config,
            evaluation.view,
            table,
            generation=None,
            providers=providers,
            stale=self._stale(record),
            reason="usage-changed",
            cause_at=cause_at,
        )

    def republish(self, record: AgentRecord) -> None:
        """Publish the same answers with what changed about them: their agent's description, the models that go with
        them, or whether they are fresh.
        """
        auth = self._map.agents.get(record.config.id)
        stale = self._stale(record)
        if auth is None or (
            stale == auth.stale and record.config == auth.agent and not self._publisher.lists_moved(auth)
        ):
            return
        self._publisher.publish(
            record.config,
            auth.view,
            auth.table,
            generation=None,
            providers=(),
            stale=stale,
            reason="",
            cause_at=self._clock.monotonic(),
        )

    def retire_strangers(self, cause_at: float) -> None:
        """Take away the answers of agents that the roster doesn't have: they left while the warmer was dead."""
        for agent_id in [agent_id for agent_id in self._map.agents if agent_id not in self._roster.agents]:
            self._publisher.retire(agent_id, cause_at)

    def _stale(self, record: AgentRecord) -> frozenset[ProviderId] | None:
        return self._desk.stale(record.own, self._roster.main)
