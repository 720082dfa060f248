"""The stepped dispatcher: one thing at a time, virtual time, replayable."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

import msgspec
import pykka
import pytest

from openclaw_actors.actors.base import STOPPED, BaseActor, Lane, handles
from openclaw_actors.actors.dispatch import Dispatcher
from openclaw_actors.errors import HomeError, NotRunningError
from openclaw_actors.reading.job import Failure, ReadJob, ReadOutcome
from openclaw_actors.testing import SteppedDispatcher, VirtualClock


class Note(msgspec.Struct, frozen=True):
    number: int


class Urgent(msgspec.Struct, frozen=True):
    priority: ClassVar[bool] = True
    number: int


class Pass(msgspec.Struct, frozen=True):
    to: pykka.ActorRef[Any]
    left: int


class Fail(msgspec.Struct, frozen=True):
    kind: type[BaseException]


class Report(msgspec.Struct, frozen=True):
    pass


class Unheard(msgspec.Struct, frozen=True):
    pass


class Player(BaseActor):
    def __init__(self, first: object = None, *, lane: Lane) -> None:
        super().__init__(lane=lane)
        self.first = first
        self.seen: list[object] = []

    def on_start(self) -> None:
        if isinstance(self.first, type):
            raise self.first
        if self.first is not None:
            self.actor_ref.tell(self.first)

    @handles(Note, Urgent)
    def _on_note(self, message: Note | Urgent) -> None:
        self.seen.append(message)

    @handles(Pass)
    def _on_pass(self, message: Pass) -> None:
        if message.left:
            message.to.tell(Pass(self.actor_ref, message.left - 1))

    @handles(Fail)
    def _on_fail(self, message: Fail) -> None:
        raise message.kind

    @handles(Report)
    def _on_report(self, message: Report) -> tuple[object, ...]:
        return tuple(self.seen)


class Fragile(Player):
    die_on_error = True


def job(source: str, outcomes: list[ReadOutcome], deadline_s: float = 5.0) -> ReadJob:
    return ReadJob(source, lambda: f"facts of {source}", outcomes.append, deadline_s)


def test_nothing_moves_until_it_is_stepped() -> None:
    """A spawn queues the actor's first command, a tell queues a message; each step handles exactly one."""
    stepped = SteppedDispatcher()
    first = stepped.spawn(Player, Note(0), name="first")
    second = stepped.spawn(Player, name="second")
    stepped.inject(second, Note(1))
    first.tell(Note(2))
    assert stepped.history == []
    assert stepped.pending() == [("first", Note(0)), ("first", Note(2)), ("second", Note(1))]
    assert stepped.step()
    assert stepped.history == [("first", Note(0))]
    assert stepped.run_until_idle() == 2
    assert stepped.history == [("first", Note(0)), ("second", Note(1)), ("first", Note(2))]
    assert not stepped.step()


def test_no_thread_is_started() -> None:
    """Actors, alarms and reads all run on the test's thread."""
    before = threading.active_count()
    stepped = SteppedDispatcher()
    ref = stepped.spawn(Player, pooled=True, name="a")
    outcomes: list[ReadOutcome] = []
    stepped.tell_later(1.0, ref, Note(1))
    stepped.read(job("s", outcomes))
    stepped.advance(2.0)
    assert outcomes
    assert threading.active_count() == before


def test_priority_overtakes_within_an_actor() -> None:
    """At its turn an actor gets what its inbox gives first."""
    stepped = SteppedDispatcher()
    ref = stepped.spawn(Player, name="a")
    for message in (Note(1), Urgent(1), Note(2), Urgent(2)):
        ref.tell(message)
    assert stepped.ask(ref, Report()) == (Urgent(1), Urgent(2), Note(1), Note(2))


def test_one_actor_can_be_stepped_alone() -> None:
    """`step_actor` leaves everybody else where they are; an unknown name is refused with those there are."""
    stepped = SteppedDispatcher()
    first, second = stepped.spawn(Player, name="first"), stepped.spawn(Player, name="second")
    first.tell(Note(1))
    second.tell(Note(2))
    assert stepped.step_actor("second")
    assert not stepped.step_actor("second")
    assert stepped.pending() == [("first", Note(1))]
    with pytest.raises(LookupError, match="first"):
        stepped.step_actor("third")


def play(seed: int | None) -> list[tuple[str, object]]:
    stepped = SteppedDispatcher(seed=seed)
    refs = [stepped.spawn(Player, name=f"p{number}") for number in range(4)]
    for number in range(6):
        for ref in refs:
            ref.tell(Note(number))
    stepped.tell_later(0.0, refs[0], Urgent(0))
    stepped.run_until_idle()
    return stepped.history


