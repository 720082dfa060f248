"""What the answers tell: providers that don't work, what expires, what is never used. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from openclaw_actors.auth.verdict import Evidence, State, Verdict
from openclaw_actors.cli.check import BROKEN_STATES, EXPIRES_SOON_S
from openclaw_actors.cli.diagnosis.remark import Remark, Severity, sole
from openclaw_actors.cli.diagnosis.scene import Scene
from openclaw_actors.cli.text import relative

_Key = tuple[str, str, str, str]
"""One piece of evidence, whichever agents see it: provider, id, source, where it is."""

_NO_CREDENTIALS = frozenset({"local", "synthetic"})
"""Sources of evidence that nobody has to store anywhere."""


def providers(scene: Scene) -> Iterator[Remark]:
    """Remark on what somebody set up and doesn't work; what has expired is told by `expiries`."""
    groups: dict[tuple[str, State, str, str], list[str]] = {}
    for agent, verdict in _every(scene):
        if verdict.has_auth or verdict.state is State.EXPIRED or verdict.provider not in scene.configured[agent]:
            continue
        groups.setdefault((verdict.provider, verdict.state, verdict.reason, verdict.next_step), []).append(agent)
    for (provider, state, reason, step), agents in groups.items():
        yield Remark(
            check="providers",
            severity=Severity.ERROR if state in BROKEN_STATES else Severity.WARNING,
            provider=provider,
            problem=f"{provider} is {state.value}" + (f": {reason}" if reason else ""),
            remedy=step,
            agent=sole(agents),
            agents=tuple(agents),
        )


def expiries(scene: Scene, now: float) -> Iterator[Remark]:
    """Remark on what has expired, or will within a day (of epoch seconds `now`), and has nothing to refresh it."""
    groups: dict[tuple[_Key, bool], tuple[Evidence, Verdict, list[str]]] = {}
    for agent, verdict in _every(scene):
        for evidence in _all_evidence(verdict):
            ends = None if evidence.refreshable else evidence.expires_at
            if ends is not None and ends - now <= EXPIRES_SOON_S:
                counts = evidence is verdict.evidence
                groups.setdefault((_key(verdict, evidence), counts), (evidence, verdict, []))[2].append(agent)
    used = {key for key, counts in groups if counts}
    for (key, counts), (evidence, verdict, agents) in groups.items():
        moment = evidence.expires_at or 0.0
        over = moment <= now
        if counts:
            severity = Severity.ERROR if over else Severity.WARNING
        elif key in used:
            continue
        else:
            severity = Severity.NOTE
        verb = "expired" if over else "expires"
        spare = "" if counts else f", though {verdict.provider} doesn't depend on it now"
        yield Remark(
            check="expiries",
            severity=severity,
            provider=verdict.provider,
            problem=f"{evidence.id} {verb} {relative(moment, now)} and has nothing to refresh it with{spare}",
            remedy=(counts and verdict.next_step) or "Sign in again, or replace it.",
            agent=sole(agents),
            agents=tuple(agents),
        )


def shadowed(scene: Scene) -> Iterator[Remark]:
    """Remark on credentials that no agent's answer is made of, since another one wins."""
    winners = {_where(verdict.evidence) for _, verdict in _every(scene) if verdict.evidence is not None}
    groups: dict[tuple[_Key, str], list[str]] = {}
    for agent, verdict in _every(scene):
        if verdict.evidence is None or not verdict.has_auth:
            continue  # it doesn't work, and of that others tell
        for evidence in verdict.shadowed:
            if evidence.source not in _NO_CREDENTIALS and _where(evidence) not in winners:
                groups.setdefault((_key(verdict, evidence), verdict.evidence.id), []).append(agent)
    for ((provider, name, source, detail), winner), agents in groups.items():
        yield Remark(
            check="shadowed",
            severity=Severity.NOTE,
            agent=sole(agents),
            agents=tuple(agents),
            provider=provider,
            problem=f"{provider} has no use of {name} ({detail or source}) while {winner} is there",
            remedy="Remove it if it is not meant as a spare.",
        )


def _every(scene: Scene) -> Iterable[tuple[str, Verdict]]:
    return ((agent, verdict) for agent, verdicts in scene.verdicts.items() for verdict in verdicts)


def _all_evidence(verdict: Verdict) -> tuple[Evidence, ...]:
    return verdict.shadowed if verdict.evidence is None else (verdict.evidence, *verdict.shadowed)


def _key(verdict: Verdict, evidence: Evidence) -> _Key:
    return verdict.provider, *_where(evidence)


def _where(evidence: Evidence) -> tuple[str, str, str]:
    return evidence.id, evidence.source, evidence.detail
