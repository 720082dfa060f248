"""`status`: agents by providers, with state, source and expiry."""

from __future__ import annotations

import sys
import time

import click

from openclaw_actors.auth.verdict import State
from openclaw_actors.cli.check import BROKEN, FINE, check
from openclaw_actors.cli.output import write_json
from openclaw_actors.cli.session import ConfigUnusableError, chosen_agents, missing_home, silence_stdout, warn
from openclaw_actors.cli.source import Source, answered, who_answered
from openclaw_actors.cli.text import counted, expiry, state_label, state_style
from openclaw_actors.shapes import About, StatusAgent

_SILENT = frozenset({State.MISSING, State.UNKNOWN})
"""States of a provider that nobody set up which are not worth a row: a source that can't be read is warned of once."""


def show_status(
    *,
    home: str | None,
    agent: str | None,
    all_agents: bool,
    providers: tuple[str, ...],
    everything: bool,
    as_json: bool,
    checked: bool,
    offline: bool,
) -> int:
    """Print the status and return the exit status."""

    def gather(source: Source) -> dict[str, StatusAgent]:
        agents = chosen_agents(source.about, agent, all_agents=all_agents)
        return {one: source.status(one, providers) for one in agents}

    worst = 0
    try:
        with answered(home, gather, offline=offline) as (agents, source):
            # first, so that a reader of the table who goes away takes no exit status along
            worst = _report_check(source.about, agents, named=bool(providers)) if checked else 0
            if as_json:
                write_json({"agents": agents, "answered_by": source.answered_by})
            else:
                _write_status(source, agents, named=bool(providers), everything=everything)
            sys.stdout.flush()
            return worst
    except BrokenPipeError:
        silence_stdout()
        return worst
    except ConfigUnusableError as error:
        if not as_json:
            raise
        write_json({"agents": {}, "error": error.message, "answered_by": None})
        error.show(sys.stderr)
        return error.exit_code


def _write_status(source: Source, agents: dict[str, StatusAgent], *, named: bool, everything: bool) -> None:
    from openclaw_actors.cli.tables import ascii_only, write_line, write_table

    now, plain, about = time.time(), ascii_only(), source.about
    known = ", ".join(about.agents)
    alone = len(agents) == 1
    whose = f"  agent {next(iter(agents))} of {known}" if alone else f"  agents {known}"
    write_line(
        ("home ", "dim"),
        (about.home, "bold"),
        (f"  config {about.config}{whose}  {who_answered(source)}", "dim"),
    )
    rows = []
    left_out: set[str] = set()
    for agent, told in agents.items():
        for spelled, cell in told.providers.items():
            if not (named or everything or cell.state not in _SILENT or cell.configured):
                left_out.add(cell.provider)
                continue
            style = state_style(cell.state)
            rows.append(
                (
                    *(() if alone else ((agent, ""),)),
                    (spelled, "bold" if cell.has_auth else ""),
                    (state_label(cell.state, ascii_only=plain), style),
                    (cell.source or "", ""),
                    (cell.kind or "", ""),
                    (cell.profile or "", ""),
                    (
                        expiry(cell.expires_at, now, has_auth=cell.has_auth),
                        style if cell.state is State.EXPIRED else "",
                    ),
                    (str(cell.model_count), ""),
                    (cell.reason, "dim"),
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


def _report_check(about: About, agents: dict[str, StatusAgent], *, named: bool) -> int:
    problems = [missing_home(about.home)]
    # a gateway goes on with the answers from before its config broke: they are no proof that all is well
    problems += [one.message for one in about.conditions if one.type == "ConfigValid" and not one.status]
    worst = FINE
    for problem in filter(None, problems):
        click.echo(f"problem: {problem}", err=True)
        worst = BROKEN
    for agent, told in agents.items():
        result = check(
            agent, ((name, one) for name, one in told.providers.items() if named or one.configured), time.time()
        )
        for line in result.warnings:
            warn(line)
        for line in result.problems:
            click.echo(f"problem: {line}", err=True)
        worst = _worse(worst, result.exit_status)
    return worst


def _worse(one: int, other: int) -> int:
    # 1 (something is broken) outweighs 2 (something will be)
    return min(filter(None, (one, other)), default=0)
