"""Refused credentials: patched before any check, never un-hidden by what is late, back when the rules say so."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest
from rig import HOME_SOURCE, MakeRig, Rig, api_key, custom

from openclaw_actors.auth.verdict import State
from openclaw_actors.errors import StoreReadOnlyError
from openclaw_actors.ids import AgentId, EvidenceId, StoreId
from openclaw_actors.messages import (
    ClockDue,
    FlushUsage,
    ForgetUsage,
    ForgiveScope,
    LedgerChanged,
    ReportFailure,
    ReportSuccess,
    Reread,
    SweepAgent,
    TimePassed,
    UsageDue,
    UsageWritten,
    WarmScope,
)
from openclaw_actors.scope import Scope

WORK = "openai:work"


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    """Return a warm rig: `ops` and `lab` inherit a profile from `main`, `own` has one of the same name itself."""
    made = make_rig("main", "ops", "lab", "own")
    made.files.write_profiles(openai__work=api_key("openai"), zai__me=api_key("zai"))
    made.files.write_profiles("own", openai__work=api_key("openai", "own"))
    return made.warm()


def states(rig: Rig, provider: str = "openai") -> dict[str, str]:
    """Return the state of a provider for each agent."""
    return {agent: rig.state(agent, provider) for agent in ("main", "ops", "lab", "own")}


def wish(rig: Rig, scope: Scope, reread: Reread = Reread.NOTHING, generation: Any = None) -> WarmScope:
    """Return a wish for a scope."""
    return WarmScope(
        generation=generation or rig.runtime.wants.mint(scope),
        scope=scope,
        reason="test",
        cause_at=rig.clock.monotonic(),
        reread=reread,
    )


# ------------------------------------------------------------------------------------------------------------- hiding


def test_a_failure_patches_before_the_sweep(rig: Rig) -> None:
    """The map shows a refusal as soon as it is reported, before any actor was asked for a check."""
    sweeps, reads = len(rig.handled(SweepAgent)), rig.stats().store_reads
    rig.refuse(agent_id="ops")
    rig.step_until(lambda: rig.handled(LedgerChanged))
    assert states(rig) == {"main": "rejected", "ops": "rejected", "lab": "rejected", "own": "usable"}
    assert (len(rig.handled(SweepAgent)), rig.stats().store_reads) == (sweeps, reads)
    assert rig.answer().presence
    assert not rig.answer().fresh, "the check is still to come"
    rig.run_until_idle()
    assert rig.answer().fresh
    assert states(rig) == {"main": "rejected", "ops": "rejected", "lab": "rejected", "own": "usable"}


def test_a_failure_overtakes_what_waits(rig: Rig) -> None:
    """A refusal is applied before the messages that came before it."""
    rig.refuse()
    for _ in range(100):
        rig.to_warmer(wish(rig, Scope.provider("zai")))
    rig.dispatcher.step_actor("failure-listener")
    rig.dispatcher.step_actor("warmer")
    assert rig.state() == "rejected"
    assert len(rig.pending(WarmScope)) == 100


def test_a_late_sweep_cannot_bring_back_what_was_refused(rig: Rig) -> None:
    """A sweep that began before the refusal is published without the cells that it doesn't know the newest of."""
    rig.to_warmer(wish(rig, Scope.everything(), Reread.STORES))
    rig.step_until(lambda: len(rig.pending(SweepAgent)) == 4)
    rig.refuse()
    rig.dispatcher.step_actor("failure-listener")
    rig.dispatcher.step_actor("warmer")
    assert rig.state() == "rejected"
    seen: list[str] = []
    before = rig.stats()
    while rig.dispatcher.step():
        seen.append(rig.state("ops"))
    assert set(seen) == {"rejected"}
    assert rig.since(before)["discarded_results"] >= 3


@pytest.mark.parametrize("seed", range(20))
def test_no_interleaving_brings_back_what_was_refused(make_rig: MakeRig, seed: int) -> None:
    """Whatever sweeps, reloads and hints are under way: once hidden, a refused credential stays hidden."""
    rig = make_rig("main", "ops", seed=seed, sweep_slice_checks=1)
    rig.files.write_profiles(openai__work=api_key("openai"))
    rig.files.write_providers(acme=custom())
    rig.warm()
    rig.to_warmer(wish(rig, Scope.everything(), Reread.STORES))
    rig.reload_config()
    rig.refuse(agent_id="ops")
    rig.to_warmer(wish(rig, Scope.provider("openai")))
    rig.touch_all(run=False)
    hidden = False
    while rig.dispatcher.step():
        hidden = hidden or rig.state("ops") == "rejected"
        assert not hidden or rig.state("ops") == "rejected"
        if rig.clock.monotonic() < 1000.5 and not rig.pending(object):
            rig.advance(0.01)
    assert (rig.state(), rig.state("ops")) == ("rejected", "rejected")
    assert rig.open_generations() == ()


