"""Runs scenarios one after the other; one that fails, or is ended early, takes no other with it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from rich.console import Console

import openclaw_actors
from bench.child import ChildError
from bench.context import Context
from bench.goals import judge
from bench.interruption import Interruption
from bench.kinds import Kind, kind_of
from bench.machine import Machine, OthersUse
from bench.progress import RunProgress
from bench.results import Measured, Run, ScenarioResult
from bench.rounds import Interrupted
from bench.scenario import Scenario


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for."""

    agents: tuple[int, ...] = ()
    """In place of the scenarios' own; empty for those."""
    rounds: int | None = None
    """In place of the scenarios' own."""
    peers: tuple[str, ...] = ()
    peer_rounds: int = 1


def run_scenarios(scenarios: Sequence[Scenario], options: RunOptions, console: Console) -> Run:
    """Run scenarios and return everything that was found out.

    Raises:
        ScenarioError: One of them can't be run as it is written; before any of them ran.
    """
    ready = [(one, kind := kind_of(one), one.parameters_as(kind.Parameters)) for one in scenarios]
    started, began_at = datetime.now(UTC), time.monotonic()
    results: list[ScenarioResult] = []
    with Interruption() as interruption, RunProgress(console, len(ready)) as progress:
        for scenario, kind, parameters in ready:
            if interruption.is_wanted:
                break
            progress.begin(scenario.name)
            results.append(_run_one(scenario, kind, parameters, options, progress.say, lambda: interruption.is_wanted))
            progress.end()
    return Run(
        package_version=openclaw_actors.__version__,
        machine=Machine.here(),
        started=started.isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - began_at, 1),
        interrupted=interruption.is_wanted,
        scenarios=results,
    )


def _run_one(
    scenario: Scenario,
    kind: Kind,
    parameters: object,
    options: RunOptions,
    say: Callable[[str], None],
    is_over: Callable[[], bool],
) -> ScenarioResult:
    agents, rounds = options.agents or tuple(scenario.agents), options.rounds or scenario.rounds
    began_at, error, measured, others = time.monotonic(), "", Measured(), OthersUse()
    with tempfile.TemporaryDirectory(prefix="openclaw-bench-") as folder:
        context = Context(
            scenario=scenario,
            agents=agents,
            rounds=rounds,
            peers=options.peers,
            peer_rounds=options.peer_rounds,
            measured=measured,
            workdir=Path(folder).resolve(),
            say=say,
            is_over=is_over,
        )
        try:
            kind.run(context, parameters)
        except Interrupted:
            error = "interrupted"
        except Exception as trouble:  # a scenario may run others' programs: whatever goes wrong there is its own
            kind_of_trouble = "" if isinstance(trouble, ChildError) else f"{type(trouble).__name__}: "
            error = f"{kind_of_trouble}{trouble}".replace(folder, "<home>")
    done = max((len(series.samples) for series in measured.series), default=0)
    return ScenarioResult(
        name=scenario.name,
        summary=scenario.summary,
        kind=scenario.kind,
        agents=list(agents),
        rounds=done,
        parameters=msgspec.to_builtins(parameters),
        seconds=round(time.monotonic() - began_at, 1),
        goals=judge(scenario.goal, measured.figures, why_not=error.rpartition("\n")[2]),
        measured=measured,
        others_share=others.share(),
        error=error,
    )
