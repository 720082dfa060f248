"""Credential files that count together with some variables (OpenClaw 2026.5.22, model-auth-env.ts; formats 4.4)."""

from __future__ import annotations

from openclaw_actors.auth.shared import SharedIndex
from openclaw_actors.auth.sources.ranks import Rank
from openclaw_actors.auth.verdict import Candidate, Evidence, State
from openclaw_actors.home.providers import auth_provider
from openclaw_actors.ids import EvidenceId, ProviderId


def candidates(provider: ProviderId, index: SharedIndex) -> tuple[Candidate, ...]:
    """Return the provider's complete evidence file; nothing when its plugin is switched off."""
    files = index.environment.evidence_files
    if not files or provider in index.disabled_providers:
        return ()
    wanted = auth_provider(provider)
    for owner, path in files:
        if owner == wanted:
            return (
                Candidate(
                    evidence=Evidence(
                        id=EvidenceId(f"file:{owner}"),
                        source="evidence-file",
                        kind="file",
                        detail=f"credentials file {path} together with project and location variables",
                    ),
                    state=State.USABLE,
                    reason=f"credentials file {path}; it exists, its content is not read",
                    order=(Rank.ENVIRONMENT, 100),
                ),
            )
    return ()