def test_a_failure_that_was_asked_for_early_and_comes_late_hides_all_the_same(rig: Rig) -> None:
    """A newer attempt that was published meanwhile doesn't protect a credential from an older report."""
    rig.refuse()
    later = wish(rig, Scope.everything())
    rig.to_warmer(later)
    while any(isinstance(message, WarmScope | SweepAgent) for _, message in rig.dispatcher.pending()):
        rig.dispatcher.step_actor("warmer")
        for agent in ("main", "ops", "lab", "own"):
            rig.dispatcher.step_actor(f"agent-{agent}")
    for _ in range(4):
        rig.dispatcher.step_actor("warmer")
    published = rig.auth().verdict("openai")
    assert (published.state, published.generation) == ("usable", later.generation)
    assert rig.pending(ReportFailure)
    assert (rig.state(), rig.answer().generation) == ("rejected", later.generation)
    rig.run_until_idle()
    assert states(rig) == {"main": "rejected", "ops": "rejected", "lab": "rejected", "own": "usable"}
    assert rig.answer().generation == later.generation, "what a cell has an answer to only grows"


def test_an_inherited_profile_fails_for_all_who_see_its_store(rig: Rig) -> None:
    """A failure belongs to the store that holds the secret; a profile of one's own with that name is another one."""
    rig.refuse(agent_id="lab")
    rig.run_until_idle()
    assert states(rig) == {"main": "rejected", "ops": "rejected", "lab": "rejected", "own": "usable"}
    rig.accept(agent_id="lab")
    rig.advance(1.0)
    rig.refuse(agent_id="own")
    rig.run_until_idle()
    assert states(rig) == {"main": "usable", "ops": "usable", "lab": "usable", "own": "rejected"}


def test_a_failure_of_a_configured_key_hides_it_for_all(make_rig: MakeRig) -> None:
    """A key of the config belongs to everybody."""
    rig = make_rig("main", "ops")
    rig.files.write_providers(acme=custom())
    rig.warm()
    evidence = rig.answer("ops", "acme").evidence
    assert evidence is not None
    rig.refuse(evidence.id, agent_id="ops")
    rig.step_until(lambda: rig.handled(LedgerChanged))
    assert {rig.state(agent, "acme") for agent in ("main", "ops")} == {"rejected"}
    rig.run_until_idle()
    assert {rig.state(agent, "acme") for agent in ("main", "ops")} == {"rejected"}


def test_a_window_from_another_process_is_not_undone_by_a_late_sweep(rig: Rig) -> None:
    """Usage that was patched while a sweep ran stays when that sweep, which didn't know of it, is published."""
    rig.to_warmer(wish(rig, Scope.everything()))
    rig.step_until(lambda: len(rig.pending(SweepAgent)) == 4)
    now_ms = int(rig.clock.epoch() * 1000)
    rest = {"cooldownUntil": now_ms + 60_000, "cooldownReason": "rate_limit", "lastFailureAt": now_ms, "errorCount": 1}
    rig.files.write_usage(openai__work=rest)
    rig.touch(rig.store(), run=False)
    rig.dispatcher.step_actor("warmer")
    rig.sources.finish(rig.store())
    rig.dispatcher.step_actor("warmer")
    assert rig.state("ops") == "cooldown"
    while rig.dispatcher.step():
        assert rig.state("ops") == "cooldown"


# --------------------------------------------------------------------------------------------------------------- storms


def test_a_thousand_failures_in_a_second_cost_two_checks_at_most(rig: Rig) -> None:
    """One provider of the agents that see the store is checked, once or twice; no other provider is."""
    before, sweeps = rig.stats(), len(rig.handled(SweepAgent))
    for _ in range(1000):
        rig.refuse("zai:me")
        rig.advance(0.001)
    rig.advance(0.2)
    counted = rig.since(before)
    assert counted["failures_reported"] == 1000
    made = rig.handled(SweepAgent)[sweeps:]
    asked = {provider for sweep in made for provider in sweep.providers or ("everything",)}
    assert asked == {"zai"}
    assert len(made) <= 2 * 3
    assert counted["provider_checks"] <= 2 * 3
    assert rig.state("ops", "zai") == "rejected"
    assert rig.open_generations() == ()


