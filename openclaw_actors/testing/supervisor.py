"""A whole supervisor that moves only when a test says so: real actors, messages and files; no threads; virtual time."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import pykka

from openclaw_actors.changes import Change
from openclaw_actors.events import Events
from openclaw_actors.health import Condition
from openclaw_actors.home.digest import Digester
from openclaw_actors.home.reader import HomeReader
from openclaw_actors.home.stores.json_files import STATE_FILE
from openclaw_actors.ids import AgentId, Generation
from openclaw_actors.messages import FlushUsage, SourcesTouched
from openclaw_actors.prepared import AgentAuth, PreparedMap
from openclaw_actors.runtime import Runtime
from openclaw_actors.settings import Settings
from openclaw_actors.testing.clock import VirtualClock
from openclaw_actors.testing.home import HomeFiles
from openclaw_actors.testing.sources import ScriptedSources
from openclaw_actors.testing.stepped import SteppedDispatcher
from openclaw_actors.testing.watcher import ScriptedWatcher

M = TypeVar("M")

_KEY = b"k" * 32
"""What secrets are digested with: runs are to be alike."""

_ANSWER_S = 30.0
"""For how long a blocking write lets virtual time pass until it is answered."""


class SteppedSupervisor(Events):
    """Everything that an `AuthSupervisor` answers and takes, on a stepped dispatcher.

    What a gateway is given in its tests in place of an `AuthSupervisor`: reads and events are those of the real one.
    Nothing happens between two calls: `run_until_idle`, `step` and `advance` make it happen. It is also a supervisor to
    its actors, but only when they make time pass, or by `look_after`.

    All methods belong to the test's thread. `with` starts it and stops it.

    Args:
        files: The home.
        settings: How it works. By default as in production, but without the slow resync, so that tests which let a day
            pass see only what they are about.
        seed: Replays an interleaving: with a seed each step picks at random what happens next; the same seed, the same
            run. None lets things happen in the order in which they came.
        strict: Whether an error in a handler is raised by the call that made it happen, as well as survived.
        clock: The time; None is a new one.
        env: The environment of which nothing but `HOME` is there otherwise.
        instance_id: What its revisions are told apart by.
        watches: Whether writes by `files` reach the actors by a scripted file watcher. Without, tests tell of them by
            `touch`.
    """

    def __init__(
        self,
        files: HomeFiles,
        *,
        settings: Settings | None = None,
        seed: int | None = None,
        strict: bool = True,
        clock: VirtualClock | None = None,
        env: Mapping[str, str] | None = None,
        instance_id: str = "stepped",
        watches: bool = True,
    ) -> None:
        self.files = files
        self.clock = clock or VirtualClock()
        self.dispatcher = SteppedDispatcher(self.clock, seed, strict=strict)
        self.settings = settings or Settings(resync_interval_s=1e9)
        self.watcher = ScriptedWatcher()
        """What the file watching sees; `files` tells it of what it writes."""
        prepared = PreparedMap(instance_id)
        super().__init__(prepared, Runtime(self.dispatcher, self.settings, prepared), self.settings)
        self.runtime = self._runtime
        self.runtime.chance = random.Random(seed)  # noqa: S311  # replayable is the point
        self.runtime.open_watcher = self.watcher.open if watches else None
        if watches:
            files.on_write = self.watcher.happened
            self.sources.on_done = self._tell_of_own_write
        self._env = {"HOME": str(files.user), **(env or {})}
        self._calls: list[Callable[[], None]] = []

    # ------------------------------------------------------------------------------------------------------------ life

    def start(self) -> Self:
        """Start the actors; nothing has moved yet."""
        if not self._started:
            self._started = True
            # the folder that the tests run in has no say: a `.env` there is somebody else's
            cwd = str(self.files.user)
            self.runtime.begin(lambda: HomeReader(self.files.path, env=self._env, digester=Digester(_KEY), cwd=cwd))
        return self

    def warm(self) -> Self:
        """Start, and let happen what there is to do until every agent was published once."""
        self.start()
        self.run_until_idle()
        # first publications have stopped waiting for slow logins: no alarm but the resync is left
        self.advance(0.2)
        assert self.runtime.warm.is_set(), "not warm: see health()"
        return self

    def wait_warm(self, timeout_s: float | None = None) -> bool:
        """Let virtual time pass until every agent was published once, at most so many seconds; return whether it was.

        None stands for a day: nobody can wait for ever in virtual time.
        """
        until = self.clock.monotonic() + (86_400.0 if timeout_s is None else timeout_s)
        self.run_until_idle()
        while not self.runtime.warm.is_set() and self.clock.monotonic() < until:
            self.advance(0.1)
        return self.runtime.warm.is_set()

    def stop(self, timeout_s: float = 0.0) -> None:
        """Flush the usage and stop everything."""
        if self._stopped:
            return
        if self._started:
            self.runtime.listener.tell(FlushUsage())
            self.run_until_idle()
        self._stopped = True
        self.runtime.wants.close()
        if self._started:
            self.runtime.end(0.0)
        self.runtime.ended.set()
        self._deliver()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Have a callback called with each change, by the calls that make things happen; return what ends that.

        Whatever it raises, the test gets.
        """
        feed, leave = self.runtime.notifier.follow(lambda: None)

        def call() -> None:
            while (change := feed.take()) is not None:
                callback(change)

        self._calls.append(call)

        def unsubscribe() -> None:
            leave()
            if call in self._calls:
                self._calls.remove(call)

        return unsubscribe

    def look_after(self) -> None:
        """Do what the supervisor thread does at this moment: take note of deaths, restart what is due."""
        self.runtime.look_after()

    # ---------------------------------------------------------------------------------------------------------- moving

    def step(self, pick: int | None = None) -> bool:
        """Let one thing happen (see `SteppedDispatcher.step`); return whether anything could."""
        happened = self.dispatcher.step(pick)
        self._deliver()
        return happened

    def run_until_idle(self, max_steps: int = 100_000) -> int:
        """Let everything happen that can at this moment; return how many steps it took.

        Raises:
            AssertionError: The steps were used up, so there is probably a loop of messages.
        """
        steps = self.dispatcher.run_until_idle(max_steps)
        self._deliver()
        return steps

    def advance(self, seconds: float) -> None:
        """Let virtual time pass and everything happen that it brings, also restarts of what died.

        Raises:
            ValueError: The seconds are negative; `clock.jump_epoch` sets the wall clock back.
        """
        if seconds < 0:
            raise ValueError("time can't be advanced by a negative number of seconds; clock.jump_epoch can go back")
        until = self.clock.monotonic() + seconds
        while True:
            self.dispatcher.run_until_idle()
            restart_s = self.runtime.look_after()
            self.dispatcher.run_until_idle()
            left_s = until - self.clock.monotonic()
            if left_s <= 0:
                self._deliver()
                return
            ahead = (left_s, restart_s, self.dispatcher.next_due_s)
            self.clock.advance(max(0.0, min(span_s for span_s in ahead if span_s is not None)))

    def step_until(self, condition: Callable[[], object], max_steps: int = 10_000) -> int:
        """Step until something holds; return how many steps it took.

        Raises:
            AssertionError: It never held.
        """
        for steps in range(max_steps):
            if condition():
                return steps
            assert self.step(), "idle before the condition held"
        raise AssertionError(f"the condition never held in {max_steps} steps")

    # -------------------------------------------------------------------------------------------------------- messages

    def inject(self, actor: str, message: object) -> None:
        """Tell an actor something, as another would: `warmer`, `watcher`, `failure-listener` or `agent-ID`.

        Raises:
            LookupError: No living actor is called so; before `start` and `warm` there is none.
            TypeError: The actor handles no such message.
        """
        kinds = type(self.dispatcher.actor(actor))._handlers
        if type(message) not in kinds:
            known = ", ".join(sorted(kind.__name__ for kind in kinds))
            raise TypeError(f"{actor} handles no {type(message).__name__}; it handles {known}")
        self.dispatcher.inject(self.ref(actor), message)

    def ref(self, actor: str) -> pykka.ActorRef[Any]:
        """Return the living actor of this name.

        Raises:
            LookupError: No living actor is called so.
        """
        return self.dispatcher.actor(actor).actor_ref

    def pending(self, kind: type[M] | None = None) -> list[Any]:
        """Return the messages that wait, all or those of a type, actor by actor."""
        return [message for _, message in self.dispatcher.pending() if kind is None or isinstance(message, kind)]

    @property
    def history(self) -> list[tuple[str, object]]:
        """Every message handed to an actor so far: (the actor's name, the message)."""
        return self.dispatcher.history

    def handled(self, kind: type[M], actor: str | None = None) -> list[M]:
        """Return the messages of a type that were handled so far, by all actors or by one."""
        return [message for name, message in self.history if isinstance(message, kind) and actor in (None, name)]

    def touch(self, *sources: str, run: bool = True) -> None:
        """Have sources looked at again, as a file event does, and by default let their turn come."""
        self.inject("warmer", SourcesTouched(sources=sources, cause_at=self.clock.monotonic()))
        if run:
            self.advance(self.settings.hint_interval_s + 0.001)

    # --------------------------------------------------------------------------------------------------------- looking

    @property
    def sources(self) -> ScriptedSources:
        """The reads, which may hang and fail as a test says."""
        return self.dispatcher.sources

    @property
    def published_agents(self) -> Mapping[AgentId, AgentAuth]:
        """The published answers, by agent."""
        return self._prepared.agents

    def store(self, agent: str = "main") -> str:
        """Return the name of the source that is an agent's store."""
        return f"store:{self.files.agent_dir(agent)}"

    def open_generations(self) -> tuple[Generation, ...]:
        """Return the attempts that are not answered yet."""
        return tuple(generation for generation, _ in self.runtime.wants.open_generations())

    def condition(self, kind: str) -> Condition:
        """Return a condition of the health.

        Raises:
            LookupError: There is none of that type.
        """
        found = self.health().condition(kind)
        if found is None:
            raise LookupError(f"there is no condition {kind!r}")
        return found

    def twin(self) -> SteppedSupervisor:
        """Return a supervisor that starts now, on the same home and with the same reports known: what any history must
        come to. It isn't started, and hears of no file.
        """
        twin = SteppedSupervisor(
            self.files,
            settings=self.settings,
            clock=VirtualClock(epoch=self.clock.epoch()),
            env=self._env,
            instance_id="twin",
            watches=False,
        )
        twin.runtime.ledger.update(self.runtime.ledger)
        twin.runtime.remembered.replaced.update(self.runtime.remembered.replaced)
        return twin

    def _wait_answered(self, generation: Generation) -> None:
        until = self.clock.monotonic() + _ANSWER_S
        self.run_until_idle()
        while self.runtime.wants.is_open(generation) and self.clock.monotonic() < until:
            self.advance(0.05)
        self._check_answered(generation)

    def _tell_of_own_write(self, source: str) -> None:
        kind, _, folder = source.partition(":")
        if kind == "usage" and self.files.on_write is not None:
            self.files.on_write(Path(folder) / STATE_FILE)

    def _deliver(self) -> None:
        for call in tuple(self._calls):
            call()


__all__ = ["SteppedSupervisor"]
