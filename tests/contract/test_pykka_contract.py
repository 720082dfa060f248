"""Facts of pykka that the actors lean on, and where ours behave otherwise on purpose."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec
import pykka
import pykka._envelope
import pykka.messages
import pytest

from openclaw_actors.actors.base import STOPPED, BaseActor, Lane, handles, tell
from openclaw_actors.actors.dispatch import ThreadedDispatcher
from openclaw_actors.actors.inbox import Inbox

WAIT_S = 5.0


class Raise(msgspec.Struct, frozen=True):
    kind: type[BaseException]


class Ping(msgspec.Struct, frozen=True):
    pass


class Hold(msgspec.Struct, frozen=True):
    begun: threading.Event
    go_on: threading.Event


class Upstream(pykka.ThreadingActor):
    """An actor as pykka makes them."""

    use_daemon_thread: ClassVar[bool] = True

    def __init__(self, fail_at_start: bool = False) -> None:
        super().__init__()
        self.fail_at_start = fail_at_start
        self.failures = 0
        self.pings = 0

    def on_start(self) -> None:
        if self.fail_at_start:
            raise ValueError("on purpose")

    def on_failure(self, *_: Any) -> None:
        self.failures += 1

    def on_receive(self, message: Any) -> Any:
        if isinstance(message, Raise):
            raise message.kind
        if isinstance(message, Hold):
            message.begun.set()
            message.go_on.wait(WAIT_S)
        if isinstance(message, Ping):
            self.pings += 1
        return "pong"


class Ours(BaseActor):
    """The same actor as this package makes them."""

    def __init__(self, fail_at_start: type[BaseException] | None = None, *, lane: Lane) -> None:
        super().__init__(lane=lane)
        self.fail_at_start = fail_at_start
        self.failures: list[str] = []
        self.pings = 0
        self.stops = 0

    def on_start(self) -> None:
        if self.fail_at_start is not None:
            raise self.fail_at_start

    def on_failure(self, exception_type: type[BaseException] | None, *_: Any) -> None:
        assert exception_type is not None
        self.failures.append(exception_type.__name__)

    def on_stop(self) -> None:
        self.stops += 1

    @handles(Raise)
    def _on_raise(self, message: Raise) -> None:
        raise message.kind

    @handles(Ping)
    def _on_ping(self, message: Ping) -> str:
        self.pings += 1
        return "pong"

    @handles(Hold)
    def _on_hold(self, message: Hold) -> None:
        message.begun.set()
        message.go_on.wait(WAIT_S)


class Fragile(Ours):
    die_on_error = True


@pytest.fixture
def dispatcher() -> Iterator[ThreadedDispatcher]:
    made = ThreadedDispatcher()
    yield made
    made.stop_actors([ref for ref in pykka.ActorRegistry.get_all() if issubclass(ref.actor_class, Ours)], WAIT_S)
    assert made.stop(WAIT_S).clean
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("openclaw-")]


@pytest.fixture
def bystander() -> Iterator[pykka.ActorRef[Upstream]]:
    ref = Upstream.start()
    yield ref
    ref.stop(timeout=WAIT_S)


def test_the_private_names_we_use_are_there() -> None:
    """Everything underscored that the package touches exists and has the shape it relies on."""
    envelope = pykka._envelope.Envelope("message", reply_to=None)
    assert (envelope.message, envelope.reply_to) == ("message", None)
    assert pykka.messages._ActorStop() == ()
    for name in ("_create_actor_inbox", "_create_future", "_start_actor_loop", "_stop"):
        assert callable(getattr(pykka.Actor, name))
    assert isinstance(pykka.ActorRegistry._actor_refs, list)
    assert type(pykka.ActorRegistry._actor_refs_lock) is type(threading.RLock())
    assert set(pykka.Actor.__abstractmethods__) == {"_create_actor_inbox", "_create_future", "_start_actor_loop"}


def test_a_ref_shares_the_inbox_and_only_puts(dispatcher: ThreadedDispatcher) -> None:
    """A ref holds the actor's own inbox and stopped flag, so what a lane binds to the inbox is seen by all senders."""
    ref = dispatcher.spawn(Ours, name="a")
    actor = ref._actor_weakref()
    assert actor is not None
    assert ref.actor_inbox is actor.actor_inbox
    assert isinstance(ref.actor_inbox, Inbox)
    assert ref.actor_stopped is actor.actor_stopped


