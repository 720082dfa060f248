"""`explain`: everything behind one answer."""

from __future__ import annotations

import time

import msgspec

from openclaw_actors.auth.verdict import Evidence
from openclaw_actors.cli.output import write_json
from openclaw_actors.cli.session import chosen_agents
from openclaw_actors.cli.source import Source, answered, who_answered
from openclaw_actors.cli.text import did_you_mean, full_time, relative, state_label, state_style
from openclaw_actors.shapes import Explanation


def show_explanation(target: str, *, home: str | None, agent: str | None, as_json: bool, offline: bool) -> int:
    """Print why a provider, or one of its models, has the answer that it has."""
    spelled, slash, model_text = target.partition("/")
    model = model_text or None if slash else None

    def gather(source: Source) -> Explanation:
        (agent_id,) = chosen_agents(source.about, agent)
        return source.explain(agent_id, spelled, model)

    with answered(home, gather, offline=offline) as (told, source):
        if as_json:
            write_json({**msgspec.structs.asdict(told), "answered_by": source.answered_by})
        else:
            _write(told, told.model_id or target, who_answered(source))
    return 0


def _write(told: Explanation, title: str, who: str) -> None:
    from openclaw_actors.cli.tables import ascii_only, write_line

    now = time.time()
    write_line(
        (f"{title} ", "bold"),
        (f"for agent {told.agent}: ", ""),
        (state_label(told.state, ascii_only=ascii_only()), state_style(told.state)),
        (f"  {who}", "dim"),
    )

    def field(name: str, text: str) -> None:
        if text:
            write_line((f"  {name:<12}", "dim"), (text, ""))

    field("has auth", "yes" if told.has_auth else "no")
    field("reason", told.reason)
    field("next step", told.next_step)
    field("evidence", _evidence(told.evidence, now) if told.evidence else "none")
    for position, evidence in enumerate(told.shadowed, 1):
        field("also" if position == 1 else "", f"{position}. {_evidence(evidence, now)}")
    said = "has auth" if told.presence else "no auth"
    note = told.presence_note
    field("OpenClaw", f"2026.5.22 would say: {said}" + (f" ({note})" if note else ""))
    if told.visibility is not None:
        field("in listing", told.visibility)
    if told.valid_until is not None:
        moment = f"{full_time(told.valid_until)} ({relative(told.valid_until, now)})"
        field("valid until", f"{moment}, then time alone changes the answer")
    field("generation", f"{told.generation}, {'fresh' if told.fresh else 'not fresh: something newer is wanted'}")
    if told.did_you_mean:
        write_line((did_you_mean(list(told.did_you_mean)), "yellow"))


def _evidence(evidence: Evidence, now: float) -> str:
    text = f"{evidence.id} ({evidence.source}, {evidence.kind})"
    if evidence.detail:
        text += f": {evidence.detail}"
    if evidence.expires_at is not None:
        verb = "expires" if evidence.expires_at > now else "expired"
        text += f"; {verb} {relative(evidence.expires_at, now)}"
    return text
