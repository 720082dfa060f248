"""A handler of the listener that fails, or a listener that dies: nothing is lost, counted twice or left half done."""

from __future__ import annotations

import json
import threading
from typing import Any

import pykka
import pytest
from rig import MakeRig, Rig, api_key

from openclaw_actors.actors.address import Address
from openclaw_actors.actors.failure_listener import FailureListener
from openclaw_actors.ids import StoreId
from openclaw_actors.messages import HoldUsage, ReportAnswered
from openclaw_actors.testing import Crash, CrashPoint

WORK = "openai:work"


@pytest.fixture
def rig(make_rig: MakeRig) -> Rig:
    """Return a warm rig whose errors stay inside, as in production."""
    made = make_rig("main", "ops", strict=False)
    made.files.write_profiles(openai__work=api_key("openai"))
    return made.warm()


def usage(rig: Rig) -> dict[str, Any]:
    """Return the usage that is on disk."""
    found: dict[str, Any] = json.loads(rig.files.usage_path().read_text())["usageStats"]
    return found


@pytest.mark.parametrize("effect", [1, 2, 3])
def test_a_report_whose_handler_fails_half_way_is_applied_and_written_once(rig: Rig, effect: int) -> None:
    """It is tried once more, and what the first try had done by then is not done twice."""
    rig.refuse()
    rig.dispatcher.crash("failure-listener", Crash(CrashPoint.EFFECT, effect))
    rig.advance(30.0)
    assert rig.stats().failures_reported == 1
    assert usage(rig)[WORK]["errorCount"] == 1
    assert rig.open_generations() == ()


def test_messages_whose_handlers_keep_failing_are_given_up(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is tried twice and answered; they don't keep each other going for ever."""
    tries = []

    def poisoned(*_: Any) -> Any:
        tries.append(1)
        raise ZeroDivisionError

    monkeypatch.setattr(FailureListener, "_find", poisoned)
    for _ in range(3):
        rig.accept()
    rig.run_until_idle(1000)
    assert len(tries) == 6
    assert len(rig.handled(ReportAnswered)) == 3
    assert rig.open_generations() == ()


def test_a_hold_that_is_tried_again_is_over_when_its_end_comes(rig: Rig) -> None:
    """What is tried again keeps its place: a profile isn't held for ever."""
    store = StoreId(str(rig.files.agent_dir()))
    rig.runtime.listener.tell(HoldUsage(store=store, profiles=(WORK,)))
    rig.runtime.listener.tell(HoldUsage(store=store, profiles=(WORK,), over=True))
    rig.dispatcher.crash("failure-listener", Crash(CrashPoint.ENTRY))
    rig.run_until_idle()
    rig.refuse()
    rig.advance(30.0)
    assert WORK in usage(rig)


def test_a_report_that_was_told_to_a_dead_warmer_is_answered(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when the restart came between its handling and the note that it was handled."""
    generation = rig.refuse()
    rig.dispatcher.kill("warmer")
    rig.look_after()
    rig.clock.advance(rig.settings.restart_max_s)
    apply = FailureListener._apply

    def then_a_restart(*arguments: Any, **named: Any) -> None:
        monkeypatch.setattr(FailureListener, "_apply", apply)
        apply(*arguments, **named)  # to the dead
        rig.look_after()

    monkeypatch.setattr(FailureListener, "_apply", then_a_restart)
    rig.dispatcher.step_actor("failure-listener")
    rig.advance(60.0)
    assert not rig.runtime.wants.is_open(generation)
    assert (rig.state(), rig.answer().fresh) == ("usable", True), "its window is over by now"


def test_a_refusal_counts_from_when_it_was_last_seen(rig: Rig) -> None:
    """A success of another process that nobody has read yet doesn't bring back what was refused after it."""
    rig.refuse()
    rig.run_until_idle()
    rig.advance(5.0)
    used_ms = int(rig.clock.epoch() * 1000)
    rig.files.write_usage(openai__work={"lastUsed": used_ms})
    rig.advance(1.0)
    rig.refuse()
    rig.run_until_idle()
    rig.touch(rig.store())
    assert rig.state() == "rejected"


def test_a_rest_after_a_recheck_does_not_revive_what_it_forgave(rig: Rig) -> None:
    """What was set aside here is written as set aside together with what comes next."""
    rig.refuse()
    rig.advance(5.0)
    assert usage(rig)[WORK]["cooldownReason"] == "auth"
    rig.recheck("openai")
    rig.advance(1.0)
    rig.refuse(reason="rate_limit")
    rig.advance(5.0)
    rig.touch_all()
    assert rig.state() == "cooldown"
    assert usage(rig)[WORK]["cooldownReason"] == "rate_limit"


def test_an_incarnation_is_handed_what_waits_while_it_already_works() -> None:
    """However much waits, and however fast the new incarnation is: nobody stumbles over the other."""
    address = Address("listener", keeps=True)
    for number in range(500):
        address.tell(("message", number))

    class Quick:
        """Is done with each message at once, on another thread."""

        def __init__(self) -> None:
            self.taken: list[object] = []
            self._go = threading.Event()
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()

        def tell(self, message: object) -> None:
            self.taken.append(message)
            self._go.set()

        def is_alive(self) -> bool:
            return True

        def _run(self) -> None:
            done = 0
            while done < 500:
                self._go.wait(5.0)
                while done < len(self.taken):
                    message = self.taken[done]
                    address.begins(message)
                    address.ends(message)
                    done += 1
                self._go.clear()

        def join(self) -> None:
            self._thread.join(10.0)

    quick: Any = Quick()
    address.ref = quick
    quick.join()
    assert [number for _, number in quick.taken] == list(range(500))
    assert address.waiting() == ()


def test_the_message_an_actor_died_in_is_settled_before_the_next_one_begins() -> None:
    """The next incarnation's own first message doesn't hide which one was fatal."""
    address = Address("listener", keeps=True)
    told: list[object] = []

    class Next:
        def tell(self, message: object) -> None:
            told.append(message)

    address.tell("fatal")
    address.tell("after it")
    address.begins("fatal")
    address.settle()
    address.begins("the next one's own")
    successor: Any = Next()
    assert not isinstance(successor, pykka.ActorRef)
    address.ref = successor
    assert told == ["after it"]
