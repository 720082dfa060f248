"""The profiles that one agent sees, with the look-ups that a check needs."""

from __future__ import annotations

from typing import NamedTuple, final

from openclaw_actors.home.facts import ProfileFacts
from openclaw_actors.home.providers import auth_provider
from openclaw_actors.home.stores.merge import StoreView
from openclaw_actors.home.stores.windows import Windows
from openclaw_actors.ids import ProviderId, StoreId

CODEX = ProviderId("openai-codex")
"""The provider whose runs accept another one's keys."""
OPENAI = ProviderId("openai")
"""The one whose."""
INLINE_PREFIX = "inline-api-key:"
"""Usage entries of configured keys are called this and the provider (formats 5.5)."""


class Stored(NamedTuple):
    """A profile and who owns it; `place` is its position among all that the agent sees."""

    place: int
    profile: ProfileFacts
    owner: StoreId | None


@final
class StoreIndex:
    """Look-ups over one `StoreView`. Never changed once built; safe on any thread."""

    __slots__ = ("_by_auth", "has_inline_usage", "orders", "profiles", "usage", "view")

    def __init__(self, view: StoreView) -> None:
        self.view = view
        self.profiles: dict[str, Stored] = {}
        """By profile id, in file order."""
        self._by_auth: dict[ProviderId, list[Stored]] = {}
        for place, (profile, owner) in enumerate(zip(view.profiles, view.owners, strict=True)):
            self._add(Stored(place, profile, owner))
        self.orders: dict[ProviderId, tuple[str, ...]] = dict(view.order)
        self.usage: dict[str, Windows] = dict(view.usage)
        """Usage stats as the owner's store has them, by profile id."""
        self.has_inline_usage = any(name.startswith(INLINE_PREFIX) for name in self.usage)

    def with_profile(self, profile: ProfileFacts) -> StoreIndex:
        """Return a copy with a profile that no store holds: in place of the one with its id, or last."""
        copy = StoreIndex.__new__(StoreIndex)
        copy.view, copy.orders, copy.usage = self.view, self.orders, self.usage
        copy.has_inline_usage = self.has_inline_usage
        copy.profiles, copy._by_auth = {}, {}
        replaced = self.profiles.get(profile.id)
        place = replaced.place if replaced is not None else len(self.profiles)
        for stored in (*(s for s in self.profiles.values() if s is not replaced), Stored(place, profile, None)):
            copy._add(stored)
        return copy

    def of_provider(self, auth_id: ProviderId) -> list[Stored]:
        """Return the profiles of an alias-resolved provider, in file order."""
        return self._by_auth.get(auth_id, [])

    def serving(self, auth_id: ProviderId) -> list[Stored]:
        """Return the same plus profiles of another provider that a run accepts: OpenAI keys for openai-codex."""
        own = self.of_provider(auth_id)
        if auth_id != CODEX:
            return own
        lent = [stored for stored in self.of_provider(OPENAI) if stored.profile.kind == "api_key"]
        return sorted((*own, *lent), key=lambda item: item.place) if lent else own

    def inline_usage(self, provider: ProviderId) -> Windows | None:
        """Return the usage stats of the provider's configured key."""
        return self.usage.get(INLINE_PREFIX + provider) if self.has_inline_usage else None

    def _add(self, stored: Stored) -> None:
        self.profiles[stored.profile.id] = stored
        found = self._by_auth.setdefault(auth_provider(stored.profile.provider), [])
        found.append(stored)
        if len(found) > 1 and found[-2].place > stored.place:
            found.sort(key=lambda item: item.place)


_latest: tuple[StoreView, StoreIndex] | None = None


def store_index(view: StoreView) -> StoreIndex:
    """Return the index of a view; that of the view asked last is kept, since a sweep asks many times in a row.

    Safe on any thread: the slot is read and replaced as one tuple, and two threads that race just build twice.
    """
    global _latest
    latest = _latest
    if latest is not None and latest[0] is view:
        return latest[1]
    built = StoreIndex(view)
    _latest = (view, built)
    return built
