"""Warms, sweeps and scopes: who is swept, when, and what it costs. Messages are injected; nothing moves by itself."""

from __future__ import annotations

import json

import pytest
from rig import CLAUDE, CODEX, HOME_SOURCE, MakeRig, Rig, api_key, custom

from openclaw_actors.auth.verdict import State
from openclaw_actors.ids import AgentId
from openclaw_actors.messages import (
    BeginWarming,
    CancelSweep,
    ContinueSweep,
    Reread,
    SourceRead,
    SourcesTouched,
    SweepAgent,
    SweepFinished,
    WarmScope,
)
from openclaw_actors.prepared import NOT_WARMED
from openclaw_actors.scope import Scope


def wanting(rig: Rig, scope: Scope, reread: Reread = Reread.NOTHING, *, reload: bool = False) -> WarmScope:
    """Return a wish for a scope (or for what a reload changes in it), with a generation of its own."""
    return WarmScope(
        generation=rig.runtime.wants.mint(scope),
        scope=scope,
        reason="test",
        cause_at=rig.clock.monotonic(),
        reread=reread,
        cancels=reload,
        diff_only=reload,
    )


def reads_of(rig: Rig, source: str) -> int:
    """Return how many readings of a source were taken in."""
    return sum(one.source == source for one in rig.handled(SourceRead))


# ------------------------------------------------------------------------------------------------------ the first warm


def test_the_first_warm_publishes_every_agent_once(make_rig: MakeRig) -> None:
    """A start is one generation, one reading per source and one publication per agent; then nothing is left to do."""
    rig = make_rig("main", "ops", "lab")
    rig.files.write_profiles(openai__work=api_key("openai"))
    assert rig.begin().verdict().reason == NOT_WARMED
    rig.warm_up()
    assert sorted(auth.agent_id for auth in rig.published) == ["lab", "main", "ops"]
    assert {rig.state(agent) for agent in ("main", "ops", "lab")} == {"usable"}
    assert {source: reads_of(rig, source) for source in rig.sources()} == dict.fromkeys(rig.sources(), 1)
    assert (rig.stats().warms, rig.stats().sweeps, rig.open_generations()) == (1, 3, ())
    assert rig.verdict().fresh


def test_an_agent_is_published_as_soon_as_it_is_done(make_rig: MakeRig) -> None:
    """No agent waits for another one's publication, and each says "not warmed" until its own."""
    rig = make_rig("main", "ops", "lab").begin()
    seen = []
    while rig.dispatcher.step():
        seen.append(len(rig.map.agents))
        assert all(auth.table for auth in rig.map.agents.values())
    assert {0, 1, 2, 3} <= set(seen)


def test_a_slow_store_delays_only_its_agent(make_rig: MakeRig) -> None:
    """While one store hangs all other agents are answered; at the deadline its agent is `unknown`, and all are warm."""
    rig = make_rig("main", "ops", "lab")
    rig.files.write_profiles("ops", openai__work=api_key("openai"))
    rig.dispatcher.hold(rig.store("ops"))
    rig.begin().run()
    assert sorted(rig.map.agents) == ["lab", "main"]
    assert rig.verdict("ops").reason == NOT_WARMED
    assert not rig.runtime.warm.is_set()
    rig.advance(rig.settings.source_deadline_s)
    assert rig.runtime.warm.is_set()
    assert (rig.state("ops"), rig.verdict("ops").fresh) == ("unknown", False)
    rig.dispatcher.release(rig.store("ops"))
    rig.advance(1.0)
    assert (rig.state("ops"), rig.verdict("ops").fresh) == ("usable", True)


def test_a_slow_login_delays_nobody_beyond_the_grace(make_rig: MakeRig) -> None:
    """After the grace all agents are published; the slow login's cell is `unknown` and not fresh until it comes."""
    rig = make_rig("main", "ops")
    rig.files.write_profiles(zai__me=api_key("zai"))
    rig.dispatcher.hold(CODEX)
    rig.begin().run()
    assert not rig.map.agents
    rig.advance(rig.settings.source_grace_s)
    assert rig.runtime.warm.is_set()
    assert rig.stats().publications == 2
    slow = rig.verdict("ops", "openai-codex")
    assert (slow.state, slow.fresh) == (State.UNKNOWN, False)
    assert (rig.state("ops", "zai"), rig.verdict("ops", "zai").fresh) == ("usable", True)
    before = rig.stats()
    rig.dispatcher.finish_read(CODEX)
    rig.run()
    late = rig.verdict("ops", "openai-codex")
    assert (late.state, late.fresh) == (State.MISSING, True)
    assert rig.since(before)["sweeps"] == 2


