"""FailureListener: owns what is reported of credentials: the hook slot's other end, the classification, the failure
ledger.

Owns: the ledger keyed by (store, evidence id, secret digest), and the usage that waits to be written. Receives:
ReportFailure, ReportSuccess, ForgiveScope, ForgetUsage, FlushUsage; UsageDue and UsageWritten of its own. Sends:
LedgerChanged, ReportAnswered and WarmScope to the WarmerActor. Dies when: told to stop. After a restart: the ledger
goes on (it is kept with the supervisor), unwritten usage is lost.

A report is applied in memory at once; the write to disk follows, gathered per store, under OpenClaw's own lock. What
can't be written is kept and tried again, ever more slowly. A report for an agent that isn't published yet waits for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial

from openclaw_actors.actors.address import Address
from openclaw_actors.actors.base import BaseActor, Lane, handles, tell
from openclaw_actors.actors.dispatch import Dispatcher
from openclaw_actors.actors.early_reports import EarlyReports
from openclaw_actors.actors.unwritten_usage import Step, UnwrittenUsage
from openclaw_actors.auth.binding import bound, key_of
from openclaw_actors.auth.failures import (
    Effect,
    active_windows,
    after_success,
    cleared,
    effect_of,
)
from openclaw_actors.auth.ledger import LedgerEntry, LedgerKey, effective_windows, latest_time, newest_time, prune
from openclaw_actors.auth.reports import find_reported, windows_after_failure
from openclaw_actors.auth.verdict import Candidate
from openclaw_actors.counters import Counters
from openclaw_actors.health import ConditionBoard
from openclaw_actors.home.facts import ConfigFacts
from openclaw_actors.home.providers import auth_provider
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

_GONE = "gone"
"""What a usage write comes to when there is no store any more."""

LedgerBook = dict[LedgerKey, LedgerEntry]

_MOST_FORGOTTEN = 1000
"""How many removed profiles are remembered at a time."""

_LONGEST_DELAY_S = 300.0
"""How long a write that keeps failing waits for its next try, at most."""


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
        self._waiting: dict[StoreId, UnwrittenUsage] = {}
        self._memory_only: dict[StoreId, str] = {}
        self._flushing = False
        self._forgotten: dict[tuple[StoreId, str], float] = {}
        """Until when what was reported of a profile isn't to be written, monotonic seconds: it was removed then."""
        self._early = EarlyReports(self.actor_ref, warmer, dispatcher, prepared, config)

    def on_stop(self) -> None:
        """Leave no early report without an answer."""
        self._early.give_up()

    def _on_handler_error(self, message: object, error: BaseException) -> None:
        if isinstance(message, ReportFailure | ReportSuccess):
            self._warmer.tell(ReportAnswered(generation=message.generation))
        elif isinstance(message, ForgiveScope):
            self._warmer.tell(message.warm)

    @handles(ReportFailure)
    def _on_report_failure(self, message: ReportFailure) -> None:
        if self._early.waits(message):
            return
        self._counters.failures_reported += 1
        found = self._find(message.agent_id, message.evidence_id)
        if found is None or found[1].exempt or effect_of(message.reason) is Effect.NONE:
            self._warmer.tell(ReportAnswered(generation=message.generation))
            return
        provider, candidate = found
        config = self._config()
        step = partial(
            windows_after_failure,
            reason=message.reason,
            now_ms=_ms(message.observed_at),
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
        observed_ms = _ms(message.observed_at)
        if known is not None and _resting(windows, observed_ms) == _resting(known, observed_ms) != []:
            # another reason inside a window that stays as it is: counted, and nobody's answer is another one
            self._ledger[key_of(candidate)] = LedgerEntry(windows, observed_ms)
            self._warmer.tell(ReportAnswered(generation=message.generation))
            self._write(candidate, step, message.cause_at)
            return
        self._apply(message.generation, candidate, windows, observed_ms, "failure-reported", message.cause_at)
        self._write(candidate, step, message.cause_at)

    @handles(ReportSuccess)
    def _on_report_success(self, message: ReportSuccess) -> None:
        if self._early.waits(message):
            return
        self._counters.successes_reported += 1
        found = self._find(message.agent_id, message.evidence_id)
        if found is None:
            self._warmer.tell(ReportAnswered(generation=message.generation))
            return
        provider, candidate = found
        step = partial(_succeeded, now_ms=_ms(message.observed_at))
        known = self._known(candidate)
        if _ms(message.observed_at) < newest_time(known, self._now_ms()):
            # a request that was sent before the refusal and came back after it proves nothing
            self._warmer.tell(ReportAnswered(generation=message.generation))
            return
        if any(_rests(self._known(one)) for one in self._same_secret(message.agent_id, candidate)):
            self._apply(
                message.generation,
                candidate,
                step(known),
                _ms(message.observed_at),
                "success-reported",
                message.cause_at,
            )
        else:
            # what most reports say, thousands of them: nobody's answer changes, so nobody is asked for one
            self._warmer.tell(ReportAnswered(generation=message.generation))
        self._write(candidate, step, message.cause_at, last_good=(auth_provider(provider), candidate.evidence.id))

    @handles(ForgiveScope)
    def _on_forgive_scope(self, message: ForgiveScope) -> None:
        warm = message.warm
        done: set[LedgerKey] = set()
        for auth in list(self._map.agents.values()):
            providers = warm.scope.providers_of(auth.agent_id)
            for provider, candidate in _candidates(auth):
                key = key_of(candidate)
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
                        # newer than what is forgiven, also when that was a moment ago or dated by a fast clock
                        max(_ms(message.observed_at), latest_time(known) + 1),
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
        if not waiting.writing and not waiting.steps:
            del self._waiting[message.store]
        self._start_write(message.store, waiting)

    @handles(UsageWritten)
    def _on_usage_written(self, message: UsageWritten) -> None:
        store = message.store
        waiting = self._waiting.setdefault(store, UnwrittenUsage())
        waiting.end(failed=bool(message.problem))
        waiting.problem = message.problem
        waiting.failures = waiting.failures + 1 if message.problem else 0
        if message.problem:
            log.bind(store=store).warning("usage of a store can't be written now: {}", message.problem)
        if message.gone:
            waiting.steps.clear()
        if message.permanent or (message.problem and self._flushing):
            self._memory_only[store] = message.problem
            waiting.steps.clear()
        if not waiting.steps:
            if not waiting.due:
                del self._waiting[store]
        elif self._flushing:
            self._start_write(store, waiting)
        elif not waiting.due:
            self._schedule(store, waiting)
        problems = {one: each.problem for one, each in self._waiting.items() if each.problem} | self._memory_only
        self._conditions.set(
            "UsagePersisted", not problems, "Unwritable" if problems else "Written", "; ".join(problems.values())
        )
        self._show_flushed()

    @handles(ForgetUsage)
    def _on_forget_usage(self, message: ForgetUsage) -> None:
        if len(self._forgotten) + len(message.profiles) > _MOST_FORGOTTEN:
            self._forgotten.clear()  # all of them are long over
        self._forgotten |= {(message.store, name): message.made_at for name in message.profiles}
        waiting = self._waiting.get(message.store)
        if waiting is not None:
            waiting.forget(message.profiles)

    @handles(FlushUsage)
    def _on_flush_usage(self, _message: FlushUsage) -> None:
        self._flushing = True
        for store, waiting in list(self._waiting.items()):
            self._start_write(store, waiting)
        self._show_flushed()

    def _write(
        self, candidate: Candidate, step: Step, reported_at: float, *, last_good: tuple[str, str] | None = None
    ) -> None:
        """Have a report written, together with others of its store that come soon."""
        store = candidate.store
        if store is not None and self._forgotten.get((store, candidate.evidence.id), -1.0) >= reported_at:
            return
        if store is None or candidate.evidence.source != "profile" or store in self._memory_only:
            return
        waiting = self._waiting.setdefault(store, UnwrittenUsage())
        waiting.add(candidate.evidence.id, step)
        if last_good is not None:
            waiting.last_good[last_good[0]] = last_good[1]
        if self._flushing:
            self._start_write(store, waiting)
        elif not waiting.due and not waiting.writing:
            self._schedule(store, waiting)

    def _schedule(self, store: StoreId, waiting: UnwrittenUsage) -> None:
        waiting.due = True
        delay_s = min(_LONGEST_DELAY_S, self._settings.usage_flush_s * 2 ** min(waiting.failures, 20))
        self._dispatcher.tell_later(delay_s, self.actor_ref, UsageDue(store=store))

    def _start_write(self, store: StoreId, waiting: UnwrittenUsage) -> None:
        if waiting.writing or not waiting.steps:
            return
        steps, last_good = waiting.begin()
        last_good = dict(last_good)  # the other is this actor's to change
        me, timeout_s = self.actor_ref, self._settings.lock_timeout_s
        changes = {profile: partial(_in_turn, tuple(each)) for profile, each in steps.items()}

        def write() -> object:
            if not os.path.isdir(store):
                return _GONE  # with its agent; it is nobody's business to make it again
            return write_usage(store, changes, last_good=last_good, lock_timeout_s=timeout_s)

        def deliver(outcome: ReadOutcome) -> None:
            permanent = "keeps its profiles in SQLite" in outcome.problem
            gone = outcome.value == _GONE
            tell(me, UsageWritten(store=store, problem=outcome.problem, permanent=permanent, gone=gone))

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
        observed_ms: int,
        reason: str,
        cause_at: float,
        *,
        followed: bool = False,
    ) -> None:
        key = key_of(candidate)
        entry = LedgerEntry(windows, observed_ms)
        self._ledger[key] = entry
        prune(self._ledger, self._now_ms())
        self._warmer.tell(
            LedgerChanged(
                generation=generation, key=key, entry=entry, reason=reason, cause_at=cause_at, followed=followed
            )
        )

    def _known(self, candidate: Candidate) -> Windows | None:
        return effective_windows(candidate.windows, self._ledger.get(key_of(candidate)), self._now_ms())

    def _now_ms(self) -> int:
        return round(self._dispatcher.clock.epoch() * 1000)

    def _same_secret(self, agent_id: AgentId, candidate: Candidate) -> Iterator[Candidate]:
        """Yield the candidate and what else has its secret: a refusal of either holds for both."""
        yield candidate
        auth = self._map.agents.get(agent_id)
        if auth is not None and candidate.digest is not None:
            yield from (other for _, other in _candidates(auth, candidate.digest) if other.digest == candidate.digest)

    def _find(self, agent_id: AgentId, evidence_id: EvidenceId) -> tuple[ProviderId, Candidate] | None:
        auth = self._map.agents.get(agent_id)
        found = find_reported(auth.table, auth.view, evidence_id) if auth is not None else None
        return (found.provider, found.candidate) if found is not None else None


