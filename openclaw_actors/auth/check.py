"""The check: what the sources say of one provider, folded into a cell (DESIGN.md section 2).

Pure: no I/O, no clock (`now` is epoch seconds). Gathering judges facts; deciding adds what was reported of each secret.
"""

from __future__ import annotations

import functools
import math
import shlex
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from openclaw_actors.auth.binding import key_of
from openclaw_actors.auth.failures import ActiveWindow, Effect, active_windows, lapsed
from openclaw_actors.auth.ledger import Ledger, effective_windows, may_turn_at, newest_time
from openclaw_actors.auth.shared import Memo, SharedIndex
from openclaw_actors.auth.sources import cloud, config, environment, evidence_file, local, profiles, synthetic
from openclaw_actors.auth.sources.keys import login_step
from openclaw_actors.auth.sources.stored import StoreIndex, store_index
from openclaw_actors.auth.verdict import HAS_AUTH, Candidate, Cell, State
from openclaw_actors.home.providers import env_candidates
from openclaw_actors.home.stores.merge import StoreView
from openclaw_actors.home.stores.windows import Windows
from openclaw_actors.ids import ProviderId

_RESTABLE = frozenset({State.USABLE, State.REFRESHABLE})
_STATE_OF = {Effect.COOLDOWN: State.COOLDOWN, Effect.REJECTED: State.REJECTED, Effect.DISABLED: State.DISABLED}


def shared_candidates(provider: ProviderId, index: SharedIndex, now: float) -> tuple[Candidate, ...]:
    """Return the candidates that are the same for all agents; computed once per provider until time changes them."""
    memo = index.memo.get(provider)
    if memo is not None and memo.computed_at <= now < memo.until:
        return memo.candidates
    found = (
        *cloud.candidates(provider, index),
        *environment.candidates(provider, index),
        *evidence_file.candidates(provider, index),
        *config.candidates(provider, index),
        *local.candidates(provider, index),
        *synthetic.candidates(provider, index, now),
    )
    until = min((c.changes_at for c in found if c.changes_at is not None and c.changes_at > now), default=math.inf)
    if provider in index.known:  # other ids come from callers' spelling and would grow the memo without bound
        index.memo[provider] = Memo(now, until, found)
    return found


def profile_candidates(
    provider: ProviderId, index: SharedIndex, store: StoreView | StoreIndex, now: float
) -> tuple[Candidate, ...]:
    """Return the candidates that an agent's stores decide: profiles, and logins laid over them."""
    stored = store if isinstance(store, StoreIndex) else store_index(store)
    return profiles.candidates(provider, index, stored, now)


def gather(
    provider: ProviderId, index: SharedIndex, store: StoreView | StoreIndex, now: float
) -> tuple[Candidate, ...]:
    """Return every candidate of one provider as one agent sees it."""
    stored = store if isinstance(store, StoreIndex) else store_index(store)
    shared = shared_candidates(provider, index, now)
    own = profiles.candidates(provider, index, stored, now)
    if shared and stored.has_inline_usage:
        shared = with_inline_usage(shared, provider, stored)
    return (*shared, *own) if own else shared


def with_inline_usage(shared: tuple[Candidate, ...], provider: ProviderId, store: StoreIndex) -> tuple[Candidate, ...]:
    """Return the shared candidates, the configured key with the usage stats that the store keeps for it."""
    windows = store.inline_usage(provider)
    if windows is None:
        return shared
    return tuple(msgspec.structs.replace(c, windows=windows) if c.evidence.source == "config" else c for c in shared)


def check(provider: ProviderId, index: SharedIndex, store: StoreView, ledger: Ledger, now: float) -> Cell:
    """Evaluate one (agent, provider) cell."""
    return decide(
        provider,
        gather(provider, index, store, now),
        ledger,
        now,
        unread=store.unread or index.unread_for(provider),
        known=provider in index.known,
    )