def test_concurrent_failures_count_once(rig: Rig) -> None:
    """Requests that were under way together and are all refused are one offence: the window doesn't grow."""
    for _ in range(10):
        rig.refuse(reason="rate_limit")
    rig.run_until_idle()
    until = rig.answer().valid_until
    assert until == pytest.approx(rig.clock.epoch() + 30.0, abs=0.01)
    rig.advance(1.0)
    rig.refuse(reason="rate_limit")
    rig.run_until_idle()
    assert rig.answer().valid_until == until
    assert rig.answer().fresh


def test_what_says_nothing_of_a_credential_changes_nothing(rig: Rig) -> None:
    """A malformed request and an unknown profile are answered without a publication."""
    before = rig.stats()
    rig.refuse(reason="format")
    rig.refuse("nobody:knows")
    rig.run_until_idle()
    assert rig.open_generations() == ()
    assert rig.since(before) == {"failures_reported": 2}


# --------------------------------------------------------------------------------------------------------- coming back


def test_the_end_of_a_window_is_an_event_at_exactly_that_time(rig: Rig) -> None:
    """A rest ends with one alarm, and nobody looks at it before: usable, half-open, within a millisecond."""
    rig.refuse(reason="rate_limit")
    rig.advance(1.0)
    ends = rig.answer().valid_until
    assert ends is not None
    assert rig.state() == "cooldown"
    handled, before = len(rig.dispatcher.history), rig.stats()
    rig.advance(ends - rig.clock.epoch() - 0.0005)
    later = {type(message) for _, message in rig.dispatcher.history[handled:]}
    assert later <= {ClockDue}, "no polling: nothing but looks at whether the clock was set"
    assert rig.state() == "cooldown"
    rig.advance(0.002)
    assert states(rig) == {"main": "usable", "ops": "usable", "lab": "usable", "own": "usable"}
    assert "half-open" in rig.answer("ops").reason
    assert len(rig.handled(TimePassed)) == 1
    assert rig.since(before)["alarms"] == 1
    assert rig.since(before)["sweeps"] == 3
    rig.advance(60.0)
    assert len(rig.handled(TimePassed)) == 1, "and no alarm goes on ringing"


def test_a_window_that_was_never_written_ends_too(make_rig: MakeRig) -> None:
    """A key of the config has no store: its rest is in memory, and ends by itself all the same."""
    rig = make_rig("main")
    rig.files.write_providers(acme=custom())
    rig.warm()
    evidence = rig.answer("main", "acme").evidence
    assert evidence is not None
    rig.refuse(evidence.id, "rate_limit")
    rig.advance(29.0)
    assert rig.state("main", "acme") == "cooldown"
    rig.advance(1.1)
    assert rig.state("main", "acme") == "usable"
    assert len(rig.handled(TimePassed)) == 1


def test_windows_end_one_after_the_other(rig: Rig) -> None:
    """Each of several rests ends at its own time, without the others being folded as of an earlier moment."""
    rig.refuse(reason="rate_limit")
    rig.advance(10.0)
    rig.refuse("zai:me", "overloaded")
    rig.advance(19.0)
    assert (rig.state(), rig.state("main", "zai")) == ("cooldown", "cooldown")
    rig.advance(1.1)
    assert (rig.state(), rig.state("main", "zai")) == ("usable", "cooldown")
    rig.advance(10.0)
    assert (rig.state(), rig.state("main", "zai")) == ("usable", "usable")


def test_another_secret_comes_back(rig: Rig) -> None:
    """A new key under the same name was refused by nobody, whatever the disk says of the old one; its own failures
    count.
    """
    rig.refuse()
    rig.advance(1.0)
    rig.files.write_profiles(openai__work=api_key("openai", "new"), zai__me=api_key("zai"))
    rig.touch(rig.store())
    assert WORK in rig.files.usage_path().read_text(), "what was written of the old key is not held against the new one"
    for _ in range(3):
        assert (rig.state("ops"), rig.answer("ops").fresh) == ("usable", True)
        rig.touch_all()
    rig.refuse(agent_id="ops")
    rig.advance(1.0)
    assert rig.state("ops") == "rejected", "a refusal of the new one counts"
    rig.recheck()
    rig.advance(1.0)
    assert rig.state("ops") == "usable"
    now_ms = int(rig.clock.epoch() * 1000)
    refused = {"cooldownUntil": now_ms + 60_000, "cooldownReason": "auth", "lastFailureAt": now_ms, "errorCount": 1}
    rig.files.write_usage(openai__work=refused)
    rig.touch(rig.store())
    assert rig.state("ops") == "rejected", "and so does one that another process saw"


