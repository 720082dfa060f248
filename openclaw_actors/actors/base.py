"""What every actor is: a pykka actor that declares its handlers, survives them, and runs on any lane.

pykka's own loop isn't used, only its actors, refs, envelopes and futures. Three things in that loop are wrong for a
guest in somebody else's process (measured with pykka 4.5): a SystemExit, KeyboardInterrupt or CancelledError in one
handler stops every pykka actor of the process, the host's too, and leaves an `ask` without an answer; an exception
after a `tell` kills the actor while the same exception after an `ask` doesn't; a failing `on_start` dies without a
word. Here each of these is one failure of one actor, with one policy.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any, ClassVar, Protocol, Self, TypeVar, cast

import pykka
from pykka._envelope import Envelope
from pykka.messages import _ActorStop

from openclaw_actors.actors.inbox import Inbox
from openclaw_actors.forking import call_in_children
from openclaw_actors.log import log
from openclaw_actors.reading.job import describe_error, places

STOPPED = "stopped"
"""The reason of an end that somebody asked for."""

_HANDLES = "_handles_message_types"
_Handler = TypeVar("_Handler", bound=Callable[..., Any])


class Lane(Protocol):
    """Where one actor runs: made by a dispatcher for this actor, told by the actor what becomes of it."""

    @property
    def name(self) -> str:
        """What the actor is called in logs, thread names and notices of death."""
        ...

    @property
    def registered(self) -> bool:
        """Whether the actor is listed in pykka's registry, whose removal takes time in proportion to its length."""
        ...

    def enter(self, actor: BaseActor) -> None:
        """Begin to run the actor: `run_start` first, then `run_one` per envelope, never two at once."""
        ...

    def failed(self, error: BaseException) -> None:
        """Take note of an error that left a handler; called on the lane's thread."""
        ...

    def unknown(self, message_type: type) -> None:
        """Take note of a message that the actor has no handler for; called on the lane's thread."""
        ...

    def died(self, urn: str, name: str, reason: str, dropped: int) -> None:
        """Take note of the actor's end and of the number of messages that it never saw; called once."""
        ...


def handles(*message_types: type) -> Callable[[_Handler], _Handler]:
    """Declare that a method handles these message types: exactly these, not their subclasses."""

    def mark(method: _Handler) -> _Handler:
        setattr(method, _HANDLES, message_types)
        return method

    return mark


def tell(ref: pykka.ActorRef[Any], message: object) -> bool:
    """Send a message and return whether the actor was there to accept it; never raises, from any thread.

    A bare `ref.tell` to a dead actor raises in the sender, so one death would spread.
    """
    try:
        ref.tell(message)
    except pykka.ActorDeadError:
        return False
    return True


class _Flag:
    """As much of a `threading.Event` as pykka asks of an actor's end: nobody waits for it."""

    __slots__ = ("_is_set",)

    def __init__(self) -> None:
        self._is_set = False

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True


_URNS = itertools.count(1)


