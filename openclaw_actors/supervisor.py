"""AuthSupervisor: the only face that embedders see."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Self

from openclaw_actors.actors.dispatch import ThreadedDispatcher
from openclaw_actors.actors.warm_book import WarmReport
from openclaw_actors.changes import Change
from openclaw_actors.credential import Credential
from openclaw_actors.errors import NoThreadError, NotRunningError
from openclaw_actors.events import Events
from openclaw_actors.forking import mend_in_children
from openclaw_actors.handover import Handover, nothing_known
from openclaw_actors.home.digest import Digester
from openclaw_actors.home.opaque import OpaqueEnv
from openclaw_actors.home.providers import normalise_provider
from openclaw_actors.home.reader import HomeReader
from openclaw_actors.log import log
from openclaw_actors.prepared import PreparedMap
from openclaw_actors.runtime import Runtime
from openclaw_actors.settings import Settings

if TYPE_CHECKING:
    from openclaw_actors.aio import Aio, LoopGap
    from openclaw_actors.runtime import Door

_STARTED: weakref.WeakSet[AuthSupervisor] = weakref.WeakSet()
"""Supervisors of this process that are started and not stopped; `provider_auth.py` binds to the only one."""


class AuthSupervisor(Events):
    """Knows, for every agent of an OpenClaw home, which providers it holds working credentials for.

    `start` returns at once and warms behind; reads never block, wait or do I/O, on any thread and any event loop.
    Events go in from any thread and return the generation that will answer them. Use it as a context manager, `with`
    or `async with`.

    Args:
        home: The state directory; None finds it by the variables, as OpenClaw does.
        env: The environment; None is a copy of the process's, taken at start and again by `recheck` and the reloads.
        settings: How it works; the defaults suit one gateway on one machine.
    """

    def __init__(
        self,
        home: str | os.PathLike[str] | None = None,
        *,
        env: Mapping[str, str] | None = None,
        settings: Settings | None = None,
    ) -> None:
        if settings is not None and not isinstance(settings, Settings):
            raise TypeError(f"settings must be a Settings, not {type(settings).__name__}")
        settings = settings or Settings()
        prepared = PreparedMap(instance_id=os.urandom(8).hex())
        dispatcher = ThreadedDispatcher(
            max_reader_threads=settings.read_threads, quarantine_after=settings.quarantine_after
        )
        super().__init__(prepared, Runtime(dispatcher, settings, prepared), settings)
        self._home = None if home is None else os.fsdecode(home)
        self._env = None if env is None else OpaqueEnv(env)
        self._runtime.on_warm = self._log_warm
        if settings.control_socket:
            self._runtime.make_door = self._make_control_socket
        self._thread: threading.Thread | None = None
        self._stop_timeout_s = 5.0
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._handover = Handover(self._runtime)
        self._gap: LoopGap | None = None
        self._aio: Aio | None = None
        self._said_warm = False
        mend_in_children(self)

    def after_fork(self) -> None:
        """Take a lock that nobody holds, in a forked child; not for embedders."""
        self._lock = threading.Lock()

    # ------------------------------------------------------------------------------------------------------------ life

    def start(self) -> Self:
        """Start warming; returns at once, from a running event loop too.

        Raises:
            NotRunningError: It was stopped: a supervisor lives once, make another.
            NoThreadError: The system starts no thread now; it may be tried again.
        """
        with self._lock:
            if self._stopped:
                raise NotRunningError("this supervisor was stopped; make a new one")
            if self._thread is not None:
                return self
            if _on_running_loop():
                from openclaw_actors.aio import LoopGap

                self._gap = LoopGap.of_running_loop()
            home, env, key = self._home, self._env, self._settings.digest_key
            limit = self._settings.max_store_bytes

            def make_reader() -> HomeReader:
                return HomeReader(home, env=env, digester=Digester(key), max_store_bytes=limit)

            thread = threading.Thread(
                target=self._runtime.run,
                args=(make_reader, lambda: self._stop_timeout_s),
                name="openclaw-supervisor",
                daemon=True,
            )
            self._runtime.wants.adopt()
            self._runtime.notifier.adopt()
            self._pid = os.getpid()
            try:
                thread.start()
            except RuntimeError:
                if self._gap is not None:
                    self._gap.stop()
                raise NoThreadError(
                    "the system starts no thread for the supervisor now; start it again later"
                ) from None
            self._thread = thread
            self._started = True
            _STARTED.add(self)
        return self

    def wait_warm(self, timeout_s: float | None = None) -> bool:
        """Block until every agent was published once; return whether that is so; a stop ends the wait.

        Not for an event loop: see `aio`. In a forked child, where nothing warms, it doesn't wait.
        """
        runtime = self._runtime
        runtime.bell.wait_until(lambda: runtime.warm.is_set() or runtime.is_over, timeout_s)
        return runtime.warm.is_set()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Stop everything and wait for it, at most this long; safe twice and from any state.

        Threads that a source blocks for ever are left behind: they are daemons, counted and named in `health()`.

        Raises:
            RuntimeError: It was called on the thread of a running event loop, which it would block: `await aio.stop()`.
        """
        if _on_running_loop():
            raise RuntimeError("stop() would block the running event loop: use `await supervisor.aio.stop()`")
        self._stop(timeout_s)

    def _stop(self, timeout_s: float) -> None:
        if self._thread is not None and self._pid != os.getpid():
            # a forked child: what runs, and the loop that is measured, are the parent's
            self._stopped = True
            self._runtime.wants.close()
            _STARTED.discard(self)
            return
        with self._lock:
            first, self._stopped = not self._stopped, True
            self._runtime.wants.close()
            thread = self._thread
            self._stop_timeout_s = timeout_s
        _STARTED.discard(self)
        if self._gap is not None:
            self._gap.stop()
        if thread is None:
            # no supervisor thread will do that: whoever waits, or iterates, hears of the end here
            self._runtime.notifier.stop(0.0)
            self._runtime.ended.set()
            self._runtime.bell.ring()
        if thread is None:
            return
        if first:
            self._runtime.ask_to_stop()
        if threading.current_thread() is not thread and not self._runtime.notifier.is_calling():
            # a subscriber that stops everything is waited for by what it would wait for
            thread.join(timeout_s)

    def __enter__(self) -> Self:
        if _on_running_loop():
            raise RuntimeError("leaving `with` would block the running event loop: use `async with`")
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aio.stop()

    @property
    def aio(self) -> Aio:
        """The awaitable twins of what blocks."""
        if self._aio is None:
            from openclaw_actors.aio import Aio

            self._aio = Aio(self)
        return self._aio

    def credential(self, provider: str, *, agent_id: str | None = None, model: str | None = None) -> Credential:
        """Return the credential that a request to a provider is to be made with, its secret read now. Blocks on the
        disk, for as long as that takes: not for an event loop, see `aio`.

        It is the verdict's winner; one that can't be read any more is passed over for the next one that has auth, and
        one that rests comes only when nothing else is left. After a `report_failure` of its `evidence_id` the next call
        returns the next one. Nothing is kept: each call reads. Variables of the process are as they were copied.

        Args:
            provider: In any spelling.
            agent_id: The agent that runs; None is the default agent.
            model: The model that is asked for: a rate limit may rest just that one.

        Raises:
            CredentialError: No credential has auth, or none can be handed out; it says of each why, and what to do.
        """
        if not isinstance(provider, str):
            raise TypeError(f"provider must be a str, not {type(provider).__name__}")
        normal = normalise_provider(provider)
        auth = self._published(agent_id)
        if auth is not None:
            self._handover.wait_for_failures(auth, normal)
            auth = self._published(agent_id)
        cell = auth.table.get(normal) if auth is not None else None
        if auth is None or cell is None:
            raise nothing_known(self.verdict(provider, agent_id=agent_id))
        return self._handover.hand_out(auth, cell, model)

    @property
    def home_path(self) -> str:
        """The home, as far as it is known: the state directory."""
        reader = self._runtime.reader
        return reader.location.state_dir if reader is not None else os.fspath(self._home or "")

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Have a callback called with each change, on a notifier thread of its own; return what ends that.

        Changes come in the order in which they were published, each once. A callback that is slow holds up nobody
        else; one that falls more than 4,096 changes behind finds `Change.reread_from` set where some are missing.
        Whatever the callback raises is logged and survived; a forked child is never called.

        Raises:
            TypeError: The callback can't be called.
        """
        if not callable(callback):
            raise TypeError(f"a subscriber is called with each change; {type(callback).__name__} can't be")
        return self._runtime.notifier.subscribe(callback)

    def recent_changes(
        self, provider: str | None = None, *, agent_id: str | None = None, limit: int = 100
    ) -> tuple[Change, ...]:
        """Return the latest changes, newest first: of one provider, of one agent, or of all. No I/O, any thread.

        The latest 4,096 of all agents are kept for the length of the process, and of each agent its newest.

        Args:
            provider: In any spelling; None for all.
            agent_id: None for all.
            limit: How many at most.
        """
        wanted = None if provider is None else normalise_provider(provider)
        agent = None if agent_id is None else self._agent_id(agent_id)
        found = (
            change
            for change in reversed(self._runtime.notifier.recent())
            if (wanted is None or change.provider == wanted) and (agent is None or change.agent_id == agent)
        )
        return tuple(itertools.islice(found, max(0, limit)))

    def loop_gap_s(self, within_s: float = 10.0) -> float | None:
        """Return the longest time for which the event loop was kept from running lately, in seconds; None without one,
        and when it is stopped.

        It is measured on the loop that the supervisor was started on, by a tick every 10 ms. No I/O, any thread.

        Args:
            within_s: How far back, in seconds; the latest 40 s are known.
        """
        if self._gap is None or self._stopped or self._pid != os.getpid():
            return None
        now = self._runtime.clock.monotonic()
        gap_ms = self._gap.max_since(now - within_s, now)
        return None if gap_ms is None else gap_ms / 1000

    # -------------------------------------------------------------------------------------------------------- within

    def _make_control_socket(self) -> Door:
        from openclaw_actors.control.operations import begin  # only whoever has one pays for it
        from openclaw_actors.control.server import ControlServer

        runtime = self._runtime
        return ControlServer(self.home_path, partial(begin, self), runtime.bell, runtime.conditions)

    def _log_warm(self, report: WarmReport) -> None:
        """Write the line that operators know (OpenClaw 2026.5.22, formats 6.3)."""
        gap_ms = (
            self._gap.max_since(report.started_at, self._runtime.clock.monotonic()) if self._gap is not None else None
        )
        tail = "" if gap_ms is None else f" eventLoopMax={gap_ms:.1f}ms"
        took = f"{report.duration_s * 1000:.0f}"
        bound = log.bind(generation=report.generation, agents=report.agents)
        if self._said_warm:
            bound.info("provider auth state re-warmed ({}) in {}ms{}", report.reason, took, tail)
        else:
            self._said_warm = True
            bound.info("provider auth state pre-warmed in {}ms{}", took, tail)

    def __repr__(self) -> str:
        state = "stopped" if self._stopped else "started" if self._thread is not None else "not started"
        return f"AuthSupervisor({self.home_path or '<by environment>'!r}, {state}, agents={len(self.agent_ids())})"


def started() -> tuple[AuthSupervisor, ...]:
    """Return the supervisors of this process that are started and not stopped."""
    return tuple(_STARTED)


def _on_running_loop() -> bool:
    """Tell whether an event loop runs on this thread, without importing asyncio."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    with contextlib.suppress(RuntimeError):
        asyncio.get_running_loop()
        return True
    return False


__all__ = ["AuthSupervisor", "started"]
