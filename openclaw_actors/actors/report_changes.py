"""How the WarmerActor takes in what was reported of a credential: applied to published cells at once, then checked."""

from __future__ import annotations

from openclaw_actors.actors.agent_board import AgentRecord, DirtyScope
from openclaw_actors.actors.answers import Answers
from openclaw_actors.actors.evaluations import Evaluations
from openclaw_actors.actors.reading_desk import ReadingDesk
from openclaw_actors.actors.readings import store_source
from openclaw_actors.actors.roster import Roster
from openclaw_actors.actors.sweeps import Sweeps
from openclaw_actors.actors.warmer_events import WarmerEvents
from openclaw_actors.ids import AgentId, ProviderId
from openclaw_actors.messages import LedgerChanged
from openclaw_actors.scope import Scope


class ReportChanges:
    """Publishes what a report changes, and makes it dirty."""

    def __init__(
        self,
        desk: ReadingDesk,
        facts: Evaluations,
        roster: Roster,
        sweeps: Sweeps,
        answers: Answers,
        events: WarmerEvents,
    ) -> None:
        self._desk = desk
        self._facts = facts
        self._roster = roster
        self._sweeps = sweeps
        self._answers = answers
        self._events = events

    def take(self, message: LedgerChanged) -> list[AgentRecord]:
        """Apply a report to published cells at once, before any check, and have them checked with a new reading; return
        the agents that may see the credential.
        """
        key, generation = message.key, message.generation
        self._facts.set_report(key, message.entry)
        self._sweeps.open(generation, message.reason, message.cause_at)
        source = "" if key.store is None else store_source(key.store)
        is_read = source in self._desk.board.records
        waits = {source: self._desk.want(source, message.cause_at)} if is_read else {}
        records = self._roster.users(source)
        cells: set[tuple[AgentId, ProviderId]] = set()
        for record, providers in self._answers.apply_report(records, message):
            cells.update((record.config.id, provider) for provider in providers)
            scope = DirtyScope({generation}, frozenset(providers), dict(waits), message.reason, message.cause_at)
            self._sweeps.dirty(record, scope)
        self._events.report_published(generation)
        if not message.followed:
            self._sweeps.narrow(generation, Scope.cells(cells))
            self._sweeps.seal(generation)
        return records
