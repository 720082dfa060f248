"""What a broken promise is, and what a reader is told, so that two answers can be compared."""

from __future__ import annotations

from openclaw_actors.auth.verdict import Verdict
from openclaw_actors.prepared import AgentAuth
from openclaw_actors.testing.simulation.state import SHOWN

Answer = tuple[str, bool, str | None, bool]
"""State, presence, evidence, has_auth."""


class Violation(AssertionError):
    """A promise was broken."""


def promise(holds: object, what: str) -> None:
    """Raise `Violation` unless something holds."""
    if not holds:
        raise Violation(what)


def told(answer: Answer | None) -> str:
    """Return an answer for people."""
    if answer is None:
        return "nothing"
    state, presence, evidence, has_auth = answer
    return f"{state} by {evidence or 'nothing'} (has auth: {has_auth}, present: {presence})"


def answers_of(auth: AgentAuth, *, everything: bool = False) -> dict[str, Answer]:
    """Return what an agent's readers are told, of the providers that are followed or of all."""
    verdicts = auth.verdicts
    found: dict[str, Answer] = {}
    for provider in verdicts if everything else SHOWN:
        one = verdicts.get(provider)
        if one is not None:
            found[provider] = (str(one.state), one.presence, one.evidence.id if one.evidence else None, one.has_auth)
    return found


def said(verdict: Verdict) -> tuple[object, ...]:
    """Return what a verdict says to a reader."""
    return tuple(getattr(verdict, name) for name in verdict.__struct_fields__ if name not in ("generation", "fresh"))
