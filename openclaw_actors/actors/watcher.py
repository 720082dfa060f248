"""WatcherActor: owns the file watching; turns raw file events into "look at this source again".

Owns: which source depends on which paths, their stamps, and the file watcher. Receives: WatchSource, UnwatchSource,
ArmNow, CheckStamps; PathsTouched, RescanNeeded, WatchingDegraded, WatchingRecovered from the watcher's thread;
StampsChecked from a reader. Sends: SourcesTouched. Dies when: a handler fails, or told to stop. After a restart: the
WarmerActor reads everything again, which sets every watch again.

It never touches a file itself: arming watches and comparing stamps are reader jobs, since a dead network mount blocks
them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pykka

from openclaw_actors.actors.address import Address
from openclaw_actors.actors.base import BaseActor, Lane, handles, tell
from openclaw_actors.actors.dispatch import Dispatcher
from openclaw_actors.counters import Counters
from openclaw_actors.few import Few, with_member, without_member
from openclaw_actors.health import ConditionBoard
from openclaw_actors.log import log
from openclaw_actors.messages import (
    ArmDue,
    ArmNow,
    CheckStamps,
    PathsTouched,
    RescanNeeded,
    SourcesTouched,
    Stamps,
    StampsChecked,
    UnwatchSource,
    WatchingDegraded,
    WatchingRecovered,
    WatchSource,
)
from openclaw_actors.reading.job import ReadJob, ReadOutcome, describe_error
from openclaw_actors.reading.pace import give_way
from openclaw_actors.settings import Settings
from openclaw_actors.watching.protocol import FileWatcher
from openclaw_actors.watching.stamp import stamp

Drift = tuple[tuple[str, Stamps], ...]
"""Sources with stamps that differ from those of their last reading."""

WATCH_SOURCE = "watch"
"""What the jobs that arm watches are called in the reader pool."""

RESYNC_SOURCE = "resync"
"""What the jobs that compare all stamps are called there: a resync that hangs doesn't keep watches from being armed."""

_FEW_PATHS = 64
"""So many paths are armed at once when they come alone: the config of hundreds of agents is not alone for long."""

_QUIET_S = 0.05
"""While many sources want watches they are armed when no more have come for this long, in seconds…"""
_GATHERED_S = 0.25
"""…or when the first has waited for this long."""

_REMEDIES = {
    "overflow": "the kernel's queue overflowed. Raise fs.inotify.max_queued_events if that comes again",
}
"""What the condition says of reasons for a full look that somebody can do something about."""

_MOST_PATIENCE = 8
"""How often the pause before another try to arm is doubled, at most."""


