"""The configured key: `models.providers.<id>.apiKey` (OpenClaw 2026.5.22, model-auth.ts; formats 5.1 step 4)."""

from __future__ import annotations

from openclaw_actors.auth.shared import SharedIndex
from openclaw_actors.auth.sources.keys import counts, judge_key
from openclaw_actors.auth.sources.local import accepts_marker
from openclaw_actors.auth.sources.ranks import Rank
from openclaw_actors.auth.verdict import Candidate, Evidence
from openclaw_actors.home.facts import KeyForm
from openclaw_actors.ids import EvidenceId, ProviderId

_COUNTED = frozenset({KeyForm.LITERAL, KeyForm.ENV_REF, KeyForm.ENV_NAME, KeyForm.FILE_REF})
"""Forms that count when they yield a secret. Exec references are not run here, so they never do."""


def candidates(provider: ProviderId, index: SharedIndex) -> tuple[Candidate, ...]:
    """Return what the configured key says; nothing for an absent or blank one, or one that `local` judges.

    The provider's `auth` mode decides when a run tries the key, never whether it counts.
    """
    entry = index.entry(provider)
    if entry is None:
        return ()
    key = entry.key
    if key.form in {KeyForm.ABSENT, KeyForm.BLANK} or accepts_marker(entry):
        return ()
    where = f"models.providers.{entry.spelled}.apiKey"
    state, reason, step = judge_key(key, where)
    return (
        Candidate(
            evidence=Evidence(
                id=EvidenceId(f"config:{provider}"), source="config", kind="api_key", detail=f"{where} in the config"
            ),
            state=state,
            reason=reason,
            next_step=step,
            present=key.form in _COUNTED and counts(key, index),
            order=(Rank.CONFIG_KEY_FIRST if entry.auth == "api-key" else Rank.CONFIG_KEY,),
            digest=key.digest,
        ),
    )
