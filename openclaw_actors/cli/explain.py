"""`explain`: everything behind one answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from openclaw_actors.auth.verdict import Evidence, Verdict
from openclaw_actors.cli.output import write_json
from openclaw_actors.cli.session import chosen_agents, one_shot
from openclaw_actors.cli.text import (
    did_you_mean,
    full_time,
    near_misses,
    relative,
    state_label,
    state_style,
)
from openclaw_actors.shapes import explanation, presence_note

if TYPE_CHECKING:
    from openclaw_actors import AuthSupervisor
    from openclaw_actors.listing.listing import ListedModel, Listing


def show_explanation(target: str, *, home: str | None, agent: str | None, as_json: bool) -> int:
    """Print why a provider, or one of its models, has the answer that it has."""
    spelled, slash, model_text = target.partition("/")
    model = model_text or None if slash else None
    with one_shot(home) as supervisor:
        (agent_id,) = chosen_agents(supervisor, agent)
        shown = supervisor.models(agent_id=agent_id, provider=spelled)
        every = supervisor.models(agent_id=agent_id, provider=spelled, view="all")
        row = _row_of(every, model) or _row_of(shown, model)
        # the catalogue's own spelling decides: a window may rest just this model
        verdict = supervisor.verdict(spelled, agent_id=agent_id, model=row.model if row else model)
        visibility = None if model is None else _visibility(shown, row, model)
        suggestions = _suggestions(supervisor, verdict, every, row, model)
        if as_json:
            write_json(explanation(verdict, spelled, model, visibility, suggestions))
        else:
            _write(verdict, row.id if row else target, visibility, suggestions)
    return 0


def _row_of(listing: Listing, model: str | None) -> ListedModel | None:
    if model is None:
        return None
    wanted = {model.lower(), f"{listing.provider}/{model}".lower()}
    return next((row for row in listing.rows if row.model.lower() in wanted), None)


def _visibility(shown: Listing, row: ListedModel | None, model: str) -> str:
    if row is None:
        return "no such model: neither the catalogue, models.json nor the config has it"
    if _row_of(shown, model) is not None:
        if row.has_auth:
            return "shown"
        return "shown, though it can't be used: the config names it"
    reason = next((one for one in shown.hidden if one.provider == row.provider), None)
    if reason is None:
        return "hidden"
    return f"hidden: {reason.reason}" + (f". {reason.next_step}" if reason.next_step else "")


def _suggestions(
    supervisor: AuthSupervisor, verdict: Verdict, every: Listing, row: ListedModel | None, model: str | None
) -> list[str]:
    known = supervisor.snapshot(verdict.agent_id).verdicts
    if verdict.provider not in known:
        return near_misses(verdict.provider, known)
    if model is None or row is not None:
        return []
    by_model = {one.model: one.id for one in every.rows}
    return [by_model[name] for name in near_misses(model, by_model)]


def _write(verdict: Verdict, title: str, visibility: str | None, suggestions: list[str]) -> None:
    from openclaw_actors.cli.tables import ascii_only, write_line

    now = time.time()
    write_line(
        (f"{title} ", "bold"),
        (f"for agent {verdict.agent_id}: ", ""),
        (state_label(verdict.state, ascii_only=ascii_only()), state_style(verdict.state)),
    )

    def field(name: str, text: str) -> None:
        if text:
            write_line((f"  {name:<12}", "dim"), (text, ""))

    field("has auth", "yes" if verdict.has_auth else "no")
    field("reason", verdict.reason)
    field("next step", verdict.next_step)
    field("evidence", _evidence(verdict.evidence, now) if verdict.evidence else "none")
    for position, evidence in enumerate(verdict.shadowed, 1):
        field("also" if position == 1 else "", f"{position}. {_evidence(evidence, now)}")
    said = "has auth" if verdict.presence else "no auth"
    note = presence_note(verdict)
    field("OpenClaw", f"2026.5.22 would say: {said}" + (f" ({note})" if note else ""))
    if visibility is not None:
        field("in listing", visibility)
    if verdict.valid_until is not None:
        moment = f"{full_time(verdict.valid_until)} ({relative(verdict.valid_until, now)})"
        field("valid until", f"{moment}, then time alone changes the answer")
    field("generation", f"{verdict.generation}, {'fresh' if verdict.fresh else 'not fresh: something newer is wanted'}")
    if suggestions:
        write_line((did_you_mean(suggestions), "yellow"))


def _evidence(evidence: Evidence, now: float) -> str:
    text = f"{evidence.id} ({evidence.source}, {evidence.kind})"
    if evidence.detail:
        text += f": {evidence.detail}"
    if evidence.expires_at is not None:
        verb = "expires" if evidence.expires_at > now else "expired"
        text += f"; {verb} {relative(evidence.expires_at, now)}"
    return text
