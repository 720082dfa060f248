"""What reports have just proved bad: shown at once, until the WarmerActor has published it a moment later."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

from openclaw_actors.auth.verdict import Cell
from openclaw_actors.ids import AgentId, Generation, ProviderId
from openclaw_actors.wants import Wants


@final
class Struck:
    """Cells that stand before the published ones, of the reporting agent alone: whoever else sees the credential hears
    of it by the publication.

    Reporters put cells in, on their own threads; the WarmerActor takes out what it has published, and no cell outlives
    its attempt. Reading costs a look at an empty dictionary, without a lock; look here before the map is looked at.
    """

    __slots__ = ("_wants", "cells")

    def __init__(self, wants: Wants) -> None:
        self.cells: dict[tuple[AgentId, ProviderId], tuple[Cell, Generation]] = {}
        """Empty nearly always."""
        self._wants = wants

    def put(self, agent_id: AgentId, cells: Iterable[Cell], generation: Generation) -> None:
        """Show these cells until an attempt is published."""
        for cell in cells:
            self.cells[agent_id, cell.provider] = (cell, generation)

    def get(self, agent_id: AgentId, provider: ProviderId) -> tuple[Cell, Generation] | None:
        """Return a cell that is to be shown, with its attempt."""
        found = self.cells.get((agent_id, provider))
        return found if found is not None and self._wants.is_open(found[1]) else None

    def settle(self, generation: Generation) -> None:
        """Show no longer what an attempt has brought: it is published."""
        if self.cells:
            for key, (_, of) in list(self.cells.items()):
                if of == generation:
                    self.cells.pop(key, None)

    def clear(self) -> None:
        """Show nothing any more: newer evidence is on its way."""
        self.cells.clear()
