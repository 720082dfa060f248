"""What changes cost: which sources are read, which cells are checked, and what is left alone."""

from __future__ import annotations

import json

from rig import CLAUDE, HOME_SOURCE, MakeRig, api_key, custom, wanting

from openclaw_actors.auth.verdict import State
from openclaw_actors.messages import (
    BeginWarming,
    ContinueSweep,
    Reread,
    SweepAgent,
)
from openclaw_actors.scope import Scope

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
    assert rig.answer("red").agent_id == "red"
    blue = rig.answer("blue").generation
    rig.to_warmer(wanting(rig, Scope.cells([("red", "openai")])))
    rig.run_until_idle()
    assert rig.answer("red").generation > blue == rig.answer("blue").generation
    assert not rig.condition("AgentDirsDistinct").status
    rig.files.write_agents("main", {"id": "blue", "agentDir": shared})
    rig.touch(HOME_SOURCE)
    assert sorted(rig.published_agents) == ["blue", "main"]
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
    assert counted["watch_noops"] == len(rig.read_sources())


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
    bolt, acme = rig.answer("lab", "bolt").generation, rig.answer("lab", "acme").generation
    rig.files.write_providers(acme={**custom(), "apiKey": "canary-other-0000"}, bolt=custom("bolt"))
    before = rig.stats()
    rig.touch(HOME_SOURCE)
    counted = rig.since(before)
    assert (counted["provider_checks"], counted["sweeps"], counted["publications"]) == (3, 3, 3)
    assert {one.providers for one in rig.handled(SweepAgent)[-3:]} == {("acme",)}
    assert rig.answer("lab", "bolt").generation == bolt
    assert rig.answer("lab", "acme").generation > acme


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
    assert sorted(rig.published_agents) == ["main", "ops"]
    assert rig.answer("new").state is State.MISSING
    assert "unknown agent" in rig.answer("new").reason
    moved = f"{tmp_path}/moved"
    rig.files.write_agents("main", {"id": "ops", "agentDir": moved})
    rig.files.write_profiles("ops", zai__me=api_key("zai"))
    held = rig.auth("ops")
    rig.touch(HOME_SOURCE)
    assert (rig.state("ops"), rig.state("ops", "zai")) == ("missing", "usable")
    assert held.verdict("openai").state is State.USABLE, "a snapshot that is held never changes"
    assert rig.read_sources().count(f"store:{moved}") == 1
    assert f"store:{rig.files.path}/agents/ops/agent" not in rig.read_sources()
    assert rig.open_generations() == ()


def test_a_moved_agent_keeps_its_old_answer_until_the_new_one_is_there(make_rig: MakeRig, tmp_path: object) -> None:
    """Nothing is cleared before it is refilled."""
    rig = make_rig("main", "ops")
    rig.files.write_profiles("ops", openai__work=api_key("openai"))
    rig.warm()
    moved = f"{tmp_path}/moved"
    rig.sources.hold(f"store:{moved}")
    rig.files.write_agents("main", {"id": "ops", "agentDir": moved})
    rig.touch(HOME_SOURCE)
    assert (rig.state("ops"), rig.answer("ops").fresh) == ("usable", False)
    rig.sources.release(f"store:{moved}")
    rig.run_until_idle()
    assert (rig.state("ops"), rig.answer("ops").fresh) == ("missing", True)


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
    rig.run_until_idle()
    assert "acme" not in rig.auth().verdicts


def test_another_default_agent_costs_nothing(make_rig: MakeRig) -> None:
    """Who is the default agent decides no credential: no check, no reading of a store."""
    rig = make_rig("main", "ops")
    rig.files.write_profiles("ops", openai__work=api_key("openai"))
    rig.warm()
    assert rig.has_auth("openai") is False
    before = rig.stats()
    rig.files.write_agents("main", {"id": "ops", "default": True})
    rig.touch(HOME_SOURCE)
    assert rig.has_auth("openai") is True
    counted = rig.since(before)
    assert not counted.keys() & {"provider_checks", "sweeps", "store_reads"}


def test_a_reload_that_changes_nothing_is_answered_without_a_check(make_rig: MakeRig) -> None:
    """`reload_config` on an unchanged config answers its generation after one reading."""
    rig = make_rig("main", "ops").warm()
    before = rig.stats()
    generation = rig.reload_config()
    assert not rig.answer().fresh
    rig.run_until_idle()
    assert not rig.runtime.wants.is_open(generation)
    assert rig.since(before) == {"shared_reads": 1, "warms": 1}
    assert rig.answer().fresh


def test_a_plugin_reload_is_answered_when_the_logins_are_read_too(make_rig: MakeRig) -> None:
    """The answer to a plugin reload includes what the logins say by then."""
    rig = make_rig("main", source_grace_s=0.5).warm()
    rig.sources.hold(CLAUDE)
    generation = rig.reload_plugins()
    rig.run_until_idle()
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
    rig.sources.release(CLAUDE)
    rig.run_until_idle()
    assert not rig.runtime.wants.is_open(generation)
    assert rig.state("main", "claude-cli") == "usable"
    rig.sources.hold(CLAUDE)
    slow = rig.reload_plugins()
    rig.advance(0.6)
    assert not rig.runtime.wants.is_open(slow), "a login that hangs delays an answer by the grace at most"


