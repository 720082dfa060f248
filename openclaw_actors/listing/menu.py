"""A listing as menus have it: provider by provider, with what can't be used and why. Pure."""

from __future__ import annotations

import msgspec

from openclaw_actors.auth.verdict import State
from openclaw_actors.home.providers import normalise_provider
from openclaw_actors.ids import ProviderId
from openclaw_actors.listing.labels import label, one_line
from openclaw_actors.listing.listing import HiddenProvider, ListedModel, Listing
from openclaw_actors.listing.visibility import LEGACY_RUNTIME_PROVIDERS

MAX_NOTES = 10
"""Most lines about what can't be used: before the first answers every provider is unknown."""

_MAX_NAMED = 3
"""Most models that such a line names."""

_MAX_PROVIDER_ID = 256
"""Longer texts of users are no provider's id, and aren't looked up."""


class MenuProvider(msgspec.Struct, frozen=True):
    """One provider of a menu."""

    provider: ProviderId
    rows: tuple[ListedModel, ...]
    """Its models that are shown; never empty."""
    indexes: tuple[int, ...]
    """Where they are in `Listing.rows`."""


def providers_of(listing: Listing) -> tuple[MenuProvider, ...]:
    """Return the providers that have models to show, sorted. Old runtime ids are left out in any view (formats 8.4)."""
    found: dict[ProviderId, list[int]] = {}
    for index, row in enumerate(listing.rows):
        if row.provider not in LEGACY_RUNTIME_PROVIDERS:
            found.setdefault(row.provider, []).append(index)
    return tuple(
        MenuProvider(provider, tuple(listing.rows[index] for index in found[provider]), tuple(found[provider]))
        for provider in sorted(found)
    )


def find_provider(menu: tuple[MenuProvider, ...], text: str) -> MenuProvider | None:
    """Return the provider that a text names, in any spelling; None when the menu doesn't have it."""
    by_id = {one.provider: one for one in menu}
    return by_id.get(ProviderId(text)) or by_id.get(provider_id(text))


def provider_id(text: str) -> ProviderId:
    """Return the normalised id that a user's text names, however long the text is."""
    return normalise_provider(text) if len(text) <= _MAX_PROVIDER_ID else ProviderId(text)


def unusable_note(row: ListedModel) -> str:
    """Return why a model can't be used now, on one line; empty when it can."""
    return "" if row.has_auth else _why(row.state, row.reason)


def menu_notes(listing: Listing, menu: tuple[MenuProvider, ...]) -> tuple[str, ...]:
    """Return a line for each provider that somebody set up and that can't be used: shown all the same, or hidden.

    Those that no source has a credential for, and those that only the allowlist hides, aren't named: nobody misses them
    in a menu. Asked for by name they are explained (`provider_notes`).
    """
    lines = {one.provider: _rows_notes(one.rows) for one in menu}
    for hidden in listing.hidden:
        if not hidden.state.has_auth and hidden.state is not State.MISSING:
            lines[hidden.provider] = (*lines.get(hidden.provider, ()), _hidden_note(hidden))
    return _at_most(tuple(line for provider in sorted(lines) for line in lines[provider]))


def provider_notes(listing: Listing, provider: ProviderId, rows: tuple[ListedModel, ...]) -> tuple[str, ...]:
    """Return a line for each reason why models among these rows can't be used, and one for those that are hidden."""
    hidden = tuple(_hidden_note(one) for one in listing.hidden if one.provider == provider)
    notes = _at_most(_rows_notes(rows))
    return (*notes[: MAX_NOTES - len(hidden)], *hidden)


def _rows_notes(rows: tuple[ListedModel, ...]) -> tuple[str, ...]:
    reasons: dict[tuple[State, str], list[ListedModel]] = {}
    for row in rows:
        if not row.has_auth:
            reasons.setdefault((row.state, row.reason), []).append(row)
    lines = []
    for (state, reason), alike in reasons.items():
        named = ", ".join(f"{label(row.provider)}/{label(row.model)}" for row in alike[:_MAX_NAMED])
        more = f" and {len(alike) - _MAX_NAMED} more" if len(alike) > _MAX_NAMED else ""
        lines.append(f"- {named}{more}: {_why(state, reason)}")
    return tuple(lines)


def _hidden_note(hidden: HiddenProvider) -> str:
    step = f". Next: {one_line(hidden.next_step)}" if hidden.next_step else ""
    why = _why(hidden.state, hidden.reason)
    return f"- {label(hidden.provider)} ({hidden.model_count} hidden): {why}{step}"


def _why(state: State, reason: str) -> str:
    # "usable: left out by the allowlist" would read as a contradiction
    said = state.value if not state.has_auth else ""
    return ": ".join(part for part in (said, one_line(reason)) if part)


def _at_most(lines: tuple[str, ...]) -> tuple[str, ...]:
    if len(lines) <= MAX_NOTES:
        return lines
    return (*lines[: MAX_NOTES - 1], f"… and {len(lines) - MAX_NOTES + 1} more")
