"""What reports have just proved bad: shown at once, until the WarmerActor has published it a moment later."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import final

from openclaw_actors.auth.ledger import Ledger, LedgerEntry, LedgerKey
from openclaw_actors.auth.verdict import Cell
from openclaw_actors.ids import AgentId, Generation, ProviderId
from openclaw_actors.scope import Scope
from openclaw_actors.wants import Wants


@final
class Struck:
    """Cells that stand before the published ones, of the reporting agent alone: whoever else sees the credential hears
    of it by the publication.

    Reporters put cells in, on their own threads; the WarmerActor takes out what it has published, and no cell outlives
    its attempt. Reading costs a look at an empty dictionary, without a lock; look here before the map is looked at.
    """

    __slots__ = ("_reports", "_wants", "cells")

    def __init__(self, wants: Wants) -> None:
        self.cells: dict[tuple[AgentId, ProviderId], tuple[Cell, Generation]] = {}
        """Empty nearly always."""
        self._wants = wants
        self._reports: dict[LedgerKey, tuple[LedgerEntry, Generation]] = {}

    def put(
        self, agent_id: AgentId, cells: Iterable[Cell], report: tuple[LedgerKey, LedgerEntry], generation: Generation
    ) -> None:
        """Show these cells, which a report has changed, until an attempt is published."""
        key, entry = report
        self._reports[key] = (entry, generation)
        for cell in cells:
            self.cells[agent_id, cell.provider] = (cell, generation)

    def over(self, ledger: Ledger) -> Ledger:
        """Return the ledger as it will be with the reports that it doesn't have yet."""
        if not self._reports:
            return ledger
        # these first: what is dropped from here meanwhile is in the ledger by then
        reports = {key: entry for key, (entry, _) in list(self._reports.items())}
        return {**ledger, **reports}

    def get(self, agent_id: AgentId, provider: ProviderId) -> tuple[Cell, Generation] | None:
        """Return a cell that is to be shown, with its attempt."""
        found = self.cells.get((agent_id, provider))
        return found if found is not None and self._wants.is_open(found[1]) else None

    def settle(self, generation: Generation) -> None:
        """Show no longer what an attempt has brought: it is published."""
        self._drop(lambda of: of == generation)

    def drop_answered(self) -> None:
        """Show no longer what belongs to attempts that are answered, in whatever way."""
        self._drop(lambda of: not self._wants.is_open(of))

    def _drop(self, is_over: Callable[[Generation], bool]) -> None:
        for shown in (self.cells, self._reports):
            for key, (_, of) in list(shown.items()) if shown else ():
                if is_over(of):
                    shown.pop(key, None)  # type: ignore[call-overload]  # a key of this very dictionary

    def forget(self, scope: Scope) -> None:
        """Show no longer what is in a scope: newer evidence is on its way."""
        if self.cells:
            for agent_id, provider in list(self.cells):
                if scope.covers(agent_id, provider):
                    self.cells.pop((agent_id, provider), None)
            self._reports.clear()
