"""What outlives a warmer: the last good facts of each source, and when stored secrets were replaced."""

from __future__ import annotations

import msgspec

from openclaw_actors.auth.failures import REASONS, Effect, effect_of
from openclaw_actors.catalog.home_reading import HomeReading
from openclaw_actors.home.facts import CliFacts, StoreFacts
from openclaw_actors.home.stores.windows import Windows


class Replaced(msgspec.Struct, frozen=True, gc=False):
    """That another secret was found in a profile."""

    at_ms: int
    """When it was found, epoch milliseconds."""
    blamed: bytes
    """Digest of the secret that the failures before that were about: one that comes back is refused still."""
    failed_ms: int
    """The last failure that was known by then, epoch milliseconds."""

    def follows(self, windows: Windows) -> bool:
        """Tell whether it came after the failures in some windows; by whatever clock they are dated."""
        failed_ms = windows.last_failure_at or 0
        return failed_ms <= self.at_ms or failed_ms == self.failed_ms

    def is_over(self, windows: Windows, now_ms: int) -> bool:
        """Tell whether there was another failure since the clock was set back: by the dates it would seem older."""
        return self.at_ms > now_ms >= (windows.last_failure_at or 0) != self.failed_ms


class Remembered:
    """Written by the one living WarmerActor, and handed to the next. Secret-free."""

    def __init__(self) -> None:
        self.facts: dict[str, HomeReading | CliFacts | StoreFacts] = {}
        """The last good facts by source: a source that can't be read after a restart keeps its answers, too."""
        self.replaced: dict[tuple[str, str], Replaced] = {}
        """By (source, profile id)."""

    def take(
        self, source: str, facts: HomeReading | CliFacts | StoreFacts, now_ms: int
    ) -> HomeReading | CliFacts | StoreFacts:
        """Remember good facts and return them as they are to be believed: without refusals of replaced secrets."""
        if isinstance(facts, StoreFacts):
            self._note_replaced(source, facts, now_ms)
            facts = self._without_old_refusals(source, facts, now_ms)
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
        before, usage = {profile.id: profile.digest for profile in old.profiles}, dict(facts.usage)
        for profile in facts.profiles:
            digest = before.get(profile.id)
            if digest is None or profile.digest is None or digest == profile.digest:
                continue
            key = (source, profile.id)
            known, windows = self.replaced.get(key), usage.get(profile.id)
            failed_ms = (windows.last_failure_at or 0) if windows is not None else 0
            is_newer = known is None or failed_ms > known.at_ms
            self.replaced[key] = Replaced(now_ms, digest if known is None or is_newer else known.blamed, failed_ms)
        there = {profile.id for profile in facts.profiles}
        for key in [key for key in self.replaced if key[0] == source and key[1] not in there]:
            del self.replaced[key]

    def _without_old_refusals(self, source: str, facts: StoreFacts, now_ms: int) -> StoreFacts:
        """Drop windows in which an earlier secret was refused: the file keeps them by name, whatever the secret."""
        if not facts.usage or not self.replaced:
            return facts
        digests = {profile.id: profile.digest for profile in facts.profiles}
        usage = []
        for name, windows in facts.usage:
            known = self.replaced.get((source, name))
            if known is not None and known.is_over(windows, now_ms):
                del self.replaced[source, name]
                known = None
            if known is not None and known.follows(windows) and digests.get(name) != known.blamed:
                windows = _without_refusals(windows)
            usage.append((name, windows))
        return facts if tuple(usage) == facts.usage else msgspec.structs.replace(facts, usage=tuple(usage))


def _without_refusals(windows: Windows) -> Windows:
    """Drop the windows of a secret that was refused or can't pay: its successor gets a chance. A passing rest stays."""
    if _is_refusal(windows.cooldown_reason):
        windows = msgspec.structs.replace(windows, cooldown_until=None, cooldown_reason=None, cooldown_model=None)
    if _is_refusal(windows.disabled_reason):
        windows = msgspec.structs.replace(windows, disabled_until=None, disabled_reason=None)
    return windows


def _is_refusal(reason: str | None) -> bool:
    return reason in REASONS and effect_of(reason) in (Effect.REJECTED, Effect.DISABLED)
