"""The runtime: one thread that starts the actors, watches over them, restarts those that die, and stops them in
order.
"""

from __future__ import annotations

import random
import threading
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any, Protocol, final

import msgspec
import pykka

from openclaw_actors.actors.address import Address
from openclaw_actors.actors.base import STOPPED
from openclaw_actors.actors.dispatch import Dispatcher, StopReport
from openclaw_actors.actors.failure_listener import FailureListener, LedgerBook
from openclaw_actors.actors.readings import Readings
from openclaw_actors.actors.remembered import Remembered
from openclaw_actors.actors.warm_book import WarmReport
from openclaw_actors.actors.warmer import WarmerActor
from openclaw_actors.actors.watcher import WatcherActor
from openclaw_actors.bell import Bell
from openclaw_actors.catalog.home_reading import HomeReading
from openclaw_actors.changes import Change
from openclaw_actors.counters import Counters
from openclaw_actors.health import ConditionBoard
from openclaw_actors.home.facts import ConfigFacts
from openclaw_actors.home.reader import HomeReader
from openclaw_actors.ids import AgentId, Generation
from openclaw_actors.interpreter import Tuning
from openclaw_actors.log import log
from openclaw_actors.messages import AgentActorDied, BeginWarming, FlushUsage
from openclaw_actors.notifier import Notifier
from openclaw_actors.prepared import MAIN_SHADOW, AgentAuth, PreparedMap
from openclaw_actors.reading.job import describe_error
from openclaw_actors.scope import Scope
from openclaw_actors.settings import Settings
from openclaw_actors.struck import Struck
from openclaw_actors.wants import Wants
from openclaw_actors.watching.choose import open_watcher
from openclaw_actors.watching.protocol import FileWatcher

AGENT_PREFIX = "agent-"
"""How the actors of agents are named."""

_FOUND_IN_CONFIG = (
    ("AgentDirsDistinct", "Distinct", "Shared", {"duplicate-agent-dir"}),
    ("SecretFilesReadable", "Read", "Unreadable", {"secret-file", "torn-secret-file"}),
    ("DotenvReadable", "Read", "Unreadable", {"dotenv-unreadable"}),
)
"""Conditions that say which findings of the config there are: type, good and bad reason, codes."""


class Door(Protocol):
    """A way in for other processes. What can't be opened is a condition, never an error."""

    def open(self) -> None:
        """Let others in; returns at once."""
        ...

    def close(self, timeout_s: float) -> None:
        """Let nobody in any more and end; waits for that at most this long."""
        ...


class _Death(msgspec.Struct, frozen=True):
    urn: str
    name: str
    reason: str


_STARTUP = "startup"
"""The reason of the first warm."""


