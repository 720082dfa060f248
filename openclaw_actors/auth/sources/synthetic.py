"""What plugins answer without a stored secret: ollama, lmstudio, xai, claude-cli (OpenClaw 2026.5.22; formats 4.6).

A plugin that the config switches off isn't asked.
"""

from __future__ import annotations

import re

from openclaw_actors.auth.shared import CLI_PROVIDERS, SharedIndex
from openclaw_actors.auth.sources.hosts import is_local_for_ollama
from openclaw_actors.auth.sources.ranks import Rank
from openclaw_actors.auth.verdict import Candidate, Evidence, State
from openclaw_actors.home.facts import KeyForm, ProviderConfig
from openclaw_actors.home.providers import auth_provider
from openclaw_actors.ids import EvidenceId, ProviderId

_OLLAMA = ProviderId("ollama")
_LMSTUDIO = ProviderId("lmstudio")
_XAI = ProviderId("xai")
_CLAUDE_CLI = CLI_PROVIDERS["claude"]
_OLLAMA_DEFAULT_URL = "http://127.0.0.1:11434"
_LMSTUDIO_MARKERS = frozenset({"lmstudio-local", "custom-local"})
_NOT_KEY_STRINGS = frozenset({KeyForm.ABSENT, KeyForm.BLANK, KeyForm.FILE_REF, KeyForm.EXEC_REF, KeyForm.MALFORMED})
"""Forms that don't make an ollama entry meaningful by themselves: absent, empty, or no string."""


def candidates(provider: ProviderId, index: SharedIndex, now: float) -> tuple[Candidate, ...]:
    """Return what the plugins say of one provider.

    The ollama plugin is reached by the entry's `api` too, whatever the provider is called.
    """
    entry = index.entry(provider)
    own = _own_plugin(provider, entry, index, now)
    if own and own[0].present:
        return own
    if entry is not None and (provider == _OLLAMA or entry.api == "ollama") and _OLLAMA not in index.disabled_providers:
        return _ollama(provider, entry) or own
    return own


def _own_plugin(
    provider: ProviderId, entry: ProviderConfig | None, index: SharedIndex, now: float
) -> tuple[Candidate, ...]:
    if provider in index.disabled_providers:
        return ()
    if provider == _LMSTUDIO and entry is not None:
        return _lmstudio(entry)
    if provider == _XAI:
        return _xai(index)
    if provider == _CLAUDE_CLI:
        return _claude_cli(index, now)
    return ()


def _ollama(provider: ProviderId, entry: ProviderConfig) -> tuple[Candidate, ...]:
    meaningful = (
        bool(entry.models)
        or _is_other_url(entry.base_url)
        or entry.key.form not in _NOT_KEY_STRINGS
        or bool(entry.auth)
        or entry.has_auth_header
        or entry.has_headers
        or entry.has_request
    )
    if not meaningful or (entry.base_url and not is_local_for_ollama(entry.base_url)):
        return ()
    where = entry.base_url or _OLLAMA_DEFAULT_URL
    return (_usable(provider, f"ollama server at {where}, no key needed", f"ollama plugin, server at {where}"),)


def _is_other_url(base_url: str) -> bool:
    trimmed = re.sub(r"/v1$", "", base_url.strip().rstrip("/"), flags=re.IGNORECASE)
    return bool(trimmed) and trimmed != _OLLAMA_DEFAULT_URL


def _lmstudio(entry: ProviderConfig) -> tuple[Candidate, ...]:
    key = entry.key
    keyless = key.form in {KeyForm.ABSENT, KeyForm.BLANK} or (
        key.form is KeyForm.MARKER and key.name in _LMSTUDIO_MARKERS
    )
    if not entry.models or not keyless or entry.has_authorization:
        return ()
    where = entry.base_url or "its default address"
    return (_usable(_LMSTUDIO, f"lmstudio server at {where}, no key needed", f"lmstudio plugin, server at {where}"),)


def _xai(index: SharedIndex) -> tuple[Candidate, ...]:
    key = index.config.xai_search_key
    place = "the web search key of plugins.entries.xai"
    if key.resolved:
        return (_usable(_XAI, f"API key: {place}", place, kind="api_key", digest=key.digest),)
    if key.form in {KeyForm.ENV_REF, KeyForm.FILE_REF, KeyForm.EXEC_REF, KeyForm.ENV_NAME}:
        unresolved = Candidate(
            evidence=_evidence(_XAI, "api_key", place),
            state=State.UNRESOLVED,
            reason=f"{place} refers to {key.name}: {key.problem or 'it yields nothing'}",
            next_step=f"make {key.name} available, or set XAI_API_KEY",
            present=False,
            order=(Rank.SYNTHETIC, 1),
        )
        return (unresolved,)
    return ()


def _claude_cli(index: SharedIndex, now: float) -> tuple[Candidate, ...]:
    """Judge Claude CLI's own login: a run hands over to that program, which refreshes it; presence ignores expiry."""
    for cli in index.clis_of(auth_provider(_CLAUDE_CLI)):
        if cli.name != "claude" or not cli.found:
            continue
        state, reason, step, changes_at = State.USABLE, f"Claude CLI is logged in ({cli.path})", "", cli.expires_at
        if cli.expires_at is not None and cli.expires_at <= now:
            changes_at = None
            if cli.has_refresh:
                state, reason = State.REFRESHABLE, "Claude CLI's access token ran out; it refreshes it by itself"
            else:
                state, reason, step = (
                    State.EXPIRED,
                    "Claude CLI's login ran out",
                    "log in again with Claude CLI: claude",
                )
        elif cli.expires_at is None:
            changes_at = None
        candidate = Candidate(
            evidence=_evidence(_CLAUDE_CLI, cli.kind, f"Claude CLI login {cli.path}", expires_at=cli.expires_at),
            state=state,
            reason=reason,
            next_step=step,
            order=(Rank.SYNTHETIC, 1),
            digest=cli.digest,
            changes_at=changes_at,
        )
        return (candidate,)
    return ()


def _usable(
    provider: ProviderId, reason: str, detail: str, *, kind: str = "none", digest: bytes | None = None
) -> Candidate:
    return Candidate(
        evidence=_evidence(provider, kind, detail),
        state=State.USABLE,
        reason=reason,
        order=(Rank.SYNTHETIC, 1),
        digest=digest,
    )


def _evidence(provider: ProviderId, kind: str, detail: str, *, expires_at: float | None = None) -> Evidence:
    return Evidence(
        id=EvidenceId(f"synthetic:{provider}"), source="synthetic", kind=kind, detail=detail, expires_at=expires_at
    )
