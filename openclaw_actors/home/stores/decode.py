"""Stored credentials and state, decoded into facts one by one, so that a bad profile never sinks its store (formats
3.2-3.4).
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Mapping
from typing import NoReturn, cast, final

import msgspec
from msgspec import UNSET

from openclaw_actors.errors import StoreUnreadableError
from openclaw_actors.home.digest import Digester
from openclaw_actors.home.facts import Finding, KeyFacts, ProfileFacts
from openclaw_actors.home.files import line_and_column
from openclaw_actors.home.providers import normalise_provider
from openclaw_actors.home.secrets import Resolver, is_plain, is_secret_ref
from openclaw_actors.home.stores.outlines import key_outline, literal_outline, login_outline
from openclaw_actors.home.stores.windows import Windows, windows_from_json
from openclaw_actors.home.surrogates import without_halves
from openclaw_actors.ids import ProviderId
from openclaw_actors.reading.pace import give_way


class _Entry(msgspec.Struct, gc=False):
    """The fields of a stored credential that are looked at, of any type; holds secrets, never leaves this module."""

    type: object = UNSET
    mode: object = UNSET
    provider: object = None
    email: object = None
    key: object = UNSET
    apiKey: object = None
    keyRef: object = UNSET
    token: object = None
    tokenRef: object = UNSET
    expires: object = UNSET
    access: object = None
    refresh: object = None
    idToken: object = None
    accountId: object = None
    oauthRef: object = None

    def __repr__(self) -> str:
        return "_Entry(<secret>)"


_ENTRY = msgspec.json.Decoder(_Entry)
_ENTRIES = msgspec.json.Decoder(dict[str, _Entry])
_ENCODE = msgspec.msgpack.Encoder().encode
_NO_KEY = KeyFacts()
_RAW_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_RAW = msgspec.json.Decoder(msgspec.Raw)
_ANYTHING = msgspec.json.Decoder()
_BAD_JSON = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError)
_BYTE = re.compile(r"\(byte (\d+)\)")
_KINDS = ("api_key", "token", "oauth")
_MAX_NAMED = 10
_PACE = 64
"""After how many profiles, some 0.3 ms, a look is taken whether it is time to let other threads run."""
_AT_ONCE_BYTES = 500_000
"""Profiles are decoded in one go up to this size, which takes some 4 ms in which no other thread runs."""


@final
class Held:
    """What a stored credential holds where its secret is expected; holds a secret, for `home/taking.py` alone."""

    __slots__ = ("expires_ms", "has_refresh", "kind", "provider", "value")

    def __init__(
        self, kind: str, provider: ProviderId, value: object, expires_ms: float | None, has_refresh: bool
    ) -> None:
        self.kind = kind
        self.provider = provider
        self.value = value
        """A text or a secret reference, None when there is neither; of a login the access token."""
        self.expires_ms = expires_ms
        self.has_refresh = has_refresh

    def __repr__(self) -> str:
        return f"Held({self.kind}, <secret>)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a stored credential holds secrets and is not pickled")


class State(msgspec.Struct, frozen=True, gc=False):
    """The state half of a store: order, last good profile, usage stats."""

    order: tuple[tuple[ProviderId, tuple[str, ...]], ...] = ()
    last_good: tuple[tuple[ProviderId, str], ...] = ()
    usage: tuple[tuple[str, Windows], ...] = ()

    @property
    def parts(
        self,
    ) -> tuple[
        tuple[tuple[ProviderId, tuple[str, ...]], ...],
        tuple[tuple[ProviderId, str], ...],
        tuple[tuple[str, Windows], ...],
    ]:
        """Order, last good profiles and usage."""
        return self.order, self.last_good, self.usage

    def overridden_by(self, over: State) -> State:
        """Return this state with another one on top, key by key (provider or profile id)."""
        if over == _EMPTY:
            return self
        return State(
            tuple({**dict(self.order), **dict(over.order)}.items()),
            tuple({**dict(self.last_good), **dict(over.last_good)}.items()),
            tuple({**dict(self.usage), **dict(over.usage)}.items()),
        )


_EMPTY = State()


def json_object(data: bytes | msgspec.Raw, path: str) -> dict[str, msgspec.Raw] | None:
    """Split a JSON object into its undecoded values; None when the document is valid but no object. The last of equal
    keys wins.

    Raises:
        StoreUnreadableError: Torn, empty or not JSON at all.
    """
    place = ""
    what = "it is not valid JSON"
    text = without_halves(data) if isinstance(data, bytes) else data
    try:
        try:
            return _RAW_OBJECT.decode(text)
        except msgspec.ValidationError:
            _RAW.decode(text)  # which is said at the first byte: what follows may be no JSON
            return None
    except _BAD_JSON as trouble:
        if isinstance(trouble, RecursionError):
            what = "it is nested too deeply"
        byte = _BYTE.search(str(trouble)) if isinstance(trouble, msgspec.DecodeError) else None
        if byte:
            before = bytes(text)[: int(byte[1])].decode("utf-8", "replace")
            place = line_and_column(before, len(before))
    problem = what if bytes(text).strip() else "it is empty"
    remedy = "Restore the file, or remove it to sign out; an answer from before, if there is one, stays meanwhile."
    raise StoreUnreadableError(path, problem, remedy, place=place)


def decode_profiles(
    raw: msgspec.Raw | None, path: str, resolver: Resolver
) -> tuple[tuple[ProfileFacts, ...], tuple[Finding, ...]] | None:
    """Decode the profiles of one store; those that OpenClaw would drop are dropped and named in one finding.

    Args:
        raw: The document's `profiles`.
        path: The file, for findings.
        resolver: Resolves references.

    Returns:
        None where there is no object of profiles at all.

    Raises:
        StoreUnreadableError: It is no JSON after all (a name that is no UTF-8, say).
    """
    if raw is None:
        return None
    entries: Mapping[str, _Entry | msgspec.Raw] | None = None
    if len(memoryview(raw)) <= _AT_ONCE_BYTES:
        with contextlib.suppress(*_BAD_JSON):
            entries = _ENTRIES.decode(raw)
    if entries is None:
        # one by one, so that what is wrong with one profile doesn't sink the others
        entries = json_object(raw, path)
        if entries is None:
            return None
    profiles: list[ProfileFacts] = []
    dropped: list[tuple[str, str]] = []
    digester = resolver.digester
    for count, (profile_id, entry) in enumerate(entries.items()):
        if not count % _PACE:
            give_way()
        if type(entry) is _Entry:
            key = entry.key
            if type(key) is str and entry.type == "api_key" and entry.keyRef is UNSET and type(entry.provider) is str:
                # most of them: a key that stands there as it is
                text = key.strip()
                if entry.expires is UNSET and is_plain(text):
                    outline = literal_outline(profile_id, entry.provider, "api_key", None)
                    if outline is not None:
                        profiles.append(ProfileFacts(outline, digester(text)))
                        continue
            found = _facts(profile_id, entry, resolver, "", "")
        else:
            found = profile_facts(profile_id, cast("msgspec.Raw", entry), resolver)
        if isinstance(found, str):
            dropped.append((profile_id, found))
        else:
            profiles.append(found)
    return tuple(profiles), (dropped_finding(path, dropped),) if dropped else ()


def dropped_finding(path: str, dropped: list[tuple[str, str]]) -> Finding:
    """Return the one finding that names what was dropped and why; ids only, never values."""
    named = ", ".join(f"{profile_id[:80]} ({reason})" for profile_id, reason in dropped[:_MAX_NAMED])
    more = f" and {len(dropped) - _MAX_NAMED} more" if len(dropped) > _MAX_NAMED else ""
    return Finding(
        path,
        f"ignored invalid auth profile entries during store load: {named}{more}",
        "Give each a type (api_key, token or oauth) and a provider, or remove it.",
        "profiles",
        "dropped-profiles",
    )


def profile_facts(
    profile_id: str, raw: msgspec.Raw, resolver: Resolver, *, kind: str = "", provider: str = ""
) -> ProfileFacts | str:
    """Return the facts of one credential, or why it is dropped.

    The reasons: `undecodable` (ours), `non_object`, `invalid_type`, `missing_provider` (persisted.ts @ 2026.5.22).

    Args:
        profile_id: Its id.
        raw: Its JSON text.
        resolver: Resolves references.
        kind: Stands in for a missing or unknown type (legacy OAuth files need none).
        provider: Stands in for a missing provider.
    """
    try:
        entry = _ENTRY.decode(raw)
    except msgspec.ValidationError:
        return "non_object"
    except _BAD_JSON:
        return "undecodable"
    return _facts(profile_id, entry, resolver, kind, provider)


def held_by(raw: msgspec.Raw, *, kind: str = "", provider: str = "") -> Held | str:
    """Return what one credential holds, or why it is dropped, as `profile_facts` does."""
    try:
        entry = _ENTRY.decode(raw)
    except msgspec.ValidationError:
        return "non_object"
    except _BAD_JSON:
        return "undecodable"
    found_kind = _kind(entry, kind)
    normal = normalise_provider(entry.provider if isinstance(entry.provider, str) else provider)
    if not found_kind:
        return "invalid_type"
    if not normal:
        return "missing_provider"
    expires = None if entry.expires is UNSET else _epoch_ms(entry.expires)
    value = (
        (_text(entry.access) or None) if found_kind == "oauth" else _that_counts(*_key_and_reference(entry, found_kind))
    )
    return Held(found_kind, normal, value, expires, _text(entry.refresh) != "")


def _kind(entry: _Entry, instead: str) -> str:
    """Return what a credential is, empty when it is nothing that is known; `instead` is taken for such."""
    found = entry.mode if entry.type is UNSET else entry.type
    if instead and found not in _KINDS:
        found = instead
    return found if isinstance(found, str) and found in _KINDS else ""


def _key_and_reference(entry: _Entry, kind: str) -> tuple[object, object]:
    if kind == "api_key":
        return entry.apiKey if entry.key is UNSET else entry.key, entry.keyRef
    return entry.token, entry.tokenRef


def _facts(profile_id: str, entry: _Entry, resolver: Resolver, kind: str, provider: str) -> ProfileFacts | str:
    found_kind = _kind(entry, kind)
    if not found_kind:
        return "invalid_type"
    spelled = entry.provider if isinstance(entry.provider, str) else provider
    expires = None if entry.expires is UNSET else _epoch_ms(entry.expires)
    if found_kind == "oauth":
        normal = normalise_provider(spelled)
        return _login(profile_id, normal, expires, entry, resolver.digester) if normal else "missing_provider"
    value, reference = _key_and_reference(entry, found_kind)
    if type(value) is str and reference is UNSET and is_plain(text := value.strip()):
        # what nearly all are
        outline = literal_outline(profile_id, spelled, found_kind, expires)
        return ProfileFacts(outline, resolver.digester(text)) if outline is not None else "missing_provider"
    normal = normalise_provider(spelled)
    if not normal:
        return "missing_provider"
    key = _stored_key(value, reference, resolver)
    bare = key if key.digest is None else msgspec.structs.replace(key, digest=None)
    return ProfileFacts(key_outline(profile_id, normal, found_kind, bare, expires), key.digest)


def _login(
    profile_id: str, provider: ProviderId, expires_ms: float | None, entry: _Entry, digester: Digester
) -> ProfileFacts:
    access, refresh, reference = _text(entry.access), _text(entry.refresh), entry.oauthRef
    account = _text(entry.accountId) if entry.accountId is not None else ""
    email = _text(entry.email) if entry.email is not None else ""
    sidecar, has_sidecar = "", isinstance(reference, dict)
    if isinstance(reference, dict):
        sidecar = _text(reference.get("id"))
    digest = None
    if access or refresh or sidecar:
        identity = _text(entry.idToken) if entry.idToken is not None else ""
        digest = digester(_ENCODE((access, refresh, identity, sidecar)))
    return ProfileFacts(
        login_outline(profile_id, provider, expires_ms, access != "", refresh != "", has_sidecar),
        digest,
        digester(account) if account else None,
        digester(email.casefold()) if email else None,
    )


def decode_state(document: dict[str, msgspec.Raw]) -> State:
    """Decode the state keys of a document tolerantly: whatever is of the wrong type is dropped (state.ts @
    2026.5.22).
    """
    order: dict[ProviderId, tuple[str, ...]] = {}
    for spelled, ids in _decoded_object(document, "order").items():
        kept = (
            tuple(item.strip() for item in ids if isinstance(item, str) and item.strip())
            if isinstance(ids, list)
            else ()
        )
        provider = normalise_provider(spelled)
        if kept and provider:
            order[provider] = kept
    last_good = {
        provider: profile_id.strip()
        for spelled, profile_id in _decoded_object(document, "lastGood").items()
        if isinstance(profile_id, str) and profile_id.strip() and (provider := normalise_provider(spelled))
    }
    usage = {
        profile_id: windows
        for profile_id, entry in _decoded_object(document, "usageStats").items()
        if (windows := windows_from_json(entry)) is not None
    }
    return State(tuple(order.items()), tuple(last_good.items()), tuple(usage.items()))


def _decoded_object(document: dict[str, msgspec.Raw], key: str) -> dict[str, object]:
    raw = document.get(key)
    if raw is None:
        return {}
    try:
        value = _ANYTHING.decode(raw)
    except _BAD_JSON:
        return {}
    return value if isinstance(value, dict) else {}


def _stored_key(value: object, reference: object, resolver: Resolver) -> KeyFacts:
    """Return the facts of a key or token."""
    found = _that_counts(value, reference)
    return resolver.stored(found) if found is not None else _NO_KEY


def _that_counts(value: object, reference: object) -> object:
    """Return what counts of a key or token: an explicit reference first, then a reference in its place, then the text;
    None when there is nothing.
    """
    if reference is not UNSET and is_secret_ref(reference):
        return reference
    # Numbers and objects that are no reference are dropped by OpenClaw: the profile then has no key.
    return value if isinstance(value, str) or is_secret_ref(value) else None


def _epoch_ms(value: object) -> float:
    """Return an expiry in epoch milliseconds; 0 for anything that is no date (persisted.ts @ 2026.5.22)."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0.0
    try:
        number = float(value)
    except OverflowError:
        return 0.0
    return number if math.isfinite(number) and number > 0 else 0.0


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""
