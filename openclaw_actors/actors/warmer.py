"""WarmerActor: decides what is warmed and when, and is the only writer of the prepared map.

Owns: the readings (`reading_desk`, `resync`, `breaker`), the agents (`roster`), what is dirty and running (`sweeps`),
what a reading or a report changes (`shared_changes`, `store_changes`, `report_changes`), the newest facts
(`evaluations`), the prepared map (`answers`, `publisher`), and its alarms (`wakings`).
Receives: BeginWarming, WarmScope, SourcesTouched, SourceRead, SweepFinished, LedgerChanged, ReportAnswered,
AgentActorDied, and its own alarms. Sends: SweepAgent and CancelSweep to agents; WatchSource, UnwatchSource, ArmNow,
CheckStamps to the WatcherActor. Dies when: told to stop, or when a handler fails. After a restart: BeginWarming reads
and warms everything again, while the published answers stay.

How an answer comes to be: an event makes cells dirty and wants readings; when the readings that a dirty scope requires
are done, one sweep of that agent folds it; the sweep's cells are published where nothing newer is shown: what was
patched while it ran stays.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pykka
from pykka._envelope import Envelope

from openclaw_actors.actors.address import Address
from openclaw_actors.actors.agent_board import AgentRecord, DirtyScope
from openclaw_actors.actors.answers import Answers
from openclaw_actors.actors.auth_state import AuthStateActor
from openclaw_actors.actors.base import BaseActor, Lane, handles, tell
from openclaw_actors.actors.breaker import Breaker
from openclaw_actors.actors.diffs import AskedDiff
from openclaw_actors.actors.dispatch import Dispatcher
from openclaw_actors.actors.early_events import EarlyEvents
from openclaw_actors.actors.evaluations import Evaluations
from openclaw_actors.actors.passing_time import PassingTime
from openclaw_actors.actors.publisher import Publisher
from openclaw_actors.actors.reading_desk import ReadingDesk
from openclaw_actors.actors.readings import Readings
from openclaw_actors.actors.remembered import Remembered
from openclaw_actors.actors.report_changes import ReportChanges
from openclaw_actors.actors.resync import Resync
from openclaw_actors.actors.roster import Roster
from openclaw_actors.actors.shared_changes import SharedChanges
from openclaw_actors.actors.source_board import HOME, LOGIN_PREFIX
from openclaw_actors.actors.store_changes import StoreChanges
from openclaw_actors.actors.sweeps import Required, Sweeps
from openclaw_actors.actors.wakings import Wakings
from openclaw_actors.actors.warm_book import WarmReport
from openclaw_actors.actors.warmer_events import WarmerEvents
from openclaw_actors.auth.ledger import Ledger
from openclaw_actors.catalog.home_reading import HomeReading
from openclaw_actors.counters import Counters
from openclaw_actors.health import ConditionBoard
from openclaw_actors.home.facts import AgentConfig
from openclaw_actors.messages import (
    AgentActorDied,
    ArmNow,
    BeginWarming,
    BreakerDue,
    BudgetOver,
    ClockDue,
    ContinuePatching,
    GraceOver,
    LedgerChanged,
    ReadDue,
    ReportAnswered,
    Reread,
    ResyncDue,
    ResyncStep,
    SourceRead,
    SourcesTouched,
    SweepFinished,
    TimePassed,
    UseDue,
    WarmScope,
)
from openclaw_actors.prepared import PreparedMap
from openclaw_actors.reading.pace import give_way
from openclaw_actors.settings import Settings
from openclaw_actors.wants import Wants

_FEW = 4
"""So many agents are published in one go; of more, each gets its turn among the other messages."""


class WarmerActor(BaseActor):
    """Keeps the prepared map warm."""

    die_on_error = True
    """Half-done bookkeeping is not gone on with: a restart reads everything again, and readers keep their answers."""

    def __init__(
        self,
        *,
        me: Address,
        watcher: Address,
        dispatcher: Dispatcher,
        readings: Readings,
        remembered: Remembered,
        prepared: PreparedMap,
        wants: Wants,
        counters: Counters,
        conditions: ConditionBoard,
        settings: Settings,
        events: WarmerEvents,
        ledger: Ledger,
        chance: random.Random,
        lane: Lane,
    ) -> None:
        super().__init__(lane=lane)
        self._me = me
        self._watcher = watcher
        self._dispatcher = dispatcher
        self._clock = dispatcher.clock
        self._map = prepared
        self._counters = counters
        self._settings = settings
        self._events = events
        self._chance = chance
        self._ledger = ledger
        self._facts = Evaluations(dict(ledger))
        self._breaker = Breaker(self.actor_ref, dispatcher, settings, conditions)
        self._desk = ReadingDesk(
            self.actor_ref,
            watcher,
            dispatcher,
            readings,
            remembered,
            self._breaker,
            counters,
            conditions,
            settings,
            chance,
        )
        self._resync = Resync(self.actor_ref, watcher, self._desk, dispatcher, settings, counters, chance)
        self._roster = Roster(self._desk, self._facts, self._spawn)
        self._sweeps = Sweeps(
            self._desk.board,
            self._facts,
            wants,
            counters,
            self._clock,
            self._on_warm_finished,
        )
        self._publisher = Publisher(prepared, wants, counters, self._clock, events.published)
        self._answers = Answers(self._publisher, self._facts, self._desk, self._roster, prepared, self._clock)
        self._shared = SharedChanges(
            self._desk,
            self._facts,
            self._roster,
            self._sweeps,
            self._answers,
            self._publisher,
            prepared,
            self._clock,
        )
        self._stores = StoreChanges(
            self.actor_ref, dispatcher, self._facts, self._roster, self._sweeps, self._answers, counters
        )
        self._reports = ReportChanges(self._desk, self._facts, self._roster, self._sweeps, self._answers, events)
        self._time = PassingTime(
            self._facts, self._roster, self._sweeps, self._publisher, prepared, counters, self._clock
        )
        self._wakings = Wakings(self.actor_ref, dispatcher, settings)
        self._is_warm = False
        self._early = EarlyEvents()

    def run_one(self, envelope: Envelope[Any]) -> None:
        """Handle one envelope by a clock that is looked at anyway, should it have gone back by the next look."""
        self._wakings.note_clock()
        super().run_one(envelope)

    def on_stop(self) -> None:
        """Cancel the alarms and stop the agents' actors."""
        self._wakings.cancel()
        self._resync.cancel()
        for record in self._roster.all():
            self._roster.stop(record)

    # ------------------------------------------------------------------------------------------------------- events

    @handles(BeginWarming)
    def _on_begin_warming(self, message: BeginWarming) -> None:
        now = self._clock.monotonic()
        # what was reported while nobody was here to be told: it shows at once, whether or not the config can be read
        ledger, known = dict(self._ledger), self._facts.ledger
        self._facts.set_ledger(ledger)
        is_new = self._facts.index is None
        untold = {key for key, entry in ledger.items() if is_new or known.get(key) is not entry}
        self._answers.apply_reports(untold, message.reason, now)
        for generation in message.answers:
            self._events.report_published(generation)
        requires = {HOME: self._desk.want(HOME, now)}
        others = {*self._desk.login_sources, *self._desk.board.records} - {HOME}
        tickets = {source: self._desk.want(source, now) for source in sorted(others)}
        if self._desk.home is not None:
            # nobody is new to be swept: the answer is what all these readings change
            requires |= tickets
        for generation in {message.generation, *message.answers}:
            self._sweeps.open(generation, message.reason, now)
            self._shared.diffs.ask(generation, AskedDiff(dict(requires), message.reason, now))
        self._arm_grace()
        self._wakings.set_end(self._publisher.next_end())
        self._look_at_clock()
        self._resync.set()

    @handles(WarmScope)
    def _on_warm_scope(self, message: WarmScope) -> None:
        if not self._sweeps.wants(message.generation):
            return  # told twice, because a warmer died, and answered
        desk, cause_at = self._desk, message.cause_at
        if desk.home is None and not message.diff_only:
            # nobody knows yet who is meant
            self._early.keep(message)
            desk.want(HOME, cause_at)
            return
        self._sweeps.open(message.generation, message.reason, cause_at)
        records = self._roster.in_scope(message.scope)
        sources: list[str] = []
        if Reread.HOME in message.reread:
            sources.append(HOME)
        if Reread.LOGINS in message.reread:
            sources.extend(desk.login_sources)
            self._arm_grace()
        if Reread.STORES in message.reread:
            sources.extend(self._roster.stores(records))
        requires: dict[str, int] = {}
        for source in sources:
            give_way()
            requires[source] = desk.want(source, cause_at)
        required, main = Required(requires), self._roster.main
        if message.cancels:
            for record in records:
                give_way()
                self._sweeps.cancel(record, required.of(record, main))
        if message.diff_only:
            self._shared.diffs.ask(message.generation, AskedDiff(requires, message.reason, cause_at))
            return
        for record in records:
            give_way()
            providers = message.scope.providers_of(record.config.id)
            if providers is None or providers:
                waits = required.of(record, main)
                scope = DirtyScope({message.generation}, providers, waits, message.reason, cause_at)
                self._sweeps.dirty(record, scope)
        self._sweeps.seal(message.generation)
        self._advance(records)

    @handles(SourcesTouched)
    def _on_sources_touched(self, message: SourcesTouched) -> None:
        for source in message.sources:
            if message.resync:
                self._resync.found(source)
            else:
                self._desk.board.told_of(source, message.cause_at)
            self._desk.hint(source, message.cause_at)

    @handles(ReportAnswered)
    def _on_report_answered(self, message: ReportAnswered) -> None:
        key, entry = message.key, message.entry
        if key is not None and entry is not None:
            known = self._facts.ledger.get(key)
            if known is None or known.serial < entry.serial:  # else a change has overtaken it
                self._facts.set_report(key, entry)
        if self._early.answers(message.generation):
            return  # it is answered when its turn comes
        self._events.report_published(message.generation)
        self._sweeps.retire(message.generation)

    @handles(AgentActorDied)
    def _on_agent_actor_died(self, message: AgentActorDied) -> None:
        record = self._roster.agents.get(message.agent_id)
        if record is None or (record.ref is not None and record.ref.is_alive()):
            return
        self._counters.agent_restarts += 1
        self._roster.revive(record)
        self._sweeps.requeue(record)
        self._advance([record])

    # ------------------------------------------------------------------------------------------------------- alarms

    @handles(ReadDue)
    def _on_read_due(self, message: ReadDue) -> None:
        self._desk.on_due(message.source)

    @handles(GraceOver)
    def _on_grace_over(self, _message: GraceOver) -> None:
        self._wakings.grace_rang()
        self._desk.grace_is_over = True
        for record in self._roster.all():
            for scope in record.dirty:
                scope.requires = {
                    source: ticket for source, ticket in scope.requires.items() if not source.startswith(LOGIN_PREFIX)
                }
        self._shared.diffs.stop_waiting(LOGIN_PREFIX)
        self._shared.settle()
        self._advance(self._roster.all())

    @handles(BudgetOver)
    def _on_budget_over(self, _message: BudgetOver) -> None:
        for overdue in self._desk.overdue():
            self._on_source_read(overdue)

    @handles(TimePassed)
    def _on_time_passed(self, _message: TimePassed) -> None:
        self._wakings.end_rang()
        self._advance(self._time.ended())
        self._wakings.set_end(self._publisher.next_end())

    @handles(ClockDue)
    def _on_clock_due(self, _message: ClockDue) -> None:
        self._look_at_clock()

    @handles(ResyncDue)
    def _on_resync_due(self, _message: ResyncDue) -> None:
        self._resync.begin()
        self._resync.set()

    @handles(ResyncStep)
    def _on_resync_step(self, _message: ResyncStep) -> None:
        self._resync.step()

    @handles(UseDue)
    def _on_use_due(self, _message: UseDue) -> None:
        self._stores.follow_use()
        self._wakings.set_end(self._publisher.next_end())

    @handles(ContinuePatching)
    def _on_continue_patching(self, _message: ContinuePatching) -> None:
        self._stores.on_continue()
        self._wakings.set_end(self._publisher.next_end())

    @handles(BreakerDue)
    def _on_breaker_due(self, _message: BreakerDue) -> None:
        self._breaker.look()

    # ----------------------------------------------------------------------------------------------------- readings

    @handles(SourceRead)
    def _on_source_read(self, message: SourceRead) -> None:
        taken = self._desk.take(message)
        if taken is None:
            return
        record, old, new = taken.record, taken.old, taken.new
        cause_at = record.read_cause_at
        if taken.drifted:
            self._resync.found(record.name)
        if isinstance(new, HomeReading):
            if old != new:
                self._counters.config_reloads += old is not None
                self._events.home_changed(new)
                self._shared.take_home(old if isinstance(old, HomeReading) else None, new, cause_at)
            self._shared.settle_doubt(record)
        elif record.name.startswith(LOGIN_PREFIX) and (old != new or taken.broke or taken.recovered):
            self._shared.index_is_old = True
        self._stores.take(taken)
        users = self._roster.users(record.name)
        if taken.broke or taken.recovered:
            for user in users:
                self._answers.republish(user)
        self._desk.start_wanted(record)
        refreshed = self._shared.refresh(cause_at, taken.hinted)
        self._shared.settle()
        # shared facts that changed made cells of all agents dirty
        self._advance(self._roster.all() if refreshed else users)
        if isinstance(new, HomeReading):
            for event in self._early.take_warms():
                self._on_warm_scope(event)
        self._take_early_reports()
        self._wakings.set_end(self._publisher.next_end())

    # -------------------------------------------------------------------------------------------------- publication

    def _advance(self, records: Iterable[AgentRecord]) -> None:
        """Start the sweeps that can start."""
        if self._facts.index is None:
            return
        dead, done = self._sweeps.start(records)
        for record in dead:
            tell(self.actor_ref, AgentActorDied(agent_id=record.config.id))
        for message in done:
            if len(done) <= _FEW:
                self._on_sweep_finished(message)
            else:
                tell(self.actor_ref, message)

    @handles(SweepFinished)
    def _on_sweep_finished(self, message: SweepFinished) -> None:
        record = self._roster.agents.get(message.agent_id)
        sweep = self._sweeps.finish(record, message)
        if record is None or sweep is None:
            return
        changed = self._answers.publish_sweep(record, sweep, message)
        answered = {one for scope in sweep.scopes for one in scope.generations}
        self._sweeps.answered(message.agent_id, answered, changed=changed)
        self._advance([record])
        self._wakings.set_end(self._publisher.next_end())
        self._show_warm()

    @handles(LedgerChanged)
    def _on_ledger_changed(self, message: LedgerChanged) -> None:
        if self._facts.index is None:
            self._early.keep(message)
            self._facts.set_report(message.key, message.entry)
            self._answers.apply_reports({message.key}, message.reason, message.cause_at, message.generation)
            self._wakings.set_end(self._publisher.next_end())
            self._events.report_published(message.generation)
            return
        self._take_early_reports()
        self._advance(self._reports.take(message))
        self._wakings.set_end(self._publisher.next_end())

    def _take_early_reports(self) -> None:
        """Take the reports that waited for the config, before any newer one."""
        if self._facts.index is not None:
            for report in self._early.take_reports():
                self._on_ledger_changed(report)

    def _on_warm_finished(self, report: WarmReport) -> None:
        if report.source and not report.changed:
            self._breaker.swept_in_vain(report.source)
        self._events.warm_finished(report)

    def _show_warm(self) -> None:
        agents, published = self._roster.agents, self._map.agents
        # the count first: looking through all agents after each of their first sweeps would be quadratic
        if not self._is_warm and len(published) >= len(agents) and all(agent in published for agent in agents):
            self._is_warm = True
            self._watcher.tell(ArmNow())
            self._events.all_warm()

    def _spawn(self, agent: AgentConfig) -> pykka.ActorRef[Any]:
        return self._dispatcher.spawn(
            AuthStateActor, agent.id, self._me, self._clock, self._settings, pooled=True, name=f"agent-{agent.id}"
        )

    def _look_at_clock(self) -> None:
        if self._wakings.look_at_clock():
            self._advance(self._time.went_back())

    def _arm_grace(self) -> None:
        if self._wakings.set_grace():
            self._desk.grace_is_over = False
