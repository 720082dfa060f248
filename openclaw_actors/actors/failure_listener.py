"""FailureListener: owns what is reported of credentials: the hook slot's other end, the classification, the failure
ledger.

Owns: the ledger keyed by (store, evidence id, secret digest), the usage that waits to be written, and the reports that
wait for their agents. Receives: ReportFailure, ReportSuccess, ForgiveScope, HoldUsage, ForgetUsage, FlushUsage,
WarmerRestarted; TakeOver, UsageDue, UsageWritten and EarlyReportsDue of its own. Sends: LedgerChanged, ReportAnswered
and WarmScope to the WarmerActor. Dies when: told to stop. After a restart: everything goes on, since all that it owns
is kept with the supervisor (`ReportMemory`), and its address keeps each message until it is done with it.

A report is applied in memory at once; the write to disk follows, gathered per store, under OpenClaw's own lock. What
can't be written is kept and tried again, ever more slowly. A report for an agent that isn't published yet waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from pykka._envelope import Envelope

from openclaw_actors.actors.address import Address
from openclaw_actors.actors.base import BaseActor, Lane, handles, tell
from openclaw_actors.actors.dispatch import Dispatcher
from openclaw_actors.actors.early_reports import EarlyReports
from openclaw_actors.actors.report_memory import LedgerBook, Report, ReportMemory
from openclaw_actors.actors.unwritten_usage import Step
from openclaw_actors.actors.usage_desk import UsageDesk
from openclaw_actors.auth.binding import binder, key_of
from openclaw_actors.auth.failures import (
    Effect,
    active_windows,
    after_success,
    cleared,
    effect_of,
)
from openclaw_actors.auth.ledger import (
    LedgerEntry,
    LedgerKey,
    effective_windows,
    latest_time,
    newest_time,
    prune,
    times_of,
)
from openclaw_actors.auth.reports import find_reported, windows_after_failure
from openclaw_actors.auth.verdict import Candidate
from openclaw_actors.counters import Counters
from openclaw_actors.health import ConditionBoard
from openclaw_actors.home.facts import ConfigFacts
from openclaw_actors.home.providers import auth_provider
from openclaw_actors.home.stores.windows import Windows
from openclaw_actors.ids import AgentId, Generation, ProviderId
from openclaw_actors.messages import (
    EarlyReportsDue,
    FlushUsage,
    ForgetUsage,
    ForgiveScope,
    HoldUsage,
    LedgerChanged,
    ReportAnswered,
    ReportFailure,
    ReportSuccess,
    TakeOver,
    UsageDue,
    UsageWritten,
    WarmerRestarted,
)
from openclaw_actors.prepared import AgentAuth, PreparedMap
from openclaw_actors.reading.pace import give_way
from openclaw_actors.settings import Settings


class FailureListener(BaseActor):
    """Takes reports, applies them at once, and has them written."""

    def __init__(
        self,
        *,
        me: Address,
        warmer: Address,
        dispatcher: Dispatcher,
        prepared: PreparedMap,
        config: Callable[[], ConfigFacts | None],
        memory: ReportMemory,
        counters: Counters,
        conditions: ConditionBoard,
        settings: Settings,
        on_flushed: Callable[[], None],
        lane: Lane,
    ) -> None:
        super().__init__(lane=lane)
        self._me = me
        self._warmer = warmer
        self._dispatcher = dispatcher
        self._map = prepared
        self._config = config
        self._memory = memory
        self._ledger: LedgerBook = memory.ledger
        self._counters = counters
        self._failed = False
        """Whether the handler of the message that is at hand has failed."""
        self._is_second = False
        self._usage = UsageDesk(self.actor_ref, me, dispatcher, conditions, settings, memory, on_flushed)
        self._early = EarlyReports(self.actor_ref, me, warmer, dispatcher, prepared, config, memory.early)

    def on_start(self) -> None:
        """Go on with what an earlier incarnation left."""
        tell(self.actor_ref, TakeOver())

    def on_stop(self) -> None:
        """Let no write go on that waits for a lock; its result would reach nobody, or the next incarnation."""
        self._usage.give_up()

    def run_one(self, envelope: Envelope[Any]) -> None:
        """Handle one envelope, and say so to those who keep it until then.

        One whose handler fails is tried once more, at once: a passing failure loses no report and leaves nothing half
        done.
        """
        self._me.begins(envelope.message)
        super().run_one(envelope)
        if self._failed:
            self._is_second = True
            super().run_one(envelope)
            self._failed = self._is_second = False
        self._me.ends(envelope.message)

    def _on_handler_error(self, message: object, error: BaseException) -> None:
        self._failed = True
        if not self._is_second:
            return
        if isinstance(message, ReportFailure | ReportSuccess):
            self._warmer.tell(ReportAnswered(generation=message.generation))
        elif isinstance(message, ForgiveScope):
            self._warmer.tell(message.warm)

    @handles(ReportFailure)
    def _on_report_failure(self, message: ReportFailure) -> None:
        if self._early.waits(message):
            return
        self._counters.failures_reported += not self._is_second
        found = self._find(message)
        if found is None or found[1].exempt or effect_of(message.reason) is Effect.NONE:
            self._warmer.tell(ReportAnswered(generation=message.generation))
            return
        provider, candidate = found
        config = self._config()
        step: Step = partial(
            windows_after_failure,
            reason=message.reason,
            now_ms=_ms(message.observed_at),
            provider=provider,
            model=message.model,
            cooldowns=config.cooldowns if config is not None else b"",
        )
        known = self._known(candidate)
        windows = step(known)
        entry = self._ledger.get(key_of(candidate))
        if entry is not None and known is entry.windows and not _rests(known):
            # what was forgiven here is so on disk, too, once something else is written there
            step = partial(_after_forgiving, step=step, forgiven_ms=entry.observed_ms)
        if windows is known or windows is None:
            # the same refusal inside its own window: requests that were under way together count once
            self._seen_again(message, candidate, known)
            return
        observed_ms = _ms(message.observed_at)
        was_set_back = entry is not None and entry.observed_ms > observed_ms  # the clock: the WarmerActor must know
        rests_alike = known is not None and _resting(windows, observed_ms) == _resting(known, observed_ms) != []
        if rests_alike and not was_set_back:
            # another reason inside a window that stays as it is: counted, and nobody's answer is another one
            self._usage.add(candidate, step, message)
            self._answer(message.generation, candidate, windows, observed_ms)
            return
        self._usage.add(candidate, step, message)
        self._apply(message.generation, candidate, windows, observed_ms, "failure-reported", message.cause_at)

    @handles(ReportSuccess)
    def _on_report_success(self, message: ReportSuccess) -> None:
        if self._early.waits(message):
            return
        self._counters.successes_reported += not self._is_second
        found = self._find(message)
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
        self._usage.add(candidate, step, message, last_good=(auth_provider(provider), candidate.evidence.id))
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

    @handles(ForgiveScope)
    def _on_forgive_scope(self, message: ForgiveScope) -> None:
        warm = message.warm
        done: set[LedgerKey] = set()
        for auth in list(self._map.agents.values()):
            give_way()
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

    @handles(TakeOver)
    def _on_take_over(self, _message: TakeOver) -> None:
        self._early.set_alarm()
        self._usage.take_over()

    @handles(EarlyReportsDue)
    def _on_early_reports_due(self, _message: EarlyReportsDue) -> None:
        self._early.look()

    # ------------------------------------------------------------------------------------------------------- writing

    @handles(UsageDue)
    def _on_usage_due(self, message: UsageDue) -> None:
        self._usage.on_due(message.store)

    @handles(UsageWritten)
    def _on_usage_written(self, message: UsageWritten) -> None:
        self._usage.on_written(message)

    @handles(HoldUsage)
    def _on_hold_usage(self, message: HoldUsage) -> None:
        self._usage.hold(message)

    @handles(ForgetUsage)
    def _on_forget_usage(self, message: ForgetUsage) -> None:
        self._usage.forget(message)

    @handles(WarmerRestarted)
    def _on_warmer_restarted(self, message: WarmerRestarted) -> None:
        for generation in message.reports:
            if not self._early.has(generation):
                self._warmer.tell(ReportAnswered(generation=generation))
        for warm in message.warms:
            self._warmer.tell(warm)

    @handles(FlushUsage)
    def _on_flush_usage(self, _message: FlushUsage) -> None:
        self._usage.flush()

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
        entry = self._enter(candidate, windows, observed_ms)
        prune(self._ledger, self._now_ms())
        self._warmer.tell(
            LedgerChanged(
                generation=generation,
                key=key_of(candidate),
                entry=entry,
                reason=reason,
                cause_at=cause_at,
                followed=followed,
            )
        )

    def _seen_again(self, message: ReportFailure, candidate: Candidate, known: Windows | None) -> None:
        """Answer a report that changes nothing but when its refusal was last seen."""
        observed_ms = _ms(message.observed_at)
        entry = self._ledger.get(key_of(candidate))
        if entry is None or known is not entry.windows or entry.observed_ms >= observed_ms:
            self._warmer.tell(ReportAnswered(generation=message.generation))
            return
        self._answer(message.generation, candidate, entry.windows, observed_ms)

    def _answer(self, generation: Generation, candidate: Candidate, windows: Windows, observed_ms: int) -> None:
        """Answer a report that changes nobody's answer, but what is known of its secret."""
        entry = self._enter(candidate, windows, observed_ms)
        self._warmer.tell(ReportAnswered(generation=generation, key=key_of(candidate), entry=entry))

    def _enter(self, candidate: Candidate, windows: Windows, observed_ms: int) -> LedgerEntry:
        self._memory.entries += 1
        entry = LedgerEntry(windows, observed_ms, self._memory.entries, times_of(candidate.windows))
        self._ledger[key_of(candidate)] = entry
        return entry

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

    def _find(self, report: Report) -> tuple[ProviderId, Candidate] | None:
        auth = self._map.agents.get(report.agent_id)
        found = find_reported(auth.table, auth.view, report.evidence_id, report.digests) if auth is not None else None
        return (found.provider, found.candidate) if found is not None else None


