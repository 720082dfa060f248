"""Words for people: honest times and helpful hints; plain tables that lose nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openclaw_actors.auth.verdict import Evidence, State, Verdict
from openclaw_actors.cli.tables import kept_columns, plain_table
from openclaw_actors.cli.text import (
    clean,
    counted,
    did_you_mean,
    duration,
    expiry,
    full_time,
    milliseconds,
    relative,
    state_label,
)
from openclaw_actors.ids import AgentId, EvidenceId, Generation, ProviderId
from openclaw_actors.shapes import presence_note
from openclaw_actors.spelling import near_misses

NOW = 1_800_000_000.0


def verdict(state: State, *, presence: bool = False, expires_at: float | None = None) -> Verdict:
    """Return a verdict."""
    evidence = Evidence(EvidenceId("zai:default"), "profile", "token", expires_at=expires_at)
    return Verdict(
        AgentId("main"),
        ProviderId("zai"),
        state,
        state.has_auth,
        presence,
        evidence,
        (),
        "",
        "",
        None,
        Generation(1),
        True,
    )


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "119 min"),
        (7200, "2 h"),
        (172_799, "47 h"),
        (172_800, "2 d"),
        (1e9, "11574 d"),
    ],
)
def test_durations_are_rounded_down_in_one_unit(seconds: float, text: str) -> None:
    """A time is never said to be longer than it is."""
    assert duration(seconds) == text


@given(st.floats(min_value=-1e9, max_value=1e9, allow_nan=False))
def test_relative_times_never_say_zero(distance: float) -> None:
    """No "in 0 s", no "0 m ago": what is nearer than a second says so in words."""
    words = relative(NOW + distance, NOW)
    assert " 0 " not in f" {words} "
    assert words.startswith("in ") or words.endswith("ago") or words == "just now"


def test_expiry_says_what_is_past_and_what_can_be_refreshed() -> None:
    """Future, past, past but refreshable, and none at all."""
    assert expiry(NOW + 3 * 86400, NOW, has_auth=True) == "in 3 d"
    assert expiry(NOW - 7300, NOW, has_auth=False) == "expired 2 h ago"
    assert expiry(NOW - 7300, NOW, has_auth=True) == "expired, refreshable"
    assert expiry(None, NOW, has_auth=True) == ""


def test_a_date_that_no_calendar_has_is_still_told() -> None:
    """An absurd expiry in a file breaks no command."""
    assert full_time(1e18).startswith("epoch ")
    assert full_time(NOW).startswith("2027-01-1")


@pytest.mark.parametrize("state", list(State))
def test_every_state_has_a_symbol_beside_its_name(state: State) -> None:
    """Colour is never the only sign, and there is an ASCII form."""
    assert state_label(state).endswith(f" {state.value}")
    assert state_label(state, ascii_only=True).isascii()


def test_names_from_files_cannot_steer_the_terminal() -> None:
    """Escape sequences and line breaks are replaced."""
    assert clean("evil\x1b[2J\nname") == "evil\ufffd[2J\ufffdname"
    assert clean("gpt-oss:20b · ok") == "gpt-oss:20b · ok"


def test_near_misses_offer_what_was_meant() -> None:
    """Small slips in any case are found, nonsense offers nothing."""
    assert near_misses("Anthropc", ["anthropic", "openai"]) == ["anthropic"]
    assert did_you_mean(near_misses("qqqq", ["anthropic"])) == ""
    assert did_you_mean(["zai", "xai"]) == "Did you mean zai or xai?"


@pytest.mark.parametrize("state", [state for state in State if not state.has_auth])
def test_every_difference_from_openclaw_is_explained(state: State) -> None:
    """When presence and has_auth differ there is a reason; when they agree there is nothing to say."""
    assert presence_note(verdict(state, presence=True))
    assert presence_note(verdict(state)) == ""
    assert presence_note(verdict(State.USABLE))


def test_plain_tables_are_aligned_and_never_cut() -> None:
    """Columns are as wide as their widest cell, numbers flushed right, no trailing blanks, empty cells are dashes."""
    lines = plain_table(("name", "n"), [["x" * 200, "7"], ["short", "1234"], ["", ""]], frozenset({1}))
    assert lines[0] == "NAME" + " " * 196 + "  " + "   N"
    assert lines[1] == "x" * 200 + "     7"
    assert lines[3] == "-" + " " * 199 + "     -"
    assert not any(line.endswith(" ") for line in lines)


@pytest.mark.parametrize(("room", "kept"), [(200, [0, 1, 2, 3]), (70, [0, 1, 3]), (50, [0, 3]), (5, [0, 3])])
def test_narrow_terminals_lose_expendable_columns_first(room: int, kept: list[int]) -> None:
    """Columns go one after the other until the rest fits; the others never go."""
    assert kept_columns([20, 15, 30, 90], room, expendable=(2, 1)) == kept


def test_small_words() -> None:
    """Counts take the right form, milliseconds a fitting precision."""
    assert (counted(1, "model"), counted(2, "model")) == ("1 model", "2 models")
    assert (milliseconds(0.0123), milliseconds(0.5), milliseconds(None)) == ("12.3 ms", "500 ms", "-")
