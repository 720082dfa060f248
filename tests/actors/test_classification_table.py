"""The table of reasons: what each one makes of an answer, whichever way it comes in, and how the answer comes back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rig import MakeRig, Rig, api_key, custom

from openclaw_actors.messages import ClockDue, SweepAgent, TimePassed

WORK, PROVIDER = "mistral:work", "mistral"
AGENTS = ("main", "ops")
USABLE = ("usable", True)

RESTING, REJECTED, DISABLED = ("cooldown", True), ("rejected", False), ("disabled", False)
TABLE = {
    "rate_limit": RESTING,
    "overloaded": RESTING,
    "timeout": RESTING,
    "unknown": RESTING,
    "unclassified": RESTING,
    "no_error_details": RESTING,
    "empty_response": RESTING,
    "auth": REJECTED,
    "auth_permanent": REJECTED,
    "session_expired": REJECTED,
    "billing": DISABLED,
}
"""Reason → state and has_auth."""
SPELLED = {
    "subscription_limit": RESTING,
    "forbidden": REJECTED,
    "permission_denied": REJECTED,
    "PermissionError": REJECTED,
}
"""What only a report can say: a block and a refusal of permission are stored under other names."""
HARMLESS = ("format", "model_not_found")
LENGTHS = {"billing": 5 * 3600.0, "auth_permanent": 600.0}
"""How long the first window lasts, in seconds; 30 for all others (formats 7.2)."""
CLOCKS_OWN = {TimePassed, ClockDue}
"""What may be handled while nothing ends."""
WAYS = ("reported", "found")


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    """Return a warm rig: `ops` inherits from `main`; `own` has another secret under the same name."""
    made = make_rig("main", "ops", "own")
    made.files.write_profiles(mistral__work=api_key(PROVIDER), zai__me=api_key("zai"))
    made.files.write_profiles("own", mistral__work=api_key(PROVIDER, "own"))
    return made.warm()


def write(rig: Rig, **stats: object) -> None:
    """Have another process write usage stats of the profile."""
    rig.files.write_usage(mistral__work=stats)
    rig.touch(rig.store())


def find(rig: Rig, reason: str, lasts_s: float = 30.0, lane: str = "") -> None:
    """Have another process open the window that a reason leads to."""
    now_ms = int(rig.clock.epoch() * 1000)
    end_ms = now_ms + int(lasts_s * 1000)
    seen = {"lastFailureAt": now_ms, "errorCount": 1, "failureCounts": {reason: 1}}
    if reason == "subscription_limit":
        write(rig, blockedUntil=end_ms, blockedReason=reason, blockedSource="wham", **seen)
    elif (lane or ("disabled" if reason in LENGTHS else "cooldown")) == "disabled":
        write(rig, disabledUntil=end_ms, disabledReason=reason, **seen)
    else:
        write(rig, cooldownUntil=end_ms, cooldownReason=reason, **seen)


def come_in(rig: Rig, way: str, reason: str) -> None:
    """Let a failure become known in one of the two ways."""
    if way == "reported":
        rig.refuse(WORK, reason)
        rig.advance(1.0)
    else:
        find(rig, reason, LENGTHS.get(reason, 30.0))


def shown(rig: Rig, agent: str = "main", model: str | None = None) -> tuple[str, bool]:
    """Return state and has_auth of the profile's provider."""
    verdict = rig.answer(agent, PROVIDER, model)
    return str(verdict.state), verdict.has_auth


def usage(rig: Rig) -> dict[str, Any]:
    """Return the profile's usage stats on disk."""
    found: dict[str, Any] = json.loads(rig.files.usage_path().read_text())["usageStats"][WORK]
    return found


def to_the_end(rig: Rig) -> None:
    """Let time pass until just before the window's end, and then just past it."""
    ends = rig.answer("main", PROVIDER).valid_until
    assert ends is not None
    handled, before = len(rig.dispatcher.history), shown(rig)
    rig.advance(ends - rig.clock.epoch() - 0.0005)
    assert {type(message) for _, message in rig.dispatcher.history[handled:]} <= CLOCKS_OWN, "no polling"
    assert [shown(rig, agent) for agent in AGENTS] == [before] * 2
    rig.advance(0.002)


# -------------------------------------------------------------------------------------------------------- the table


