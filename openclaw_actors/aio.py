"""The asyncio face: awaitable twins of what blocks, the stream of changes, and the gap of the embedder's own loop.

The only module that imports asyncio. Nothing here blocks a loop and no pykka future reaches it: a pykka future that is
awaited blocks the loop until it is done (measured: 505 ms for a 500 ms reply).
"""

from __future__ import annotations

import asyncio
import threading
import time
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Self, TypeVar, final

import msgspec

from openclaw_actors.auth.verdict import Verdict
from openclaw_actors.changes import Change
from openclaw_actors.credential import Credential
from openclaw_actors.errors import CredentialError
from openclaw_actors.home.providers import normalise_provider
from openclaw_actors.ids import Generation

if TYPE_CHECKING:
    from openclaw_actors.notifier import Notifier
    from openclaw_actors.supervisor import AuthSupervisor

T = TypeVar("T")

_TICK_S = 0.01
"""How often the loop's gap is looked at, in seconds: OpenClaw's histogram has the same resolution (formats 6.3)."""


@final
class Aio:
    """Awaitable twins of what blocks; made by `AuthSupervisor.aio`. Each may be used on any event loop."""

    def __init__(self, supervisor: AuthSupervisor) -> None:
        self._supervisor = supervisor

    async def wait_warm(self, timeout_s: float | None = None) -> bool:
        """Wait until every agent was published once; return whether that is so."""
        warm = self._supervisor._runtime.warm
        return await self._until(warm.is_set, timeout_s)

    async def stop(self, timeout_s: float = 5.0) -> None:
        """Stop everything without blocking the loop."""
        await _in_thread(lambda: self._supervisor._stop(timeout_s))

    async def logout(self, provider: str, *, agent_id: str | None = None, profile_id: str | None = None) -> None:
        """Remove a provider's profiles from the stores that own them; done when that is published."""
        await _in_thread(lambda: self._supervisor.logout(provider, agent_id=agent_id, profile_id=profile_id))

    async def clear_cooldown(self, profile_id: str, *, agent_id: str | None = None) -> None:
        """Clear the resting windows of a profile; done when that is published."""
        await _in_thread(lambda: self._supervisor.clear_cooldown(profile_id, agent_id=agent_id))

    async def credential(self, provider: str, *, agent_id: str | None = None, model: str | None = None) -> Credential:
        """Return the credential that a request is to be made with, its secret read off the loop; see
        `AuthSupervisor.credential`.

        Raises:
            CredentialError: There is none to hand out, or the disk did not answer within `Settings.source_deadline_s`.
        """
        supervisor = self._supervisor
        deadline_s = supervisor._settings.source_deadline_s
        try:
            with supervisor.spans.span("credential") as span:
                if isinstance(provider, str):  # what else there may be is refused below
                    known = normalise_provider(provider)
                    span.note(provider=known if known in supervisor.snapshot(agent_id).table else "other")
                async with asyncio.timeout(deadline_s):
                    found = await _in_thread(lambda: supervisor.credential(provider, agent_id=agent_id, model=model))
                span.note(kind=found.kind, source=found.source, state=found.state.value)
                return found
        except TimeoutError:
            raise CredentialError(
                supervisor._agent_id(agent_id),
                normalise_provider(provider),
                f"what holds the credential did not answer within {deadline_s:g} s",
                "Look at the disk and at health(); until it answers, the next request passes it over",
            ) from None

    async def fresh(
        self,
        provider: str,
        *,
        agent_id: str | None = None,
        generation: Generation | None = None,
        timeout_s: float = 5.0,
    ) -> Verdict:
        """Return the verdict once it answers what is wanted.

        Args:
            provider: In any spelling.
            agent_id: None is the default agent.
            generation: Wait for the answer to this event; None waits until nothing newer is wanted for the cell.
            timeout_s: How long to wait at most, in seconds. At the deadline, and when the supervisor stops, the verdict
                comes as it is, `fresh` False.
        """
        supervisor = self._supervisor
        wants = supervisor._runtime.wants

        def answered() -> bool:
            if generation is not None:
                return generation <= wants.latest and not wants.is_open(generation)
            return supervisor.verdict(provider, agent_id=agent_id).fresh

        done = await self._until(answered, timeout_s)
        verdict = supervisor.verdict(provider, agent_id=agent_id)
        return verdict if done else msgspec.structs.replace(verdict, fresh=False)

    async def answered(self, generation: Generation, timeout_s: float = 5.0) -> bool:
        """Wait until an attempt is answered, or for `timeout_s` seconds at most; return whether it is."""
        wants = self._supervisor._runtime.wants
        return await self._until(lambda: generation <= wants.latest and not wants.is_open(generation), timeout_s)

    def changes(self, since: int | None = None) -> ChangeStream:
        """Follow from now on: return what yields each change once, in the order of publication.

        What is published between this call and the first look at the stream is not lost: follow, read a snapshot, then
        iterate. It ends when the supervisor is stopped; in a forked child it is empty. One that is read too slowly, or
        that begins before what is kept (the latest 4,096 changes), finds `Change.reread_from` set where changes of an
        agent are missing.

        Args:
            since: A sequence number (`AuthSupervisor.sequence`, `Change.sequence`): the changes after it come first.
        """
        return ChangeStream(self._supervisor._runtime.notifier, since)

    async def has_auth_for_model_provider(
        self,
        provider: str,
        *,
        agent_id: str | None = None,
        workspace_dir: str | None = None,
        env: Mapping[str, str] | None = None,
        store: Mapping[str, Any] | None = None,
    ) -> bool:
        """Answer like `provider_auth.has_auth_for_model_provider`, reading files off the loop where it has to."""
        from openclaw_actors.provider_auth import Own, answer_with

        supervisor, own = self._supervisor, Own(env, store)
        # a frame that an error passes through holds no values: traces may show its variables
        del env, store
        return await _in_thread(lambda: answer_with(supervisor, provider, agent_id, workspace_dir, own))

    async def _until(self, is_so: Callable[[], bool], timeout_s: float | None) -> bool:
        """Wait until a predicate holds, looking again whenever something was published; the loop is woken when it
        does, and not before.
        """
        if is_so():
            return True
        loop = asyncio.get_running_loop()
        rung = asyncio.Event()
        runtime = self._supervisor._runtime
        stop = runtime.bell.listen(_Wake(loop, rung.set), when=lambda: is_so() or runtime.is_over)
        try:
            until = None if timeout_s is None else loop.time() + timeout_s
            while not is_so():
                if runtime.is_over:
                    return False
                left_s = None if until is None else until - loop.time()
                if left_s is not None and left_s <= 0:
                    return False
                try:
                    async with asyncio.timeout(left_s):
                        await rung.wait()
                except TimeoutError:
                    return is_so()
                rung.clear()
            return True
        finally:
            stop()