class BaseActor(pykka.Actor):
    """An actor of this package.

    Subclasses take `lane` and their own arguments in `__init__`, which only stores them (it runs on the caller's
    thread), and mark their methods with `@handles(MessageType)`. What a handler returns answers an `ask`.

    Whatever leaves a handler, an Exception or not, is logged without values, counted, given to `_on_handler_error`, and
    then either survived or, with `die_on_error`, the actor's end. An `ask` gets an Exception as it was raised and
    anything else as `pykka.ActorDeadError`, so that a SystemExit doesn't end the asker.

    `on_stop` runs at every end of life, also after a failure (`on_failure` runs before it then) and also when
    `on_start` didn't get far: watches and alarms are closed in one place.
    """

    die_on_error: ClassVar[bool] = False
    """Whether an error in a handler ends the actor; by default it lives on with the next message."""

    _handlers: ClassVar[dict[type, Callable[[Any, Any], Any]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        names: dict[type, str] = {}
        for level in reversed(cls.__mro__):
            here: dict[type, str] = {}
            for name, member in vars(level).items():
                for message_type in getattr(member, _HANDLES, ()):
                    if message_type in here:
                        text = f"{level.__name__} handles {message_type.__name__} in {here[message_type]} and in {name}"
                        raise TypeError(text)
                    here[message_type] = name
            names |= here
        # by name, so that a subclass may override a handler without declaring it again
        cls._handlers = {message_type: getattr(cls, name) for message_type, name in names.items()}

    def __init__(self, *, lane: Lane) -> None:
        if lane.registered:
            super().__init__()
        else:
            # what pykka's own `__init__` makes, for a tenth of its time and memory: there are thousands of these
            self.actor_urn = f"urn:openclaw-actor:{next(_URNS)}"
            self.actor_inbox = self._create_actor_inbox()
            self.actor_stopped = cast("threading.Event", _Flag())
            self._actor_ref = pykka.ActorRef(self)
        self._lane = lane

    @classmethod
    def start(cls, *args: Any, **kwargs: Any) -> pykka.ActorRef[Self]:
        """Make the actor and hand it to its lane; dispatchers call this, everybody else calls `Dispatcher.spawn`."""
        actor = cls(*args, **kwargs)
        ref = actor.actor_ref
        if actor._lane.registered:
            pykka.ActorRegistry.register(ref)
        actor._start_actor_loop()
        return ref

    @property
    def name(self) -> str:
        """What the actor is called; not unique over time, unlike `actor_urn`."""
        return self._lane.name

    @property
    def inbox(self) -> Inbox:
        """What waits for the actor."""
        return cast("Inbox", self.actor_inbox)

    # what lanes call

    def run_start(self) -> None:
        """Run `on_start`; an error in it ends the actor like any other."""
        try:
            self.on_start()
        except BaseException as error:
            self._note(error, "on_start")
            self._end(f"{describe_error(error)} in on_start", error)

    def run_one(self, envelope: Envelope[Any]) -> None:
        """Handle one envelope; whatever the handler raises stays in here."""
        message = envelope.message
        message_type = type(message)
        reply_to = envelope.reply_to
        if message_type is _ActorStop:
            self._end(STOPPED)
            if reply_to is not None:
                reply_to.set(None)
            return
        handler = self._handlers.get(message_type)
        if handler is None:
            self._lane.unknown(message_type)
            if reply_to is not None:
                refusal = LookupError(f"{type(self).__name__} has no handler for {message_type.__name__}")
                reply_to.set_exception((LookupError, refusal, None))
            return
        try:
            answer = handler(self, message)
        except BaseException as error:
            # not Exception alone: a source that calls sys.exit() would otherwise end this thread and the host's actors
            self._note(error, message_type.__name__)
            if reply_to is not None:
                told = error if isinstance(error, Exception) else pykka.ActorDeadError(describe_error(error))
                reply_to.set_exception((type(told), told, told.__traceback__))
            self._contained("_on_handler_error", self._on_handler_error, message, error)
            if self.die_on_error:
                self._end(f"{describe_error(error)} in {message_type.__name__}", error)
        else:
            if reply_to is not None:
                reply_to.set(answer)

    def run_end(self, reason: str) -> None:
        """End the actor without a message, because its lane ends."""
        self._end(reason)

    # for subclasses

    def _on_handler_error(self, message: object, error: BaseException) -> None:
        """React to an error that left the handler of this message; runs before `die_on_error` is looked at."""

    # what pykka calls

    @staticmethod
    def _create_actor_inbox() -> Inbox:
        return Inbox()

    @staticmethod
    def _create_future() -> pykka.Future[Any]:
        return pykka.ThreadingFuture()

    def _start_actor_loop(self) -> None:
        self._lane.enter(self)

    def _stop(self) -> None:
        self._end(STOPPED)

    # endings

    def _end(self, reason: str, error: BaseException | None = None) -> None:
        if self.actor_stopped.is_set():
            return
        if self._lane.registered:
            pykka.ActorRegistry.unregister(self.actor_ref)
        self.actor_stopped.set()
        if error is not None:
            self._contained("on_failure", self.on_failure, type(error), error, error.__traceback__)
        self._contained("on_stop", self.on_stop)
        dropped = self.inbox.close()
        self._lane.died(self.actor_urn, self._lane.name, reason, dropped)

    def _contained(self, what: str, hook: Callable[..., object], *args: object) -> None:
        try:
            hook(*args)
        except BaseException as error:
            self._note(error, what)

    def _note(self, error: BaseException, what: str) -> None:
        log.bind(actor=self._lane.name, handling=what, error=describe_error(error), at=places(error)).error(
            "an actor's handler failed"
        )
        self._lane.failed(error)


def _leave_registry() -> None:
    """Take this package's actors out of a forked child's registry: they have no thread there, and the child's own
    `stop_all()` would wait for them for ever. Its lock may be held by a thread that is not there either.
    """
    registry: Any = pykka.ActorRegistry
    registry._actor_refs_lock = threading.RLock()
    registry._actor_refs = [ref for ref in registry._actor_refs if not issubclass(ref.actor_class, BaseActor)]


call_in_children(_leave_registry)
