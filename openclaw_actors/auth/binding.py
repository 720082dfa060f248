"""What a cell that agents share is folded from in the eyes of one of them: its own store, secrets and usage. Pure."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from openclaw_actors.auth.ledger import LedgerKey
from openclaw_actors.auth.verdict import Candidate, Cell
from openclaw_actors.home.stores.merge import StoreView
from openclaw_actors.home.stores.windows import Windows

_FEW = 8
"""Up to so many candidates it is quicker to look for each among the profiles than to index these."""


def bound(candidate: Candidate, view: StoreView) -> Candidate:
    """Return a candidate of a common cell with the store, the digest and the usage stats that one agent sees.

    A profile that the agent doesn't see (any more) has none.
    """
    if candidate.store is None:
        return candidate
    name = candidate.evidence.id
    return _bound_at(view.place(name), candidate, view, view.windows(name))


def binder(view: StoreView) -> Callable[[Candidate], Candidate]:
    """Return `bound` for the many candidates of one agent: profiles are indexed once."""
    places, usage = {profile.outline.id: at for at, profile in enumerate(view.profiles)}, dict(view.usage)

    def bind(candidate: Candidate) -> Candidate:
        name = candidate.evidence.id
        if candidate.store is None:
            return candidate
        return _bound_at(places.get(name, -1), candidate, view, usage.get(name))

    return bind


def _bound_at(place: int, candidate: Candidate, view: StoreView, windows: Windows | None) -> Candidate:
    if place < 0:
        return candidate
    owner = view.main if view.inherited[place] else view.own
    return msgspec.structs.replace(candidate, store=owner, digest=view.profiles[place].digest, windows=windows)


def candidates_of(cell: Cell, view: StoreView) -> tuple[Candidate, ...]:
    """Return what a cell is folded from, as the agent with this view sees it."""
    if not cell.is_common:
        return cell.candidates
    if len(cell.candidates) <= _FEW:
        return tuple(bound(candidate, view) for candidate in cell.candidates)
    return tuple(map(binder(view), cell.candidates))


def pinned(cell: Cell, view: StoreView) -> Cell:
    """Return a cell for one agent alone, which keeps what it is folded from, whatever its stores say next."""
    if not cell.is_common:
        return cell
    return msgspec.structs.replace(cell, candidates=candidates_of(cell, view), is_common=False)


def key_of(candidate: Candidate) -> LedgerKey:
    """Return what reports of a candidate are kept under."""
    return LedgerKey(candidate.store, candidate.evidence.id, candidate.digest)


def depends_on(cell: Cell, view: StoreView, key: LedgerKey) -> bool:
    """Tell whether a report is about one of the credentials that a cell was folded from."""
    return any(
        candidate.evidence.id == key.evidence_id
        and key_of(bound(candidate, view) if cell.is_common else candidate) == key
        for candidate in cell.candidates
    )