def test_a_success_clears(rig: Rig) -> None:
    """A served request ends a rest at once, before any check."""
    rig.refuse(reason="rate_limit")
    rig.advance(1.0)
    sweeps = len(rig.handled(SweepAgent))
    rig.accept()
    rig.step_until(lambda: rig.state() == "usable")
    assert len(rig.handled(SweepAgent)) == sweeps
    rig.run_until_idle()
    assert states(rig)["ops"] == "usable"


def test_an_older_success_clears_nothing(rig: Rig) -> None:
    """A request that was served before the refusal and reported after it proves nothing."""
    rig.refuse()
    rig.run_until_idle()
    rig.clock.jump_epoch(-10.0)
    generation = rig.accept()
    rig.clock.jump_epoch(10.0)
    rig.run_until_idle()
    assert rig.state() == "rejected"
    assert not rig.runtime.wants.is_open(generation)


def test_a_recheck_forgives(rig: Rig) -> None:
    """A person who says recheck gets every credential of the scope tried again, and those of no other."""
    rig.refuse()
    rig.refuse("zai:me")
    rig.advance(1.0)
    assert (rig.state(), rig.state("main", "zai")) == ("rejected", "rejected")
    generation = rig.recheck("openai")
    rig.run_until_idle()
    assert (rig.state(), rig.state("ops"), rig.state("lab")) == ("usable", "usable", "usable")
    assert rig.state("main", "zai") == "rejected"
    assert not rig.runtime.wants.is_open(generation)


def test_a_recheck_forgives_what_failed_this_very_moment(rig: Rig) -> None:
    """The wish of a person is newer than what it is about, within one millisecond and by a clock that goes back."""
    rig.refuse(reason="billing")
    rig.recheck()
    rig.clock.jump_epoch(-40.0)
    rig.advance(1.0)
    assert rig.state() == "usable"
    rig.advance(100.0)
    rig.touch(rig.store())
    assert rig.state() == "usable", "though the disk still says what it said"
    rig.refuse(reason="billing")
    rig.run_until_idle()
    assert rig.state() == "disabled", "and the next failure counts"


def test_a_recheck_stays_open_for_all_that_it_asked_for(rig: Rig) -> None:
    """What a recheck forgives at once doesn't answer it: all of its cells are not fresh until they were checked."""
    rig.refuse()
    rig.advance(1.0)
    rig.sources.hold(rig.store())
    generation = rig.recheck()
    rig.run_until_idle()
    assert rig.handled(ForgiveScope)
    assert rig.state() == "usable"
    assert not rig.answer("ops", "zai").fresh
    assert rig.runtime.wants.is_open(generation)
    rig.sources.release(rig.store())
    rig.advance(0.2)
    assert rig.answer("ops", "zai").fresh
    assert rig.open_generations() == ()


# ------------------------------------------------------------------------------------------------------ on the disk


def test_our_own_write_causes_no_check(rig: Rig) -> None:
    """Usage that we write ourselves comes back as a hint and changes nothing: it can't start a loop."""
    rig.refuse(reason="rate_limit")
    rig.run_until_idle()
    before = rig.stats()
    rig.advance(rig.settings.usage_flush_s + 0.01)
    assert len(rig.handled(UsageWritten)) == 1
    assert WORK in rig.files.usage_path().read_text()
    for _ in range(5):
        rig.touch(rig.store())
    counted = rig.since(before)
    assert not counted.keys() & {"provider_checks", "sweeps"}
    assert counted["window_patches"] == 1
    assert rig.state() == "cooldown"
    assert len(rig.handled(UsageWritten)) == 1


def test_reports_of_one_store_are_written_together(rig: Rig) -> None:
    """Many reports are one write."""
    for _ in range(20):
        rig.refuse(reason="rate_limit")
        rig.accept()
        rig.refuse("zai:me", "rate_limit")
    rig.advance(1.0)
    assert len(rig.handled(UsageWritten)) == 1


def test_a_refusal_outlives_a_config_reload(rig: Rig) -> None:
    """Reading everything again brings no refused credential back."""
    rig.refuse()
    rig.run_until_idle()
    rig.files.write_providers(acme=custom())
    rig.reload_config()
    rig.run_until_idle()
    rig.touch_all()
    rig.touch(HOME_SOURCE)
    assert rig.answer("ops").state is State.REJECTED


# ---------------------------------------------------------------------------------------- successes that clear nothing