def test_a_reload_wins_over_what_was_published_while_it_was_read(make_rig: MakeRig) -> None:
    """A config that was asked for before, and read after, another event's answer is shown all the same."""
    rig = make_rig("main", "ops")
    rig.files.write_providers(acme=custom())
    rig.warm()
    rig.sources.hold(HOME_SOURCE)
    first = rig.reload_config()
    rig.run_until_idle()
    second = wanting(rig, Scope.provider("acme"))
    rig.to_warmer(second)
    rig.run_until_idle()
    assert rig.answer("ops", "acme").generation == second.generation > first
    rig.files.write_providers()
    rig.sources.release(HOME_SOURCE)
    rig.run_until_idle()
    assert rig.state("ops", "acme") == "missing"
    assert rig.open_generations() == ()


def test_a_wish_for_an_unknown_agent_is_answered(make_rig: MakeRig) -> None:
    """A scope that touches nobody is answered at once and costs nothing."""
    rig = make_rig("main").warm()
    before = rig.stats()
    rig.to_warmer(wanting(rig, Scope.agent("nobody"), Reread.STORES))
    rig.run_until_idle()
    assert rig.open_generations() == ()
    assert "provider_checks" not in rig.since(before)


def test_starting_again_on_a_living_warmer_reads_everything_before_it_answers(make_rig: MakeRig) -> None:
    """A second BeginWarming (another actor was restarted) is answered when every source was read again, not before."""
    rig = make_rig("main", "ops")
    rig.files.write_profiles("ops", openai__work=api_key("openai"))
    rig.warm()
    rig.files.write_profiles("ops", zai__me=api_key("zai"))
    rig.sources.hold(rig.store("ops"))
    generation = rig.runtime.wants.mint(Scope.everything())
    before = rig.stats()
    rig.to_warmer(BeginWarming(generation=generation, reason="restart"))
    rig.run_until_idle()
    assert rig.runtime.wants.is_open(generation)
    assert not rig.answer("ops", "zai").fresh
    rig.sources.release(rig.store("ops"))
    rig.run_until_idle()
    assert (rig.state("ops", "zai"), rig.answer("ops", "zai").fresh) == ("usable", True)
    assert rig.since(before)["sweeps"] == 1, "only what turned out to have changed"


def test_a_recheck_is_answered_by_stores_that_were_read_with_the_new_variables(make_rig: MakeRig) -> None:
    """A variable that has just been set counts in the very answer to a recheck, also where only a store names it."""
    rig = make_rig("main", "ops")
    reference = {"source": "env", "provider": "default", "id": "THE_TEAMS_OWN_KEY"}
    rig.files.write_profiles(zai__me={"type": "api_key", "provider": "zai", "keyRef": reference})
    rig.warm()
    assert rig.state("ops", "zai") == "unresolved"
    rig.files.replace(rig.files.path / ".env", "THE_TEAMS_OWN_KEY=canary-team-00917\n")
    rig.sources.hold(HOME_SOURCE)
    generation = rig.recheck("zai")
    rig.run_until_idle()  # the stores are read, by the old variables
    rig.sources.release(HOME_SOURCE)
    rig.step_until(lambda: not rig.runtime.wants.is_open(generation))
    verdict = rig.answer("ops", "zai")
    assert (str(verdict.state), verdict.fresh) == ("usable", True)
    assert verdict.generation >= generation


def test_who_follows_the_changes_knows_of_an_agent_that_left_and_came_back(make_rig: MakeRig) -> None:
    """Each answer of an agent that leaves becomes missing, and what it has when it is back is told too: a copy that is
    kept by changes alone is right.
    """
    rig = make_rig("main", "ops")
    rig.files.write_profiles("ops", zai__me=api_key("zai"))
    rig.warm()
    feed, _ = rig.runtime.notifier.follow(lambda: None)
    rig.files.write_agents("main")
    rig.touch(HOME_SOURCE)
    gone = {(one.provider, one.reason, str(one.new.state)) for one in iter(feed.take, None) if one.agent_id == "ops"}
    assert ("zai", "agent-removed", "missing") in gone
    rig.files.write_profiles("ops", groq__me=api_key("groq"))
    rig.files.write_agents("main", "ops")
    rig.touch(HOME_SOURCE)
    back = [one for one in iter(feed.take, None) if one.agent_id == "ops"]
    assert {(one.provider, str(one.old.state), str(one.new.state)) for one in back} >= {("groq", "missing", "usable")}
    assert {one.reason for one in back} == {"agent-returned"}
    assert {one.revision for one in back} == {rig.auth("ops").revision}


