"""A wall clock that is set forth or back: what ends by it shows soon, nothing else does, and it leaves no trace."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from rig import MakeRig, Rig, api_key

from openclaw_actors.actors.wakings import CLOCK_LOOK_S
from openclaw_actors.messages import ClockDue, LedgerChanged, ReportAnswered, TimePassed

NOTICED_S = CLOCK_LOOK_S
"""Within how many seconds a jump of the wall clock is noticed."""
DAY_S = 86_400.0
WORK = "openai:work"
AGENTS = ("main", "ops")


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    """Return a warm rig: an API key, a token that lives a day, a login without refresh that does, and one with."""
    made = make_rig(*AGENTS)
    ends_ms = int((made.clock.epoch() + DAY_S) * 1000)
    login = {"type": "oauth", "access": "canary-a-20118", "expires": ends_ms}
    made.files.write_profiles(
        openai__work=api_key("openai"),
        groq__me={"type": "token", "provider": "groq", "token": "canary-groq-5512", "expires": ends_ms},
        chutes__me={**login, "provider": "chutes"},
        anthropic__me={**login, "provider": "anthropic", "refresh": "canary-r-20118"},
    )
    return made.warm()


def states(rig: Rig, *providers: str) -> list[str]:
    """Return the states of some providers, which are the same for both agents."""
    found = {tuple(rig.state(agent, provider) for provider in providers) for agent in AGENTS}
    assert len(found) == 1, found
    return list(found.pop())


def jump(rig: Rig, seconds: float) -> None:
    """Set the wall clock, and wait until that must have been noticed."""
    rig.clock.jump_epoch(seconds)
    rig.advance(NOTICED_S + 0.1)


LIVING = ("groq", "chutes", "anthropic")


# -------------------------------------------------------------------------------------------------------------- forth


def test_what_a_jump_forth_ends_shows_soon(rig: Rig) -> None:
    """A token, a login and a window that are over by the new time are so for readers too, without a reading."""
    rig.refuse(WORK, "billing")
    rig.advance(1.0)
    assert states(rig, "openai", *LIVING) == ["disabled", "usable", "usable", "usable"]
    before = rig.stats()
    jump(rig, DAY_S)
    assert states(rig, "openai", *LIVING) == ["usable", "expired", "expired", "refreshable"]
    assert "half-open" in rig.answer("ops").reason
    assert not rig.since(before).keys() & {"store_reads", "shared_reads"}


def test_a_jump_forth_ends_nothing_that_it_does_not_reach(rig: Rig) -> None:
    """Half a day is not a day, and the rest of it ends at its exact time by the new clock."""
    jump(rig, DAY_S / 2)
    assert states(rig, *LIVING) == ["usable"] * 3
    ends = rig.answer("ops", "groq").valid_until
    assert ends is not None
    rig.advance(ends - rig.clock.epoch() - 0.01)
    assert states(rig, "groq") == ["usable"]
    rig.advance(0.02)
    assert states(rig, "groq") == ["expired"]


# --------------------------------------------------------------------------------------------------------------- back


def test_a_jump_back_ends_nothing_early(rig: Rig) -> None:
    """What has a day left, has two after the clock went back by one; nothing polls for it meanwhile."""
    rig.refuse(WORK, "billing")
    rig.advance(1.0)
    jump(rig, -DAY_S)
    assert states(rig, "openai", *LIVING) == ["disabled", "usable", "usable", "usable"]
    handled = len(rig.dispatcher.history)
    rig.advance(DAY_S)
    assert states(rig, "openai", *LIVING) == ["disabled", "usable", "usable", "usable"]
    rung = rig.dispatcher.history[handled:]
    assert {type(message) for _, message in rung} <= {TimePassed, ClockDue}
    rig.advance(DAY_S)
    assert states(rig, "openai", *LIVING) == ["usable", "expired", "expired", "refreshable"]


def test_a_rest_that_began_before_a_jump_back_ends_by_the_clock_and_can_be_cut_short(rig: Rig) -> None:
    """Thirty seconds become a day and thirty seconds by a clock that went back; a success or a recheck ends that."""
    ends: tuple[Callable[[], object], ...] = (rig.recheck, lambda: rig.accept(WORK))
    for end in ends:
        rig.refuse(WORK, "rate_limit")
        rig.advance(1.0)
        jump(rig, -DAY_S)
        assert states(rig, "openai") == ["cooldown"]
        end()
        rig.advance(1.0)
        assert states(rig, "openai") == ["usable"]
        rig.touch_all()
        assert states(rig, "openai") == ["usable"], "what the disk dates into the future proves nothing"


def test_a_failure_after_a_jump_back_counts(rig: Rig) -> None:
    """A refusal that is observed now is not held to be older than a success of the time before the jump."""
    rig.accept(WORK)
    rig.advance(1.0)
    jump(rig, -DAY_S)
    rig.refuse(WORK, "auth")
    rig.advance(1.0)
    assert states(rig, "openai") == ["rejected"]
    rig.touch_all()
    assert states(rig, "openai") == ["rejected"]
    rig.advance(31.0)
    assert states(rig, "openai") == ["usable"]


def test_a_change_that_overtakes_an_older_report_stays_though_its_clock_is_behind(make_rig: MakeRig) -> None:
    """Which of two reports came last is told by their order, not by the times that they are dated with."""
    rig = make_rig(*AGENTS)
    rig.files.write_profiles(openai__work=api_key("openai"))
    rig.warm()
    rig.refuse(WORK, "auth")
    rig.run_until_idle()
    rig.advance(0.1)
    rig.refuse(WORK, "auth")  # which changes nothing but when it was last seen
    rig.clock.jump_epoch(-0.4)
    rig.refuse(WORK, "billing")
    for _ in range(2):
        rig.dispatcher.step_actor("failure-listener")
    assert rig.pending(ReportAnswered)
    assert rig.pending(LedgerChanged)
    rig.run_until_idle()
    assert [type(message) for _, message in rig.history if isinstance(message, (ReportAnswered, LedgerChanged))] == [
        LedgerChanged,
        LedgerChanged,
        ReportAnswered,
    ], "a change overtakes"
    rig.advance(60.0)
    assert states(rig, "openai") == ["disabled"]


def test_a_key_that_was_replaced_before_a_jump_back_is_not_blamed_for_what_befell_the_one_before_it(rig: Rig) -> None:
    """It gets its chance, though by the clock its predecessor fails only tomorrow."""
    rig.refuse(WORK, "auth_permanent")
    rig.advance(1.0)
    jump(rig, -DAY_S)
    rig.files.write_profiles(openai__work=api_key("openai", "new"))
    rig.touch(rig.store())
    rig.advance(1.0)
    assert states(rig, "openai") == ["usable"]


def test_a_refusal_after_a_jump_back_is_the_replaced_keys_own(rig: Rig) -> None:
    """A key that was replaced and then refused stays so when the time comes at which it was replaced, by the clock."""
    rig.refuse(WORK, "auth_permanent")
    rig.advance(1.0)
    rig.files.write_profiles(openai__work=api_key("openai", "new"))
    rig.touch(rig.store())
    rig.advance(1.0)
    assert states(rig, "openai") == ["usable"]
    jump(rig, -40.0)
    rig.refuse(WORK, "billing")
    rig.advance(1.0)
    for _ in range(4):
        rig.touch_all()
        assert states(rig, "openai") == ["disabled"]
        rig.advance(20.0)


# --------------------------------------------------------------------------------------------- there and back again


def test_a_jump_that_is_put_right_before_it_is_noticed_changes_nothing(rig: Rig) -> None:
    """Forth and back between two looks at the clock is no event."""
    before = rig.stats()
    rig.clock.jump_epoch(2 * DAY_S)
    rig.clock.jump_epoch(-2 * DAY_S)
    rig.advance(NOTICED_S * 3)
    assert not rig.since(before).keys() & {"provider_checks", "publications"}
    assert states(rig, *LIVING) == ["usable"] * 3


@pytest.mark.parametrize("way", ["by itself", "recheck"])
def test_what_a_fast_clock_called_expired_is_usable_when_the_clock_is_put_right(rig: Rig, way: str) -> None:
    """An answer is a function of facts and time: it is the same again at the same time, and no event is needed."""
    answers = rig.answers()
    jump(rig, 2 * DAY_S)
    assert states(rig, *LIVING) == ["expired", "expired", "refreshable"]
    rig.clock.jump_epoch(-2 * DAY_S)
    if way == "by itself":
        rig.advance(NOTICED_S + 0.1)
    else:
        rig.recheck()
        rig.advance(1.0)
    assert states(rig, *LIVING) == ["usable"] * 3
    assert rig.answers() == answers
    rig.advance(DAY_S)
    assert states(rig, *LIVING) == ["expired", "expired", "refreshable"], "and it still ends in its time"


@pytest.mark.parametrize("way", ["reported", "found"])
def test_a_window_that_a_fast_clock_called_over_goes_on_when_the_clock_is_put_right(rig: Rig, way: str) -> None:
    """Half-open by a wrong clock is not half-open: the window lasts until its end by the right one."""
    if way == "reported":
        rig.refuse(WORK, "billing")
        rig.advance(1.0)
    else:
        now_ms = int(rig.clock.epoch() * 1000)
        window = {"disabledUntil": now_ms + 4 * 3_600_000, "disabledReason": "auth_permanent", "lastFailureAt": now_ms}
        rig.files.write_usage(openai__work=window)
        rig.touch(rig.store())
    refused, ends = states(rig, "openai"), rig.answer("ops").valid_until
    assert refused == [{"reported": "disabled", "found": "rejected"}[way]]
    jump(rig, DAY_S)
    assert states(rig, "openai") == ["usable"]
    jump(rig, -DAY_S)
    assert states(rig, "openai") == refused
    assert rig.answer("ops").valid_until == ends


def test_a_login_of_another_program_is_judged_by_the_right_clock_again(make_rig: MakeRig) -> None:
    """What all agents share ends and comes back like what is their own."""
    rig = make_rig(*AGENTS)
    expires_ms = int((rig.clock.epoch() + DAY_S) * 1000)
    login = {"accessToken": "canary-a-9", "refreshToken": "", "expiresAt": expires_ms}
    rig.files.replace(rig.files.user / ".claude" / ".credentials.json", json.dumps({"claudeAiOauth": login}))
    rig.warm()
    assert states(rig, "claude-cli") == ["usable"]
    jump(rig, 2 * DAY_S)
    assert states(rig, "claude-cli") == ["expired"]
    jump(rig, -2 * DAY_S)
    assert states(rig, "claude-cli") == ["usable"]


# ------------------------------------------------------------------------------------------- what others' clocks wrote


@pytest.mark.parametrize("end", ["success", "recheck", "cleared"])
@pytest.mark.parametrize("years", [1, 30, 5000])
def test_a_window_that_was_written_with_a_clock_far_in_the_future(rig: Rig, years: int, end: str) -> None:
    """It holds until its end, as absurd as that may be, without a storm of alarms, unless an event ends it."""
    then_ms = int(rig.clock.epoch() * 1000) + years * 365 * int(DAY_S) * 1000
    window = {"disabledUntil": then_ms + 60_000, "disabledReason": "billing", "lastFailureAt": then_ms, "errorCount": 9}
    rig.files.write_usage(openai__work=window)
    rig.touch(rig.store())
    rung = len(rig.handled(TimePassed))
    rig.advance(3600.0)
    assert states(rig, "openai") == ["disabled"]
    assert len(rig.handled(TimePassed)) - rung <= 3600.0 / 10.0 + 1
    if end == "success":
        rig.accept(WORK)
    elif end == "recheck":
        rig.recheck()
    else:
        rig.files.write_usage()
    rig.touch(rig.store())
    rig.advance(1.0)
    assert states(rig, "openai") == ["usable"]


def test_usage_dated_into_the_future_hides_no_failure_and_no_rest(rig: Rig) -> None:
    """A success that another process dated wrongly doesn't outweigh what is observed now."""
    later_ms = int((rig.clock.epoch() + DAY_S) * 1000)
    rig.files.write_usage(openai__work={"lastUsed": later_ms, "errorCount": 0})
    rig.touch(rig.store())
    assert states(rig, "openai") == ["usable"]
    rig.refuse(WORK, "auth")
    rig.advance(1.0)
    rig.touch_all()
    assert states(rig, "openai") == ["rejected"]