def test_successes_of_a_healthy_profile_cost_no_check_and_no_publication(rig: Rig) -> None:
    """A success that clears nothing is only written down: lastUsed and lastGood, once."""
    before, shown = rig.stats(), len(rig.published)
    for _ in range(100):
        rig.accept(agent_id="ops")
    rig.run_until_idle()
    assert rig.since(before) == {"successes_reported": 100}
    assert len(rig.published) == shown
    assert not rig.handled(LedgerChanged)
    assert rig.open_generations() == ()
    rig.advance(1.0)
    document = json.loads(rig.files.usage_path().read_text())
    assert document["usageStats"][WORK]["lastUsed"] > 0
    assert document["lastGood"] == {"openai": WORK}
    assert len(rig.handled(UsageWritten)) == 1


def test_a_success_after_a_rest_that_is_over_clears_it(rig: Rig) -> None:
    """Half-open is a state to come back from: the success that ends it is shown."""
    rig.refuse(reason="rate_limit")
    rig.advance(31.0)
    assert "half-open" in rig.answer().reason
    rig.accept()
    rig.advance(1.0)
    assert (rig.state(), "half-open" in rig.answer().reason) == ("usable", False)


def test_a_clock_that_was_wrong_blocks_no_recovery(rig: Rig) -> None:
    """Usage that another process dated into the future proves nothing: a success now still clears."""
    now_ms = int(rig.clock.epoch() * 1000)
    later = {"cooldownUntil": now_ms + 9e6, "cooldownReason": "auth", "lastFailureAt": now_ms + 8e6, "errorCount": 1}
    rig.files.write_usage(openai__work=later)
    rig.touch(rig.store())
    assert rig.state("ops") == "rejected"
    rig.accept()
    rig.advance(1.0)
    assert rig.state("ops") == "usable"
    assert "cooldownUntil" not in json.loads(rig.files.usage_path().read_text())["usageStats"][WORK]


# ------------------------------------------------------------------------------------------------------ early and bad


def test_a_refusal_that_comes_before_the_first_publication_counts(make_rig: MakeRig) -> None:
    """A report for an agent that isn't published yet waits for it."""
    rig = make_rig("main")
    rig.files.write_profiles(openai__work=api_key("openai"))
    rig.start()
    generation = rig.refuse()
    assert rig.dispatcher.step_actor("failure-listener")
    assert not rig.published_agents
    rig.warm()
    rig.advance(0.1)
    assert rig.state() == "rejected"
    assert not rig.runtime.wants.is_open(generation)
    assert rig.stats().failures_reported == 1


def test_a_report_before_the_config_is_read_is_answered_in_the_end(make_rig: MakeRig) -> None:
    """An early report waits for ten seconds, and only so many of them do."""
    rig = make_rig("main")
    rig.sources.hold(HOME_SOURCE)
    rig.start()
    listener = rig.ref("failure-listener")
    made = [
        ReportSuccess(
            generation=rig.runtime.wants.mint(Scope.agent("main"), of_report=True),
            agent_id=AgentId("main"),
            evidence_id=EvidenceId(WORK),
            model=None,
            observed_at=rig.clock.epoch(),
            cause_at=rig.clock.monotonic(),
        )
        for _ in range(1005)
    ]
    for message in made:
        rig.dispatcher.inject(listener, message)
    rig.run_until_idle()
    still = [message for message in made if rig.runtime.wants.is_open(message.generation)]
    assert still == made[5:]
    rig.advance(9.0)
    assert rig.runtime.wants.is_open(made[-1].generation)
    rig.advance(1.2)
    assert not [message for message in made if rig.runtime.wants.is_open(message.generation)]


def test_a_report_for_an_agent_that_the_config_has_not_is_answered_at_once(rig: Rig) -> None:
    """Nobody waits for an agent that will never be published."""
    generation = rig.refuse(agent_id="nobody")
    rig.run_until_idle()
    assert not rig.runtime.wants.is_open(generation)


def test_a_failure_that_is_reported_before_the_agent_is_published_counts_from_its_first_answer_on(
    make_rig: MakeRig,
) -> None:
    """It is answered by its own check, not by the first warm."""
    rig = make_rig("main", "ops")
    rig.files.write_profiles(openai__work=api_key("openai"))
    rig._started = True  # as between `start` and the first move of the supervisor's thread
    generation = rig.refuse()
    rig._started = False
    rig.start()
    rig.advance(0.2)
    assert rig.state() == "rejected"
    assert rig.state("ops") == "rejected"
    assert not rig.runtime.wants.is_open(generation)
    assert rig.stats().failures_reported == 1


