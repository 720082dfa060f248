"""What a report is about: the cells of one agent that were folded from a credential, and these cells with the report
applied. Pure.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from openclaw_actors.auth.binding import bound, candidates_of, key_of
from openclaw_actors.auth.cells import CellTable
from openclaw_actors.auth.check import decide
from openclaw_actors.auth.failures import Backoff, Effect, after_failure, backoff_from_json, effect_of
from openclaw_actors.auth.ledger import Ledger, LedgerEntry, LedgerKey, effective_windows, times_of
from openclaw_actors.auth.verdict import Candidate, Cell, State
from openclaw_actors.home.external_cli import login_of_profile
from openclaw_actors.home.providers import auth_provider, normalise_provider
from openclaw_actors.home.stores.merge import StoreView
from openclaw_actors.home.stores.windows import Windows
from openclaw_actors.ids import ProviderId

PROVING = frozenset({Effect.REJECTED, Effect.DISABLED})
"""Effects of failures that prove a credential bad; after the others it still counts."""


class Reported(NamedTuple):
    """What an agent has of a credential."""

    provider: ProviderId
    """The provider that it is of: the one whose credentials others use, if that is among the cells."""
    candidate: Candidate
    """The credential, with the agent's own store, secret and usage."""
    cells: tuple[Cell, ...]
    """Every cell that was folded from it."""


def find_reported(
    table: CellTable, view: StoreView, evidence_id: str, digests: tuple[bytes, ...] = ()
) -> Reported | None:
    """Return what an agent has of a credential; None when none of its cells was folded from one with this id, or its
    secret has been replaced.

    Args:
        table: The agent's cells.
        view: What its stores say.
        evidence_id: A profile id, `env:NAME`, `config:PROVIDER`… The profile that another program's login becomes means
            that login.
        digests: The keyed digests that its secret may have; empty for any.
    """
    cells = table.folded_from(evidence_id)
    login = login_of_profile(evidence_id)
    if login != evidence_id:
        cells += table.folded_from(login)
    if not cells:
        return None
    cell = next((one for one in cells if auth_provider(one.provider) == one.provider), cells[-1])
    candidate = next(one for one in cell.candidates if one.evidence.id in (evidence_id, login))
    own = bound(candidate, view) if cell.is_common else candidate
    if digests and own.digest not in digests:
        return None
    return Reported(cell.provider, own, cells)


def windows_after_failure(
    known: Windows | None, *, reason: str, now_ms: int, provider: ProviderId, model: str | None, cooldowns: bytes
) -> Windows:
    """Return the stats of a credential after a failure; the very object that was given when nothing changes.

    Args:
        known: The stats before it.
        reason: One of OpenClaw's failure reasons.
        now_ms: When it was observed, epoch milliseconds.
        provider: Whose credential it is.
        model: The model that was asked for.
        cooldowns: `auth.cooldowns` of the config as JSON text.
    """
    return after_failure(known, reason, now_ms, provider=provider, model=model, backoff=_backoff(cooldowns))


@lru_cache(4)
def _backoff(cooldowns: bytes) -> Backoff:
    return backoff_from_json(cooldowns, normalise=normalise_provider)


def proved_bad(
    reported: Reported,
    view: StoreView,
    ledger: Ledger,
    *,
    reason: str,
    now: float,
    model: str | None,
    cooldowns: bytes,
) -> tuple[tuple[Cell, ...], tuple[LedgerKey, LedgerEntry] | None] | None:
    """Return the cells as they are after a failure that proves their credential bad, and what it makes of the ledger.

    None where it proves nothing. One that is known already makes nothing of the ledger; the cells that don't count then
    are not to count before it is answered.

    Args:
        reported: The credential.
        view: What the agent's stores say.
        ledger: What was reported before.
        reason: One of OpenClaw's failure reasons.
        now: When it was observed, epoch seconds.
        model: The model that was asked for.
        cooldowns: `auth.cooldowns` of the config as JSON text.
    """
    candidate = reported.candidate
    if candidate.exempt or effect_of(reason) not in PROVING or view.unread:
        return None
    now_ms, key = int(now * 1000), key_of(candidate)
    known = effective_windows(candidate.windows, ledger.get(key), now_ms)
    windows = windows_after_failure(
        known, reason=reason, now_ms=now_ms, provider=reported.provider, model=model, cooldowns=cooldowns
    )
    if windows is known:
        return tuple(one for one in reported.cells if one.state in (State.REJECTED, State.DISABLED)), None
    entry = LedgerEntry(windows, now_ms, seen=times_of(candidate.windows))
    return with_report(reported, view, ledger, (key, entry), now), (key, entry)


def with_report(
    reported: Reported, view: StoreView, ledger: Ledger, report: tuple[LedgerKey, LedgerEntry], now: float
) -> tuple[Cell, ...]:
    """Return the cells of a credential as they are with a ledger and one more report in it."""
    found = []
    for cell in reported.cells:
        if cell.state is State.UNKNOWN:
            continue  # what can't be read may hold something better
        # the one that is known already, most times
        candidates = (reported.candidate,) if len(cell.candidates) == 1 else candidates_of(cell, view)
        reports = {one: of for each in candidates if (of := ledger.get(one := key_of(each))) is not None}
        reports[report[0]] = report[1]
        found.append(decide(cell.provider, candidates, reports, now))
    return tuple(found)
