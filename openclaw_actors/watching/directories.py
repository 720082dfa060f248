"""The directories that inotify watches, as a tree from the root down.

A directory that holds names somebody waits for is watched *fully*. Its ancestors are watched only for *themselves*:
being moved, removed or chmod-ed, which costs no event of their contents. Without that, renaming a grandparent would be
silent.

A directory is what it is, not what it is called: its identity is (st_dev, st_ino). One that was removed and made again
under the same name is another one, and whatever hung below the old one is hung up anew.
"""

from __future__ import annotations

import errno
import itertools
import os
from functools import lru_cache
from typing import Protocol

from watchdog.observers.inotify_c import CallbackId, InotifyConstants, InotifyEvent, InotifyFD, Mask, WatchDescriptor

from openclaw_actors.few import Few, with_member, without_member
from openclaw_actors.log import log
from openclaw_actors.watching.tracing import Entry, Look, identify

SELF = Mask(
    InotifyConstants.IN_DELETE_SELF
    | InotifyConstants.IN_MOVE_SELF
    | InotifyConstants.IN_ATTRIB
    | InotifyConstants.IN_ONLYDIR
    | InotifyConstants.IN_DONT_FOLLOW
)
"""What is asked about an ancestor: only about itself."""

LISTED = Mask(
    InotifyConstants.IN_CREATE
    | InotifyConstants.IN_DELETE
    | InotifyConstants.IN_MOVED_FROM
    | InotifyConstants.IN_MOVED_TO
)
"""Events that change the list of a directory's entries."""

FULL = Mask(SELF | LISTED | InotifyConstants.IN_CLOSE_WRITE)
"""What is asked where names are wanted. Never OPEN, ACCESS, CLOSE_NOWRITE: our own reads are no events."""

GROWING = Mask(FULL | InotifyConstants.IN_MODIFY)
"""What is asked where one of them is a database's log: its owner keeps it open, so a commit closes nothing."""

LOG_ENDING = b"-wal"

_MASKS = (SELF, FULL, GROWING)
"""By `Directory.level`."""

_TOKENS = itertools.count(1)  # for all trees: two of them hold the same watches while one takes over from the other
_RACED = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_ADD = (
    InotifyConstants.IN_MASK_ADD
)  # two names of one directory (bind mounts) share a watch: never narrow the other's mask


class Listener(Protocol):
    """Who is told about directories; called on the inotify thread."""

    def event(self, directory: Directory, event: InotifyEvent) -> None:
        """Something happened to the directory or in it."""

    def lost(self, directory: Directory) -> None:
        """The kernel dropped the watch: the directory is gone or unmounted."""

    def overflow(self, directory: Directory) -> None:
        """The kernel's queue overflowed; called for each directory."""

    def failed(self, error: Exception) -> None:
        """One of the others raised; must not raise itself, or the inotify thread ends."""


class Directory:
    """One watched directory; also the callback object that `InotifyFD` calls, hence never raises from its `on_…`."""

    __slots__ = (
        "_listener",
        "children",
        "gone",
        "identity",
        "level",
        "names",
        "parent",
        "path",
        "token",
        "trouble",
        "wd",
    )

    def __init__(self, path: str, parent: Directory | None, listener: Listener) -> None:
        self._listener = listener
        self.path = path
        self.parent = parent
        self.children: Few[Directory] = ()
        self.names: dict[bytes, Few[str]] = {}
        """Wanted names, as the kernel spells them, and the watched paths that wait for them."""
        self.wd: WatchDescriptor | None = None
        self.token = CallbackId(0)
        self.level = 0
        """How much is asked about it: an index of `_MASKS`."""
        self.identity: tuple[int, int] | None = None
        self.trouble: str | None = None
        """Why inotify can't watch it; None when it does."""
        self.gone = False
        """Let go of: events that still arrive for it are stale."""

    def on_event(self, event: InotifyEvent) -> None:
        """Passes an event on (InotifyFD calls it)."""
        try:
            self._listener.event(self, event)
        except Exception as error:
            self._listener.failed(error)

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        """Passes the loss of the watch on (InotifyFD calls it)."""
        try:
            if wd == self.wd:
                self._listener.lost(self)
        except Exception as error:
            self._listener.failed(error)

    def on_queue_overflow(self) -> None:
        """Passes an overflow on (InotifyFD calls it, for every directory)."""
        try:
            self._listener.overflow(self)
        except Exception as error:
            self._listener.failed(error)


