"""The JSON that commands print and the HTTP gateway answers. Field names are part of the public face."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from openclaw_actors.auth.verdict import Evidence, State, Verdict
from openclaw_actors.health import Condition
from openclaw_actors.listing.listing import HiddenProvider, ListedModel, Listing, Page

if TYPE_CHECKING:
    from openclaw_actors.changes import Change
    from openclaw_actors.cli.diagnosis.remark import Remark
    from openclaw_actors.control.client import Asked


class AnsweredBy(msgspec.Struct, frozen=True):
    """Which running gateway answered."""

    pid: int
    url: str | None
    """Where it listens; None when nobody told it."""


class About(msgspec.Struct, frozen=True, kw_only=True):
    """Who answers, about which home, and how well it is."""

    pid: int
    version: str
    instance: str
    """Tells its revisions from another's."""
    url: str | None
    home: str
    config: str
    agents: tuple[str, ...]
    """In config order."""
    default_agent: str
    ready: bool
    """Whether every agent has answers and somebody keeps them."""
    warm_s: float | None
    """How long the first warm took, in seconds."""
    since: float | None
    """Since when its answers follow what happens, epoch seconds; None before that."""
    conditions: tuple[Condition, ...]


class StatusCell(msgspec.Struct, frozen=True):
    """One provider of `status --json`."""

    state: State
    has_auth: bool
    presence: bool
    source: str | None
    kind: str | None
    profile: str | None
    reason: str
    next_step: str
    valid_until: float | None
    fresh: bool
    model_count: int
    provider: str
    """As the answers have it, however it was spelled."""
    configured: bool
    """Whether somebody set it up."""
    expires_at: float | None
    """When the credential expires, epoch seconds."""
    refreshable: bool
    """Whether something is there to refresh it with."""


class StatusAgent(msgspec.Struct, frozen=True):
    """One agent of `status --json`."""

    revision: int
    generation: int
    providers: dict[str, StatusCell]
    """By the provider as it was spelled."""


class StoredProfile(msgspec.Struct, frozen=True):
    """A profile in a store."""

    id: str
    store: str
    """The agent dir whose store owns it."""
    inherited: bool


class Explanation(msgspec.Struct, frozen=True):
    """What `explain --json` prints."""

    agent: str
    provider: str
    spelled: str
    model: str | None
    state: State
    has_auth: bool
    presence: bool
    presence_note: str
    evidence: Evidence | None
    shadowed: tuple[Evidence, ...]
    reason: str
    next_step: str
    valid_until: float | None
    generation: int
    fresh: bool
    visibility: str | None
    did_you_mean: tuple[str, ...]
    model_id: str | None
    """What pickers and config call the model that was meant; None when there is no such model, or none was named."""
    profiles: tuple[StoredProfile, ...]
    """The stored profiles whose credentials the provider uses: what `logout` would remove."""


class ModelPage(msgspec.Struct, frozen=True):
    """What `models --json` prints."""

    agent: str
    revision: int
    view: str
    provider: str | None
    page: int
    pages: int
    limit: int
    total: int
    models: tuple[ListedModel, ...]
    hidden: tuple[HiddenProvider, ...]
    known: bool
    """Whether the provider that was asked for has answers; true when none was asked for."""
    did_you_mean: tuple[str, ...]


class WatchChange(msgspec.Struct, frozen=True):
    """One change of `watch --json`, and of the stream of events."""

    event: str
    at: float
    sequence: int
    agent: str
    revision: int
    provider: str
    old: State
    new: State
    old_evidence: str | None
    new_evidence: str | None
    valid_until: float | None
    has_auth: bool
    presence: bool
    cause: str
    reason: str
    generation: int
    latency_ms: float
    published_at: float
    """Epoch seconds; `at` is when it was told."""
    reread_from: int | None
    same_answer: bool
    """Whether state, credential, presence and end are what they were: what it shadows or its wording has changed."""


