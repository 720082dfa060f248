"""The tables that a run prints in the end."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.results import GoalResult, Run, ScenarioResult, Series

_MET = {True: "[green]met[/]", False: "[red]missed[/]", None: "[yellow]not measured[/]"}


def show(run: Run, console: Console) -> None:
    """Print the figures of each scenario, then all goals, then what failed."""
    for result in run.scenarios:
        if result.measured.series:
            console.print(_figures(result))
        for note in (*result.measured.notes, others_text(result)):
            console.print(f"  {note}", style="dim", markup=False, highlight=False)
    goals = Table("scenario", "goal", "wanted", "measured", "", title="goals", title_justify="left")
    for result in run.scenarios:
        for goal in result.goals:
            goals.add_row(result.name, escape(goal.title), goal.goal, escape(measured_text(goal)), _MET[goal.met])
    if goals.row_count:
        console.print(goals)
    for result in run.scenarios:
        if result.error:
            console.print(f"{result.name}: {result.error}", style="red", markup=False, highlight=False)
    where = f"{run.machine.python}, {run.machine.cores} cores, {run.machine.platform}"
    end = "ended early by Ctrl-C" if run.interrupted else "done"
    console.print(f"{end} in {run.seconds:.0f} s on {where}", style="dim", highlight=False)


def others_text(result: ScenarioResult) -> str:
    """Say how much of the machine others used meanwhile."""
    if result.others_share is None:
        return "what else the machine did meanwhile is not known"
    return f"other programs had {result.others_share:.0%} of all processor time meanwhile"


def measured_text(goal: GoalResult) -> str:
    """Return what was measured for a goal, or why nothing was."""
    return goal.why if goal.measured is None else f"{number(goal.measured)} {goal.unit}".rstrip()


def number(value: float) -> str:
    """Return a number with three significant digits, and all digits before the point."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def figure_rows(result: ScenarioResult) -> list[tuple[str, ...]]:
    """Return the figures of a scenario as plain texts: what, variant, agents, median, rounds from - to, p99, max."""
    measured = result.measured
    metrics = list(dict.fromkeys(series.metric for series in measured.series))
    rows = [_row(series) for series in sorted(measured.series, key=lambda one: metrics.index(one.metric))]
    for ratio in measured.ratios:
        agents = "" if ratio.agents is None else f"{ratio.agents:,}"
        what = f"{ratio.ours} / {ratio.other}"
        rows.append((ratio.metric, what, agents, f"{number(ratio.median)} x", _spread(ratio.per_pair), "", ""))
    return rows


def _figures(result: ScenarioResult) -> Table:
    title = f"{result.name}: {result.summary} ({result.rounds} rounds, {result.seconds:.0f} s)"
    table = Table("what", "variant", "agents", "median", "rounds from - to", "p99", "max", title=escape(title))
    table.title_justify = "left"
    for row in figure_rows(result):
        table.add_row(*map(escape, row))
    return table


def _row(series: Series) -> tuple[str, ...]:
    shape = series.distribution
    return (
        series.metric,
        series.variant,
        "" if series.agents is None else f"{series.agents:,}",
        f"{number(series.median)} {series.unit}".rstrip(),
        _spread(series.samples),
        "" if shape is None else number(shape.p99),
        "" if shape is None else number(shape.max),
    )


def _spread(values: list[float]) -> str:
    return f"{number(min(values))} - {number(max(values))}" if len(values) > 1 else ""