def test_a_recheck_while_a_login_hangs_never_calls_it_missing(make_rig: MakeRig) -> None:
    """A login that was never read stays `unknown` through rechecks and config changes."""
    rig = make_rig("main")
    rig.dispatcher.hold(CODEX)
    rig.begin().advance(0.2)
    rig.events.recheck()
    rig.files.write_providers(acme=custom())
    rig.touch(HOME_SOURCE)
    for _ in range(20):
        assert rig.state("main", "openai-codex") == "unknown"
        rig.advance(0.02)
    assert rig.state("main", "acme") == "usable"


@pytest.mark.parametrize("seed", range(12))
def test_any_interleaving_of_the_first_warm_ends_alike(make_rig: MakeRig, seed: int) -> None:
    """The order in which readings and messages come decides nothing: same answers, one sweep per agent."""
    rig = make_rig("main", "ops", "lab", seed=seed, sweep_slice_checks=20)
    rig.files.write_profiles(openai__work=api_key("openai"))
    rig.files.write_profiles("ops", mistral__me=api_key("mistral"))
    rig.warm()
    assert (rig.stats().sweeps, rig.stats().publications, rig.open_generations()) == (3, 3, ())
    found = {agent: (rig.state(agent), rig.state(agent, "mistral")) for agent in ("main", "ops", "lab")}
    assert found == {"main": ("usable", "missing"), "ops": ("usable", "usable"), "lab": ("usable", "missing")}


# ------------------------------------------------------------------------------------------------------- cancellation


def test_a_cancelled_sweep_stops_between_two_providers(make_rig: MakeRig) -> None:
    """A reload stops a running sweep: not one further check of it is made."""
    rig = make_rig("main", sweep_slice_checks=1).begin()
    rig.step_until(lambda: rig.pending(ContinueSweep))
    for _ in range(4):
        assert rig.dispatcher.step_actor("agent-main")
    slices = len(rig.handled(ContinueSweep))
    folded = dict(rig.handled(SweepAgent)[0].evaluation._own)
    rig.dispatcher.hold(HOME_SOURCE)
    rig.events.reload_config()
    while not rig.handled(WarmScope):
        rig.dispatcher.step_actor("warmer")
    assert rig.dispatcher.step_actor("agent-main")
    assert isinstance(rig.dispatcher.history[-1][1], CancelSweep)
    rig.run()
    assert len(rig.handled(ContinueSweep)) == slices + 1, "only the message that was on its way"
    assert rig.handled(SweepAgent)[0].evaluation._own == folded, "and that one checked nothing"
    assert (rig.stats().cancelled_sweeps, rig.stats().provider_checks, rig.stats().sweeps) == (1, 0, 0)
    rig.dispatcher.release(HOME_SOURCE)
    rig.run()
    assert rig.open_generations() == ()
    assert rig.stats().sweeps == 1
    assert rig.runtime.warm.is_set()


def test_a_cancelled_warms_late_result_is_discarded_and_counted(make_rig: MakeRig) -> None:
    """A result that was on its way when its sweep was cancelled is not published."""
    rig = make_rig("main").warm()
    before = rig.stats()
    rig.to_warmer(wanting(rig, Scope.everything()))
    rig.step_until(lambda: rig.pending(SweepAgent))
    rig.events.reload_config()
    rig.dispatcher.step_actor("agent-main")
    published = len(rig.published)
    rig.step_until(lambda: len(rig.handled(SweepFinished)) == 2)
    assert rig.since(before)["discarded_results"] == 1
    assert rig.since(before)["cancelled_sweeps"] == 1
    assert len(rig.published) == published
    rig.run()
    assert rig.open_generations() == ()


