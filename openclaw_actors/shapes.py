"""The JSON that commands print and the HTTP gateway answers. Field names are part of the public face."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from openclaw_actors.auth.verdict import Evidence, State, Verdict

if TYPE_CHECKING:
    from openclaw_actors.changes import Change
    from openclaw_actors.cli.diagnosis.remark import Remark
    from openclaw_actors.control.client import Asked
    from openclaw_actors.listing.listing import Listing, Page


def status_cell(verdict: Verdict, model_count: int) -> dict[str, Any]:
    """Return one provider of `status --json`."""
    evidence = verdict.evidence
    return {
        "state": verdict.state.value,
        "has_auth": verdict.has_auth,
        "presence": verdict.presence,
        "source": None if evidence is None else evidence.source,
        "kind": None if evidence is None else evidence.kind,
        "profile": profile_of(evidence),
        "reason": verdict.reason,
        "next_step": verdict.next_step,
        "valid_until": verdict.valid_until,
        "fresh": verdict.fresh,
        "model_count": model_count,
    }


def status_agent(
    revision: int, generation: int, answers: Iterable[tuple[str, Verdict]], model_count: Callable[[str], int]
) -> dict[str, Any]:
    """Return one agent of `status --json`; the answers are keyed as they were spelled."""
    providers = {spelled: status_cell(verdict, model_count(verdict.provider)) for spelled, verdict in answers}
    return {"revision": revision, "generation": generation, "providers": providers}


def profile_of(evidence: Evidence | None) -> str | None:
    """Return the profile id when the evidence is a stored profile."""
    return evidence.id if evidence is not None and evidence.source == "profile" else None


def explanation(
    verdict: Verdict, spelled: str, model: str | None, visibility: str | None, suggestions: list[str]
) -> dict[str, Any]:
    """Return what `explain --json` prints."""
    return {
        "agent": verdict.agent_id,
        "provider": verdict.provider,
        "spelled": spelled,
        "model": model,
        "state": verdict.state.value,
        "has_auth": verdict.has_auth,
        "presence": verdict.presence,
        "presence_note": presence_note(verdict),
        "evidence": msgspec.to_builtins(verdict.evidence),
        "shadowed": msgspec.to_builtins(verdict.shadowed),
        "reason": verdict.reason,
        "next_step": verdict.next_step,
        "valid_until": verdict.valid_until,
        "generation": verdict.generation,
        "fresh": verdict.fresh,
        "visibility": visibility,
        "did_you_mean": suggestions,
    }


def model_page(listing: Listing, page: Page) -> dict[str, Any]:
    """Return what `models --json` prints."""
    return {
        "agent": listing.agent_id,
        "revision": listing.revision,
        "view": listing.view,
        "provider": listing.provider,
        "page": page.page,
        "pages": page.pages,
        "limit": page.limit,
        "total": page.total,
        "models": msgspec.to_builtins(page.rows),
        "hidden": msgspec.to_builtins(listing.hidden),
    }


def watch_change(change: Change, seen_at: float) -> dict[str, Any]:
    """Return one change of `watch --json`."""
    return {
        "event": "change",
        "at": seen_at,
        "sequence": change.sequence,
        "agent": change.agent_id,
        "revision": change.revision,
        "provider": change.provider,
        "old": change.old.state.value,
        "new": change.new.state.value,
        "old_evidence": change.old.evidence.id if change.old.evidence is not None else None,
        "new_evidence": change.new.evidence.id if change.new.evidence is not None else None,
        "valid_until": change.new.valid_until,
        "has_auth": change.new.has_auth,
        "presence": change.new.presence,
        "cause": change.reason,
        "reason": change.new.reason,
        "generation": change.generation,
        "latency_ms": round(change.latency_s * 1000, 3),
        "published_at": change.published_at,
        "reread_from": change.reread_from,
    }


def recheck_report(home: str, asked: Asked, error: str = "") -> dict[str, Any]:
    """Return what `recheck --json` prints: one entry per gateway, as it answered, or with `error` and `message`."""
    gateways = []
    for outcome in asked.outcomes:
        entry = msgspec.to_builtins(outcome.answer)
        gateways.append({"pid": outcome.pid, **{key: entry[key] for key in entry if key not in ("answer", "version")}})
    return {"home": home, "gateways": gateways, **({"error": error} if error else {})}


def doctor_report(home: str, checks: Sequence[str], remarks: Sequence[Remark]) -> dict[str, Any]:
    """Return what `doctor --json` prints: findings worst first."""
    return {"home": home, "checks": list(checks), "findings": msgspec.to_builtins(remarks)}


def presence_note(verdict: Verdict) -> str:
    """Return why OpenClaw 2026.5.22 would say something else; empty when it would say the same."""
    if verdict.presence == verdict.has_auth:
        return ""
    if not verdict.presence:
        return "its pre-warm doesn't count this source, though a run could use it"
    reasons = {
        State.UNVERIFIED: "it takes this cloud provider for present without seeing credentials",
        State.UNKNOWN: "its last known answer was yes; the source can't be read now",
        State.UNRESOLVED: "it counts the profile without resolving its secret reference",
        State.REJECTED: "it counts a stored credential whatever the provider said to it",
        State.DISABLED: "it doesn't look at disabled windows",
        State.EXPIRED: "it doesn't look at the expiry",
        State.MALFORMED: "it counts a profile even when there is nothing in it to use",
    }
    return reasons.get(verdict.state, "it counts this source")
