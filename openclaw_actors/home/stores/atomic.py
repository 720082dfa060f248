"""Replacing a JSON file as a whole: readers see the old content or the new one, never a part.

The steps and the form are OpenClaw's (2026.5.22, json file helper of @openclaw/fs-safe 0.2.7; formats 3.8), but for
one thing: identical bytes are never written, so that a write that changes nothing wakes no watcher.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import uuid
from collections.abc import Callable, Iterable

from openclaw_actors.errors import StoreReadOnlyError
from openclaw_actors.home.paths import real_path
from openclaw_actors.log import log

__all__ = ["encode_json", "not_writable", "remove_file", "remove_leftovers", "replace_json"]

_REMEDIES = {
    errno.EACCES: "Give this process's user the right to write there, or run it as the user that owns the home",
    errno.EPERM: "Give this process's user the right to write there, or run it as the user that owns the home",
    errno.EROFS: "The file system is mounted read-only: mount it writable, or write from where it is",
    errno.ENOSPC: "The disk is full: free some space and try again",
    errno.EFBIG: "A limit on the size of files was reached (`ulimit -f`): raise it and start the process again",
    errno.EDQUOT: "The disk quota is used up: free some space and try again",
    errno.EBUSY: "The file itself seems to be a mount point: mount the directory that holds it instead",
    errno.ENOENT: "The directory isn't there: check the path of the agent's dir",
    errno.ENOTDIR: "The directory isn't there: check the path of the agent's dir",
}
_REMEDY = "Check the file system and try again"
_UNFINISHED = ".actors.tmp"
"""Ends the names of our temporary files. OpenClaw's are `<file>.<uuid>.tmp`; those are not ours to remove."""
_IS_UNFINISHED = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}" + re.escape(_UNFINISHED))


def not_writable(path: str, error: OSError) -> StoreReadOnlyError:
    """Return the exception that says that `path` can't be written, why, and what to do."""
    why = os.strerror(error.errno).lower() if error.errno else "unknown trouble"
    remedy = _REMEDIES.get(error.errno or 0, _REMEDY)
    return StoreReadOnlyError(f"{path}: can't be written ({why}), and nothing was changed. {remedy}")


def encode_json(obj: object) -> bytes:
    """Return the bytes that OpenClaw would write for `obj`: two spaces of indent and a final newline."""
    text = json.dumps(obj, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    # half a surrogate pair has no UTF-8; both JavaScript and this error handler write it as \udXXX
    return text.encode("utf-8", "backslashreplace")


def replace_json(path: str, obj: object, *, last_check: Callable[[], object] = lambda: None) -> bool:
    """Make `obj` the content of the file and return True; return False, and do nothing, when it is that already.

    A symbolic link is followed. The new file has mode 0600, and under root it keeps the owner of what it replaces. A
    missing parent directory is created with mode 0700. Whatever fails, no temporary file stays; one that a killed
    process leaves is removed by `remove_leftovers`. Safe on any thread, but only a lock keeps two writers from
    overwriting each other's work. `last_check` is called when all but the replacing is done, which may take long on a
    slow disk; what it raises stops it.

    Raises:
        StoreReadOnlyError: when it can't be written; the old file is as it was.
    """
    content = encode_json(obj)
    target = real_path(path)
    try:
        if _holds(target, content):
            return False
        parent = os.path.dirname(target)
        _make_dirs(parent)
        _swap(target, content, last_check)
        _sync_dir(parent)
    except OSError as error:
        raise not_writable(path, error) from None
    return True


def remove_file(path: str) -> bool:
    """Remove a file for good and return True; return False when it isn't there.

    Raises:
        StoreReadOnlyError: when it can't be removed.
    """
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise not_writable(path, error) from None
    _sync_dir(os.path.dirname(path))
    return True


def remove_leftovers(paths: Iterable[str]) -> None:
    """Remove what a process of ours that was killed while it replaced one of these files has left beside it.

    Only under the store's lock: then nobody of ours is writing, so that each temporary file is a dead writer's. It
    may be a copy of credentials that were logged out since. What can't be removed is left.
    """
    names: dict[str, set[str]] = {}
    for path in paths:
        directory, name = os.path.split(os.path.realpath(path))
        names.setdefault(directory, set()).add(name)
    for directory, wanted in names.items():
        with contextlib.suppress(OSError):
            for found in os.listdir(directory):
                if any(_is_unfinished(found, name) for name in wanted):
                    os.unlink(os.path.join(directory, found))
                    log.bind(file=found).info("unfinished store file of a killed process removed")


def _is_unfinished(found: str, name: str) -> bool:
    return found.startswith(f"{name}.") and _IS_UNFINISHED.fullmatch(found, len(name) + 1) is not None


def _holds(path: str, content: bytes) -> bool:
    if not os.path.isfile(path):  # reading a FIFO would wait for a writer
        return False
    try:
        with open(path, "rb") as file:
            return file.read(len(content) + 1) == content
    except OSError:
        # missing, or not ours to read: writing it tells what is wrong
        return False


def _make_dirs(path: str) -> None:
    missing: list[str] = []
    while path and not os.path.isdir(path):
        missing.append(path)
        above = os.path.dirname(path)
        if above == path:
            break
        path = above
    for directory in reversed(missing):
        with contextlib.suppress(FileExistsError):
            os.mkdir(directory, 0o700)


def _swap(target: str, content: bytes, last_check: Callable[[], object]) -> None:
    temporary = f"{target}.{uuid.uuid4()}{_UNFINISHED}"
    fd = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        try:
            os.fchmod(fd, 0o600)
            _keep_owner(fd, target)
            view = memoryview(content)
            while view:
                view = view[os.write(fd, view) :]
            os.fsync(fd)
        finally:
            os.close(fd)
        last_check()
        os.rename(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _keep_owner(fd: int, target: str) -> None:
    """Give the new file the owner of the old one (or of its directory).

    Only root can do that, and only root has to: a command run once as root would otherwise lock the gateway out of
    its store.
    """
    if os.geteuid() != 0:
        return
    try:
        owner = os.stat(target)
    except FileNotFoundError:
        owner = os.stat(os.path.dirname(target))
    if (owner.st_uid, owner.st_gid) != (os.geteuid(), os.getegid()):
        # a container's root may lack the right: then the file is root's, as it would be after OpenClaw wrote it
        with contextlib.suppress(OSError):
            os.fchown(fd, owner.st_uid, owner.st_gid)


def _sync_dir(path: str) -> None:
    """Make a rename in the directory last; what can't be synced (some network mounts) is left to the system."""
    with contextlib.suppress(OSError):
        fd = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