@pytest.mark.parametrize(("reason", "expected"), [*TABLE.items(), *SPELLED.items()])
def test_a_report_shows_what_the_table_says(rig: Rig, reason: str, expected: tuple[str, bool]) -> None:
    """A reported reason gives its state to all who see the secret, and to nobody and nothing else."""
    rig.refuse(WORK, reason, agent_id="ops")
    rig.run_until_idle()
    assert [shown(rig, agent) for agent in AGENTS] == [expected] * 2
    assert shown(rig, "own") == USABLE
    assert rig.state("main", "zai") == "usable"
    assert rig.answer("main", PROVIDER).presence
    assert rig.open_generations() == ()


@pytest.mark.parametrize("lane", ["cooldown", "disabled"])
@pytest.mark.parametrize(("reason", "expected"), [*TABLE.items(), ("subscription_limit", RESTING)])
def test_a_window_on_disk_shows_what_the_table_says(
    rig: Rig, reason: str, lane: str, expected: tuple[str, bool]
) -> None:
    """The reason picks the state, whatever lane it was written in; nothing is checked for it."""
    before = rig.stats()
    find(rig, reason, lane=lane)
    assert [shown(rig, agent) for agent in AGENTS] == [expected] * 2
    assert (shown(rig, "own"), rig.state("main", "zai")) == (USABLE, "usable")
    assert rig.answer("main", PROVIDER).valid_until == pytest.approx(rig.clock.epoch() + 30.0, abs=0.1)
    assert not rig.since(before).keys() & {"provider_checks", "sweeps"}


def test_a_window_without_a_reason_is_what_its_lane_is_for(rig: Rig) -> None:
    """A window whose reason is missing or means nothing rests the profile, in the other lane it disables it."""
    end_ms = int(rig.clock.epoch() * 1000) + 60_000
    write(rig, cooldownUntil=end_ms)
    assert shown(rig) == RESTING
    write(rig, disabledUntil=end_ms)
    assert shown(rig) == DISABLED
    write(rig, cooldownUntil=end_ms, cooldownReason="no such reason")
    assert shown(rig) == RESTING


@pytest.mark.parametrize("reason", [*TABLE, "subscription_limit", "forbidden"])
def test_who_reads_it_from_disk_says_the_same(rig: Rig, make_rig: MakeRig, reason: str) -> None:
    """What one process was told, another reads from disk in the very same words."""
    rig.refuse(WORK, reason)
    rig.advance(1.0)
    other = make_rig("main", "ops", "own", clock=rig.clock).warm()
    for agent in (*AGENTS, "own"):
        told, read = rig.answer(agent, PROVIDER), other.answer(agent, PROVIDER)
        assert (told.state, told.has_auth, told.presence) == (read.state, read.has_auth, read.presence)
        assert (told.reason, told.next_step, told.valid_until) == (read.reason, read.next_step, read.valid_until)
        assert (told.evidence, told.shadowed) == (read.evidence, read.shadowed)


@pytest.mark.parametrize("reason", [*HARMLESS, "server_error", "InternalServerError"])
def test_a_report_of_the_requests_own_fault_changes_nothing(rig: Rig, reason: str) -> None:
    """A bad request, an unknown model and a broken server cost neither a check nor a publication nor a write."""
    before = rig.stats()
    generation = rig.refuse(WORK, reason)
    rig.advance(1.0)
    assert rig.since(before) == {"failures_reported": 1}
    assert not rig.runtime.wants.is_open(generation)
    assert not rig.files.usage_path().exists()


@pytest.mark.parametrize("lane", ["cooldown", "disabled"])
@pytest.mark.parametrize("reason", HARMLESS)
def test_a_window_on_disk_of_the_requests_own_fault_changes_nothing(rig: Rig, reason: str, lane: str) -> None:
    """Another process's window for such a reason hides nothing, sets no alarm, and its end is no event."""
    find(rig, reason, lane=lane)
    assert (shown(rig), rig.answer("main", PROVIDER).valid_until) == (USABLE, None)
    handled = len(rig.dispatcher.history)
    before = rig.stats()
    rig.advance(60.0)
    assert {type(message) for _, message in rig.dispatcher.history[handled:]} <= CLOCKS_OWN
    assert rig.since(before) == {}
    assert "half-open" not in rig.answer("main", PROVIDER).reason


