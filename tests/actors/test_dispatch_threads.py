"""Actors on real threads: order, fairness, priority, ends."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec
import pykka
import pytest
from loguru import logger

from openclaw_actors.actors.base import STOPPED, BaseActor, Lane, handles, tell
from openclaw_actors.actors.dispatch import Dispatcher, StopReport, ThreadedDispatcher, stop_actors
from openclaw_actors.errors import NotRunningError
from openclaw_actors.reading.job import ReadJob

WAIT_S = 20.0


class Note(msgspec.Struct, frozen=True):
    sender: int
    number: int


class Urgent(msgspec.Struct, frozen=True):
    priority: ClassVar[bool] = True
    number: int


class Hold(msgspec.Struct, frozen=True):
    begun: threading.Event
    go_on: threading.Event


class Fail(msgspec.Struct, frozen=True):
    secret: str


class Report(msgspec.Struct, frozen=True):
    pass


class Unheard(msgspec.Struct, frozen=True):
    pass


class StopYourself(msgspec.Struct, frozen=True):
    dispatcher: Any
    others: tuple[Any, ...]


class Recorder(BaseActor):
    """Writes down what it gets, and whether it is ever entered twice at once."""

    def __init__(self, *, lane: Lane) -> None:
        super().__init__(lane=lane)
        self.seen: list[object] = []
        self.inside = threading.Lock()
        self.entered_twice = False
        self.threads: set[str] = set()
        self.errors: list[str] = []
        self.left: list[int] = []

    @handles(Note, Urgent)
    def _on_note(self, message: Note | Urgent) -> None:
        if not self.inside.acquire(blocking=False):
            self.entered_twice = True
            return
        self.threads.add(threading.current_thread().name)
        self.seen.append(message)
        self.inside.release()

    @handles(Hold)
    def _on_hold(self, message: Hold) -> None:
        message.begun.set()
        message.go_on.wait(WAIT_S)

    @handles(Fail)
    def _on_fail(self, message: Fail) -> None:
        raise RuntimeError(message.secret)

    @handles(Report)
    def _on_report(self, message: Report) -> tuple[object, ...]:
        return tuple(self.seen)

    @handles(StopYourself)
    def _on_stop_yourself(self, message: StopYourself) -> None:
        self.left.append(len(message.dispatcher.stop_actors([self.actor_ref, *message.others], 0.2)))

    def _on_handler_error(self, message: object, error: BaseException) -> None:
        self.errors.append(type(error).__name__)


class Fragile(Recorder):
    die_on_error = True


@pytest.fixture
def dispatcher() -> Iterator[ThreadedDispatcher]:
    made = ThreadedDispatcher()
    yield made
    made.stop_actors(pykka.ActorRegistry.get_by_class(Recorder), WAIT_S)
    assert made.stop(WAIT_S).clean
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("openclaw-")]


@pytest.fixture
def logs() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda text: lines.append(str(text)), format="{message} {extra}", level=0, diagnose=True)
    logger.enable("openclaw_actors")
    yield lines
    logger.disable("openclaw_actors")
    logger.remove(sink)


def actor_of(ref: pykka.ActorRef[Recorder]) -> Recorder:
    actor = ref._actor_weakref()
    assert actor is not None
    return actor


def test_many_producers_to_many_pooled_actors_lose_nothing_and_keep_each_order(dispatcher: ThreadedDispatcher) -> None:
    """8 producers x 50 actors x 400 messages: all arrive, each sender's in order, no actor is entered twice at once."""
    refs = [dispatcher.spawn(Recorder, pooled=True, name=f"agent-{number}") for number in range(50)]
    actors = [actor_of(ref) for ref in refs]

    def produce(sender: int) -> None:
        for number in range(400):
            for ref in refs:
                ref.tell(Note(sender, number))

    producers = [threading.Thread(target=produce, args=(sender,)) for sender in range(8)]
    for producer in producers:
        producer.start()
    for producer in producers:
        producer.join(WAIT_S)
    for ref, actor in zip(refs, actors, strict=True):
        seen: Any = ref.ask(Report(), timeout=WAIT_S)
        by_sender: dict[int, list[int]] = defaultdict(list)
        for note in seen:
            by_sender[note.sender].append(note.number)
        assert by_sender == {sender: list(range(400)) for sender in range(8)}
        assert not actor.entered_twice
        assert actor.threads == {"openclaw-agents"}