@pytest.mark.parametrize("seed", [None, *range(20)])
def test_a_seed_replays_its_interleaving_and_keeps_each_actors_order(seed: int | None) -> None:
    """The same seed gives the same history, and every interleaving keeps what each actor was sent in order."""
    history = play(seed)
    assert history == play(seed)
    for name in ("p0", "p1", "p2", "p3"):
        notes = [message for who, message in history if who == name and isinstance(message, Note)]
        assert notes == [Note(number) for number in range(6)]


def test_different_seeds_find_different_interleavings() -> None:
    """Seeds are worth trying: they don't all give the same order."""
    assert len({tuple(name for name, _ in play(seed)) for seed in range(10)}) > 5


def test_alarms_ring_in_virtual_time_and_in_order() -> None:
    """`advance` stops at each due alarm, so a handler sees the time for which it was set."""
    clock = VirtualClock()
    stepped = SteppedDispatcher(clock)
    times: list[tuple[int, float]] = []

    class Watch(BaseActor):
        @handles(Note)
        def _on_note(self, message: Note) -> None:
            times.append((message.number, clock.monotonic() - start))
            if message.number == 1:
                stepped.tell_later(1.0, self.actor_ref, Note(11))

    start = clock.monotonic()
    ref = stepped.spawn(Watch, name="watch")
    stepped.tell_later(3.0, ref, Note(3))
    stepped.tell_later(1.0, ref, Note(1))
    stepped.tell_later(1.5, ref, Note(99)).cancel()
    assert stepped.alarms == [(1.0, "Watch", Note(1)), (3.0, "Watch", Note(3))]
    stepped.advance(0.5)
    assert times == []
    stepped.advance(10.0)
    assert times == [(1, 1.0), (11, 2.0), (3, 3.0)]
    assert clock.monotonic() - start == 10.5


def test_time_can_pass_without_anybody_running() -> None:
    """With run=False what came due waits for steps, earliest first."""
    stepped = SteppedDispatcher()
    ref = stepped.spawn(Player, name="a")
    stepped.tell_later(2.0, ref, Note(2))
    stepped.tell_later(1.0, ref, Note(1))
    stepped.advance(5.0, run=False)
    assert stepped.pending() == []
    stepped.step()
    assert stepped.pending() == [("a", Note(1))]
    stepped.run_until_idle()
    assert stepped.ask(ref, Report()) == (Note(1), Note(2))


def test_an_error_of_a_handler_is_raised_by_the_step() -> None:
    """Strict, the test sees the very exception, of any kind; the actor has dealt with it as in production."""
    stepped = SteppedDispatcher()
    deaths: list[tuple[str, str]] = []
    stepped.on_death(lambda urn, name, reason: deaths.append((name, reason)))
    sturdy, fragile = stepped.spawn(Player, name="sturdy"), stepped.spawn(Fragile, name="fragile")
    sturdy.tell(Fail(KeyError))
    fragile.tell(Fail(SystemExit))
    with pytest.raises(KeyError):
        stepped.step()
    with pytest.raises(SystemExit):
        stepped.step()
    assert sturdy.is_alive()
    assert deaths == [("fragile", "SystemExit in Fail")]
    with pytest.raises(ZeroDivisionError):
        stepped.spawn(Player, ZeroDivisionError, name="stillborn")
    assert deaths[1:] == [("stillborn", "ZeroDivisionError in on_start")]


def test_a_handler_that_spawns_does_not_see_the_childs_error() -> None:
    """A stillborn child is reported by the step, while its parent's handler goes on as on real threads."""
    stepped = SteppedDispatcher()
    went_on: list[bool] = []

    class Parent(BaseActor):
        @handles(Note)
        def _on_note(self, message: Note) -> None:
            stepped.spawn(Player, ZeroDivisionError, name="stillborn")
            went_on.append(True)

    stepped.spawn(Parent, name="parent").tell(Note(1))
    with pytest.raises(ZeroDivisionError):
        stepped.step()
    assert went_on == [True]


def test_an_error_is_only_counted_when_not_strict() -> None:
    """Not strict, the stepped dispatcher behaves like the real one."""
    stepped = SteppedDispatcher(strict=False)
    ref = stepped.spawn(Player, name="a")
    ref.tell(Fail(KeyError))
    ref.tell(Unheard())
    stepped.run_until_idle()
    stats = stepped.stats()
    assert (stats.handler_errors, stats.unknown_messages, stats.deaths) == (1, 1, 0)


def test_a_message_without_a_handler_fails_the_test() -> None:
    """An unknown type is an AssertionError that names actor and message."""
    stepped = SteppedDispatcher()
    stepped.spawn(Player, name="a").tell(Unheard())
    with pytest.raises(AssertionError, match="Player has no handler for Unheard"):
        stepped.step()