class WatcherActor(BaseActor):
    """Keeps the file watcher on exactly the paths that readers depended on."""

    die_on_error = True  # what is watched must be known: begun anew, everything is read and watched again

    def __init__(
        self,
        warmer: Address,
        open_watcher: Callable[[], FileWatcher] | None,
        dispatcher: Dispatcher,
        settings: Settings,
        conditions: ConditionBoard,
        counters: Counters,
        *,
        lane: Lane,
    ) -> None:
        super().__init__(lane=lane)
        self._open_watcher = open_watcher
        self._dispatcher = dispatcher
        self._settings = settings
        self._conditions = conditions
        self._counters = counters
        self._warmer = warmer
        self._watcher: FileWatcher | None = None
        self._stamps: dict[str, Stamps] = {}
        self._sources_of: dict[str, Few[str]] = {}
        self._added: set[str] = set()
        self._removed: set[str] = set()
        self._is_lost = False
        """Whether a try to arm has failed, so that nobody knows which paths are armed."""
        self._compared: dict[str, Stamps] = {}
        self._unchecked: set[str] = set()
        self._checking: set[str] = set()
        self._arming = False
        self._arm_problem = ""
        self._failures = 0
        self._pause_is_set = False
        self._gathering_since: float | None = None
        self._last_wish_at = float("-inf")
        self._degraded: dict[str, None] = {}
        self._events_lost = ""
        """Why file events were lost, until everything has been compared with the disk since."""
        self._is_making_good = False
        """Whether the comparison that runs began after that."""

    def on_start(self) -> None:
        """Open the file watcher; its thread tells this actor's mailbox."""
        if self._open_watcher is None:
            self._conditions.set("Watching", True, "Off", "switched off by the settings")
            return
        try:
            self._open()
        except BaseException as error:
            why = f"files can't be watched now ({describe_error(error)}); it is still tried"
            self._conditions.set("Watching", False, "CannotOpen", f"{why}. Changes show with a recheck or a resync")
            raise
        self._show_condition()

    def on_stop(self) -> None:
        """Close the file watcher with its thread and descriptors."""
        if self._watcher is not None:
            self._watcher.stop()

    @handles(WatchSource)
    def _on_watch_source(self, message: WatchSource) -> None:
        known = self._stamps.get(message.source)
        self._stamps[message.source] = message.stamps
        if known is not None and [path for path, _ in known] == [path for path, _ in message.stamps]:
            return
        for path, _ in known or ():
            self._drop(path, message.source)
        only = (message.source,)
        for path, _ in message.stamps:
            users = self._sources_of.get(path)
            if users is None:
                self._sources_of[path] = only
                self._added.add(path)
                self._removed.discard(path)
            else:
                self._sources_of[path] = with_member(users, message.source)
        self._unchecked.add(message.source)
        self._arm_soon(len(message.stamps))

    @handles(UnwatchSource)
    def _on_unwatch_source(self, message: UnwatchSource) -> None:
        for path, _ in self._stamps.pop(message.source, ()):
            self._drop(path, message.source)
        self._compared.pop(message.source, None)
        self._unchecked.discard(message.source)
        self._arm_soon()

    @handles(PathsTouched)
    def _on_paths_touched(self, message: PathsTouched) -> None:
        self._counters.watch_hints += len(message.paths)
        touched = {source for path in message.paths for source in self._sources_of.get(path, ())}
        self._touch(touched, message.seen_at)

    @handles(RescanNeeded)
    def _on_rescan_needed(self, message: RescanNeeded) -> None:
        log.bind(reason=message.reason).warning("file events may have been lost; looking at every source again")
        self._counters.watch_hints += 1
        self._make_good(_REMEDIES.get(message.reason, message.reason))

    @handles(WatchingDegraded)
    def _on_watching_degraded(self, message: WatchingDegraded) -> None:
        self._degraded[message.reason] = None
        log.bind(reason=message.reason).warning("some files can't be watched natively and are polled instead")
        self._show_condition()

    @handles(WatchingRecovered)
    def _on_watching_recovered(self, message: WatchingRecovered) -> None:
        self._degraded.pop(message.reason, None)
        self._show_condition()

    @handles(CheckStamps)
    def _on_check_stamps(self, _message: CheckStamps) -> None:
        if self._watcher is not None and not self._watcher.alive():
            # of that nothing else tells; begun anew, this actor opens another and everything is looked at again
            raise RuntimeError("the threads of the file watcher are gone")
        known = dict(self._stamps)
        self._compared |= known
        self._read(lambda: _drifted(known), resync=True)

    @handles(StampsChecked)
    def _on_stamps_checked(self, message: StampsChecked) -> None:
        for source, stamps in message.drifted:
            known = self._stamps.get(source)
            if known is not None and known is self._compared.get(source):
                # unless a reading has brought newer ones meanwhile; what can't be read stays different from its last
                # reading, and is one change all the same
                self._stamps[source] = stamps
        drifted = {source for source, _ in message.drifted if source in self._stamps}
        if not message.resync:
            self._armed(message.problem)
        self._touch(drifted, self._dispatcher.clock.monotonic(), resync=message.resync)

    @handles(ArmNow)
    def _on_arm_now(self, _message: ArmNow) -> None:
        self._pause_is_set = False
        self._arm()

    @handles(ArmDue)
    def _on_arm_due(self, _message: ArmDue) -> None:
        self._pause_is_set = False
        now, since = self._dispatcher.clock.monotonic(), self._gathering_since
        quiet_at = self._last_wish_at + _QUIET_S
        if since is not None and now < min(quiet_at, since + _GATHERED_S):
            self._pause(quiet_at - now)
            return
        self._arm()

    def _open(self) -> None:
        assert self._open_watcher is not None
        self._watcher = self._open_watcher()
        self._watcher.start(_Sink(self.actor_ref, self._dispatcher))

    def _make_good(self, why: str) -> None:
        """Have every source looked at again after events were lost; the condition says so until that is compared."""
        self._events_lost, self._is_making_good = why if self._stamps else "", False
        self._unchecked = set(self._stamps)
        self._touch(self._unchecked, self._dispatcher.clock.monotonic())
        self._show_condition()
        self._arm_soon()

    def _arm_soon(self, count: int = 1) -> None:
        """Arm what is wanted now, so many paths: at once while little is asked for, else together with what comes next.

        A warm asks for a thousand paths a second, and whatever changed before they were armed is found then all the
        same.
        """
        now = self._dispatcher.clock.monotonic()
        is_quiet = self._gathering_since is None and now - self._last_wish_at >= _QUIET_S
        comes_alone = is_quiet and count <= _FEW_PATHS
        self._last_wish_at = now
        if self._gathering_since is None:
            self._gathering_since = now
        if comes_alone:
            self._arm()
        elif not self._arming and not self._pause_is_set:
            self._pause(_QUIET_S)

    def _armed(self, problem: str) -> None:
        """Go on after a try to arm: what came meanwhile is armed soon, what failed after a pause that grows."""
        self._arming = False
        if problem != self._arm_problem:
            self._arm_problem = problem
            self._show_condition()
        if not problem and self._is_making_good:
            self._events_lost, self._is_making_good = "", False
            self._show_condition()
        if problem:
            self._unchecked |= self._checking & self._stamps.keys()
            self._is_lost = True
            delay_s = self._settings.retry_first_s * 2 ** min(self._failures, _MOST_PATIENCE)
            self._failures += 1
            self._pause(min(delay_s, self._settings.retry_max_s))
            return
        self._failures = 0
        if self._is_behind():
            self._gathering_since = self._dispatcher.clock.monotonic()
            if not self._pause_is_set:
                self._pause(_QUIET_S)
        else:
            self._gathering_since = None

    def _pause(self, delay_s: float) -> None:
        self._pause_is_set = True
        self._dispatcher.tell_later(delay_s, self.actor_ref, ArmDue())

    def _is_behind(self) -> bool:
        """Tell whether anything is to be armed, or compared once it is."""
        return bool(self._unchecked or self._added or self._removed or self._is_lost)

    def _touch(self, sources: set[str], cause_at: float, *, resync: bool = False) -> None:
        if sources:
            self._warmer.tell(SourcesTouched(sources=tuple(sorted(sources)), cause_at=cause_at, resync=resync))

    def _drop(self, path: str, source: str) -> None:
        users = without_member(self._sources_of.get(path, ()), source)
        if users:
            self._sources_of[path] = users
        elif self._sources_of.pop(path, None) is not None:
            self._removed.add(path)
            self._added.discard(path)

    def _arm(self) -> None:
        """Have the watches set to what is wanted now, one job at a time, and whatever changed before they were
        compared.
        """
        watcher = self._watcher
        if watcher is None or self._arming or self._pause_is_set:
            return
        if not self._is_behind():
            self._gathering_since = None
            return
        self._arming = True
        everything = tuple(self._sources_of) if self._is_lost else None
        added, removed = self._added, self._removed
        self._added, self._removed, self._is_lost = set(), set(), False
        fresh = {source: self._stamps[source] for source in sorted(self._unchecked)}
        self._compared |= fresh
        self._checking, self._unchecked = self._unchecked, set()
        self._is_making_good = self._events_lost != ""

        def arm() -> Drift:
            if everything is not None:
                watcher.watch(everything)
            else:
                watcher.remove(removed)
                watcher.add(added)
            return _drifted(fresh)

        self._read(arm, resync=False)

    def _read(self, read: Callable[[], Drift], *, resync: bool) -> None:
        me = self.actor_ref

        def deliver(outcome: ReadOutcome) -> None:
            drifted = outcome.value if isinstance(outcome.value, tuple) else ()
            tell(me, StampsChecked(drifted=drifted, resync=resync, problem=outcome.error or ""))

        name = RESYNC_SOURCE if resync else WATCH_SOURCE
        self._dispatcher.read(ReadJob(name, read, deliver, self._settings.source_deadline_s))

    def _show_condition(self) -> None:
        assert self._watcher is not None
        if self._arm_problem:
            self._conditions.set("Watching", False, "NotArmed", f"not every file is watched yet: {self._arm_problem}")
        elif self._events_lost:
            text = f"file events were lost, and every source is read again: {self._events_lost}"
            self._conditions.set("Watching", False, "EventsLost", text)
        elif self._degraded:
            text = f"polling every {self._settings.poll_interval_s:g} s: {'; '.join(self._degraded)}"
            self._conditions.set("Watching", False, "Polling", text)
        else:
            self._conditions.set("Watching", True, self._watcher.backend, "")


class _Sink:
    """Hears the file watcher on its thread and tells the actor."""

    def __init__(self, actor: pykka.ActorRef[Any], dispatcher: Dispatcher) -> None:
        self._actor = actor
        self._clock = dispatcher.clock

    def touched(self, paths: tuple[str, ...]) -> None:
        tell(self._actor, PathsTouched(paths=paths, seen_at=self._clock.monotonic()))

    def rescan(self, reason: str) -> None:
        tell(self._actor, RescanNeeded(reason=reason))

    def degraded(self, reason: str) -> None:
        tell(self._actor, WatchingDegraded(reason=reason))

    def recovered(self, reason: str) -> None:
        tell(self._actor, WatchingRecovered(reason=reason))


def _drifted(known: dict[str, Stamps]) -> Drift:
    """Return the sources one of whose paths has another stamp now, with the stamps as they are."""
    drifted = []
    for source, stamps in known.items():
        give_way()
        now = tuple((path, stamp(path)) for path, _ in stamps)
        if now != stamps:
            drifted.append((source, now))
    return tuple(drifted)