class Round:
    """One pass of hanging paths up: a single look at the disk, what was armed since, what turned out to be lost."""

    def __init__(self) -> None:
        self.look = Look()
        """Taken before anything was armed in this round, so it is out of date for what was."""
        self.armed: set[str] = set()
        """Directories that arming was tried for in this round."""
        self.lost: set[str] = set()
        """Watched paths whose directories turned out to be others than those that were watched."""


class DirectoryTree:
    """The watched directories of one `InotifyFD`. Not thread-safe: its owner calls it under one lock."""

    def __init__(self, fd: InotifyFD, listener: Listener) -> None:
        self._fd = fd
        self._listener = listener
        self._directories: dict[str, Directory] = {}
        self._in_trouble: set[Directory] = set()

    def hold(self, path: str, entry: Entry, pass_: Round) -> bool:
        """Makes a path wait for an entry; False when the look of this round can't be trusted for it, so look again."""
        name = _spelled(entry[1])
        directory = self._ensure(entry[0], pass_, 2 if name.endswith(LOG_ENDING) else 1)
        if directory is None:
            return False
        directory.names[name] = with_member(directory.names.get(name, ()), path)
        # One in trouble is polled from now on, so there is nothing to wait for.
        return directory.trouble is not None or directory.path not in pass_.armed

    def release(self, path: str, entry: Entry) -> None:
        """Ends a path's wait for an entry; directories that nobody needs any more are let go."""
        directory = self._directories.get(entry[0])
        if directory is None:
            return
        name = _spelled(entry[1])
        waiting = directory.names.get(name)
        if waiting is not None:
            left = without_member(waiting, path)
            if left:
                directory.names[name] = left
            else:
                del directory.names[name]
        self._prune(directory)

    def trouble(self, entry: Entry) -> str | None:
        """Says why inotify can't watch an entry, or None when it does."""
        directory = self._directories.get(entry[0])
        if directory is None:
            return "the directories of a watched path keep changing"
        while directory is not None:
            if directory.trouble is not None:
                return directory.trouble
            directory = directory.parent
        return None

    def below(self, directory: Directory) -> set[str]:
        """Gives the watched paths that wait for something in a directory or below it."""
        paths: set[str] = set()
        for each in _subtree(directory):
            paths.update(*each.names.values())
        return paths

    def uproot(self, directory: Directory) -> set[str]:
        """Lets go of a directory and all below it, which may be elsewhere now; gives the paths to hang up anew."""
        paths = self.below(directory)
        doomed = _subtree(directory)
        for each in doomed:
            self._directories.pop(each.path, None)
        self._disarm(doomed)
        if directory.parent is not None:
            directory.parent.children = without_member(directory.parent.children, directory)
            self._prune(directory.parent)
        return paths

    def let_go(self) -> None:
        """Lets go of every directory."""
        self._disarm(list(self._directories.values()))
        self._directories.clear()

    def abandon(self) -> None:
        """Forgets every directory without a word to the kernel: the descriptor is about to be closed."""
        for directory in self._directories.values():
            directory.gone = True
        self._directories.clear()
        self._in_trouble.clear()

    def _ensure(self, path: str, pass_: Round, level: int) -> Directory | None:
        """Gives the directory at a path, watched as well as it can be; None when it went away meanwhile."""
        identity = pass_.look.at(path)
        directory = self._directories.get(path)
        if directory is not None and directory.path not in pass_.armed and directory.identity != identity:
            pass_.lost |= self.uproot(directory)
            directory = None
        if directory is None:
            parent = None
            if path != "/":
                parent = self._ensure(os.path.dirname(path), pass_, 0)
                if parent is None:
                    return None
            directory = Directory(path, parent, self._listener)
            self._directories[path] = directory
            if parent is not None:
                parent.children = with_member(parent.children, directory)
        else:
            if self._in_trouble and directory.parent is not None:
                # an ancestor that could not be watched keeps all below it polled: it has another chance too
                parent = self._ensure(directory.parent.path, pass_, 0)
                if parent is not directory.parent:
                    return None
            if directory.level >= level and (directory.trouble is None or path in pass_.armed):
                return directory
        pass_.armed.add(path)
        if self._arm(directory, max(level, directory.level)):
            return directory
        pass_.lost |= self.uproot(directory)
        return None

    def _arm(self, directory: Directory, level: int) -> bool:
        """Asks the kernel to watch; False when the path leads to another directory by now."""
        directory.trouble = None
        self._in_trouble.discard(directory)
        if level or directory.parent is not None:  # the root needs no watching for its own sake
            token = CallbackId(next(_TOKENS))
            mask = Mask(_MASKS[level] | _ADD)
            try:
                wd = self._fd.add_callback(os.fsencode(directory.path), mask, directory, token)
            except OSError as error:
                if error.errno in _RACED:
                    return False
                self._note_trouble(directory, error)
            else:
                if not self._adopt(directory, wd, token, level):
                    return False
        # After arming, not before: a directory that is swapped from here on makes an event.
        found = identify(directory.path)
        directory.identity = found if isinstance(found, tuple) else None
        return directory.identity is not None

    def _adopt(self, directory: Directory, wd: WatchDescriptor, token: CallbackId, level: int) -> bool:
        if wd == -1:  # InotifyFD's way to say EACCES
            self._fd.remove_callbacks([(wd, token)])
            if level:
                self._note_trouble(directory, PermissionError(errno.EACCES, ""))
            # An unreadable ancestor (0711 homes) is left at that: only its owner could move what is in it.
            return True
        before = directory.wd
        if before is not None:
            self._fd.remove_callbacks([(before, directory.token)])
        directory.wd, directory.token, directory.level = wd, token, level
        return before is None or before == wd

    def _note_trouble(self, directory: Directory, error: OSError) -> None:
        directory.trouble = explain(error)
        self._in_trouble.add(directory)

    def _prune(self, directory: Directory | None) -> None:
        while directory is not None and not directory.names and not directory.children and not directory.gone:
            self._directories.pop(directory.path, None)
            self._disarm([directory])
            parent = directory.parent
            if parent is not None:
                parent.children = without_member(parent.children, directory)
            directory = parent

    def _disarm(self, directories: list[Directory]) -> None:
        for directory in directories:
            directory.gone = True
            self._in_trouble.discard(directory)
            wd, directory.wd = directory.wd, None
            if wd is None:
                continue
            try:
                self._fd.remove_callbacks([(wd, directory.token)])
            except OSError as error:  # nothing to do about it: its events are stale and dropped
                log.bind(errno=error.errno).debug("an inotify watch could not be removed")


def explain(error: OSError) -> str:
    """Says in words why inotify refused; without the path, so that a thousand refusals are one reason."""
    if error.errno == errno.ENOSPC:
        return "no inotify watches left: raise fs.inotify.max_user_watches"
    if error.errno == errno.EMFILE:
        return "no inotify instance left: raise fs.inotify.max_user_instances, or the open-file limit"
    if error.errno == errno.EACCES:
        return "a directory may not be read, so it can't be watched"
    return f"inotify refuses a directory ({errno.errorcode.get(error.errno or 0, 'unknown error')})"


def _subtree(directory: Directory) -> list[Directory]:
    found = [directory]
    for each in found:  # grows while it is walked
        found.extend(each.children)
    return found


@lru_cache(256)
def _spelled(name: str) -> bytes:
    """Return a name as the kernel spells it; the same few names are waited for in thousands of directories."""
    try:
        return os.fsencode(name)
    except UnicodeEncodeError:  # no file can have this name: any spelling that no event has will do
        return b"/" + name.encode("utf-8", "surrogatepass")
