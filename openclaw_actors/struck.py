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

    __slots__ = ("__weakref__", "_lock", "_reports", "_wants", "cells", "in_order")

    def __init__(self, wants: Wants) -> None:
        self.cells: dict[tuple[AgentId, ProviderId], tuple[tuple[Cell, Generation], ...]] = {}
        """Newest last; empty nearly always."""
        self.in_order = threading.Lock()
        """Held by a reporter from its look at what was reported before until it has put its own in: of two reports at
        the same moment each would show its cells without the other."""
        self._lock = threading.Lock()  # of writers alone: readers look at what is there
        self._wants = wants
        self._reports: dict[LedgerKey, tuple[LedgerEntry, Generation, AgentId, frozenset[ProviderId]]] = {}
        mend_in_children(self)

    def put(
        self,
        agent_id: AgentId,
        cells: Iterable[Cell],
        report: tuple[LedgerKey, LedgerEntry] | None,
        generation: Generation,
        *,
        is_all: bool = False,
    ) -> None:
        """Show these cells until an attempt is published: those that a report has changed, and those that one which
        changes nothing has found as they ought to be.

        Args:
            agent_id: Whose.
            cells: As they are with the report.
            report: What it makes of the ledger, if anything.
            generation: The attempt.
            is_all: Whether nothing that was shown of them before is to be shown again: it is newer evidence.
        """
        cells = tuple(cells)
        if report is not None:
            self.expect(agent_id, {cell.provider for cell in cells}, report, generation)
        with self._lock:
            for cell in cells:
                key = agent_id, cell.provider
                before = () if is_all else self.cells.get(key, ())
                self.cells[key] = (*before, (cell, generation))[-_MOST_PER_CELL:]

    def expect(
        self,
        agent_id: AgentId,
        providers: Iterable[ProviderId],
        report: tuple[LedgerKey, LedgerEntry],
        generation: Generation,
    ) -> None:
        """Take note of what the ledger will be when a report has reached it, a success as well; it is an agent's, and
        about these providers.
        """
        key, entry = report
        with self._lock:
            self._reports[key] = (entry, generation, agent_id, frozenset(providers))

    def over(self, ledger: Ledger) -> Ledger:
        """Return the ledger as it will be with the reports that it doesn't have yet."""
        if not self._reports:
            return ledger
        return {**ledger, **{key: one[0] for key, one in list(self._reports.items())}}

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
            for ledger_key, report in list(self._reports.items()):
                if is_over(report[1]):
                    del self._reports[ledger_key]

    def forget(self, scope: Scope) -> None:
        """Show no longer what is in a scope: newer evidence is on its way."""
        if not self.cells and not self._reports:
            return
        with self._lock:
            for agent_id, provider in list(self.cells):
                if scope.covers(agent_id, provider):
                    del self.cells[agent_id, provider]
            for key, (_, _, agent_id, providers) in list(self._reports.items()):
                if any(scope.covers(agent_id, provider) for provider in providers):
                    del self._reports[key]

    def after_fork(self) -> None:
        """Renew the locks in a forked child."""
        self._lock = threading.Lock()
        self.in_order = threading.Lock()
