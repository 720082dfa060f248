"""What the reader pool runs for each source: the reading itself, with stamps of what it depended on. Not an actor;
blocks.
"""

from __future__ import annotations

import time

from openclaw_actors.actors.source_board import HOME, LOGIN_PREFIX, STORE_PREFIX
from openclaw_actors.catalog.home_reading import HomeReading
from openclaw_actors.catalog.load import load_catalog
from openclaw_actors.errors import HomeError
from openclaw_actors.home.facts import CliFacts, StoreFacts
from openclaw_actors.home.reader import HomeReader
from openclaw_actors.home.stores.sqlite import DATABASE_FILE, LOG_FILE, index_of_log
from openclaw_actors.ids import StoreId
from openclaw_actors.messages import Reading, Stamps
from openclaw_actors.reading.pace import give_way
from openclaw_actors.watching.stamp import stamp

_FRESHLY_WRITTEN_NS = 20_000_000
"""A file whose mtime is younger than this at the reading may have been written during it: kernels tick mtime every
1-10 ms.
"""

_UNSETTLED_S = 5.0
"""For so long after the last write into a log of SQLite its commit may still not show, in seconds.

SQLite writes a commit into the log, syncs that, and shows it to readers only then, without another event: 1-5 ms here,
as long as the disk takes (sqlite.org/wal.html; in 15 of 100 commits beside a busy reader the event's reading came
first, measured).
"""
_LOOK_AGAIN_S = 0.05
"""When a store is read again at the earliest because of that, in seconds…"""
_SLOWER = 4
"""…and then after so many times the age of its log: three or four readings in all, after 0.05, 0.25 and 1.25 s."""


def store_source(store: StoreId) -> str:
    """Return the name of the source that is a store."""
    return STORE_PREFIX + store


def _unsettled(stamps: Stamps) -> float:
    """Return when to look again at something whose log was written to a moment ago, in seconds; 0 for never."""
    now_ns = time.time_ns()
    for path, one in stamps:
        if path.endswith(LOG_FILE) and one is not None and one.size:
            age_s = abs(now_ns - one.mtime_ns) / 1e9
            # without its index nobody has it open, and all of it is read
            if age_s < _UNSETTLED_S and stamp(index_of_log(path)) is not None:
                return max(_LOOK_AGAIN_S, _SLOWER * age_s)
    return 0.0


def _stamps(paths: tuple[str, ...]) -> Stamps:
    found = []
    for path in paths:
        give_way()
        found.append((path, stamp(path)))
    return tuple(found)


class Readings:
    """Reads sources of one home. Safe on any thread; every reading blocks on the disk."""

    def __init__(self, reader: HomeReader) -> None:
        self._reader = reader

    @property
    def login_sources(self) -> tuple[str, ...]:
        """The sources that are logins of other programs."""
        return tuple(LOGIN_PREFIX + name for name in HomeReader.CLI_NAMES)

    def default_paths(self, source: str) -> tuple[str, ...]:
        """Return what to watch for a source that could never be read so far."""
        if source == HOME:
            location = self._reader.location
            return (location.config_path, f"{location.state_dir}/.env")
        if source.startswith(STORE_PREFIX):
            directory = source.removeprefix(STORE_PREFIX)
            names = ("auth-profiles.json", "auth-state.json", DATABASE_FILE, LOG_FILE)
            return tuple(f"{directory}/{name}" for name in names)
        return ()

    def default_stamps(self, source: str) -> Stamps:
        """Return absent stamps for `default_paths`, so that whatever is there counts as a change."""
        return tuple((path, None) for path in self.default_paths(source))

    def read(self, source: str) -> Reading:
        """Read one source; one that can't be read is a reading too, which says why.

        The stamps are older than the facts, so that whatever changes between the two shows as a difference once the
        paths are watched. The first reading learns the paths, so it is repeated when one of them was written a moment
        ago.
        """
        try:
            return self._read_whole(source)
        except HomeError as error:  # its text is secret-free and names file and remedy
            paths = error.looked_at or self.default_paths(source)
            stamps = tuple((path, stamp(path)) for path in dict.fromkeys(paths))
            return Reading(facts=None, stamps=stamps, problem=str(error))

    def _read_whole(self, source: str) -> Reading:
        began_ns = time.time_ns()
        facts, paths = self._read(source)
        stamps = _stamps(paths)
        if any(one is not None and one.mtime_ns > began_ns - _FRESHLY_WRITTEN_NS for _, one in stamps):
            facts, again = self._read(source)
            known = dict(stamps)
            stamps = tuple((path, known[path] if path in known else stamp(path)) for path in again)
        return Reading(facts=facts, stamps=stamps, look_again_s=_unsettled(stamps))

    def _read(self, source: str) -> tuple[HomeReading | CliFacts | StoreFacts, tuple[str, ...]]:
        if source == HOME:
            home = self._reader.read_home()
            catalog = load_catalog(home.config)
            paths = tuple(dict.fromkeys((*home.depends_on, *catalog.depends_on)))
            return HomeReading(home=home, catalog=catalog), paths
        if source.startswith(LOGIN_PREFIX):
            login = self._reader.read_cli(source.removeprefix(LOGIN_PREFIX))
            return login, login.depends_on
        store = self._reader.read_store(StoreId(source.removeprefix(STORE_PREFIX)))
        return store, store.depends_on
