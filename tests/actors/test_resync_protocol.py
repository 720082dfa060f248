"""The resync: what no file event told of is found, and said to be so; what is as it was costs nothing."""

from __future__ import annotations

import os
from itertools import pairwise

import pytest
from rig import HOME_SOURCE, MakeRig, Rig, api_key

from openclaw_actors.actors import resync
from openclaw_actors.messages import ResyncDue


def rewrite_unseen(rig: Rig, agent: str, **profiles: object) -> None:
    """Replace a store in place, under the very stamp that it had."""
    path = rig.files.profiles_path(agent)
    before = path.stat()
    rig.files.write_profiles(agent, **profiles)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_ino, after.st_mtime_ns) == (before.st_size, before.st_ino, before.st_mtime_ns)


def test_a_change_without_an_event_is_found_and_counted(rig: Rig) -> None:
    """A change that no event told of shows after a resync, which counts it as drift."""
    rig.files.write_profiles("ops", groq__me=api_key("groq"))
    rig.resync()
    assert rig.state("ops", "groq") == "usable"
    assert rig.stats().resync_drifts == 1
    rig.resync()
    assert rig.stats().resync_drifts == 1


def test_what_is_as_it_was_costs_no_check(rig: Rig) -> None:
    """Without drift a resync reads, and that is all: no check, no publication, no drift."""
    before = rig.stats()
    rig.resync()
    assert rig.since(before) == {"resyncs": 1, "store_reads": 2, "shared_reads": len(rig.read_sources()) - 2}


def test_another_content_under_the_same_stamp_is_found(rig: Rig) -> None:
    """A file that was rewritten with its old times and size (a copy that keeps them, a coarse clock) is read all the
    same: contents are compared, not only stamps.
    """
    rewrite_unseen(rig, "ops", zai__me=api_key("zai", "yek"))
    rig.refuse("zai:me", "auth", agent_id="ops")
    rig.run_until_idle()
    before = rig.stats()
    rewrite_unseen(rig, "ops", xai__me=api_key("xai", "yek"))
    rig.resync()
    assert rig.state("ops", "xai") == "usable"
    assert rig.state("ops", "zai") == "missing"
    assert rig.since(before)["resync_drifts"] == 1


def test_a_change_whose_event_is_under_way_is_no_drift(rig: Rig) -> None:
    """A resync that is quicker than the event finds nothing wrong with the events, whichever of them comes first."""
    rig.files.write_profiles("ops", groq__me=api_key("groq"))
    rig.to_warmer(ResyncDue())
    rig.advance(0.5)
    assert rig.state("ops", "groq") == "usable", "what a resync finds is handled at once"
    rig.touch(rig.store("ops"))
    rig.advance(10.0)
    rig.files.write_profiles("ops", xai__me=api_key("xai"))
    rig.touch(rig.store("ops"), run=False)
    rig.to_warmer(ResyncDue())
    rig.advance(10.0)
    assert (rig.stats().resyncs, rig.stats().resync_drifts) == (2, 0)


def test_what_was_asked_for_is_no_drift(rig: Rig) -> None:
    """A reading that somebody asked for while a resync goes on is not the resync's finding."""
    rig.sources.hold(HOME_SOURCE)
    rig.to_warmer(ResyncDue())
    rig.run_until_idle()
    rig.files.write_agents("main", "ops", "new")
    rig.reload_config()
    rig.sources.release(HOME_SOURCE)
    rig.run_until_idle()
    assert "new" in rig.published_agents
    rig.touch(HOME_SOURCE)  # the event of that edit
    rig.advance(10.0)
    assert rig.stats().resync_drifts == 0


def test_what_stays_torn_is_one_drift(rig: Rig) -> None:
    """A file that can't be read differs from its last reading for as long as it is so; the resync finds that once."""
    rig.files.replace(rig.files.profiles_path("ops"), '{"profiles": {"op')
    for _ in range(3):
        rig.resync()
    assert rig.stats().resync_drifts == 1
    assert rig.state("ops", "zai") == "usable"


def test_it_comes_by_itself_with_jitter(make_rig: MakeRig) -> None:
    """Every five minutes or so everything is compared with the disk, at no regular beat."""
    rig = make_rig("main", resync_interval_s=300.0).warm()
    rounds: list[float] = []
    for _ in range(3600):
        rig.advance(1.0)
        if rig.stats().resyncs > len(rounds):
            rounds.append(rig.clock.monotonic())
    assert 10 <= len(rounds) <= 14
    assert len({round(later - earlier) for earlier, later in pairwise(rounds)}) > 1


def test_rounds_take_turns_when_there_are_many_sources(make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """One round reads a bounded number of sources, and the next goes on where it stopped, until all had their turn."""
    monkeypatch.setattr(resync, "_PER_ROUND", 4)
    rig = make_rig("main", *(f"a{number}" for number in range(12))).warm()
    total = len(rig.read_sources())
    before = rig.stats()
    rig.resync()
    counted = rig.since(before)
    assert counted.get("store_reads", 0) + counted.get("shared_reads", 0) == 4
    for _ in range(-(-total // 4) - 1):
        rig.resync()
    counted = rig.since(before)
    assert counted["store_reads"] >= 13
    assert counted["shared_reads"] >= total - 13


def test_a_round_is_not_begun_twice(rig: Rig) -> None:
    """A resync that is due while the last one still goes on waits for its next turn."""
    for _ in range(3):
        rig.to_warmer(ResyncDue())
    rig.advance(5.0)
    assert rig.stats().resyncs == 1