@pytest.mark.parametrize("dated", ["lastUsed", "lastFailureAt"])
def test_a_refusal_outlives_what_was_dated_later_before_it(rig: Rig, dated: str) -> None:
    """When the time comes that another process's fast clock wrote, nothing is newer than what was reported since, also
    where that could not be written.
    """
    later_ms = int((rig.clock.epoch() + 20.0) * 1000)
    rig.files.write_usage(openai__work={dated: later_ms})
    rig.recheck()
    rig.advance(0.1)
    rig.sources.damage(f"usage:{rig.files.agent_dir()}", OSError(28, "No space left on device"))
    rig.refuse(WORK, "billing")
    for _ in range(6):
        rig.advance(10.0)
        rig.touch_all()
        assert states(rig, "openai") == ["disabled"]


def test_a_refusal_by_another_process_outlives_a_time_that_an_older_report_knew_of(rig: Rig) -> None:
    """What is on the disk by then is newer than the report, though both know of the same time to come."""
    later_ms = int((rig.clock.epoch() + 60.0) * 1000)
    rig.files.write_usage(openai__work={"lastUsed": later_ms})
    rig.touch(rig.store())
    rig.refuse(WORK, "auth")
    rig.advance(40.0)
    now_ms = int(rig.clock.epoch() * 1000)
    billing = {"disabledUntil": now_ms + 4 * 3_600_000, "disabledReason": "billing", "lastFailureAt": now_ms}
    rig.files.write_usage(openai__work={"lastUsed": later_ms, **billing})
    rig.touch(rig.store())
    for _ in range(6):
        rig.advance(10.0)
        assert states(rig, "openai") == ["disabled"]


