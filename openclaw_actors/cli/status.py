"""`status`: agents by providers, with state, source and expiry."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from openclaw_actors.auth.verdict import State, Verdict
from openclaw_actors.cli.check import BROKEN, FINE, check
from openclaw_actors.cli.output import write_json
from openclaw_actors.cli.session import ConfigUnusableError, chosen_agents, missing_home, one_shot, silence_stdout, warn
from openclaw_actors.cli.text import counted, expiry, milliseconds, state_label, state_style
from openclaw_actors.shapes import profile_of, status_agent

if TYPE_CHECKING:
    from openclaw_actors import AuthSupervisor

_SILENT = frozenset({State.MISSING, State.UNKNOWN})
"""States of a provider that nobody set up which are not worth a row: a source that can't be read is warned of once."""

Answers = list[tuple[str, Verdict]]
"""(provider as spelled, verdict)."""


def show_status(
    *,
    home: str | None,
    agent: str | None,
    all_agents: bool,
    providers: tuple[str, ...],
    everything: bool,
    as_json: bool,
    checked: bool,
) -> int:
    """Print the status and return the exit status."""
    worst = 0
    try:
        with one_shot(home) as supervisor:
            agents = chosen_agents(supervisor, agent, all_agents=all_agents)
            answers = {one: _answers(supervisor, one, providers) for one in agents}
            # first, so that a reader of the table who goes away takes no exit status along
            worst = _report_check(supervisor, answers, named=bool(providers)) if checked else 0
            if as_json:
                write_json({"agents": {one: _agent_json(supervisor, one, answers[one]) for one in agents}})
            else:
                _write_status(supervisor, answers, named=bool(providers), everything=everything)
            sys.stdout.flush()
            return worst
    except BrokenPipeError:
        silence_stdout()
        return worst
    except ConfigUnusableError as error:
        if not as_json:
            raise
        write_json({"agents": {}, "error": error.message})
        error.show(sys.stderr)
        return error.exit_code


def _answers(supervisor: AuthSupervisor, agent: str, providers: tuple[str, ...]) -> Answers:
    if providers:
        return [(spelled, supervisor.verdict(spelled, agent_id=agent)) for spelled in dict.fromkeys(providers)]
    asked = {*supervisor.snapshot(agent).verdicts, *supervisor.configured_providers(agent)}
    return [(provider, supervisor.verdict(provider, agent_id=agent)) for provider in sorted(asked)]


def _agent_json(supervisor: AuthSupervisor, agent: str, answers: Answers) -> dict[str, object]:
    auth = supervisor.snapshot(agent)
    return status_agent(
        auth.revision,
        auth.generation,
        answers,
        lambda provider: supervisor.model_count(provider, agent_id=agent),
    )


def _write_status(supervisor: AuthSupervisor, answers: dict[str, Answers], *, named: bool, everything: bool) -> None:
    from openclaw_actors.cli.tables import ascii_only, write_line, write_table

    now, plain = time.time(), ascii_only()
    agents = ", ".join(supervisor.agent_ids())
    alone = len(answers) == 1
    whose = f"  agent {next(iter(answers))} of {agents}" if alone else f"  agents {agents}"
    write_line(
        ("home ", "dim"),
        (str(supervisor.home_path), "bold"),
        (f"  config {supervisor.config_path}{whose}  warm in {milliseconds(supervisor.warm_time_s)}", "dim"),
    )
    rows = []
    left_out: set[str] = set()
    for agent, pairs in answers.items():
        configured = supervisor.configured_providers(agent)
        for spelled, verdict in pairs:
            if not (named or everything or verdict.state not in _SILENT or verdict.provider in configured):
                left_out.add(verdict.provider)
                continue
            evidence = verdict.evidence
            style = state_style(verdict.state)
            rows.append(
                (
                    *(() if alone else ((agent, ""),)),
                    (spelled, "bold" if verdict.has_auth else ""),
                    (state_label(verdict.state, ascii_only=plain), style),
                    (evidence.source if evidence else "", ""),
                    (evidence.kind if evidence else "", ""),
                    (profile_of(evidence) or "", ""),
                    (expiry(verdict, now), style if verdict.state is State.EXPIRED else ""),
                    (str(supervisor.model_count(verdict.provider, agent_id=agent)), ""),
                    (verdict.reason, "dim"),
                )
            )
    headers = ("provider", "state", "source", "kind", "profile", "expires", "models", "reason")
    if alone:
        write_table(headers, rows, numbers=frozenset({6}), expendable=(3, 6, 4, 5, 2))
    else:
        write_table(("agent", *headers), rows, numbers=frozenset({7}), expendable=(4, 7, 5, 6, 3))
    if left_out:
        verb = "has" if len(left_out) == 1 else "have"
        write_line(
            (f"{counted(len(left_out), 'more provider')} {verb} no known credentials (--all to see them)", "dim")
        )


def _report_check(supervisor: AuthSupervisor, answers: dict[str, Answers], *, named: bool) -> int:
    problem = missing_home(supervisor)
    if problem:
        click.echo(f"problem: {problem}", err=True)
    worst = BROKEN if problem else FINE
    for agent, pairs in answers.items():
        configured = supervisor.configured_providers(agent)
        result = check((pair for pair in pairs if named or pair[1].provider in configured), time.time())
        for line in result.warnings:
            warn(line)
        for line in result.problems:
            click.echo(f"problem: {line}", err=True)
        worst = _worse(worst, result.exit_status)
    return worst


def _worse(one: int, other: int) -> int:
    # 1 (something is broken) outweighs 2 (something will be)
    return min(filter(None, (one, other)), default=0)
