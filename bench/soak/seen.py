"""A change as the soak saw it, and how long it waits for what explains it."""

from __future__ import annotations

from typing import NamedTuple

from openclaw_actors import Change

CLOCK_SLACK_S = 0.05
"""A change may be seen this much before the time in the journal: the writer looks at the clock after the rename."""

JUDGED_AFTER_S = 2.0
"""How long a change that nothing explains waits for a line of the journal that does."""

LATE_S = 10.0
"""After how long an expected change is missed."""


class Seen(NamedTuple):
    """A change, as the callback got it."""

    at: float
    """When the callback was called, monotonic seconds."""
    change: Change
