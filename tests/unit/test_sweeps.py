"""What agents wait for before they are answered anew."""

from __future__ import annotations

from openclaw_actors.actors.agent_board import AgentRecord
from openclaw_actors.actors.sweeps import Required
from openclaw_actors.home.facts import AgentConfig
from openclaw_actors.ids import AgentId

MAIN = "store:/main"


def record(own: str) -> AgentRecord:
    """Return an agent with a store."""
    return AgentRecord(AgentConfig(id=AgentId("a"), agent_dir="", workspace_dir=""), own, None)


def test_an_agent_waits_for_what_all_share_and_for_the_stores_it_sees() -> None:
    """Of a thousand stores that are read again, its own and main's count."""
    others = {f"store:/{number}": number for number in range(1000)}
    required = Required({"home": 1, "login:codex": 2, MAIN: 3, "store:/own": 4} | others)
    assert required.of(record("store:/own"), MAIN) == {"home": 1, "login:codex": 2, MAIN: 3, "store:/own": 4}
    assert required.of(record(MAIN), MAIN) == {"home": 1, "login:codex": 2, MAIN: 3}
    assert Required({"store:/7": 7}).of(record("store:/own"), MAIN) == {}
