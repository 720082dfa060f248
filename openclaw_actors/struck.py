"""What reports have just proved bad: shown at once, until the WarmerActor has published it a moment later."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import final

from openclaw_actors.auth.ledger import Ledger, LedgerEntry, LedgerKey
from openclaw_actors.auth.verdict import Cell
from openclaw_actors.forking import mend_in_children
from openclaw_actors.ids import AgentId, Generation, ProviderId
from openclaw_actors.scope import Scope
from openclaw_actors.wants import Wants

_MOST_PER_CELL = 4
"""How many attempts one cell is shown for at a time; the newest count."""


@final
class Struck:
    """Cells that stand before the published ones, of the reporting agent alone: whoever else sees the credential hears
    of it by the publication.

    Reporters put cells in, on their own threads; the WarmerActor takes out what it has published, and no cell outlives
    its attempt. Reading costs a look at an empty dictionary, without a lock; look here before the map is looked at.
    """

    __slots__ = ("__weakref__", "_lock", "_reports", "_wants", "cells")

    def __init__(self, wants: Wants) -> None:
        self.cells: dict[tuple[AgentId, ProviderId], tuple[tuple[Cell, Generation], ...]] = {}
        """Newest last; empty nearly always."""
        self._lock = threading.Lock()  # of writers alone: readers look at what is there
        self._wants = wants
        self._reports: dict[LedgerKey, tuple[LedgerEntry, Generation]] = {}
        mend_in_children(self)

    def put(
        self,
        agent_id: AgentId,
        cells: Iterable[Cell],
        report: tuple[LedgerKey, LedgerEntry] | None,
        generation: Generation,
    ) -> None:
        """Show these cells until an attempt is published: those that a report has changed, and those that one which
        changes nothing has found as they ought to be.
        """
        if report is not None:
            self.expect(report, generation)
        with self._lock:
            for cell in cells:
                key = agent_id, cell.provider
                self.cells[key] = (*self.cells.get(key, ()), (cell, generation))[-_MOST_PER_CELL:]

    def expect(self, report: tuple[LedgerKey, LedgerEntry], generation: Generation) -> None:
        """Take note of what the ledger will be when a report has reached it, a success as well."""
        key, entry = report
        with self._lock:
            self._reports[key] = (entry, generation)

    def over(self, ledger: Ledger) -> Ledger:
        """Return the ledger as it will be with the reports that it doesn't have yet."""
        if not self._reports:
            return ledger
        return {**ledger, **{key: entry for key, (entry, _) in list(self._reports.items())}}

    def get(self, agent_id: AgentId, provider: ProviderId) -> tuple[Cell, Generation] | None:
        """Return a cell that is to be shown, with its attempt."""
        for found in reversed(self.cells.get((agent_id, provider), ())):
            if self._wants.is_open(found[1]):
                return found
        return None

    def settle(self, generation: Generation) -> None:
        """Show no longer what an attempt has brought: it is published."""
        self._drop(lambda of: of == generation)

    def drop_answered(self) -> None:
        """Show no longer what belongs to attempts that are answered, in whatever way."""
        self._drop(lambda of: not self._wants.is_open(of))

    def _drop(self, is_over: Callable[[Generation], bool]) -> None:
        if not self.cells and not self._reports:
            return
        with self._lock:
            for key, shown in list(self.cells.items()):
                left = tuple(one for one in shown if not is_over(one[1]))
                if not left:
                    del self.cells[key]
                elif len(left) < len(shown):
                    self.cells[key] = left
            for ledger_key, (_, of) in list(self._reports.items()):
                if is_over(of):
                    del self._reports[ledger_key]

    def forget(self, scope: Scope) -> None:
        """Show no longer what is in a scope: newer evidence is on its way."""
        if not self.cells and not self._reports:
            return
        with self._lock:
            for agent_id, provider in list(self.cells):
                if scope.covers(agent_id, provider):
                    del self.cells[agent_id, provider]
            self._reports.clear()

    def after_fork(self) -> None:
        """Renew the lock in a forked child."""
        self._lock = threading.Lock()
