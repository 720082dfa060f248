"""The list of models that an agent is shown, with the hidden ones counted and explained."""

from __future__ import annotations

from collections.abc import Sized
from typing import Protocol

import msgspec

from openclaw_actors.auth.verdict import State
from openclaw_actors.catalog.load import Catalog
from openclaw_actors.catalog.rows import ModelRow, dedupe_key
from openclaw_actors.home.facts import ConfigFacts
from openclaw_actors.home.providers import normalise_provider
from openclaw_actors.ids import AgentId, ProviderId, Revision
from openclaw_actors.listing.visibility import LEGACY_RUNTIME_PROVIDERS, Policy, policy_of

DEFAULT_LIMIT = 20
"""Models on a page when nothing else is asked for (commands-models.ts @ OpenClaw 2026.5.22)."""

MAX_LIMIT = 100
"""The most models on a page (commands-models.ts @ OpenClaw 2026.5.22)."""


class CellLike(Protocol):
    """What a listing asks of a cell (`auth/verdict.py` has the real one)."""

    @property
    def state(self) -> State: ...
    @property
    def has_auth(self) -> bool: ...
    @property
    def reason(self) -> str: ...
    @property
    def next_step(self) -> str: ...
    def for_model(self, model: str | None) -> CellLike:
        """Return the cell of one model."""


class Cells(Sized, Protocol):
    """An agent's cells by normalised provider id: a mapping, or the prepared map's own table."""

    def get(self, provider: str, /) -> CellLike | None:
        """Return the cell of a provider."""


class ListedModel(msgspec.Struct, frozen=True, gc=False):
    """One model of a list."""

    id: str
    """What pickers and config call it: `provider/model`."""
    provider: ProviderId
    model: str
    """The provider's own id of the model."""
    name: str
    state: State
    has_auth: bool
    """Whether a run could use it."""
    reason: str
    """Why not; empty when it has auth."""
    configured: bool
    """Whether `models.providers` has it: such rows are shown with or without auth."""
    context_window: int | None
    """In tokens."""


class HiddenProvider(msgspec.Struct, frozen=True, gc=False):
    """Models of one provider that are not shown, and why."""

    provider: ProviderId
    model_count: int
    """How many of its models are not shown."""
    state: State
    reason: str
    next_step: str


class Listing(msgspec.Struct, frozen=True):
    """What one agent is shown. Immutable; safe on any thread."""

    agent_id: AgentId
    revision: Revision
    """The agent's published content that this list was made from."""
    view: str
    provider: ProviderId | None
    """The one provider that was asked for."""
    rows: tuple[ListedModel, ...]
    """Sorted by provider, then model id."""
    hidden: tuple[HiddenProvider, ...]
    """Sorted by provider."""
    total: int
    """How many models there are in `rows`."""


class Page(msgspec.Struct, frozen=True):
    """A part of a list."""

    rows: tuple[ListedModel, ...]
    page: int
    """From 1."""
    pages: int
    """At least 1, also for an empty list."""
    limit: int
    total: int
    first: int
    """Number of the first row in the whole list, from 1; 0 on an empty page."""

    @property
    def in_range(self) -> bool:
        """Tell whether there is such a page."""
        return 1 <= self.page <= self.pages


class _Bare(msgspec.Struct, frozen=True):
    """Stands for a provider that has no cell."""

    state: State
    reason: str
    has_auth: bool = False
    next_step: str = ""

    def for_model(self, model: str | None) -> _Bare:
        return self


_NOT_WARMED = _Bare(State.UNKNOWN, "not warmed")
_MISSING = _Bare(State.MISSING, "no source has a credential for it")
_LEGACY_REASON = "an old runtime id that is never listed"
_ALLOWLIST_REASON = "left out by the allowlist (agents.defaults.models)"


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
    """Return the models that an agent is shown. Pure; about a millisecond for the whole catalogue.

    Raises ValueError for a view that doesn't exist.
    """
    if view not in ("default", "configured", "all"):
        raise ValueError(f"unknown view {view!r}: one of default, configured, all")
    policy = policy_of(config, catalog, agent_id, agent_dir)
    only = None if provider is None else normalise_provider(provider)
    made_up: dict[ProviderId, dict[str, ModelRow]] = {}
    for owner, row in policy.named:
        if catalog.find(f"{owner}/{row.id}", agent_dir) is None:
            made_up.setdefault(owner, {})[dedupe_key(owner, row.id)] = row
    asked = sorted({*catalog.providers, *made_up}) if only is None else [only]
    blank: CellLike = _MISSING if len(cells) else _NOT_WARMED
    listed: list[ListedModel] = []
    hidden: list[HiddenProvider] = []
    for one in asked:
        rows = catalog.rows_of(one, agent_dir)
        if one in made_up:
            rows = tuple(sorted((*rows, *made_up[one].values()), key=lambda row: row.id))
        cell = cells.get(one) or blank
        shown = rows if view == "all" else _shown(policy, one, rows, has_auth=cell.has_auth)
        _list_rows(listed, policy, shown, cell)
        if len(shown) < len(rows):
            hidden.append(_hidden(policy, one, rows, shown, cell))
    return Listing(agent_id, revision, view, only, tuple(listed), tuple(hidden), len(listed))


def page(listing: Listing, number: int = 1, limit: int = DEFAULT_LIMIT) -> Page:
    """Return one page of a list; the limit is held between 1 and 100. A page outside is empty, `in_range` False."""
    size = max(1, min(limit, MAX_LIMIT))
    pages = max(1, -(-listing.total // size))
    start = (number - 1) * size
    rows = listing.rows[start : start + size] if 1 <= number <= pages else ()
    return Page(rows, number, pages, size, listing.total, start + 1 if rows else 0)


def _shown(policy: Policy, provider: ProviderId, rows: tuple[ModelRow, ...], *, has_auth: bool) -> tuple[ModelRow, ...]:
    if policy.shows_all_of(provider, has_auth=has_auth):
        return rows
    return tuple(row for row in rows if policy.shows(provider, dedupe_key(provider, row.id), has_auth=has_auth))


def _list_rows(listed: list[ListedModel], policy: Policy, rows: tuple[ModelRow, ...], cell: CellLike) -> None:
    configured = policy.configured
    for row in rows:
        of_model = cell.for_model(row.id)
        has_auth = of_model.has_auth
        listed.append(
            ListedModel(
                row.key,
                row.provider,
                row.id,
                row.name,
                of_model.state,
                has_auth,
                "" if has_auth else of_model.reason,
                dedupe_key(row.provider, row.id) in configured,
                row.context_window,
            )
        )


def _hidden(
    policy: Policy, provider: ProviderId, rows: tuple[ModelRow, ...], shown: tuple[ModelRow, ...], cell: CellLike
) -> HiddenProvider:
    seen = {row.key for row in shown}
    left = [row for row in rows if row.key not in seen]
    count = len(left)
    if provider in LEGACY_RUNTIME_PROVIDERS:
        return HiddenProvider(provider, count, cell.state, _LEGACY_REASON, "")
    if cell.has_auth or not any(policy.admits(provider, dedupe_key(provider, row.id)) for row in left):
        step = f'Add "{provider}/*" to agents.defaults.models to show them'
        return HiddenProvider(provider, count, cell.state, _ALLOWLIST_REASON, step)
    return HiddenProvider(provider, count, cell.state, cell.reason, cell.next_step)