# --------------------------------------------------------------------------------------------------- a window's end


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("reason", [*TABLE, "subscription_limit"])
def test_a_window_ends_at_its_time_and_then_the_next_report_decides(rig: Rig, reason: str, way: str) -> None:
    """One alarm, one publication for each who sees it, half-open; a failure rests it anew, a success frees it."""
    expected = {**TABLE, **SPELLED}[reason]
    come_in(rig, way, reason)
    assert shown(rig) == expected
    before, published = rig.stats(), len(rig.published)
    to_the_end(rig)
    assert [shown(rig, agent) for agent in AGENTS] == [USABLE] * 2
    assert all("half-open" in rig.answer(agent, PROVIDER).reason for agent in AGENTS)
    assert sorted(auth.agent_id for auth in rig.published[published:]) == ["main", "ops"]
    counted = rig.since(before)
    assert (counted["alarms"], counted["sweeps"], counted["provider_checks"]) == (1, 2, 2)
    assert not counted.keys() & {"store_reads", "shared_reads"}
    assert rig.handled(SweepAgent)[-1].providers == (PROVIDER,)

    rig.refuse(WORK, reason)
    rig.advance(1.0)
    assert [shown(rig, agent) for agent in AGENTS] == [expected] * 2
    assert usage(rig)["errorCount"] == 1, "a window that is over is forgiven"
    to_the_end(rig)
    rig.accept(WORK)
    rig.advance(1.0)
    verdict = rig.answer("ops", PROVIDER)
    assert (shown(rig, "ops"), verdict.valid_until, "half-open" in verdict.reason) == (USABLE, None, False)
    assert not usage(rig).keys() & {"cooldownUntil", "disabledUntil", "blockedUntil"}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("reason", ["rate_limit", "auth", "billing"])
def test_concurrent_failures_of_the_half_open_moment_count_once(rig: Rig, reason: str, way: str) -> None:
    """Requests that all tried a credential when it came back are one offence, in the answer and on disk."""
    come_in(rig, way, reason)
    to_the_end(rig)
    assert "half-open" in rig.answer("main", PROVIDER).reason
    generations = [rig.refuse(WORK, reason, agent_id=agent) for agent in AGENTS * 10]
    rig.run_until_idle()
    ends = rig.answer("main", PROVIDER).valid_until
    assert ends == pytest.approx(rig.clock.epoch() + LENGTHS.get(reason, 30.0), abs=0.01)
    rig.advance(1.0)
    assert not any(rig.runtime.wants.is_open(generation) for generation in generations)
    assert (usage(rig)["errorCount"], usage(rig)["failureCounts"]) == (1, {reason: 1})
    assert rig.answer("main", PROVIDER).valid_until == ends


# --------------------------------------------------------------------------------------------------- windows of models


@pytest.mark.parametrize("way", WAYS)
def test_a_models_window_rests_its_row_only(rig: Rig, way: str) -> None:
    """One model's quota hides no other model and not the provider; its row comes back at its end, by itself."""
    if way == "reported":
        rig.refuse(WORK, "rate_limit", model="big")
        rig.advance(1.0)
    else:
        now_ms = int(rig.clock.epoch() * 1000)
        rest = {"cooldownUntil": now_ms + 30_000, "cooldownReason": "rate_limit", "cooldownModel": "big"}
        write(rig, lastFailureAt=now_ms, errorCount=1, **rest)
    for agent in AGENTS:
        assert (shown(rig, agent, "big"), shown(rig, agent, "small"), shown(rig, agent)) == (RESTING, USABLE, USABLE)
    assert shown(rig, "own", "big") == USABLE
    before = rig.stats()
    to_the_end(rig)
    assert (shown(rig, "main", "big"), shown(rig, "ops", "big")) == (USABLE, USABLE)
    assert "half-open" in rig.answer("ops", PROVIDER, "big").reason
    assert (rig.since(before)["alarms"], rig.since(before)["publications"]) == (1, 2)


def test_two_models_that_rest_are_the_profiles_trouble(rig: Rig) -> None:
    """A store has room for one model: a second one's failure rests the whole profile, till the first one's end."""
    rig.refuse(WORK, "rate_limit", model="big")
    rig.advance(10.0)
    ends = rig.answer("main", PROVIDER).valid_until
    rig.refuse(WORK, "rate_limit", model="big")  # again: nothing new
    rig.refuse(WORK, "rate_limit", model="small")
    rig.advance(1.0)
    assert [shown(rig, "ops", model) for model in ("big", "small", None)] == [RESTING] * 3
    assert rig.answer("ops", PROVIDER).valid_until == ends
    assert "cooldownModel" not in usage(rig)
    to_the_end(rig)
    assert [shown(rig, "ops", model) for model in ("big", "small", None)] == [USABLE] * 3