def test_a_late_result_is_not_taken_for_that_of_the_sweep_that_replaced_it(make_rig: MakeRig) -> None:
    """A cancelled sweep is repeated under its old generation; the late result of the first one still counts nothing."""
    rig = make_rig("main").warm()
    reload = wanting(rig, Scope.everything(), Reread.HOME, reload=True)
    wish = wanting(rig, Scope.everything())
    rig.to_warmer(wish)
    rig.step_until(lambda: rig.pending(SweepAgent))
    first = rig.pending(SweepAgent)[0]
    rig.files.write_providers(acme=custom())
    rig.to_warmer(reload)
    rig.step_until(lambda: rig.pending(SweepAgent) and rig.pending(SweepAgent)[-1] is not first)
    assert rig.pending(SweepAgent)[-1].generation == first.generation == wish.generation
    before = rig.stats()
    late = SweepFinished(
        agent_id=AgentId("main"),
        generation=first.generation,
        evaluation=first.evaluation,
        providers=first.providers,
        checks=1,
    )
    rig.to_warmer(late)
    rig.step_until(lambda: late in rig.handled(SweepFinished))
    assert rig.since(before) == {"discarded_results": 1}
    rig.run()
    assert rig.state("main", "acme") == "usable"
    assert rig.open_generations() == ()


def test_a_result_of_an_agent_that_left_is_discarded(make_rig: MakeRig) -> None:
    """What an agent's last sweep found is of no use once the config has dropped the agent."""
    rig = make_rig("main", "ops").warm()
    rig.to_warmer(wanting(rig, Scope.agent("ops")))
    rig.step_until(lambda: rig.pending(SweepAgent))
    rig.dispatcher.step_actor("agent-ops")
    result = rig.pending(SweepFinished)[0]
    rig.files.write_agents("main")
    rig.touch(HOME_SOURCE)
    before = rig.stats()
    rig.to_warmer(result)
    rig.run()
    assert rig.since(before) == {"discarded_results": 1}
    assert sorted(rig.map.agents) == ["main"]
    assert rig.open_generations() == ()


# ------------------------------------------------------------------------------------------------------------ merging


def test_equal_scopes_that_wait_are_merged(make_rig: MakeRig) -> None:
    """However many wishes wait, one sweep of the agent runs and one waits; the second answers all of them."""
    rig = make_rig("main", "ops").warm()
    before = rig.stats()
    rig.to_warmer(wanting(rig, Scope.provider("openai")))
    rig.step_until(lambda: rig.pending(SweepAgent))
    wishes = [wanting(rig, Scope.provider("openai")) for _ in range(50)]
    for wish in wishes:
        rig.to_warmer(wish)
    while rig.pending(WarmScope):
        assert rig.dispatcher.step_actor("warmer")
    assert len(rig.pending(SweepAgent)) == 2, "one per agent"
    assert not rig.verdict().fresh
    rig.run()
    assert rig.since(before)["merged_scopes"] == 2 * 49
    assert rig.since(before)["sweeps"] == 4
    assert rig.verdict().generation == wishes[-1].generation
    assert (rig.verdict().fresh, rig.open_generations()) == (True, ())


def test_merged_scopes_cover_what_each_asked_for(make_rig: MakeRig) -> None:
    """Different providers that wait become one sweep of exactly these."""
    rig = make_rig("main").warm()
    rig.to_warmer(wanting(rig, Scope.everything()))
    rig.step_until(lambda: rig.pending(SweepAgent))
    for provider in ("openai", "zai", "groq", "zai"):
        rig.to_warmer(wanting(rig, Scope.provider(provider)))
    rig.run()
    assert rig.handled(SweepAgent)[-1].providers == ("groq", "openai", "zai")


