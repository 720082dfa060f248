"""The only code that writes into a home: usage stats after an outcome, and the removal of profiles at a logout.

Blocking; run on a worker thread, never on an event loop. Each write is a read-modify-replace under OpenClaw's own
lock: what is on disk then is the base, not what this process remembers, so that no other writer's work is lost. Only
what was asked for changes; unknown keys and other profiles' entries stay as they are. Nothing changed means nothing
written. (OpenClaw 2026.5.22, store.ts, state.ts; formats 3.1-3.4, 3.8.)

No document is ever a plain local here: log sinks that print variables beside a traceback would print the credentials
in it.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NoReturn, final
from urllib.parse import quote

import msgspec

from openclaw_actors.errors import StoreBusyError, StoreKindError, StoreReadOnlyError, StoreUnreadableError
from openclaw_actors.home.files import STORE_LIMIT_BYTES, read_regular
from openclaw_actors.home.stores.atomic import remove_file, remove_leftovers, replace_json
from openclaw_actors.home.stores.lock import StoreLock
from openclaw_actors.home.stores.windows import FIELD_ORDER, Windows, windows_from_json, windows_to_json
from openclaw_actors.log import log

__all__ = ["UsageChange", "UsageWritten", "refuse_unwritable", "remove_profiles", "write_usage"]

UsageChange = Callable[[Windows | None], Windows | None]
"""Makes a profile's new stats from those on disk; None is "no entry". Called under the lock: it must not block."""

_PROFILES_FILE = "auth-profiles.json"
_STATE_FILE = "auth-state.json"
_SQLITE_FILE = "openclaw-agent.sqlite"
_STATE_KEYS = ("order", "lastGood", "usageStats")
"""The parts of a state, in the order in which OpenClaw writes them."""
_NOTHING: Mapping[str, str] = MappingProxyType({})
_NO_STATS = Windows(error_count=0)
"""Written in place of "no entry" where an older layout's entry in auth-profiles.json would show through."""
_KNOWN_FIELDS = frozenset(FIELD_ORDER)
"""What `Windows` mirrors of a `usageStats` entry (formats 3.4)."""
_COMPANIONS = {"blockedScope": "blockedUntil", "cooldownClassification": "cooldownUntil"}
"""Fields of newer versions that describe a window: gone or changed with it (OpenClaw 2026.9.6, state.ts)."""


class UsageWritten(msgspec.Struct, frozen=True):
    """What a usage write did."""

    agent_dir: str
    profiles: tuple[str, ...]
    """The profiles whose stats changed."""
    wrote: bool
    """Whether the file was touched at all."""
    windows: tuple[tuple[str, Windows | None], ...]
    """What stands on disk now, for each profile that was asked for."""


def write_usage(
    agent_dir: str,
    changes: Mapping[str, UsageChange],
    *,
    last_good: Mapping[str, str] = _NOTHING,
    lock_timeout_s: float,
    given_up: threading.Event | None = None,
) -> UsageWritten:
    """Apply changes to the usage stats of some profiles, in `<agent_dir>/auth-state.json` and nowhere else.

    `last_good` maps provider ids to the profile that served them last. `given_up`, once set, ends a wait for the lock.

    Raises:
        StoreBusyError: when another process holds the lock for longer than `lock_timeout_s`.
        StoreReadOnlyError: when the directory is missing or can't be written; StoreKindError when the store is in
            SQLite.
        StoreUnreadableError: when a file of the store is broken; it is never overwritten.
    """
    if not changes and not last_good:
        return UsageWritten(agent_dir, (), False, ())
    refuse_unwritable(agent_dir)
    with _locked(agent_dir, lock_timeout_s, given_up) as lock:
        state = _Document.read(os.path.join(agent_dir, _STATE_FILE))
        inner = _Document.read(os.path.join(agent_dir, _PROFILES_FILE))
        changed: list[str] = []
        standing: list[tuple[str, Windows | None]] = []
        for profile, change in changes.items():
            below = windows_from_json(inner.entry("usageStats", profile))
            before = windows_from_json(state.entry("usageStats", profile)) or below
            after = change(before)
            if after == Windows():
                after = None
            if after is None and below is not None:
                after = _NO_STATS
            if after != before:
                state.put_stats(profile, after)
                changed.append(profile)
            standing.append((profile, after))
        for provider, profile in last_good.items():
            state.put_last_good(provider, profile)
        wrote = state.write_state(lock)
    return UsageWritten(agent_dir, tuple(changed), wrote, tuple(standing))


