"""`status --check`: which verdict makes which exit status."""

from __future__ import annotations

import pytest

from openclaw_actors.auth.verdict import Evidence, State, Verdict
from openclaw_actors.cli.check import check
from openclaw_actors.ids import AgentId, EvidenceId, Generation, ProviderId
from openclaw_actors.shapes import StatusCell, status_cell

NOW = 1_800_000_000.0
HOUR = 3600.0


def answer(state: State, *, kind: str = "token", expires_at: float | None = None) -> tuple[str, StatusCell]:
    """Return one answer as `--check` gets it."""
    evidence = Evidence(EvidenceId("p:default"), "profile", kind, expires_at=expires_at, refreshable=kind == "oauth")
    made = Verdict(
        AgentId("main"),
        ProviderId("p"),
        state,
        state.has_auth,
        False,
        evidence,
        (),
        "why",
        "step",
        None,
        Generation(1),
        True,
    )
    return "P", status_cell(made, model_count=0, configured=True)


def test_nothing_configured_is_fine() -> None:
    """No provider, no fault."""
    assert check("main", [], NOW).exit_status == 0


@pytest.mark.parametrize("state", [State.USABLE, State.REFRESHABLE, State.COOLDOWN])
def test_states_with_auth_are_fine(state: State) -> None:
    """What a run could use is no fault, resting or refreshable included."""
    result = check("main", [answer(state)], NOW)
    assert (result.exit_status, result.problems, result.warnings) == (0, (), ())


@pytest.mark.parametrize(
    "state", [State.MISSING, State.EXPIRED, State.REJECTED, State.DISABLED, State.UNRESOLVED, State.MALFORMED]
)
def test_states_that_need_a_person_are_1(state: State) -> None:
    """Each is named with its reason and next step."""
    result = check("main", [answer(State.USABLE), answer(state)], NOW)
    assert result.exit_status == 1
    assert result.problems == (f"main: P is {state.value}: why (step)",)


@pytest.mark.parametrize("state", [State.UNKNOWN, State.UNVERIFIED])
def test_states_that_nobody_knows_are_0_with_a_warning(state: State) -> None:
    """Not knowing is no failure, but it isn't silent."""
    result = check("main", [answer(state)], NOW)
    assert (result.exit_status, result.warnings) == (0, (f"main: P is {state.value}: why",))


@pytest.mark.parametrize(
    ("state", "kind", "left_s", "status"),
    [
        (State.USABLE, "token", 23 * HOUR, 2),
        (State.USABLE, "token", 24 * HOUR, 2),
        (State.USABLE, "token", 25 * HOUR, 0),
        (State.COOLDOWN, "token", 1.0, 2),
        (State.USABLE, "oauth", HOUR, 0),
        (State.USABLE, "oauth without refresh", HOUR, 2),
        (State.REFRESHABLE, "oauth", -HOUR, 0),
        (State.EXPIRED, "token", -HOUR, 1),
    ],
)
def test_an_end_within_a_day_is_2_when_nothing_refreshes_it(
    state: State, kind: str, left_s: float, status: int
) -> None:
    """Up to 24 hours count; a refreshable login doesn't."""
    assert check("main", [answer(state, kind=kind, expires_at=NOW + left_s)], NOW).exit_status == status


def test_broken_outweighs_expiring_and_both_are_told() -> None:
    """1 wins over 2, and no line is lost."""
    result = check("main", [answer(State.USABLE, expires_at=NOW + HOUR), answer(State.MISSING)], NOW)
    assert result.exit_status == 1
    assert len(result.problems) == 2
