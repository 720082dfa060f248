"""Alarms: told when due, in order, not before, not after a cancel."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import msgspec
import pykka
import pytest

from openclaw_actors.actors import alarms as alarms_module
from openclaw_actors.actors.alarms import Alarms
from openclaw_actors.actors.base import BaseActor, Lane, handles
from openclaw_actors.actors.dispatch import ThreadedDispatcher
from openclaw_actors.clock import Clock, SystemClock
from openclaw_actors.testing import VirtualClock

WAIT_S = 10.0


class Ring(msgspec.Struct, frozen=True):
    number: int


class Sleeper(BaseActor):
    """Writes down when it was woken."""

    def __init__(self, clock: Clock, wanted: int, *, lane: Lane) -> None:
        super().__init__(lane=lane)
        self.clock = clock
        self.rings: list[tuple[int, float]] = []
        self.wanted = wanted
        self.done = threading.Event()

    @handles(Ring)
    def _on_ring(self, message: Ring) -> None:
        self.rings.append((message.number, self.clock.monotonic()))
        if len(self.rings) == self.wanted:
            self.done.set()


@pytest.fixture
def dispatcher() -> Iterator[ThreadedDispatcher]:
    made = ThreadedDispatcher()
    yield made
    made.stop_actors(pykka.ActorRegistry.get_by_class(Sleeper), WAIT_S)
    assert made.stop(WAIT_S).clean
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("openclaw-")]


def sleeper(dispatcher: ThreadedDispatcher, wanted: int) -> tuple[pykka.ActorRef[Sleeper], Sleeper]:
    ref = dispatcher.spawn(Sleeper, dispatcher.clock, wanted, name="sleeper")
    actor = ref._actor_weakref()
    assert actor is not None
    return ref, actor


def test_alarms_ring_in_the_order_of_their_times_and_never_early(dispatcher: ThreadedDispatcher) -> None:
    """A later alarm with an earlier time goes first; nobody is woken before the time."""
    ref, actor = sleeper(dispatcher, 3)
    start = dispatcher.clock.monotonic()
    for number in (3, 1, 2):
        dispatcher.tell_later(number * 0.1, ref, Ring(number))
    assert actor.done.wait(WAIT_S)
    assert [number for number, _ in actor.rings] == [1, 2, 3]
    assert all(at - start >= number * 0.1 for number, at in actor.rings)


def test_a_cancelled_alarm_does_not_ring(dispatcher: ThreadedDispatcher) -> None:
    """A cancel before the time wins; a cancel afterwards, or twice, is harmless."""
    ref, actor = sleeper(dispatcher, 1)
    off = dispatcher.tell_later(0.01, ref, Ring(1))
    off.cancel()
    off.cancel()
    on = dispatcher.tell_later(0.02, ref, Ring(2))
    assert actor.done.wait(WAIT_S)
    on.cancel()
    assert [number for number, _ in actor.rings] == [2]


def test_a_delay_that_is_not_positive_rings_at_once(dispatcher: ThreadedDispatcher) -> None:
    """An alarm for the past is due now."""
    ref, actor = sleeper(dispatcher, 2)
    dispatcher.tell_later(0.0, ref, Ring(1))
    dispatcher.tell_later(-5.0, ref, Ring(2))
    assert actor.done.wait(WAIT_S)


def test_an_alarm_for_a_dead_actor_is_passed_over(dispatcher: ThreadedDispatcher) -> None:
    """The thread survives the death of those it would wake."""
    ref, actor = sleeper(dispatcher, 1)
    gone = dispatcher.spawn(Sleeper, dispatcher.clock, 1, name="gone")
    dispatcher.tell_later(0.01, gone, Ring(1))
    assert dispatcher.stop_actors([gone], WAIT_S) == ()
    dispatcher.tell_later(0.02, ref, Ring(2))
    assert actor.done.wait(WAIT_S)


def test_an_alarm_rings_soon_after_a_suspended_machine_wakes(
    dispatcher: ThreadedDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The waits are cut into pieces and the clock is asked again, so time that passed unnoticed is noticed."""
    monkeypatch.setattr(alarms_module, "LONGEST_WAIT_S", 0.01)
    clock = VirtualClock()
    alarms = Alarms(clock)
    ref, actor = sleeper(dispatcher, 1)
    alarms.set(3_600.0, ref, Ring(1))
    assert alarms.rung() == 0
    clock.advance(7_200.0)
    assert actor.done.wait(WAIT_S)
    assert alarms.stop(WAIT_S) is None


def test_re_armed_alarms_do_not_pile_up() -> None:
    """Setting and cancelling for ever keeps the heap small, though a cancel is O(1)."""
    alarms = Alarms(SystemClock())
    dispatcher = ThreadedDispatcher()
    ref = dispatcher.spawn(Sleeper, dispatcher.clock, 1, name="sleeper")
    for number in range(5_000):
        alarms.set(1_000.0 + number, ref, Ring(number)).cancel()
    keeper = alarms.set(1_000.0, ref, Ring(0))
    assert alarms.waiting() == 1
    assert len(alarms._heap) < 200
    keeper.cancel()
    assert alarms.waiting() == 0
    assert alarms.stop(WAIT_S) is None
    assert dispatcher.stop_actors([ref], WAIT_S) == ()
    assert dispatcher.stop(WAIT_S).clean


def test_no_alarm_rings_after_stop(dispatcher: ThreadedDispatcher) -> None:
    """A stop forgets what was set, ends the thread, and accepts nothing new."""
    alarms = Alarms(dispatcher.clock)
    ref, actor = sleeper(dispatcher, 1)
    alarms.set(1_000.0, ref, Ring(1))
    assert alarms.stop(WAIT_S) is None
    alarms.set(0.0, ref, Ring(2))
    assert alarms.waiting() == 0
    assert alarms.stop(WAIT_S) is None
    assert actor.rings == []


def test_the_system_clock_goes_on_and_tells_the_date() -> None:
    """Monotonic seconds never go back; epoch seconds are of this century."""
    clock = SystemClock()
    first = clock.monotonic()
    assert clock.monotonic() >= first
    assert clock.epoch() > 946_684_800