def test_a_report_that_fails_its_handler_is_answered(make_rig: MakeRig) -> None:
    """A time that is none ends no actor and leaves no attempt open."""
    rig = make_rig("main")
    rig.files.write_profiles(openai__work=api_key("openai"))
    rig.warm()
    rig.dispatcher._strict = False
    generation = rig.runtime.wants.mint(Scope.provider("openai"))
    bad = ReportFailure(
        generation=generation,
        agent_id=AgentId("main"),
        evidence_id=EvidenceId(WORK),
        reason="auth",
        model=None,
        observed_at=float("inf"),
        cause_at=rig.clock.monotonic(),
    )
    rig.dispatcher.inject(rig.ref("failure-listener"), bad)
    rig.run_until_idle()
    assert not rig.runtime.wants.is_open(generation)
    rig.refuse()
    rig.run_until_idle()
    assert rig.state() == "rejected"


# ------------------------------------------------------------------------------------------------------ failed writes


def test_usage_that_could_not_be_written_is_written_later(rig: Rig) -> None:
    """However often a write fails, what it took is written with what came since, and health says so meanwhile."""
    source = f"usage:{rig.files.agent_dir()}"
    rig.sources.hold(source)
    rig.refuse(reason="billing")
    for tries in range(7):
        rig.advance(rig.settings.usage_flush_s * 2**tries + 0.01)
        rig.sources.fail(source, StoreReadOnlyError("the disk is full"))
        rig.run_until_idle()
        assert not rig.condition("UsagePersisted").status
    rig.refuse("zai:me", "billing")
    rig.sources.release(source)
    rig.advance(60.0)
    stats = json.loads(rig.files.usage_path().read_text())["usageStats"]
    assert stats[WORK]["disabledReason"] == stats["zai:me"]["disabledReason"] == "billing"
    assert rig.condition("UsagePersisted").status


def test_a_flush_writes_what_came_during_a_write_at_once(rig: Rig) -> None:
    """A stop waits for no gathering: a second write follows the first immediately."""
    source = f"usage:{rig.files.agent_dir()}"
    rig.sources.hold(source)
    rig.refuse(reason="billing")
    rig.advance(rig.settings.usage_flush_s + 0.01)
    rig.refuse("zai:me", "billing")
    rig.dispatcher.inject(rig.ref("failure-listener"), FlushUsage())
    rig.run_until_idle()
    rig.sources.release(source)
    rig.run_until_idle()
    assert set(json.loads(rig.files.usage_path().read_text())["usageStats"]) == {WORK, "zai:me"}
    assert rig.runtime._flushed.is_set()


def test_a_flush_gives_up_on_a_store_that_cannot_be_written(rig: Rig) -> None:
    """A stop is not held up by a write that fails."""
    source = f"usage:{rig.files.agent_dir()}"
    rig.sources.hold(source)
    rig.refuse(reason="billing")
    rig.run_until_idle()
    rig.dispatcher.inject(rig.ref("failure-listener"), FlushUsage())
    rig.run_until_idle()
    assert not rig.runtime._flushed.is_set()
    rig.sources.fail(source, StoreReadOnlyError("the disk is full"))
    rig.run_until_idle()
    assert rig.runtime._flushed.is_set()


def test_a_storm_of_mixed_reasons_costs_two_checks_at_most(rig: Rig) -> None:
    """Whatever the reasons are, failures inside a window that stays as it is are counted, and that is all."""
    before = rig.stats()
    for number in range(1000):
        rig.refuse(reason=("rate_limit", "timeout", "overloaded")[number % 3])
        rig.run_until_idle()
    counted = rig.since(before)
    assert counted["failures_reported"] == 1000
    assert counted["provider_checks"] <= 2 * len(rig.published_agents) * 4
    assert rig.state() == "cooldown"
    assert not rig.open_generations()


def test_a_passing_failure_does_not_un_hide_what_was_refused(rig: Rig) -> None:
    """A rate limit that comes back after a refusal, within its window, leaves the credential refused."""
    rig.refuse(reason="auth")
    rig.advance(1.0)
    rig.refuse(reason="rate_limit")
    rig.advance(1.0)
    rig.touch(rig.store())
    assert rig.state() == "rejected"


@pytest.mark.parametrize("end", ["success", "time"])
def test_a_refusal_that_another_process_wrote_stays_though_it_is_reported_here_too(make_rig: MakeRig, end: str) -> None:
    """The report is no news, and what was known here before it isn't taken for newer by it."""
    rig = make_rig("main", "ops")
    rig.files.write_profiles(openai__work=api_key("openai"))
    rig.warm()
    rig.refuse(reason="auth")
    rig.advance(1.0)
    if end == "success":
        rig.accept()
    rig.advance(60.0)
    now_ms = int(rig.clock.epoch() * 1000)
    billing = {"disabledUntil": now_ms + 4 * 3_600_000, "disabledReason": "billing", "lastFailureAt": now_ms}
    rig.files.write_usage(openai__work=billing)
    rig.touch(rig.store())
    rig.refuse(reason="billing")
    rig.advance(1.0)
    assert (rig.state(), rig.state("ops")) == ("disabled", "disabled")
    rig.invalidate(Scope.everything(), "test")
    rig.advance(1.0)
    assert (rig.state(), rig.state("ops")) == ("disabled", "disabled")