class LoggedOut(msgspec.Struct, frozen=True):
    """What `logout --json` prints."""

    agent: str
    provider: str
    removed: tuple[StoredProfile, ...]
    """Empty when there was nothing to remove, or nobody had read yet what was."""
    state: State
    """What the provider is now: other sources may still have a credential."""
    reason: str


class Cleared(msgspec.Struct, frozen=True):
    """What `clear-cooldown --json` prints."""

    agent: str
    profile: str
    store: str
    provider: str
    before: State
    """What the provider was."""
    state: State
    """What it is now."""
    reason: str


def status_cell(verdict: Verdict, *, model_count: int, configured: bool) -> StatusCell:
    """Return one provider of `status --json`."""
    evidence = verdict.evidence
    return StatusCell(
        state=verdict.state,
        has_auth=verdict.has_auth,
        presence=verdict.presence,
        source=None if evidence is None else evidence.source,
        kind=None if evidence is None else evidence.kind,
        profile=profile_of(evidence),
        reason=verdict.reason,
        next_step=verdict.next_step,
        valid_until=verdict.valid_until,
        fresh=verdict.fresh,
        model_count=model_count,
        provider=verdict.provider,
        configured=configured,
        expires_at=None if evidence is None else evidence.expires_at,
        refreshable=evidence is not None and evidence.refreshable,
    )


def profile_of(evidence: Evidence | None) -> str | None:
    """Return the profile id when the evidence is a stored profile."""
    return evidence.id if evidence is not None and evidence.source == "profile" else None


def explanation(
    verdict: Verdict,
    spelled: str,
    model: str | None,
    *,
    visibility: str | None = None,
    suggestions: Iterable[str] = (),
    model_id: str | None = None,
    profiles: Iterable[StoredProfile] = (),
) -> Explanation:
    """Return what `explain --json` prints."""
    return Explanation(
        agent=verdict.agent_id,
        provider=verdict.provider,
        spelled=spelled,
        model=model,
        state=verdict.state,
        has_auth=verdict.has_auth,
        presence=verdict.presence,
        presence_note=presence_note(verdict),
        evidence=verdict.evidence,
        shadowed=verdict.shadowed,
        reason=verdict.reason,
        next_step=verdict.next_step,
        valid_until=verdict.valid_until,
        generation=verdict.generation,
        fresh=verdict.fresh,
        visibility=visibility,
        did_you_mean=tuple(suggestions),
        model_id=model_id,
        profiles=tuple(profiles),
    )


def model_page(listing: Listing, page: Page, *, known: bool = True, suggestions: Iterable[str] = ()) -> ModelPage:
    """Return what `models --json` prints."""
    return ModelPage(
        agent=listing.agent_id,
        revision=listing.revision,
        view=listing.view,
        provider=listing.provider,
        page=page.page,
        pages=page.pages,
        limit=page.limit,
        total=page.total,
        models=page.rows,
        hidden=listing.hidden,
        known=known,
        did_you_mean=tuple(suggestions),
    )


def watch_change(change: Change, seen_at: float) -> WatchChange:
    """Return one change of `watch --json`."""
    old, new = change.old, change.new
    return WatchChange(
        event="change",
        at=seen_at,
        sequence=change.sequence,
        agent=change.agent_id,
        revision=change.revision,
        provider=change.provider,
        old=old.state,
        new=new.state,
        old_evidence=old.evidence.id if old.evidence is not None else None,
        new_evidence=new.evidence.id if new.evidence is not None else None,
        valid_until=new.valid_until,
        has_auth=new.has_auth,
        presence=new.presence,
        cause=change.reason,
        reason=new.reason,
        generation=change.generation,
        latency_ms=round(change.latency_s * 1000, 3),
        published_at=change.published_at,
        reread_from=change.reread_from,
        same_answer=(old.state, old.presence, old.valid_until, old.evidence)
        == (new.state, new.presence, new.valid_until, new.evidence),
    )


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