def remove_profiles(
    agent_dir: str,
    profile_ids: Collection[str],
    *,
    also: Callable[[str, str], bool] = lambda profile_id, provider: False,
    lock_timeout_s: float,
) -> tuple[str, ...]:
    """Remove profiles from `<agent_dir>/auth-profiles.json` and the state, and return those that were there.

    Beside those named go those for which `also` holds, given the id and the provider as the file spells it: what is
    there by now counts, not what was there when it was last read.

    The credentials go first: a crash between the two files leaves stats of a profile that no longer exists, which
    nobody reads. A broken `auth-state.json` holds nothing that could be pruned; it is left alone, with a warning, and
    stops no logout.

    Raises:
        StoreBusyError: when another process holds the lock for longer than `lock_timeout_s`.
        StoreReadOnlyError: when the directory is missing or can't be written; StoreKindError when the store is in
            SQLite.
        StoreUnreadableError: when `auth-profiles.json` is broken; it is never overwritten.
    """
    refuse_unwritable(agent_dir)
    with _locked(agent_dir, lock_timeout_s) as lock:
        store = _Document.read(os.path.join(agent_dir, _PROFILES_FILE))
        gone = frozenset(profile_ids) | {name for name, provider in store.providers() if also(name, provider)}
        removed = store.drop("profiles", gone)
        store.prune(gone)
        store.write(lock)
        try:
            state = _Document.read(os.path.join(agent_dir, _STATE_FILE))
        except StoreUnreadableError as error:
            log.bind(file=error.path, problem=error.problem).warning("auth state left as it is: it can't be read")
        else:
            state.prune(gone)
            state.write_state(lock)
    return removed


@contextlib.contextmanager
def _locked(agent_dir: str, timeout_s: float, given_up: threading.Event | None = None) -> Iterator[StoreLock]:
    path = os.path.join(agent_dir, f"{_PROFILES_FILE}.lock")
    with StoreLock(path, timeout_s=timeout_s, given_up=given_up) as lock:
        remove_leftovers(os.path.join(agent_dir, name) for name in (_PROFILES_FILE, _STATE_FILE))
        yield lock


@final
class _Document:
    """A JSON object on disk and the changes made to it; hides its content from whoever prints it."""

    __slots__ = ("_content", "_path", "changed")

    def __init__(self, path: str, content: dict[str, Any]) -> None:
        self._path = path
        self._content = content
        self.changed = False

    def __repr__(self) -> str:
        return f"_Document({self._path!r})"

    @classmethod
    def read(cls, path: str) -> _Document:
        """Read a document; a missing file is an empty one."""
        problem = ""
        try:
            read = read_regular(path, StoreUnreadableError, limit=STORE_LIMIT_BYTES)
            text = read[0].decode("utf-8") if read is not None else "{}"
            content = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
        except StoreUnreadableError as trouble:
            problem = trouble.problem
        except UnicodeDecodeError:
            problem = "is not UTF-8"
        except (ValueError, RecursionError):
            problem = "is not valid JSON"
        else:
            problem = "" if isinstance(content, dict) else "holds no JSON object"
        if problem:
            # raised down here, so that no exception with the text in it is chained to this one
            content, text, read = None, "", None
            raise StoreUnreadableError(path, problem, "It was left as it is. Mend it or move it away, then try again")
        return cls(path, content)

    def part(self, name: str) -> dict[str, Any]:
        """Return one of the top-level objects; an absent or malformed one is empty, as it is for OpenClaw."""
        part = self._content.get(name)
        return part if isinstance(part, dict) else {}

    def entry(self, name: str, key: str) -> object:
        """Return one entry of a top-level object, or None."""
        return self.part(name).get(key)

    def providers(self) -> list[tuple[str, str]]:
        """Return each profile's id and provider, as spelled."""
        entries = self.part("profiles").items()
        return [(name, entry["provider"]) for name, entry in entries if _has_provider(entry)]

    def put_stats(self, profile: str, windows: Windows | None) -> None:
        """Set or remove one profile's stats; fields that this version doesn't know stay."""
        stats = self.part("usageStats")
        old = stats.get(profile)
        if windows is None:
            stats.pop(profile, None)
        else:
            new = windows_to_json(windows)
            stats[profile] = new | (_unknown_fields(old, new) if isinstance(old, dict) else {})
        self._content["usageStats"] = stats
        self.changed = True

    def put_last_good(self, provider: str, profile: str) -> None:
        """Set the profile that served a provider last."""
        table = self.part("lastGood")
        if table.get(provider) != profile:
            table[provider] = profile
            self._content["lastGood"] = table
            self.changed = True

    def drop(self, name: str, keys: frozenset[str]) -> tuple[str, ...]:
        """Remove keys from a top-level object and return those that were there, in file order."""
        part = self.part(name)
        dropped = tuple(key for key in part if key in keys)
        for key in dropped:
            del part[key]
        self.changed = self.changed or bool(dropped)
        return dropped

    def prune(self, profiles: frozenset[str]) -> None:
        """Forget profiles wherever the state names them; lists and objects that this empties go too."""
        if self.drop("usageStats", profiles) and not self.part("usageStats"):
            del self._content["usageStats"]
        last_good = self.part("lastGood")
        pointing = frozenset(p for p, profile in last_good.items() if isinstance(profile, str) and profile in profiles)
        if self.drop("lastGood", pointing) and not last_good:
            del self._content["lastGood"]
        order = self.part("order")
        emptied: set[str] = set()
        for provider, ids in order.items():
            kept = (
                [i for i in ids if not (isinstance(i, str) and i.strip() in profiles)] if isinstance(ids, list) else ids
            )
            if kept != ids:
                order[provider] = kept
                self.changed = True
                emptied.update(() if kept else (provider,))
        if self.drop("order", frozenset(emptied)) and not order:
            del self._content["order"]

    def write(self, lock: StoreLock) -> bool:
        """Write the document if it changed and return whether the file was touched."""
        if not self.changed:
            return False
        self._keep_the_lock(lock)
        try:
            return replace_json(self._path, self._content, last_check=lambda: self._keep_the_lock(lock))
        except RecursionError:
            pass
        raise StoreUnreadableError(self._path, "is nested too deeply", "It was left as it is. Mend it, then try again")

    def write_state(self, lock: StoreLock) -> bool:
        """Write the document as a state: parts in OpenClaw's order, and no file at all when they are empty."""
        if not self.changed:
            return False
        version = self._content.get("version")
        is_version = isinstance(version, (int, float)) and not isinstance(version, bool) and version > 0
        parts = {name: part for name in _STATE_KEYS if (part := self.part(name))}
        others = {k: v for k, v in self._content.items() if k != "version" and k not in _STATE_KEYS}
        if not parts and not others:
            self._keep_the_lock(lock)
            return remove_file(self._path)
        self._content = {"version": version if is_version else 1, **parts, **others}
        return self.write(lock)

    def _keep_the_lock(self, lock: StoreLock) -> None:
        """Refuse to write on a lock that was taken over, as happens when this process is stopped for half a minute."""
        if not lock.is_held():
            raise StoreBusyError(
                f"{self._path}: not written, since its lock was taken over by another process meanwhile. Try again"
            )


