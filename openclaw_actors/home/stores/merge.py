"""What an agent sees: its own store over the one it inherits from, with OAuth drift repaired (formats 3.7; store.ts @
2026.5.22).

Pure. The rules:

1. The same store, or only one of the two: that one. An own store that holds nothing at all: the inherited one.
2. Otherwise profiles, order, last good and usage are united key by key, the own value winning; inherited keys come
   first.
3. Default repair: an own oauth profile `<provider>:default` gives way to an inherited usable oauth profile of the
   same provider that expires later. Both name an account: they must agree. Else both name an e-mail: these must
   agree. Else nothing can be compared, and the inherited one counts only if it is the sole candidate. Of several that
   agree the latest to expire is taken.
4. Invalidation repair: an own oauth profile of `openai-codex` whose usage shows an auth refusal (`auth`,
   `auth_permanent`, `session_expired`), and which the own order or last good names, gives way to an inherited usable
   one: the first of the inherited order, else the inherited last good, else the only one there is.
   Either way an own profile that has the inherited one's id stays, unless it is an older login itself.
5. References in the own order and last good follow a replaced profile. Its own usage is dropped: those windows were
   about the secret that was replaced.

"Usable" is a non-blank access token with a future expiry; the present is given by the caller, and without one any
expiry counts.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TypeVar, final

from openclaw_actors.home.facts import Fact, ProfileFacts, StoreFacts
from openclaw_actors.home.stores.windows import Windows
from openclaw_actors.ids import ProviderId, StoreId

USABLE_MARGIN_MS = 300_000
"""An access token with less life than this is not "usable without refresh" (formats 3.3)."""
_REFUSALS = frozenset({"auth", "auth_permanent", "session_expired"})
_CODEX = ProviderId("openai-codex")


class StoreView(Fact, frozen=True, gc=False):
    """The store that an agent sees."""

    profiles: tuple[ProfileFacts, ...] = ()
    inherited: bytes = b""
    """Parallel to `profiles`: 1 for each that the store holds which all inherit from, 0 for each that another does."""
    own: StoreId = StoreId("")
    """The agent's own store; the inherited one where that is all it sees."""
    main: StoreId = StoreId("")
    """The store that it inherits from."""
    order: tuple[tuple[ProviderId, tuple[str, ...]], ...] = ()
    last_good: tuple[tuple[ProviderId, str], ...] = ()
    usage: tuple[tuple[str, Windows], ...] = ()
    unread: str = ""
    """Why a store of the chain gave no facts at all; empty when all were read."""

    @property
    def owners(self) -> tuple[StoreId, ...]:
        """Parallel to `profiles`: the store that holds each."""
        stores = (self.own, self.main)
        return tuple(stores[one] for one in self.inherited)

    @property
    def is_own(self) -> bool:
        """Whether the agent has a store beside the one that all inherit from."""
        return self.own != self.main

    def place(self, profile_id: str) -> int:
        """Return the place of a profile in `profiles`; -1 when there is none with this id."""
        return next((at for at, profile in enumerate(self.profiles) if profile.outline.id == profile_id), -1)

    def windows(self, name: str) -> Windows | None:
        """Return the usage stats of a profile."""
        return next((windows for known, windows in self.usage if known == name), None)


def merge(
    main: StoreFacts | None, own: StoreFacts | None, *, unread: str = "", now_ms: float | None = None
) -> StoreView:
    """Return what an agent sees of its own store and the inherited one; None stands for a store that gave no facts.

    Args:
        main: The store that is inherited.
        own: The agent's own.
        unread: Passed on into the view.
        now_ms: The present, epoch milliseconds, by which "usable" is judged.
    """
    return Inherited(main, now_ms).seen_with(own, unread=unread)


