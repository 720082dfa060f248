"""`GET /events`: how many streams there may be, how they begin, and how one goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx
import pytest
from gateways import Gateway, serving
from homes import Home, Supervise, api_key, eventually

MOST = 64


@pytest.fixture
def gateway(home: Home, supervise: Supervise) -> Iterator[Gateway]:
    """Return a gateway of a home with two agents and a key."""
    home.agents("main", "ops").write_config().write_profiles(zai__work=api_key("zai"))
    with serving(supervise(home)) as served:
        yield served


def refuse(gateway: Gateway, reason: str) -> None:
    """Make a change for each agent."""
    assert gateway.send("/auth/main/zai/failures?wait=5", {"evidence": "zai:work", "reason": reason}).is_success


def first_lines(gateway: Gateway, count: int, **headers: str) -> list[str]:
    """Return the first lines of a stream."""
    with gateway.client.stream("GET", "/events", headers=headers) as stream:
        lines = stream.iter_lines()
        return [next(lines) for _ in range(count)]


def test_no_more_streams_are_open_than_there_are_places_for(gateway: Gateway) -> None:
    """However many come at the same moment; a place that is left is free again."""

    async def crowd() -> int:
        limits = httpx.Limits(max_connections=200)
        async with httpx.AsyncClient(base_url=gateway.url, limits=limits, timeout=20.0) as client:
            asked = [client.build_request("GET", "/events") for _ in range(MOST + 30)]
            answers = await asyncio.gather(*(client.send(one, stream=True) for one in asked))
            taken = sum(one.status_code == 200 for one in answers)
            assert {one.status_code for one in answers} == {200, 503}
            for one in answers:
                await one.aclose()
        return taken

    assert asyncio.run(crowd()) == MOST
    assert eventually(lambda: gateway.get("/livez").is_success and asyncio.run(crowd()) == MOST)


def test_asking_for_the_headers_alone_takes_no_place(gateway: Gateway) -> None:
    """HEAD ends at once, and the connection is good for the next request."""
    for _ in range(MOST + 1):
        head = gateway.client.head("/events")
        assert (head.status_code, head.headers["content-type"].partition(";")[0]) == (200, "text/event-stream")
    assert first_lines(gateway, 1)


def test_a_stream_that_is_lost_before_its_first_change_goes_on_from_its_beginning(gateway: Gateway) -> None:
    """It has an id from its first event on, which doesn't skip what a later one is replayed."""
    refuse(gateway, "auth")
    hello = first_lines(gateway, 4)
    (begun,) = [line.removeprefix("id: ") for line in hello if line.startswith("id: ")]
    refuse(gateway, "billing")
    again = first_lines(gateway, 12, **{"last-event-id": begun})
    assert again[1] == f"id: {begun}"
    assert any(line.startswith('data: {"event":"change"') and '"new":"disabled"' in line for line in again)


def test_the_agent_of_a_stream_is_looked_up_like_any_other(gateway: Gateway) -> None:
    """In any spelling; one that isn't configured is said rather than never heard of."""
    assert gateway.get("/events", params={"agent": "nobody"}).status_code == 404
    begun = f"{gateway.supervisor.instance_id}:0"
    refuse(gateway, "auth")
    query = {"agent": "OPS", "since": begun}
    with gateway.client.stream("GET", "/events", params=query) as stream:
        line = next(line for line in stream.iter_lines() if '"event":"change"' in line)
    assert '"agent":"ops"' in line
