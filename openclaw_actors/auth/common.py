"""Cells that many agents share though their secrets and stores differ: folded once for each distinct outline.

Hundreds of agents have profiles of the same names, kinds and expiries. Nothing of a secret but whether it was refused
decides an answer, and of a store only its name is shown; so agents whose profiles of a provider have the same outlines
get the very same cell, with a stand-in for the store and without digests (`auth/binding.py` fills both in when somebody
asks). Where more decides, the cell is the agent's own: reports and windows, a choice by use, another program's login.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, final

import msgspec

from openclaw_actors.auth.agent_profiles import AgentProfiles, Plan
from openclaw_actors.auth.binding import key_of
from openclaw_actors.auth.cells import CellTable, SharedCells
from openclaw_actors.auth.check import decide, profile_candidates, shared_candidates
from openclaw_actors.auth.ledger import Ledger
from openclaw_actors.auth.shared import SharedIndex
from openclaw_actors.auth.sources.stored import CODEX, OPENAI
from openclaw_actors.auth.verdict import Candidate, Cell
from openclaw_actors.home.facts import ProfileOutline
from openclaw_actors.home.providers import auth_provider
from openclaw_actors.ids import ProviderId
from openclaw_actors.reading.pace import give_way

_MOST_CELLS = 65_536
"""How many cells are remembered; when there are more, logins have been renewed for months, and all are forgotten."""

_MOST_TABLES = 256
"""How many tables are remembered: agents whose profiles look alike are of few kinds, or of none."""


class _Known(NamedTuple):
    cell: Cell
    folded_at: float
    outlines: tuple[ProfileOutline | None, ...]
    """What the cell's key has the ids of: as long as they are kept, their ids are theirs."""


class _Template(NamedTuple):
    """A cell of one profile, with which the cells of profiles differ that expire at another time by that alone."""

    cell: Cell
    outline: ProfileOutline

    def moved(self, outline: ProfileOutline, now: float) -> Cell | None:
        """Return the cell of a profile that expires at another time; None when time has changed it by then."""
        cell, expires_ms = self.cell, outline.expires_ms
        assert cell.valid_until is not None
        assert expires_ms is not None
        margin_s = round(cell.valid_until - (self.outline.expires_ms or 0.0) / 1000, 3)
        ends_at = expires_ms / 1000 + margin_s
        if ends_at <= now:
            return None
        (candidate,) = cell.candidates
        evidence = msgspec.structs.replace(candidate.evidence, expires_at=expires_ms / 1000)
        candidate = msgspec.structs.replace(candidate, evidence=evidence, changes_at=ends_at)
        return msgspec.structs.replace(cell, evidence=evidence, valid_until=ends_at, candidates=(candidate,))


class _KnownTable(NamedTuple):
    table: CellTable
    folded_at: float
    looks: tuple[object, ...]


