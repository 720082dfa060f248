"""Diffs: which providers' answers two readings could tell apart. What is not in here costs no check."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec

from openclaw_actors.auth.check import shared_candidates
from openclaw_actors.auth.shared import SharedIndex
from openclaw_actors.home.facts import AuthProfileConfig, CliFacts, ProfileFacts, StoreFacts
from openclaw_actors.home.providers import auth_provider
from openclaw_actors.home.stores.windows import Windows
from openclaw_actors.ids import ProviderId

_ALSO_ACCEPTED_BY = {"openai": "openai-codex"}
"""Provider → another one whose order accepts its profiles (formats 7.6 step 2)."""

_OfProvider = ProfileFacts | AuthProfileConfig
"""What is one provider's, and in an order: stored profiles, and what the config says of them."""

_REPAIRED = ProviderId("openai-codex")
"""The provider whose refused logins are replaced by inherited ones."""

_INLINE = "inline-api-key:"
"""Usage entries of configured keys are called this and the provider (formats 5.5)."""


def changed_providers(
    old: SharedIndex, new: SharedIndex, now: float, providers_of: Callable[[set[str]], set[ProviderId]]
) -> frozenset[ProviderId]:
    """Return the providers about which two indexes differ: by what they say of it, or by how its profiles are
    judged.

    Args:
        old: What held so far.
        new: What holds now.
        now: Epoch seconds.
        providers_of: Says which providers the stored profiles with some ids are of: the config may describe a profile
            as another provider's, which that provider then has and its own one loses.
    """
    changed: set[ProviderId] = set(old.answered) ^ set(new.answered)
    for provider in set(old.answered) & set(new.answered):
        if shared_candidates(provider, old, now) != shared_candidates(provider, new, now):
            changed.add(provider)
    if old.facts.clis != new.facts.clis or old.facts.unread_sources != new.facts.unread_sources:
        before = {cli.name: cli for cli in old.facts.clis}
        after = {cli.name: cli for cli in new.facts.clis}
        logins = {
            cli.provider for name in before.keys() | after.keys() for cli in (before.get(name), after.get(name)) if cli
        }
        differing = {one for one in logins if _logins_of(before, one) != _logins_of(after, one)}
        changed |= _with_aliases(differing, new.answered)
        changed |= {one for one in new.answered if old.unread_for(one) != new.unread_for(one)}
    described = set(old.config.auth_profiles) ^ set(new.config.auth_profiles)
    differing = providers_of({item.id for item in described}) if described else set()
    differing |= _moved(old.config.auth_profiles, new.config.auth_profiles)
    differing |= {provider for provider, _ in set(old.config.auth_order) ^ set(new.config.auth_order)}
    differing |= {one for one in new.answered if _judging(old, one) != _judging(new, one)}
    return frozenset(changed | _with_aliases(differing, new.answered))


def changed_by_store(
    old: StoreFacts,
    new: StoreFacts,
    answered: Iterable[ProviderId],
    providers_of: Callable[[set[str]], set[ProviderId]],
) -> frozenset[ProviderId]:
    """Return the providers whose profiles or order differ between two readings of a store.

    Args:
        old: The reading before.
        new: The reading now.
        answered: Every provider that is answered.
        providers_of: Says which providers the profiles with some ids are of in the stores above or below this one: an
            id that comes or goes hides or shows them there, and decides their places.
    """
    differing = _moved(old.profiles, new.profiles)
    before, after = [profile.id for profile in old.profiles], [profile.id for profile in new.profiles]
    if before != after:
        there, common = set(after), set(before) & set(after)
        keeps_order = [name for name in before if name in common] == [name for name in after if name in common]
        differing |= providers_of(set(before) ^ there if keeps_order else {*before, *there})
    differing |= {provider for provider, _ in set(old.order) ^ set(new.order)}
    return frozenset(_with_aliases(differing, answered))


class UsageDiff(NamedTuple):
    """What two readings of a store say differently about use."""

    rested: frozenset[ProviderId]
    """Providers whose windows or failures differ."""
    used: frozenset[ProviderId]
    """Providers of which just the time of the last use does: that says which of several credentials comes next, and
    which evidence is newer."""


def changed_by_usage(old: StoreFacts, new: StoreFacts, answered: Iterable[ProviderId]) -> UsageDiff:
    """Return the providers whose profiles were used or rested differently between two readings of a store."""
    before, after = dict(old.usage), dict(new.usage)
    touched = {name for name, _ in set(old.usage) ^ set(new.usage)}
    rested = {name for name in touched if _but_for_use(before.get(name)) != _but_for_use(after.get(name))}
    differing = {profile.provider for profile in new.profiles if profile.id in rested}
    # a last good profile decides which login takes the place of a refused one (formats 3.7); a run doesn't ask for it
    differing |= {provider for provider, _ in set(old.last_good) ^ set(new.last_good) if provider == _REPAIRED}
    differing |= {ProviderId(name.removeprefix(_INLINE)) for name in touched if name.startswith(_INLINE)}
    used = {profile.provider for profile in new.profiles if profile.id in touched - rested}
    found = _with_aliases(differing, answered)
    return UsageDiff(frozenset(found), frozenset(_with_aliases(used, answered) - found))


def _but_for_use(windows: Windows | None) -> Windows:
    return msgspec.structs.replace(windows, last_used=None) if windows is not None else Windows()


def _moved(old: Iterable[_OfProvider], new: Iterable[_OfProvider]) -> set[ProviderId]:
    """Return the providers of which two sequences have other items, or the same ones in another order."""
    differing: set[ProviderId] = set()
    before, after = _grouped(old), _grouped(new)
    for group in before.keys() | after.keys():
        if before.get(group) != after.get(group):
            differing |= {item.provider for item in (*before.get(group, ()), *after.get(group, ()))}
    return differing


def _grouped(items: Iterable[_OfProvider]) -> dict[ProviderId, list[_OfProvider]]:
    """Return the items by whose order they are in; those that another provider accepts are in that one's, too."""
    groups: dict[ProviderId, list[_OfProvider]] = {}
    for item in items:
        group = auth_provider(item.provider)
        groups.setdefault(group, []).append(item)
        other = _ALSO_ACCEPTED_BY.get(group)
        if other is not None:
            groups.setdefault(ProviderId(other), []).append(item)
    return groups


def _judging(index: SharedIndex, provider: ProviderId) -> tuple[object, ...]:
    """Return what of the config decides how this provider's profiles are judged, beside order and `auth.profiles`."""
    entry = index.entry(provider)
    return (entry.auth if entry is not None else "", provider in index.disabled_providers)


def _logins_of(logins: dict[str, CliFacts], provider: ProviderId) -> list[CliFacts]:
    return [login for login in logins.values() if login.provider == provider]


def _with_aliases(providers: Iterable[ProviderId], answered: Iterable[ProviderId]) -> set[ProviderId]:
    """Return these providers and all that use their credentials."""
    found = set(providers)
    if not found:
        return found
    found |= {ProviderId(_ALSO_ACCEPTED_BY[one]) for one in found if one in _ALSO_ACCEPTED_BY}
    targets = {auth_provider(one) for one in found}
    return found | {one for one in answered if auth_provider(one) in targets}