def decide(
    provider: ProviderId,
    candidates: tuple[Candidate, ...],
    ledger: Ledger,
    now: float,
    *,
    unread: str = "",
    known: bool = True,
) -> Cell:
    """Fold candidates and what was reported of them into the provider's cell.

    Args:
        provider: A normalised provider id.
        candidates: What the sources say.
        ledger: Reports of this process; they count while they are newer than what the disk says.
        now: Epoch seconds.
        unread: Why a source that could hold more could not be read; empty when all were.
        known: Whether anything names this provider id.
    """
    if not candidates:
        return _nothing(provider, unread, known)
    now_ms = round(now * 1000)
    windows = [_windows(c, ledger, now_ms) for c in candidates]
    if len(candidates) > 1:
        windows = _shared_refusals(candidates, windows, now_ms)
    cell = _fold(provider, candidates, windows, ledger, now, now_ms, None, unread)
    if not any(each is not None and each.cooldown_model for each in windows):
        return cell
    limited = {w.model for each in windows if each is not None for w in active_windows(each, now_ms) if w.model}
    if not limited:
        return cell
    rows = (
        (model, _fold(provider, candidates, windows, ledger, now, now_ms, model, unread)) for model in sorted(limited)
    )
    models = tuple((model, row) for model, row in rows if _answer(row) != _answer(cell))
    return msgspec.structs.replace(cell, models=models)


def run_order(
    provider: ProviderId, candidates: tuple[Candidate, ...], ledger: Ledger, now: float, model: str | None = None
) -> list[Judged]:
    """Return the candidates in the order in which a run tries them, each with its state: what `decide` folds."""
    now_ms = round(now * 1000)
    windows = _shared_refusals(candidates, [_windows(c, ledger, now_ms) for c in candidates], now_ms)
    return _in_run_order(provider, candidates, windows, now_ms, model)


def _answer(cell: Cell) -> tuple[object, ...]:
    return cell.state, cell.evidence, cell.reason


def _shared_refusals(
    candidates: tuple[Candidate, ...], windows: list[Windows | None], now_ms: int
) -> list[Windows | None]:
    """Hold a refusal against every candidate with that very secret: a variable and the configured key that names it.

    What is known of the other name counts instead when it is newer, or when it is a refusal itself.
    """
    refused: dict[bytes, Windows] = {}
    for candidate, usage in zip(candidates, windows, strict=True):
        if usage is not None and candidate.digest is not None and _refuses(usage, now_ms):
            other = refused.get(candidate.digest)
            if other is None or (usage.last_failure_at or 0) >= (other.last_failure_at or 0):
                refused[candidate.digest] = usage
    if not refused:
        return windows

    def held(candidate: Candidate, usage: Windows | None) -> Windows | None:
        refusal = refused.get(candidate.digest) if candidate.digest is not None else None
        if refusal is None or candidate.exempt or candidate.state not in _RESTABLE:
            return usage
        if usage is None:
            return refusal
        newer = newest_time(usage, now_ms) > (refusal.last_failure_at or 0)
        return usage if newer or _refuses(usage, now_ms) else refusal

    return [held(candidate, usage) for candidate, usage in zip(candidates, windows, strict=True)]


def _refuses(windows: Windows, now_ms: int) -> bool:
    return any(w.effect in (Effect.REJECTED, Effect.DISABLED) for w in active_windows(windows, now_ms))


def _windows(candidate: Candidate, ledger: Ledger, now_ms: int) -> Windows | None:
    if candidate.exempt or candidate.state not in _RESTABLE:
        return None
    on_disk = candidate.windows
    if not ledger:
        return on_disk
    return effective_windows(on_disk, ledger.get(key_of(candidate)), now_ms)


@functools.lru_cache(maxsize=4096)
def _nothing(provider: ProviderId, unread: str, known: bool) -> Cell:
    """Return the cell of a provider that no source has anything for."""
    if unread:
        return Cell(
            provider, State.UNKNOWN, presence=False, reason=unread, next_step="make the source readable; it is retried"
        )
    if not known:
        return Cell(
            provider,
            State.MISSING,
            presence=False,
            reason=f"unknown provider: neither the catalogue nor the config nor any profile names {provider}",
            next_step="check the spelling of the provider id",
        )
    names = env_candidates(provider)
    variables = f"environment variable {' or '.join(names)}" if names else "environment variable"
    first = f"set {names[0]} or add a profile: " if names else "add a profile: "
    return Cell(
        provider,
        State.MISSING,
        presence=False,
        reason=f"no profile, no {variables}, no key in models.providers.{provider}, no login of another program",
        next_step=first + login_step(provider),
    )


class Judged(NamedTuple):
    """A candidate with its windows applied."""

    candidate: Candidate
    state: State
    reason: str
    next_step: str
    until: float
    """When its rest ends, epoch seconds; 0 when it doesn't rest."""

    def run_order(self) -> tuple[bool, int, float, tuple[int, ...]]:
        """Sort as a run tries them: has-auth first, resting ones last by soonest end; the rest best first."""
        if self.state in HAS_AUTH:
            return False, self.state is State.COOLDOWN, self.until, self.candidate.order
        return True, self.state.rank, 0.0, self.candidate.order