# ------------------------------------------------------------------------------------------------------- coming back


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("reason", ["auth", "billing", "overloaded"])
def test_what_ends_a_window_before_its_time(rig: Rig, reason: str, way: str) -> None:
    """A newer success, here or in another process, a recheck and a cleared cooldown bring a credential back at once;
    an older success does not.
    """

    def served_elsewhere() -> None:
        now_ms = int(rig.clock.epoch() * 1000)
        write(rig, lastUsed=now_ms, lastFailureAt=now_ms - 1000, errorCount=0)

    def cleared_elsewhere() -> None:
        write(rig, lastFailureAt=int(rig.clock.epoch() * 1000) - 1000, errorCount=0)

    for end in (rig.report_success, rig.recheck, served_elsewhere, cleared_elsewhere):
        come_in(rig, way, reason)
        rig.advance(1.0)
        rig.clock.jump_epoch(-600.0)
        older = rig.accept(WORK)
        rig.clock.jump_epoch(600.0)
        rig.run_until_idle()
        assert (shown(rig), rig.runtime.wants.is_open(older)) == (TABLE[reason], False)
        end(*([WORK] if end == rig.report_success else ()))
        rig.run_until_idle()
        assert [shown(rig, agent) for agent in AGENTS] == [USABLE] * 2
        rig.advance(1.0)


@pytest.mark.parametrize("way", WAYS)
def test_another_secret_is_another_credential_and_the_old_one_stays_refused(rig: Rig, way: str) -> None:
    """A rotated key is usable the moment it is read; whoever brings the refused one back has a refused one."""
    come_in(rig, way, "auth_permanent")
    rig.files.write_profiles(mistral__work=api_key(PROVIDER, "new"), zai__me=api_key("zai"))
    rig.touch(rig.store(), run=False)
    rig.run_until_idle()
    assert [shown(rig, agent) for agent in AGENTS] == [USABLE] * 2
    rig.advance(5.0)
    rig.files.write_profiles(mistral__work=api_key(PROVIDER), zai__me=api_key("zai"))
    rig.touch(rig.store())
    # a rollback, or a stale copy flushed over the file: a process that starts now reads `rejected` from the same disk
    assert [shown(rig, agent) for agent in AGENTS] == [REJECTED] * 2


def test_a_recheck_of_one_agent_or_provider_leaves_the_others_theirs(rig: Rig) -> None:
    """What a person has tried again is what was named; every other window goes on as it was."""
    for evidence, agent in ((WORK, "main"), ("zai:me", "main"), (WORK, "own")):
        rig.refuse(evidence, "auth", agent_id=agent)
    rig.advance(1.0)
    rig.recheck(PROVIDER, agent_id="own")
    rig.run_until_idle()
    assert (shown(rig, "own"), shown(rig, "main"), rig.state("main", "zai")) == (USABLE, REJECTED, "rejected")
    rig.recheck("zai")
    rig.run_until_idle()
    assert (rig.state("ops", "zai"), shown(rig, "ops")) == ("usable", REJECTED)
    rig.recheck(agent_id="ops")
    rig.run_until_idle()
    assert (shown(rig, "ops"), shown(rig, "main")) == (USABLE, USABLE), "an inherited secret is the same for all"
    assert rig.open_generations() == ()


def test_a_configured_keys_window_goes_with_its_secret(make_rig: MakeRig) -> None:
    """A refused key of the config stays refused through a reload, and its replacement is usable at once."""
    rig = make_rig("main", "ops")
    rig.files.write_providers(acme=custom(), bolt=custom("bolt"))
    rig.warm()
    for name in ("acme", "bolt"):
        rig.refuse(f"config:{name}", "billing")
    rig.run_until_idle()
    rig.files.write_providers(acme={**custom(), "apiKey": "canary-new-5518"}, bolt={**custom("bolt"), "api": "x"})
    rig.reload_config()
    rig.advance(1.0)
    assert [(rig.state(agent, "acme"), rig.state(agent, "bolt")) for agent in AGENTS] == [("usable", "disabled")] * 2
    rig.advance(5 * 3600.0)
    assert rig.state("ops", "bolt") == "usable"
