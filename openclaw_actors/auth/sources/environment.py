"""Keys in environment variables (OpenClaw 2026.5.22, provider-env-vars.ts; formats 4.3)."""

from __future__ import annotations

from openclaw_actors.auth.shared import SharedIndex
from openclaw_actors.auth.sources.ranks import Rank
from openclaw_actors.auth.verdict import Candidate, Evidence, State
from openclaw_actors.home.facts import EnvVar
from openclaw_actors.home.providers import env_candidates
from openclaw_actors.ids import EvidenceId, ProviderId


def candidates(provider: ProviderId, index: SharedIndex) -> tuple[Candidate, ...]:
    """Return the first non-empty variable of the provider, and the further ones as shadowed.

    OpenClaw never looks past the first non-empty one, even when its key is refused: the others are not has-auth.
    """
    variables = index.variables
    found = [variables[name] for name in env_candidates(provider) if name in variables]
    if not found:
        return ()
    first = found[0]
    used = Candidate(
        evidence=_evidence(first),
        state=State.USABLE,
        reason=f"environment variable {first.name}",
        order=(Rank.ENVIRONMENT, 0),
        digest=first.digest,
    )
    return (used, *(_shadowed(variable, first, place) for place, variable in enumerate(found[1:], 1)))


def _shadowed(variable: EnvVar, first: EnvVar, place: int) -> Candidate:
    return Candidate(
        evidence=_evidence(variable),
        state=State.MISSING,
        reason=f"environment variable {variable.name} is not looked at: {first.name} comes first",
        next_step=f"unset {first.name} to use {variable.name}",
        order=(Rank.ENVIRONMENT, place),
        digest=variable.digest,
    )


def _evidence(variable: EnvVar) -> Evidence:
    return Evidence(
        id=EvidenceId(f"env:{variable.name}"),
        source="environment",
        kind="token" if variable.name.endswith("_TOKEN") else "api_key",
        detail=f"environment variable {variable.name} (from {variable.origin})",
    )
