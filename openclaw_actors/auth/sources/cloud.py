"""The AWS SDK's default credential chain (OpenClaw 2026.5.22, model-auth.ts; formats 4.7, 5.1 steps 1 and 2)."""

from __future__ import annotations

from openclaw_actors.auth.shared import SharedIndex
from openclaw_actors.auth.sources.ranks import Rank
from openclaw_actors.auth.verdict import Candidate, Evidence, State
from openclaw_actors.ids import EvidenceId, ProviderId

BEDROCK = ProviderId("amazon-bedrock")
"""The one provider that uses the chain without being told to."""

_CHAIN = (
    ("AWS_BEARER_TOKEN_BEDROCK",),
    ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    ("AWS_PROFILE",),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",),
    ("AWS_CONTAINER_CREDENTIALS_FULL_URI",),
)
"""Sets of variables by which the chain can be seen to have something (AWS SDK reference, environment variables)."""


def uses_aws(provider: ProviderId, index: SharedIndex) -> bool:
    """Tell whether the provider takes its credentials from the chain: `auth` says so, or it is bedrock and unset."""
    entry = index.entry(provider)
    auth = entry.auth if entry is not None else ""
    return auth == "aws-sdk" or (provider == BEDROCK and not auth)


def candidates(provider: ProviderId, index: SharedIndex) -> tuple[Candidate, ...]:
    """Return the chain for `auth: "aws-sdk"` and for bedrock without an `auth` override; it always counts."""
    entry = index.entry(provider)
    told = entry is not None and entry.auth == "aws-sdk"
    if not told and (provider != BEDROCK or (entry is not None and entry.auth)):
        return ()
    order = (Rank.AWS_AUTH,) if told else (Rank.BEDROCK,)
    return (chain_candidate(EvidenceId("cloud:aws"), "cloud", index, order=order, present=True),)


def chain_candidate(
    evidence_id: EvidenceId, source: str, index: SharedIndex, *, order: tuple[int, ...], present: bool
) -> Candidate:
    """Return the chain as a candidate: usable when a variable or file shows it, else only a network look could tell."""
    seen, digest = _visible(index)
    evidence = Evidence(id=evidence_id, source=source, kind="aws-sdk", detail=seen or "AWS default credential chain")
    if seen:
        return Candidate(
            evidence=evidence,
            state=State.USABLE,
            reason=f"AWS credentials: {seen}",
            present=present,
            order=order,
            digest=digest,
        )
    return Candidate(
        evidence=evidence,
        state=State.UNVERIFIED,
        reason="AWS default credential chain: no variable and no credentials file shows it; an instance role may exist",
        next_step="set AWS_PROFILE or AWS_BEARER_TOKEN_BEDROCK, or recheck on a machine with an instance role",
        present=present,
        order=order,
    )


def _visible(index: SharedIndex) -> tuple[str, bytes | None]:
    for names in _CHAIN:
        if all(name in index.variables for name in names):
            found = index.variables[names[-1]]
            plural = "s" if len(names) > 1 else ""
            return f"environment variable{plural} {' and '.join(names)} (from {found.origin})", found.digest
    aws_file = index.environment.aws_file
    return (f"file {aws_file}", None) if aws_file else ("", None)