@final
class CommonCells:
    """The common cells over one set of shared facts. For one thread at a time; dropped with the facts."""

    __slots__ = (
        "_candidates",
        "_cells",
        "_index",
        "_plans",
        "_reported",
        "_serves",
        "_shared",
        "_tables",
        "_templates",
        "asked",
    )

    def __init__(
        self,
        index: SharedIndex,
        candidates: Mapping[ProviderId, tuple[Candidate, ...]],
        shared: SharedCells,
        ledger: Ledger,
    ) -> None:
        self._index = index
        self._candidates = candidates
        self._shared = shared
        self._reported = frozenset(
            provider for provider, found in candidates.items() if ledger and any(key_of(one) in ledger for one in found)
        )
        self._plans: dict[ProviderId, Plan] = {}
        self._serves: dict[ProviderId, tuple[ProviderId, ...]] = {}
        self._cells: dict[tuple[object, ...], _Known] = {}
        self._templates: dict[tuple[object, ...], _Template] = {}
        self._tables: dict[int, _KnownTable] = {}
        self.asked = tuple(one for one in index.answered if (plan := self.plan(one)).names or plan.has_own_rules)
        """The known providers whose cell an agent's stores may decide without a profile of it: the config names one, or
        a login is laid over them.
        """

    def plan(self, provider: ProviderId) -> Plan:
        """Return what config and logins say of one provider's profiles."""
        known = self._plans.get(provider)
        if known is None:
            index, auth_id = self._index, auth_provider(provider)
            asked = (auth_id, provider, OPENAI) if auth_id == CODEX else (auth_id, provider)
            names = [name for one in asked for name in index.configured_order(one) or ()]
            known = Plan(
                auth_id,
                provider in self._reported or any(cli.found or cli.problem for cli in index.clis_of(auth_id)),
                tuple(dict.fromkeys((*names, *index.configured_profiles(auth_id)))),
            )
            if provider in index.known:  # other ids come from callers' spelling, without end
                self._plans[provider] = known
        return known

    def served_by(self, auth_id: ProviderId) -> tuple[ProviderId, ...]:
        """Return the known providers that use the profiles of an alias-resolved one."""
        known = self._serves.get(auth_id)
        if known is None:
            found = [one for one in self._index.answered if auth_provider(one) == auth_id]
            if auth_id == OPENAI:
                found += [one for one in self._index.answered if auth_provider(one) == CODEX]
            known = tuple(found)
            if auth_id in self._index.known:
                self._serves[auth_id] = known
        return known

    def must_be_own(self, provider: ProviderId, agent: AgentProfiles) -> bool:
        """Tell whether more than outlines and order decides a provider's cell for an agent."""
        plan = self.plan(provider)
        if plan.has_own_rules or not agent.is_whole:
            return True
        return plan.auth_id in agent.special or (plan.auth_id == CODEX and OPENAI in agent.special)

    def own_providers(self, agent: AgentProfiles) -> list[ProviderId]:
        """Return the providers whose cells must be an agent's own; some of them its stores may have no say in."""
        found = [one for one in self.asked if self.plan(one).has_own_rules]
        for auth_id in agent.special:
            found += [*self.served_by(auth_id), *agent.strangers(self._index.known, auth_id)]
        return list(dict.fromkeys(found))

    def providers(self, agent: AgentProfiles) -> list[ProviderId]:
        """Return the providers that an agent's stores may have a say in."""
        found = dict.fromkeys(self.asked)
        for auth_id in agent.by_auth():
            found.update(dict.fromkeys(self.served_by(auth_id)))
        return [*found, *agent.strangers(self._index.known)]

    def cell(self, provider: ProviderId, agent: AgentProfiles, now: float) -> Cell:
        """Return the cell of a provider whose profiles look like this agent's, whatever was reported of them.

        Args:
            provider: A normalised provider id.
            agent: The agent's profiles.
            now: Epoch seconds.
        """
        plan = self.plan(provider)
        places, alone = agent.serving(plan.auth_id), self._shared.cells.get(provider)
        if not places and not plan.names and alone is not None:
            return alone
        key = agent.key(provider, plan, places)
        known = self._cells.get(key)
        if known is not None and known.folded_at <= now and not _is_over(known.cell.valid_until, now):
            return known.cell
        lone = agent.view.profiles[places[0]].outline if len(places) == 1 and not plan.names else None
        template_key = _but_for_expiry(key, lone) if lone is not None and not agent.view.order else None
        template = self._templates.get(template_key) if template_key is not None else None
        if template is not None and lone is not None:
            cell = template.moved(lone, now)
            if cell is not None:
                return cell
        stored = profile_candidates(provider, self._index, agent.bare_index(provider, plan, places), now)
        if not stored and alone is not None:
            cell = alone
        else:
            shared = self._candidates.get(provider)
            if shared is None:
                shared = shared_candidates(provider, self._index, now)
            unread, known_id = self._index.unread_for(provider), provider in self._index.known or bool(stored)
            cell = decide(provider, (*shared, *stored), {}, now, unread=unread, known=known_id)
            cell = msgspec.structs.replace(cell, is_common=True)
        if provider not in self._index.known:
            return cell
        if len(self._cells) >= _MOST_CELLS:
            self._cells.clear()
            self._templates.clear()
        if template_key is not None and lone is not None and lone.expires_ms and len(cell.candidates) == 1:
            if cell.valid_until is not None:
                self._templates[template_key] = _Template(cell, lone)
            elif template is not None:
                return cell  # what has expired is not worth remembering
        self._cells[key] = _Known(cell, now, agent.outlines(provider, plan, places))
        return cell

    def known_table(self, agent: AgentProfiles, now: float) -> CellTable | None:
        """Return the common cells of an agent all of whose profiles look like this one's, if they are remembered."""
        looks = agent.looks()
        known = self._tables.get(_hash(looks))
        if known is None or known.looks != looks or known.folded_at > now or _is_over(known.table.valid_until, now):
            return None
        return known.table

    def table(self, agent: AgentProfiles, now: float) -> CellTable:
        """Return the common cells of every provider that has them, and remember them."""
        known = self.known_table(agent, now)
        if known is not None:
            return known
        own = {}
        for provider in self.providers(agent):
            give_way()
            if not self.plan(provider).has_own_rules:
                cell = self.cell(provider, agent, now)
                if cell is not self._shared.cells.get(provider):
                    own[provider] = cell
        table = CellTable(self._shared, own)
        if len(self._tables) >= _MOST_TABLES:
            self._tables.clear()
        looks = agent.looks()
        self._tables[_hash(looks)] = _KnownTable(table, now, looks)
        return table


def _but_for_expiry(key: tuple[object, ...], outline: ProfileOutline) -> tuple[object, ...] | None:
    """Return a key that is the same for profiles that differ in their expiry alone; None for those that have none."""
    if not outline.expires_ms:
        return None
    held = (outline.has_access, outline.has_refresh, outline.has_sidecar)
    return key[0], key[-1], outline.id, outline.kind, held, outline.key


def _is_over(valid_until: float | None, now: float) -> bool:
    return valid_until is not None and valid_until <= now


def _hash(looks: tuple[object, ...]) -> int:
    """Return a number that is the same for what consists of the same objects."""
    return hash((looks[0], looks[1], *map(id, looks[2:])))
