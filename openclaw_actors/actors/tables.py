"""How the WarmerActor makes a new table of cells from an old one. Pure; shares a result among agents that shared the
input.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Set

from openclaw_actors.actors.evaluations import Evaluations
from openclaw_actors.auth.binding import candidates_of, depends_on, key_of, pinned
from openclaw_actors.auth.cells import CellTable, same_answer
from openclaw_actors.auth.check import decide
from openclaw_actors.auth.evaluation import Evaluation
from openclaw_actors.auth.ledger import LedgerKey
from openclaw_actors.auth.verdict import Cell, State
from openclaw_actors.home.stores.merge import StoreView
from openclaw_actors.ids import EvidenceId, ProviderId

_KEPT = 64
"""How many shared results are remembered; one event makes few different ones."""


class Tables:
    """Applies sweeps and reports to tables."""

    def __init__(self, facts: Evaluations) -> None:
        self._facts = facts
        self._same: dict[tuple[int, int], tuple[CellTable, CellTable, CellTable]] = {}
        self._applied: dict[tuple[int, int, tuple[ProviderId, ...]], tuple[CellTable, Evaluation, CellTable]] = {}

    def with_sweep(self, table: CellTable, evaluation: Evaluation, providers: tuple[ProviderId, ...]) -> CellTable:
        """Return a table with some cells as an evaluation has them."""
        key = (id(table), id(evaluation), providers)
        known = self._applied.get(key)
        if known is None:
            if len(self._applied) >= _KEPT:
                self._applied.clear()
            # the inputs are kept beside the result: as long as they live, their ids are theirs
            known = self._applied[key] = (table, evaluation, evaluation.applied_to(table, providers))
        return known[2]

    def patched(self, table: CellTable, evaluation: Evaluation, providers: tuple[ProviderId, ...]) -> CellTable:
        """Return the same with the table itself where no reader could tell the two apart."""
        result = self.with_sweep(table, evaluation, providers)
        key = (id(table), id(result))
        known = self._same.get(key)
        if known is None:
            if len(self._same) >= _KEPT:
                self._same.clear()
            known = self._same[key] = (table, result, table if not table.differing(result) else result)
        return known[2]

    def that_use_decides(self, table: CellTable, view: StoreView, used: frozenset[ProviderId]) -> Iterator[ProviderId]:
        """Yield the providers whose cells may be others because a credential was used: there is a choice among several,
        or a report of ours that the use may be newer than.
        """
        for provider in used:
            cell = table.get(provider)
            if cell is not None and (len(cell.candidates) > 1 or self._is_reported(cell, view)):
                yield provider

    def _is_reported(self, cell: Cell, view: StoreView) -> bool:
        return bool(self._facts.ledger) and any(key_of(one) in self._facts.ledger for one in candidates_of(cell, view))

    def carried(self, table: CellTable, old: StoreView, new: StoreView, answered: Collection[ProviderId]) -> CellTable:
        """Return a table as it is to be shown with a newer view: but for the cells that were answered by that, those
        that were folded from other secrets keep these, so that no report of them is held against their successors.
        """
        if old.profiles is new.profiles or old.profiles == new.profiles:
            return table
        was = {profile.outline.id: (profile, owner) for profile, owner in zip(old.profiles, old.owners, strict=True)}
        now = {profile.outline.id: (profile, owner) for profile, owner in zip(new.profiles, new.owners, strict=True)}
        moved = {name for name in was.keys() | now.keys() if was.get(name) != now.get(name)}
        cells = {
            cell.provider: pinned(cell, old)
            for cell in table.own.values()
            if cell.is_common
            and cell.provider not in answered
            and any(one.evidence.id in moved for one in cell.candidates)
        }
        return table.replaced(cells) if cells else table

    def with_newer_reports(self, table: CellTable, evaluation: Evaluation, now: float) -> CellTable:
        """Return a late sweep's table as it would be with the reports that came meanwhile: nothing refused comes
        back.
        """
        ledger = self._facts.ledger
        if evaluation.ledger is ledger:
            return table
        newer = [key for key, entry in ledger.items() if evaluation.ledger.get(key) is not entry]
        if any(key.store is None for key in newer):
            table = table.on(self._facts.shared(now).shared)
        view = evaluation.view
        concerned = [cell for cell in table.own.values() if any(depends_on(cell, view, key) for key in newer)]
        cells = {cell.provider: self._decided(cell, view, now) for cell in concerned}
        return table.replaced(cells) if cells else table

    def with_reports(
        self, table: CellTable, view: StoreView, keys: Set[LedgerKey], names: Set[EvidenceId], now: float
    ) -> CellTable:
        """Return a table with what was reported of some secrets, also before the config is known; the very table where
        that says nothing new.

        Args:
            table: The table.
            view: What its agents' stores say.
            keys: The secrets.
            names: The ids of their evidence.
            now: Epoch seconds.
        """
        cells: dict[ProviderId, Cell] = {}
        for cell in table.folded_from_any(names).values():
            if cell.state is State.UNKNOWN or not any(key_of(one) in keys for one in candidates_of(cell, view)):
                continue  # what can't be read may hold something better
            found = self._decided(cell, view, now)
            if not same_answer(cell, found):
                cells[cell.provider] = found
        return table.replaced(cells) if cells else table

    def with_report(
        self, table: CellTable, view: StoreView, key: LedgerKey, now: float
    ) -> tuple[CellTable, tuple[ProviderId, ...]]:
        """Return a table with one report applied, and the providers that it concerns."""
        concerned = {cell.provider: cell for cell in table.folded() if depends_on(cell, view, key)}
        if key.store is None:
            # what is shown may be of a config before this one, with another key in the place of the one reported
            table = table.on(self._facts.shared(now).shared)
            concerned |= {cell.provider: cell for cell in table.folded() if depends_on(cell, view, key)}
        cells = {
            provider: self._decided(cell, view, now) for provider, cell in concerned.items() if provider in table.own
        }
        return (table.replaced(cells) if cells else table), tuple(concerned)

    def _decided(self, cell: Cell, view: StoreView, now: float) -> Cell:
        index = self._facts.index
        unread = view.unread or (index.unread_for(cell.provider) if index is not None else "")
        return decide(cell.provider, candidates_of(cell, view), self._facts.ledger, now, unread=unread)
