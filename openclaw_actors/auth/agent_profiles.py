"""The profiles that one agent sees, as far as common cells ask for them: what is the same for agents whose profiles
look alike, and which of them fared in a way that makes an answer the agent's own.
"""

from __future__ import annotations

from collections.abc import Container
from typing import NamedTuple, final

from openclaw_actors.auth.ledger import Ledger
from openclaw_actors.auth.sources.stored import CODEX, INLINE_PREFIX, OPENAI, StoreIndex
from openclaw_actors.auth.verdict import OWN_STORE
from openclaw_actors.home.facts import ProfileFacts, ProfileOutline
from openclaw_actors.home.providers import auth_provider, tables
from openclaw_actors.home.stores.merge import StoreView
from openclaw_actors.home.stores.windows import Windows
from openclaw_actors.ids import ProviderId, StoreId

_NONE: frozenset[ProviderId] = frozenset()

Reported = frozenset[tuple[StoreId, str]]
"""Stores and the ids of their profiles of which something was reported."""


def reported_profiles(ledger: Ledger) -> Reported:
    """Return the stored profiles that reports are about."""
    return frozenset((key.store, key.evidence_id) for key in ledger if key.store is not None)


class Plan(NamedTuple):
    """What config and logins say of one provider's profiles."""

    auth_id: ProviderId
    has_own_rules: bool
    """Whether more than outlines and order decides: a login is laid over the profiles, or a shared credential was
    reported."""
    names: tuple[str, ...]
    """Profile ids that the config names for it, in an order or as its profiles."""


