"""`GET /matrix`: the states of all agents and providers at once, small enough for thousands of agents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from anyio.lowlevel import checkpoint
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from openclaw_actors.auth.verdict import State
from openclaw_actors.gateway.answers import etag_of, tagged

if TYPE_CHECKING:
    from openclaw_actors.auth.cells import CellTable
    from openclaw_actors.supervisor import AuthSupervisor

LETTERS = {state: "abcdefghijk"[state.rank] for state in State}
"""One letter per state, best first."""

NOTHING = "-"
"""The letter of a provider that an agent has no answer about."""

_AT_ONCE = 200
"""How many agents are looked at before others have their turn on the loop."""


class MatrixRoutes:
    """Tells agents by the table that they hold: agents that see the same sources hold the very same one."""

    def __init__(self, supervisor: AuthSupervisor) -> None:
        self._supervisor = supervisor

    def routes(self) -> list[Route]:
        """Return the route."""
        return [Route("/matrix", self.matrix, methods=["GET"])]

    async def matrix(self, request: Request) -> Response:
        """Answer with a text of letters per table, one for each provider, and which agent has which table.

        The sequence is older than what is said: changes after it, from `/events?since=`, make it whole.
        """
        supervisor = self._supervisor
        sequence, default = supervisor.sequence, supervisor.snapshot().agent_id
        numbers: dict[int, int] = {}
        tables: list[CellTable] = []
        agents = []
        for place, agent in enumerate(supervisor.agent_ids(), start=1):
            if not place % _AT_ONCE:
                await checkpoint()
            auth = supervisor.snapshot(agent)
            table = auth.table
            if auth.revision and id(table) not in numbers:
                numbers[id(table)] = len(tables)
                tables.append(table)  # held, so that no other gets its id meanwhile
            agents.append({"id": agent, "revision": auth.revision, "table": numbers.get(id(table), -1)})
        providers = sorted({provider for table in tables for provider in table})
        body = msgspec.json.encode(
            {
                "instance": supervisor.instance_id,
                "sequence": sequence,
                "default": default,
                "states": {letter: state.value for state, letter in LETTERS.items()},
                "providers": providers,
                "tables": [await _letters(table, providers) for table in tables],
                "agents": agents,
            }
        )
        return tagged(request, lambda: body, etag_of(supervisor.instance_id, body))


async def _letters(table: CellTable, providers: Sequence[str]) -> str:
    await checkpoint()
    cells = [table.get(provider) for provider in providers]
    return "".join(NOTHING if cell is None else LETTERS[cell.state] for cell in cells)
