"""Where the gateways of a home can be asked: a folder of this user, and in it one socket per gateway.

Nothing is ever put into the home: it may be on a network disk, be synchronised, or belong to a backup.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import socket
import stat
import struct
from collections.abc import Mapping

import msgspec

from openclaw_actors.home.processes import is_alive

FOLDER = "openclaw-actors"
"""The folder's name in the user's runtime directory; in the temp directory `-<uid>` follows."""

MAX_PATH_BYTES = 107
"""The longest path that a socket can be bound to, in bytes: `sun_path` has 108 with its end (Linux, unix(7))."""

SUFFIX = ".sock"
"""How the name of a control socket ends."""
HTTP_SUFFIX = ".http"
"""How the name of a socket ends on which a gateway speaks HTTP."""
_UNBORN_SUFFIX = ".new"
_NAME = re.compile(r"(?P<mark>[0-9a-f]{16})-(?P<pid>[0-9]{1,10})\.(?:sock|http|new)\Z", re.ASCII)
_MOST_PRUNED = 64
"""How many sockets of other homes are looked at, at most, when one is opened."""

_UCRED = struct.Struct("3i")
"""`struct ucred`: pid, uid, gid (Linux, unix(7))."""


class Peer(msgspec.Struct, frozen=True):
    """Who is at the other end of a socket."""

    pid: int
    """0 when it is in a process namespace that can't be seen from here."""
    uid: int


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a socket may be opened; without a path, why there is no place for one."""

    path: str = ""
    problem: str = ""
    remedy: str = ""


class Offer(msgspec.Struct, frozen=True):
    """A socket that says it is some gateway's of a home."""

    pid: int
    path: str


def peer_of(sock: socket.socket) -> Peer:
    """Return who is at the other end: of an accepted socket whoever connected, of a connected one whoever listens."""
    pid, uid, _ = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return Peer(pid, uid)


def home_mark(home: str) -> str:
    """Return what the sockets of a home begin with: 16 hex digits of a hash of its real path."""
    return hashlib.blake2b(os.fsencode(os.path.realpath(home)), digest_size=8).hexdigest()


def socket_name(home: str, pid: int, suffix: str = SUFFIX) -> str:
    """Return the name of one gateway's socket."""
    return f"{home_mark(home)}-{pid}{suffix}"


def unborn(path: str) -> str:
    """Return what a socket is called while it doesn't listen yet."""
    return os.path.splitext(path)[0] + _UNBORN_SUFFIX


