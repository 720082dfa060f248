"""The SQLite store of newer versions, read without leaving a trace (formats 3.11; OpenClaw 2026.6.11,
auth-profiles/sqlite.ts).

An ordinary read-only connection to a database in WAL mode creates and changes the files beside it. So there are three
ways to read, and none of them writes into the home:

- a log and its index are there (an owner is alive, or died): a read-only connection that may not write the index
  either;
- no log, or an empty one: an immutable connection, which takes no lock and looks at no other file;
- a log without an index (the owner is gone, its log holds what the database lacks): database and log are copied into
  a private folder and read there; the folder is removed at once.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat as stat_bits
import tempfile
from urllib.parse import quote

from openclaw_actors.errors import StoreUnreadableError
from openclaw_actors.home.facts import Finding, StoreFacts
from openclaw_actors.home.files import STORE_LIMIT_BYTES
from openclaw_actors.home.permissions import open_to_others
from openclaw_actors.home.secrets import Resolver
from openclaw_actors.home.stores.decode import State, decode_profiles, decode_state, json_object
from openclaw_actors.ids import StoreId
from openclaw_actors.watching.stamp import FileStamp, stamp

DATABASE_FILE = "openclaw-agent.sqlite"
LOG_FILE = DATABASE_FILE + "-wal"
_KEY = "primary"
_BUSY_S = 0.25
_ATTEMPTS = 3
_Rows = tuple[bytes | None, bytes | None]


def read_sqlite_store(store: StoreId, resolver: Resolver, *, copy_limit: int = STORE_LIMIT_BYTES) -> StoreFacts | None:
    """Read the store in an agent dir's database; None when there is no database, or it holds no store.

    Raises:
        StoreUnreadableError: It is damaged, locked, too large to copy, or holds something that is no store.
    """
    path = f"{store}/{DATABASE_FILE}"
    store_json, state_json = stored_json(store, copy_limit=copy_limit)
    if store_json is None:
        return None
    document = json_object(store_json, path)
    state_document = json_object(state_json, path) if state_json is not None else None
    # SQLite opens the files by itself: they can only be asked beside it
    seen = ((one, stamp(one)) for one in sqlite_paths(store))
    findings = tuple(found for one, look in seen if look is not None for found in open_to_others(one, look.mode))
    found = decode_profiles(document.get("profiles"), path, resolver) if document is not None else None
    if found is None:
        findings += (
            Finding(
                path, "its store has no `profiles` object", "Sign in again.", "auth_profile_store", "invalid-store"
            ),
        )
    profiles, dropped = found or ((), ())
    state = decode_state(document or {}).overridden_by(
        decode_state(state_document or {}) if state_document else State()
    )
    return StoreFacts(store, "sqlite", profiles, *state.parts, findings + dropped, sqlite_paths(store))


def stored_json(store: StoreId, *, copy_limit: int = STORE_LIMIT_BYTES) -> tuple[bytes | None, bytes | None]:
    """Return the two documents in an agent dir's database, credentials and state, each None where there is none.

    Raises:
        StoreUnreadableError: It is damaged, locked, or too large to copy.
    """
    path = f"{store}/{DATABASE_FILE}"
    if stamp(path) is None and not os.path.lexists(path):
        return None, None
    return _rows(path, copy_limit)


def sqlite_paths(store: StoreId) -> tuple[str, ...]:
    """Return the files whose change means a new reading: the database and its log. The index changes with every
    reader.
    """
    return (f"{store}/{DATABASE_FILE}", f"{store}/{LOG_FILE}")


def index_of_log(path: str) -> str:
    """Return the file that says which of a log's commits are to be seen, and is there while somebody has it open."""
    return path.removesuffix("-wal") + "-shm"


def _rows(path: str, copy_limit: int) -> _Rows:
    for _ in range(_ATTEMPTS):
        before = _stamps(path)
        database, log, index, journal = before
        _refuse_strange(path, before)
        if database is None:
            if os.path.lexists(path):
                raise StoreUnreadableError(path, "it can't be looked at", "Let the user of this process read it.")
            return None, None
        has_log = log is not None and log.size > 0
        if log is not None and index is not None:
            with contextlib.suppress(_Moved):
                return _select(path, "mode=ro&readonly_shm=1")
        elif not has_log and (journal is None or journal.size == 0):
            with contextlib.suppress(_Moved):
                rows = _select(path, "mode=ro&immutable=1")
                if _same(before, _stamps(path)):
                    return rows
        else:
            copied = _copied_rows(path, before, copy_limit)
            if copied is not None:
                return copied
    if not os.access(path, os.R_OK):
        raise StoreUnreadableError(
            path, "it may not be read (permission denied)", "Let the user of this process read it."
        )
    raise StoreUnreadableError(path, "it kept changing while it was read", "It is read again at the next change.")