def test_upstream_a_failing_start_calls_no_failure_hook() -> None:
    """pykka says nothing when `on_start` fails: the actor is just dead."""
    ref = Upstream.start(fail_at_start=True)
    actor = ref._actor_weakref()
    assert ref.actor_stopped.wait(WAIT_S)
    assert actor is None or actor.failures == 0


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("kind", [ValueError, SystemExit])
def test_ours_a_failing_start_is_a_failure_and_a_notice(
    dispatcher: ThreadedDispatcher, pooled: bool, kind: type[BaseException]
) -> None:
    """A failing `on_start` runs the failure hook and is reported with its type."""
    deaths: list[tuple[str, str, str]] = []
    died = threading.Event()

    def note(urn: str, name: str, reason: str) -> None:
        deaths.append((urn, name, reason))
        died.set()

    dispatcher.on_death(note)
    ref = dispatcher.spawn(Ours, kind, pooled=pooled, name="a")
    assert died.wait(WAIT_S)
    assert deaths == [(ref.actor_urn, "a", f"{kind.__name__} in on_start")]
    assert not tell(ref, Ping())


def test_upstream_a_base_exception_stops_every_actor_of_the_process(bystander: pykka.ActorRef[Upstream]) -> None:
    """pykka answers a SystemExit in one actor by stopping all, which is why no such thing may leave our handlers."""
    other = Upstream.start()
    other.tell(Raise(SystemExit))
    assert bystander.actor_stopped.wait(WAIT_S)
    assert other.actor_stopped.wait(WAIT_S)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])
@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("actor_class", [Ours, Fragile])
def test_ours_a_base_exception_is_one_failure_of_one_actor(
    dispatcher: ThreadedDispatcher,
    bystander: pykka.ActorRef[Upstream],
    kind: type[BaseException],
    pooled: bool,
    actor_class: type[Ours],
) -> None:
    """What isn't an Exception ends at most the actor it was raised in; everybody else lives, the host's actors too."""
    died = threading.Event()
    dispatcher.on_death(lambda urn, name, reason: died.set() if name == "a" else None)
    ref = dispatcher.spawn(actor_class, pooled=pooled, name="a")
    neighbour = dispatcher.spawn(Ours, pooled=pooled, name="b")
    ref.tell(Raise(kind))
    if actor_class is Fragile:
        assert died.wait(WAIT_S)
        assert not ref.is_alive()
    else:
        assert ref.ask(Ping(), timeout=WAIT_S) == "pong"
    assert neighbour.ask(Ping(), timeout=WAIT_S) == "pong"
    assert bystander.ask(Ping(), timeout=WAIT_S) == "pong"
    assert dispatcher.stats().handler_errors == 1


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, asyncio.CancelledError])
def test_ours_an_ask_is_answered_when_a_base_exception_is_raised(
    dispatcher: ThreadedDispatcher, kind: type[BaseException]
) -> None:
    """The asker gets an ordinary exception: upstream it would wait for ever, and a SystemExit would end it too."""
    ref = dispatcher.spawn(Ours, name="a")
    with pytest.raises(pykka.ActorDeadError, match=kind.__name__):
        ref.ask(Raise(kind), timeout=WAIT_S)


def test_an_ask_gets_the_exception_and_the_policy_is_the_same_as_for_a_tell(dispatcher: ThreadedDispatcher) -> None:
    """Upstream the actor survives an asked error and dies of a told one; ours goes by its class."""
    upstream = Upstream.start()
    with pytest.raises(ValueError):  # noqa: PT011  # the bare class is what was raised
        upstream.ask(Raise(ValueError), timeout=WAIT_S)
    assert upstream.ask(Ping(), timeout=WAIT_S) == "pong"
    upstream.tell(Raise(ValueError))
    assert upstream.actor_stopped.wait(WAIT_S)
    fragile = dispatcher.spawn(Fragile, name="fragile")
    with pytest.raises(ValueError):  # noqa: PT011  # the bare class is what was raised
        fragile.ask(Raise(ValueError), timeout=WAIT_S)
    assert fragile.actor_stopped.wait(WAIT_S)
    sturdy = dispatcher.spawn(Ours, name="sturdy")
    sturdy.tell(Raise(ValueError))
    assert sturdy.ask(Ping(), timeout=WAIT_S) == "pong"