@pytest.mark.parametrize("seed", range(6))
def test_at_most_one_sweep_per_agent_runs(make_rig: MakeRig, seed: int) -> None:
    """Under any interleaving of wishes, touches and reports an agent never has two sweeps under way."""
    rig = make_rig("main", "ops", seed=seed, sweep_slice_checks=10)
    rig.files.write_profiles(openai__work=api_key("openai"))
    rig.warm()
    for number in range(8):
        rig.to_warmer(wanting(rig, Scope.provider("openai"), Reread.STORES))
        rig.to_warmer(wanting(rig, Scope.agent("ops")))
        rig.files.write_profiles(openai__work=api_key("openai", f"k{number}"))
        rig.touch_all(run=False)
        for _ in range(9):
            rig.dispatcher.step()
            for agent in ("main", "ops"):
                sweeps = [one for name, one in rig.dispatcher.pending() if name == f"agent-{agent}"]
                assert sum(isinstance(one, SweepAgent) for one in sweeps) <= 1
    rig.run()
    rig.advance(0.1)
    assert rig.open_generations() == ()
    assert rig.verdict("ops").fresh


# ----------------------------------------------------------------------------------------------------- floods of hints


def test_a_flood_of_hints_cannot_starve_publication(make_rig: MakeRig) -> None:
    """While 10,000 hints come in, a wish is answered and a changed store is published at once."""
    rig = make_rig("main", "ops")
    rig.files.write_profiles(openai__work=api_key("openai"))
    rig.warm()
    flood = SourcesTouched(sources=(rig.store(), HOME_SOURCE), cause_at=rig.clock.monotonic())
    rig.files.write_profiles(zai__me=api_key("zai"))
    for _ in range(10_000):
        rig.to_warmer(flood)
    before = rig.stats()
    rig.run()
    assert rig.state("ops", "zai") == "usable"
    assert rig.since(before)["store_reads"] == 1
    rig.advance(1.0)
    assert rig.since(before)["store_reads"] <= 2
    assert rig.since(before)["shared_reads"] <= 2
    assert rig.open_generations() == ()


def test_readings_are_paced_and_the_last_write_is_never_missed(make_rig: MakeRig) -> None:
    """A file that is written every 2 ms is read at most once per interval, and its last content is what shows."""
    rig = make_rig("main")
    rig.files.write_profiles(openai__work=api_key("openai"))
    rig.warm()
    before = rig.stats()
    for number in range(500):
        rig.files.write_profiles(**{f"zai__{number}": api_key("zai", str(number))})
        rig.touch(rig.store(), rig.store(), run=False)
        rig.advance(0.002)
    rig.advance(0.1)
    took_s = 500 * 0.002
    assert rig.since(before)["store_reads"] <= took_s / rig.settings.hint_interval_s + 2
    evidence = rig.verdict("main", "zai").evidence
    assert evidence is not None
    assert evidence.id == "zai:499"


@pytest.mark.parametrize("seed", range(8))
def test_a_write_during_a_reading_is_seen(make_rig: MakeRig, seed: int) -> None:
    """A hint that comes while its source is being read leads to another reading after it."""
    rig = make_rig("main", seed=seed)
    rig.files.write_profiles(openai__work=api_key("openai"))
    rig.warm()
    rig.dispatcher.hold(rig.store())
    rig.touch(rig.store())
    rig.dispatcher.finish_read(rig.store())
    rig.files.write_profiles(zai__me=api_key("zai"))
    rig.touch(rig.store(), run=False)
    for _ in range(3):
        rig.dispatcher.step()
    rig.dispatcher.release(rig.store())
    rig.advance(0.1)
    assert (rig.state("main", "zai"), rig.state()) == ("usable", "missing")


# --------------------------------------------------------------------------------------------------- shared sources


def test_a_hundred_agents_on_one_store_are_one_reading(make_rig: MakeRig, tmp_path: object) -> None:
    """A store is read once however many agents see it, at the start and after a change."""
    shared = f"{tmp_path}/shared"
    names = [{"id": f"a{number}", "agentDir": shared} for number in range(100)]
    rig = make_rig(*names)
    rig.files.write_profiles("a0", openai__work=api_key("openai"))
    rig.warm()
    assert rig.stats().store_reads == 2, "the shared one, and the one of main that all inherit from"
    rig.files.write_profiles("a0", zai__me=api_key("zai"))
    before = rig.stats()
    rig.touch(rig.store("a0"))
    assert rig.since(before)["store_reads"] == 1
    assert all(rig.state(f"a{number}", "zai") == "usable" for number in range(100))