def test_a_loop_of_messages_is_found() -> None:
    """Two actors that never come to rest use up the steps and are named."""
    stepped = SteppedDispatcher()
    first, second = stepped.spawn(Player, name="first"), stepped.spawn(Player, name="second")
    first.tell(Pass(second, 1_000_000))
    with pytest.raises(AssertionError, match="not idle after 50 steps"):
        stepped.run_until_idle(max_steps=50)


def test_reads_are_done_by_steps_and_deliver_outcomes() -> None:
    """A read waits where it can be seen; a step runs it and hands its value on."""
    stepped = SteppedDispatcher()
    outcomes: list[ReadOutcome] = []
    stepped.read(job("a", outcomes))
    stepped.read(job("b", outcomes))
    assert list(stepped.sources.waiting) == ["a", "b"]
    stepped.sources.finish("b")
    stepped.run_until_idle()
    assert [(outcome.source, outcome.value, outcome.failure) for outcome in outcomes] == [
        ("b", "facts of b", Failure.OK),
        ("a", "facts of a", Failure.OK),
    ]
    with pytest.raises(LookupError, match="no read of 'a'"):
        stepped.sources.finish("a")


def test_a_held_source_hangs_until_it_is_released_or_overruns() -> None:
    """Held reads don't move; released in time they are done, else they overrun at their deadline, once."""
    stepped = SteppedDispatcher()
    outcomes: list[ReadOutcome] = []
    stepped.sources.hold("slow")
    stepped.read(job("slow", outcomes))
    stepped.read(job("quick", outcomes))
    stepped.advance(4.0)
    assert [outcome.source for outcome in outcomes] == ["quick"]
    stepped.sources.release("slow")
    stepped.run_until_idle()
    assert [outcome.failure for outcome in outcomes] == [Failure.OK, Failure.OK]
    stepped.sources.hold("slow")
    stepped.read(job("slow", outcomes))
    stepped.advance(100.0)
    assert outcomes[2].failure is Failure.OVERRAN
    assert outcomes[2].took_s == 5.0
    assert stepped.sources.waiting == {}


@pytest.mark.parametrize(
    ("error", "failure", "text"),
    [
        (
            HomeError("/h/openclaw.json", "is torn", "Wait."),
            Failure.FAILED,
            "HomeError: /h/openclaw.json: is torn. Wait.",
        ),
        (SystemExit(3), Failure.RAISED_EXIT, "SystemExit"),
        (Failure.QUARANTINED, Failure.QUARANTINED, "scripted: quarantined"),
    ],
)
def test_a_read_can_be_made_to_fail(error: BaseException | Failure, failure: Failure, text: str) -> None:
    """A scripted failure is delivered as the pool would."""
    stepped = SteppedDispatcher()
    outcomes: list[ReadOutcome] = []
    stepped.read(job("a", outcomes))
    stepped.sources.fail("a", error)
    assert [(outcome.failure, outcome.error, outcome.value) for outcome in outcomes] == [(failure, text, None)]


def test_actors_are_stopped_at_once_and_in_order() -> None:
    """`stop_actors` needs no steps, drops what waits, and a stop reports what is left."""
    stepped = SteppedDispatcher()
    deaths: list[tuple[str, str]] = []
    stepped.on_death(lambda urn, name, reason: deaths.append((name, reason)))
    refs = [stepped.spawn(Player, name=name) for name in ("a", "b", "c")]
    refs[1].tell(Note(1))
    assert stepped.stop_actors([refs[1], refs[0], refs[1]]) == ()
    assert deaths == [("b", STOPPED), ("a", STOPPED)]
    assert stepped.stats().dropped_messages == 1
    outcomes: list[ReadOutcome] = []
    stepped.sources.hold("slow")
    stepped.read(job("slow", outcomes))
    report = stepped.stop()
    assert (report.live_actors, report.blocking_sources) == (("c",), ("slow",))
    with pytest.raises(NotRunningError):
        stepped.spawn(Player, name="late")


def test_the_clocks_move_as_told() -> None:
    """Advancing moves both clocks, a jump moves the date alone, and monotonic time can't go back."""
    clock = VirtualClock(epoch=1_000.0)
    start = clock.monotonic()
    clock.advance(5.0)
    clock.jump_epoch(-100.0)
    assert (clock.monotonic() - start, clock.epoch()) == (5.0, 905.0)
    with pytest.raises(ValueError, match="negative"):
        clock.advance(-1.0)


def test_the_stepped_dispatcher_is_a_dispatcher() -> None:
    """It satisfies the protocol that actors are given (checked by the type checker)."""
    general: Dispatcher = SteppedDispatcher()
    assert general.stop(0.0).clean
