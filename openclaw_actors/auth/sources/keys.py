"""The words for a place where a key is expected: what it yields, and what to do when it yields nothing."""

from __future__ import annotations

from openclaw_actors.auth.shared import SharedIndex
from openclaw_actors.auth.verdict import State
from openclaw_actors.home.facts import KeyFacts, KeyForm
from openclaw_actors.ids import ProviderId


def login_step(provider: ProviderId) -> str:
    """Return the command that adds or renews a profile."""
    return f"openclaw models auth login --provider {provider}"


def counts(key: KeyFacts, index: SharedIndex) -> bool:
    """Tell whether OpenClaw has a key where the config has this one.

    It asks its config after secrets activation, which has put what file references yield in their places, or, when one
    reference fails, nothing at all (OpenClaw 2026.5.22, runtime.ts).
    """
    return key.resolved and (key.form is not KeyForm.FILE_REF or index.config.secrets_activate)


def judge_key(key: KeyFacts, where: str) -> tuple[State, str, str]:
    """Return state, reason and next step of a key that is there in some form; `where` names its place for people.

    `marker` forms count as yielding nothing: who accepts one (a local server) asks before.
    """
    form = key.form
    if form is KeyForm.LITERAL:
        return State.USABLE, f"API key in {where}", ""
    if form in {KeyForm.ENV_REF, KeyForm.ENV_NAME}:
        if key.resolved:
            return State.USABLE, f"API key in {where}, from environment variable {key.name}", ""
        if not key.name:
            return (
                State.UNRESOLVED,
                f"{where} holds a broken reference: {key.problem}",
                f"mend the reference in {where}",
            )
        why = key.problem or f"environment variable {key.name} is not set"
        return State.UNRESOLVED, f"{where} refers to environment variable {key.name}: {why}", f"set {key.name}"
    if form in {KeyForm.FILE_REF, KeyForm.EXEC_REF}:
        if key.resolved:
            return State.USABLE, f"API key in {where}, from reference {key.name}", ""
        kind = "file" if form is KeyForm.FILE_REF else "exec"
        why = key.problem or "only the gateway itself resolves it"
        step = f"check the {kind} reference in {where}, or use an environment variable"
        return (
            State.UNRESOLVED,
            f"{where} refers to a secret by {kind} reference {key.name or 'of no valid form'}: {why}",
            step,
        )
    if form is KeyForm.MARKER:
        step = f"put a key or an environment reference in {where}, or log in"
        return State.UNRESOLVED, f"{where} holds the marker {key.name}, which stands for a key kept elsewhere", step
    if form is KeyForm.MALFORMED:
        why = key.problem or "it is neither text nor a secret reference"
        return State.MALFORMED, f"{where} can't be used: {why}", f"mend {where}"
    return State.MALFORMED, f"{where} holds no key", f"put a key in {where}"