def _candidates(auth: AgentAuth, digest: bytes | None = None) -> Iterator[tuple[ProviderId, Candidate]]:
    """Yield everything that an agent's cells were folded from, or at least what has the secret with a digest."""
    view = auth.view
    names = {one.outline.id for one in view.profiles if one.digest == digest} if digest is not None else None
    for cell in auth.table.folded():
        for candidate in cell.candidates:
            if not cell.is_common:
                yield cell.provider, candidate
            elif names is None or candidate.store is None or candidate.evidence.id in names:
                yield cell.provider, bound(candidate, view)


def _ms(epoch_s: float) -> int:
    """Return milliseconds as they are written to disk: a report is as old there as here."""
    return int(epoch_s * 1000)


def _resting(windows: Windows, now_ms: int) -> list[tuple[object, ...]]:
    """Return what rests until when, and what that means, whatever its reason."""
    return [(window.kind, window.effect, window.until_ms, window.model) for window in active_windows(windows, now_ms)]


def _rests(windows: Windows | None) -> bool:
    """Tell whether there is a window for a success to clear, be it over or not."""
    return windows is not None and any((windows.blocked_until, windows.cooldown_until, windows.disabled_until))


def _succeeded(windows: Windows | None, *, now_ms: int) -> Windows:
    return after_success(windows, now_ms)


def _in_turn(steps: tuple[Step, ...], windows: Windows | None) -> Windows | None:
    for step in steps:
        windows = step(windows)
    return windows


__all__ = ["FailureListener", "LedgerBook"]
