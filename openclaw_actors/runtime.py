"""The runtime: one thread that starts the actors, watches over them, restarts those that die, and stops them in
order.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, final

import pykka

from openclaw_actors.actors.address import Address
from openclaw_actors.actors.dispatch import Dispatcher, StopReport
from openclaw_actors.actors.failure_listener import FailureListener
from openclaw_actors.actors.readings import Readings
from openclaw_actors.actors.remembered import Remembered
from openclaw_actors.actors.report_memory import ReportMemory
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
from openclaw_actors.messages import AgentActorDied, BeginWarming, FlushUsage, ForgiveScope, WarmerRestarted
from openclaw_actors.notifier import Notifier
from openclaw_actors.prepared import MAIN_SHADOW, AgentAuth, PreparedMap
from openclaw_actors.reading.job import describe_error, places
from openclaw_actors.scope import Scope
from openclaw_actors.settings import Settings
from openclaw_actors.spans import NO_SPANS, Spans
from openclaw_actors.struck import Struck
from openclaw_actors.upkeep import Upkeep
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


_STARTUP = "startup"
"""The reason of the first warm."""

_MOST_FAILURES = 100
"""How often in a row the supervisor thread may fail before it gives up and stops everything."""


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
        self.spans: Spans = NO_SPANS
        """Follows warms and requests, for a tracer; `telemetry.instrument` sets it."""
        self.open_watcher: Callable[[], FileWatcher] | None = self._open_watcher if settings.watch else None
        """Makes a file watcher for each WatcherActor; None when nothing is watched."""
        self.make_door: Callable[[], Door] | None = None
        """Makes the way in for other processes, on the supervisor thread; None when there is none."""
        self.stop_report: StopReport | None = None
        self._tuning = Tuning(settings.tune_interpreter)
        self._make_reader: Callable[[], HomeReader] | None = None
        self._door: Door | None = None
        self._memory = ReportMemory()
        self.ledger = self._memory.ledger
        """What was reported; the FailureListener writes it."""
        self.remembered = Remembered()
        """What outlives a WarmerActor."""
        self._flushed = threading.Event()
        self.chance = random.Random()  # noqa: S311  # jitter, not a secret
        """What jitter is drawn from."""
        self._started_at = 0.0
        self.upkeep = Upkeep(
            self.clock,
            settings,
            self.conditions,
            self.counters,
            on_started_again=lambda name: self._ask_for_warm("restart"),
            on_other_due=self._on_agent_due,
            check_threads=self._check_threads,
        )
        for address, spawn in (
            (self.watcher, self._spawn_watcher),
            (self.listener, self._spawn_listener),
            (self.warmer, self._spawn_warmer),
        ):
            start = partial(self._bring_up, address, spawn)
            self.upkeep.add(address.name, start, address, is_foundation=address is self.warmer)
        self.upkeep.add("notifier", self.notifier.start)
        self.upkeep.add("control-socket", self._open_door)

    def config(self) -> ConfigFacts | None:
        """Return the newest good config."""
        home = self.home
        return home.home.config if home is not None else None

    # ------------------------------------------------------------------------------------------------------------ life

    @property
    def is_over(self) -> bool:
        """Whether nothing will be published any more: everything was stopped, or this is a forked child."""
        return self.ended.is_set() or self.wants.is_forked

    def run(self, make_reader: Callable[[], HomeReader], timeout_s: Callable[[], float]) -> None:
        """Live: start everything, restart what dies, and stop everything when told to. The supervisor thread's whole
        work.

        Whatever is raised in this thread, from outside too, is survived; when nothing helps, everything is stopped and
        `ActorsAlive` says so. In any case `ended` is set, and whoever waits is woken.
        """
        self._started_at = self.clock.monotonic()
        why = ""
        try:
            self.conditions.set("Warm", False, "Warming", "not every agent has been published yet")
            self.begin(make_reader)
            self._watch_over()
        except BaseException as error:
            why = self._note_failure(error)
        try:
            try:
                self.end(timeout_s())
            except BaseException as error:
                why = self._note_failure(error)
                self.end(timeout_s())  # what is stopped by now costs no time
        finally:
            self.ended.set()
            if why:
                self.conditions.set("ActorsAlive", False, "SupervisorFailed", f"the supervisor thread failed: {why}")
            self.bell.ring()

    def _note_failure(self, error: BaseException) -> str:
        why = describe_error(error)
        log.bind(at=places(error)).error("the supervisor thread failed and everything is stopped: {}", why)
        return why

    def _watch_over(self) -> None:
        """Look after everything until told to stop."""
        failures = 0
        while not self.upkeep.is_stopping:
            try:
                self.upkeep.wait(self.look_after())
                failures = 0
            # without this thread nobody is started again; an exit that was raised in it from outside is not ours
            except BaseException as error:
                failures += 1
                log.bind(error=describe_error(error), at=places(error)).error(
                    "the supervisor thread failed and goes on"
                )
                if failures > _MOST_FAILURES:
                    raise
                if failures > 1:
                    self.conditions.set("ActorsAlive", False, "SupervisorFailing", "what dies may not be started again")
                    self.upkeep.wait(min(self.settings.restart_max_s, self.settings.restart_first_s * failures))

    def look_after(self) -> float | None:
        """Do one round of supervision: take note of all deaths that wait, look who lives, and start again what is due
        by now. It goes by `clock` alone and never blocks.

        Call it on the thread that called `begin` (the supervisor thread; a test's own on a stepped dispatcher), or on
        any other while no `begin`, `end` or `look_after` runs.

        Returns:
            In how many seconds it wants to be called again, at the latest; a death is reason to call it at once. None
            when everything is being stopped: nothing is started again any more.
        """
        left_s = self.upkeep.look_after()
        if left_s is not None:
            self.notifier.revive()
        return left_s

    def begin(self, make_reader: Callable[[], HomeReader]) -> None:
        """Start everything and ask for the first warm; never raises for what can't be started.

        Such a part is said in `ActorsAlive` and tried again, ever more slowly, for ever, and the rest goes on: without
        a watcher agents are warmed, without a listener they are read; without a warmer they are not warmed yet.
        """
        self._make_reader = make_reader
        self._tuning.begin()
        self.dispatcher.on_death(self.upkeep.note)
        self.upkeep.begin()
        if self.warmer.ref is not None:
            self._ask_for_warm(_STARTUP)

    def ask_to_stop(self) -> None:
        """Have the supervisor thread stop everything; returns at once."""
        self.upkeep.stop()

    def end(self, timeout_s: float) -> None:
        """Stop everything, in order: no new events, usage flushed, no publications, no reads."""
        self.upkeep.stop()
        self._tuning.end()
        # a tenth is kept back, so that whoever waits for this thread sees it end, and what it left behind, in time
        until = self.clock.monotonic() + timeout_s * 0.9
        left_s: Callable[[], float] = lambda: max(0.0, until - self.clock.monotonic())  # noqa: E731
        if self._door is not None:
            self._door.close(left_s() / 4)
        if self._memory.is_unfinished or self.listener.waiting():
            self._bring_back_listener()
        if self.listener.lives and self.listener.tell(FlushUsage()):
            self._flushed.wait(left_s() / 2)
        refs = [address.ref for address in (self.watcher, self.warmer, self.listener) if address.ref is not None]
        stuck = self.dispatcher.stop_actors(refs, left_s())
        for address in (self.watcher, self.warmer, self.listener):
            address.ref = None
        # before the readers: a source that blocks takes all the time that is left
        all_heard = self.notifier.stop(left_s() / 2)
        self.spans.flush(left_s() / 4)
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
            me=self.listener,
            warmer=self.warmer,
            dispatcher=self.dispatcher,
            prepared=self.prepared,
            config=self.config,
            memory=self._memory,
            counters=self.counters,
            conditions=self.conditions,
            settings=self.settings,
            on_flushed=self._flushed.set,
            name="failure-listener",
        )

    def _spawn_warmer(self) -> pykka.ActorRef[Any]:
        reader = self._home_reader()
        return self.dispatcher.spawn(
            WarmerActor,
            me=self.warmer,
            watcher=self.watcher,
            dispatcher=self.dispatcher,
            readings=Readings(reader),
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

    def _bring_up(self, address: Address, spawn: Callable[[], pykka.ActorRef[Any]]) -> None:
        address.settle()
        address.ref = spawn()

    def _bring_back_listener(self) -> None:
        """Have somebody write what a dead listener left unwritten, though everything is being stopped."""
        if not self.listener.lives:
            try:
                self._bring_up(self.listener, self._spawn_listener)
            except Exception as error:
                log.error("usage that was reported last is not written: {}", describe_error(error))

    def _home_reader(self) -> HomeReader:
        if self.reader is None:
            assert self._make_reader is not None
            self.reader = self._make_reader()
        return self.reader

    def _open_door(self) -> None:
        if self.make_door is None:
            return
        self._home_reader()  # what is opened is named after the home
        if self._door is not None:
            self._door.close(0.0)
        self._door = self.make_door()
        self._door.open()

    def _check_threads(self) -> None:
        for name in self.dispatcher.check_threads():
            log.bind(lane=name).error("a thread ended by itself; its actors go on on another or are started again")

    def _on_agent_due(self, name: str) -> None:
        # its pause is over: a check that fails each time must not be repeated without end at full speed
        self.warmer.tell(AgentActorDied(agent_id=AgentId(name.removeprefix(AGENT_PREFIX))))

    def _ask_for_warm(self, reason: str) -> None:
        # at the start nobody has had a report yet, so none is lost; what an actor that died had may be, but for those
        # that the listener still has to look at
        open_ones = self.wants.open_generations(reports=reason != _STARTUP)
        told = self.listener.waiting()
        reports = self._memory.reports(told)
        warms = {message.warm.generation: message.warm for message in told if isinstance(message, ForgiveScope)}
        waiting = tuple(generation for generation, _ in open_ones if generation not in {*reports, *warms})
        generation = self.wants.mint(Scope.everything())
        self.warmer.tell(BeginWarming(generation=generation, reason=reason, answers=waiting))
        if reports or warms:
            # what it says of them before it gets here may have been told to the dead
            self.listener.tell(WarmerRestarted(reports=tuple(sorted(reports)), warms=tuple(warms.values())))

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
        self.spans.warmed(report)
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