def _candidates(auth: AgentAuth, digest: bytes | None = None) -> Iterator[tuple[ProviderId, Candidate]]:
    """Yield everything that an agent's cells were folded from, or at least what has the secret with a digest."""
    view = auth.view
    bind = binder(view)
    names = {one.outline.id for one in view.profiles if one.digest == digest} if digest is not None else None
    for cell in auth.table.folded():
        for candidate in cell.candidates:
            if not cell.is_common:
                yield cell.provider, candidate
            elif names is None or candidate.store is None or candidate.evidence.id in names:
                yield cell.provider, bind(candidate)


def _ms(epoch_s: float) -> int:
    """Return milliseconds as they are written to disk: a report is as old there as here."""
    return int(epoch_s * 1000)


def _resting(windows: Windows, now_ms: int) -> list[tuple[object, ...]]:
    """Return what rests until when, and what that means, whatever its reason."""
    return [(window.kind, window.effect, window.until_ms, window.model) for window in active_windows(windows, now_ms)]


def _rests(windows: Windows | None) -> bool:
    """Tell whether there is a window for a success to clear, be it over or not."""
    return windows is not None and any((windows.blocked_until, windows.cooldown_until, windows.disabled_until))


def _after_forgiving(windows: Windows | None, *, step: Step, forgiven_ms: int) -> Windows | None:
    is_older = windows is not None and (windows.last_failure_at or 0) <= forgiven_ms
    return step(cleared(windows) if windows is not None and is_older else windows)


def _succeeded(windows: Windows | None, *, now_ms: int) -> Windows:
    return after_success(windows, now_ms)


__all__ = ["FailureListener"]