def _fold(
    provider: ProviderId,
    candidates: tuple[Candidate, ...],
    windows: list[Windows | None],
    ledger: Ledger,
    now: float,
    now_ms: int,
    model: str | None,
    unread: str,
) -> Cell:
    judged = _in_run_order(provider, candidates, windows, now_ms, model)
    winner = judged[0]
    best = winner if len(judged) == 1 else min(judged, key=lambda item: item.state.rank)
    state, reason, step = best.state, winner.reason, winner.next_step
    if state is not winner.state:
        reason = f"{reason}; {state} through {best.candidate.evidence.id}"
    if unread and state.rank > State.UNKNOWN.rank:
        state, reason = State.UNKNOWN, f"{unread}; besides: {reason}"
    return Cell(
        provider,
        state,
        presence=any(c.present for c in candidates),
        evidence=winner.candidate.evidence,
        shadowed=tuple(item.candidate.evidence for item in judged[1:]),
        reason=reason,
        next_step=step,
        valid_until=_earliest(candidates, windows, ledger, now, now_ms),
        candidates=candidates,
    )


def _in_run_order(
    provider: ProviderId,
    candidates: tuple[Candidate, ...],
    windows: list[Windows | None],
    now_ms: int,
    model: str | None,
) -> list[Judged]:
    judged = [
        Judged(c, c.state, c.reason, c.next_step, 0.0) if w is None else _judge(provider, c, w, now_ms, model)
        for c, w in zip(candidates, windows, strict=True)
    ]
    if len(judged) > 1:
        judged.sort(key=Judged.run_order)
    return judged


def _judge(provider: ProviderId, candidate: Candidate, windows: Windows, now_ms: int, model: str | None) -> Judged:
    active = [
        w
        for w in active_windows(windows, now_ms, model)
        if w.effect is not Effect.NONE and (w.model is None or w.model == model)
    ]
    if not active:
        reason = candidate.reason
        if lapsed(windows, now_ms):
            reason += "; half-open: its window is over, the next request decides"
        return Judged(candidate, candidate.state, reason, candidate.next_step, 0.0)
    worst = max(active, key=lambda w: (_STATE_OF[w.effect].rank, w.until_ms))
    state = _STATE_OF[worst.effect]
    reason, step = _words(provider, candidate, windows, worst, state)
    return Judged(candidate, state, reason, step, worst.until_ms / 1000)


def _words(
    provider: ProviderId, candidate: Candidate, windows: Windows, window: ActiveWindow, state: State
) -> tuple[str, str]:
    name, until = candidate.evidence.id, _moment(window.until_ms)
    seen = f" at {_moment(windows.last_failure_at)}" if windows.last_failure_at else ""
    if state is State.COOLDOWN:
        only = f" for model {window.model}" if window.model else ""
        return (
            f"{name} is resting{only} until {until} after {window.reason}",
            f"wait, or run: openclaw-actors clear-cooldown {shlex.quote(name)}",
        )
    if state is State.DISABLED:
        reason = f"{name} is disabled: {window.reason} failure seen{seen}; retried at {until}"
        return reason, "check the account's balance and plan, then recheck"
    reason = f"{name} was refused{seen}: {window.reason}; retried at {until}"
    renew = f"log in again ({login_step(provider)})"
    return reason, f"{renew}, or replace the credential and recheck"


def _moment(ms: int) -> str:
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).isoformat(" ", "seconds").removesuffix("+00:00") + " UTC"
    except (OverflowError, OSError, ValueError):
        return "a time too far away to name"


def _earliest(
    candidates: Iterable[Candidate], windows: Iterable[Windows | None], ledger: Ledger, now: float, now_ms: int
) -> float | None:
    """Return the next moment at which time alone changes the answer, of the provider or of one of its models."""
    earliest = math.inf
    for candidate, usage in zip(candidates, windows, strict=True):
        changes_at = candidate.changes_at
        if changes_at is not None and now < changes_at < earliest:
            earliest = changes_at
        if ledger:
            earliest = min(earliest, may_turn_at(candidate.windows, ledger.get(key_of(candidate)), now_ms))
        if usage is not None:
            for window in active_windows(usage, now_ms):
                if window.effect is not Effect.NONE and window.until_ms / 1000 < earliest:
                    earliest = window.until_ms / 1000
    return earliest if earliest < math.inf else None