@pytest.mark.parametrize("pooled", [False, True])
def test_priority_messages_overtake_and_keep_their_order(dispatcher: ThreadedDispatcher, pooled: bool) -> None:
    """Messages whose class says so go before all others that wait, in the order in which they were sent."""
    begun, go_on = threading.Event(), threading.Event()
    ref = dispatcher.spawn(Recorder, pooled=pooled, name="a")
    ref.tell(Hold(begun, go_on))
    assert begun.wait(WAIT_S)
    for message in (Note(0, 1), Note(0, 2), Urgent(1), Note(0, 3), Urgent(2)):
        ref.tell(message)
    go_on.set()
    assert ref.ask(Report(), timeout=WAIT_S) == (Urgent(1), Urgent(2), Note(0, 1), Note(0, 2), Note(0, 3))


def test_a_busy_pooled_actor_does_not_starve_its_neighbour(dispatcher: ThreadedDispatcher) -> None:
    """After its batch an actor goes to the tail: a neighbour's one message is handled long before the flood is over."""
    begun, go_on = threading.Event(), threading.Event()
    busy = dispatcher.spawn(Recorder, pooled=True, name="busy")
    quiet = dispatcher.spawn(Recorder, pooled=True, name="quiet")
    seen_then: list[int] = []
    busy_actor = actor_of(busy)

    class Peek(Recorder):
        @handles(Urgent)
        def _on_urgent(self, message: Urgent) -> None:
            seen_then.append(len(busy_actor.seen))

    peek = dispatcher.spawn(Peek, pooled=True, name="peek")
    quiet.tell(Hold(begun, go_on))
    assert begun.wait(WAIT_S)
    for number in range(1_000):
        busy.tell(Note(0, number))
    peek.tell(Urgent(0))
    go_on.set()
    peek.ask(Report(), timeout=WAIT_S)
    assert seen_then[0] <= 16
    busy.ask(Report(), timeout=WAIT_S)
    assert len(busy_actor.seen) == 1_000


def test_each_actor_of_its_own_has_a_named_daemon_thread(dispatcher: ThreadedDispatcher) -> None:
    """Threads are named after what runs on them, and none keeps the process alive."""
    ref = dispatcher.spawn(Recorder, name="warmer")
    ref.tell(Note(0, 0))
    ref.ask(Report(), timeout=WAIT_S)
    assert actor_of(ref).threads == {"openclaw-warmer"}
    assert all(thread.daemon for thread in threading.enumerate() if thread.name.startswith("openclaw-"))


@pytest.mark.parametrize("pooled", [False, True])
def test_stopping_in_the_middle_of_a_flood_is_quick_and_complete(dispatcher: ThreadedDispatcher, pooled: bool) -> None:
    """A stop overtakes the backlog while senders go on; every sender then learns that the actor is gone."""
    refs = [dispatcher.spawn(Recorder, pooled=pooled, name=f"a{number}") for number in range(5)]
    flowing = threading.Barrier(4)

    def flood() -> None:
        for ref in refs:
            tell(ref, Note(0, 0))
        flowing.wait(WAIT_S)
        while any([tell(ref, Note(0, 1)) for ref in refs]):
            pass

    senders = [threading.Thread(target=flood) for _ in range(3)]
    for sender in senders:
        sender.start()
    flowing.wait(WAIT_S)
    assert dispatcher.stop_actors(refs, WAIT_S) == ()
    for sender in senders:
        sender.join(WAIT_S)
    assert not any(sender.is_alive() for sender in senders)
    assert dispatcher.stats().deaths == 5
    assert all(len(ref.actor_inbox) == 0 for ref in refs)  # type: ignore[arg-type]