@final
class AgentProfiles:
    """The profiles that one agent sees, as far as common cells ask for them."""

    __slots__ = ("_by_auth", "_by_id", "_used", "is_whole", "special", "view")

    def __init__(self, view: StoreView, reported: Reported) -> None:
        self.view = view
        self._by_auth: dict[ProviderId, list[int]] | None = None
        self._by_id: dict[str, int] | None = None
        self._used: dict[str, int] | None = None
        self.is_whole = not view.unread and not any(name.startswith(INLINE_PREFIX) for name, _ in view.usage)
        """Whether nothing but its profiles sets this agent apart from others: all its stores were read, and none says
        how the config's keys were used."""
        self.special = self._find_special(reported) if view.usage or reported else _NONE
        """The alias-resolved providers for which it matters how the agent's own profiles fared."""

    def forget_look_ups(self) -> None:
        """Give back the memory of what can be made again."""
        self._by_auth = self._by_id = self._used = None

    def strangers(self, known: Container[ProviderId], auth_id: ProviderId | None = None) -> list[ProviderId]:
        """Return the providers of the profiles (of one alias-resolved provider) that nothing else names."""
        found = {profile.outline.provider for profile in self.view.profiles} if auth_id is None else {auth_id}
        return sorted(one for one in found if one not in known)

    def by_auth(self) -> dict[ProviderId, list[int]]:
        """Return the places of the profiles by alias-resolved provider."""
        found = self._by_auth
        if found is None:
            aliases = tables().auth_aliases
            found = {}
            for place, profile in enumerate(self.view.profiles):
                provider = profile.outline.provider
                found.setdefault(ProviderId(aliases.get(provider, provider)), []).append(place)
            self._by_auth = found
        return found

    def serving(self, auth_id: ProviderId) -> list[int]:
        """Return the places of the profiles that a run accepts for an alias-resolved provider."""
        own = self.by_auth().get(auth_id, [])
        if auth_id != CODEX:
            return own
        profiles = self.view.profiles
        lent = [place for place in self.by_auth().get(OPENAI, ()) if profiles[place].outline.kind == "api_key"]
        return sorted((*own, *lent)) if lent else own

    def key(self, provider: ProviderId, plan: Plan, places: list[int]) -> tuple[object, ...]:
        """Return what a common cell of a provider depends on."""
        view = self.view
        profiles, inherited = view.profiles, view.inherited
        if not plan.names and not view.order:
            if len(places) == 1:
                place = places[0]
                return provider, id(profiles[place].outline), inherited[place]
            seen = [(id(profiles[place].outline), inherited[place]) for place in places]
            return provider, self._ranks(places), *seen
        return (
            provider,
            self._ranks(places),
            *((id(profiles[place].outline), inherited[place]) for place in places),
            tuple(id(self._outline(name)) for name in plan.names),
            tuple(
                (one, ids, tuple(id(self._outline(name)) for name in ids)) for one, ids in self._orders(provider, plan)
            ),
        )

    def _ranks(self, places: list[int]) -> tuple[int, ...]:
        """Return the order in which profiles were used: of several the one used longest ago comes first."""
        if not self.view.usage or len(places) < 2:
            return ()
        used = [self._last_used(place) for place in places]
        order = sorted(set(used))
        return tuple(order.index(one) for one in used)

    def _last_used(self, place: int) -> int:
        used = self._used
        if used is None:
            used = self._used = {name: windows.last_used or 0 for name, windows in self.view.usage}
        return used.get(self.view.profiles[place].outline.id, 0)

    def outlines(self, provider: ProviderId, plan: Plan, places: list[int]) -> tuple[ProfileOutline | None, ...]:
        """Return the outlines whose ids are in the key of a common cell."""
        named = self._names(provider, plan)
        return (*(self.view.profiles[place].outline for place in places), *(self._outline(name) for name in named))

    def looks(self) -> tuple[object, ...]:
        """Return what a table of common cells depends on."""
        view = self.view
        # what a run of another provider is lent counts among its own
        groups = [*self.by_auth().values(), self.serving(CODEX)] if view.usage else ()
        ranks = tuple(self._ranks(places) for places in groups if len(places) > 1)
        return view.inherited, (view.order, ranks), *[profile.outline for profile in view.profiles]

    def bare_index(self, provider: ProviderId, plan: Plan, places: list[int]) -> StoreIndex:
        """Return look-ups over the profiles that a cell depends on, without secrets, in a store that stands for any."""
        view, profiles = self.view, self.view.profiles
        named = (self._place(name) for name in self._names(provider, plan))
        asked = sorted({*places, *(place for place in named if place is not None)})
        return StoreIndex(
            StoreView(
                tuple(ProfileFacts(profiles[place].outline) for place in asked),
                bytes(view.inherited[place] for place in asked),
                OWN_STORE,
                view.main,
                view.order,
                usage=tuple((profiles[place].outline.id, Windows(last_used=self._last_used(place))) for place in asked)
                if view.usage and len(asked) > 1
                else (),
            )
        )

    def _names(self, provider: ProviderId, plan: Plan) -> list[str]:
        return [*plan.names, *(name for _, ids in self._orders(provider, plan) for name in ids)]

    def _orders(self, provider: ProviderId, plan: Plan) -> list[tuple[ProviderId, tuple[str, ...]]]:
        asked = {provider, plan.auth_id, OPENAI} if plan.auth_id == CODEX else {provider, plan.auth_id}
        return [(one, ids) for one, ids in self.view.order if one in asked]

    def _place(self, name: str) -> int | None:
        places = self._by_id
        if places is None:
            places = self._by_id = {profile.outline.id: place for place, profile in enumerate(self.view.profiles)}
        return places.get(name)

    def _outline(self, name: str) -> ProfileOutline | None:
        place = self._place(name)
        return self.view.profiles[place].outline if place is not None else None

    def _find_special(self, reported: Reported) -> frozenset[ProviderId]:
        view = self.view
        found: set[ProviderId] = set()
        for name, windows in view.usage:
            place = self._place(name) if not _says_nothing(windows) else None
            if place is not None:
                found.add(auth_provider(view.profiles[place].outline.provider))
        for store, name in reported:
            place = self._place(name)
            if place is not None and (view.main if view.inherited[place] else view.own) == store:
                found.add(auth_provider(view.profiles[place].outline.provider))
        return frozenset(found)


def _says_nothing(windows: Windows) -> bool:
    """Tell whether usage stats rest nothing, and never did."""
    return (
        windows.blocked_until is None
        and windows.cooldown_until is None
        and windows.disabled_until is None
        and windows.last_failure_at is None
    )