@final
class ChangeStream(AsyncIterator[Change]):
    """Changes for `async for`; made by `Aio.changes`. It may be made anywhere, and is iterated on one loop at a time.

    It leaves the notifier when it is closed (`contextlib.aclosing` does that), when it is over, and when nobody holds
    it any more. A wait for the next change that is cancelled takes nothing out of it.
    """

    def __init__(self, notifier: Notifier, since: int | None) -> None:
        """Follow a notifier from here on."""
        self._signal = _Signal()
        self._feed, leave = notifier.follow(self._signal, since=since)
        self._leave = weakref.finalize(self, leave)
        self._leave.atexit = False
        self._is_closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        there = self._signal.on_running_loop()
        while not self._is_closed:
            is_over = self._feed.is_over  # before the last look: nothing is put after it
            change = self._feed.take()
            if change is not None:
                return change
            if is_over:
                break
            await there.wait()
            there.clear()
        await self.aclose()
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Leave; who waits for the next change meanwhile finds the stream at its end."""
        self._is_closed = True
        self._leave()
        self._signal()


async def _in_thread(call: Callable[[], T]) -> T:
    """Run a blocking call on a daemon thread of its own and await it.

    Not the loop's default executor: its threads aren't daemons, so a call that a dead disk blocks would keep the
    process alive.
    """
    future: Future[T] = Future()

    def run() -> None:
        # from here on a cancel ends the wait and not the call: a store that is half way through is not left so
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = call()
        except BaseException as error:  # handed to whoever awaits
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, name="openclaw-aio", daemon=True).start()
    return await asyncio.wrap_future(future)


def _call_soon(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:
        return  # the loop was closed; nobody listens there any more


@final
class _Wake:
    """Wakes a loop from other threads, with at most one call under way.

    One call per publication keeps a loop busy with nothing else for as long as publications come (measured: 0.8 s at
    5,000 agents).
    """

    __slots__ = ("_callback", "_is_under_way", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        self._loop = loop
        self._callback = callback
        self._is_under_way = False

    def __call__(self) -> None:
        """Have the callback called on the loop, unless that is on its way already; from any thread."""
        if not self._is_under_way:
            self._is_under_way = True
            _call_soon(self._loop, self._arrive)

    def _arrive(self) -> None:
        # first, so that whatever is rung for during the callback comes again
        self._is_under_way = False
        self._callback()


@final
class _Signal:
    """What a stream is woken by: nothing until it is first waited for, then the event of the loop that waits.

    Knows nothing of the stream: the notifier holds it, and would keep a stream alive that everybody else has forgotten.
    """

    __slots__ = ("_loop", "_there", "_wake")

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._there = asyncio.Event()
        self._wake: _Wake | None = None

    def __call__(self) -> None:
        """Wake whoever waits; from any thread."""
        if self._wake is not None:
            self._wake()

    def on_running_loop(self) -> asyncio.Event:
        """Return what is set from now on, on the loop that runs here."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._there = loop, asyncio.Event()
            self._wake = _Wake(loop, self._there.set)
        return self._there


@final
class LoopGap:
    """Measures how long an event loop was kept from running: ticks on the loop itself, from before the first warm on.

    A monitor that is switched on in the same tick as a block misses it, so this one ticks for the supervisor's whole
    life.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._gaps: deque[tuple[float, float]] = deque(maxlen=4096)
        self._stopped = False
        self._handle: asyncio.TimerHandle | None = None

    @classmethod
    def of_running_loop(cls) -> Self:
        """Start measuring the loop that runs on this thread."""
        gap = cls(asyncio.get_running_loop())
        gap._arm()
        return gap

    def stop(self) -> None:
        """Stop measuring; from any thread."""
        self._stopped = True
        _call_soon(self._loop, self._cancel)

    def max_since(self, began_at: float, now: float) -> float | None:
        """Return the longest gap within the last `now - began_at` seconds, in milliseconds; None when nothing
        ticked.
        """
        since = time.monotonic() - max(0.0, now - began_at) - _TICK_S
        found = [gap for at, gap in list(self._gaps) if at >= since]
        if not self._loop.is_running():
            return max(found, default=None)
        # a block that still lasts has not ticked yet
        return max([*found, max(0.0, time.monotonic() - self._due) * 1000], default=None)

    def _arm(self) -> None:
        self._due = time.monotonic() + _TICK_S
        self._handle = self._loop.call_later(_TICK_S, self._tick)

    def _tick(self) -> None:
        now = time.monotonic()
        self._gaps.append((now, max(0.0, now - self._due) * 1000))
        if not self._stopped:
            self._arm()

    def _cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
