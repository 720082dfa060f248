"""The breaker: a source that keeps changing for nothing is read more slowly, is said to be so, and comes back."""

from __future__ import annotations

from rig import HOME_SOURCE, Rig, api_key, custom


def rotate(rig: Rig, times: int, every_s: float = 0.5, agent: str = "ops") -> int:
    """Store another key again and again, as a program in a loop does, and return how many readings that caused."""
    before = rig.stats()
    for number in range(times):
        rig.files.write_profiles(agent, zai__me=api_key("zai", f"{rig.clock.monotonic()}-{number}"))
        rig.touch(rig.store(agent), run=False)
        rig.advance(every_s)
    return rig.since(before).get("store_reads", 0)


def test_a_trigger_loop_trips_the_breaker(rig: Rig) -> None:
    """More than 30 sweeps in a minute that change no answer: the source is read every 10 s, and the health names it."""
    assert rotate(rig, 30) == 30
    assert rig.condition("SourcesSettled").status
    rotate(rig, 2)
    condition = rig.condition("SourcesSettled")
    assert not condition.status
    assert str(rig.files.agent_dir("ops")) in condition.message
    assert rotate(rig, 120) <= 7, "a minute of it is six or seven readings"
    assert not rig.condition("SourcesSettled").status, "it lasts for as long as the loop"


def test_the_last_change_of_a_loop_is_not_missed(rig: Rig) -> None:
    """What changes an answer while the breaker is tripped shows, within the slow interval."""
    rotate(rig, 40)
    rig.files.write_profiles("ops", groq__me=api_key("groq"))
    rig.touch(rig.store("ops"), run=False)
    rig.advance(rig.settings.trigger_loop_interval_s)
    assert (rig.state("ops", "groq"), rig.state("ops", "zai")) == ("usable", "missing")


def test_the_breaker_resets_itself(rig: Rig) -> None:
    """Within two minutes of the loop's end the source is read at once again, and the health is well."""
    rotate(rig, 40)
    rig.advance(130.0)
    assert rig.condition("SourcesSettled").status
    assert rotate(rig, 5) == 5


def test_other_sources_are_read_at_once_meanwhile(rig: Rig) -> None:
    """A loop slows down its own source only."""
    rotate(rig, 40)
    rig.files.write_profiles(groq__me=api_key("groq"))
    rig.touch(rig.store(), run=False)
    rig.run_until_idle()
    assert rig.state("ops", "groq") == "usable"


def test_a_person_who_asks_is_not_slowed_down(rig: Rig) -> None:
    """A recheck reads a source at once, tripped or not."""
    rotate(rig, 40)
    rig.files.write_profiles("ops", groq__me=api_key("groq"))
    rig.recheck()
    rig.run_until_idle()
    assert rig.state("ops", "groq") == "usable"


def test_changes_that_change_answers_are_no_loop(rig: Rig) -> None:
    """However often answers really change, each change is published at once."""
    for number in range(100):
        profile = {"groq__me" if number % 2 else "xai__me": api_key("groq" if number % 2 else "xai")}
        rig.files.write_profiles("ops", **profile)
        rig.touch(rig.store("ops"), run=False)
        rig.advance(0.2)
        assert rig.state("ops", "groq") == ("usable" if number % 2 else "missing")
    assert rig.condition("SourcesSettled").status


def test_usage_ticks_and_identical_rewrites_are_no_loop(rig: Rig) -> None:
    """What causes no sweep is nothing to brake, ten times a second or not."""
    before = rig.stats()
    for number in range(100):
        rig.files.write_usage("ops", zai__me={"lastUsed": 1_770_000_000_000 + number})
        rig.files.write_profiles("ops", zai__me=api_key("zai"))
        rig.touch(rig.store("ops"), run=False)
        rig.advance(0.1)
    counted = rig.since(before)
    assert counted["store_reads"] == 100
    assert not counted.keys() & {"sweeps", "provider_checks"}
    assert rig.condition("SourcesSettled").status


def test_rechecks_that_change_nothing_are_no_loop(rig: Rig) -> None:
    """Only what file events cause counts."""
    for _ in range(50):
        rig.recheck("zai", agent_id="ops")
        rig.advance(0.1)
    assert rig.condition("SourcesSettled").status


def test_a_loop_in_the_config_trips_it_too(rig: Rig) -> None:
    """A key in the config that is replaced all the time makes every agent sweep for nothing."""
    for number in range(40):
        rig.files.write_providers(acme={**custom(), "apiKey": f"canary-acme-{number}-0000"})
        rig.touch(HOME_SOURCE, run=False)
        rig.advance(0.5)
    condition = rig.condition("SourcesSettled")
    assert not condition.status
    assert "home" in condition.message


def test_a_source_that_is_dropped_is_no_trouble_any_more(rig: Rig) -> None:
    """When the agent whose store was in a loop leaves, the condition goes with it."""
    rotate(rig, 40)
    rig.files.write_agents("main")
    rig.touch(HOME_SOURCE)
    assert rig.condition("SourcesSettled").status
    rig.advance(200.0)
    assert rig.condition("SourcesSettled").status
