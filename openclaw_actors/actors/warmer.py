"""WarmerActor: decides what is warmed and when, and is the only writer of the prepared map.

Owns: the readings (`reading_desk`), the agents (`roster`), what is dirty and running (`sweeps`), the newest facts
(`evaluations`), the prepared map (`publisher`), and the alarm for the earliest end.
Receives: BeginWarming, WarmScope, SourcesTouched, SourceRead, SweepFinished, LedgerChanged, ReportAnswered,
AgentActorDied, and its own alarms. Sends: SweepAgent and CancelSweep to agents; WatchSource, UnwatchSource,
CheckStamps to the WatcherActor. Dies when: told to stop, or when a handler fails. After a restart: BeginWarming reads
and warms everything again, while the published answers stay.

How an answer comes to be: an event makes cells dirty and wants readings; when the readings that a dirty scope requires
are done, one sweep of that agent folds it; the sweep's cells are published where nothing newer is shown.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any, Protocol

import pykka

from openclaw_actors.actors.address import Address
from openclaw_actors.actors.agent_board import AgentRecord, DirtyScope
from openclaw_actors.actors.auth_state import AuthStateActor
from openclaw_actors.actors.base import BaseActor, Lane, handles, tell
from openclaw_actors.actors.dispatch import Alarm, Dispatcher
from openclaw_actors.actors.evaluations import Evaluations
from openclaw_actors.actors.publisher import Publisher
from openclaw_actors.actors.reading_desk import ReadingDesk, TakenReading
from openclaw_actors.actors.readings import Readings, store_source
from openclaw_actors.actors.roster import Roster
from openclaw_actors.actors.source_board import HOME, LOGIN_PREFIX, STORE_PREFIX, SourceRecord
from openclaw_actors.actors.sweeps import Sweeps
from openclaw_actors.actors.tables import Tables
from openclaw_actors.actors.warm_book import WarmReport
from openclaw_actors.auth.cells import CellTable
from openclaw_actors.auth.diff import changed_by_store, changed_by_usage, changed_providers
from openclaw_actors.auth.ledger import Ledger
from openclaw_actors.auth.shared import SharedFacts, SharedIndex
from openclaw_actors.changes import Change
from openclaw_actors.counters import Counters
from openclaw_actors.health import ConditionBoard
from openclaw_actors.home.facts import AgentConfig, StoreFacts
from openclaw_actors.ids import AgentId, Generation, ProviderId
from openclaw_actors.messages import (
    AgentActorDied,
    BeginWarming,
    CheckStamps,
    GraceOver,
    HomeReading,
    LedgerChanged,
    ReadDue,
    ReportAnswered,
    Reread,
    ResyncDue,
    SourceRead,
    SourcesTouched,
    SweepFinished,
    TimePassed,
    WarmScope,
)
from openclaw_actors.prepared import AgentAuth, PreparedMap
from openclaw_actors.scope import Scope
from openclaw_actors.settings import Settings
from openclaw_actors.wants import Wants

_MAX_ALARM_S = 300.0
"""Alarms for wall-clock moments are set again at least this often, so that a clock that jumped is noticed."""


class WarmerEvents(Protocol):
    """What the rest of the process hears of warming; called on the warmer's thread, and returning at once."""

    def home_changed(self, reading: HomeReading) -> None:
        """Take the newest config, environment and model rows."""

    def published(self, auth: AgentAuth, changes: tuple[Change, ...]) -> None:
        """Hear of a publication."""

    def warm_finished(self, report: WarmReport) -> None:
        """Hear that an attempt is answered."""

    def all_warm(self) -> None:
        """Hear that every agent was published once."""


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
        self._facts = Evaluations(ledger)
        self._tables = Tables(self._facts)
        self._desk = ReadingDesk(self.actor_ref, watcher, dispatcher, readings, counters, conditions, settings, chance)
        self._roster = Roster(self._desk, self._facts, self._spawn)
        self._sweeps = Sweeps(self._desk.board, self._facts, wants, counters, self._clock, events.warm_finished)
        self._publisher = Publisher(prepared, wants, counters, self._clock, events.published)
        self._diffs: dict[Generation, tuple[int, str, float]] = {}
        self._index_is_old = False
        self._grace_armed = False
        self._end_alarm: tuple[float, Alarm] | None = None
        self._resync_alarm: Alarm | None = None
        self._is_warm = False

    def on_stop(self) -> None:
        """Cancel the alarms and stop the agents' actors."""
        for alarm in (self._resync_alarm, self._end_alarm[1] if self._end_alarm else None):
            if alarm is not None:
                alarm.cancel()
        for record in self._roster.all():
            self._roster.stop(record)

    # ------------------------------------------------------------------------------------------------------- events

    @handles(BeginWarming)
    def _on_begin_warming(self, message: BeginWarming) -> None:
        now = self._clock.monotonic()
        ticket = self._desk.want(HOME, now)
        for generation in {message.generation, *message.answers}:
            self._sweeps.open(generation, message.reason, now)
            self._diffs[generation] = (ticket, message.reason, now)
        for source in {*self._desk.login_sources, *self._desk.board.records} - {HOME}:
            self._desk.want(source, now)
        self._arm_grace()
        self._arm_resync()

    @handles(WarmScope)
    def _on_warm_scope(self, message: WarmScope) -> None:
        desk, cause_at = self._desk, message.cause_at
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
        requires = {source: desk.want(source, cause_at) for source in sources}
        if message.cancels:
            for record in records:
                self._sweeps.cancel(record, self._sweeps.concerning(record, self._roster.main, requires))
        if message.diff_only:
            self._diffs[message.generation] = (requires.get(HOME, 0), message.reason, cause_at)
            return
        for record in records:
            providers = message.scope.providers_of(record.config.id)
            if providers is None or providers:
                waits = self._sweeps.concerning(record, self._roster.main, requires)
                scope = DirtyScope({message.generation}, providers, waits, message.reason, cause_at)
                self._sweeps.dirty(record, scope)
        self._sweeps.seal(message.generation)
        self._advance(records)

    @handles(SourcesTouched)
    def _on_sources_touched(self, message: SourcesTouched) -> None:
        for source in message.sources:
            self._desk.hint(source, message.cause_at)

    @handles(ReportAnswered)
    def _on_report_answered(self, message: ReportAnswered) -> None:
        self._sweeps.retire(message.generation)

    @handles(AgentActorDied)
    def _on_agent_actor_died(self, message: AgentActorDied) -> None:
        record = self._roster.agents.get(message.agent_id)
        if record is None or (record.ref is not None and record.ref.is_alive()):
            return
        self._counters.restarts += 1
        self._roster.revive(record)
        self._sweeps.requeue(record)
        self._advance([record])

    # ------------------------------------------------------------------------------------------------------- alarms

    @handles(ReadDue)
    def _on_read_due(self, message: ReadDue) -> None:
        self._desk.on_due(message.source)

    @handles(GraceOver)
    def _on_grace_over(self, _message: GraceOver) -> None:
        self._grace_armed = False
        self._desk.grace_is_over = True
        self._index_is_old = True
        for record in self._roster.all():
            for scope in record.dirty:
                scope.requires = {
                    source: ticket for source, ticket in scope.requires.items() if not source.startswith(LOGIN_PREFIX)
                }
        self._advance(self._roster.all())

    @handles(TimePassed)
    def _on_time_passed(self, _message: TimePassed) -> None:
        self._end_alarm = None
        now, cause_at = self._clock.epoch(), self._clock.monotonic()
        due: list[tuple[AgentRecord, frozenset[ProviderId]]] = []
        for agent_id in self._publisher.agents_ending(now):
            record, auth = self._roster.agents.get(agent_id), self._map.agents.get(agent_id)
            if record is not None and auth is not None:
                due.append((record, auth.table.ended(now)))
        if due:
            self._counters.alarms += 1
            scope = Scope.cells((record.config.id, provider) for record, ended in due for provider in ended)
            generation = self._sweeps.mint(scope, "time-passed", cause_at)
            for record, ended in due:
                self._sweeps.dirty(record, DirtyScope({generation}, ended, {}, "time-passed", cause_at))
            self._sweeps.seal(generation)
            self._advance([record for record, _ in due])
        self._arm_end()

    @handles(ResyncDue)
    def _on_resync_due(self, _message: ResyncDue) -> None:
        self._watcher.tell(CheckStamps())
        self._arm_resync()

    # ----------------------------------------------------------------------------------------------------- readings

    @handles(SourceRead)
    def _on_source_read(self, message: SourceRead) -> None:
        taken = self._desk.take(message)
        if taken is None:
            return
        record, old, new = taken.record, taken.old, taken.new
        if isinstance(new, HomeReading):
            self._take_home(record, old if isinstance(old, HomeReading) else None, new)
        elif isinstance(new, StoreFacts):
            self._take_store(record, old if isinstance(old, StoreFacts) else None, new)
        elif record.name.startswith(LOGIN_PREFIX) and (old != new or taken.broke or taken.recovered):
            self._index_is_old = True
        if taken.broke:
            self._take_failure(taken)
        users = self._roster.users(record.name)
        if taken.broke or taken.recovered:
            for user in users:
                self._republish(user)
        self._desk.start_wanted(record)
        self._advance(users)

    def _take_home(self, record: SourceRecord, old: HomeReading | None, new: HomeReading) -> None:
        if old != new:
            if old is not None:
                self._counters.config_reloads += 1
            self._events.home_changed(new)
            self._map.default_agent = new.home.config.default_agent
            self._reconcile(record, new)
            self._index_is_old = True
            if old is not None and _references_may_differ(old, new):
                for source in self._desk.board.of_kind(STORE_PREFIX):
                    self._desk.want(source.name, record.cause_at)
        self._refresh_index()
        self._settle_diffs(frozenset())

    def _reconcile(self, record: SourceRecord, new: HomeReading) -> None:
        """Bring the agents in line with the config, and warm those that are new or see another store."""
        change = self._roster.reconcile(new.home.config)
        for gone in change.retired:
            self._publisher.retire(gone.config.id)
            self._sweeps.answered(gone.config.id, gone.wanted_generations())
        for redescribed in change.redescribed:
            self._republish(redescribed)
        if not change.to_warm:
            return
        generations, reason, cause_at = self._asked_diffs()
        if not generations:
            reason, cause_at = "agents-changed", record.cause_at
            scope = Scope.product((one.config.id for one in change.to_warm), None)
            generations = {self._sweeps.mint(scope, reason, cause_at)}
        logins = () if self._desk.grace_is_over else self._desk.login_sources
        for one in change.to_warm:
            sources = (one.own, self._roster.main, *logins)
            waits = {source: self._desk.first_read(source, cause_at) for source in sources}
            self._sweeps.cancel(one, waits)
            self._sweeps.dirty(one, DirtyScope(set(generations), None, waits, reason, cause_at))
        self._sweeps.seal(*(generation for generation in generations if generation not in self._diffs))

    def _take_store(self, record: SourceRecord, old: StoreFacts | None, new: StoreFacts) -> None:
        index = self._facts.index
        if old == new:
            return
        self._facts.set_store(record.name, new)
        users = self._roster.users(record.name)
        if old is None or index is None:
            # agents that were published without this store; those that wait for it are swept anyway
            published = [user for user in users if user.config.id in self._map.agents]
            if published:
                self._sweeps.dirty_now(published, None, "credentials-changed", record.cause_at)
            return
        changed: frozenset[ProviderId] = frozenset()
        if old.credentials_digest != new.credentials_digest:
            changed = changed_by_store(old, new, index.answered)
            if changed:
                self._sweeps.dirty_now(users, changed, "credentials-changed", record.cause_at)
        if old.windows_digest != new.windows_digest:
            self._counters.window_patches += 1
            used = changed_by_usage(old, new, index.answered) - changed
            for user in users:
                self._patch(user, tuple(sorted(used)), record.cause_at)

    def _take_failure(self, taken: TakenReading) -> None:
        record = taken.record
        if record.value is None and record.name.startswith(STORE_PREFIX):
            self._facts.set_store(record.name, None, record.problem)

    # ------------------------------------------------------------------------------------------------- shared facts

    def _refresh_index(self) -> bool:
        """Index newer shared facts, and make dirty what they touch; return whether there were any."""
        home = self._desk.home
        if not self._index_is_old or home is None:
            return False
        self._index_is_old = False
        logins, unread = self._desk.logins()
        facts = SharedFacts(home=home.home, clis=logins, unread_sources=unread)
        old, new = self._facts.index, SharedIndex(facts, home.catalog.providers)
        self._facts.set_index(new)
        if old is not None:
            self._settle_diffs(changed_providers(old, new, self._clock.epoch()))
        return True

    def _asked_diffs(self) -> tuple[set[Generation], str, float]:
        """Return the attempts that asked for what a reading changes and whose reading is done, with the newest's
        reason.
        """
        done = self._desk.board.record(HOME).done_ticket
        ready = [one for one, (ticket, _, _) in self._diffs.items() if ticket <= done]
        if not ready:
            return set(), "", 0.0
        _, reason, cause_at = self._diffs[max(ready)]
        return set(ready), reason, cause_at

    def _settle_diffs(self, changed: frozenset[ProviderId]) -> None:
        """Make dirty what shared facts changed, and answer the attempts that asked for just that."""
        generations, reason, cause_at = self._asked_diffs()
        # an agent whose first sweep is still to start will be swept with the newest facts anyway
        concerned = [one for one in self._roster.all() if one.config.id in self._map.agents or one.running is not None]
        if changed and concerned:
            if not generations:
                reason, cause_at = "shared-sources-changed", self._desk.board.record(HOME).cause_at
                generations = {self._sweeps.mint(Scope.product(None, changed), reason, cause_at)}
            for record in concerned:
                self._sweeps.dirty(record, DirtyScope(set(generations), changed, {}, reason, cause_at))
        for generation in generations:
            self._diffs.pop(generation, None)
        self._sweeps.seal(*generations)

    # -------------------------------------------------------------------------------------------------- publication

    def _advance(self, records: Iterable[AgentRecord]) -> None:
        """Start the sweeps that can start."""
        refreshed = self._refresh_index()
        if self._facts.index is None:
            return
        # shared facts that changed just now made cells of all agents dirty
        wider = self._roster.all() if refreshed else records
        for record in self._sweeps.start(wider, self._roster.main):
            tell(self.actor_ref, AgentActorDied(agent_id=record.config.id))

    @handles(SweepFinished)
    def _on_sweep_finished(self, message: SweepFinished) -> None:
        record = self._roster.agents.get(message.agent_id)
        sweep = self._sweeps.finish(record, message)
        if record is None or sweep is None:
            return
        evaluation = message.evaluation
        published = self._map.agents.get(message.agent_id)
        if message.providers is None or published is None:
            table = evaluation.table()
        else:
            table = self._tables.with_sweep(published.table, evaluation, message.providers)
        newest = max(sweep.scopes, key=lambda scope: max(scope.generations))
        self._publisher.publish(
            record.config,
            evaluation.view,
            self._tables.with_newer_reports(table, evaluation, self._clock.epoch()),
            generation=message.generation,
            providers=message.providers,
            stale=self._desk.stale(record.own, self._roster.main),
            reason=newest.reason,
            cause_at=min(scope.cause_at for scope in sweep.scopes),
        )
        self._sweeps.answered(message.agent_id, {one for scope in sweep.scopes for one in scope.generations})
        self._advance([record])
        self._arm_end()
        self._show_warm()

    @handles(LedgerChanged)
    def _on_ledger_changed(self, message: LedgerChanged) -> None:
        """Apply a report to published cells at once, and then have them checked with a new reading."""
        key, now = message.key, self._clock.epoch()
        self._facts.set_report(key, message.entry)
        self._sweeps.open(message.generation, message.reason, message.cause_at)
        source = "" if key.store is None else store_source(key.store)
        is_read = source in self._desk.board.records
        waits = {source: self._desk.want(source, message.cause_at)} if is_read else {}
        records = self._roster.users(source)
        patched: dict[int, tuple[CellTable, tuple[ProviderId, ...]]] = {}
        cells: set[tuple[AgentId, ProviderId]] = set()
        for record in records:
            auth = self._map.agents.get(record.config.id)
            if auth is None:
                continue
            known = patched.get(id(auth.table))
            if known is None:
                known = patched[id(auth.table)] = self._tables.with_report(auth.table, auth.view, key, now)
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
            cells.update((record.config.id, provider) for provider in providers)
            scope = DirtyScope(
                {message.generation}, frozenset(providers), dict(waits), message.reason, message.cause_at
            )
            self._sweeps.dirty(record, scope)
        self._sweeps.narrow(message.generation, Scope.cells(cells))
        self._sweeps.seal(message.generation)
        self._advance(records)
        self._arm_end()

    def _patch(self, record: AgentRecord, providers: tuple[ProviderId, ...], cause_at: float) -> None:
        """Publish cells whose windows alone have changed: no check, and no attempt of their own."""
        auth = self._map.agents.get(record.config.id)
        if auth is None or not providers:
            return
        evaluation = self._facts.evaluation(self._roster.main, record.own, self._clock.epoch())
        self._publisher.publish(
            record.config,
            evaluation.view,
            self._tables.with_sweep(auth.table, evaluation, providers),
            generation=None,
            providers=providers,
            stale=self._desk.stale(record.own, self._roster.main),
            reason="usage-changed",
            cause_at=cause_at,
        )
        self._arm_end()

    def _republish(self, record: AgentRecord) -> None:
        """Publish the same answers of an agent with what changed about it: its description, or whether they are
        fresh.
        """
        auth = self._map.agents.get(record.config.id)
        stale = self._desk.stale(record.own, self._roster.main)
        if auth is None or (stale == auth.stale and record.config == auth.agent):
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

    def _show_warm(self) -> None:
        if not self._is_warm and all(agent in self._map.agents for agent in self._roster.agents):
            self._is_warm = True
            self._events.all_warm()

    # -------------------------------------------------------------------------------------------------- small things

    def _spawn(self, agent: AgentConfig) -> pykka.ActorRef[Any]:
        return self._dispatcher.spawn(
            AuthStateActor, agent.id, self._me, self._clock, self._settings, pooled=True, name=f"agent-{agent.id}"
        )

    def _arm_grace(self) -> None:
        if self._grace_armed:
            return
        self._grace_armed = True
        self._desk.grace_is_over = False
        settings = self._settings
        wait_s = settings.source_deadline_s if settings.one_shot else settings.source_grace_s
        self._dispatcher.tell_later(wait_s, self.actor_ref, GraceOver())

    def _arm_resync(self) -> None:
        if self._resync_alarm is not None:
            self._resync_alarm.cancel()
        delay_s = self._settings.resync_interval_s * self._chance.uniform(0.9, 1.1)
        self._resync_alarm = self._dispatcher.tell_later(delay_s, self.actor_ref, ResyncDue())

    def _arm_end(self) -> None:
        """Set the one alarm for the earliest moment at which time changes an answer."""
        moment = self._publisher.next_end()
        if self._end_alarm is not None:
            if self._end_alarm[0] == moment:
                return
            self._end_alarm[1].cancel()
            self._end_alarm = None
        if moment is not None:
            # a millisecond late rather than a millisecond early: early would find nothing ended and be set again
            delay_s = min(max(0.0, moment - self._clock.epoch()) + 0.001, _MAX_ALARM_S)
            self._end_alarm = (moment, self._dispatcher.tell_later(delay_s, self.actor_ref, TimePassed()))


def _references_may_differ(old: HomeReading, new: HomeReading) -> bool:
    """Tell whether references in stores may yield something else now."""
    return (
        old.home.config.secrets_digest != new.home.config.secrets_digest
        or old.home.environment.variables != new.home.environment.variables
    )
