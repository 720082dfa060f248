"""Watching by inotify: one descriptor, one thread, one watch per directory, however many paths.

Leans on `InotifyFD` of watchdog 7.1 (not its documented face, hence the contract tests) because `Observer` costs a
thread per directory, reports our own reads, and goes silent when a directory is made again. Recursive watching is never
used.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterable

from watchdog.observers.inotify_c import InotifyConstants, InotifyEvent

from openclaw_actors.log import log
from openclaw_actors.reading.pace import give_way
from openclaw_actors.watching.descriptor import Descriptor
from openclaw_actors.watching.directories import LISTED, LOG_ENDING, Directory, DirectoryTree, Round, explain
from openclaw_actors.watching.guarded import GuardedSink
from openclaw_actors.watching.mounts import Mounts
from openclaw_actors.watching.polling import POLL_INTERVAL_S, PollingWatcher
from openclaw_actors.watching.protocol import WatchSink, absolute
from openclaw_actors.watching.tracing import Entry, trace

MAX_ROUNDS = 8
"""Looks at a path whose directories change while they are being watched, before polling takes it over."""

RETRY_MAX_S = 60.0
"""The longest pause between two tries to watch by inotify what is polled, in seconds; pauses double from one look."""

_LOGGED = LISTED | InotifyConstants.IN_MODIFY

_GONE = InotifyConstants.IN_DELETE_SELF | InotifyConstants.IN_MOVE_SELF | InotifyConstants.IN_UNMOUNT


_PLAIN: tuple[Entry, ...] = (("", ""),)
"""Stands for the trace of a path through plain directories alone, its last name: most are, and it follows from them."""


def _last(path: str) -> Entry:
    head, _, tail = path.rpartition("/")
    return (head or "/", tail)


class InotifyWatcher:
    """A `FileWatcher` on inotify, with polling for the paths that inotify can't watch.

    Thread-safe by one lock, which is never held while the sink is called. Lock order: ours, then `InotifyFD`'s or the
    poller's; both of these call back without holding theirs. After a fork the child's copy does nothing at all: it
    shares the kernel's queue with its parent, and stopping would take the parent's watches away.
    """

    def __init__(self, *, poll_interval_s: float = POLL_INTERVAL_S) -> None:
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._traces: dict[str, tuple[Entry, ...]] = {}  # every watched path; () until it is hung up, see `_entries`
        self._polled: dict[str, str] = {}  # and why; "" while its directories don't hold still
        self._reasons: Counter[str] = Counter()
        self._shown: dict[str, str] = {}  # each reason with the path that had it first, for people
        self._poller = PollingWatcher(interval_s=poll_interval_s, on_look=self._try_again)
        self._first_pause_s = self._pause_s = poll_interval_s
        self._try_at = float("-inf")
        self._polling = False
        self._mounts = Mounts("")
        self._sink: GuardedSink | None = None
        self._fd: Descriptor | None = None
        self._tree: DirectoryTree | None = None
        self._refusal: str | None = None  # why there is no descriptor at all, while there is none
        self._stopped = False

    @property
    def backend(self) -> str:
        """What does the watching: `inotify`, or `polling` while the kernel has no inotify instance left."""
        return "polling" if self._refusal is not None else "inotify"

    @property
    def watched_paths(self) -> int:
        """How many paths are watched."""
        return len(self._traces)

    @property
    def polled_paths(self) -> int:
        """How many of them polling looks after."""
        return len(self._polled)

    def watch(self, paths: Iterable[str]) -> None:
        """Replaces the whole set of watched paths. See `FileWatcher.watch`."""
        self._change(absolute(paths), None)

    def add(self, paths: Iterable[str]) -> None:
        """Watches these paths too. See `FileWatcher.add`."""
        self._change(absolute(paths), ())

    def remove(self, paths: Iterable[str]) -> None:
        """Stops watching these paths. See `FileWatcher.remove`."""
        self._change(set(), paths)

    def start(self, sink: WatchSink) -> None:
        """Opens the descriptor, starts its thread, hangs all paths up. See `FileWatcher.start`."""
        with self._lock:
            if self._sink is not None or self._stopped:
                raise RuntimeError("a watcher is started once: open another one")
            self._sink = GuardedSink(sink)
            self._pid = os.getpid()
            self._mounts = Mounts.now()
            self._open()
            self._hang_up(set(self._traces))
        self._tell(set())

    def stop(self, timeout_s: float = 2.0) -> None:
        """Closes the descriptor and ends the threads. See `FileWatcher.stop`."""
        if self._pid != os.getpid():
            return
        deadline = time.monotonic() + timeout_s
        with self._lock:
            self._stopped = True
            fd, self._fd = self._fd, None
            if self._tree is not None:
                self._tree.abandon()
                self._tree = None
        self._poller.stop(0.0)  # both threads are told first, then both are waited for
        if fd is not None:
            fd.stop()
            if fd is not threading.current_thread():
                fd.join(max(0.0, deadline - time.monotonic()))
        self._poller.stop(max(0.0, deadline - time.monotonic()))

    def alive(self) -> bool:
        """Says whether the threads that are needed run."""
        fd = self._fd
        running = fd is not None and fd.is_alive()
        if self._polling:
            return self._poller.alive() and (running or self._refusal is not None)
        return running

    # What InotifyFD's thread calls, through `Directory`.

    def event(self, directory: Directory, event: InotifyEvent) -> None:
        """Handles one event: drops it unless somebody waits for its name, else tells which paths to look at."""
        with self._lock:
            if directory.gone or self._tree is None:
                return
            hit: set[str]
            if event.name:
                if event.name.endswith(LOG_ENDING):
                    # SQLite opens a log for writing, and as root chowns it, even to read: those events are our own
                    if not event.mask & _LOGGED:
                        return
                elif event.is_modify:
                    return  # half written: its end is told when it is closed
                hit = set(directory.names.get(event.name, ()))
                if event.mask & LISTED:
                    hit.update(directory.names.get(b"", ()))
            elif event.mask & _GONE:
                hit = self._tree.uproot(directory)
            else:
                hit = self._tree.below(directory)  # its own mode changed: what is below may be readable now, or no more
            if not hit:
                return
            hit |= self._hang_up(hit)
        self._tell(hit)

    def lost(self, directory: Directory) -> None:
        """Handles the end of a watch that nobody asked for."""
        with self._lock:
            if directory.gone or self._tree is None:
                return
            hit = self._tree.uproot(directory)
            hit |= self._hang_up(hit)
        self._tell(hit)

    def overflow(self, directory: Directory) -> None:
        """Handles lost events: hangs everything up anew, then asks for a full look. Once, though all call."""
        with self._lock:
            if directory.gone or self._tree is None or self._fd is None:
                return
            stale, self._tree = self._tree, DirectoryTree(self._fd, self)
            self._mounts = Mounts.now()
            self._hang_up(set(self._traces))
            stale.let_go()  # after the new tree is up: the kernel's watches are shared, so none was ever missing
        self._tell(set(), rescan="overflow")

    def ended(self, fd: Descriptor) -> None:
        """Handles the end of the thread that reads the descriptor: polling takes over, and soon tries to get another
        one.
        """
        with self._lock:
            if fd is not self._fd or self._stopped:
                return
            self._fd, self._refusal = None, "the thread that hears inotify ended: another one is tried"
            if self._tree is not None:
                self._tree.abandon()
                self._tree = None
            self._hang_up(set(self._traces))
        log.error("the thread that hears inotify ended: its paths are polled until there is another one")
        fd.discard()
        self._tell(set(), rescan="the thread that hears inotify ended")

    def failed(self, error: Exception) -> None:
        """Handles a bug of ours while an event was handled: its hint is lost, so everything is to be looked at."""
        log.bind(error=type(error).__name__).error("handling a file event failed: everything is looked at again")
        if self._sink is not None and not self._stopped:
            self._sink.rescan("a file event could not be handled")

    # What the poller's thread calls.

    def touched(self, paths: tuple[str, ...]) -> None:
        """Takes the poller's hints; a path whose look changed may also have found its way back to inotify."""
        with self._lock:
            if self._stopped:
                return
            hit = set(paths) & self._traces.keys()
            hit |= self._hang_up(hit)
        self._tell(hit)

    def rescan(self, reason: str) -> None:
        """Is part of being the poller's sink; polling loses nothing and never calls it."""

    def degraded(self, reason: str) -> None:
        """Is part of being the poller's sink; polling has nothing to fall back to and never calls it."""

    def recovered(self, reason: str) -> None:
        """Is part of being the poller's sink; polling never calls it."""

    def _try_again(self) -> None:
        """Tries to watch by inotify what is polled, after a look that found the pause over."""
        now = time.monotonic()
        with self._lock:
            if self._stopped or not self._polled or now < self._try_at:
                return
            before = self._refusal
            self._mounts = Mounts.now()
            if self._tree is None:
                self._open()
                changed = self._refusal != before
                hit = self._hang_up(set(self._traces)) if changed else set()
            else:
                # one path of each reason first: as long as it holds for that one, the others need no look
                samples = {reason: path for path, reason in self._polled.items()}
                hit = self._hang_up(set(samples.values()))
                over = {reason for reason, path in samples.items() if self._polled.get(path) != reason}
                hit |= self._hang_up({path for path, reason in self._polled.items() if reason in over})
            # a thread that dies again and again has everything read again each time: that needs pauses too
            was_calm = now - self._try_at > RETRY_MAX_S
            self._pause_s = self._first_pause_s if was_calm else min(2 * self._pause_s, RETRY_MAX_S)
            self._try_at = now + self._pause_s
        self._tell(hit)

    def _open(self) -> None:
        """Opens the descriptor and starts its thread, with the lock held; says in `_refusal` why it can't."""
        fd = None
        try:
            fd = Descriptor(self.ended)
            fd.start()
        except (OSError, RuntimeError) as error:  # RuntimeError: the system has no thread left
            self._refusal = explain(error) if isinstance(error, OSError) else "no thread left to hear inotify"
            if fd is not None:
                fd.discard()
            return
        self._refusal = None
        self._fd, self._tree = fd, DirectoryTree(fd, self)

    def _change(self, add: set[str], remove: Iterable[str] | None) -> None:
        """Watches more and fewer paths; None removes all that are not in `add`."""
        if self._pid != os.getpid():
            return
        hit = set[str]()
        with self._lock:
            surplus = self._traces.keys() - add if remove is None else self._traces.keys() & set(remove)
            new = add - self._traces.keys()
            self._traces.update(dict.fromkeys(new, ()))
            if new and self._sink is not None and not self._stopped:
                self._mounts = Mounts.now()
                hit = self._hang_up(new)
            self._take_down(surplus)  # last: a directory that old and new paths share stays watched
        self._tell(hit - surplus)

    def _take_down(self, paths: set[str]) -> None:
        for path in paths:
            entries = self._entries(path)
            del self._traces[path]
            if self._tree is not None:
                for entry in entries:
                    self._tree.release(path, entry)
        polled = paths & self._polled.keys()
        for path in polled:
            self._forget_reason(self._polled.pop(path))
        self._poller.remove(polled)

    def _tell(self, paths: set[str], *, rescan: str = "") -> None:
        if self._sink is not None and not self._stopped:
            self._sink.polled_for(self._current_reasons)
            self._sink.touched(paths)
            if rescan:
                self._sink.rescan(rescan)

    def _current_reasons(self) -> dict[str, str]:
        with self._lock:
            return dict(self._shown)

    def _hang_up(self, paths: set[str]) -> set[str]:
        """Traces paths and has their entries watched, with the lock held.

        A look at the disk counts only if everything it depends on was watched before it was taken: a directory that
        appears between the look and the watch would stay unseen. So paths with newly watched directories are looked at
        once more.

        Returns:
            Watched paths that turned out to need a look: others, and those that changed on their way from polling to
            inotify.
        """
        settled, pending, lost = set(paths), set(paths), set[str]()
        if self._tree is not None:
            if len(paths) > 1:
                # one path of each directory first: its watch is there then when all the others are looked at
                firsts = set({path.rpartition("/")[0]: path for path in paths}.values())
                pending |= self._one_round(self._tree, firsts, lost)
                settled |= pending
            for _ in range(MAX_ROUNDS):
                pending = self._one_round(self._tree, pending, lost)
                settled |= pending
                if not pending:
                    break
            else:
                log.bind(paths=len(pending)).warning("directories change while they are being watched: polled for now")
        return (lost - paths) | self._share_with_poller(settled, pending)

    def _one_round(self, tree: DirectoryTree, paths: set[str], lost: set[str]) -> set[str]:
        """Hangs paths up by one look; gives those that must be looked at again."""
        pass_ = Round()
        again = set()
        for path in paths:
            give_way()
            before = self._entries(path)
            entries = trace(path, pass_.look)
            # All are held, also after one that can't be trusted: what is watched before the next look is settled by it.
            if not all([tree.hold(path, entry, pass_) for entry in entries]):
                again.add(path)
            for entry in before:
                if entry not in entries:
                    tree.release(path, entry)
            self._traces[path] = _PLAIN if entries == (_last(path),) else entries
        pass_.lost &= self._traces.keys()
        lost |= pass_.lost
        return again | pass_.lost

    def _entries(self, path: str) -> tuple[Entry, ...]:
        """Return what decides where a watched path leads; nothing until it is hung up."""
        entries = self._traces[path]
        return (_last(path),) if entries is _PLAIN else entries

    def _share_with_poller(self, paths: set[str], unsettled: set[str]) -> set[str]:
        """Gives to polling what inotify can't watch, takes back what it can; gives what changed on the way back."""
        new, regained = set(), set()
        for path in paths:
            give_way()
            reason = self._reason_to_poll(path)
            if reason is None and path in unsettled:
                reason = ""
            before = self._polled.get(path)
            if reason == before:
                continue
            if before is None:
                new.add(path)
            else:
                self._forget_reason(before)
            if reason is None:
                del self._polled[path]
                regained.add(path)
            else:
                self._polled[path] = reason
                self._note_reason(reason, path)
        self._poller.add(new)
        if self._polled and not self._polling and not self._stopped:
            self._poller.start(self)
            self._polling = True
        return self._poller.hand_over(regained) if regained else set()

    def _note_reason(self, reason: str, path: str) -> None:
        if reason and not self._reasons[reason]:
            self._shown[reason] = f"{reason} ({path})"
        self._reasons[reason] += 1

    def _forget_reason(self, reason: str) -> None:
        self._reasons[reason] -= 1
        if not self._reasons[reason]:
            del self._reasons[reason]
            self._shown.pop(reason, None)

    def _reason_to_poll(self, path: str) -> str | None:
        if self._tree is None:
            return self._refusal
        entries = self._entries(path)
        for entry in entries:
            if reason := self._tree.trouble(entry):
                return reason
        return self._mounts.blind(entries)