def test_uses_that_a_fast_clock_dates_cost_no_check(rig: Rig) -> None:
    """The writer's clock may be ahead of ours; where nothing is reported that is nobody's business."""
    before = rig.stats()
    for _ in range(10):
        rig.files.write_usage(openai__work={"lastUsed": int((rig.clock.epoch() + 2.0) * 1000)})
        rig.touch(rig.store())
        rig.advance(1.0)
    assert not rig.since(before).keys() & {"provider_checks", "sweeps", "publications"}


def test_a_supervisor_that_started_with_a_fast_clock_recovers(make_rig: MakeRig) -> None:
    """The first answers may be folded by a wrong clock; they are right when it is."""
    rig = make_rig(*AGENTS)
    ends_ms = int((rig.clock.epoch() + DAY_S) * 1000)
    rig.files.write_profiles(groq__me={"type": "token", "provider": "groq", "token": "canary-g-1", "expires": ends_ms})
    rig.clock.jump_epoch(30 * DAY_S)
    rig.warm()
    assert states(rig, "groq") == ["expired"]
    jump(rig, -30 * DAY_S)
    assert states(rig, "groq") == ["usable"]


# ------------------------------------------------------------------------------------------------ a warmer that died


@pytest.mark.parametrize(
    ("provider", "before", "after"),
    [("openai", "rejected", "usable"), ("groq", "usable", "expired"), ("anthropic", "usable", "refreshable")],
)
def test_time_goes_on_for_a_warmer_that_was_started_again(rig: Rig, provider: str, before: str, after: str) -> None:
    """What ends, ends in its time, whoever set the alarm for it has died meanwhile."""
    rig.refuse(WORK, "auth_permanent")
    rig.advance(1.0)
    warmer = rig.warmer
    warmer._end("killed by the test", RuntimeError("killed"))
    for _ in range(3):
        rig.look_after()
        rig.advance(1.0)
    assert rig.warmer is not warmer
    assert states(rig, provider) == [before]
    ends = rig.answer("ops", provider).valid_until
    assert ends is not None
    rig.advance(ends - rig.clock.epoch() - 0.01)
    assert states(rig, provider) == [before]
    rig.advance(0.02)
    assert states(rig, provider) == [after]
