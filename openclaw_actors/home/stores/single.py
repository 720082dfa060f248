"""One profile of a store, with its secret, read when a request wants it.

It looks where `stores/open.py` looks: SQLite when the database holds a store, JSON files otherwise, legacy files
failing these.
"""

from __future__ import annotations

import msgspec

from openclaw_actors.errors import StoreUnreadableError
from openclaw_actors.home.files import STORE_LIMIT_BYTES, read_regular
from openclaw_actors.home.stores.decode import Held, held_by, json_object
from openclaw_actors.home.stores.json_files import PROFILES_FILE
from openclaw_actors.home.stores.legacy import legacy_profile
from openclaw_actors.home.stores.sqlite import DATABASE_FILE, stored_json
from openclaw_actors.ids import StoreId


def read_profile(
    store: StoreId, profile_id: str, *, oauth_path: str, limit: int = STORE_LIMIT_BYTES
) -> tuple[str, Held]:
    """Read what one profile of a store holds; return it with the file that it is in.

    Reads files on the caller's thread, takes no lock and writes nothing.

    Args:
        store: The agent dir of the store that owns it.
        profile_id: The profile.
        oauth_path: The legacy OAuth file of the home.
        limit: The largest file that is read, in bytes.

    Raises:
        StoreUnreadableError: The store can't be read, or has no such profile that can be used.
    """
    path, raw, kind, provider = _find(store, profile_id, oauth_path, limit)
    place = f"profiles.{profile_id}"
    if raw is None:
        raise StoreUnreadableError(path, "the profile is not there any more", "Sign in again.", place=place)
    held = held_by(raw, kind=kind, provider=provider)
    if isinstance(held, str):
        raise StoreUnreadableError(
            path, f"the profile can't be used ({held})", "Give it a type and a provider, or sign in again.", place=place
        )
    return path, held


def _find(store: StoreId, profile_id: str, oauth_path: str, limit: int) -> tuple[str, msgspec.Raw | None, str, str]:
    """Return the file, the profile's JSON text, and the kind and provider that stand in for missing ones."""
    path = f"{store}/{DATABASE_FILE}"
    document, _ = stored_json(store, copy_limit=limit)
    if document is not None:
        return path, (_profiles(document, path) or {}).get(profile_id), "", ""
    path = f"{store}/{PROFILES_FILE}"
    read = read_regular(path, StoreUnreadableError, limit=limit)
    profiles = _profiles(read[0], path) if read is not None else None
    if profiles is not None:
        return path, profiles.get(profile_id), "", ""
    return legacy_profile(store, oauth_path, profile_id) or (path, None, "", "")


def _profiles(document: bytes, path: str) -> dict[str, msgspec.Raw] | None:
    """Return the profiles of a document, not decoded; None when it is no store."""
    raw = (json_object(document, path) or {}).get("profiles")
    return json_object(raw, path) if raw is not None else None