def test_windows_of_many_agents_are_patched_slice_by_slice(make_rig: MakeRig) -> None:
    """A rest that another process wrote shows for all who inherit the credential, and holds up no refusal."""
    names = [f"a{number}" for number in range(40)]
    rig = make_rig("main", *names)
    rig.files.write_profiles(openai__work=api_key("openai"))
    for name in names:
        rig.files.write_profiles(name, groq__me=api_key("groq", name))
    rig.warm()
    until = int((rig.clock.epoch() + 60) * 1000)
    rig.files.write_usage(openai__work={"cooldownUntil": until, "cooldownReason": "overloaded"})
    rig.touch(rig.store(), run=False)
    rig.step_until(lambda: rig.state("main") == "cooldown" or rig.state("a0") == "cooldown")
    assert {rig.state(name) for name in names} == {"cooldown", "usable"}
    rig.refuse("groq:me", "auth", agent_id="a39")
    rig.step_until(lambda: rig.state("a39", "groq") == "rejected")
    assert "usable" in {rig.state(name) for name in names}
    rig.run_until_idle()
    assert {rig.state(name) for name in names} == {"cooldown"}


def test_a_rotated_key_is_no_other_revision(make_rig: MakeRig) -> None:
    """What no reader can tell from what was there is not published as something new."""
    rig = make_rig("main")
    rig.files.write_profiles(openai__work=api_key("openai"))
    rig.warm()
    revision = rig.auth().revision
    rig.files.write_profiles(openai__work=api_key("openai", "another"))
    rig.touch(rig.store())
    assert rig.auth().revision == revision


def test_answers_keep_no_old_config_alive(make_rig: MakeRig) -> None:
    """However many edits a config has seen, agents hold the newest one that lists what they list."""
    rig = make_rig("main", "ops", "lab").warm()
    for number in range(5):
        rig.files.write_agents("main", {"id": "ops", "name": f"name {number}"}, "lab")
        rig.touch(HOME_SOURCE)
    assert {id(auth.home) for auth in rig.published_agents.values()} == {id(rig.warmer._desk.home)}


def test_ends_that_never_come_are_forgotten(make_rig: MakeRig) -> None:
    """A token that is replaced again and again leaves no trace of the moments at which the earlier ones would end."""
    rig = make_rig("main", "ops").warm()
    for number in range(300):
        expires = int((rig.clock.epoch() + 86_400 + number) * 1000)
        rig.files.write_profiles(
            groq__me={"type": "token", "provider": "groq", "token": "canary-t", "expires": expires}
        )
        rig.touch(rig.store())
    assert len(rig.warmer._publisher._ends) < 100


def test_agents_that_used_lent_keys_in_another_order_have_answers_of_their_own(make_rig: MakeRig) -> None:
    """What looks the same but for the order of use across two providers is not taken for the same."""
    rig = make_rig("main", "a", "b")
    for agent in ("a", "b"):
        keys = {"openai-codex__k": api_key("openai-codex", agent), "openai__k": api_key("openai", agent)}
        rig.files.write_profiles(agent, **keys)
    for agent, times in (("a", (1000, 2000)), ("b", (2000, 1000))):
        stats = {"openai-codex__k": {"lastUsed": times[0]}, "openai__k": {"lastUsed": times[1]}}
        rig.files.write_usage(agent, **stats)
    rig.warm()
    winners = [rig.answer(agent, "openai-codex").evidence for agent in ("a", "b")]
    assert [one.id for one in winners if one is not None] == ["openai-codex:k", "openai:k"]


def test_ids_that_callers_make_up_leave_nothing_behind(make_rig: MakeRig) -> None:
    """What is remembered for all agents is of known providers only."""
    rig = make_rig("main").warm()
    common = rig.warmer._facts.shared(rig.clock.epoch()).common
    before = (len(common._plans), len(common._cells), len(common._serves))
    for number in range(50):
        rig.recheck(f"nobody-{number}")
        rig.run_until_idle()
    assert (len(common._plans), len(common._cells), len(common._serves)) == before


def test_windows_that_change_during_an_agents_first_sweep_show_in_its_first_answers_or_right_after(
    make_rig: MakeRig,
) -> None:
    """There is nothing published to patch yet, so what the sweep can't know is swept once more."""
    rig = make_rig("main", sweep_slice_checks=1)
    rig.files.write_profiles(openai__work=api_key("openai"))
    rig.warm()
    rig.files.write_profiles("lab", zai__me=api_key("zai"), groq__me=api_key("groq"))
    rig.files.write_agents("main", "lab")
    rig.touch(HOME_SOURCE, run=False)
    rig.step_until(lambda: rig.pending(ContinueSweep))
    until = int(rig.clock.epoch() * 1000) + 3_600_000
    rig.files.write_usage(openai__work={"cooldownUntil": until, "cooldownReason": "auth", "errorCount": 1})
    rig.touch(rig.store(), run=False)
    while rig.dispatcher.step_actor("warmer"):
        pass
    rig.advance(1.0)
    assert (rig.state("main"), rig.state("lab")) == ("rejected", "rejected")
    assert rig.open_generations() == ()
