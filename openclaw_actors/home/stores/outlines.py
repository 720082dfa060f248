"""Outlines of profiles, each distinct one made once.

Hundreds of agents have profiles of the same names and kinds, and what is folded from an outline (`auth/folding.py`) is
folded once for all of them. Safe on any thread; an outline that was forgotten is made anew and is equal to the old one.
"""

from __future__ import annotations

from functools import lru_cache

from openclaw_actors.home.facts import KeyFacts, KeyForm, ProfileOutline
from openclaw_actors.home.providers import normalise_provider
from openclaw_actors.ids import ProviderId

_REMEMBERED = 16_384
"""Distinct outlines of one kind that are remembered: some 3 MB at most."""

_LITERAL = KeyFacts(KeyForm.LITERAL, resolved=True, is_text=True)


@lru_cache(_REMEMBERED)
def literal_outline(profile_id: str, provider: str, kind: str, expires_ms: float | None) -> ProfileOutline | None:
    """Return the outline of a profile whose key or token stands there as it is; None without a provider."""
    normal = normalise_provider(provider)
    return ProfileOutline(profile_id, normal, kind, _LITERAL, expires_ms) if normal else None


@lru_cache(_REMEMBERED)
def key_outline(
    profile_id: str, provider: ProviderId, kind: str, key: KeyFacts, expires_ms: float | None
) -> ProfileOutline:
    """Return the outline of a profile with anything else in its key's place, given without the digest."""
    return ProfileOutline(profile_id, provider, kind, key, expires_ms)


@lru_cache(_REMEMBERED)
def login_outline(
    profile_id: str,
    provider: ProviderId,
    expires_ms: float | None,
    has_access: bool,
    has_refresh: bool,
    has_sidecar: bool,
) -> ProfileOutline:
    """Return the outline of an OAuth login."""
    return ProfileOutline(
        profile_id,
        provider,
        "oauth",
        expires_ms=expires_ms,
        has_access=has_access,
        has_refresh=has_refresh,
        has_sidecar=has_sidecar,
    )