def folders(env: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Return the folders that sockets may be in, the preferred one first.

    Those who ask look into all of them: a gateway that a service manager started often has no `XDG_RUNTIME_DIR`, the
    terminal of the same user has one.
    """
    variables: Mapping[str, str] = os.environ if env is None else env
    found = []
    runtime = variables.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime) and _is_own_folder(runtime):
        found.append(os.path.join(runtime, FOLDER))
    # not tempfile.gettempdir(): it writes files to see whether it can, and may end up in the working directory
    given = (variables.get(name, "") for name in ("TMPDIR", "TEMP", "TMP"))
    temporary = next((path for path in given if os.path.isabs(path) and os.path.isdir(path)), "/tmp")  # noqa: S108  # the folder in it is made 0700 and checked
    found.append(os.path.join(temporary, f"{FOLDER}-{os.geteuid()}"))
    return tuple(found)


def choose(home: str, pid: int, env: Mapping[str, str] | None = None, suffix: str = SUFFIX) -> Place:
    """Return where a gateway's socket goes, with its folder made and checked.

    A folder is passed over when it lies in the home or makes too long a path; one that isn't safe is refused.
    """
    name, real_home = socket_name(home, pid, suffix), os.path.realpath(home)
    passed_over = []
    for folder in folders(env):
        path = os.path.join(folder, name)
        if len(os.fsencode(path)) > MAX_PATH_BYTES:
            passed_over.append(f"{folder} makes a path of more than {MAX_PATH_BYTES} bytes")
        elif _is_within(os.path.realpath(folder), real_home):
            passed_over.append(f"{folder} lies in the home")
        else:
            problem = _make(folder) or problem_of(folder)
            if problem:
                remedy = f"Remove {folder}, or make it a directory of this user with mode 0700"
                return Place(problem=f"{folder}: {problem}", remedy=remedy)
            return Place(path=path)
    remedy = "Set XDG_RUNTIME_DIR or TMPDIR to a directory with a short path outside of the home"
    return Place(problem="; ".join(passed_over), remedy=remedy)


def problem_of(folder: str) -> str:
    """Return why sockets in a folder can't be trusted; empty when they can."""
    try:
        found = os.lstat(folder)
    except OSError as error:
        return f"it can't be looked at ({error.strerror})"
    if stat.S_ISLNK(found.st_mode):
        return "it is a symbolic link, which may lead to somebody else's place"
    if not stat.S_ISDIR(found.st_mode):
        return "it is not a directory"
    if found.st_uid != os.geteuid():
        return f"it belongs to the user {found.st_uid}"
    if found.st_mode & 0o077:
        return f"it is open to others (mode {stat.S_IMODE(found.st_mode):04o})"
    return ""


def offers(
    home: str, env: Mapping[str, str] | None = None, suffix: str = SUFFIX
) -> tuple[tuple[Offer, ...], tuple[str, ...]]:
    """Return the sockets that are there for a home, and which folders were passed over and why. Connects to none."""
    mark = home_mark(home)
    found = []
    problems = []
    for folder in folders(env):
        if not os.path.lexists(folder):
            continue
        problem = problem_of(folder)
        if problem:
            problems.append(f"{folder}: {problem}")
            continue
        found += [
            Offer(pid, os.path.join(folder, name))
            for name, one, pid in _sockets_in(folder)
            if one == mark and name.endswith(suffix)
        ]
    return tuple(sorted(found, key=lambda offer: offer.pid)), tuple(problems)


def connect(path: str) -> socket.socket | None:
    """Return a non-blocking socket that is connected to whoever listens there; None, with the file removed, when
    nobody does.

    Raises:
        OSError: It can't be told (too many wait to be let in, no permission).
    """
    before = identity(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.connect(path)
        if is_alive(peer_of(sock).pid):
            return sock
        # whoever listened is gone, and a child that it forked has kept the socket: nobody will ever answer
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno not in (errno.ECONNREFUSED, errno.ECONNRESET):
            sock.close()
            raise
    sock.close()
    remove(path, before)
    return None


def prune(folder: str, mark: str) -> None:
    """Remove what gateways that were killed have left in a folder: all of one home, and of others those whose process
    is gone.
    """
    others = 0
    for name, one, pid in _sockets_in(folder):
        if one != mark:
            others += 1
            if others > _MOST_PRUNED or is_alive(pid):
                continue
        elif name.endswith(_UNBORN_SUFFIX) and is_alive(pid):
            continue  # bound a moment ago, and not listened to yet
        with contextlib.suppress(OSError):
            sock = connect(os.path.join(folder, name))
            if sock is not None:
                sock.close()


def identity(path: str) -> tuple[int, int] | None:
    """Return what tells this socket's file from a later one of the same name; None when there is no socket of ours."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.geteuid():
        return None
    return found.st_dev, found.st_ino


def remove(path: str, known: tuple[int, int] | None) -> None:
    """Remove a socket's file, if it still is the one that is known."""
    if known is not None and identity(path) == known:
        with contextlib.suppress(OSError):
            os.unlink(path)


def _sockets_in(folder: str) -> list[tuple[str, str, int]]:
    """Return (name, home's mark, pid) of what looks like ours."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    matches = [(name, _NAME.match(name)) for name in names]
    return [(name, match["mark"], int(match["pid"])) for name, match in matches if match is not None]


def _make(folder: str) -> str:
    """Make a folder if there is nothing of its name; return what went wrong."""
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        return ""
    except OSError as error:
        return f"it can't be made ({error.strerror})"
    return ""


def _is_own_folder(path: str) -> bool:
    try:
        found = os.stat(path)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
