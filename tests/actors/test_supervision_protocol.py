"""Deaths and restarts: answers stay, attempts are answered, numbers go on."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from rig import CODEX, HOME_SOURCE, MakeRig, Rig, api_key, custom

from openclaw_actors.actors import address, publisher
from openclaw_actors.actors.roster import Roster
from openclaw_actors.actors.sweeps import Sweeps
from openclaw_actors.auth.evaluation import Evaluation
from openclaw_actors.errors import NoThreadError
from openclaw_actors.home.digest import Digester
from openclaw_actors.home.reader import HomeReader
from openclaw_actors.messages import (
    BeginWarming,
    ContinueSweep,
    FlushUsage,
    LedgerChanged,
    ReportFailure,
    Reread,
    SourceRead,
    SweepAgent,
    SweepFinished,
    WarmerRestarted,
    WarmScope,
)
from openclaw_actors.scope import Scope
from openclaw_actors.upkeep import LIVENESS_S


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    """Return a warm rig whose errors stay inside, as in production."""
    made = make_rig("main", "ops", strict=False)
    made.files.write_profiles(openai__work=api_key("openai"))
    return made.warm()


def bad(rig: Rig) -> WarmScope:
    """Return a wish that the warmer's handler can't digest."""
    return WarmScope(
        generation=rig.runtime.wants.mint(Scope.everything()),
        scope=None,  # type: ignore[arg-type]
        reason="bad",
        cause_at=0.0,
        reread=Reread.NOTHING,
    )


def kill(rig: Rig, name: str = "warmer") -> None:
    """Let an actor die of an error in a handler."""
    actor = rig.ref(name)
    if name == "warmer":
        rig.to_warmer(bad(rig))
        rig.step_until(lambda: not actor.is_alive())
        return
    rig.dispatcher.kill(name)


def restart(rig: Rig) -> None:
    """Let the supervisor do its work until what died lives again, and everything is answered."""
    rig.look_after()
    rig.advance(rig.settings.restart_max_s)
    rig.look_after()
    rig.run_until_idle()
    rig.advance(0.2)


def failing(times: int, what: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that raises so often, and then does what it should."""
    left = [times]

    def act(*args: Any, **kwargs: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise ZeroDivisionError
        return what(*args, **kwargs)

    return act


# --------------------------------------------------------------------------------------------------------- the warmer


def test_answers_stay_while_the_warmer_is_dead_and_after(rig: Rig) -> None:
    """From the warmer's death to its next publication readers see what was last published, and never less."""
    answers, held = rig.answers(), rig.auth("ops")
    kill(rig)
    assert rig.answers() == answers
    assert not rig.answer("ops").fresh, "the wish that killed it is still open"
    rig.look_after()
    assert rig.answers() == answers
    rig.advance(rig.settings.restart_first_s)
    rig.look_after()
    while rig.dispatcher.step():
        assert rig.answers() == answers
    rig.advance(0.2)
    assert rig.auth("ops").revision == held.revision, "nothing changed, so no revision did"
    assert rig.stats().restarts == 1
    assert rig.condition("ActorsAlive").status
    assert rig.answer("ops").fresh


def test_every_open_attempt_is_answered_after_a_restart(rig: Rig) -> None:
    """What was asked for before the death, during it or by the message that killed is answered, and numbers go on."""
    before = rig.runtime.wants.latest
    waiting = [rig.recheck(), rig.invalidate(Scope.provider("openai"), "test")]
    kill(rig)
    lost = [rig.invalidate(Scope.everything(), "into the void"), rig.reload_config()]
    assert all(rig.runtime.wants.is_open(one) for one in (*waiting, *lost))
    restart(rig)
    assert rig.open_generations() == ()
    assert rig.runtime.wants.latest > max(lost) > max(waiting) > before
    assert rig.answer().generation > max(lost)


def test_what_changed_while_the_warmer_was_dead_shows_after_it(rig: Rig) -> None:
    """Events that nobody took in are made good: agents, providers and credentials are as the disk has them."""
    kill(rig)
    rig.files.write_agents("main", "new")
    rig.files.write_providers(acme=custom())
    rig.files.write_profiles(zai__me=api_key("zai"))
    restart(rig)
    assert sorted(rig.published_agents) == ["main", "new"]
    assert (rig.state("new", "zai"), rig.state("new", "acme"), rig.state("main")) == ("usable", "usable", "missing")


def test_a_refusal_that_was_reported_to_a_dead_warmer_counts(rig: Rig) -> None:
    """The ledger outlives the warmer: what was reported before, during and after its death is hidden."""
    rig.files.write_profiles(openai__work=api_key("openai"), zai__me=api_key("zai"), groq__me=api_key("groq"))
    rig.touch(rig.store())
    rig.refuse()
    rig.run_until_idle()
    kill(rig)
    rig.refuse("zai:me")
    rig.run_until_idle()
    assert (rig.state(), rig.state("main", "zai")) == ("rejected", "rejected"), "its reporter knows at once"
    assert rig.auth().verdict("zai").state == "usable", "though nobody can publish it"
    rig.look_after()
    rig.advance(0.1)
    rig.look_after()
    rig.refuse("groq:me")
    while rig.dispatcher.step():
        assert rig.state() == "rejected"
    assert {rig.state("ops", provider) for provider in ("openai", "zai", "groq")} == {"rejected"}
    rig.advance(0.2)
    assert rig.open_generations() == ()


@pytest.mark.parametrize("evidence", ["openai:work", "config:acme"])
def test_what_was_reported_to_the_dead_shows_for_all_though_the_config_cannot_be_read(rig: Rig, evidence: str) -> None:
    """A restarted warmer publishes what the ledger has before it reads anything, and what is reported next at once."""
    rig.files.write_providers(acme=custom())
    rig.touch(HOME_SOURCE)
    provider = "openai" if evidence == "openai:work" else "acme"
    listed = rig.models(agent_id="ops").rows
    assert listed
    changes: list[str] = []
    rig.subscribe(lambda change: changes.append(f"{change.agent_id} {change.provider} {change.new.state}"))
    kill(rig)
    rig.refuse(evidence, agent_id="main")
    rig.run_until_idle()
    assert rig.state("ops", provider) == "usable", "nobody can publish it"
    rig.sources.hold(HOME_SOURCE)
    rig.look_after()
    rig.advance(rig.settings.restart_max_s)
    rig.look_after()
    rig.run_until_idle()
    assert rig.sources.waiting[HOME_SOURCE]
    assert {agent: rig.auth(agent).verdict(provider).state for agent in ("main", "ops")} == dict.fromkeys(
        ("main", "ops"), "rejected"
    )
    rig.refuse(evidence, "session_expired", agent_id="ops")
    while rig.dispatcher.step():
        assert rig.state("ops", provider) == "rejected", "a report that changes nothing takes nothing back"
    rig.accept(evidence, agent_id="ops")
    rig.run_until_idle()
    assert (rig.state("ops", provider), rig.state("main", provider)) == ("usable", "usable")
    assert rig.models(agent_id="ops").rows == listed
    rig.sources.release(HOME_SOURCE)
    rig.run_until_idle()
    rig.advance(0.2)
    assert (rig.state("ops", provider), rig.state("main", provider)) == ("usable", "usable")
    mine = [change for change in changes if f" {provider} " in change]
    assert mine == [f"{agent} {provider} {state}" for state in ("rejected", "usable") for agent in ("main", "ops")]
    assert rig.open_generations() == ()


def test_a_death_while_agents_leave_keeps_no_answer_without_what_it_is_made_of(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent that leaves is taken away before its store is forgotten: one that comes back is warmed, not unknown."""
    release = Roster._release

    def dies(roster: Roster, record: Any) -> None:
        release(roster, record)
        monkeypatch.setattr(Roster, "_release", release)
        raise RuntimeError("dies here")

    rig.files.write_profiles("ops", zai__me=api_key("zai"))
    rig.touch(rig.store("ops"))
    monkeypatch.setattr(Roster, "_release", dies)
    rig.files.write_agents("main")
    rig.touch(HOME_SOURCE)
    assert "warmer" not in rig.dispatcher.living
    assert "ops" not in rig.published_agents
    rig.run_until_idle()
    assert "agent-ops" not in rig.dispatcher.living
    rig.files.write_agents("main", "ops")
    rig.files.replace(rig.files.profiles_path("ops"), '{"profiles": {"op')
    restart(rig)
    rig.files.write_profiles("ops", zai__me=api_key("zai"))
    rig.touch(rig.store("ops"))
    rig.advance(1.0)
    assert rig.state("ops", "zai") == "usable"
    unknown = [auth for auth in rig.published if auth.agent_id == "ops" and auth.verdict("zai").state == "unknown"]
    assert all(auth.view.unread for auth in unknown)


def test_a_report_between_the_restart_and_the_new_address_is_not_lost(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A report that was recorded, but told to the dead warmer, is known to the new one when it begins."""
    kill(rig)
    rig.look_after()
    spawn = rig.dispatcher.spawn

    def slow_spawn(*arguments: Any, **named: Any) -> Any:
        ref = spawn(*arguments, **named)
        if named["name"] == "warmer":
            rig.refuse()
            rig.dispatcher.step_actor("failure-listener")
        return ref

    monkeypatch.setattr(rig.dispatcher, "spawn", slow_spawn)
    rig.advance(0.1)
    rig.look_after()
    rig.run_until_idle()
    assert not rig.handled(LedgerChanged, "warmer")
    assert (rig.state(), rig.state("ops")) == ("rejected", "rejected")


def test_a_restart_with_broken_sources_keeps_the_last_good_answers(rig: Rig) -> None:
    """A warmer that comes back and can read nothing publishes nothing worse than what is shown, and not as fresh."""
    rig.files.write_providers(acme=custom())
    rig.touch(HOME_SOURCE)
    answers = rig.answers()
    rig.files.replace(rig.files.profiles_path(), '{"profiles": {"op')
    rig.files.replace(rig.files.path / "openclaw.json", "{ models:")
    rig.sources.hold(CODEX)
    kill(rig)
    restart(rig)
    for _ in range(12):
        rig.advance(1.0)
        assert rig.answers() == answers
        assert not rig.answer("ops").fresh
    rig.sources.release(CODEX)
    rig.files.write_profiles(zai__me=api_key("zai"))
    rig.files.write_providers()
    rig.advance(rig.settings.retry_max_s)
    assert (rig.state("ops", "zai"), rig.state("ops"), rig.state("ops", "acme")) == ("usable", "missing", "missing")
    assert rig.answer("ops").fresh
    assert rig.open_generations() == ()


def test_the_old_warmers_agents_are_stopped(rig: Rig) -> None:
    """A restart leaves one actor per agent, not two."""
    kill(rig)
    restart(rig)
    rig.run_until_idle()
    names = sorted(rig.dispatcher.living)
    assert names == ["agent-main", "agent-ops", "failure-listener", "warmer", "watcher"]


def test_results_for_the_old_warmer_are_discarded_by_the_new_one(rig: Rig) -> None:
    """Readings and sweeps that were under way at a death belong to nobody."""
    rig.recheck()
    rig.step_until(lambda: rig.pending(SweepAgent))
    rig.dispatcher.step_actor("agent-main")
    late = rig.pending(SweepFinished)[0]
    kill(rig)
    restart(rig)
    before = rig.stats()
    rig.to_warmer(late)
    rig.to_warmer(SourceRead(source=rig.store(), ticket=99, reading=None, problem="late"))
    rig.run_until_idle()
    assert rig.since(before) == {"discarded_results": 2}


def test_deaths_in_a_row_wait_ever_longer_and_say_so(rig: Rig) -> None:
    """Restarts double their pauses up to the longest, go on for ever, and become a condition."""
    pauses = []
    for _ in range(14):
        kill(rig)
        rig.look_after()
        began = rig.clock.monotonic()
        rig.advance((rig.runtime.upkeep.restarts.due_at("warmer") or began) - began)
        pauses.append(rig.clock.monotonic() - began)
        rig.look_after()
        rig.run_until_idle()
    settings = rig.settings
    assert pauses[:3] == pytest.approx([settings.restart_first_s * factor for factor in (1, 2, 4)])
    assert max(pauses) == pytest.approx(settings.restart_max_s)
    assert rig.condition("ActorsAlive").reason == "RestartingOften"
    assert rig.state("ops") == "usable"


def test_generations_only_grow_over_restarts(rig: Rig) -> None:
    """No restart of any actor mints a number twice, and no cell's generation goes back."""
    minted = [rig.runtime.wants.latest]
    shown = [rig.answer().generation]
    for name in ("warmer", "watcher", "failure-listener", "warmer"):
        kill(rig, name)
        restart(rig)
        minted.append(rig.recheck())
        rig.run_until_idle()
        shown.append(rig.answer().generation)
    assert sorted(set(minted)) == minted
    assert sorted(shown) == shown
    assert rig.open_generations() == ()


def test_the_listeners_death_loses_no_refusal(rig: Rig) -> None:
    """The ledger is kept with the supervisor: a restarted listener counts on from there."""
    rig.refuse(reason="rate_limit")
    rig.run_until_idle()
    until = rig.answer().valid_until
    kill(rig, "failure-listener")
    restart(rig)
    rig.refuse(reason="rate_limit")
    rig.run_until_idle()
    assert (rig.state("ops"), rig.answer().valid_until) == ("cooldown", until)


def test_the_watchers_death_leads_to_a_new_reading_of_everything(rig: Rig) -> None:
    """Events may have been lost with the watcher, so every source is read once."""
    rig.files.write_profiles("ops", zai__me=api_key("zai"))
    before = rig.stats()
    kill(rig, "watcher")
    restart(rig)
    counted = rig.since(before)
    assert counted["store_reads"] + counted["shared_reads"] == len(rig.read_sources())
    assert rig.state("ops", "zai") == "usable"
    rig.files.write_profiles("ops", groq__me=api_key("groq"))
    rig.resync()
    rig.run_until_idle()
    assert rig.state("ops", "groq") == "usable", "and the new watcher knows what to compare"


# --------------------------------------------------------------------------------------------------------- the agents


def test_an_agent_that_dies_in_a_sweep_has_its_scope_swept_again(make_rig: MakeRig) -> None:
    """The scope that a dead actor was working on is asked of its successor, and its attempt is answered."""
    rig = make_rig("main", "ops", strict=False, sweep_slice_checks=1)
    rig.files.write_profiles(openai__work=api_key("openai"))
    rig.files.write_profiles("ops", zai__me=api_key("zai"), groq__me=api_key("groq"))
    rig.start()
    rig.step_until(
        lambda: any(name == "agent-ops" and isinstance(m, ContinueSweep) for name, m in rig.dispatcher.pending())
    )
    kill(rig, "agent-ops")
    rig.run_until_idle()
    assert rig.state() == "usable"
    assert not rig.runtime.warm.is_set()
    restart(rig)
    assert rig.runtime.warm.is_set()
    assert (rig.state("ops"), rig.open_generations()) == ("usable", ())
    assert rig.stats().restarts == 1
    assert len(rig.handled(SweepAgent, "agent-ops")) == 2


def test_an_agent_that_dies_idle_is_started_again(rig: Rig) -> None:
    """An actor that died between two sweeps is there for the next, even before anybody said that it died."""
    kill(rig, "agent-ops")
    rig.files.write_profiles(zai__me=api_key("zai"))
    rig.touch(rig.store())
    assert rig.state("ops", "zai") == "usable"
    rig.look_after()
    rig.run_until_idle()
    assert rig.stats().restarts == 1


def test_a_sweep_that_fails_is_tried_again_ever_more_slowly(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that raises leaves the last good answers, not fresh, and is repeated with back-off until it works."""
    monkeypatch.setattr(Evaluation, "cell", failing(6, Evaluation.cell))
    rig.files.write_profiles("ops", zai__me=api_key("zai"))
    rig.touch(rig.store("ops"), run=False)
    tries = []
    while rig.state("ops", "zai") != "usable":
        rig.run_until_idle()
        assert rig.state("ops") == "usable"
        assert not rig.answer("ops", "zai").fresh
        rig.look_after()
        tries.append((rig.runtime.upkeep.restarts.due_at("agent-ops") or 0.0) - rig.clock.monotonic())
        rig.advance(tries[-1])
        rig.look_after()
        rig.run_until_idle()
    first_s = rig.settings.restart_first_s
    assert tries == pytest.approx([first_s * 2**number for number in range(6)])
    assert rig.open_generations() == ()
    assert rig.answer("ops", "zai").fresh


def test_an_agent_that_keeps_dying_delays_no_other(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other agents are answered while one agent's check fails again and again."""
    cell = Evaluation.cell

    def picky(self: Evaluation, provider: Any) -> Any:
        if any(profile.id == "poison:1" for profile in self.view.profiles):
            raise ZeroDivisionError
        return cell(self, provider)

    monkeypatch.setattr(Evaluation, "cell", picky)
    rig.files.write_profiles("ops", poison__1=api_key("poison"))
    rig.touch(rig.store("ops"))
    for _ in range(10):
        rig.look_after()
        rig.advance(1.0)
    rig.files.write_agents("main", "ops", "lab")
    rig.touch(HOME_SOURCE)
    assert (rig.state("lab"), rig.answer("lab").fresh) == ("usable", True)
    assert rig.stats().restarts < 12
    rig.files.write_profiles("ops", zai__me=api_key("zai"))
    rig.touch(rig.store("ops"))
    for _ in range(10):
        rig.look_after()
        rig.advance(20.0)
    assert (rig.state("ops", "zai"), rig.open_generations()) == ("usable", ())


def test_a_bug_in_the_bookkeeping_is_survived(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error in the warmer's own work costs a restart, not an answer."""
    monkeypatch.setattr(Sweeps, "finish", failing(1, Sweeps.finish))
    rig.files.write_profiles(zai__me=api_key("zai"))
    rig.touch(rig.store())
    restart(rig)
    assert (rig.state("ops", "zai"), rig.open_generations()) == ("usable", ())
    assert rig.stats().restarts == 1


def test_nothing_stays_before_the_map_when_the_warmer_dies_with_a_report(make_rig: MakeRig) -> None:
    """The attempt is answered by the restart, and what was shown early goes with it."""
    rig = make_rig("main", strict=False)
    rig.files.write_profiles(openai__work=api_key("openai"))
    rig.warm()
    rig.refuse()
    assert rig.runtime.struck.cells
    rig.dispatcher.step_actor("failure-listener")
    kill(rig)
    rig.run_until_idle()
    restart(rig)
    assert (rig.open_generations(), rig.state()) == ((), "rejected")
    assert not rig.runtime.struck.cells


# ------------------------------------------------------------------------------------------------------ the supervisor


def test_a_round_of_supervision_says_when_the_next_one_is_due(rig: Rig) -> None:
    """It goes by the clock alone: with nothing to do the next look at who lives is due, with a death its restart."""
    assert rig.runtime.look_after() == LIVENESS_S
    kill(rig)
    assert rig.runtime.look_after() == pytest.approx(rig.settings.restart_first_s)
    assert rig.stats().restarts == 0
    rig.advance(rig.settings.restart_first_s / 2)
    assert rig.runtime.look_after() == pytest.approx(rig.settings.restart_first_s / 2)
    rig.advance(rig.settings.restart_first_s / 2)
    assert rig.runtime.look_after() == LIVENESS_S
    assert rig.stats().restarts == 1
    rig.runtime.ask_to_stop()
    assert rig.runtime.look_after() is None


@pytest.mark.parametrize("name", ["watcher", "failure-listener", "warmer"])
def test_an_actor_whose_notice_of_death_was_lost_is_found(rig: Rig, name: str) -> None:
    """A look at who lives makes good what no notice told; one that comes late is not another death."""
    deaths = rig.runtime.upkeep._deaths
    kill(rig, name)
    late = list(deaths)
    assert late
    deaths.clear()
    rig.look_after()
    assert not rig.runtime.upkeep.restarts.remembered(), "its notice may still come"
    rig.advance(LIVENESS_S)
    rig.look_after()
    assert rig.runtime.upkeep.restarts.due_at(name) is not None
    deaths.extend(late)
    rig.look_after()
    assert rig.runtime.upkeep.restarts.deaths(name, rig.clock.monotonic()) == 1
    restart(rig)
    assert rig.stats().restarts == 1
    rig.files.write_profiles(zai__me=api_key("zai"))
    rig.touch(rig.store())
    rig.refuse("zai:me")
    rig.run_until_idle()
    assert rig.state("ops", "zai") == "rejected"


def test_nobody_is_remembered_for_ever(rig: Rig) -> None:
    """What is known of deaths and pauses is dropped when the period is over."""
    for number in range(20):
        rig.runtime.upkeep.note(f"urn:{number}", f"agent-{number}", "killed by a test")
    kill(rig)
    restart(rig)
    assert rig.runtime.upkeep.restarts.remembered() == 21
    rig.advance(rig.settings.restart_period_s + 1.0)
    rig.look_after()
    assert rig.runtime.upkeep.restarts.remembered() == 0
    assert rig.condition("ActorsAlive").status


# ---------------------------------------------------------------------------------------------------------- the start


def cannot_start(rig: Rig, monkeypatch: pytest.MonkeyPatch, *names: str) -> list[str]:
    """Let the system have no thread for some actors; return the names, which may be taken out again.

    A stand-in, since a limit on threads that only these would meet can't be set.
    """
    spawn, without = rig.dispatcher.spawn, list(names)

    def refuse(actor_class: Any, /, *arguments: Any, name: str, **named: Any) -> Any:
        if name in without:
            raise NoThreadError("the system starts no thread now")
        return spawn(actor_class, *arguments, name=name, **named)

    monkeypatch.setattr(rig.dispatcher, "spawn", refuse)
    return without


@pytest.mark.parametrize("name", ["watcher", "failure-listener"])
def test_what_cannot_be_started_degrades_itself_alone(
    make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Agents are warmed and read without it, health names it, it is tried ever more slowly, and comes by itself."""
    rig = make_rig("main", "ops", strict=False)
    rig.files.write_profiles(openai__work=api_key("openai"))
    without = cannot_start(rig, monkeypatch, name)
    rig.warm()
    assert (rig.state("ops"), rig.answer("ops").fresh) == ("usable", True)
    condition = rig.condition("ActorsAlive")
    assert (condition.status, condition.reason) == (False, "CannotStart")
    assert f"{name} can't be started" in condition.message
    reported = rig.refuse()
    pauses = []
    for _ in range(9):
        pauses.append(rig.runtime.look_after() or 0.0)
        rig.advance(pauses[-1])
    assert pauses[0] < 0.3 <= pauses[-1]
    without.clear()
    rig.advance(rig.settings.restart_max_s)
    restart(rig)
    assert rig.condition("ActorsAlive").status
    assert (rig.state("ops"), rig.open_generations()) == ("rejected", ())
    assert rig.runtime.wants.latest > reported
    assert rig.stats().restarts == 0, "nobody has died"


def test_without_a_warmer_nothing_is_warmed_until_it_comes(make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers are told so, for however long; what was asked for meanwhile is answered then."""
    rig = make_rig("main", strict=False)
    rig.files.write_profiles(openai__work=api_key("openai"))
    without = cannot_start(rig, monkeypatch, "warmer")
    rig.start()
    asked = rig.recheck("openai")
    for _ in range(30):
        rig.advance(rig.runtime.look_after() or 0.0)
    assert rig.answer().reason == "not warmed"
    assert rig.runtime.wants.is_open(asked)
    assert "warmer can't be started" in rig.condition("ActorsAlive").message
    without.clear()
    rig.advance(rig.settings.restart_max_s)
    rig.look_after()
    rig.warm()
    assert (rig.state(), rig.open_generations()) == ("usable", ())
    assert rig.condition("ActorsAlive").status


def test_a_home_that_cannot_be_looked_at_is_tried_again(make_rig: MakeRig) -> None:
    """Whatever the first look at the home raises, everything else is up, and the warm comes when it no longer does."""
    rig = make_rig("main", strict=False)
    rig.files.write_profiles(openai__work=api_key("openai"))
    rig.runtime.begin(
        failing(3, lambda: HomeReader(rig.files.path, env={"HOME": str(rig.files.user)}, digester=Digester(b"k" * 32)))
    )
    assert rig.condition("ActorsAlive").reason == "CannotStart"
    assert rig.ref("watcher").is_alive()
    assert rig.ref("failure-listener").is_alive()
    for _ in range(6):
        rig.advance(rig.runtime.look_after() or 0.0)
    rig.warm()
    assert rig.state() == "usable"
    assert rig.condition("ActorsAlive").status


def test_a_watcher_that_dies_at_each_start_costs_no_storm_of_warms(
    make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Agents are warmed once, not once more at each try; when it comes up after all, everything is looked at again."""
    opens: list[int] = []

    def refuse(**_options: Any) -> Any:
        opens.append(1)
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as without:
        without.setattr("openclaw_actors.runtime.open_watcher", refuse)
        rig = make_rig("main", strict=False, watch=True)
        rig.files.write_profiles(openai__work=api_key("openai"))
        rig.warm()
        assert rig.condition("Watching").reason == "CannotOpen"
        assert "EMFILE" in rig.condition("Watching").message
        for _ in range(200):
            rig.advance(rig.runtime.look_after() or 0.0)
        assert len(opens) > 20
        assert rig.stats().warms < 6
        assert rig.condition("ActorsAlive").reason == "RestartingOften"
        assert (rig.state(), rig.answer().fresh) == ("usable", True)
    rig.files.write_profiles(zai__me=api_key("zai"))
    for _ in range(10):
        rig.advance(rig.runtime.look_after() or 0.0)
    assert rig.state("main", "zai") == "usable"
    assert rig.condition("Watching").status


@pytest.mark.parametrize("name", ["watcher", "failure-listener"])
def test_deaths_in_a_row_cost_a_few_warms_and_one_in_the_end(rig: Rig, name: str) -> None:
    """What dies again and again has to live for a moment before everything is looked at for its sake."""
    for _ in range(10):
        kill(rig, name)
        restarts = rig.stats().restarts
        while rig.stats().restarts == restarts:
            rig.advance(rig.runtime.look_after() or 0.0)
        rig.advance(0.5)
    before = len(rig.handled(BeginWarming))
    assert before <= 5
    assert rig.files.write_profiles(zai__me=api_key("zai")) is None
    rig.advance(rig.runtime.look_after() or 0.0)
    rig.look_after()
    rig.advance(0.2)
    assert len(rig.handled(BeginWarming)) == before + 1
    assert (rig.state("ops", "zai"), rig.open_generations()) == ("usable", ())


# -------------------------------------------------------------------------------------------------- the dead's mailbox


def test_what_waited_for_a_dead_listener_is_taken_in_by_the_next_one(rig: Rig) -> None:
    """Reports that waited in its mailbox, and those that were told to the dead, count, in their order."""
    rig.files.write_profiles(openai__work=api_key("openai"), zai__me=api_key("zai"), groq__me=api_key("groq"))
    rig.touch(rig.store())
    told = [rig.refuse("openai:work"), rig.refuse("zai:me")]
    kill(rig, "failure-listener")
    told += [rig.refuse("groq:me"), rig.accept("zai:me")]
    assert all(rig.runtime.wants.is_open(one) for one in told)
    restart(rig)
    assert [message.generation for message in rig.handled(ReportFailure)] == [told[0], told[1], told[2]]
    assert (rig.state("ops"), rig.state("ops", "groq"), rig.state("ops", "zai")) == ("rejected", "rejected", "usable")
    assert rig.open_generations() == ()
    assert rig.stats().failures_reported == 3


def test_a_recheck_that_a_dead_listener_was_told_forgives(rig: Rig) -> None:
    """The wish of a person isn't lost with an actor: what was refused is tried again."""
    rig.refuse()
    rig.run_until_idle()
    rig.advance(5.0)
    kill(rig, "failure-listener")
    asked = rig.recheck("openai")
    rig.run_until_idle()
    assert rig.state("ops") == "rejected"
    restart(rig)
    assert not rig.runtime.wants.is_open(asked)
    assert rig.state("ops") == "usable"


def test_an_attempt_whose_report_still_waits_is_not_answered_by_a_restart(rig: Rig) -> None:
    """Whoever asks for the answer to a report gets one with the report in it, also when the warmer dies meanwhile."""
    kill(rig)
    reported = rig.refuse()
    asked = rig.recheck("zai")
    rig.look_after()
    rig.advance(0.0)
    assert not rig.pending(ReportFailure), "the listener has it by now"
    rig.advance(0.01)
    late = rig.refuse(reason="billing", agent_id="ops")
    rig.clock.advance(rig.settings.restart_first_s)
    rig.look_after()
    assert late not in rig.pending(BeginWarming)[0].answers
    assert {reported, asked} <= {*rig.pending(BeginWarming)[0].answers}
    while rig.runtime.wants.is_open(reported):
        assert rig.dispatcher.step_actor("warmer") or rig.dispatcher.step()
    rig.advance(0.2)
    assert (rig.state("ops"), rig.open_generations()) == ("disabled", ())


def test_a_recheck_that_the_listener_still_has_is_not_answered_by_a_restart_alone(make_rig: MakeRig) -> None:
    """Whoever asks to look again gets what was found then: nothing is, as long as the first config can't be read."""
    rig = make_rig("main", "ops", strict=False)
    rig.files.write_profiles(openai__work=api_key("openai"))
    good = rig.files.config_path.read_bytes()
    rig.files.config_path.write_text("{")
    rig.start()
    rig.dispatcher.kill("warmer")
    rig.look_after()
    rig.clock.advance(rig.settings.restart_first_s)
    asked = rig.recheck("openai")
    rig.look_after()
    assert asked not in rig.pending(BeginWarming)[0].answers
    rig.run_until_idle()
    assert [one.generation for told in rig.handled(WarmerRestarted) for one in told.warms] == [asked]
    assert rig.runtime.wants.is_open(asked)
    rig.files.config_path.write_bytes(good)
    rig.advance(rig.settings.retry_max_s)
    assert (rig.state("ops"), rig.open_generations()) == ("usable", ())


def test_the_message_that_an_actor_died_in_is_not_given_to_the_next_one(rig: Rig) -> None:
    """It would die of it, too; the attempt is answered by the restart, and what came behind it counts."""
    listener = rig.dispatcher.actor("failure-listener")
    assert listener is not None
    poison = rig.refuse()
    behind = rig.refuse(reason="billing")
    message = rig.pending(ReportFailure)[0]
    rig.runtime.listener.begins(message)
    listener._end("killed in a message", RuntimeError("killed by a test"))
    restart(rig)
    assert [one.generation for one in rig.handled(ReportFailure)] == [behind]
    assert (rig.state("ops"), rig.open_generations()) == ("disabled", ())
    assert not rig.runtime.wants.is_open(poison)


def test_messages_to_the_dead_are_bounded_and_answered(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many the newest are kept, and no attempt stays open for those that are not."""
    monkeypatch.setattr(address, "_MOST_KEPT", 10)
    kill(rig, "failure-listener")
    for _ in range(50):
        rig.accept()
    rig.refuse()
    assert len(rig.runtime.listener.waiting()) == 10
    restart(rig)
    assert rig.stats().successes_reported == 9
    assert (rig.state("ops"), rig.open_generations()) == ("rejected", ())
    assert rig.runtime.listener.waiting() == ()


def test_reports_for_agents_that_are_not_there_yet_outlive_the_listener(make_rig: MakeRig) -> None:
    """A report that waits for its agent's first publication waits on, whoever listens by then."""
    rig = make_rig("main", strict=False)
    rig.files.write_profiles(openai__work=api_key("openai"))
    rig.start()
    early = rig.refuse()
    rig.dispatcher.step_actor("failure-listener")
    rig.dispatcher.step_actor("failure-listener")
    kill(rig, "failure-listener")
    rig.look_after()
    rig.advance(rig.settings.restart_first_s)
    rig.look_after()
    rig.advance(1.0)
    assert rig.state() == "rejected"
    assert not rig.runtime.wants.is_open(early)
    assert rig.open_generations() == ()


def usage(rig: Rig) -> dict[str, Any]:
    """Return the usage stats on disk."""
    try:
        found: dict[str, Any] = json.loads(rig.files.usage_path().read_text())["usageStats"]
    except FileNotFoundError:
        return {}
    return found


def test_usage_that_a_dead_listener_had_not_written_is_written(rig: Rig) -> None:
    """What was gathered goes to disk by the next listener's hand."""
    rig.refuse(reason="billing")
    rig.run_until_idle()
    kill(rig, "failure-listener")
    assert usage(rig) == {}
    restart(rig)
    rig.advance(1.0)
    assert usage(rig)["openai:work"]["disabledReason"] == "billing"


@pytest.mark.parametrize("after_restart", [False, True])
@pytest.mark.parametrize("fails", [False, True])
def test_a_write_under_way_at_a_death_is_done_exactly_once(rig: Rig, fails: bool, after_restart: bool) -> None:
    """Its result reaches the next listener: what is on disk is not written again, and what isn't, is."""
    source = f"usage:{rig.files.agent_dir()}"
    rig.sources.hold(source)
    rig.refuse(reason="billing")
    rig.advance(rig.settings.usage_flush_s + 0.01)
    assert list(rig.sources.waiting) == [source]
    kill(rig, "failure-listener")
    if after_restart:
        restart(rig)
    if fails:
        rig.sources.fail(source, OSError())
    else:
        rig.sources.finish(source)
    rig.sources.release(source)
    restart(rig)
    rig.advance(2.0)
    assert usage(rig)["openai:work"]["errorCount"] == 1
    assert not rig.runtime._memory.unwritten
    assert rig.condition("UsagePersisted").status


def test_a_stop_writes_what_a_dead_listener_left(rig: Rig) -> None:
    """Also while it waits to be started again: somebody is started for the last write."""
    rig.refuse(reason="billing")
    rig.run_until_idle()
    kill(rig, "failure-listener")
    rig.refuse("openai:work", "auth")
    wait = rig.runtime._flushed.wait
    rig.runtime._flushed.wait = lambda timeout=None: rig.run_until_idle() > 0 and wait(0)  # type: ignore[method-assign]
    rig.runtime.end(5.0)
    assert rig.handled(FlushUsage)
    assert usage(rig)["openai:work"]["errorCount"] == 2


def test_a_store_that_leaves_sqlite_is_written_without_a_restart(rig: Rig) -> None:
    """Usage of a store that isn't written stays in memory and says so, until it is one that can be."""
    path = rig.files.agent_dir() / "openclaw-agent.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE auth_profile_store(store_key TEXT, store_json TEXT, updated_at INTEGER)")
        connection.execute("INSERT INTO auth_profile_store VALUES ('primary', '{}', 0)")
        connection.commit()
    rig.refuse(reason="billing")
    rig.advance(60.0)
    assert not rig.condition("UsagePersisted").status
    assert "SQLite" in rig.condition("UsagePersisted").message
    path.unlink()
    rig.advance(301.0)
    assert rig.condition("UsagePersisted").status
    rig.touch(rig.store())
    rig.refuse(reason="auth")
    rig.advance(1.0)
    assert usage(rig)["openai:work"]["cooldownReason"] == "auth"


# ------------------------------------------------------------------------------------------------------ bounded memory


def test_agents_that_come_and_go_leave_a_bounded_memory(make_rig: MakeRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many that left only the latest are known; whoever comes back has a greater revision than ever before."""
    monkeypatch.setattr(publisher, "_MOST_GONE", 5)
    rig = make_rig("main", "first", strict=False)
    rig.files.write_profiles("first", zai__me=api_key("zai"))
    rig.warm()
    for number in range(7):
        rig.files.write_profiles("first", zai__me=api_key("zai", str(number)), groq__me=api_key("groq", str(number)))
        rig.touch(rig.store("first"))
        rig.files.write_profiles("first", zai__me=api_key("zai", str(number)))
        rig.touch(rig.store("first"))
    shown = rig.auth("first").revision
    assert shown > 7
    for number in range(40):
        rig.files.write_agents("main", f"a{number}")
        rig.touch(HOME_SOURCE)
        rig.advance(0.2)
    assert len(rig._prepared.last_revisions) == 5
    assert len(rig.read_sources()) < 10
    told: list[Any] = []
    publish = rig.runtime.published
    rig.runtime.published = lambda auth, changes: (told.extend(changes), publish(auth, changes))[0]  # type: ignore[method-assign]
    kill(rig)
    rig.files.write_agents("main", "first")
    restart(rig)
    assert rig.auth("first").revision > shown
    assert ("first", "zai", "agent-returned") in [(one.agent_id, one.provider, one.reason) for one in told]