def test_what_a_report_counts_without_changing_an_answer_is_known_to_sweeps_too(make_rig: MakeRig) -> None:
    """Another reason inside a window that rests already is told to nobody, but is what the next fold goes by."""
    rig = make_rig("main")
    rig.files.write_profiles(openai__work=api_key("openai"))
    rig.warm()
    rig.refuse(reason="billing")
    rig.refuse(reason="session_expired")
    rig.advance(1.0)
    rig.sources.damage(f"usage:{rig.files.agent_dir()}", OSError(28, "No space left on device"))
    rig.refuse(reason="overloaded")
    rig.advance(1.0)
    assert dict(rig.warmer._facts.ledger) == dict(rig.runtime.ledger)


@pytest.mark.parametrize("seed", range(12))
def test_a_refused_key_of_the_config_stays_hidden_until_its_successor_shows(make_rig: MakeRig, seed: int) -> None:
    """A report of a key that the config has just replaced: no newer fact is about it, but what shows is."""
    rig = make_rig("main", "ops", seed=seed)
    rig.files.write_providers(acme=custom())
    rig.warm()

    def shown() -> tuple[bytes | None, str]:
        cell = rig.auth("ops").table.get("acme")
        assert cell is not None
        return cell.candidates[0].digest, rig.state("ops", "acme")

    first, _ = shown()
    rig.files.write_providers(acme={**custom(), "apiKey": "canary-acme-second-1"})
    rig.touch(HOME_SOURCE, run=False)
    for _ in range(seed):
        rig.dispatcher.step()
    rig.refuse("config:acme", agent_id="ops")
    is_reported = shown()[0] == first
    while rig.dispatcher.step():
        assert shown() != (first, "usable") or not is_reported
    rig.advance(1.0)
    digest, state = shown()
    assert digest != first
    assert state == ("usable" if is_reported else "rejected")


def test_usage_of_a_store_that_is_gone_is_forgotten(rig: Rig) -> None:
    """What waits to be written into an agent dir that was removed is no trouble for ever."""
    shutil.rmtree(rig.files.agent_dir())
    rig.refuse(reason="rate_limit")
    rig.advance(60.0)
    found = rig.runtime.conditions.health().condition("UsagePersisted")
    assert found is None or found.status


# --- before it is published ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["auth", "auth_permanent", "session_expired", "billing"])
def test_a_proven_failure_counts_for_its_reporter_when_the_call_returns(rig: Rig, reason: str) -> None:
    """No message has been handled yet; the others hear of it by the publication, which says the same."""
    assert rig.has_auth("openai", agent_id="lab")
    generation = rig.refuse(reason=reason, agent_id="lab")
    told = rig.answer("lab")
    assert not rig.has_auth("openai", agent_id="lab")
    assert (told.has_auth, told.fresh, told.generation) == (False, False, generation)
    assert rig.state("ops") == "usable"
    rig.run_until_idle()
    after = rig.answer("lab")
    assert (after.state, after.reason, after.evidence, after.shadowed) == (
        told.state,
        told.reason,
        told.evidence,
        told.shadowed,
    )
    assert after.fresh
    assert not rig.runtime.struck.cells
    assert rig.state("ops") == told.state


@pytest.mark.parametrize("reason", ["rate_limit", "timeout", "format", "model_not_found", "server_error"])
def test_other_failures_wait_for_the_publication(rig: Rig, reason: str) -> None:
    """What doesn't prove a credential bad hides nothing, so nothing is shown before the map has it."""
    rig.refuse(reason=reason)
    assert not rig.runtime.struck.cells
    assert rig.has_auth("openai")
    rig.run_until_idle()
    assert rig.has_auth("openai")


def test_a_success_right_after_a_failure_is_not_hidden_by_it(rig: Rig) -> None:
    """The newer evidence wins before anything is published, and after it."""
    rig.refuse()
    rig.advance(0.0)
    rig.refuse("openai:work", "billing")
    assert not rig.has_auth("openai", agent_id="main")
    rig.accept()
    assert rig.has_auth("openai", agent_id="main")
    rig.advance(2.0)
    assert not rig.runtime.struck.cells
    rig.accept()
    rig.run_until_idle()
    assert rig.state() == "usable"


