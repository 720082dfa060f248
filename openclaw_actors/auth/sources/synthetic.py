"""What plugins answer without a stored secret: ollama, lmstudio, xai, claude-cli (OpenClaw 2026.5.22; formats 4.6).

A plugin that the config switches off isn't asked.
"""

from __future__ import annotations

import re

import msgspec

from openclaw_actors.auth.shared import CLI_PROVIDERS, SharedIndex
from openclaw_actors.auth.sources.hosts import is_local_for_ollama
from openclaw_actors.auth.sources.keys import counts
from openclaw_actors.auth.sources.ranks import Rank
from openclaw_actors.auth.verdict import Candidate, Evidence, State
from openclaw_actors.home.facts import KeyForm, ProviderConfig
from openclaw_actors.home.providers import auth_provider
from openclaw_actors.ids import EvidenceId, ProviderId

_OLLAMA = ProviderId("ollama")
_LMSTUDIO = ProviderId("lmstudio")
_OF_XAI = frozenset({ProviderId("xai"), ProviderId("x-ai")})
"""The xai plugin's own id, and the one that it also answers to once it has a search key."""
_CLAUDE_CLI = CLI_PROVIDERS["claude"]
_OLLAMA_DEFAULT_URL = "http://127.0.0.1:11434"
_KEYLESS = frozenset({KeyForm.ABSENT, KeyForm.BLANK})


def candidates(provider: ProviderId, index: SharedIndex, now: float) -> tuple[Candidate, ...]:
    """Return what the plugins say of one provider.

    An entry whose `api` is `ollama` names a second plugin. The first of the two in alphabetical order that has a quick
    answer gives the only one (anthropic, ollama, xai have; lmstudio hasn't), and a plugin that is switched off is then
    out.
    """
    entry = index.entry(provider)
    if entry is None or entry.api != _OLLAMA or provider == _OLLAMA:
        return () if provider in index.unasked_providers else _own_plugin(provider, entry, index, now)
    own_is_on = provider not in index.disabled_providers
    if _OLLAMA in index.disabled_providers or (provider == _CLAUDE_CLI and own_is_on):
        return _own_plugin(provider, entry, index, now) if own_is_on else ()
    return _ollama(provider, entry)


def _own_plugin(
    provider: ProviderId, entry: ProviderConfig | None, index: SharedIndex, now: float
) -> tuple[Candidate, ...]:
    if provider == _OLLAMA and entry is not None:
        return _ollama(provider, entry)
    if provider == _LMSTUDIO and entry is not None:
        return _lmstudio(entry)
    if provider in _OF_XAI:
        return _xai(provider, index)
    if provider == _CLAUDE_CLI:
        return _claude_cli(index, now)
    return ()


def _ollama(provider: ProviderId, entry: ProviderConfig) -> tuple[Candidate, ...]:
    if not _is_meaningful(entry) or (entry.base_url and not is_local_for_ollama(entry.base_url)):
        return ()
    where = entry.base_url or _OLLAMA_DEFAULT_URL
    return (_usable(provider, f"ollama server at {where}, no key needed", f"ollama plugin, server at {where}"),)


def _is_meaningful(entry: ProviderConfig) -> bool:
    """Tell whether an entry says more than the plugin's defaults do.

    Fields beside models and base URL count only where there is no base URL, and ollama's own entry always has one: the
    default is filled in when the config is loaded.
    """
    if entry.models:
        return True
    if entry.base_url or entry.id == _OLLAMA:
        return _is_other_url(entry.base_url)
    has_key = entry.key.form not in _KEYLESS and (entry.key.is_text or entry.key.resolved)
    return has_key or bool(entry.auth) or entry.has_auth_header or entry.has_headers or entry.has_request


def _is_other_url(base_url: str) -> bool:
    trimmed = re.sub(r"/v1$", "", base_url.strip().rstrip("/"), flags=re.IGNORECASE)
    return bool(trimmed) and trimmed != _OLLAMA_DEFAULT_URL


def _lmstudio(entry: ProviderConfig) -> tuple[Candidate, ...]:
    key = entry.key
    keyless = key.form in _KEYLESS or (key.form is KeyForm.MARKER and key.name == "custom-local")
    if not entry.models or not keyless or entry.has_authorization:
        return ()
    where = entry.base_url or "its default address"
    return (_usable(_LMSTUDIO, f"lmstudio server at {where}, no key needed", f"lmstudio plugin, server at {where}"),)


def _xai(provider: ProviderId, index: SharedIndex) -> tuple[Candidate, ...]:
    key = index.config.xai_search_key
    place = "the web search key of plugins.entries.xai"
    if key.resolved:
        usable = _usable(provider, f"API key: {place}", place, kind="api_key", digest=key.digest)
        return (msgspec.structs.replace(usable, present=counts(key, index)),)
    if key.form in {KeyForm.ENV_REF, KeyForm.FILE_REF, KeyForm.EXEC_REF, KeyForm.ENV_NAME, KeyForm.MARKER}:
        unresolved = Candidate(
            evidence=_evidence(provider, "api_key", place),
            state=State.UNRESOLVED,
            reason=f"{place} refers to {key.name}: {key.problem or 'it yields nothing'}",
            next_step=f"make {key.name} available, or set XAI_API_KEY",
            # the plugin looks for a text and not at what it stands for
            present=key.is_text and key.name != "secretref-managed",
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
