"""Backlogs: changes on their way to one consumer, bounded, so that a slow one costs memory of nobody."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import final

import msgspec

from openclaw_actors.changes import Change
from openclaw_actors.ids import AgentId, Revision


@final
class Backlog:
    """Changes in the order of publication. Not thread-safe: its owner has a lock.

    When it holds too many, the older ones are thinned out: of each agent the newest change stays, and says by its
    `reread_from` that others are missing. So a consumer loses nothing that it can't recover, and hears of it though
    the agent may never change again.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._thin_at = limit
        self._changes: deque[Change] = deque()
        self._missing: dict[AgentId, tuple[int, Revision]] = {}

    def add(self, change: Change) -> int:
        """Take a change that is newer than all before; return how many older ones were given up for it."""
        self._changes.append(change)
        return self._thin_out() if len(self._changes) > self._thin_at else 0

    def take(self) -> Change | None:
        """Take the oldest change out; None when there is none."""
        if not self._changes:
            return None
        change = self._changes.popleft()
        missing = self._missing.pop(change.agent_id, None)
        return change if missing is None else _marked(change, missing)

    def after(self, sequence: int) -> Iterator[Change]:
        """Yield the changes after a sequence number, each agent's first one marked when others before it are gone."""
        seen: set[AgentId] = set()
        for change in self._changes:
            if change.sequence <= sequence:
                continue
            missing = self._missing.get(change.agent_id) if change.agent_id not in seen else None
            seen.add(change.agent_id)
            yield change if missing is None or missing[0] <= sequence else _marked(change, missing)

    def __len__(self) -> int:
        return len(self._changes)

    def _thin_out(self) -> int:
        newest = {change.agent_id: change.sequence for change in self._changes}
        before, recent = len(self._changes), self._limit // 2
        kept: deque[Change] = deque()
        for place, change in enumerate(self._changes):
            if place >= before - recent or newest[change.agent_id] == change.sequence:
                kept.append(change)
            else:
                self._missing[change.agent_id] = (change.sequence, change.revision)
        self._changes = kept
        # with many agents much is kept; thinning out again for each further change would be quadratic
        self._thin_at = max(self._limit, len(kept) + recent)
        return before - len(kept)


def _marked(change: Change, missing: tuple[int, Revision]) -> Change:
    return msgspec.structs.replace(change, reread_from=missing[1])
