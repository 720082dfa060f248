"""What use leaves behind in stores: windows show at once, uses cost next to nothing, and neither costs a check."""

from __future__ import annotations

import pytest
from rig import MakeRig, Rig, api_key

from openclaw_actors.messages import SweepAgent

BASE_MS = 1_770_000_000_000


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    """Return a warm rig: `main` has two keys of openai and one of zai, and `ops` inherits them beside a key of its
    own.
    """
    made = make_rig("main", "ops", "lab")
    made.files.write_profiles(
        openai__a=api_key("openai", "a"), openai__b=api_key("openai", "b"), zai__me=api_key("zai")
    )
    made.files.write_profiles("ops", groq__me=api_key("groq"))
    use(made, openai__a=2, openai__b=1, zai__me=1)
    return made.warm()


def use(rig: Rig, **seconds: int) -> None:
    """Write when each profile of main was used last."""
    rig.files.write_usage(**{name: {"lastUsed": BASE_MS + at * 1000} for name, at in seconds.items()})


def evidence(rig: Rig, agent: str = "ops", provider: str = "openai") -> str:
    """Return which credential wins."""
    found = rig.answer(agent, provider).evidence
    assert found is not None
    return found.id


def test_a_use_that_changes_no_answer_publishes_nothing(rig: Rig) -> None:
    """Most writes say no more than that the only credential was used, or the order stays: nobody is bothered."""
    before = rig.stats()
    for tick in range(3, 50):
        use(rig, openai__a=2, openai__b=1, zai__me=tick)
        rig.touch(rig.store(), run=False)
        rig.advance(0.1)
    rig.advance(2.0)
    assert rig.since(before) == {"store_reads": 47, "window_patches": 47}


def test_the_next_credential_follows_the_uses_within_a_second(rig: Rig) -> None:
    """Of several credentials the one that was used longest ago is next; that follows, gathered, without a check."""
    assert evidence(rig) == "openai:b"
    before = rig.stats()
    for tick in range(3, 8):
        use(rig, openai__a=2, openai__b=tick, zai__me=1)
        rig.touch(rig.store(), run=False)
        rig.advance(0.1)
    assert evidence(rig) == "openai:b", "uses are gathered"
    rig.advance(1.0)
    assert {evidence(rig, agent) for agent in ("main", "ops", "lab")} == {"openai:a"}
    counted = rig.since(before)
    assert counted["publications"] == 3, "one for each agent"
    assert not counted.keys() & {"provider_checks", "sweeps", "warms"}


def test_a_window_that_another_process_wrote_shows_at_once(rig: Rig) -> None:
    """A rest is no mere use: all who inherit the credential see it with the first reading, without a check."""
    before = rig.stats()
    until = int((rig.clock.epoch() + 60) * 1000)
    rig.files.write_usage(
        openai__a={"lastUsed": BASE_MS + 2000},
        openai__b={"lastUsed": BASE_MS + 1000},
        zai__me={"lastUsed": BASE_MS, "cooldownUntil": until, "cooldownReason": "rate_limit"},
    )
    rig.touch(rig.store(), run=False)
    rig.run_until_idle()
    assert [rig.state(agent, "zai") for agent in ("main", "ops", "lab")] == ["cooldown"] * 3
    assert not rig.since(before).keys() & {"provider_checks", "sweeps"}
    rig.advance(60.1)
    assert [rig.state(agent, "zai") for agent in ("main", "ops", "lab")] == ["usable"] * 3


def test_a_use_that_is_newer_than_a_report_counts(rig: Rig) -> None:
    """What another process says after our report wins, also where it says no more than that the credential works."""
    rig.refuse("zai:me", "auth")
    rig.run_until_idle()
    assert rig.state("ops", "zai") == "rejected"
    rig.advance(5.0)
    later = int(rig.clock.epoch() * 1000)
    rig.files.write_usage(openai__a={"lastUsed": BASE_MS + 2000}, zai__me={"lastUsed": later})
    rig.touch(rig.store())
    rig.advance(1.1)
    assert rig.state("ops", "zai") == "usable"


def test_an_agent_that_leaves_meanwhile_is_no_trouble(rig: Rig) -> None:
    """Uses that were gathered for an agent are forgotten with it."""
    use(rig, openai__a=2, openai__b=9, zai__me=1)
    rig.touch(rig.store(), run=False)
    rig.run_until_idle()
    rig.files.write_agents("main", "lab")
    rig.touch("home")
    rig.advance(2.0)
    assert evidence(rig, "lab") == "openai:a"
    assert "ops" not in rig.published_agents


