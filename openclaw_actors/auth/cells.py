"""Tables of cells: all answers of one agent, sharing with other agents whatever is the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from typing import final

from openclaw_actors.auth.verdict import Cell
from openclaw_actors.ids import EvidenceId, ProviderId


def same_answer(one: Cell | None, other: Cell | None) -> bool:
    """Tell whether two cells say the same to a reader; what they were folded from (a rotated key, say) may differ."""
    if one is other:
        return True
    if one is None or other is None:
        return False
    return (
        one.state is other.state
        and one.presence == other.presence
        and one.valid_until == other.valid_until
        and one.reason == other.reason
        and one.next_step == other.next_step
        and one.evidence == other.evidence
        and one.shadowed == other.shadowed
        and len(one.models) == len(other.models)
        and all(
            name == other_name and same_answer(cell, other_cell)
            for (name, cell), (other_name, other_cell) in zip(one.models, other.models, strict=True)
        )
    )


def earliest(cells: Iterable[Cell]) -> float | None:
    """Return the first moment at which time alone changes one of the cells, in epoch seconds."""
    return min((cell.valid_until for cell in cells if cell.valid_until is not None), default=None)


@final
class SharedCells:
    """The cells that all agents have in common. Never changed once made."""

    __slots__ = ("cells", "flags", "folded", "valid_until")

    def __init__(self, cells: dict[ProviderId, Cell]) -> None:
        self.cells = cells
        self.folded = tuple(cell for cell in cells.values() if cell.candidates)
        """Those that something is known for."""
        self.flags: dict[str, bool] = {provider: cell.has_auth for provider, cell in cells.items()}
        self.valid_until = earliest(cells.values())


@final
class CellTable:
    """The cells of one agent: those that all agents share, and those that its own stores decide.

    Agents that see the same sources hold the very same table. Never changed once made.
    """

    __slots__ = ("_by_evidence", "_shared_cells", "own", "own_flags", "shared", "shared_flags", "valid_until")

    def __init__(self, shared: SharedCells, own: dict[ProviderId, Cell]) -> None:
        self.shared = shared
        """Cells that config, environment and other programs' logins decide."""
        self.own = own
        """Cells that a store has a say in; they win."""
        self._shared_cells: dict[str, Cell] = shared.cells  # type: ignore[assignment]  # a ProviderId is a str
        self.shared_flags = shared.flags
        self.own_flags: dict[str, bool] = {provider: cell.has_auth for provider, cell in own.items()}
        """Whether each of its own cells has auth; where there is none, `shared_flags` says it."""
        self._by_evidence: dict[EvidenceId, tuple[Cell, ...]] | None = None
        moments = [moment for moment in (shared.valid_until, earliest(own.values())) if moment is not None]
        self.valid_until = min(moments, default=None)
        """The first moment at which time alone changes one of the answers, in epoch seconds."""

    def get(self, provider: str) -> Cell | None:
        """Return the cell of a normalised provider id."""
        cell = self.own.get(provider)  # type: ignore[call-overload]  # a plain str is asked for
        return cell if cell is not None else self._shared_cells.get(provider)

    def flag(self, provider: str) -> bool | None:
        """Return whether a normalised provider id has auth; None when there is no such cell."""
        flag = self.own_flags.get(provider)
        return flag if flag is not None else self.shared_flags.get(provider)

    def __contains__(self, provider: object) -> bool:
        return provider in self.own or provider in self.shared.cells

    def __iter__(self) -> Iterator[ProviderId]:
        yield from self.shared.cells
        for provider in self.own:
            if provider not in self.shared.cells:
                yield provider

    def __len__(self) -> int:
        return len(self.shared.cells) + sum(1 for provider in self.own if provider not in self.shared.cells)

    def cells(self) -> Iterator[Cell]:
        """Yield every cell."""
        for provider in self:
            cell = self.get(provider)
            if cell is not None:
                yield cell

    def folded(self) -> list[Cell]:
        """Return every cell that was folded from something: those that reports may be about."""
        own = self.own
        return [*own.values(), *[cell for cell in self.shared.folded if cell.provider not in own]]

    def folded_from(self, evidence_id: str) -> tuple[Cell, ...]:
        """Return the cells that were folded from a credential."""
        return self._evidence().get(EvidenceId(evidence_id), ())

    def folded_from_any(self, evidence_ids: Set[EvidenceId]) -> dict[ProviderId, Cell]:
        """Return the cells that were folded from one of these credentials."""
        known = self._evidence()
        return {cell.provider: cell for name in known.keys() & evidence_ids for cell in known[name]}

    def _evidence(self) -> dict[EvidenceId, tuple[Cell, ...]]:
        """Look up what the first call makes; two threads that race just make it twice."""
        found = self._by_evidence
        if found is None:
            found = {}
            for cell in self.folded():
                for name in {candidate.evidence.id for candidate in cell.candidates}:
                    found[name] = (*found.get(name, ()), cell)
            self._by_evidence = found
        return found

    def ended(self, now: float) -> frozenset[ProviderId]:
        """Return the providers whose answer time has changed by `now` (epoch seconds)."""
        return frozenset(
            cell.provider for cell in self.cells() if cell.valid_until is not None and cell.valid_until <= now
        )

    def replaced(self, cells: Mapping[ProviderId, Cell]) -> CellTable:
        """Return a table with some cells replaced."""
        return CellTable(self.shared, {**self.own, **cells})

    def on(self, shared: SharedCells) -> CellTable:
        """Return a table with the same own cells over other shared ones."""
        return CellTable(shared, self.own)

    def differing(self, other: CellTable) -> list[ProviderId]:
        """Return the providers about which two tables say different things to a reader."""
        if self is other:
            return []
        if self.shared is other.shared:
            asked: Iterable[ProviderId] = self.own.keys() | other.own.keys()
        else:
            asked = set(self) | set(other)
        return sorted(provider for provider in asked if not same_answer(self.get(provider), other.get(provider)))


EMPTY_TABLE = CellTable(SharedCells({}), {})
"""What an agent has before it is first published."""
