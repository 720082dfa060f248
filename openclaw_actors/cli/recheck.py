"""`recheck`: the running gateways of a home look again, and say what they have then."""

from __future__ import annotations

import os
import sys

import click

from openclaw_actors.auth.verdict import State
from openclaw_actors.cli.output import write_json
from openclaw_actors.cli.session import warn
from openclaw_actors.cli.text import clean, milliseconds, state_label, state_style
from openclaw_actors.control.client import Asked, ask
from openclaw_actors.control.messages import CellAnswer, Rechecked, RecheckRequest
from openclaw_actors.shapes import recheck_report

NO_GATEWAY_STATUS = 69
"""Exit status when no gateway of the home runs (EX_UNAVAILABLE of sysexits.h)."""

UNANSWERED_STATUS = 75
"""Exit status when a gateway was not done in time, or could not be asked (EX_TEMPFAIL)."""


UNKNOWN_STATUS = 64
"""Exit status for an agent that the config doesn't have (EX_USAGE)."""

_FATAL = frozenset({"ConfigValid", "StoresReadable"})
"""What has to be read for a recheck to be one."""


class NoGatewayError(click.ClickException):
    """No gateway of the home runs, or none can be found."""

    exit_code = NO_GATEWAY_STATUS


def recheck(provider: str | None, *, home: str | None, agent: str | None, wait_s: float, as_json: bool) -> int:
    """Ask every running gateway, print what they say, and return the exit status.

    Raises NoGatewayError (exit status 69) when there is none.
    """
    from openclaw_actors.home.paths import locate

    state_dir = locate(home, os.environ).state_dir
    request = RecheckRequest(
        provider=_argument("PROVIDER", provider), agent=_argument("--agent", agent), wait_s=float(wait_s)
    )
    asked = ask(state_dir, request)
    for problem in asked.problems:
        warn(f"passed over: {problem}")
    if not asked.outcomes:
        text = (
            f"no running gateway of {clean(state_dir)} was found. One is `openclaw-actors serve`, "
            "`openclaw-actors watch`, or a program with Settings(control_socket=True); other commands read anew anyway"
        )
        if as_json:
            write_json(recheck_report(state_dir, asked, text))
        raise NoGatewayError(text)
    if as_json:
        write_json(recheck_report(state_dir, asked))
    else:
        _write(asked)
    sys.stdout.flush()
    return max([_complain(outcome.pid, outcome.answer, wait_s) for outcome in asked.outcomes])


def _argument(name: str, text: str | None) -> str | None:
    """Return an argument as it can be sent."""
    if text is not None and (len(text) > 512 or not text.isprintable()):
        raise click.UsageError(f"{name} must be a name of at most 512 printable characters.")
    return text


def _complain(pid: int, answer: object, wait_s: float) -> int:
    """Say on stderr what a gateway did not do, and return what that makes of the exit status."""
    if not isinstance(answer, Rechecked):
        warn(f"gateway {pid}: {getattr(answer, 'message', '')}")
        return UNANSWERED_STATUS
    if answer.note:
        warn(f"gateway {pid}: {answer.note}")
        if answer.agents:
            return UNKNOWN_STATUS  # an agent was named, and there are others
    for kind, message in answer.problems.items():
        warn(f"gateway {pid}: {kind}: {clean(message)}")
    if answer.answered:
        return UNANSWERED_STATUS if answer.problems.keys() & _FATAL else 0
    warn(
        f"gateway {pid}: not answered within {wait_s:g} s: a source is slow or can't be read. What it shows is from "
        "before; it goes on looking (--wait waits longer)"
    )
    return UNANSWERED_STATUS


def _write(asked: Asked) -> None:
    from openclaw_actors.cli.tables import Styled, ascii_only, write_line, write_table

    plain = ascii_only()
    rows: list[tuple[Styled, ...]] = []
    counts: list[tuple[Styled, ...]] = []
    for outcome in asked.outcomes:
        answer, pid = outcome.answer, (str(outcome.pid), "dim")
        if not isinstance(answer, Rechecked):
            continue
        done = "looked again in" if answer.answered else "is not done after"
        write_line(
            ("gateway ", "dim"),
            (str(answer.pid), "bold"),
            (f" {done} {milliseconds(answer.took_ms / 1000)} (generation {answer.generation})", "dim"),
        )
        for agent, cells in answer.agents.items():
            for provider, cell in cells.items():
                label, style = _state(cell, ascii_only=plain)
                why = (cell.reason if cell.fresh else f"(not fresh) {cell.reason}".rstrip(), "dim")
                rows.append((pid, (provider, "bold" if cell.has_auth else ""), (agent, ""), (label, style), why))
        for agent, states in answer.counts.items():
            told = ", ".join(f"{number} {state}" for state, number in states.items())
            counts.append((pid, (agent, ""), (told, "")))
    alone = len(asked.outcomes) == 1
    for headers, found in (
        (("gateway", "provider", "agent", "state", "reason"), rows),
        (("gateway", "agent", "providers"), counts),
    ):
        if found:
            write_table(headers[alone:], [row[alone:] for row in found])


def _state(cell: CellAnswer, *, ascii_only: bool) -> tuple[str, str]:
    try:
        state = State(cell.state)
    except ValueError:  # of a newer gateway
        return cell.state, ""
    return state_label(state, ascii_only=ascii_only), state_style(state)
