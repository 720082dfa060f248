"""An evaluation: the facts that one or more agents see, and the answers folded from them, each folded once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

from openclaw_actors.auth.agent_profiles import AgentProfiles, Reported
from openclaw_actors.auth.cells import CellTable, SharedCells
from openclaw_actors.auth.check import decide, profile_candidates, shared_candidates, with_inline_usage
from openclaw_actors.auth.common import CommonCells
from openclaw_actors.auth.ledger import Ledger
from openclaw_actors.auth.shared import SharedIndex
from openclaw_actors.auth.sources.stored import StoreIndex
from openclaw_actors.auth.verdict import Candidate, Cell
from openclaw_actors.home.stores.merge import StoreView
from openclaw_actors.ids import ProviderId
from openclaw_actors.reading.pace import give_way


@final
class SharedEvaluation:
    """The cells that config, environment and other programs' logins decide: the same for all agents."""

    __slots__ = ("candidates", "common", "index", "ledger", "now", "shared")

    def __init__(self, index: SharedIndex, ledger: Ledger, now: float) -> None:
        self.index = index
        self.ledger = ledger
        self.now = now
        self.candidates: dict[ProviderId, tuple[Candidate, ...]] = {}
        cells: dict[ProviderId, Cell] = {}
        for provider in index.answered:
            give_way()
            found = self.candidates[provider] = shared_candidates(provider, index, now)
            cells[provider] = decide(
                provider, found, ledger, now, unread=index.unread_for(provider), known=provider in index.known
            )
        self.shared = SharedCells(cells)
        self.common = CommonCells(index, self.candidates, self.shared, ledger)


@final
class Evaluation:
    """One agent's facts (or those of many that see the same stores) and the cells folded from them so far.

    Filled by the agents' actors, which all run on one thread; folding a provider twice would give the same cell.
    """

    __slots__ = ("_agent", "_own", "_stored", "_table", "base", "ledger", "now", "view")

    def __init__(
        self, base: SharedEvaluation, view: StoreView, ledger: Ledger, now: float, reported: Reported = frozenset()
    ) -> None:
        self.base = base
        self.view = view
        self.ledger = ledger
        self.now = now
        self._agent = AgentProfiles(view, reported)
        self._stored: StoreIndex | None = None
        self._own: dict[ProviderId, Cell] = {}
        self._table: CellTable | None = None

    def providers(self) -> tuple[ProviderId, ...]:
        """Return every provider that the answers cover: the shared ones and those of the profiles."""
        known = self.base.candidates
        extra = {profile.provider for profile in self.view.profiles if profile.provider not in known}
        return (*known, *sorted(extra)) if extra else tuple(known)

    def own_providers(self) -> list[ProviderId]:
        """Return those of them that are still to be folded, as far as that can be told beforehand."""
        if not self._agent.is_whole:
            return list(self.providers())
        common = self.base.common
        known = common.known_table(self._agent, self.now)
        return common.own_providers(self._agent) if known is not None else common.providers(self._agent)

    def cell(self, provider: ProviderId) -> Cell:
        """Return the cell of a provider, folding it on the first call."""
        cell = self._own.get(provider)
        if cell is not None:
            return cell
        common = self.base.common
        if not common.must_be_own(provider, self._agent):
            return common.cell(provider, self._agent, self.now)
        cell = self._folded(provider)
        if cell is not self.base.shared.cells.get(provider):
            self._own[provider] = cell
        return cell

    @property
    def is_complete(self) -> bool:
        """Whether every provider was folded already, by this agent or one that sees the same or what looks the same."""
        if self._table is None and self._agent.is_whole:
            common = self.base.common
            if not self._agent.special and not common.own_providers(self._agent):
                self._table = common.known_table(self._agent, self.now)
        return self._table is not None

    def table(self) -> CellTable:
        """Return all cells as a table; the same object on every call."""
        if self.is_complete:
            assert self._table is not None
            return self._table
        base, agent = self.base, self._agent
        common = base.common.table(agent, self.now) if agent.is_whole else None
        asked = base.common.own_providers(agent) if agent.is_whole else self.providers()
        # a sweep of a provider that has just gone may have left a cell of it
        folded = {provider: self.cell(provider) for provider in asked}
        self._own = {one: cell for one, cell in folded.items() if cell is not base.shared.cells.get(one)}
        if common is None or self._own:
            below = common.own if common is not None else {}
            self._table = CellTable(base.shared, {**below, **self._own})
        else:
            self._table = common
        self._stored = None
        agent.forget_look_ups()
        return self._table

    def applied_to(self, table: CellTable, providers: Iterable[ProviderId]) -> CellTable:
        """Return a table with the cells of some providers as this evaluation has them."""
        own = dict(table.own)
        covered = self.base.candidates.keys() | {profile.provider for profile in self.view.profiles}
        for provider in providers:
            cell = self.cell(provider)
            if provider not in covered or cell is self.base.shared.cells.get(provider):
                own.pop(provider, None)
            else:
                own[provider] = cell
        return CellTable(self.base.shared, own)

    def _folded(self, provider: ProviderId) -> Cell:
        """Return a cell of this agent's own."""
        base = self.base
        index = self._stored
        if index is None:
            index = self._stored = StoreIndex(self.view)
        stored = profile_candidates(provider, base.index, index, self.now)
        shared = base.candidates.get(provider)
        if not stored and not self.view.unread and not index.has_inline_usage and shared is not None:
            return base.shared.cells[provider]
        if shared is None:
            shared = shared_candidates(provider, base.index, self.now)
        if shared and index.has_inline_usage:
            shared = with_inline_usage(shared, provider, index)
        return decide(
            provider,
            (*shared, *stored),
            self.ledger,
            self.now,
            unread=self.view.unread or base.index.unread_for(provider),
            known=provider in base.index.known or bool(stored),
        )
