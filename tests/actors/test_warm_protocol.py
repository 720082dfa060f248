"""Warms, sweeps and scopes: who is swept, when, and what it costs. Messages are injected; nothing moves by itself."""

from __future__ import annotations

import pytest
from rig import CODEX, HOME_SOURCE, MakeRig, Rig, api_key, custom, wanting

from openclaw_actors.auth.verdict import State
from openclaw_actors.ids import AgentId
from openclaw_actors.messages import (
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


def reads_of(rig: Rig, source: str) -> int:
    """Return how many readings of a source were taken in."""
    return sum(one.source == source for one in rig.handled(SourceRead))


# ------------------------------------------------------------------------------------------------------ the first warm


def test_the_first_warm_publishes_every_agent_once(make_rig: MakeRig) -> None:
    """A start is one generation, one reading per source and one publication per agent; then nothing is left to do."""
    rig = make_rig("main", "ops", "lab")
    rig.files.write_profiles(openai__work=api_key("openai"))
    assert rig.start().answer().reason == NOT_WARMED
    rig.warm()
    assert sorted(auth.agent_id for auth in rig.published) == ["lab", "main", "ops"]
    assert {rig.state(agent) for agent in ("main", "ops", "lab")} == {"usable"}
    assert {source: reads_of(rig, source) for source in rig.read_sources()} == dict.fromkeys(rig.read_sources(), 1)
    assert (rig.stats().warms, rig.stats().sweeps, rig.open_generations()) == (1, 3, ())
    assert rig.answer().fresh


def test_an_agent_is_published_as_soon_as_it_is_done(make_rig: MakeRig) -> None:
    """No agent waits for another one's publication, and each says "not warmed" until its own."""
    rig = make_rig("main", "ops", "lab").start()
    seen = []
    while rig.dispatcher.step():
        seen.append(len(rig.published_agents))
        assert all(auth.table for auth in rig.published_agents.values())
    assert {0, 1, 2, 3} <= set(seen)


def test_a_slow_store_delays_only_its_agent(make_rig: MakeRig) -> None:
    """While one store hangs all other agents are answered; at the deadline its agent is `unknown`, and all are warm."""
    rig = make_rig("main", "ops", "lab")
    rig.files.write_profiles("ops", openai__work=api_key("openai"))
    rig.sources.hold(rig.store("ops"))
    rig.start().run_until_idle()
    assert sorted(rig.published_agents) == ["lab", "main"]
    assert rig.answer("ops").reason == NOT_WARMED
    assert not rig.runtime.warm.is_set()
    rig.advance(rig.settings.source_deadline_s)
    assert rig.runtime.warm.is_set()
    assert (rig.state("ops"), rig.answer("ops").fresh) == ("unknown", False)
    rig.sources.release(rig.store("ops"))
    rig.advance(1.0)
    assert (rig.state("ops"), rig.answer("ops").fresh) == ("usable", True)


def test_a_slow_login_delays_nobody_beyond_the_grace(make_rig: MakeRig) -> None:
    """After the grace all agents are published; the slow login's cell is `unknown` and not fresh until it comes."""
    rig = make_rig("main", "ops")
    rig.files.write_profiles(zai__me=api_key("zai"))
    rig.sources.hold(CODEX)
    rig.start().run_until_idle()
    assert not rig.published_agents
    rig.advance(rig.settings.source_grace_s)
    assert rig.runtime.warm.is_set()
    assert rig.stats().publications == 2
    slow = rig.answer("ops", "openai-codex")
    assert (slow.state, slow.fresh) == (State.UNKNOWN, False)
    assert (rig.state("ops", "zai"), rig.answer("ops", "zai").fresh) == ("usable", True)
    before = rig.stats()
    rig.sources.finish(CODEX)
    rig.run_until_idle()
    late = rig.answer("ops", "openai-codex")
    assert (late.state, late.fresh) == (State.MISSING, True)
    assert rig.since(before)["sweeps"] == 2


def test_a_recheck_while_a_login_hangs_never_calls_it_missing(make_rig: MakeRig) -> None:
    """A login that was never read stays `unknown` through rechecks and config changes."""
    rig = make_rig("main")
    rig.sources.hold(CODEX)
    rig.start().advance(0.2)
    rig.recheck()
    rig.files.write_providers(acme=custom())
    rig.touch(HOME_SOURCE)
    for _ in range(20):
        assert rig.state("main", "openai-codex") == "unknown"
        rig.advance(0.02)
    assert rig.state("main", "acme") == "usable"


@pytest.mark.parametrize("seed", range(12))
def test_any_interleaving_of_the_first_warm_ends_alike(make_rig: MakeRig, seed: int) -> None:
    """The order in which readings and messages come decides nothing: same answers, one sweep per agent."""
    rig = make_rig("main", "ops", "lab", seed=seed, sweep_slice_checks=1)
    rig.files.write_profiles(openai__work=api_key("openai"))
    rig.files.write_profiles("ops", mistral__me=api_key("mistral"))
    rig.warm()
    assert (rig.stats().sweeps, rig.stats().publications, rig.open_generations()) == (3, 3, ())
    found = {agent: (rig.state(agent), rig.state(agent, "mistral")) for agent in ("main", "ops", "lab")}
    assert found == {"main": ("usable", "missing"), "ops": ("usable", "usable"), "lab": ("usable", "missing")}


# ------------------------------------------------------------------------------------------------------- cancellation


def test_a_cancelled_sweep_stops_between_two_providers(make_rig: MakeRig) -> None:
    """A reload stops a running sweep: not one further check of it is made."""
    rig = make_rig("main", sweep_slice_checks=1)
    rig.files.write_profiles(
        **{f"{one}__me": api_key(one) for one in ("openai", "zai", "mistral", "groq", "xai", "exa")}
    )
    rig.start()
    rig.step_until(lambda: rig.pending(ContinueSweep))
    for _ in range(4):
        assert rig.dispatcher.step_actor("agent-main")
    slices = len(rig.handled(ContinueSweep))
    folded = dict(rig.handled(SweepAgent)[0].evaluation._own)
    rig.sources.hold(HOME_SOURCE)
    rig.reload_config()
    while not rig.handled(WarmScope):
        rig.dispatcher.step_actor("warmer")
    assert rig.dispatcher.step_actor("agent-main")
    assert isinstance(rig.dispatcher.history[-1][1], CancelSweep)
    rig.run_until_idle()
    assert len(rig.handled(ContinueSweep)) == slices + 1, "only the message that was on its way"
    assert rig.handled(SweepAgent)[0].evaluation._own == folded, "and that one checked nothing"
    assert (rig.stats().cancelled_sweeps, rig.stats().provider_checks, rig.stats().sweeps) == (1, 0, 0)
    rig.sources.release(HOME_SOURCE)
    rig.run_until_idle()
    assert rig.open_generations() == ()
    assert rig.stats().sweeps == 1
    assert rig.runtime.warm.is_set()


def test_a_cancelled_warms_late_result_is_discarded_and_counted(make_rig: MakeRig) -> None:
    """A result that was on its way when its sweep was cancelled is not published."""
    rig = make_rig("main").warm()
    before = rig.stats()
    rig.to_warmer(wanting(rig, Scope.everything()))
    rig.step_until(lambda: rig.pending(SweepAgent))
    rig.reload_config()
    rig.dispatcher.step_actor("agent-main")
    published = len(rig.published)
    rig.step_until(lambda: len(rig.handled(SweepFinished)) == 2)
    assert rig.since(before)["discarded_results"] == 1
    assert rig.since(before)["cancelled_sweeps"] == 1
    assert len(rig.published) == published
    rig.run_until_idle()
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
    rig.run_until_idle()
    assert rig.state("main", "acme") == "usable"
    assert rig.open_generations() == ()


def test_a_sweep_that_ends_as_it_is_cancelled_is_done_once_more_and_no_more(make_rig: MakeRig) -> None:
    """Its late result isn't taken for that of the one that was asked for in its place, by which a third would begin."""
    rig = make_rig("main").warm()
    rig.to_warmer(wanting(rig, Scope.everything()))
    rig.step_until(lambda: rig.pending(SweepAgent))
    rig.reload_config()
    rig.dispatcher.step_actor("agent-main")
    (late,) = rig.pending(SweepFinished)
    rig.step_until(lambda: rig.pending(SweepAgent))
    before = rig.stats()
    rig.to_warmer(wanting(rig, Scope.everything()))
    rig.to_warmer(late)
    for _ in range(2):
        rig.dispatcher.step_actor("warmer")
    assert rig.since(before) == {"discarded_results": 1}
    assert len(rig.pending(SweepAgent)) == 1
    rig.run_until_idle()
    assert rig.since(before)["sweeps"] == 2
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
    rig.run_until_idle()
    assert rig.since(before) == {"discarded_results": 1}
    assert sorted(rig.published_agents) == ["main"]
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
    assert not rig.answer().fresh
    rig.run_until_idle()
    assert rig.since(before)["merged_scopes"] == 2 * 49
    assert rig.since(before)["sweeps"] == 4
    assert rig.answer().generation == wishes[-1].generation
    assert (rig.answer().fresh, rig.open_generations()) == (True, ())


def test_merged_scopes_cover_what_each_asked_for(make_rig: MakeRig) -> None:
    """Different providers that wait become one sweep of exactly these."""
    rig = make_rig("main").warm()
    rig.to_warmer(wanting(rig, Scope.everything()))
    rig.step_until(lambda: rig.pending(SweepAgent))
    for provider in ("openai", "zai", "groq", "zai"):
        rig.to_warmer(wanting(rig, Scope.provider(provider)))
    rig.run_until_idle()
    assert rig.handled(SweepAgent)[-1].providers == ("groq", "openai", "zai")


@pytest.mark.parametrize("seed", range(6))
def test_at_most_one_sweep_per_agent_runs(make_rig: MakeRig, seed: int) -> None:
    """Under any interleaving of wishes, touches and reports an agent never has two sweeps under way."""
    rig = make_rig("main", "ops", seed=seed, sweep_slice_checks=1)
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
    rig.run_until_idle()
    rig.advance(0.1)
    assert rig.open_generations() == ()
    assert rig.answer("ops").fresh


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
    rig.run_until_idle()
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
    evidence = rig.answer("main", "zai").evidence
    assert evidence is not None
    assert evidence.id == "zai:499"


@pytest.mark.parametrize("seed", range(8))
def test_a_write_during_a_reading_is_seen(make_rig: MakeRig, seed: int) -> None:
    """A hint that comes while its source is being read leads to another reading after it."""
    rig = make_rig("main", seed=seed)
    rig.files.write_profiles(openai__work=api_key("openai"))
    rig.warm()
    rig.sources.hold(rig.store())
    rig.touch(rig.store())
    rig.sources.finish(rig.store())
    rig.files.write_profiles(zai__me=api_key("zai"))
    rig.touch(rig.store(), run=False)
    for _ in range(3):
        rig.dispatcher.step()
    rig.sources.release(rig.store())
    rig.advance(0.1)
    assert (rig.state("main", "zai"), rig.state()) == ("usable", "missing")
