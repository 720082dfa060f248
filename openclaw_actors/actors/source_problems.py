"""What the health says of sources that can't be read."""

from __future__ import annotations

from itertools import islice

from openclaw_actors.actors.source_board import HOME, LOGIN_PREFIX, STORE_PREFIX, SourceBoard, SourceRecord
from openclaw_actors.health import STORE_PERMISSIONS, ConditionBoard
from openclaw_actors.home.facts import StoreFacts
from openclaw_actors.home.permissions import OPEN_TO_OTHERS
from openclaw_actors.settings import Settings

_KINDS = {STORE_PREFIX: "StoresReadable", LOGIN_PREFIX: "LoginsReadable"}

_MANY = 4
"""From how many failures in a row on a condition tells of them."""

_CONFIG_GONE = (
    "the config that was there is gone, so `main` is the only agent. Put it back, or start again if that is meant"
)

_MAX_SHOWN = 5
"""How many problems one condition spells out."""


class SourceProblems:
    """Writes down how the sources of each kind are. The WarmerActor's."""

    def __init__(self, board: SourceBoard, conditions: ConditionBoard, settings: Settings) -> None:
        self._board = board
        self._conditions = conditions
        self._settings = settings
        self._broken: dict[str, dict[str, None]] = {prefix: {} for prefix in _KINDS}
        self._open: dict[str, str] = {}
        for kind in _KINDS.values():
            conditions.set(kind, True, "Read", "")
        conditions.set(STORE_PERMISSIONS, True, "Closed", "")

    def show(self, record: SourceRecord) -> None:
        """Take in how a source is now; one that was forgotten is no trouble any more."""
        if record.name == HOME:
            reason, text = ("Unreadable" if record.problem else "Read"), self._explained(record)
            if record.config_gone and not record.problem:
                reason, text = "Gone", _CONFIG_GONE
            self._conditions.set("ConfigValid", reason == "Read", reason, text)
            return
        prefix = STORE_PREFIX if record.name.startswith(STORE_PREFIX) else LOGIN_PREFIX
        broken = self._broken[prefix]
        if record.problem and record.name in self._board.records:
            broken[record.name] = None
        else:
            broken.pop(record.name, None)
        # the first few, not all that there are: a dead disk breaks thousands, and each of their tries comes by here
        text = "; ".join(self._explained(self._board.records[name]) for name in islice(broken, _MAX_SHOWN))
        if len(broken) > _MAX_SHOWN:
            text += f"; and {len(broken) - _MAX_SHOWN} more"
        self._conditions.set(_KINDS[prefix], not broken, "Unreadable" if broken else "Read", text)

    def show_permissions(self, source: str, facts: object) -> None:
        """Take in who may reach a store, by its newest good reading; None when it was forgotten."""
        findings = facts.findings if isinstance(facts, StoreFacts) else ()
        text = "; ".join(
            f"{found.path}: {found.problem}: {found.remedy}" for found in findings if found.code == OPEN_TO_OTHERS
        )
        if text == self._open.get(source, ""):
            return
        if text:
            self._open[source] = text
        else:
            del self._open[source]
        shown = "; ".join(islice(self._open.values(), _MAX_SHOWN))
        if len(self._open) > _MAX_SHOWN:
            shown += f"; and {len(self._open) - _MAX_SHOWN} more"
        self._conditions.set(STORE_PERMISSIONS, not self._open, "Open" if self._open else "Closed", shown)

    def _explained(self, record: SourceRecord) -> str:
        """Return a problem, and how often it was met: in powers of two, so that not every further try is news."""
        if record.failures < _MANY:
            return record.problem
        times = 1 << (record.failures.bit_length() - 1)
        return f"{record.problem} ({times} tries and more; it is tried at least every {self._settings.retry_max_s:g} s)"
