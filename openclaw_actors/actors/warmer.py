"""WarmerActor: decides what is warmed and when, and is the only writer of the prepared map.

Owns: the sources' readings, the agents' dirty cells, the open attempts, the newest facts, the alarm for the earliest end.
Receives: BeginWarming, WarmScope, SourcesTouched, SourceRead, SweepFinished, LedgerChanged, ReportAnswered, AgentActorDied and its
own alarms. Sends: SweepAgent and CancelSweep to agents, WatchSource, UnwatchSource and CheckStamps to the WatcherActor.
Dies when: told to stop. After a restart: BeginWarming reads and warms everything again, while the published answers stay.

How an answer comes to be: an event makes cells dirty and wants readings; when the readings that a dirty scope requires are
done, one sweep of that agent folds it; the sweep's cells are published if nothing newer is shown. The parts of this are in
`source_board`, `agent_board`, `warm_book`, `evaluations` and `publisher`; here they are put together.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Protocol


from openclaw_actors.actors.address import Address
from openclaw_actors.actors.agent_board import AgentRecord, DirtyScope, RunningSweep, union
from openclaw_actors.actors.auth_state import AuthStateActor
from openclaw_actors.actors.base import BaseActor, Lane, handles, tell
from openclaw_actors.actors.dispatch import Alarm, Dispatcher
from openclaw_actors.actors.evaluations import Evaluations
from openclaw_actors.actors.publisher import Publisher
from openclaw_actors.actors.readings import Readings, store_source
from openclaw_actors.actors.source_board import HOME, LOGIN_PREFIX, STORE_PREFIX, SourceBoard, SourceRecord
from openclaw_actors.actors.warm_book import WarmBook, WarmReport
from openclaw_actors.auth.cells import CellTable
from openclaw_actors.auth.check import decide
from openclaw_actors.auth.diff import changed_by_store, changed_by_usage, changed_providers
from openclaw_actors.auth.evaluation import Evaluation
from openclaw_actors.auth.ledger import Ledger, LedgerKey
from openclaw_actors.auth.shared import CLI_PROVIDERS, SharedFacts, SharedIndex
from openclaw_actors.auth.verdict import Cell
from openclaw_actors.catalog.load import Catalog
from openclaw_actors.changes import Change
from openclaw_actors.counters import Counters
from openclaw_actors.health import ConditionBoard
from openclaw_actors.home.facts import AgentConfig, CliFacts, StoreFacts
from openclaw_actors.home.providers import auth_provider
from openclaw_actors.ids import AgentId, Generation, ProviderId, StoreId
from openclaw_actors.log import log
from openclaw_actors.messages import (
    AgentActorDied,
    BeginWarming,
    CancelSweep,
    CheckStamps,
    GraceOver,
    HomeReading,
    LedgerChanged,
    ReadDue,
    Reading,
    ReportAnswered,
    Reread,
    ResyncDue,
    SourceRead,
    SourcesTouched,
    SweepAgent,
    SweepFinished,
    TimePassed,
    UnwatchSource,
    WarmScope,
    WatchSource,
)
from openclaw_actors.prepared import MAIN, MAIN_SHADOW, AgentAuth, PreparedMap
from openclaw_actors.reading.job import Failure, ReadJob, ReadOutcome
from openclaw_actors.scope import Scope
from openclaw_actors.settings import Settings
from openclaw_actors.wants import Wants

_MAX_ALARM_S = 300.0
"""Alarms for wall-clock moments are set again at least this often, so that a clock that jumped is noticed."""


class WarmerEvents(Protocol):
    """What the rest of the process hears of warming; called on the warmer's thread and returning at once."""

    def home_changed(self, reading: HomeReading) -> None: ...
    def published(self, auth: AgentAuth, changes: tuple[Change, ...]) -> None: ...
    def warm_finished(self, report: WarmReport) -> None: ...
    def all_warm(self) -> None: ...


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
        self._readings = readings
        self._map = prepared
        self._wants = wants
        self._counters = counters
        self._conditions = conditions
        self._settings = settings
        self._events = events
        self._chance = chance
        self._board = SourceBoard()
        self._agents: dict[AgentId, AgentRecord] = {}
        self._book = WarmBook()
        self._facts = Evaluations()
        self._facts.set_ledger(ledger, shared=True)
        self._publisher = Publisher(prepared, wants, counters, self._clock, events.published)
        self._catalog: Catalog | None = None
        self._main = ""
        self._diffs: dict[Generation, tuple[int, str, float]] = {}
        self._tables: dict[tuple[int, int, tuple[ProviderId, ...]], tuple[CellTable, Evaluation, CellTable]] = {}
        self._index_stale = False
        self._grace_armed = False
        self._grace_is_over = False
        self._end_alarm: tuple[float, Alarm] | None = None
        self._resync: Alarm | None = None
        self._warm = False

    def on_stop(self) -> None:
        """Cancel the alarms and stop the agents' actors."""
        for alarm in (self._resync, self._end_alarm[1] if self._end_alarm else None):
            if alarm is not None:
                alarm.cancel()
        for record in self._agents.values():
            self._stop_agent(record)

    # ------------------------------------------------------------------------------------------------------- events

    @handles(BeginWarming)
    def _on_begin_warming(self, message: BeginWarming) -> None:
        now = self._clock.monotonic()
        ticket = self._want(HOME, now)
        for generation in {message.generation, *message.answers}:
            self._book.open(generation, message.reason, now)
            self._diffs[generation] = (ticket, message.reason, now)
        for source in {*self._readings.login_sources, *self._board.records} - {HOME}:
            self._want(source, now)
        self._arm_grace()
        self._arm_resync()

    @handles(WarmScope)
    def _on_warm_scope(self, message: WarmScope) -> None:
        self._book.open(message.generation, message.reason, message.cause_at)
        requires: dict[str, int] = {}
        records = self._in_scope(message.scope)
        if Reread.HOME in message.reread:
            requires[HOME] = self._want(HOME, message.cause_at)
        if Reread.LOGINS in message.reread:
            for source in self._readings.login_sources:
                requires[source] = self._want(source, message.cause_at)
            self._arm_grace()
        if Reread.STORES in message.reread:
            for source in sorted({source for record in records for source in (record.own, self._main)}):
                requires[source] = self._want(source, message.cause_at)
        if message.cancels:
            for record in records:
                self._cancel(record, message.generation, requires)
        if message.diff_only:
            self._diffs[message.generation] = (requires.get(HOME, 0), message.reason, message.cause_at)
            if HOME not in requires:
                self._settle_diffs(frozenset())
            return
        for record in records:
            providers = message.scope.providers_of(record.config.id)
            if providers is None or providers:
                own = {source: ticket for source, ticket in requires.items() if self._concerns(record, source)}
                self._dirty(record, {message.generation}, providers, own, message.reason, message.cause_at)
        self._seal(message.generation)
        self._advance(records)

    @handles(SourcesTouched)
    def _on_sources_touched(self, message: SourcesTouched) -> None:
        for source in message.sources:
            if source in self._board.records:
                self._hint(source, message.cause_at)

    @handles(ReportAnswered)
    def _on_report_answered(self, message: ReportAnswered) -> None:
        self._wants.retire(message.generation)

    @handles(AgentActorDied)
    def _on_agent_actor_died(self, message: AgentActorDied) -> None:
        record = self._agents.get(message.agent_id)
        if record is None or record.ref is None or record.ref.is_alive():
            return
        self._counters.restarts += 1
        record.ref = self._spawn(record.config)
        if record.running is not None:
            record.dirty.extend(record.running.scopes)
            record.running = None
        self._advance([record])

    # ------------------------------------------------------------------------------------------------------- alarms

    @handles(ReadDue)
    def _on_read_due(self, message: ReadDue) -> None:
        record = self._board.records.get(message.source)
        if record is None:
            return
        record.due = False
        if record.failures:
            self._counters.retries += 1
        self._want(message.source, record.cause_at, hinted=True)

    @handles(GraceOver)
    def _on_grace_over(self, _message: GraceOver) -> None:
        self._grace_armed = False
        self._grace_is_over = True
        for record in self._agents.values():
            for scope in record.dirty:
                scope.requires = {
                    source: ticket
                    for source, ticket in scope.requires.items()
                    if not source.startswith(LOGIN_PREFIX) or self._board.done(source, ticket)
                }
        self._index_stale = True
        self._advance(self._agents.values())

    @handles(TimePassed)
    def _on_time_passed(self, _message: TimePassed) -> None:
        self._end_alarm = None
        now, cause_at = self._clock.epoch(), self._clock.monotonic()
        due: list[tuple[AgentRecord, frozenset[ProviderId]]] = []
        for agent_id in self._publisher.agents_ending(now):
            record, auth = self._agents.get(agent_id), self._map.agents.get(agent_id)
            if record is None or auth is None:
                continue
            ended = frozenset(
                cell.provider
                for cell in auth.table.cells()
                if cell.valid_until is not None and cell.valid_until <= now
            )
            if ended:
                due.append((record, ended))
        if due:
            self._counters.alarms += 1
            scope = Scope.cells((record.config.id, one) for record, ended in due for one in ended)
            generation = self._mint(scope, "time-passed", cause_at)
            for record, ended in due:
                self._dirty(record, {generation}, ended, {}, "time-passed", cause_at)
            self._seal(generation)
            self._advance([record for record, _ in due])
        self._arm_end()

    @handles(ResyncDue)
    def _on_resync_due(self, _message: ResyncDue) -> None:
        self._watcher.tell(CheckStamps())
        self._arm_resync()

    # ------------------------------------------------------------------------------------------------------ readings

    @handles(SourceRead)
    def _on_source_read(self, message: SourceRead) -> None:
        record = self._board.finish(message.source, message.ticket)
        if record is None:
            self._counters.discarded_results += 1
            return
        if record.name.startswith(STORE_PREFIX):
            self._counters.store_reads += 1
        else:
            self._counters.shared_reads += 1
        if message.overran:
            self._counters.deadline_overruns += 1
        if message.reading is None:
            self._source_failed(record, message.problem)
        else:
            self._source_read(record, message.reading)
        if record.name in self._board.records and self._board.may_start(record.name):
            self._start_read(record)
        self._advance([self._agents[AgentId(user)] for user in record.users] if record.users else self._agents.values())

    def _source_read(self, record: SourceRecord, reading: Reading) -> None:
        recovered = bool(record.problem)
        record.failures = 0
        record.problem = ""
        old, new = record.value, reading.facts
        if self._is_briefly_gone(record, old, new):
            return
        record.gone_since = None
        record.value = new
        self._watcher.tell(WatchSource(source=record.name, stamps=reading.stamps))
        if record.hinted and old == new:
            self._counters.watch_noops += 1
        if isinstance(new, HomeReading):
            self._home_read(record, old if isinstance(old, HomeReading) else None, new)
        elif isinstance(new, StoreFacts):
            self._store_read(record, old if isinstance(old, StoreFacts) else None, new)
        elif old != new or recovered:
            self._index_stale = True
        if recovered:
            self._show_problems(record)
            self._republish_stale(record)

    def _source_failed(self, record: SourceRecord, problem: str) -> None:
        """Keep the last good answer, say what is wrong, and try again: soon at first, then ever more slowly, for ever."""
        first = not record.problem
        record.failures += 1
        record.problem = problem
        settings = self._settings
        if record.failures == 1:
            delay_s = settings.torn_retry_s
        else:
            ceiling = min(settings.retry_max_s, settings.retry_first_s * 2 ** min(record.failures - 2, 30))
            delay_s = self._chance.uniform(settings.torn_retry_s, ceiling)
        self._read_later(record, delay_s)
        if first:
            log.bind(source=record.name, problem=problem).warning("a source can't be read; its last good answer stays")
        if record.value is None and first:
            self._watcher.tell(
                WatchSource(source=record.name, stamps=self._readings.default_stamps(record.name))
            )
        if record.value is None and record.name.startswith(STORE_PREFIX):
            self._facts.set_store(record.name, None, problem)
        elif record.name.startswith(LOGIN_PREFIX):
            self._index_stale = True
        self._show_problems(record)
        if first:
            self._republish_stale(record)

    def _is_briefly_gone(self, record: SourceRecord, old: object, new: object) -> bool:
        """Tell whether something that was there has just vanished: it is believed only when it stays away."""
        if not _is_something(old) or _is_something(new):
            return False
        now = self._clock.monotonic()
        if record.gone_since is None:
            record.gone_since = now
        left_s = record.gone_since + self._settings.gone_grace_s - now
        if left_s <= 0:
            return False
        self._read_later(record, left_s)
        return True

    def _home_read(self, record: SourceRecord, old: HomeReading | None, new: HomeReading) -> None:
        self._conditions.set("ConfigValid", True, "Read", "")
        if old is None or old != new:
            if old is not None:
                self._counters.config_reloads += 1
            self._catalog = new.catalog
            self._events.home_changed(new)
            self._reconcile(record, old, new)
            if old is None or self._facts.index is None:
                self._rebuild_index()
            else:
                self._index_stale = True
                self._refresh_index()
        self._settle_diffs(frozenset())

    def _store_read(self, record: SourceRecord, old: StoreFacts | None, new: StoreFacts) -> None:
        index = self._facts.index
        if old is not None and old == new:
            return
        self._facts.set_store(record.name, new)
        if old is None or index is None:
            # cells that said "unknown" for want of this store, and agents that wait for its first reading
            users = [self._agents[AgentId(user)] for user in record.users]
            waiting = [user for user in users if user.config.id in self._map.agents]
            if waiting:
                self._dirty_now(waiting, None, "credentials-changed", record.cause_at)
            return
        users = [self._agents[AgentId(user)] for user in sorted(record.users)]
        changed: frozenset[ProviderId] = frozenset()
        if old.credentials_digest != new.credentials_digest:
            changed = changed_by_store(old, new, index.answered)
            if changed:
                self._dirty_now(users, changed, "credentials-changed", record.cause_at)
        if old.windows_digest != new.windows_digest:
            used = changed_by_usage(old, new, index.answered) - changed
            self._counters.window_patches += 1
            for user in users:
                self._patch(user, used, record.cause_at)

    # ------------------------------------------------------------------------------------------------ shared facts

    def _reconcile(self, record: SourceRecord, old: HomeReading | None, new: HomeReading) -> None:
        """Bring the set of agents in line with the config."""
        config = new.home.config
        self._map.default_agent = config.default_agent
        self._main = store_source(config.main_store)
        agents = config.agents
        if not any(agent.id == MAIN for agent in agents):
            # what an agent outside the config would inherit is still asked for (formats 5.2)
            agents = (*agents, AgentConfig(id=MAIN_SHADOW, agent_dir=config.main_store, workspace_dir=""))
        wanted = {agent.id: agent for agent in agents}
        if old is not None and old.home.config.main_store != config.main_store:
            for agent_id in list(self._agents):
                self._retire_agent(agent_id)
        for agent_id in [agent_id for agent_id in self._agents if agent_id not in wanted]:
            self._retire_agent(agent_id)
        added = []
        for agent in agents:
            known = self._agents.get(agent.id)
            if known is not None and known.config.agent_dir != agent.agent_dir:
                self._move_agent(known, agent)
                added.append(known)
            elif known is not None:
                if known.config != agent:
                    known.config = agent
                    self._republish(known)
            else:
                added.append(self._add_agent(agent))
        if added:
            scope = Scope.product((agent.config.id for agent in added), None)
            owed = [one for one, (ticket, _, _) in self._diffs.items() if ticket <= record.done_ticket]
            generations = set(owed) or {self._mint(scope, "agent-added", record.cause_at)}
            reason = self._diffs[max(owed)][1] if owed else "agent-added"
            for agent_record in added:
                requires = {source: self._first_read(source, record.cause_at) for source in (agent_record.own, self._main)}
                if not self._grace_is_over:
                    for source in self._readings.login_sources:
                        requires[source] = self._first_read(source, record.cause_at)
                self._dirty(agent_record, generations, None, requires, reason, record.cause_at)
            if not owed:
                for generation in generations:
                    self._seal(generation)
        if old is not None and (
            old.home.config.secrets_digest != config.secrets_digest or old.home.environment != new.home.environment
        ):
            # references in stores may yield something else now
            for source in self._board.names(STORE_PREFIX):
                self._want(source, record.cause_at)

    def _add_agent(self, agent: AgentConfig) -> AgentRecord:
        own = store_source(StoreId(agent.agent_dir))
        record = self._agents[agent.id] = AgentRecord(agent, own, self._spawn(agent))
        for source in {own, self._main}:
            self._board.record(source).users.add(agent.id)
        return record

    def _move_agent(self, record: AgentRecord, agent: AgentConfig) -> None:
        self._cancel(record, None, {})
        self._release(record)
        record.config = agent
        record.own = store_source(StoreId(agent.agent_dir))
        for source in {record.own, self._main}:
            self._board.record(source).users.add(agent.id)

    def _retire_agent(self, agent_id: AgentId) -> None:
        record = self._agents.pop(agent_id)
        self._release(record)
        self._publisher.retire(agent_id)
        self._report(self._book.answer(record.wanted_generations(), agent_id, self._clock.monotonic()))
        self._stop_agent(record)

    def _release(self, record: AgentRecord) -> None:
        for source in {record.own, self._main}:
            users = self._board.record(source).users
            users.discard(record.config.id)
            if not users:
                del self._board.records[source]
                self._facts.forget_store(source)
                self._watcher.tell(UnwatchSource(source=source))

    def _rebuild_index(self) -> SharedIndex | None:
        """Index the newest shared facts; None until config and environment were read."""
        self._index_stale = False
        home = self._board.record(HOME).value
        if not isinstance(home, HomeReading):
            return None
        logins, unread = [], []
        for source in self._readings.login_sources:
            record = self._board.record(source)
            if isinstance(record.value, CliFacts):
                logins.append(record.value)
            elif record.problem:
                unread.append((source, record.problem))
            elif self._grace_is_over:
                unread.append((source, f"{source.removeprefix(LOGIN_PREFIX)} login is still being read"))
        facts = SharedFacts(home=home.home, clis=tuple(logins), unread_sources=tuple(unread))
        index = SharedIndex(facts, home.catalog.providers)
        self._facts.set_index(index)
        return index

    def _refresh_index(self) -> None:
        """Index newer shared facts if there are any, and make dirty what they touch."""
        if not self._index_stale:
            return
        old = self._facts.index
        new = self._rebuild_index()
        if old is None or new is None:
            return
        changed = changed_providers(old, new, self._clock.epoch())
        self._settle_diffs(changed)

    def _settle_diffs(self, changed: frozenset[ProviderId]) -> None:
        """Answer the attempts that wanted only what changed, now that it is known."""
        home = self._board.record(HOME)
        ready = [one for one, (ticket, _, _) in self._diffs.items() if home.value and ticket <= home.done_ticket]
        reason, cause_at = "shared-sources-changed", home.cause_at
        generations = set(ready)
        if ready:
            _, reason, cause_at = self._diffs[max(ready)]
        # an agent whose first sweep is still to come will be swept with the newest facts anyway
        concerned = [one for one in self._agents.values() if one.config.id in self._map.agents or one.running is not None]
        if changed and (concerned or generations):
            scope = Scope.product(None, changed)
            if not generations:
                generations = {self._mint(scope, reason, cause_at)}
            for generation in generations:
                if generation in self._diffs and reason not in ("startup", "restart"):
                    self._wants.narrow(generation, scope)
            for record in concerned:
                self._dirty(record, generations, changed, {}, reason, cause_at)
        for generation in generations:
            self._diffs.pop(generation, None)
            self._seal(generation)
        if generations:
            self._advance(self._agents.values())

    # -------------------------------------------------------------------------------------------------- what is dirty

    def _dirty(
        self,
        record: AgentRecord,
        generations: set[Generation],
        providers: frozenset[ProviderId] | None,
        requires: dict[str, int],
        reason: str,
        cause_at: float,
    ) -> None:
        for generation in generations:
            self._book.owe(generation, record.config.id)
        if record.add(DirtyScope(set(generations), providers, requires, reason, cause_at)):
            self._counters.merged_scopes += 1

    def _dirty_now(
        self, records: list[AgentRecord], providers: frozenset[ProviderId] | None, reason: str, cause_at: float
    ) -> None:
        """Make cells dirty whose facts are there already, as an attempt of their own."""
        generation = self._mint(Scope.product((one.config.id for one in records), providers), reason, cause_at)
        for record in records:
            self._dirty(record, {generation}, providers, {}, reason, cause_at)
        self._seal(generation)

    def _cancel(self, record: AgentRecord, generation: Generation | None, requires: dict[str, int]) -> None:
        """Stop a running sweep; what it was to answer waits for the readings of what cancelled it."""
        sweep = record.running
        if sweep is None:
            return
        record.running = None
        self._counters.cancelled_sweeps += 1
        if record.ref is not None:
            tell(record.ref, CancelSweep(generation=sweep.generation))
        own = {source: ticket for source, ticket in requires.items() if self._concerns(record, source)}
        for scope in sweep.scopes:
            scope.requires = own
            record.add(scope)
        if generation is None:
            log.bind(agent_id=record.config.id).debug("sweep cancelled: the agent moved")

    def _advance(self, records: Iterable[AgentRecord]) -> None:
        """Start the sweeps that can start."""
        self._refresh_index()
        if self._facts.index is None:
            return
        now = self._clock.epoch()
        for record in list(records):
            if record.running is not None or not record.dirty or record.config.id not in self._agents:
                continue
            scopes = record.take_ready(self._board.done)
            if not scopes:
                continue
            generation = max(generation for scope in scopes for generation in scope.generations)
            providers = union(scopes)
            evaluation = self._facts.evaluation(self._main, record.own, now)
            record.running = RunningSweep(generation, scopes)
            sweep = SweepAgent(
                generation=generation,
                evaluation=evaluation,
                providers=None if providers is None else tuple(sorted(providers)),
            )
            if record.ref is None or not tell(record.ref, sweep):
                tell(self.actor_ref, AgentActorDied(agent_id=record.config.id))

    # ------------------------------------------------------------------------------------------------- publication

    @handles(SweepFinished)
    def _on_sweep_finished(self, message: SweepFinished) -> None:
        record = self._agents.get(message.agent_id)
        if record is None or record.running is None or record.running.generation != message.generation:
            self._counters.discarded_results += 1
            return
        sweep, record.running = record.running, None
        self._counters.sweeps += 1
        self._counters.provider_checks += message.checks
        evaluation = message.evaluation
        published = self._map.agents.get(message.agent_id)
        if message.providers is None or published is None:
            table = evaluation.table()
        else:
            table = self._applied(published.table, evaluation, message.providers)
        if evaluation.ledger is not self._facts.ledger:
            table = self._with_ledger(table, evaluation)
        newest = max(sweep.scopes, key=lambda scope: max(scope.generations))
        self._publisher.publish(
            record.config,
            evaluation.view,
            table,
            generation=message.generation,
            providers=message.providers,
            stale=self._stale(record),
            reason=newest.reason,
            cause_at=min(scope.cause_at for scope in sweep.scopes),
        )
        answered = {generation for scope in sweep.scopes for generation in scope.generations}
        self._report(self._book.answer(answered, message.agent_id, self._clock.monotonic()))
        self._advance([record])
        self._arm_end()
        self._show_warm()

    @handles(LedgerChanged)
    def _on_ledger_changed(self, message: LedgerChanged) -> None:
        """Apply a report to published cells at once, then have the cells checked with a new reading."""
        key = message.key
        self._facts.set_ledger({**self._facts.ledger, key: message.entry}, shared=key.store is None)
        self._book.open(message.generation, message.reason, message.cause_at)
        source = None if key.store is None else store_source(key.store)
        requires: dict[str, int] = {}
        if source is not None and source in self._board.records:
            requires[source] = self._want(source, message.cause_at)
            records = [self._agents[AgentId(user)] for user in self._board.records[source].users]
        else:
            records = list(self._agents.values())
        patched: dict[int, tuple[CellTable, tuple[ProviderId, ...]]] = {}
        cells: set[tuple[AgentId, ProviderId]] = set()
        for record in records:
            auth = self._map.agents.get(record.config.id)
            if auth is None:
                continue
            known = patched.get(id(auth.table))
            if known is None:
                known = patched[id(auth.table)] = self._patched(auth, key)
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
            self._dirty(record, {message.generation}, frozenset(providers), requires, message.reason, message.cause_at)
        self._wants.narrow(message.generation, Scope.cells(cells))
        self._seal(message.generation)
        self._advance(records)
        self._arm_end()

    def _patched(self, auth: AgentAuth, key: LedgerKey) -> tuple[CellTable, tuple[ProviderId, ...]]:
        """Return an agent's table with one report applied, and the providers that it concerns."""
        index = self._facts.index
        if index is None:
            return auth.table, ()
        now, ledger = self._clock.epoch(), self._facts.ledger
        table = auth.table if key.store is not None else auth.table.on(self._facts.shared(now).shared)
        concerned = tuple(cell.provider for cell in table.cells() if _depends_on(cell, key))
        cells = {
            provider: decide(provider, cell.candidates, ledger, now, unread=auth.view.unread or index.unread_for(provider))
            for provider in concerned
            if (cell := table.own.get(provider)) is not None
        }
        return (table.replaced(cells) if cells else table), concerned

    def _patch(self, record: AgentRecord, providers: frozenset[ProviderId], cause_at: float) -> None:
        """Publish cells whose windows alone have changed: no check, no attempt of their own."""
        auth = self._map.agents.get(record.config.id)
        if auth is None or not providers:
            return
        evaluation = self._facts.evaluation(self._main, record.own, self._clock.epoch())
        self._publisher.publish(
            record.config,
            evaluation.view,
            self._applied(auth.table, evaluation, tuple(sorted(providers))),
            generation=None,
            providers=tuple(sorted(providers)),
            stale=self._stale(record),
            reason="usage-changed",
            cause_at=cause_at,
        )
        self._arm_end()

    def _applied(self, table: CellTable, evaluation: Evaluation, providers: tuple[ProviderId, ...]) -> CellTable:
        """Return a table with some cells replaced; the same object for all agents that had the same table."""
        key = (id(table), id(evaluation), providers)
        known = self._tables.get(key)
        if known is None:
            if len(self._tables) >= 64:
                self._tables.clear()
            # the inputs are kept beside the result: as long as they live, their ids are theirs
            known = self._tables[key] = (table, evaluation, evaluation.applied_to(table, providers))
        return known[2]

    def _with_ledger(self, table: CellTable, evaluation: Evaluation) -> CellTable:
        """Return a late sweep's table as it would be with the reports that came meanwhile: nothing refused comes back."""
        newer = [key for key, entry in self._facts.ledger.items() if evaluation.ledger.get(key) is not entry]
        index, now, ledger = self._facts.index, self._clock.epoch(), self._facts.ledger
        assert index is not None
        if any(key.store is None for key in newer):
            table = table.on(self._facts.shared(now).shared)
        cells = {
            provider: decide(
                provider, cell.candidates, ledger, now, unread=evaluation.view.unread or index.unread_for(provider)
            )
            for provider, cell in table.own.items()
            if any(_depends_on(cell, key) for key in newer)
        }
        return table.replaced(cells) if cells else table

    def _stale(self, record: AgentRecord) -> frozenset[ProviderId] | None:
        """Return the providers whose answer stands only because a source could not be read; None for all."""
        for source in (HOME, record.own, self._main):
            known = self._board.records.get(source)
            if known is not None and known.problem:
                return None
        stale: set[ProviderId] = set()
        for source in self._readings.login_sources:
            known = self._board.records.get(source)
            if known is not None and (known.problem or not known.was_read):
                provider = CLI_PROVIDERS[source.removeprefix(LOGIN_PREFIX)]
                stale |= {provider, auth_provider(provider)}
        return frozenset(stale)

    def _republish_stale(self, record: SourceRecord) -> None:
        """Publish whether answers are fresh, after a source broke or came back."""
        users = [self._agents[AgentId(user)] for user in record.users] if record.users else self._agents.values()
        for user in list(users):
            self._republish(user)

    def _republish(self, record: AgentRecord) -> None:
        auth = self._map.agents.get(record.config.id)
        if auth is None:
            return
        stale = self._stale(record)
        if stale == auth.stale and record.config == auth.agent:
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

    # -------------------------------------------------------------------------------------------- reading, when and how

    def _want(self, source: str, cause_at: float, *, hinted: bool = False) -> int:
        """Want a reading that starts from now on, and start it if none runs; return its ticket."""
        ticket = self._board.want(source, cause_at)
        record = self._board.records[source]
        record.hinted = hinted
        if self._board.may_start(source):
            self._start_read(record)
        return ticket

    def _first_read(self, source: str, cause_at: float) -> int:
        """Return the ticket of the first reading of a source, wanting it if nobody has yet."""
        record = self._board.record(source)
        if record.last_ticket == 0:
            return self._want(source, cause_at)
        return 1

    def _hint(self, source: str, cause_at: float) -> None:
        """Read a source again because of a file event: at once the first time, then at the pace of the settings."""
        record = self._board.records[source]
        if record.due and not record.failures:
            return
        wait_s = record.started_at + self._settings.hint_interval_s - self._clock.monotonic()
        record.cause_at = cause_at
        if wait_s > 0 or record.running:
            self._read_later(record, max(wait_s, 0.001))
        else:
            self._want(source, cause_at, hinted=True)

    def _read_later(self, record: SourceRecord, delay_s: float) -> None:
        record.due = True
        self._dispatcher.tell_later(delay_s, self.actor_ref, ReadDue(source=record.name))

    def _start_read(self, record: SourceRecord) -> None:
        source, me, readings = record.name, self.actor_ref, self._readings
        ticket = self._board.start(source, self._clock.monotonic())

        def deliver(outcome: ReadOutcome) -> None:
            value = outcome.value
            tell(
                me,
                SourceRead(
                    source=source,
                    ticket=ticket,
                    reading=value if isinstance(value, Reading) else None,
                    problem=outcome.error or "",
                    overran=outcome.failure is Failure.OVERRAN,
                ),
            )

        self._dispatcher.read(ReadJob(source, lambda: readings.read(source), deliver, self._settings.source_deadline_s))

    # --------------------------------------------------------------------------------------------------- small things

    def _in_scope(self, scope: Scope) -> list[AgentRecord]:
        if scope.agents is None:
            return list(self._agents.values())
        return [self._agents[agent] for agent in sorted(scope.agents) if agent in self._agents]

    def _concerns(self, record: AgentRecord, source: str) -> bool:
        return not source.startswith(STORE_PREFIX) or source in (record.own, self._main)

    def _mint(self, scope: Scope, reason: str, cause_at: float) -> Generation:
        generation = self._wants.mint(scope)
        self._book.open(generation, reason, cause_at)
        return generation

    def _seal(self, generation: Generation) -> None:
        report = self._book.seal(generation, self._clock.monotonic())
        if report is not None:
            self._report([report])

    def _report(self, reports: list[WarmReport]) -> None:
        for report in reports:
            self._counters.warms += 1
            self._wants.retire(report.generation)
            self._events.warm_finished(report)

    def _spawn(self, agent: AgentConfig):  # type: ignore[no-untyped-def]
        return self._dispatcher.spawn(
            AuthStateActor, agent.id, self._me, self._clock, self._settings, pooled=True, name=f"agent-{agent.id}"
        )

    def _stop_agent(self, record: AgentRecord) -> None:
        if record.ref is not None and record.ref.is_alive():
            record.ref.stop(block=False)
        record.ref = None

    def _arm_grace(self) -> None:
        if not self._grace_armed:
            self._grace_armed = True
            self._grace_is_over = False
            settings = self._settings
            wait_s = settings.source_deadline_s if settings.one_shot else settings.source_grace_s
            self._dispatcher.tell_later(wait_s, self.actor_ref, GraceOver())

    def _arm_resync(self) -> None:
        if self._resync is not None:
            self._resync.cancel()
        delay_s = self._settings.resync_interval_s * self._chance.uniform(0.9, 1.1)
        self._resync = self._dispatcher.tell_later(delay_s, self.actor_ref, ResyncDue())

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

    def _show_problems(self, record: SourceRecord) -> None:
        if record.name == HOME:
            if record.problem:
                self._conditions.set("ConfigValid", False, "Unreadable", record.problem)
            return
        prefix, kind = (
            (STORE_PREFIX, "StoresReadable") if record.name.startswith(STORE_PREFIX) else (LOGIN_PREFIX, "LoginsReadable")
        )
        broken = [self._board.records[name] for name in self._board.names(prefix)]
        problems = [one.problem for one in broken if one.problem]
        self._conditions.set(kind, not problems, "Unreadable" if problems else "Read", "; ".join(sorted(problems)[:5]))

    def _show_warm(self) -> None:
        if not self._warm and self._agents and all(agent in self._map.agents for agent in self._agents):
            self._warm = True
            self._events.all_warm()


def _is_something(facts: object) -> bool:
    """Tell whether a store or a login was there."""
    if isinstance(facts, StoreFacts):
        return facts.kind != "none"
    return isinstance(facts, CliFacts) and facts.found


def _depends_on(cell: Cell, key: LedgerKey) -> bool:
    """Tell whether a report is about one of the credentials that a cell was folded from."""
    return any(
        candidate.evidence.id == key.evidence_id and candidate.store == key.store and candidate.digest == key.digest
        for candidate in cell.candidates
    )


__all__ = ["WarmerActor", "WarmerEvents"]