def test_actors_are_stopped_in_the_given_order(dispatcher: ThreadedDispatcher) -> None:
    """Whoever is named first has ended before the next is asked."""
    order: list[str] = []
    dispatcher.on_death(lambda urn, name, reason: order.append(name))
    refs = [dispatcher.spawn(Recorder, name=name) for name in ("a", "b", "c")]
    assert dispatcher.stop_actors([refs[1], refs[2], refs[0]], WAIT_S) == ()
    assert order == ["b", "c", "a"]


def test_one_stuck_actor_does_not_keep_the_others_from_stopping(dispatcher: ThreadedDispatcher) -> None:
    """The deadline holds for all together; the stuck one is returned and stops when its handler does."""
    begun, go_on = threading.Event(), threading.Event()
    stuck, fine = dispatcher.spawn(Recorder, name="stuck"), dispatcher.spawn(Recorder, name="fine")
    stuck.tell(Hold(begun, go_on))
    assert begun.wait(WAIT_S)
    assert dispatcher.stop_actors([stuck, fine], 0.4) == (stuck,)
    assert not fine.is_alive()
    report = dispatcher.stop(0.0)
    assert report == StopReport(live_actors=("stuck",))
    go_on.set()
    assert stuck.actor_stopped.wait(WAIT_S)


@pytest.mark.parametrize("pooled", [False, True])
def test_an_actor_may_stop_itself_and_others_without_a_deadlock(dispatcher: ThreadedDispatcher, pooled: bool) -> None:
    """On an actor's own thread a stop doesn't wait for what that thread would have to do; it happens afterwards."""
    first, second = (dispatcher.spawn(Recorder, pooled=pooled, name=name) for name in ("first", "second"))
    actor = actor_of(first)
    ended = threading.Semaphore(0)
    dispatcher.on_death(lambda urn, name, reason: ended.release())
    first.tell(StopYourself(dispatcher, (second,)))
    assert ended.acquire(timeout=WAIT_S)
    assert ended.acquire(timeout=WAIT_S)
    assert not first.is_alive()
    assert not second.is_alive()
    assert actor.left == [2 if pooled else 1]


def test_an_error_is_counted_survived_and_logged_without_values(
    dispatcher: ThreadedDispatcher, logs: list[str]
) -> None:
    """A handler's error leaves its type and its place in the log, no message text and no local value."""
    ref = dispatcher.spawn(Recorder, name="a")
    ref.tell(Fail("sk-canary-1234567890"))
    ref.tell(Note(0, 0))
    assert ref.ask(Report(), timeout=WAIT_S) == (Note(0, 0),)
    assert actor_of(ref).errors == ["RuntimeError"]
    assert dispatcher.stats().handler_errors == 1
    text = "".join(logs)
    assert "RuntimeError" in text
    assert "_on_fail" in text
    assert "canary" not in text


@pytest.mark.parametrize("pooled", [False, True])
def test_an_actor_that_dies_of_an_error_is_reported_with_a_reason(dispatcher: ThreadedDispatcher, pooled: bool) -> None:
    """With `die_on_error` the listener gets urn, name and a reason without values, and the backlog is counted."""
    deaths: list[tuple[str, str, str]] = []
    died = threading.Event()

    def note(urn: str, name: str, reason: str) -> None:
        deaths.append((urn, name, reason))
        died.set()

    dispatcher.on_death(note)
    begun, go_on = threading.Event(), threading.Event()
    ref = dispatcher.spawn(Fragile, pooled=pooled, name="fragile")
    ref.tell(Hold(begun, go_on))
    assert begun.wait(WAIT_S)
    for message in (Fail("sk-canary"), Note(0, 1), Note(0, 2)):
        ref.tell(message)
    go_on.set()
    assert died.wait(WAIT_S)
    assert deaths == [(ref.actor_urn, "fragile", "RuntimeError in Fail")]
    assert dispatcher.stats().dropped_messages == 2


def test_a_listener_that_fails_harms_nobody(dispatcher: ThreadedDispatcher) -> None:
    """A throwing listener is counted; the next listener and the other actors of the lane go on."""
    reasons: list[str] = []

    def broken(urn: str, name: str, reason: str) -> None:
        raise ValueError("on purpose")

    dispatcher.on_death(broken)
    dispatcher.on_death(lambda urn, name, reason: reasons.append(reason))
    first, second = (dispatcher.spawn(Recorder, pooled=True, name=name) for name in "ab")
    assert dispatcher.stop_actors([first], WAIT_S) == ()
    assert second.ask(Report(), timeout=WAIT_S) == ()
    assert reasons == [STOPPED]