@final
class Inherited:
    """A store that many agents inherit from, with what uniting it with their own ones looks up.

    Never changed once made; safe on any thread.
    """

    __slots__ = ("_ids", "_main", "_now_ms", "_usable", "_usable_of")

    def __init__(self, main: StoreFacts | None, now_ms: float | None = None) -> None:
        self._main = main
        self._now_ms = now_ms
        profiles = main.profiles if main is not None else ()
        self._ids = [profile.outline.id for profile in profiles]
        self._usable = [profile for profile in profiles if _usable(profile, now_ms)]
        self._usable_of: dict[ProviderId, list[ProfileFacts]] = {}
        for profile in self._usable:
            self._usable_of.setdefault(profile.provider, []).append(profile)

    def seen_with(self, own: StoreFacts | None, *, unread: str = "") -> StoreView:
        """Return what an agent with this store sees; see `merge`."""
        main = self._main
        if main is None or own is None or main.store == own.store or own.is_empty:
            only = own if main is None or (own is not None and own.store == main.store) else main
            return _alone(only, main, unread) if only is not None else StoreView(unread=unread)
        replaced = self._repairs(own)
        if replaced:
            return _repaired(main, own, replaced, unread, self._now_ms)
        profiles, ids = own.profiles, [profile.outline.id for profile in own.profiles]
        if ids == self._ids:
            # a copy of main's with other secrets, as most are that OpenClaw makes
            flags = _flags(bytes(len(profiles)))
        else:
            held = dict(zip(ids, profiles, strict=True))
            inherited = bytes([name not in held for name in self._ids])
            below = [held.pop(name, profile) for name, profile in zip(self._ids, main.profiles, strict=True)]
            profiles, flags = (*below, *held.values()), _flags(inherited + bytes(len(held)))
        return StoreView(
            profiles,
            flags,
            own.store,
            main.store,
            _united(main.order, own.order),
            _united(main.last_good, own.last_good),
            _usage(main, own.usage, profiles, flags) if main.usage or own.usage else (),
            unread,
        )

    def _repairs(self, own: StoreFacts) -> dict[str, str]:
        """Return own profile id → inherited profile id that takes its place."""
        main, usable_of = self._main, self._usable_of
        if main is None or not usable_of:
            return {}
        replaced: dict[str, str] = {}
        for profile in own.profiles:
            outline = profile.outline
            if outline.kind != "oauth" or outline.provider not in usable_of:
                continue
            target = None
            if outline.id == f"{outline.provider}:default":
                target = _newer(profile, usable_of[outline.provider])
            if target is None and outline.provider == _CODEX:
                order, good = dict(own.order).get(_CODEX, ()), dict(own.last_good).get(_CODEX)
                pointed_at = good == outline.id or outline.id in order
                if pointed_at and _refused(dict(own.usage).get(outline.id)):
                    target = _healthy_codex(main, self._usable)
            if target is not None:
                replaced[outline.id] = target.id
        return replaced


def _repaired(
    main: StoreFacts, own: StoreFacts, replaced: dict[str, str], unread: str, now_ms: float | None
) -> StoreView:
    """Unite two stores, inherited logins taking the place of some own ones."""
    inherited = {profile.id: profile for profile in main.profiles}
    profiles = {profile.id: (profile, True) for profile in main.profiles}
    for profile in own.profiles:
        if profile.id not in replaced:
            profiles[profile.id] = (profile, False)
    held = {profile.id: profile for profile in own.profiles}
    for target in replaced.values():
        rival = held.get(target)
        if rival is None or target in replaced or _overtakes(inherited[target], rival, now_ms):
            profiles[target] = (inherited[target], True)
    own_order = tuple(
        (provider, tuple(dict.fromkeys(replaced.get(profile_id, profile_id) for profile_id in ids)))
        for provider, ids in own.order
    )
    own_good = tuple((provider, replaced.get(profile_id, profile_id)) for provider, profile_id in own.last_good)
    own_usage = tuple((profile_id, windows) for profile_id, windows in own.usage if profile_id not in replaced)
    found = tuple(profile for profile, _ in profiles.values())
    flags = bytes(from_main for _, from_main in profiles.values())
    return StoreView(
        found,
        _flags(flags),
        own.store,
        main.store,
        _united(main.order, own_order),
        _united(main.last_good, own_good),
        _usage(main, own_usage, found, flags),
        unread,
    )