def test_a_tell_to_a_dead_actor_raises_and_ours_has_a_safe_one(dispatcher: ThreadedDispatcher) -> None:
    """`ref.tell` raises ActorDeadError in the sender, upstream and here; `tell` says False."""
    upstream = Upstream.start()
    ours = dispatcher.spawn(Ours, name="a")
    for ref in (upstream, ours):
        assert tell(ref, Ping())
        ref.stop(timeout=WAIT_S)
        with pytest.raises(pykka.ActorDeadError):
            ref.tell(Ping())
        assert not tell(ref, Ping())


def test_upstream_a_stop_waits_for_the_backlog_and_ours_does_not(dispatcher: ThreadedDispatcher) -> None:
    """pykka handles what was sent before a stop; here the stop is handled first and the backlog is dropped, counted."""
    pings = []
    for start in (Upstream.start, lambda: dispatcher.spawn(Ours, name="a")):
        begun, go_on = threading.Event(), threading.Event()
        ref = start()
        actor = ref._actor_weakref()
        assert actor is not None
        ref.tell(Hold(begun, go_on))
        assert begun.wait(WAIT_S)
        for _ in range(20):
            ref.tell(Ping())
        stopped = ref.stop(block=False)
        go_on.set()
        assert stopped.get(timeout=WAIT_S)
        pings.append(actor.pings)
    assert pings == [20, 0]
    assert dispatcher.stats().dropped_messages == 20


def test_asks_that_wait_at_a_stop_are_answered(dispatcher: ThreadedDispatcher) -> None:
    """An ask in the backlog gets ActorDeadError, a second stop gets its answer: nothing is left unresolved."""
    begun, go_on = threading.Event(), threading.Event()
    ref = dispatcher.spawn(Ours, name="a")
    ref.tell(Hold(begun, go_on))
    assert begun.wait(WAIT_S)
    asked = ref.ask(Ping(), block=False)
    stops = [ref.stop(block=False), ref.stop(block=False)]
    go_on.set()
    assert [stop.get(timeout=WAIT_S) for stop in stops] == [True, True]
    with pytest.raises(pykka.ActorDeadError):
        asked.get(timeout=WAIT_S)


def test_an_ask_that_slips_in_while_the_actor_dies_is_answered(dispatcher: ThreadedDispatcher) -> None:
    """The ref checks for life and then puts; an envelope put in between is refused by the closed inbox, not lost."""
    ref = dispatcher.spawn(Ours, name="a")
    ref.stop(timeout=WAIT_S)
    future: pykka.Future[Any] = pykka.ThreadingFuture()
    ref.actor_inbox.put(pykka._envelope.Envelope(Ping(), reply_to=future))
    with pytest.raises(pykka.ActorDeadError):
        future.get(timeout=WAIT_S)
    with pytest.raises(pykka.ActorDeadError):
        ref.actor_inbox.put(pykka._envelope.Envelope(Ping()))


def test_only_actors_with_a_thread_of_their_own_are_registered(dispatcher: ThreadedDispatcher) -> None:
    """pykka's registry is a list with a linear removal: the few are in it while they live, the many never are."""
    own = dispatcher.spawn(Ours, name="own")
    pooled = dispatcher.spawn(Ours, pooled=True, name="pooled")
    assert own in pykka.ActorRegistry.get_all()
    assert pooled not in pykka.ActorRegistry.get_all()
    assert dispatcher.stop_actors([own, pooled], WAIT_S) == ()
    assert own not in pykka.ActorRegistry.get_all()


def test_the_hosts_stop_all_stops_ours_without_blocking(dispatcher: ThreadedDispatcher) -> None:
    """A host that stops all pykka actors reaches our registered ones, which report an asked-for end."""
    reasons: list[str] = []
    dispatcher.on_death(lambda urn, name, reason: reasons.append(reason))
    dispatcher.spawn(Ours, name="own")
    pykka.ActorRegistry.stop_all(timeout=WAIT_S)
    assert reasons == [STOPPED]


def test_on_stop_runs_once_at_every_kind_of_end(dispatcher: ThreadedDispatcher) -> None:
    """Watches are closed in `on_stop`, so it runs after a failure as well, behind `on_failure`."""
    asked_for, failed = dispatcher.spawn(Ours, name="a"), dispatcher.spawn(Fragile, name="b")
    actors = [ref._actor_weakref() for ref in (asked_for, failed)]
    failed.tell(Raise(ValueError))
    asked_for.stop(timeout=WAIT_S)
    assert failed.actor_stopped.wait(WAIT_S)
    dispatcher.stop_actors([failed], WAIT_S)
    assert [(actor.stops, actor.failures) for actor in actors if actor is not None] == [(1, []), (1, ["ValueError"])]
