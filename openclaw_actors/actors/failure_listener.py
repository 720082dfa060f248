"""FailureListener: owns what is reported of credentials: the hook slot's other end, the classification, the failure
ledger.

Owns: the ledger keyed by (store, evidence id, secret digest), and the usage that waits to be written. Receives:
ReportFailure, ReportSuccess, ForgiveScope, ForgetUsage, FlushUsage; UsageDue and UsageWritten of its own. Sends:
LedgerChanged, ReportAnswered and WarmScope to the WarmerActor. Dies when: told to stop. After a restart: the ledger
goes on (it is kept with the supervisor), unwritten usage is lost.

A report is applied in memory at once; the write to disk follows, gathered per store, under OpenClaw's own lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

from openclaw_actors.actors.address import Address
from openclaw_actors.actors.base import BaseActor, Lane, handles, tell
from openclaw_actors.actors.dispatch import Dispatcher
from openclaw_actors.auth.failures import Effect, after_failure, after_success, backoff_from_json, cleared, effect_of
from openclaw_actors.auth.ledger import LedgerEntry, LedgerKey, effective_windows
from openclaw_actors.auth.verdict import Candidate
from openclaw_actors.counters import Counters
from openclaw_actors.health import ConditionBoard
from openclaw_actors.home.external_cli import login_of_profile
from openclaw_actors.home.facts import ConfigFacts
from openclaw_actors.home.providers import auth_provider, normalise_provider
from openclaw_actors.home.stores.usage_writer import write_usage
from openclaw_actors.home.stores.windows import Windows
from openclaw_actors.ids import AgentId, EvidenceId, Generation, ProviderId, StoreId
from openclaw_actors.log import log
from openclaw_actors.messages import (
    FlushUsage,
    ForgetUsage,
    ForgiveScope,
    LedgerChanged,
    ReportAnswered,
    ReportFailure,
    ReportSuccess,
    UsageDue,
    UsageWritten,
)
from openclaw_actors.prepared import AgentAuth, PreparedMap
from openclaw_actors.reading.job import ReadJob, ReadOutcome
from openclaw_actors.settings import Settings

Step = Callable[[Windows | None], Windows | None]
"""What one report does to the usage stats that are on disk by then."""

LedgerBook = dict[LedgerKey, LedgerEntry]

_WRITE_TRIES = 5
"""How often a write that fails is tried again before its usage is kept in memory only."""


@dataclass(slots=True)
class _Waiting:
    """Usage of one store that is not written yet."""

    steps: dict[str, list[Step]] = field(default_factory=dict)
    last_good: dict[str, str] = field(default_factory=dict)
    due: bool = False
    writing: bool = False
    failures: int = 0


class FailureListener(BaseActor):
    """Takes reports, applies them at once, and has them written."""

    def __init__(
        self,
        *,
        warmer: Address,
        dispatcher: Dispatcher,
        prepared: PreparedMap,
        config: Callable[[], ConfigFacts | None],
        ledger: LedgerBook,
        counters: Counters,
        conditions: ConditionBoard,
        settings: Settings,
        on_flushed: Callable[[], None],
        lane: Lane,
    ) -> None:
        super().__init__(lane=lane)
        self._warmer = warmer
        self._dispatcher = dispatcher
        self._map = prepared
        self._config = config
        self._ledger = ledger
        self._counters = counters
        self._conditions = conditions
        self._settings = settings
        self._on_flushed = on_flushed
        self._waiting: dict[StoreId, _Waiting] = {}
        self._memory_only: dict[StoreId, str] = {}
        self._flushing = False

    @handles(ReportFailure)
    def _on_report_failure(self, message: ReportFailure) -> None:
        self._counters.failures_reported += 1
        found = self._find(message.agent_id, message.evidence_id)
        if found is None or found[1].exempt or effect_of(message.reason) is Effect.NONE:
            self._warmer.tell(ReportAnswered(generation=message.generation))
            return
        provider, candidate = found
        config = self._config()
        step = partial(
            _failed,
            reason=message.reason,
            now_ms=int(message.observed_at * 1000),
            provider=provider,
            model=message.model,
            cooldowns=config.cooldowns if config is not None else b"",
        )
        known = self._known(candidate)
        windows = step(known)
        if windows is known or windows is None:
            # the same refusal inside its own window: requests that were under way together count once
            self._warmer.tell(ReportAnswered(generation=message.generation))
            return
        self._apply(message.generation, candidate, windows, message.observed_at, "failure-reported", message.cause_at)
        self._write(candidate, step)

    @handles(ReportSuccess)
    def _on_report_success(self, message: ReportSuccess) -> None:
        self._counters.successes_reported += 1
        found = self._find(message.agent_id, message.evidence_id)
        if found is None:
            self._warmer.tell(ReportAnswered(generation=message.generation))
            return
        provider, candidate = found
        step = partial(_succeeded, now_ms=int(message.observed_at * 1000))
        known = self._known(candidate)
        newest = max(known.last_failure_at or 0, known.last_used or 0) if known is not None else 0
        if int(message.observed_at * 1000) < newest:
            # a request that was sent before the refusal and came back after it proves nothing
            self._warmer.tell(ReportAnswered(generation=message.generation))
            return
        self._apply(
            message.generation, candidate, step(known), message.observed_at, "success-reported", message.cause_at
        )
        self._write(candidate, step, last_good=(auth_provider(provider), candidate.evidence.id))

    @handles(ForgiveScope)
    def _on_forgive_scope(self, message: ForgiveScope) -> None:
        warm = message.warm
        done: set[LedgerKey] = set()
        for auth in list(self._map.agents.values()):
            providers = warm.scope.providers_of(auth.agent_id)
            for provider, candidate in _candidates(auth):
                key = _key(candidate)
                wanted = (providers is None or provider in providers) and key not in done
                if not wanted or (message.evidence_id is not None and candidate.evidence.id != message.evidence_id):
                    continue
                known = self._known(candidate)
                if known is not None and cleared(known) != known:
                    done.add(key)
                    self._apply(
                        warm.generation,
                        candidate,
                        cleared(known),
                        message.observed_at,
                        warm.reason,
                        warm.cause_at,
                        followed=True,
                    )
        self._warmer.tell(warm)

    # ------------------------------------------------------------------------------------------------------- writing

    @handles(UsageDue)
    def _on_usage_due(self, message: UsageDue) -> None:
        waiting = self._waiting.get(message.store)
        if waiting is None:
            return
        waiting.due = False
        self._start_write(message.store, waiting)

    @handles(UsageWritten)
    def _on_usage_written(self, message: UsageWritten) -> None:
        waiting = self._waiting.get(message.store)
        if waiting is not None:
            waiting.writing = False
        if not message.problem:
            if waiting is not None:
                waiting.failures = 0
            self._conditions.set(
                "UsagePersisted", not self._memory_only, "Written", "; ".join(self._memory_only.values())
            )
        else:
            self._failed_write(message, waiting)
        if waiting is not None and not waiting.writing and not waiting.due:
            if waiting.steps and message.store not in self._memory_only:
                self._schedule(message.store, waiting)
            else:
                del self._waiting[message.store]
        self._show_flushed()

    @handles(ForgetUsage)
    def _on_forget_usage(self, message: ForgetUsage) -> None:
        waiting = self._waiting.get(message.store)
        if waiting is not None:
            for profile in message.profiles:
                waiting.steps.pop(profile, None)
            waiting.last_good = {one: name for one, name in waiting.last_good.items() if name not in message.profiles}

    @handles(FlushUsage)
    def _on_flush_usage(self, _message: FlushUsage) -> None:
        self._flushing = True
        for store, waiting in list(self._waiting.items()):
            self._start_write(store, waiting)
        self._show_flushed()

    def _failed_write(self, message: UsageWritten, waiting: _Waiting | None) -> None:
        store = message.store
        if waiting is not None:
            waiting.failures += 1
        if message.permanent or waiting is None or waiting.failures >= _WRITE_TRIES or self._flushing:
            self._memory_only[store] = message.problem
            if waiting is not None:
                waiting.steps.clear()
        log.bind(store=store).warning("usage of a store can't be written; it is kept in memory: {}", message.problem)
        self._conditions.set("UsagePersisted", False, "Unwritable", message.problem)

    def _write(self, candidate: Candidate, step: Step, last_good: tuple[str, str] | None = None) -> None:
        """Have a report written, together with others of its store that come soon."""
        store = candidate.store
        if store is None or candidate.evidence.source != "profile" or store in self._memory_only:
            return
        waiting = self._waiting.setdefault(store, _Waiting())
        waiting.steps.setdefault(candidate.evidence.id, []).append(step)
        if last_good is not None:
            waiting.last_good[last_good[0]] = last_good[1]
        if not waiting.due and not waiting.writing:
            self._schedule(store, waiting)

    def _schedule(self, store: StoreId, waiting: _Waiting) -> None:
        waiting.due = True
        delay_s = self._settings.usage_flush_s * 2**waiting.failures
        self._dispatcher.tell_later(delay_s, self.actor_ref, UsageDue(store=store))

    def _start_write(self, store: StoreId, waiting: _Waiting) -> None:
        if waiting.writing or not waiting.steps:
            return
        steps, waiting.steps = waiting.steps, {}
        last_good, waiting.last_good = waiting.last_good, {}
        waiting.writing = True
        me, timeout_s = self.actor_ref, self._settings.lock_timeout_s
        changes = {profile: partial(_in_turn, tuple(each)) for profile, each in steps.items()}

        def write() -> object:
            return write_usage(store, changes, last_good=last_good, lock_timeout_s=timeout_s)

        def deliver(outcome: ReadOutcome) -> None:
            permanent = not outcome.ok and (outcome.error or "").startswith("StoreReadOnlyError")
            tell(me, UsageWritten(store=store, problem=outcome.problem, permanent=permanent))

        # the lock may be held by another process for as long as the deadline of a reading, so it gets time beside it
        self._dispatcher.read(ReadJob(f"usage:{store}", write, deliver, timeout_s + self._settings.source_deadline_s))

    def _show_flushed(self) -> None:
        if self._flushing and not any(waiting.writing or waiting.steps for waiting in self._waiting.values()):
            self._on_flushed()

    # ------------------------------------------------------------------------------------------------------ the ledger

    def _apply(
        self,
        generation: Generation,
        candidate: Candidate,
        windows: Windows,
        observed_at: float,
        reason: str,
        cause_at: float,
        *,
        followed: bool = False,
    ) -> None:
        key = _key(candidate)
        entry = LedgerEntry(windows, int(observed_at * 1000))
        self._ledger[key] = entry
        self._warmer.tell(
            LedgerChanged(
                generation=generation, key=key, entry=entry, reason=reason, cause_at=cause_at, followed=followed
            )
        )

    def _known(self, candidate: Candidate) -> Windows | None:
        return effective_windows(candidate.windows, self._ledger.get(_key(candidate)))

    def _find(self, agent_id: AgentId, evidence_id: EvidenceId) -> tuple[ProviderId, Candidate] | None:
        auth = self._map.agents.get(agent_id)
        if auth is None:
            return None
        found = None
        names = {evidence_id, login_of_profile(evidence_id)}
        for provider, candidate in _candidates(auth):
            if candidate.evidence.id in names:
                found = (provider, candidate)
                if auth_provider(provider) == provider:
                    break
        return found


def _candidates(auth: AgentAuth) -> Iterator[tuple[ProviderId, Candidate]]:
    for cell in auth.table.cells():
        for candidate in cell.candidates:
            yield cell.provider, candidate


def _key(candidate: Candidate) -> LedgerKey:
    return LedgerKey(candidate.store, candidate.evidence.id, candidate.digest)


def _failed(
    windows: Windows | None, *, reason: str, now_ms: int, provider: ProviderId, model: str | None, cooldowns: bytes
) -> Windows | None:
    backoff = backoff_from_json(cooldowns, normalise=normalise_provider)
    return after_failure(windows, reason, now_ms, provider=provider, model=model, backoff=backoff)


def _succeeded(windows: Windows | None, *, now_ms: int) -> Windows:
    return after_success(windows, now_ms)


def _in_turn(steps: tuple[Step, ...], windows: Windows | None) -> Windows | None:
    for step in steps:
        windows = step(windows)
    return windows


__all__ = ["FailureListener", "LedgerBook"]