def test_a_message_without_a_handler_is_counted_and_warned_of_once(
    dispatcher: ThreadedDispatcher, logs: list[str]
) -> None:
    """Unknown messages never kill; an ask of one is refused by name."""
    ref = dispatcher.spawn(Recorder, name="a")
    for _ in range(3):
        ref.tell(Unheard())
    with pytest.raises(LookupError, match="Unheard"):
        ref.ask(Unheard(), timeout=WAIT_S)
    assert dispatcher.stats().unknown_messages == 4
    assert len([line for line in logs if "no handler for" in line]) == 1


def test_ten_thousand_pooled_actors_start_and_stop_in_linear_time(dispatcher: ThreadedDispatcher) -> None:
    """10,000 actors on one thread: all start, all are told, all stop in reverse order, well within the deadline."""
    refs = [dispatcher.spawn(Recorder, pooled=True, name=f"agent-{number}") for number in range(10_000)]
    for ref in refs:
        ref.tell(Note(0, 0))
    assert refs[-1].ask(Report(), timeout=WAIT_S) == (Note(0, 0),)
    assert dispatcher.stop_actors(reversed(refs), 10.0) == ()
    assert dispatcher.stats().deaths == 10_000


def test_stop_leaves_no_thread_and_ends_the_actors_of_the_shared_lane() -> None:
    """After `stop` the lane's actors are dead, their asks answered, and a second stop changes nothing."""
    dispatcher = ThreadedDispatcher()
    reasons: list[str] = []
    delivered = threading.Event()
    dispatcher.on_death(lambda urn, name, reason: reasons.append(reason))
    ref = dispatcher.spawn(Recorder, pooled=True, name="a")
    dispatcher.tell_later(60.0, ref, Note(0, 0))
    dispatcher.read(ReadJob("s", lambda: 1, lambda outcome: delivered.set(), 5.0))
    assert delivered.wait(WAIT_S)
    assert dispatcher.stop(WAIT_S).clean
    assert reasons == ["its lane was stopped"]
    with pytest.raises(pykka.ActorDeadError):
        ref.ask(Report(), timeout=WAIT_S)
    assert dispatcher.stop(WAIT_S).clean
    with pytest.raises(NotRunningError):
        dispatcher.spawn(Recorder, name="late")
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("openclaw-")]


def test_a_stopped_actor_is_not_kept_alive(dispatcher: ThreadedDispatcher) -> None:
    """Lanes let go of the dead: no cycle keeps an actor and its facts until the garbage collector comes by."""
    ref = dispatcher.spawn(Recorder, pooled=True, name="a")
    assert dispatcher.stop_actors([ref], WAIT_S) == ()
    other = dispatcher.spawn(Recorder, pooled=True, name="b")
    other.ask(Report(), timeout=WAIT_S)  # the lane has moved on from the dead actor's turn
    assert ref._actor_weakref() is None


def test_handlers_are_inherited_overridden_by_name_and_unique() -> None:
    """A subclass keeps its base's handlers, may override the method without declaring it, and can't declare two."""

    class Child(Recorder):
        def _on_fail(self, message: Fail) -> None:
            self.seen.append(message)

    assert Child._handlers[Fail] is Child._on_fail
    assert Child._handlers[Note] is Recorder._on_note
    with pytest.raises(TypeError, match="_on_one and in _on_two"):

        class Twice(BaseActor):
            @handles(Note)
            def _on_one(self, message: Note) -> None: ...

            @handles(Note)
            def _on_two(self, message: Note) -> None: ...


def test_the_threaded_dispatcher_is_a_dispatcher(dispatcher: ThreadedDispatcher) -> None:
    """It satisfies the protocol that actors are given (checked by the type checker), and stop_actors works alone."""
    general: Dispatcher = dispatcher
    ref = general.spawn(Recorder, name="a")
    assert stop_actors([ref], WAIT_S) == ()
    assert stop_actors([ref], WAIT_S) == ()
