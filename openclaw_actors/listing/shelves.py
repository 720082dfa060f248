"""Listings made of blocks: the rows of one provider in one state, made and encoded once for all who are shown them.

Pure but for what is remembered; safe on any thread, since what two threads make at once is the same.
"""

from __future__ import annotations

from typing import NamedTuple, final

import msgspec

from openclaw_actors.auth.verdict import State
from openclaw_actors.catalog.home_reading import HomeReading
from openclaw_actors.catalog.load import Catalog
from openclaw_actors.catalog.rows import ModelRow, dedupe_key
from openclaw_actors.home.facts import ConfigFacts
from openclaw_actors.home.providers import normalise_provider
from openclaw_actors.ids import AgentId, ProviderId, Revision
from openclaw_actors.listing.listing import CellLike, Cells, Encoded, HiddenProvider, ListedModel, Listing
from openclaw_actors.listing.visibility import LEGACY_RUNTIME_PROVIDERS, VIEWS, policy_of
from openclaw_actors.prepared import AgentAuth

_MOST_BLOCKS = 4096
"""How many blocks of one shelf are remembered: far more than there are providers and states, unless the reasons keep
changing."""

_MOST_ARRANGED = 64
"""How many whole lists are remembered beside those that the agents' own answers keep."""


class _Bare(msgspec.Struct, frozen=True):
    """Stands for a provider that has no cell."""

    state: State
    reason: str
    has_auth: bool = False
    next_step: str = ""
    models: tuple[tuple[str, CellLike], ...] = ()

    def for_model(self, model: str | None) -> _Bare:
        return self


_NOT_WARMED = _Bare(State.UNKNOWN, "not warmed")
_MISSING = _Bare(State.MISSING, "no source has a credential for it")
_LEGACY_REASON = "an old runtime id that is never listed"
_ALLOWLIST_REASON = "left out by the allowlist (agents.defaults.models)"
_ENCODE = msgspec.json.Encoder().encode


class _Block(NamedTuple):
    """The models of one provider."""

    rows: tuple[ListedModel, ...]
    encoded: bytes
    """The rows as JSON, with commas between them and no brackets; empty without rows."""
    hidden: HiddenProvider | None


class _Arranged(NamedTuple):
    """A whole list, without whose it is."""

    rows: tuple[ListedModel, ...]
    hidden: tuple[HiddenProvider, ...]
    encoded: Encoded
    cells: Cells
    """What it was made of: as long as it is kept, its id is its own."""


@final
class Shelf:
    """The lists of the agents that select the same models and see the same rows."""

    __slots__ = ("_arranged", "_asked", "_blocks", "_catalog", "_dir", "_known", "_made_up", "_policy")

    def __init__(
        self, catalog: Catalog, config: ConfigFacts, model_refs: tuple[str, ...], agent_dir: str | None
    ) -> None:
        self._catalog = catalog
        self._dir = agent_dir
        self._policy = policy_of(config, catalog, model_refs, agent_dir)
        self._made_up: dict[ProviderId, dict[str, ModelRow]] = {}
        for owner, row in self._policy.named:
            if catalog.find(f"{owner}/{row.id}", agent_dir) is None:
                self._made_up.setdefault(owner, {})[dedupe_key(owner, row.id)] = row
        self._asked = sorted({*catalog.providers, *self._made_up})
        self._known = frozenset(self._asked)
        self._blocks: dict[tuple[object, ...], _Block] = {}
        self._arranged: dict[tuple[int, ProviderId | None, str], _Arranged] = {}

    def arranged(self, cells: Cells, only: ProviderId | None, view: str) -> _Arranged:
        """Return the list for some cells."""
        key = (id(cells), only, view)
        known = self._arranged.get(key)
        if known is not None and known.cells is cells:
            return known
        blank: CellLike = _MISSING if len(cells) else _NOT_WARMED
        if only is not None and only not in self._known:
            # whoever asks may name anything: that isn't kept
            block = self._made(only, cells.get(only) or blank, view)
            hidden = () if block.hidden is None else (block.hidden,)
            return _Arranged(block.rows, hidden, Encoded((block.encoded,) if block.encoded else ()), cells)
        asked = self._asked if only is None else [only]
        blocks = [self._block(one, cells.get(one) or blank, view) for one in asked]
        made = _Arranged(
            tuple([row for block in blocks for row in block.rows]),
            tuple(block.hidden for block in blocks if block.hidden is not None),
            Encoded(tuple(block.encoded for block in blocks if block.encoded)),
            cells,
        )
        if len(self._arranged) >= _MOST_ARRANGED:
            self._arranged.clear()
        self._arranged[key] = made
        return made

    def _block(self, provider: ProviderId, cell: CellLike, view: str) -> _Block:
        if cell.models:
            return self._made(provider, cell, view)  # some of its models rest, each until a time of its own
        key = (provider, view, cell.state, cell.reason, cell.next_step)
        block = self._blocks.get(key)
        if block is None:
            if len(self._blocks) >= _MOST_BLOCKS:
                self._blocks.clear()
            block = self._blocks[key] = self._made(provider, cell, view)
        return block

    def _made(self, provider: ProviderId, cell: CellLike, view: str) -> _Block:
        rows = self._catalog.rows_of(provider, self._dir)
        if provider in self._made_up:
            rows = tuple(sorted((*rows, *self._made_up[provider].values()), key=lambda row: row.id))
        shown = rows if view == "all" else self._shown(provider, rows, has_auth=cell.has_auth)
        listed = tuple(self._listed(row, cell) for row in shown)
        hidden = self._hidden(provider, rows, shown, cell) if len(shown) < len(rows) else None
        return _Block(listed, _ENCODE(listed)[1:-1], hidden)

    def _shown(self, provider: ProviderId, rows: tuple[ModelRow, ...], *, has_auth: bool) -> tuple[ModelRow, ...]:
        policy = self._policy
        if policy.shows_all_of(provider, has_auth=has_auth):
            return rows
        return tuple(row for row in rows if policy.shows(provider, dedupe_key(provider, row.id), has_auth=has_auth))

    def _listed(self, row: ModelRow, cell: CellLike) -> ListedModel:
        of_model = cell.for_model(row.id)
        has_auth = of_model.has_auth
        return ListedModel(
            row.key,
            row.provider,
            row.id,
            row.name,
            of_model.state,
            has_auth,
            "" if has_auth else of_model.reason,
            dedupe_key(row.provider, row.id) in self._policy.configured,
            row.context_window,
        )

    def _hidden(
        self, provider: ProviderId, rows: tuple[ModelRow, ...], shown: tuple[ModelRow, ...], cell: CellLike
    ) -> HiddenProvider:
        seen = {row.key for row in shown}
        left = [row for row in rows if row.key not in seen]
        count = len(left)
        if provider in LEGACY_RUNTIME_PROVIDERS:
            return HiddenProvider(provider, count, cell.state, _LEGACY_REASON, "")
        if cell.has_auth or not any(self._policy.admits(provider, dedupe_key(provider, row.id)) for row in left):
            step = f'Add "{provider}/*" to agents.defaults.models to show them'
            return HiddenProvider(provider, count, cell.state, _ALLOWLIST_REASON, step)
        return HiddenProvider(provider, count, cell.state, cell.reason, cell.next_step)


