"""Baselines: what this design replaces, made of the package's own fastest parts, so that nothing is won by their being
slow.

`no-prewarm` sweeps on each call: it reads the agent's store, main's and the logins of other programs, and folds what is
asked for. Config, environment and catalogue, with its rows encoded, it reads once and keeps, as if they never changed,
which is in its favour.
`ttl-10s` keeps each answer of it for ten seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from bench.crowd import Crowd
from openclaw_actors.auth.check import check
from openclaw_actors.auth.evaluation import Evaluation, SharedEvaluation
from openclaw_actors.auth.shared import SharedFacts, SharedIndex
from openclaw_actors.catalog.load import load_catalog
from openclaw_actors.home.facts import CliFacts
from openclaw_actors.home.reader import HomeReader
from openclaw_actors.home.stores.merge import StoreView, merge
from openclaw_actors.ids import AgentId, ProviderId, StoreId
from openclaw_actors.listing.shelves import Shelf

TTL_S = 10.0
"""For how long `ttl-10s` keeps an answer, in seconds."""


class NoPrewarm:
    """Sweeps on each call."""

    def __init__(self, crowd: Crowd) -> None:
        """Read what is kept: config, environment, catalogue."""
        self._reader = HomeReader(crowd.path, env=crowd.env)
        self._home = self._reader.read_home()
        self._catalog = load_catalog(self._home.config)
        self._shelf = Shelf(self._catalog, self._home.config, (), None)
        self._stores = {agent.id: StoreId(agent.agent_dir) for agent in self._home.config.agents}
        self._logins: tuple[CliFacts, ...] | None = None
        self._shared = self._current_shared()

    def has_auth(self, provider: str, agent_id: str) -> bool:
        """Read what one answer needs and give it; `provider` as the map has it."""
        shared = self._current_shared()
        return check(ProviderId(provider), shared.index, self._view(agent_id), {}, time.time()).has_auth

    def listing(self, agent_id: str, view: str) -> bytes:
        """Sweep all providers of an agent and return its list of models as JSON."""
        table = Evaluation(self._current_shared(), self._view(agent_id), {}, time.time()).table()
        return self._shelf.arranged(table, None, view).encoded.whole()

    def _view(self, agent_id: str) -> StoreView:
        own, main = self._stores[AgentId(agent_id)], StoreId(self._home.config.main_store)
        inherited = self._reader.read_store(main)
        return merge(None if own == main else inherited, inherited if own == main else self._reader.read_store(own))

    def _current_shared(self) -> SharedEvaluation:
        logins = tuple(self._reader.read_cli(name) for name in HomeReader.CLI_NAMES)
        if logins != self._logins:
            index = SharedIndex(SharedFacts(home=self._home, clis=logins), self._catalog.providers)
            self._logins, self._shared = logins, SharedEvaluation(index, {}, time.time())
        return self._shared


class TtlCache:
    """Keeps each answer of `no-prewarm` for a while."""

    def __init__(self, below: NoPrewarm, ttl_s: float = TTL_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._below = below
        self._ttl_s = ttl_s
        self._clock = clock
        self._kept: dict[tuple[str, str], tuple[float, bool]] = {}

    def has_auth(self, provider: str, agent_id: str) -> bool:
        """Give the kept answer, or sweep for a new one when it is too old."""
        kept, now = self._kept.get((agent_id, provider)), self._clock()
        if kept is not None and now < kept[0]:
            return kept[1]
        answer = self._below.has_auth(provider, agent_id)
        self._kept[agent_id, provider] = (now + self._ttl_s, answer)
        return answer
