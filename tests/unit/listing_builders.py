"""Lists of models for tests of chats and pickers, made up and drawn."""

from __future__ import annotations

import unicodedata

from hypothesis import strategies as st

from openclaw_actors.auth.verdict import State
from openclaw_actors.ids import AgentId, ProviderId, Revision
from openclaw_actors.listing.listing import HiddenProvider, ListedModel, Listing
from openclaw_actors.listing.visibility import LEGACY_RUNTIME_PROVIDERS

INSTANCE = "0123456789abcdef"


def model(provider: str, name: str, state: State = State.USABLE, reason: str = "because") -> ListedModel:
    """Return a row."""
    has_auth = state.has_auth
    return ListedModel(
        f"{provider}/{name}", ProviderId(provider), name, name, state, has_auth, "" if has_auth else reason, False, None
    )


def models(provider: str, count: int, state: State = State.USABLE) -> tuple[ListedModel, ...]:
    """Return rows of one provider: `model-001`…"""
    return tuple(model(provider, f"model-{number:03}", state) for number in range(1, count + 1))


def hidden(provider: str, count: int, state: State, reason: str = "because", step: str = "do this") -> HiddenProvider:
    """Return what is hidden of a provider."""
    return HiddenProvider(ProviderId(provider), count, state, reason, step)


def listing(
    *rows: ListedModel,
    hides: tuple[HiddenProvider, ...] = (),
    revision: int = 7,
    agent: str = "main",
    view: str = "default",
    only: str | None = None,
) -> Listing:
    """Return a list of these rows, sorted."""
    ordered = tuple(sorted(rows, key=lambda row: (row.provider, row.model)))
    provider = None if only is None else ProviderId(only)
    return Listing(AgentId(agent), Revision(revision), view, provider, ordered, hides, len(ordered))


TEXTS = st.one_of(
    st.text(st.characters(), min_size=1, max_size=150),
    st.text(st.sampled_from("a/é́\u200d👩🏽\ud83d\u0000\n 世_-.:"), min_size=1, max_size=150),
    st.sampled_from(["a" * 200, "👩‍👩‍👧‍👦" * 30, "e" + "\u0301" * 200, "世" * 70, "mdl_", " ", "\u200b", "x/" * 60]),
)
"""Texts of any kind, halves of surrogate pairs and control characters included."""

PROVIDERS = st.one_of(st.sampled_from(["groq", "openai", "zai", "codex"]), TEXTS)
LISTINGS = st.builds(
    lambda rows, hides, revision, agent: listing(
        *{(row.provider, row.model): row for row in rows}.values(), hides=tuple(hides), revision=revision, agent=agent
    ),
    st.lists(st.builds(model, PROVIDERS, TEXTS, st.sampled_from(State), TEXTS), max_size=60),
    st.lists(st.builds(hidden, PROVIDERS, st.integers(0, 999), st.sampled_from(State), TEXTS, TEXTS), max_size=15),
    st.integers(0, 2**63),
    TEXTS,
)
"""Lists of any ids, in any state."""


def offered(shown: Listing) -> list[ListedModel]:
    """Return the rows that menus have: all but those of old runtime ids."""
    return [row for row in shown.rows if row.provider not in LEGACY_RUNTIME_PROVIDERS]


def units(text: str) -> int:
    """Return the length in UTF-16 code units, as an encoder counts."""
    return len(text.encode("utf-16-le")) // 2


def is_whole(text: str) -> bool:
    """Tell whether a text can be encoded, and doesn't begin with what belongs to a character before it."""
    text.encode("utf-8")
    kept = text.strip("…")
    return not kept or (unicodedata.category(kept[0])[0] != "M" and kept[0] != "\u200d" and kept[-1] != "\u200d")
