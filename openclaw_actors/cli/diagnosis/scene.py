"""Everything that `doctor` looks at, read once."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from openclaw_actors.auth.verdict import Verdict
from openclaw_actors.catalog.home_reading import HomeReading
from openclaw_actors.errors import HomeError
from openclaw_actors.health import Condition
from openclaw_actors.home.facts import CliFacts, StoreFacts
from openclaw_actors.home.reader import HomeReader
from openclaw_actors.ids import StoreId

if TYPE_CHECKING:
    from openclaw_actors import AuthSupervisor


@dataclass(frozen=True)
class Scene:
    """A home as it was read, with the answers."""

    home_path: str
    reading: HomeReading | None
    """Config, environment and model rows; None when they couldn't be read in time."""
    stores: tuple[StoreFacts, ...]
    """Each store that some agent sees and that could be read."""
    logins: tuple[CliFacts, ...]
    conditions: tuple[Condition, ...]
    verdicts: dict[str, tuple[Verdict, ...]]
    """By agent, in config order: of every provider that has an answer or that somebody set up."""
    configured: dict[str, frozenset[str]]
    """By agent: the providers that somebody set up."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path that these readings depended on, existing or not: what a gateway of this home watches."""
        reading = self.reading
        shared = () if reading is None else (*reading.home.depends_on, *reading.catalog.depends_on)
        stores = (path for store in self.stores for path in store.depends_on)
        logins = (path for login in self.logins for path in login.depends_on)
        return tuple(dict.fromkeys((*shared, *stores, *logins)))


def look_around(supervisor: AuthSupervisor, home: str | None) -> Scene:
    """Read what a supervisor that is warm doesn't keep.

    Args:
        supervisor: It has answered; what it could not read isn't tried again, since a dead mount blocks whoever does.
        home: As it was given to the supervisor.
    """
    agents = supervisor.agent_ids()
    snapshots = {agent: supervisor.snapshot(agent) for agent in agents}
    configured = {agent: supervisor.configured_providers(agent) for agent in agents}
    conditions = supervisor.health().conditions
    reading = next((one.home for one in snapshots.values() if one.home is not None), None)
    views = [snapshot.view for snapshot in snapshots.values()]
    stores = dict.fromkeys(store for view in views if not view.unread for store in (view.main, view.own) if store)
    reader = HomeReader(home)
    if reading is not None:
        with contextlib.suppress(HomeError):  # broken since: stores are read all the same
            reader.read_home()
    return Scene(
        home_path=str(supervisor.home_path),
        reading=reading,
        stores=tuple(facts for store in stores if (facts := _store(reader, store)) is not None),
        logins=_logins(reader, conditions) if reading is not None else (),
        conditions=conditions,
        verdicts={
            agent: tuple(
                supervisor.verdict(provider, agent_id=agent)
                for provider in sorted({*snapshots[agent].verdicts, *configured[agent]})
            )
            for agent in agents
        },
        configured=configured,
    )


def _store(reader: HomeReader, store: StoreId) -> StoreFacts | None:
    try:
        return reader.read_store(store, tolerant=True)
    except HomeError:
        return None  # it went away or broke since the supervisor read it


def _logins(reader: HomeReader, conditions: tuple[Condition, ...]) -> tuple[CliFacts, ...]:
    if any(one.type == "LoginsReadable" and not one.status for one in conditions):
        return ()
    try:
        return tuple(reader.read_cli(name) for name in reader.CLI_NAMES)
    except HomeError:
        return ()
