"""What outlives a warmer: the last good facts of each source, and when stored secrets were replaced."""

from __future__ import annotations

import msgspec

from openclaw_actors.auth.failures import REASONS, Effect, effect_of
from openclaw_actors.catalog.home_reading import HomeReading
from openclaw_actors.home.facts import CliFacts, StoreFacts
from openclaw_actors.home.stores.windows import Windows


class Remembered:
    """Written by the one living WarmerActor, and handed to the next. Secret-free."""

    def __init__(self) -> None:
        self.facts: dict[str, HomeReading | CliFacts | StoreFacts] = {}
        """The last good facts by source: a source that can't be read after a restart keeps its answers, too."""
        self.replaced: dict[tuple[str, str], int] = {}
        """(Source, profile id) → when another secret was found there, epoch milliseconds."""

    def take(
        self, source: str, facts: HomeReading | CliFacts | StoreFacts, now_ms: int
    ) -> HomeReading | CliFacts | StoreFacts:
        """Remember good facts and return them as they are to be believed: without refusals of replaced secrets."""
        if isinstance(facts, StoreFacts):
            self._note_replaced(source, facts, now_ms)
            facts = self._without_old_refusals(source, facts)
        self.facts[source] = facts
        return facts

    def forget(self, source: str) -> None:
        """Drop a source that nobody reads any more."""
        self.facts.pop(source, None)
        for key in [key for key in self.replaced if key[0] == source]:
            del self.replaced[key]

    def _note_replaced(self, source: str, facts: StoreFacts, now_ms: int) -> None:
        old = self.facts.get(source)
        if not isinstance(old, StoreFacts):
            return
        before = {profile.id: profile.digest for profile in old.profiles}
        for profile in facts.profiles:
            digest = before.get(profile.id)
            if digest is not None and profile.digest is not None and digest != profile.digest:
                self.replaced[source, profile.id] = now_ms

    def _without_old_refusals(self, source: str, facts: StoreFacts) -> StoreFacts:
        """Drop windows in which an earlier secret was refused: the file keeps them by name, whatever the secret."""
        if not facts.usage or not self.replaced:
            return facts
        usage = []
        for name, windows in facts.usage:
            replaced_ms = self.replaced.get((source, name))
            old = replaced_ms is not None and (windows.last_failure_at or 0) <= replaced_ms
            usage.append((name, _without_refusals(windows) if old else windows))
        return facts if tuple(usage) == facts.usage else msgspec.structs.replace(facts, usage=tuple(usage))


def _without_refusals(windows: Windows) -> Windows:
    """Drop the windows that say that a secret was refused; those of an account (a rate limit, billing) stay."""
    if _is_refusal(windows.cooldown_reason):
        windows = msgspec.structs.replace(windows, cooldown_until=None, cooldown_reason=None, cooldown_model=None)
    if _is_refusal(windows.disabled_reason):
        windows = msgspec.structs.replace(windows, disabled_until=None, disabled_reason=None)
    return windows


def _is_refusal(reason: str | None) -> bool:
    return reason in REASONS and effect_of(reason) is Effect.REJECTED