_Item = TypeVar("_Item")


def _united(
    below: tuple[tuple[ProviderId, _Item], ...], above: tuple[tuple[ProviderId, _Item], ...]
) -> tuple[tuple[ProviderId, _Item], ...]:
    """Unite two sets of entries key by key, the upper one winning."""
    return tuple({**dict(below), **dict(above)}.items()) if below and above else below or above


@lru_cache(1024)
def _flags(flags: bytes) -> bytes:
    """Return the same flags as one object for all agents that have them."""
    return flags


def _usage(
    main: StoreFacts,
    own_usage: tuple[tuple[str, Windows], ...],
    profiles: tuple[ProfileFacts, ...],
    inherited: bytes,
) -> tuple[tuple[str, Windows], ...]:
    """Return the usage stats that hold for what the agent sees: of each profile those in the store that owns it.

    OpenClaw unites them by id alone, so that a failure of one secret rests another one of the same name in the other
    store.
    """
    is_inherited = dict(zip((profile.outline.id for profile in profiles), inherited, strict=True))
    below = ((name, windows) for name, windows in main.usage if is_inherited.get(name, True))
    above = ((name, windows) for name, windows in own_usage if not is_inherited.get(name, False))
    return tuple({**dict(below), **dict(above)}.items())


def _alone(store: StoreFacts, main: StoreFacts | None, unread: str) -> StoreView:
    below = main.store if main is not None else StoreId("")
    flags = _flags(bytes([store.store == below]) * len(store.profiles))
    return StoreView(store.profiles, flags, store.store, below, store.order, store.last_good, store.usage, unread)


def _usable(profile: ProfileFacts, now_ms: float | None) -> bool:
    outline = profile.outline
    return (
        outline.kind == "oauth"
        and outline.has_access
        and (outline.expires_ms or 0.0) > (0.0 if now_ms is None else now_ms + USABLE_MARGIN_MS)
    )


def _overtakes(inherited: ProfileFacts, rival: ProfileFacts, now_ms: float | None) -> bool:
    """Tell whether a usable inherited login also takes the place of the own profile with its id."""
    newer = (inherited.expires_ms or 0.0) > (rival.expires_ms or 0.0)
    return rival.kind == "oauth" and (newer or not _usable(rival, now_ms))


def _newer(profile: ProfileFacts, usable: list[ProfileFacts]) -> ProfileFacts | None:
    """Return the inherited login of the same provider that takes the place of an own one."""
    expires_ms = profile.outline.expires_ms or 0.0
    candidates = [other for other in usable if (other.outline.expires_ms or 0.0) > expires_ms]
    if not candidates:
        return None
    known = [(other, _identity(profile, other)) for other in candidates]
    agreeing = [other for other, same in known if same]
    if agreeing:
        return max(agreeing, key=lambda other: other.expires_ms or 0.0)
    incomparable = [other for other, same in known if same is None]
    return incomparable[0] if len(candidates) == 1 and incomparable else None


def _identity(one: ProfileFacts, other: ProfileFacts) -> bool | None:
    """Tell whether two logins are of one person; None when there is nothing to compare."""
    if one.account is not None and other.account is not None:
        return one.account == other.account
    if one.email_digest is not None and other.email_digest is not None:
        return one.email_digest == other.email_digest
    return None


def _refused(windows: Windows | None) -> bool:
    if windows is None:
        return False
    counted = {reason for reason, _ in windows.failure_counts}
    return bool(_REFUSALS & ({windows.cooldown_reason, windows.disabled_reason} | counted))


def _healthy_codex(main: StoreFacts, usable: list[ProfileFacts]) -> ProfileFacts | None:
    usage = dict(main.usage)
    healthy = {
        profile.id: profile for profile in usable if profile.provider == _CODEX and not _refused(usage.get(profile.id))
    }
    ordered = next((healthy[item] for item in dict(main.order).get(_CODEX, ()) if item in healthy), None)
    good = healthy.get(dict(main.last_good).get(_CODEX, ""))
    return ordered or good or (next(iter(healthy.values())) if len(healthy) == 1 else None)
