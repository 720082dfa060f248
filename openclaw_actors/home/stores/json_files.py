"""The JSON store of an agent dir: `auth-profiles.json` and `auth-state.json` (formats 3.1-3.4; OpenClaw 2026.5.22,
persisted.ts).
"""

from __future__ import annotations

import msgspec

from openclaw_actors.errors import StoreUnreadableError
from openclaw_actors.home.facts import Finding, ProfileFacts, StoreFacts
from openclaw_actors.home.files import STORE_LIMIT_BYTES, read_regular
from openclaw_actors.home.permissions import open_to_others
from openclaw_actors.home.secrets import Resolver
from openclaw_actors.home.stores.decode import State, decode_profiles, decode_state, json_object
from openclaw_actors.home.stores.legacy import read_legacy
from openclaw_actors.ids import StoreId
from openclaw_actors.watching.stamp import FileStamp, stamp, stamp_of

PROFILES_FILE = "auth-profiles.json"
STATE_FILE = "auth-state.json"
_ATTEMPTS = 3


def _remedy(path: str) -> str:
    what = "to forget what rests" if path.endswith(STATE_FILE) else "to sign out"
    return f"Mend the file, or remove it {what}."


def read_json_store(
    store: StoreId,
    oauth_path: str,
    resolver: Resolver,
    *,
    tolerant: bool = False,
    limit: int = STORE_LIMIT_BYTES,
    also_depends_on: tuple[str, ...] = (),
) -> StoreFacts:
    """Read one agent's JSON store, or, where there is none, the legacy files.

    Both files are read between two looks at them, so that the pair belongs together: both were there at one moment. A
    valid document of the wrong shape is "no store", as in OpenClaw, and gives a finding.

    Args:
        store: The agent dir.
        oauth_path: The legacy OAuth file of the home.
        resolver: Resolves references.
        tolerant: True takes a torn or broken file as absent, as OpenClaw does, and says so in a finding; for a first
            reading, when there is no last good answer to keep.
        limit: The largest file that is read, in bytes.
        also_depends_on: Other paths that this reading depended on.

    Raises:
        StoreUnreadableError: A file is torn, malformed, not permitted, or never held still (with `tolerant` never).
    """
    profiles_path, state_path = f"{store}/{PROFILES_FILE}", f"{store}/{STATE_FILE}"
    last = before = None
    for attempt in range(_ATTEMPTS):
        if attempt:
            before = stamp(state_path)
        findings: list[Finding] = []
        document, seen = _document(profiles_path, findings, tolerant, limit)
        state_document, _ = _document(state_path, findings, tolerant, limit)
        # whatever the other did meanwhile, one that held still goes with each of its contents; a pair that was found
        # twice belongs together too, however often somebody touches both
        if stamp(profiles_path) == seen or (attempt and stamp(state_path) == before):
            break
        if (document, state_document) == last:
            break
        last = (document, state_document)
    else:
        raise StoreUnreadableError(
            store, "its files kept changing while they were read", "It is read again when the writer is done."
        )
    state = decode_state(state_document) if state_document else State()
    depends_on = (profiles_path, state_path, *also_depends_on)
    found = _profiles(document, profiles_path, resolver, findings)
    if document is not None and found is not None:
        profiles, dropped = found
        state = decode_state(document).overridden_by(state)
        return StoreFacts(store, "json", profiles, *state.parts, (*findings, *dropped), depends_on)
    legacy = read_legacy(store, oauth_path, resolver)
    return StoreFacts(
        store,
        "legacy" if legacy.profiles else "none",
        legacy.profiles,
        *state.parts,
        (*findings, *legacy.findings),
        depends_on + legacy.depends_on,
    )


def decode_store(store: StoreId, document: bytes, resolver: Resolver) -> StoreFacts:
    """Return the facts of a store document that is given rather than read.

    Raises:
        StoreUnreadableError: It isn't JSON.
    """
    findings: list[Finding] = []
    parsed = json_object(document, store)
    profiles, dropped = _profiles(parsed, store, resolver, findings) or ((), ())
    state = decode_state(parsed) if parsed else State()
    return StoreFacts(store, "json", profiles, *state.parts, (*findings, *dropped))


def _document(
    path: str, findings: list[Finding], tolerant: bool, limit: int
) -> tuple[dict[str, msgspec.Raw] | None, FileStamp | None]:
    """Return a file's document, and what the file looked like when it was read."""
    seen = None
    try:
        read = read_regular(path, StoreUnreadableError, limit=limit)
        if read is None:
            return None, None
        seen = stamp_of(read[1])
        findings += open_to_others(path, read[1].st_mode)
        document = json_object(read[0], path)
    except StoreUnreadableError as trouble:
        if not tolerant:
            raise
        findings.append(
            Finding(path, f"{trouble.problem}; it is taken as absent", _remedy(path), trouble.place, "invalid-json")
        )
        return None, seen
    if document is None:
        findings.append(
            Finding(path, "it is not a JSON object; it is taken as absent", _remedy(path), code="invalid-store")
        )
    return document, seen


def _profiles(
    document: dict[str, msgspec.Raw] | None, path: str, resolver: Resolver, findings: list[Finding]
) -> tuple[tuple[ProfileFacts, ...], tuple[Finding, ...]] | None:
    if document is None:
        return None
    found = decode_profiles(document.get("profiles"), path, resolver)
    if found is None:
        findings.append(
            Finding(
                path,
                "it has no `profiles` object; it is taken as absent",
                _remedy(path),
                "profiles",
                code="invalid-store",
            )
        )
    return found