def _has_provider(entry: object) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("provider"), str)


def _unknown_fields(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Return what an entry held beside the known fields, without what described a window that is another now."""
    kept = {name: value for name, value in old.items() if name not in _KNOWN_FIELDS}
    for name, window in _COMPANIONS.items():
        if old.get(window) != new.get(window):
            kept.pop(name, None)
    return kept


def _refuse_constant(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large to be written back")
    return number


def refuse_unwritable(agent_dir: str) -> None:
    """Refuse a store that can't be written whatever its lock says; blocks on the disk.

    Raises:
        StoreReadOnlyError: The directory is missing.
        StoreKindError: The store is in SQLite.
    """
    if not os.path.isdir(agent_dir):
        raise StoreReadOnlyError(
            f"{agent_dir}: the agent's dir isn't there, and it isn't made for this. "
            "Check the agent's id and its agentDir"
        )
    database = os.path.join(agent_dir, _SQLITE_FILE)
    holds = os.path.isfile(database) and _has_store(database)
    if holds is None:
        raise StoreReadOnlyError(
            f"{database}: whether this agent's profiles are in this SQLite file can't be made out, so nothing was "
            "written. Look at its permissions and whether it is a database; start its gateway if it has crashed"
        )
    if holds:
        raise StoreKindError(
            f"{database}: this agent keeps its profiles in SQLite, which isn't written yet. "
            "Use the openclaw command for this change"
        )


def _has_store(database: str) -> bool | None:
    """Tell whether the agent's database holds its profiles; None when it can't be asked now.

    Asking must leave nothing behind: an `-shm` file of ours (of root's, say) could lock the gateway out. A plain
    read-only connection makes one, so without a write-ahead log the file is opened as immutable, since it alone is the
    truth, and a log that nobody has open is not asked at all.
    """
    try:
        has_log = os.path.getsize(f"{database}-wal") > 0
    except OSError:
        has_log = False
    if has_log and not os.path.exists(f"{database}-shm"):
        return None
    address = f"file:{quote(os.path.abspath(database))}?" + ("mode=ro" if has_log else "immutable=1")
    try:
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=1.0)) as connection:
            tables = connection.execute(
                "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'auth_profile_store'"
            )
            if tables.fetchone() is None:
                return False
            rows = connection.execute("SELECT 1 FROM auth_profile_store WHERE store_key = 'primary'")
            return rows.fetchone() is not None
    except sqlite3.Error:
        return None