def test_agents_that_see_the_same_share_the_very_same_answers(make_rig: MakeRig) -> None:
    """What is folded for one agent is not folded again for another that sees the same stores."""
    rig = make_rig("main", "ops", "lab", {"id": "one", "agentDir": "/nowhere/one"})
    rig.files.write_profiles(openai__work=api_key("openai"))
    rig.warm()
    assert rig.auth("ops").table.own["openai"] == rig.auth("lab").table.own["openai"]  # type: ignore[index]
    assert rig.auth("ops").table.shared is rig.auth("main").table.shared


def test_agents_with_one_agent_dir_stay_apart(make_rig: MakeRig, tmp_path: object) -> None:
    """Two agents on one agent dir have answers, revisions and generations of their own."""
    shared = f"{tmp_path}/shared"
    rig = make_rig("main", {"id": "red", "agentDir": shared}, {"id": "blue", "agentDir": shared})
    rig.files.write_profiles("red", openai__work=api_key("openai"))
    rig.warm()
    assert rig.auth("red") is not rig.auth("blue")
    assert rig.verdict("red").agent_id == "red"
    blue = rig.verdict("blue").generation
    rig.to_warmer(wanting(rig, Scope.cells([("red", "openai")])))
    rig.run()
    assert rig.verdict("red").generation > blue == rig.verdict("blue").generation
    assert not rig.condition("AgentDirsDistinct").status
    rig.files.write_agents("main", {"id": "blue", "agentDir": shared})
    rig.touch(HOME_SOURCE)
    assert sorted(rig.map.agents) == ["blue", "main"]
    rig.files.write_profiles("blue", zai__me=api_key("zai"))
    rig.touch(f"store:{shared}")
    assert (rig.state("blue", "zai"), rig.state("blue")) == ("usable", "missing")


# ----------------------------------------------------------------------------------------------- what a change costs


def test_identical_content_costs_nothing(make_rig: MakeRig) -> None:
    """Sources that are read again and say the same lead to no check and no publication."""
    rig = make_rig("main", "ops")
    rig.files.write_profiles(openai__work=api_key("openai"))
    rig.files.write_providers(acme=custom())
    rig.warm()
    rig.files.write_profiles(openai__work=api_key("openai"))
    rig.files.write_config()
    before = rig.stats()
    rig.touch_all()
    counted = rig.since(before)
    assert set(counted) == {"store_reads", "shared_reads", "watch_noops"}
    assert counted["watch_noops"] == len(rig.sources())


def test_an_unrelated_config_key_costs_no_check(make_rig: MakeRig) -> None:
    """A change of the config that no answer depends on is read, and that is all."""
    rig = make_rig("main", "ops")
    rig.files.write_providers(acme=custom())
    rig.warm()
    rig.files.write_config(logging={"level": "debug"}, gateway={"port": 1234})
    before = rig.stats()
    rig.touch(HOME_SOURCE)
    assert "provider_checks" not in rig.since(before)
    assert "publications" not in rig.since(before)


def test_a_changed_provider_costs_one_check_per_agent(make_rig: MakeRig) -> None:
    """A provider's new key is checked for that provider only, once per agent, and does not disturb the others."""
    rig = make_rig("main", "ops", "lab")
    rig.files.write_providers(acme=custom(), bolt=custom("bolt"))
    rig.warm()
    bolt, acme = rig.verdict("lab", "bolt").generation, rig.verdict("lab", "acme").generation
    rig.files.write_providers(acme={**custom(), "apiKey": "canary-other-0000"}, bolt=custom("bolt"))
    before = rig.stats()
    rig.touch(HOME_SOURCE)
    counted = rig.since(before)
    assert (counted["provider_checks"], counted["sweeps"], counted["publications"]) == (3, 3, 3)
    assert {one.providers for one in rig.handled(SweepAgent)[-3:]} == {("acme",)}
    assert rig.verdict("lab", "bolt").generation == bolt
    assert rig.verdict("lab", "acme").generation > acme