def test_many_agents_follow_slice_by_slice(make_rig: MakeRig) -> None:
    """However many agents inherit what was used, other messages have their turn in between, and all of them follow."""
    names = [f"a{number}" for number in range(50)]
    rig = make_rig("main", *names)
    rig.files.write_profiles(openai__a=api_key("openai", "a"), openai__b=api_key("openai", "b"))
    for name in names:
        rig.files.write_profiles(name, groq__me=api_key("groq", name))
    use(rig, openai__a=2, openai__b=1)
    rig.warm()
    use(rig, openai__a=2, openai__b=3)
    rig.touch(rig.store(), run=False)
    rig.run_until_idle()
    rig.dispatcher.advance(1.001, run=False)
    rig.step_until(lambda: evidence(rig, "main") == "openai:a" or evidence(rig, "a0") == "openai:a")
    followed = sum(evidence(rig, name) == "openai:a" for name in names)
    assert 0 < followed < 50
    rig.refuse("groq:me", "auth", agent_id="a49")
    rig.step_until(lambda: rig.state("a49", "groq") == "rejected")
    assert evidence(rig, names[-1]) == "openai:b", "a failure does not wait for the rest"
    rig.advance(1.0)
    assert all(evidence(rig, name) == "openai:a" for name in names)


def test_agents_without_profiles_of_their_own_share_mains_answers(rig: Rig) -> None:
    """Whoever only inherits costs no evaluation: the very cells of main are theirs, until they have something."""
    assert rig.auth("lab").table is rig.auth("main").table
    rig.files.write_profiles("lab", xai__me=api_key("xai"))
    rig.touch(rig.store("lab"))
    assert (rig.state("lab", "xai"), rig.state("main", "xai"), rig.state("lab", "zai")) == (
        "usable",
        "missing",
        "usable",
    )


def step_warmer(rig: Rig) -> None:
    """Let the warmer and the readers do what they have to, and no agent."""
    while rig.dispatcher.step_actor("warmer") or rig.sources.waiting:
        for source in list(rig.sources.waiting):
            rig.sources.finish(source)


def rest(rig: Rig) -> None:
    """Let another process disable one of main's keys."""
    now_ms = int(rig.clock.epoch() * 1000)
    billing = {"disabledUntil": now_ms + 4 * 3_600_000, "disabledReason": "billing", "lastFailureAt": now_ms}
    rig.files.write_usage(openai__work=billing)
    rig.clock.advance(0.1)
    rig.touch(rig.store(), run=False)


def test_a_window_that_comes_while_a_store_is_swept_for_the_first_time_counts(make_rig: MakeRig) -> None:
    """What is published was made without that store, and the sweep that mends that began before: one more follows."""
    rig = make_rig("main", "ops")
    rig.files.write_profiles(openai__work=api_key("openai"))
    good = rig.files.profiles_path().read_text()
    rig.files.replace(rig.files.profiles_path(), '{"profiles": {"op')
    rig.warm()
    assert rig.state("ops") == "unknown"
    rig.advance(5.0)
    rig.files.replace(rig.files.profiles_path(), good)
    rig.touch(rig.store(), run=False)
    rig.step_until(lambda: len(rig.pending(SweepAgent)) == 2)
    rest(rig)
    step_warmer(rig)
    rig.run_until_idle()
    assert (rig.state(), rig.state("ops")) == ("disabled", "disabled")


def test_a_window_that_comes_while_all_agents_are_swept_anew_is_one_attempt(make_rig: MakeRig) -> None:
    """After a restart of the warmer each agent has a sweep under way that doesn't know it: they are asked together."""
    agents = [f"a{number}" for number in range(12)]
    rig = make_rig("main", *agents, strict=False)
    rig.files.write_profiles(openai__work=api_key("openai"))
    for agent in agents:
        rig.files.write_profiles(agent, **{f"zai__{agent}": api_key("zai", agent)})
    rig.warm()
    rig.dispatcher.kill("warmer")
    rig.look_after()
    rig.clock.advance(rig.settings.restart_max_s)
    rig.look_after()
    rig.step_until(lambda: len(rig.pending(SweepAgent)) > len(agents))
    before = len(rig.open_generations())
    rest(rig)
    step_warmer(rig)
    assert len(rig.open_generations()) <= before + 2
    rig.run_until_idle()
    rig.advance(1.0)
    assert {rig.state(agent) for agent in agents} == {"disabled"}
    assert rig.open_generations() == ()
