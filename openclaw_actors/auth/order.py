"""Which profiles a run tries, in what order: resolveAuthProfileOrder (OpenClaw 2026.5.22, order.ts; formats 7.6)."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from openclaw_actors.auth.shared import SharedIndex
from openclaw_actors.auth.sources.cloud import uses_aws
from openclaw_actors.auth.sources.external_cli import overlay
from openclaw_actors.auth.sources.stored import StoreIndex, store_index
from openclaw_actors.home.facts import KeyForm, ProfileFacts
from openclaw_actors.home.providers import auth_provider
from openclaw_actors.home.stores.merge import StoreView
from openclaw_actors.ids import ProviderId

_CODEX = ProviderId("openai-codex")
_OPENAI = ProviderId("openai")
_KIND_RANKS = {"oauth": 0, "token": 1, "api_key": 2}
_NO_KEY = frozenset({KeyForm.ABSENT, KeyForm.BLANK, KeyForm.MALFORMED})
_MS = 1000

OK = "ok"
"""The reason code of an eligible profile."""

Resting = Callable[[str], float | None]
"""Says until when (any unit, compared only) a profile rests as a whole; None when it doesn't."""


class ProfileOrder(msgspec.Struct, frozen=True):
    """The order of one provider's profiles."""

    ids: tuple[str, ...] = ()
    """Eligible profiles, first tried first; `aws-sdk` ones that only the config describes included."""
    excluded: tuple[tuple[str, str], ...] = ()
    """Profiles that are stored or listed but not tried, each with a code: `unlisted`, or one of formats 3.3."""
    source: str = ""
    """What names the profiles: `auth.order of the config`, `the store's order`, `auth.profiles of the config`, or empty
    when all stored profiles are taken."""


def eligibility(profile: ProfileFacts, now: float) -> str:
    """Return `ok`, or why a stored credential is never tried: `missing_credential`, `invalid_expires`, `expired`."""
    if profile.kind == "oauth":
        held = profile.has_access or profile.has_refresh or profile.has_sidecar
        return OK if held else "missing_credential"
    if profile.key.form in _NO_KEY:
        return "missing_credential"
    if profile.kind == "token" and profile.expires_ms is not None:
        if profile.expires_ms <= 0:
            return "invalid_expires"
        if profile.expires_ms / _MS <= now:
            return "expired"
    return OK


def resolve_order(
    provider: ProviderId,
    index: SharedIndex,
    store: StoreView | StoreIndex,
    now: float,
    *,
    resting: Resting | None = None,
    preferred: str | None = None,
) -> ProfileOrder:
    """Return the order in which a run tries the provider's profiles.

    Args:
        provider: A normalised provider id.
        index: The config.
        store: The profiles. Logins of other programs are laid over a view; an index is taken as it is.
        now: Epoch seconds; what is expired depends on it.
        resting: Which profiles rest; they come last, soonest end first. Without it none does.
        preferred: A profile that comes first if it is in the order at all.
    """
    auth_id = auth_provider(provider)
    if isinstance(store, StoreIndex):
        stored = store
    else:
        stored = store_index(store)
        laid_over = overlay(auth_id, index, stored, now)
        stored = laid_over.store if laid_over is not None else stored
    available = stored.serving(auth_id)
    configured = index.configured_profiles(auth_id)
    explicit, source = _explicit_order(provider, auth_id, index, stored)
    if explicit is None and not configured:
        if not available:
            return ProfileOrder()
        base = [item.profile.id for item in available]
    else:
        base = list(dict.fromkeys(explicit if explicit is not None else configured))
        source = source or "auth.profiles of the config"
    judged = {name: _judge(name, provider, auth_id, index, stored, now) for name in base}
    kept = [name for name, code in judged.items() if code == OK]
    drifted = base and not kept and bool(configured) and not any(name in stored.profiles for name in base)
    if drifted:
        # the config's ids drifted away from the store's: the store's own are used
        more = {item.profile.id: _judge(item.profile.id, provider, auth_id, index, stored, now) for item in available}
        judged |= more
        kept = [name for name, code in more.items() if code == OK]
    if explicit is None:
        kept = _round_robin(kept, stored)
    if resting is not None:
        ends = {name: resting(name) for name in kept}
        cooling = sorted((name for name in kept if ends[name] is not None), key=lambda name: ends[name] or 0.0)
        kept = [name for name in kept if ends[name] is None] + cooling
    if preferred in kept:
        kept = [preferred, *(name for name in kept if name != preferred)]
    for item in stored.of_provider(auth_id):
        judged.setdefault(item.profile.id, "unlisted")
    return ProfileOrder(tuple(kept), tuple((name, code) for name, code in judged.items() if code != OK), source)


def _explicit_order(
    provider: ProviderId, auth_id: ProviderId, index: SharedIndex, stored: StoreIndex
) -> tuple[tuple[str, ...] | None, str]:
    ids, source = _order_of(provider, auth_id, index, stored)
    if ids is None and auth_id == _CODEX:
        ids, source = _order_of(_OPENAI, _OPENAI, index, stored)
        if ids is not None:
            ids = (*ids, *(item.profile.id for item in stored.of_provider(_CODEX)))
    return ids, source


def _order_of(
    provider: ProviderId, auth_id: ProviderId, index: SharedIndex, stored: StoreIndex
) -> tuple[tuple[str, ...] | None, str]:
    for name in (auth_id, provider):
        # the store drops empty lists when it reads, but one set in memory means "none" all the same
        if (ids := stored.orders.get(name)) is not None:
            return ids, "the store's order"
    for name in (auth_id, provider):
        if (ids := index.configured_order(name)) is not None:
            return ids, "auth.order of the config"
    return None, ""


def _judge(
    name: str, provider: ProviderId, auth_id: ProviderId, index: SharedIndex, stored: StoreIndex, now: float
) -> str:
    """Return the reason code of one profile for one provider."""
    described = index.profile_configs.get(name)
    found = stored.profiles.get(name)
    if found is None:
        if described is None or described.mode != "aws-sdk":
            return "profile_missing"
        if auth_provider(described.provider) != auth_id:
            return "provider_mismatch"
        return OK if uses_aws(provider, index) else "mode_mismatch"
    profile = found.profile
    if not _serves(auth_provider(profile.provider), profile.kind, auth_id):
        return "provider_mismatch"
    if described is not None:
        if not _serves(auth_provider(described.provider), profile.kind, auth_id):
            return "provider_mismatch"
        if described.mode != profile.kind and (described.mode, profile.kind) != ("oauth", "token"):
            return "mode_mismatch"
    return eligibility(profile, now)


def _serves(owner: ProviderId, kind: str, auth_id: ProviderId) -> bool:
    return owner == auth_id or (auth_id == _CODEX and owner == _OPENAI and kind == "api_key")


def _round_robin(names: list[str], stored: StoreIndex) -> list[str]:
    """Sort as OpenClaw does without an explicit order: by kind, then the one used longest ago; else as they stand."""
    if len(names) < 2:
        return names

    def key(name: str) -> tuple[int, int]:
        found = stored.profiles.get(name)
        windows = stored.usage.get(name)
        kind = _KIND_RANKS.get(found.profile.kind, 3) if found is not None else 3
        return kind, (windows.last_used or 0) if windows is not None else 0

    return sorted(names, key=key)