def test_a_changed_profile_costs_its_provider_only(make_rig: MakeRig) -> None:
    """A new key in a store re-checks its provider (and those that use its credentials) for the agents that see it."""
    rig = make_rig("main", "ops", "lab")
    rig.files.write_profiles("ops", mistral__me=api_key("mistral"), zai__me=api_key("zai"))
    rig.warm()
    rig.files.write_profiles("ops", mistral__me=api_key("mistral", "new"), zai__me=api_key("zai"))
    before = rig.stats()
    rig.touch(rig.store("ops"))
    assert rig.since(before)["provider_checks"] == 1
    assert rig.handled(SweepAgent)[-1].providers == ("mistral",)


def test_agents_come_go_and_move_with_the_config(make_rig: MakeRig, tmp_path: object) -> None:
    """An added agent is warmed alone, a removed one is gone at once, a moved one is read from its new place."""
    rig = make_rig("main", "ops")
    rig.files.write_profiles("ops", openai__work=api_key("openai"))
    rig.warm()
    before = rig.stats()
    rig.files.write_agents("main", "ops", "new")
    rig.touch(HOME_SOURCE)
    assert rig.since(before)["sweeps"] == 1
    assert rig.state("new") == "missing"
    rig.files.write_agents("main", "ops")
    before = rig.stats()
    rig.touch(HOME_SOURCE)
    assert rig.since(before) == {"config_reloads": 1, "shared_reads": 1}
    assert sorted(rig.map.agents) == ["main", "ops"]
    assert rig.verdict("new").state is State.MISSING
    assert "unknown agent" in rig.verdict("new").reason
    moved = f"{tmp_path}/moved"
    rig.files.write_agents("main", {"id": "ops", "agentDir": moved})
    rig.files.write_profiles("ops", zai__me=api_key("zai"))
    held = rig.auth("ops")
    rig.touch(HOME_SOURCE)
    assert (rig.state("ops"), rig.state("ops", "zai")) == ("missing", "usable")
    assert held.verdict("openai").state is State.USABLE, "a snapshot that is held never changes"
    assert rig.sources().count(f"store:{moved}") == 1
    assert f"store:{rig.files.path}/agents/ops/agent" not in rig.sources()
    assert rig.open_generations() == ()


def test_a_moved_agent_keeps_its_old_answer_until_the_new_one_is_there(make_rig: MakeRig, tmp_path: object) -> None:
    """Nothing is cleared before it is refilled."""
    rig = make_rig("main", "ops")
    rig.files.write_profiles("ops", openai__work=api_key("openai"))
    rig.warm()
    moved = f"{tmp_path}/moved"
    rig.dispatcher.hold(f"store:{moved}")
    rig.files.write_agents("main", {"id": "ops", "agentDir": moved})
    rig.touch(HOME_SOURCE)
    assert (rig.state("ops"), rig.verdict("ops").fresh) == ("usable", False)
    rig.dispatcher.release(f"store:{moved}")
    rig.run()
    assert (rig.state("ops"), rig.verdict("ops").fresh) == ("missing", True)


def test_an_agent_that_comes_back_counts_on(make_rig: MakeRig) -> None:
    """Revisions go on over an agent's absence: what a reader holds of it is never taken for what is new."""
    rig = make_rig("main", "ops").warm()
    rig.files.write_profiles("ops", openai__work=api_key("openai"))
    rig.touch(rig.store("ops"))
    revision = rig.auth("ops").revision
    rig.files.write_agents("main")
    rig.touch(HOME_SOURCE)
    rig.files.write_agents("main", "ops")
    rig.touch(HOME_SOURCE)
    assert rig.auth("ops").revision > revision > 1


def test_a_provider_that_goes_leaves_no_cell(make_rig: MakeRig) -> None:
    """After a check of a provider that has just left the config, a full sweep of the same facts doesn't list it."""
    rig = make_rig("main")
    rig.files.write_providers(acme=custom())
    rig.warm()
    rig.files.write_providers()
    rig.touch(HOME_SOURCE)
    rig.to_warmer(wanting(rig, Scope.everything()))
    rig.run()
    assert "acme" not in rig.auth().verdicts


def test_another_default_agent_costs_nothing(make_rig: MakeRig) -> None:
    """Who is the default agent decides no credential: no check, no reading of a store."""
    rig = make_rig("main", "ops")
    rig.files.write_profiles("ops", openai__work=api_key("openai"))
    rig.warm()
    assert rig.events.has_auth("openai") is False
    before = rig.stats()
    rig.files.write_agents("main", {"id": "ops", "default": True})
    rig.touch(HOME_SOURCE)
    assert rig.events.has_auth("openai") is True
    counted = rig.since(before)
    assert not counted.keys() & {"provider_checks", "sweeps", "store_reads"}