@final
class Runtime:
    """Everything that lives from start to stop. What readers hold (map, wants, conditions) is made without a thread or
    I/O.
    """

    def __init__(self, dispatcher: Dispatcher, settings: Settings, prepared: PreparedMap) -> None:
        self.dispatcher = dispatcher
        self.clock = dispatcher.clock
        self.settings = settings
        self.prepared = prepared
        self.bell = Bell(self.clock)
        self.wants = Wants(on_retired=self._on_retired)
        self.struck = Struck(self.wants)
        self.counters = Counters()
        self.conditions = ConditionBoard(self.clock)
        self.notifier = Notifier(self.counters)
        self.warm = threading.Event()
        self.ended = threading.Event()
        """Set when everything is stopped: nothing will be published any more."""
        self.warm_time_s: float | None = None
        self.home: HomeReading | None = None
        """The newest reading of config, environment and model rows."""
        self.reader: HomeReader | None = None
        self.warmer = Address("warmer")
        self.watcher = Address("watcher")
        self.listener = Address("failure-listener", keeps=True)
        self.on_warm: Callable[[WarmReport], None] = lambda report: None
        """Called for each finished warm, to write the log line."""
        self.open_watcher: Callable[[], FileWatcher] | None = self._open_watcher if settings.watch else None
        """Makes a file watcher for each WatcherActor; None when nothing is watched."""
        self.make_door: Callable[[], Door] | None = None
        """Makes the way in for other processes, on the supervisor thread; None when there is none."""
        self.stop_report: StopReport | None = None
        self._tuning = Tuning(settings.tune_interpreter)
        self._door: Door | None = None
        self.ledger: LedgerBook = {}
        """What was reported; the FailureListener writes it."""
        self.remembered = Remembered()
        self._flushed = threading.Event()
        self.chance = random.Random()  # noqa: S311  # jitter, not a secret
        self._started_at = 0.0
        self._stopping = False
        self._deaths: SimpleQueue[_Death | None] = SimpleQueue()
        self._due: dict[str, float] = {}
        self._restarts: dict[str, deque[float]] = {}
        self._builders: dict[str, tuple[Address, Callable[[], pykka.ActorRef[Any]]]] = {
            "watcher": (self.watcher, self._spawn_watcher),
            "failure-listener": (self.listener, self._spawn_listener),
            "warmer": (self.warmer, self._spawn_warmer),
        }

    def config(self) -> ConfigFacts | None:
        """Return the newest good config."""
        home = self.home
        return home.home.config if home is not None else None

    # ------------------------------------------------------------------------------------------------------------ life

    def run(self, make_reader: Callable[[], HomeReader], timeout_s: Callable[[], float]) -> None:
        """Live: start everything, restart what dies, and stop everything when told to. The supervisor thread's whole
        work.
        """
        self._started_at = self.clock.monotonic()
        self.conditions.set("Warm", False, "Warming", "not every agent has been published yet")
        try:
            self.begin(make_reader)
            self._watch_over()
        except Exception as error:  # the thread that watches over the others must say why it ends
            why = describe_error(error)
            log.error("the supervisor thread failed and everything is stopped: {}", why)
            self.end(timeout_s())
            self.conditions.set("ActorsAlive", False, "SupervisorFailed", f"the supervisor thread failed: {why}")
        else:
            self.end(timeout_s())
        self.ended.set()
        self.bell.ring()

    def _watch_over(self) -> None:
        """Wait for deaths, and start again what died when its pause is over; returns when told to stop."""
        while True:
            try:
                death = self._deaths.get(timeout=self.look_after())
            except Empty:
                continue
            if death is None:
                return
            self._on_death(death)

    def look_after(self) -> float | None:
        """Take note of deaths, and start again what is due; return in how many seconds to come again, None for never
        unless something dies.
        """
        while not self._stopping:
            try:
                death = self._deaths.get_nowait()
            except Empty:
                break
            if death is not None:
                self._on_death(death)
        for name in [name for name, at in self._due.items() if at <= self.clock.monotonic()]:
            del self._due[name]
            self._restart(name)
        calm_at = self._calm_at()
        if not calm_at and not self._due:
            self.conditions.set("ActorsAlive", True, "Alive", "")
        due = min((*self._due.values(), *calm_at), default=None)
        return None if due is None else max(0.0, due - self.clock.monotonic())

    def _calm_at(self) -> list[float]:
        """Return when the actors that died too often will have lived long enough to be called alive again."""
        now, settings = self.clock.monotonic(), self.settings
        for recent in self._restarts.values():
            while recent and recent[0] < now - settings.restart_period_s:
                recent.popleft()
        often = [recent for recent in self._restarts.values() if len(recent) > settings.restart_intensity]
        return [recent[-settings.restart_intensity - 1] + settings.restart_period_s + 0.001 for recent in often]

    def begin(self, make_reader: Callable[[], HomeReader]) -> None:
        """Start the actors and ask for the first warm."""
        self._tuning.begin()
        self.reader = make_reader()
        self.notifier.start()
        self.dispatcher.on_death(lambda urn, name, reason: self._deaths.put(_Death(urn, name, reason)))
        for address, spawn in self._builders.values():
            address.ref = spawn()
        self.conditions.set("ActorsAlive", True, "Alive", "")
        if self.make_door is not None:
            # before the warm: who sees it warm can reach it
            self._door = self.make_door()
            self._door.open()
        self._ask_for_warm(_STARTUP)

    def ask_to_stop(self) -> None:
        """Have the supervisor thread stop everything; returns at once."""
        self._stopping = True
        self._deaths.put(None)

    def end(self, timeout_s: float) -> None:
        """Stop everything, in order: no new events, usage flushed, no publications, no reads."""
        self._stopping = True
        self._tuning.end()
        # a tenth is kept back, so that whoever waits for this thread sees it end, and what it left behind, in time
        until = self.clock.monotonic() + timeout_s * 0.9
        left_s: Callable[[], float] = lambda: max(0.0, until - self.clock.monotonic())  # noqa: E731
        if self._door is not None:
            self._door.close(left_s() / 4)
        if self.listener.tell(FlushUsage()):
            self._flushed.wait(left_s() / 2)
        refs = [address.ref for address in (self.watcher, self.warmer, self.listener) if address.ref is not None]
        stuck = self.dispatcher.stop_actors(refs, left_s())
        for address in (self.watcher, self.warmer, self.listener):
            address.ref = None
        # before the readers: a source that blocks takes all the time that is left
        all_heard = self.notifier.stop(left_s() / 2)
        self.stop_report = self.dispatcher.stop(left_s())
        self.conditions.set("ActorsAlive", False, "Stopped", "the supervisor was stopped")
        left: list[str] = []
        if stuck or not self.stop_report.clean:
            left.append(f"threads still blocked by sources: {', '.join(self.stop_report.blocking_sources) or 'none'}")
        if not all_heard:
            left.append("a subscriber's callback still runs")
        if left:
            self.conditions.set("ActorsAlive", False, "StoppedWithLeftovers", f"{'; '.join(left)}; all are daemons")

    # ---------------------------------------------------------------------------------------------------- the actors

    def _open_watcher(self) -> FileWatcher:
        settings = self.settings
        return open_watcher(poll_interval_s=settings.poll_interval_s, force_polling=settings.force_polling)

    def _spawn_watcher(self) -> pykka.ActorRef[Any]:
        return self.dispatcher.spawn(
            WatcherActor,
            self.warmer,
            self.open_watcher,
            self.dispatcher,
            self.settings,
            self.conditions,
            self.counters,
            name="watcher",
        )

    def _spawn_listener(self) -> pykka.ActorRef[Any]:
        return self.dispatcher.spawn(
            FailureListener,
            warmer=self.warmer,
            dispatcher=self.dispatcher,
            prepared=self.prepared,
            config=self.config,
            ledger=self.ledger,
            counters=self.counters,
            conditions=self.conditions,
            settings=self.settings,
            on_flushed=self._flushed.set,
            name="failure-listener",
        )

    def _spawn_warmer(self) -> pykka.ActorRef[Any]:
        assert self.reader is not None
        return self.dispatcher.spawn(
            WarmerActor,
            me=self.warmer,
            watcher=self.watcher,
            dispatcher=self.dispatcher,
            readings=Readings(self.reader),
            remembered=self.remembered,
            prepared=self.prepared,
            wants=self.wants,
            counters=self.counters,
            conditions=self.conditions,
            settings=self.settings,
            events=self,
            ledger=self.ledger,
            chance=self.chance,
            name="warmer",
        )

    def _ask_for_warm(self, reason: str) -> None:
        # at the start nobody has had a report yet, so none is lost; what an actor that died had may be
        is_start = reason == _STARTUP
        waiting = tuple(generation for generation, _ in self.wants.open_generations(reports=not is_start))
        generation = self.wants.mint(Scope.everything())
        self.warmer.tell(BeginWarming(generation=generation, reason=reason, answers=waiting))

    def _on_death(self, death: _Death) -> None:
        if death.reason == STOPPED or self._stopping:
            return
        if not death.name.startswith(AGENT_PREFIX):
            address, _ = self._builders[death.name]
            if address.ref is None or address.ref.actor_urn != death.urn:
                return  # notice of an earlier incarnation
        log.bind(actor=death.name, reason=death.reason).error("an actor died and is started again")
        now, settings = self.clock.monotonic(), self.settings
        recent = self._restarts.setdefault(death.name, deque())
        self._calm_at()
        recent.append(now)
        if len(recent) > settings.restart_intensity:
            often = f"{death.name} died {len(recent)} times in {settings.restart_period_s:g} s: {death.reason}"
            self.conditions.set("ActorsAlive", False, "RestartingOften", f"{often}; it is still tried")
        delay_s = min(settings.restart_max_s, settings.restart_first_s * 2 ** min(len(recent) - 1, 30))
        self._due[death.name] = now + delay_s

    def _restart(self, name: str) -> None:
        if self._stopping:
            return
        if name.startswith(AGENT_PREFIX):
            # its pause is over: a check that fails each time must not be repeated without end at full speed
            self.warmer.tell(AgentActorDied(agent_id=AgentId(name.removeprefix(AGENT_PREFIX))))
            return
        address, spawn = self._builders[name]
        if address.ref is not None and address.ref.is_alive():
            return
        self.counters.restarts += 1
        try:
            address.ref = spawn()
        except Exception as error:  # no thread can be started now, say: that degrades this part, and is tried again
            why = describe_error(error)
            log.bind(actor=name).error("an actor can't be started and is tried again: {}", why)
            self.conditions.set(
                "ActorsAlive", False, "CannotStart", f"{name} can't be started: {why}; it is still tried"
            )
            self._due[name] = self.clock.monotonic() + self.settings.restart_max_s
            return
        # whatever it was told while it was dead is made good by looking at everything again
        self._ask_for_warm("restart")

    # ------------------------------------------------------------------------------------- what the WarmerActor tells

    def _on_retired(self) -> None:
        self.struck.drop_answered()
        self.bell.ring()

    def home_changed(self, reading: HomeReading) -> None:
        """Take the newest config, environment and model rows."""
        self.home = reading
        for kind, good, bad, codes in _FOUND_IN_CONFIG:
            findings = [one for one in reading.home.config.findings if one.code in codes]
            text = "; ".join(f"{one.path}: {one.problem}. {one.remedy}" for one in findings)
            self.conditions.set(kind, not findings, bad if findings else good, text)

    def published(self, auth: AgentAuth, changes: tuple[Change, ...]) -> None:
        """Hear of a publication."""
        if changes and auth.agent_id != MAIN_SHADOW:
            self.notifier.post(changes)
        self.bell.ring()

    def report_published(self, generation: Generation) -> None:
        """Hear that what a report says shows in the map."""
        self.struck.settle(generation)

    def warm_finished(self, report: WarmReport) -> None:
        """Hear that an attempt is answered."""
        self.on_warm(report)
        self.bell.ring()

    def all_warm(self) -> None:
        """Hear that every agent was published once; a restarted warmer says it again."""
        if self.warm.is_set():
            return
        self.warm_time_s = self.clock.monotonic() - self._started_at
        self.conditions.set("Warm", True, "Warm", "")
        self.warm.set()
        self._tuning.settle()
        self.bell.ring()
