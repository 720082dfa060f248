"""Deaths and restarts: answers stay, attempts are answered, numbers go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rig import CODEX, HOME_SOURCE, MakeRig, Rig, api_key, custom

from openclaw_actors.actors.sweeps import Sweeps
from openclaw_actors.auth.evaluation import Evaluation
from openclaw_actors.messages import (
    ContinueSweep,
    LedgerChanged,
    Reread,
    SourceRead,
    SweepAgent,
    SweepFinished,
    WarmScope,
)
from openclaw_actors.scope import Scope


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


def test_a_report_between_the_restart_and_the_new_address_is_not_lost(rig: Rig) -> None:
    """A report that was recorded, but told to the dead warmer, is known to the new one when it begins."""
    kill(rig)
    rig.look_after()
    spawn = rig.runtime._builders["warmer"][1]

    def slow_spawn() -> Any:
        ref = spawn()
        rig.refuse()
        rig.dispatcher.step_actor("failure-listener")
        return ref

    rig.runtime._builders["warmer"] = (rig.runtime.warmer, slow_spawn)
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
        rig.advance(rig.runtime._due["warmer"] - began)
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
    lost = rig.refuse()
    restart(rig)
    assert not rig.runtime.wants.is_open(lost)
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
        tries.append(rig.runtime._due["agent-ops"] - rig.clock.monotonic())
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
