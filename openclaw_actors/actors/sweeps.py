"""The WarmerActor's ledger of work: which cells are dirty, which sweeps run, which attempts are open."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from openclaw_actors.actors.agent_board import AgentRecord, DirtyScope, RunningSweep, union
from openclaw_actors.actors.base import tell
from openclaw_actors.actors.evaluations import Evaluations
from openclaw_actors.actors.source_board import STORE_PREFIX, SourceBoard
from openclaw_actors.actors.warm_book import WarmBook, WarmReport
from openclaw_actors.clock import Clock
from openclaw_actors.counters import Counters
from openclaw_actors.ids import AgentId, Generation, ProviderId
from openclaw_actors.messages import CancelSweep, SweepAgent, SweepFinished
from openclaw_actors.scope import Scope
from openclaw_actors.wants import Wants


class Required:
    """The readings that an attempt waits for, by whom they concern: each agent's are looked up, since a recheck of
    thousands of agents waits for as many stores.
    """

    def __init__(self, tickets: Mapping[str, int]) -> None:
        self._stores = {source: ticket for source, ticket in tickets.items() if source.startswith(STORE_PREFIX)}
        self._others = {source: ticket for source, ticket in tickets.items() if source not in self._stores}

    def of(self, record: AgentRecord, main: str) -> dict[str, int]:
        """Return the readings that one agent has to wait for: not those of stores that it doesn't see."""
        seen = {source: self._stores[source] for source in (record.own, main) if source in self._stores}
        return self._others | seen


class Sweeps:
    """Makes cells dirty and starts the sweeps that can start: at most one per agent runs, and what waits is merged."""

    def __init__(
        self,
        board: SourceBoard,
        facts: Evaluations,
        wants: Wants,
        counters: Counters,
        clock: Clock,
        on_finished: Callable[[WarmReport], None],
    ) -> None:
        self._board = board
        self._facts = facts
        self._wants = wants
        self._counters = counters
        self._clock = clock
        self._on_finished = on_finished
        self._book = WarmBook()
        self._serial = 0

    def open(self, generation: Generation, reason: str, cause_at: float) -> None:
        """Note an attempt that somebody asked for."""
        self._book.open(generation, reason, cause_at)

    def mint(self, scope: Scope, reason: str, cause_at: float, source: str = "") -> Generation:
        """Ask for an attempt of our own; `source` is the one whose file event made that necessary."""
        generation = self._wants.mint(scope)
        self._book.open(generation, reason, cause_at, source)
        return generation

    def narrow(self, generation: Generation, scope: Scope) -> None:
        """Say what an attempt's scope turned out to be."""
        self._wants.narrow(generation, scope)

    def seal(self, *generations: Generation) -> None:
        """Note that all agents that owe these attempts an answer are known."""
        for generation in generations:
            report = self._book.seal(generation, self._clock.monotonic())
            if report is not None:
                self._report(report)

    def wants(self, generation: Generation) -> bool:
        """Tell whether an attempt is still unanswered."""
        return self._wants.is_open(generation)

    def retire(self, generation: Generation) -> None:
        """Note that an attempt needs no sweep."""
        self._wants.retire(generation)

    def dirty(self, record: AgentRecord, scope: DirtyScope) -> None:
        """Make cells of one agent dirty."""
        for generation in scope.generations:
            self._book.owe(generation, record.config.id)
        if record.add(scope):
            self._counters.merged_scopes += 1

    def dirty_now(
        self,
        records: list[AgentRecord],
        providers: frozenset[ProviderId] | None,
        reason: str,
        cause_at: float,
        source: str = "",
    ) -> None:
        """Make cells dirty whose facts are there already, as an attempt of its own."""
        scope = Scope.product((record.config.id for record in records), providers)
        generation = self.mint(scope, reason, cause_at, source)
        for record in records:
            self.dirty(record, DirtyScope({generation}, providers, {}, reason, cause_at))
        self.seal(generation)

    def cancel(self, record: AgentRecord, requires: dict[str, int]) -> None:
        """Stop a running sweep between two providers; what it was to answer waits for the canceller's readings."""
        sweep, record.running = record.running, None
        if sweep is None:
            return
        self._counters.cancelled_sweeps += 1
        if record.ref is not None:
            tell(record.ref, CancelSweep(generation=sweep.generation, serial=sweep.serial))
        for scope in sweep.scopes:
            scope.requires = dict(requires)
            record.add(scope)

    def requeue(self, record: AgentRecord) -> None:
        """Make dirty again what a sweep was working on that died with its actor."""
        if record.running is not None:
            record.dirty.extend(record.running.scopes)
            record.running = None

    def start(self, records: Iterable[AgentRecord]) -> tuple[list[AgentRecord], list[SweepFinished]]:
        """Start the sweeps that can start; return agents whose actor isn't there for it, and what is done already."""
        dead, done = [], []
        now = self._clock.epoch()
        for record in records:
            if record.running is not None or not record.dirty:
                continue
            scopes = record.take_ready(self._board.done)
            if not scopes:
                continue
            generation = max(generation for scope in scopes for generation in scope.generations)
            providers = union(scopes)
            evaluation = self._facts.evaluation(record.own, now)
            self._serial += 1
            record.running = RunningSweep(generation, scopes, evaluation, self._serial)
            if providers is None and not record.swept and evaluation.is_complete:
                # another agent has folded what this one is to see first: nothing is left for its actor
                checks = len(evaluation.table())
                done.append(
                    SweepFinished(
                        agent_id=record.config.id,
                        generation=generation,
                        evaluation=evaluation,
                        providers=None,
                        checks=checks,
                        serial=self._serial,
                    )
                )
                continue
            sweep = SweepAgent(
                generation=generation,
                evaluation=evaluation,
                providers=None if providers is None else tuple(sorted(providers)),
                serial=self._serial,
            )
            if record.ref is None or not tell(record.ref, sweep):
                dead.append(record)
        return dead, done

    def finish(self, record: AgentRecord | None, message: SweepFinished) -> RunningSweep | None:
        """Take a sweep's end in; None when it was cancelled, or nobody waits for it."""
        sweep = record.running if record is not None else None
        if (
            record is None
            or sweep is None
            # of an earlier warmer's sweeps, whose serials are ours too, none has folded this evaluation
            or (sweep.serial, sweep.evaluation) != (message.serial, message.evaluation)
        ):
            self._counters.discarded_results += 1
            return None
        record.running, record.swept = None, True
        self._counters.sweeps += 1
        self._counters.provider_checks += message.checks
        return sweep

    def answered(self, agent_id: AgentId, generations: Iterable[Generation], *, changed: bool = True) -> None:
        """Note that an agent has answered some attempts, and whether any of its answers has changed."""
        for report in self._book.answer(generations, agent_id, self._clock.monotonic(), changed=changed):
            self._report(report)

    def _report(self, report: WarmReport) -> None:
        self._counters.warms += 1
        self._wants.retire(report.generation)
        self._on_finished(report)