@pytest.mark.parametrize("between", ["success", "success-of-another", "recheck"])
def test_what_is_reported_between_two_refusals_takes_neither_back(make_rig: MakeRig, between: str) -> None:
    """Of two keys both are refused: whatever else is reported in that moment, the provider doesn't count any more."""
    rig = make_rig("main", "ops")
    rig.files.write_profiles(
        openai__work=api_key("openai"), openai__spare=api_key("openai", "spare"), zai__me=api_key("zai")
    )
    rig.warm()
    rig.refuse("zai:me", "rate_limit")
    rig.run_until_idle()
    rig.refuse("openai:work")
    if between == "recheck":
        rig.recheck("zai")
    else:
        rig.accept("zai:me", agent_id="ops" if between == "success-of-another" else "main")
    rig.refuse("openai:spare")
    assert not rig.has_auth("openai", agent_id="main")
    rig.run_until_idle()
    assert not rig.has_auth("openai", agent_id="main")


def test_a_success_of_one_key_leaves_the_refusal_of_the_other(make_rig: MakeRig) -> None:
    """Both are reported before anything is published; the one that was refused is not handed out as the first again."""
    rig = make_rig("main")
    rig.files.write_profiles(openai__work=api_key("openai"), openai__spare=api_key("openai", "spare"))
    rig.warm()
    rig.refuse("openai:spare", "rate_limit")
    rig.run_until_idle()
    rig.refuse("openai:work")
    rig.accept("openai:spare")
    assert rig.answer("main").evidence.id == "openai:spare"
    assert rig.answer("main").state == "usable"
    rig.run_until_idle()
    assert (rig.answer("main").evidence.id, rig.state("main")) == ("openai:spare", "usable")


@pytest.mark.parametrize("seed", range(20))
def test_what_is_shown_early_never_outlives_its_attempt(make_rig: MakeRig, seed: int) -> None:
    """Whatever the order in which messages are handled, nothing stays before the map once all is answered."""
    rig = make_rig("main", "ops", seed=seed)
    rig.files.write_profiles(openai__work=api_key("openai"), openai__spare=api_key("openai", "spare"))
    rig.start()
    rig.run_until_idle()
    for reason in ("auth", "billing", "auth"):
        rig.refuse(reason=reason)
        rig.refuse("openai:spare", reason, agent_id="ops")
        rig.dispatcher.step()
    assert not rig.has_auth("openai", agent_id="main") or rig.answer().evidence.id == "openai:spare"
    rig.run_until_idle()
    assert not rig.runtime.struck.cells
    assert {rig.state("main"), rig.state("ops")} <= {"rejected", "disabled"}


def test_a_second_report_takes_nothing_back_that_the_first_has_proved(make_rig: MakeRig) -> None:
    """Before anything is published both credentials are refused, each by its own report."""
    rig = make_rig("main")
    rig.files.write_profiles(openai__work=api_key("openai"), openai__spare=api_key("openai", "spare"))
    rig.warm()
    rig.refuse()
    assert rig.has_auth("openai"), "by the other one"
    rig.refuse("openai:spare")
    assert not rig.has_auth("openai")
    rig.run_until_idle()
    assert rig.state() == "rejected"


def test_a_success_of_another_credential_takes_nothing_back(make_rig: MakeRig) -> None:
    """Requests succeed all the time; what was refused a moment ago stays refused."""
    rig = make_rig("main", "ops")
    rig.files.write_profiles(openai__work=api_key("openai"), zai__me=api_key("zai"))
    rig.warm()
    rig.refuse()
    rig.accept("zai:me")
    rig.accept("zai:me", agent_id="ops")
    rig.recheck("zai")
    assert not rig.has_auth("openai")
    rig.run_until_idle()
    assert rig.state() == "rejected"


def test_usage_that_waits_to_be_written_overtakes_no_removal(make_rig: MakeRig) -> None:
    """A write that is due is not begun for a profile that is being removed, nor for what was reported of it before."""
    rig = make_rig("main", usage_flush_s=0.2)
    rig.files.write_profiles(openai__work=api_key("openai"))
    rig.warm()
    rig.refuse(reason="billing")
    rig.run_until_idle()
    listener = rig.ref("failure-listener")
    store = StoreId(str(rig.files.agent_dir()))
    rig.refuse(reason="auth")
    rig.dispatcher.inject(listener, UsageDue(store=store))
    forget = ForgetUsage(until=rig.runtime.wants.latest, store=store, profiles=("openai:work",))
    rig.dispatcher.inject(listener, forget)
    rig.advance(5.0)
    assert not rig.files.usage_path().exists()