@final
class Shelves:
    """The shelves of one reading of config and model rows."""

    __slots__ = ("_shelves", "home")

    def __init__(self, home: HomeReading) -> None:
        self.home = home
        self._shelves: dict[tuple[tuple[str, ...], str | None], Shelf] = {}

    def listing(self, auth: AgentAuth, provider: str | None, view: str) -> Listing:
        """Return what an agent is shown, whose answers go with this reading.

        Raises:
            ValueError: There is no such view.
        """
        only = None if provider is None else normalise_provider(provider)
        kept = auth.listings
        known = kept.get((only, view)) if kept is not None else None
        if known is None:
            check_view(view)
            known = self._listing(auth, only, view)
            if only is None or only in self.home.catalog.providers:
                # a spelling of a caller's own would stay as long as the answers do
                auth.listings = {**(kept or {}), (only, view): known}
        return known

    def _listing(self, auth: AgentAuth, only: ProviderId | None, view: str) -> Listing:
        agent, catalog = auth.agent, self.home.catalog
        directory = agent.agent_dir if catalog.has_own_rows(agent.agent_dir) else None
        key = (agent.model_refs, directory)
        shelf = self._shelves.get(key)
        if shelf is None:
            shelf = self._shelves[key] = Shelf(catalog, self.home.home.config, *key)
        made = shelf.arranged(auth.table, only, view)
        listing = Listing(agent.id, auth.revision, view, only, made.rows, made.hidden, len(made.rows))
        return listing.with_json(made.encoded)


def check_view(view: str) -> None:
    """Raise ValueError for a view that doesn't exist."""
    if view not in VIEWS:
        raise ValueError(f"unknown view {view!r}: one of {', '.join(VIEWS)}")


def build_listing(
    catalog: Catalog,
    config: ConfigFacts,
    cells: Cells,
    *,
    agent_id: AgentId,
    revision: Revision,
    agent_dir: str | None,
    provider: str | None = None,
    view: str = "default",
) -> Listing:
    """Return the models that an agent is shown, made from nothing: about a millisecond for the whole catalogue.

    Raises:
        ValueError: There is no such view.
    """
    check_view(view)
    refs = next((agent.model_refs for agent in config.agents if agent.id == agent_id), ())
    only = None if provider is None else normalise_provider(provider)
    made = Shelf(catalog, config, refs, agent_dir).arranged(cells, only, view)
    return Listing(agent_id, revision, view, only, made.rows, made.hidden, len(made.rows)).with_json(made.encoded)


def empty_listing(auth: AgentAuth, provider: str | None, view: str) -> Listing:
    """Return the list of an agent before there is any catalogue.

    Raises:
        ValueError: There is no such view.
    """
    check_view(view)
    only = None if provider is None else normalise_provider(provider)
    return Listing(auth.agent_id, auth.revision, view, only, (), (), 0)
