"""The page: goals first, then each scenario with its plots, figures and notes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from bench.report import palette
from bench.report.plots import can_plot, plots_of, with_own_ids
from bench.results import GoalResult, Run, ScenarioResult
from bench.table import figure_rows, measured_text, others_text

PAGE_NAME = "index.html"
FIGURES_NAME = "bench.json"
_NO_PLOTS = "No plots: matplotlib is not installed. pip install '.[bench]', and run again."
_STATES = {True: ("good", "met"), False: ("bad", "missed"), None: ("open", "not measured")}


def write_report(run: Run, folder: Path) -> Path:
    """Write the page and the figures into a folder, which is made if need be; return the page's path."""
    folder.mkdir(exist_ok=True)
    (folder / FIGURES_NAME).write_bytes(run.json())
    path = folder / PAGE_NAME
    path.write_text(page(run), "utf-8")
    return path


def page(run: Run) -> str:
    """Return a run as an HTML page that needs no other file."""
    style = palette.css() + (Path(__file__).parent / "page.css").read_text("utf-8")
    machine = run.machine
    facts = (
        f"openclaw_actors {run.package_version}",
        run.started.replace("T", " ").removesuffix("+00:00") + " UTC",
        f"{run.seconds:,.0f} s",
        machine.python,
        f"{machine.cores} cores",
        machine.platform,
    )
    end = "<p class=open>Ended early by Ctrl-C: figures are of the rounds until then.</p>" if run.interrupted else ""
    plots = "" if can_plot() else f"<p class=open>{escape(_NO_PLOTS)}</p>"
    sections = "".join(_section(result) for result in run.scenarios)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>openclaw_actors bench</title><style>{style}</style></head><body><main>"
        f"<h1>openclaw_actors bench</h1><p class=soft>{' · '.join(map(escape, facts))}</p>{end}{plots}"
        f"<h2>Goals</h2>{_goals(run)}{_contents(run)}{sections}</main></body></html>\n"
    )


def _goals(run: Run) -> str:
    rows = [_goal(result, goal) for result in run.scenarios for goal in result.goals]
    if not rows:
        return "<p>None of these scenarios has goals.</p>"
    return _table(("goal", "wanted", "measured", ""), rows, "goals")


def _goal(result: ScenarioResult, goal: GoalResult) -> tuple[str, ...]:
    kind, word = _STATES[goal.met]
    where = f'<a class=soft href="#{escape(result.name)}">{escape(result.name)}</a>'
    return (
        f"{escape(goal.title)} {where}",
        f"<span class=figure>{escape(goal.goal)}</span>",
        f"<span class={'soft' if goal.measured is None else 'figure'}>{escape(measured_text(goal))}</span>",
        f"<b class={kind}>{word}</b>",
    )


def _contents(run: Run) -> str:
    links = (f'<a href="#{escape(one.name)}">{escape(one.name)}</a>' for one in run.scenarios)
    return f"<nav>{' '.join(links)}</nav>"


def _section(result: ScenarioResult) -> str:
    error = f"<pre class=bad>{escape(result.error)}</pre>" if result.error else ""
    notes = "".join(f"<li>{escape(note)}</li>" for note in (*result.measured.notes, others_text(result)))
    given = {"agents": result.agents, "rounds": result.rounds, **result.parameters}
    parameters = " · ".join(f"{escape(name)} {escape(_plain(value))}" for name, value in given.items())
    rows = [tuple(map(escape, row)) for row in figure_rows(result)]
    heads = ("what", "variant", "agents", "median", "rounds from - to", "p99", "max")
    return (
        f'<section id="{escape(result.name)}"><h2>{escape(result.name)}</h2><p>{escape(result.summary)}</p>{error}'
        f"<div class=plots>{_plots(result)}</div>{_table(heads, rows, 'figures') if rows else ''}"
        f"<ul class=soft>{notes}</ul><p class=soft>{parameters} · {result.seconds:,.0f} s</p></section>"
    )


def _plots(result: ScenarioResult) -> str:
    if not can_plot():
        return ""
    return "".join(
        f"<figure>{_labelled(with_own_ids(plot.svg, f'{result.name}-{at}-'), plot.title)}"
        f"<figcaption>{escape(plot.title)}</figcaption></figure>"
        for at, plot in enumerate(plots_of(result))
    )


def _labelled(svg: str, title: str) -> str:
    return svg.replace("<svg ", f'<svg role="img" aria-label="{escape(title)}" ', 1)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], kind: str) -> str:
    """Return a table; its cells are HTML already."""
    head = "".join(f"<th>{escape(one)}</th>" for one in heads)
    body = "".join("<tr>" + "".join(_cells(heads, row)) + "</tr>" for row in rows)
    return f"<div class=wide><table class={kind}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _cells(heads: Sequence[str], row: Sequence[str]) -> Iterable[str]:
    for head, cell in zip(heads, row, strict=True):
        yield f'<td data-head="{escape(head)}">{cell}</td>'


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
