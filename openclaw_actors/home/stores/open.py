"""Which kind of store an agent dir has, and its one reading."""

from __future__ import annotations

from openclaw_actors.home.facts import StoreFacts
from openclaw_actors.home.files import STORE_LIMIT_BYTES
from openclaw_actors.home.secrets import Resolver
from openclaw_actors.home.stores.json_files import read_json_store
from openclaw_actors.home.stores.sqlite import read_sqlite_store, sqlite_paths
from openclaw_actors.ids import StoreId


def read_store(
    agent_dir: StoreId,
    resolver: Resolver,
    *,
    oauth_path: str,
    tolerant: bool = False,
    limit: int = STORE_LIMIT_BYTES,
) -> StoreFacts:
    """Read the store of an agent dir: SQLite when its database holds a store, JSON files otherwise, legacy files
    failing these.

    Reads files on the caller's thread and writes nothing.

    Raises:
        StoreUnreadableError: It is there but can't be read.
    """
    facts = read_sqlite_store(agent_dir, resolver, copy_limit=limit)
    if facts is not None:
        return facts
    others = sqlite_paths(agent_dir)
    return read_json_store(agent_dir, oauth_path, resolver, tolerant=tolerant, limit=limit, also_depends_on=others)
