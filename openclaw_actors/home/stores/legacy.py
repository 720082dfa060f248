"""The stores of old versions, read in place; nothing is migrated (formats 3.5; OpenClaw 2026.5.22, store.ts)."""

from __future__ import annotations

import os

import msgspec

from openclaw_actors.errors import StoreUnreadableError
from openclaw_actors.home.facts import Finding, ProfileFacts
from openclaw_actors.home.files import STORE_LIMIT_BYTES, read_regular
from openclaw_actors.home.permissions import open_to_others
from openclaw_actors.home.providers import normalise_provider
from openclaw_actors.home.secrets import Resolver
from openclaw_actors.home.stores.decode import dropped_finding, held_by, json_object, profile_facts

AUTH_FILE = "auth.json"


class LegacyProfiles(msgspec.Struct, frozen=True, gc=False):
    """What the legacy files hold."""

    profiles: tuple[ProfileFacts, ...]
    findings: tuple[Finding, ...]
    depends_on: tuple[str, ...]


def read_legacy(agent_dir: str, oauth_path: str, resolver: Resolver) -> LegacyProfiles:
    """Read `auth.json` of an agent dir, then `credentials/oauth.json` of the home; each entry is profile
    `<provider>:default`.

    An unreadable file gives a finding and nothing else: these files are left-overs, and OpenClaw passes over them too.
    """
    auth_path = os.path.join(agent_dir, AUTH_FILE)
    findings: list[Finding] = []
    profiles: dict[str, ProfileFacts] = {}
    dropped: list[tuple[str, str]] = []
    entries = _entries(auth_path, findings)
    if "profiles" not in entries:
        for spelled, raw in entries.items():
            profile_id = f"{spelled}:default"
            found = profile_facts(profile_id, raw, resolver)
            if isinstance(found, str):
                dropped.append((profile_id, found))
            else:
                profiles[profile_id] = found
    if dropped:
        findings.append(dropped_finding(auth_path, dropped))
    for spelled, raw in _entries(oauth_path, findings).items():
        profile_id = f"{spelled}:default"
        if profile_id not in profiles and normalise_provider(spelled):
            found = profile_facts(profile_id, raw, resolver, kind="oauth", provider=spelled)
            if not isinstance(found, str):
                profiles[profile_id] = found
    return LegacyProfiles(tuple(profiles.values()), tuple(findings), (auth_path, oauth_path))


def legacy_profile(agent_dir: str, oauth_path: str, profile_id: str) -> tuple[str, msgspec.Raw, str, str] | None:
    """Return the JSON text of one profile of the legacy files, which holds its secret; None when there is none.

    With it come the file, and the kind and the provider that stand in for missing ones.
    """
    auth_path = os.path.join(agent_dir, AUTH_FILE)
    entries = _entries(auth_path, [])
    if "profiles" not in entries:
        for spelled, raw in entries.items():
            if f"{spelled}:default" == profile_id and not isinstance(held_by(raw), str):
                return auth_path, raw, "", ""
    for spelled, raw in _entries(oauth_path, []).items():
        if f"{spelled}:default" == profile_id and normalise_provider(spelled):
            return oauth_path, raw, "oauth", spelled
    return None


def _entries(path: str, findings: list[Finding]) -> dict[str, msgspec.Raw]:
    try:
        read = read_regular(path, StoreUnreadableError, limit=STORE_LIMIT_BYTES)
        if read is None:
            return {}
        findings += open_to_others(path, read[1].st_mode)
        return json_object(read[0], path) or {}
    except StoreUnreadableError as trouble:
        findings.append(
            Finding(path, trouble.problem, "Mend or remove this file of an old version.", trouble.place, "invalid-json")
        )
        return {}