def test_a_reload_that_changes_nothing_is_answered_without_a_check(make_rig: MakeRig) -> None:
    """`reload_config` on an unchanged config answers its generation after one reading."""
    rig = make_rig("main", "ops").warm()
    before = rig.stats()
    generation = rig.events.reload_config()
    assert not rig.verdict().fresh
    rig.run()
    assert not rig.runtime.wants.is_open(generation)
    assert rig.since(before) == {"shared_reads": 1, "warms": 1}
    assert rig.verdict().fresh


def test_a_plugin_reload_is_answered_when_the_logins_are_read_too(make_rig: MakeRig) -> None:
    """The answer to a plugin reload includes what the logins say by then."""
    rig = make_rig("main", source_grace_s=0.5).warm()
    rig.dispatcher.hold(CLAUDE)
    generation = rig.events.reload_plugins()
    rig.run()
    assert rig.runtime.wants.is_open(generation)
    rig.files.replace(
        rig.files.user / ".claude" / ".credentials.json",
        json.dumps(
            {
                "claudeAiOauth": {
                    "accessToken": "canary-a-000000",
                    "refreshToken": "canary-r-000000",
                    "expiresAt": 4102444800000,
                }
            }
        ),
    )
    rig.dispatcher.release(CLAUDE)
    rig.run()
    assert not rig.runtime.wants.is_open(generation)
    assert rig.state("main", "claude-cli") == "usable"
    rig.dispatcher.hold(CLAUDE)
    slow = rig.events.reload_plugins()
    rig.advance(0.6)
    assert not rig.runtime.wants.is_open(slow), "a login that hangs delays an answer by the grace at most"


def test_a_reload_wins_over_what_was_published_while_it_was_read(make_rig: MakeRig) -> None:
    """A config that was asked for before, and read after, another event's answer is shown all the same."""
    rig = make_rig("main", "ops")
    rig.files.write_providers(acme=custom())
    rig.warm()
    rig.dispatcher.hold(HOME_SOURCE)
    first = rig.events.reload_config()
    rig.run()
    second = wanting(rig, Scope.provider("acme"))
    rig.to_warmer(second)
    rig.run()
    assert rig.verdict("ops", "acme").generation == second.generation > first
    rig.files.write_providers()
    rig.dispatcher.release(HOME_SOURCE)
    rig.run()
    assert rig.state("ops", "acme") == "missing"
    assert rig.open_generations() == ()


def test_a_wish_for_an_unknown_agent_is_answered(make_rig: MakeRig) -> None:
    """A scope that touches nobody is answered at once and costs nothing."""
    rig = make_rig("main").warm()
    before = rig.stats()
    rig.to_warmer(wanting(rig, Scope.agent("nobody"), Reread.STORES))
    rig.run()
    assert rig.open_generations() == ()
    assert "provider_checks" not in rig.since(before)


def test_starting_again_on_a_living_warmer_reads_everything_before_it_answers(make_rig: MakeRig) -> None:
    """A second BeginWarming (another actor was restarted) is answered when every source was read again, not before."""
    rig = make_rig("main", "ops")
    rig.files.write_profiles("ops", openai__work=api_key("openai"))
    rig.warm()
    rig.files.write_profiles("ops", zai__me=api_key("zai"))
    rig.dispatcher.hold(rig.store("ops"))
    generation = rig.runtime.wants.mint(Scope.everything())
    before = rig.stats()
    rig.to_warmer(BeginWarming(generation=generation, reason="restart"))
    rig.run()
    assert rig.runtime.wants.is_open(generation)
    assert not rig.verdict("ops", "zai").fresh
    rig.dispatcher.release(rig.store("ops"))
    rig.run()
    assert (rig.state("ops", "zai"), rig.verdict("ops", "zai").fresh) == ("usable", True)
    assert rig.since(before)["sweeps"] == 1, "only what turned out to have changed"
