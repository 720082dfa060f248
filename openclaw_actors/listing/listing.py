"""The list of models that an agent is shown, with the hidden ones counted and explained: what it is.

`shelves.py` makes it.
"""

from __future__ import annotations

from collections.abc import Sized
from typing import Protocol, final

import msgspec

from openclaw_actors.auth.verdict import State
from openclaw_actors.ids import AgentId, ProviderId, Revision

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
    @property
    def models(self) -> tuple[tuple[str, CellLike], ...]: ...
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


@final
class Encoded:
    """JSON of rows, encoded provider by provider before, and joined when somebody asks. Safe on any thread."""

    __slots__ = ("_parts", "_whole")

    def __init__(self, parts: tuple[bytes, ...]) -> None:
        self._parts = parts
        self._whole: bytes | None = None

    def whole(self) -> bytes:
        """Return the JSON array of all rows; two threads that race just join twice."""
        whole = self._whole
        if whole is None:
            whole = self._whole = b"[" + b",".join(self._parts) + b"]"
        return whole


class Listing(msgspec.Struct, frozen=True, dict=True):
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

    def with_json(self, encoded: Encoded) -> Listing:
        """Return this very list, which has its rows as JSON from now on."""
        self.__dict__["_encoded"] = encoded
        return self

    def json(self) -> bytes:
        """Return the rows as a JSON array, in UTF-8; the same object at each call, and for each agent that is shown the
        same.
        """
        encoded = self.__dict__.get("_encoded")
        return encoded.whole() if isinstance(encoded, Encoded) else msgspec.json.encode(self.rows)


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


def page(listing: Listing, number: int = 1, limit: int = DEFAULT_LIMIT) -> Page:
    """Return one page of a list; the limit is held between 1 and 100. A page outside is empty, `in_range` False."""
    size = max(1, min(limit, MAX_LIMIT))
    pages = max(1, -(-listing.total // size))
    start = (number - 1) * size
    rows = listing.rows[start : start + size] if 1 <= number <= pages else ()
    return Page(rows, number, pages, size, listing.total, start + 1 if rows else 0)
