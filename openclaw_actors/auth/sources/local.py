"""Local model servers: without a key, or with a marker key (OpenClaw 2026.5.22, model-auth.ts; formats 4.6)."""

from __future__ import annotations

from openclaw_actors.auth.shared import SharedIndex
from openclaw_actors.auth.sources.hosts import is_local
from openclaw_actors.auth.sources.ranks import Rank
from openclaw_actors.auth.verdict import Candidate, Evidence, State
from openclaw_actors.home.facts import KeyForm, ProviderConfig
from openclaw_actors.ids import EvidenceId, ProviderId

_MARKER_APIS = frozenset({"openai-completions", "ollama"})
_KEYLESS_AUTH = frozenset({"", "api-key"})


def candidates(provider: ProviderId, index: SharedIndex) -> tuple[Candidate, ...]:
    """Return the provider as a local server, when its entry describes one that needs no key."""
    entry = index.entry(provider)
    if entry is None:
        return ()
    if accepts_marker(entry):
        reason = f"local server at {entry.base_url}, marker key {entry.key.name}"
        return (_candidate(provider, entry, reason, (Rank.LOCAL_MARKER,)),)
    keyless = entry.key.form in {KeyForm.ABSENT, KeyForm.BLANK} and entry.auth in _KEYLESS_AUTH
    if keyless and _is_local_server(entry):
        return (_candidate(provider, entry, f"local server at {entry.base_url}, no key needed", (Rank.SYNTHETIC, 0)),)
    return ()


def accepts_marker(entry: ProviderConfig) -> bool:
    """Tell whether a marker key is enough: a complete local entry with a fitting API, whatever its `auth`."""
    return entry.key.form is KeyForm.MARKER and entry.api in _MARKER_APIS and _is_local_server(entry)


def _is_local_server(entry: ProviderConfig) -> bool:
    return bool(entry.base_url.strip() and entry.api.strip() and entry.models) and is_local(entry.base_url)


def _candidate(provider: ProviderId, entry: ProviderConfig, reason: str, order: tuple[int, ...]) -> Candidate:
    return Candidate(
        evidence=Evidence(
            id=EvidenceId(f"local:{provider}"),
            source="local",
            kind="none",
            detail=f"models.providers.{entry.spelled} at {entry.base_url}",
        ),
        state=State.USABLE,
        reason=reason,
        order=order,
    )