class _Moved(Exception):
    """The files beside the database came or went between the look and the opening."""


def _stamps(path: str) -> tuple[FileStamp | None, FileStamp | None, FileStamp | None, FileStamp | None]:
    return stamp(path), stamp(path + "-wal"), stamp(path + "-shm"), stamp(path + "-journal")


def _refuse_strange(path: str, seen: tuple[FileStamp | None, ...]) -> None:
    """Refuse what is no regular file: SQLite would open it, and wait for ever for the other end of a FIFO."""
    for ending, one in zip(("", "-wal", "-shm", "-journal"), seen, strict=True):
        if one is not None and not stat_bits.S_ISREG(one.mode):
            kind = "a directory" if stat_bits.S_ISDIR(one.mode) else "not a regular file"
            raise StoreUnreadableError(path + ending, f"it is {kind}", "Put a regular file there, or remove it.")


def _same(before: tuple[FileStamp | None, ...], after: tuple[FileStamp | None, ...]) -> bool:
    return before[0] == after[0] and before[1] == after[1] and before[3] == after[3]


def _copied_rows(path: str, before: tuple[FileStamp | None, ...], copy_limit: int) -> _Rows | None:
    """Copy database and log aside and read there; None when they changed meanwhile."""
    size = sum(seen.size for seen in (before[0], before[1], before[3]) if seen is not None)
    if size > copy_limit:
        raise StoreUnreadableError(
            path,
            f"with its log it is larger than {copy_limit} bytes",
            "Start its gateway, or let it close the database.",
        )
    try:
        # mkdtemp makes a folder that only this user can enter.
        with tempfile.TemporaryDirectory(prefix="openclaw-actors-", ignore_cleanup_errors=True) as folder:
            copy = os.path.join(folder, DATABASE_FILE)
            for ending, seen in (("", before[0]), ("-wal", before[1]), ("-journal", before[3])):
                if seen is not None:
                    shutil.copyfile(path + ending, copy + ending)
            if not _same(before, _stamps(path)):
                return None
            return _select(copy, "mode=rw", named=path)
    except OSError as trouble:
        if isinstance(trouble, FileNotFoundError):
            return None
        raise StoreUnreadableError(
            path, "it can't be copied to be read", "Look at its permissions and at the temp folder."
        ) from None


def _select(path: str, options: str, *, named: str = "") -> _Rows:
    shown = named or path
    problem = ""
    try:
        connection = sqlite3.connect(f"file:{quote(path)}?{options}", uri=True, timeout=_BUSY_S, isolation_level=None)
    except sqlite3.Error as trouble:
        problem = _name(trouble)
    else:
        try:
            with contextlib.closing(connection):
                connection.text_factory = bytes
                connection.execute("PRAGMA trusted_schema=OFF")
                # One transaction: both rows are of one moment.
                connection.execute("BEGIN")
                return (
                    _value(connection, "SELECT store_json FROM auth_profile_store WHERE store_key = ?"),
                    _value(connection, "SELECT state_json FROM auth_profile_state WHERE state_key = ?"),
                )
        except sqlite3.Error as trouble:
            problem = _name(trouble)
    if problem.startswith(("SQLITE_CANTOPEN", "SQLITE_READONLY")) and not named:
        raise _Moved
    raise StoreUnreadableError(
        shown, f"SQLite can't read it ({problem})", "The last good answer stays; check the database."
    )


def _name(trouble: sqlite3.Error) -> str:
    return getattr(trouble, "sqlite_errorname", "") or type(trouble).__name__


def _value(connection: sqlite3.Connection, query: str) -> bytes | None:
    try:
        row = connection.execute(query, (_KEY,)).fetchone()
    except sqlite3.OperationalError as trouble:
        if "no such table" in str(trouble) or "no such column" in str(trouble):
            return None
        raise
    value = row[0] if row else None
    return value if isinstance(value, bytes) else None
