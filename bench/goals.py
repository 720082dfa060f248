"""Goals held against figures."""

from __future__ import annotations

from collections.abc import Iterable

from bench.results import Figure, GoalResult
from bench.scenario import Goal


def judge(goals: Iterable[Goal], figures: Iterable[Figure], *, why_not: str = "") -> list[GoalResult]:
    """Return each goal with what was measured; nothing is met or missed that wasn't.

    Args:
        goals: Of the scenario.
        figures: What it measured.
        why_not: Why figures may be missing, when something went wrong.
    """
    known = {(figure.metric, figure.agents): figure.value for figure in figures}
    return [_judge_one(goal, known, why_not) for goal in goals]


def _judge_one(goal: Goal, known: dict[tuple[str, int | None], float], why_not: str) -> GoalResult:
    value = known.get((goal.metric, goal.agents))
    limit = goal.at_most if goal.at_most is not None else goal.at_least
    sign = "≤" if goal.at_most is not None else "≥"
    met, why = None, ""
    if value is None:
        others = [agents for metric, agents in known if metric == goal.metric]
        why = why_not or "no such figure in this run"
        if others and not why_not:
            why = f"not measured with {goal.agents:,} agents"
        elif goal.peer and not why_not:
            why = f"no figure of it without --peer {goal.peer}, installed"
    else:
        assert limit is not None  # a Goal has one of them
        met = value <= limit if goal.at_most is not None else value >= limit
    return GoalResult(
        title=goal.title,
        metric=goal.metric,
        goal=f"{sign} {limit:g} {goal.unit}".rstrip(),
        measured=value,
        unit=goal.unit,
        met=met,
        why=why,
    )
