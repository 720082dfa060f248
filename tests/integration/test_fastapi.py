"""The gateway's routes and dependencies in a FastAPI application: the real framework, its real lifespan."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx
import pytest
import uvicorn
from homes import CANARY, Home, Supervise, api_key, eventually, secret, token

from openclaw_actors import AuthSupervisor, Credential, Verdict
from openclaw_actors.gateway.app import create_app
from openclaw_actors.gateway.embedding import lifespan

pytest.importorskip("fastapi")

from fastapi import APIRouter, Depends, FastAPI, HTTPException
from fastapi.exceptions import FastAPIError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # newer ones of Starlette would rather have another client than httpx
    from fastapi.testclient import TestClient

from openclaw_actors.gateway.fastapi import (
    AgentId,
    ProblemRoute,
    Supervisor,
    auth_supervisor,
    create_router,
    credential,
    require_provider,
)

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
PROBLEM = "application/problem+json"


@pytest.fixture
def small(home: Home) -> Home:
    """Return a home with two agents and a key, a login that is over, and nothing else."""
    home.agents("main", "ops").write_config()
    return home.write_profiles(zai__work=api_key("zai"), groq__old=token("groq", expires_in_s=-60.0))


def app_of(home: Home, **options: Any) -> FastAPI:
    """Return an application that runs a supervisor of that home and has the routes under a prefix."""
    app = FastAPI(lifespan=lifespan(lambda: AuthSupervisor(home.path, env=home.env)))
    app.include_router(create_router(**options), prefix="/llm")
    return app


def warmed(client: TestClient, prefix: str = "/llm") -> TestClient:
    """Wait until the client's application has its answers."""
    assert eventually(lambda: client.get(f"{prefix}/readyz").status_code == 200)
    return client


@pytest.fixture
def client(small: Home) -> Iterator[TestClient]:
    """Return a client of such an application."""
    with TestClient(app_of(small)) as found:
        yield warmed(found)


@contextmanager
def listening(app: FastAPI) -> Iterator[httpx.Client]:
    """Serve an application on loopback, as uvicorn does."""
    bound = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, lifespan="on", log_level="warning", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[bound])), daemon=True)
    thread.start()
    try:
        assert eventually(lambda: server.started or not thread.is_alive())
        with httpx.Client(base_url=f"http://127.0.0.1:{bound.getsockname()[1]}", timeout=10.0) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(10.0)
        bound.close()
        assert not thread.is_alive()


# ---------------------------------------------------------------------------------------------------------- the routes


def test_the_router_answers_as_the_gateway_itself(small: Home, supervise: Supervise) -> None:
    """The same bytes, tags and types under a prefix; there is no second way of answering."""
    supervisor = supervise(small)
    app = FastAPI()
    app.include_router(create_router(supervisor), prefix="/llm")
    app.mount("/own", create_app(supervisor))
    client = TestClient(app, base_url="http://localhost")
    for path in (
        "/v1/models",
        "/models?limit=2&include=hidden",
        "/auth",
        "/auth/ops?all=1",
        "/auth/main/groq",
        "/livez",
    ):
        ours, own = client.get(f"/llm{path}"), client.get(f"/own{path}")
        assert (ours.status_code, ours.content, ours.headers.get("etag")) == (200, own.content, own.headers.get("etag"))
        assert ours.headers["content-type"] == own.headers["content-type"]
    assert "openclaw_actors_warms_total" in client.get("/llm/metrics").text
    assert client.get("/llm/v1/models/zai/glm-none").json()["error"]["code"] == "model_not_found"


def test_every_route_of_the_gateway_is_there_and_events_only_when_asked_for(small: Home, supervise: Supervise) -> None:
    """Nothing that changes anything is open by accident."""

    def routes(app: Any) -> set[tuple[str, str]]:
        return {(route.path, method) for route in app.routes for method in (route.methods or ()) if method != "HEAD"}

    own = routes(create_app(supervise(small)))
    reading, all_of_it = routes(create_router()), routes(create_router(events=True))
    assert {method for _, method in reading} == {"GET"}
    assert reading < all_of_it <= own
    assert {pair for pair in own if pair[1] == "POST"} == all_of_it - reading
    assert {"/v1/models", "/models", "/auth", "/events", "/readyz", "/metrics"} <= {path for path, _ in reading}


def test_a_poller_gets_304_and_what_is_wrong_is_a_problem(client: TestClient) -> None:
    """The application has no handler of problems, and needs none."""
    first = client.get("/llm/v1/models")
    again = client.get("/llm/v1/models", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    unknown, bad = client.get("/llm/auth/nobody"), client.get("/llm/models?page=x")
    assert (unknown.status_code, unknown.headers["content-type"]) == (404, PROBLEM)
    assert "main, ops" in unknown.json()["detail"]
    assert (bad.status_code, bad.headers["content-type"], bad.json()["status"]) == (400, PROBLEM, 400)
    assert client.get("/llm/v1/models", headers={"x-openclaw-agent-id": "none"}).status_code == 404


def test_until_it_is_warm_it_answers_and_says_so(small: Home) -> None:
    """A supervisor that was never started is one that isn't warm yet."""
    app = FastAPI()
    app.state.auth = AuthSupervisor(small.path, env=small.env)
    app.include_router(create_router())
    client = TestClient(app)
    assert client.get("/livez").status_code == 200
    assert client.get("/readyz").status_code == 503
    cold = client.get("/v1/models")
    assert (cold.status_code, cold.headers["content-type"], cold.headers["retry-after"]) == (503, PROBLEM, "1")


def test_events_are_taken_where_the_application_lets_them_in(small: Home) -> None:
    """Its dependencies say who may; bodies are judged, and not longer than they have to be."""

    with TestClient(app_of(small, events=True)) as client:
        warmed(client)
        body = {"evidence": "zai:work", "reason": "auth"}
        sent = client.post("/llm/auth/main/zai/failures?wait=5", json=body)
        assert (sent.status_code, sent.json()["answered"]) == (200, True)
        assert client.get("/llm/auth/main/zai").json()["state"] == "rejected"
        wrong = client.post("/llm/auth/main/zai/failures", json={"evidence": secret("by-mistake")})
        assert (wrong.status_code, CANARY in wrong.text) == (422, False)
        assert client.post("/llm/reload", content="a=b", headers={"content-type": "text/plain"}).status_code == 415
        long = client.post("/llm/reload", content=b" " * 70_000, headers={"content-type": "application/json"})
        assert (long.status_code, long.headers["content-type"]) == (413, PROBLEM)
        odd = client.post("/llm/auth/main/zai/failures", json={"evidence": "zai:work", "reason": "bad mood"})
        assert (odd.status_code, odd.headers["content-type"]) == (422, PROBLEM)
    app = FastAPI()
    app.include_router(create_router(AuthSupervisor(small.path), events=True, dependencies=[Depends(_nobody)]))
    refused = TestClient(app).post("/reload")
    assert (refused.status_code, refused.json()) == (401, {"detail": "not you"})


async def _nobody() -> None:
    """Let nobody in, as an application's own rules may."""
    raise HTTPException(401, "not you")


def test_the_schema_is_whole_and_made_without_a_warning() -> None:
    """Each parameter of a path is declared, each operation has an id of its own, a tag and a summary."""
    app = FastAPI()
    app.include_router(create_router(events=True), prefix="/llm")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        document = json.loads(json.dumps(app.openapi()))
    operations = [
        (path, method, operation) for path, item in document["paths"].items() for method, operation in item.items()
    ]
    assert len(operations) == len({operation["operationId"] for _, _, operation in operations}) == 19
    for path, method, operation in operations:
        declared = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"]
        assert sorted(declared) == sorted(re.findall(r"{(\w+)}", path)), path
        assert operation["tags"] == ["openclaw"]
        assert operation["summary"][-1] not in ".,;:"
        assert operation["description"].endswith(".")
        assert all(answer["description"] for answer in operation["responses"].values())
        assert method == "get" or "responses" in operation
    models = document["paths"]["/llm/models"]["get"]
    assert {one["name"] for one in models["parameters"]} >= {"agent", "provider", "view", "page", "limit", "include"}
    assert PROBLEM in models["responses"]["404"]["content"]
    failure = document["paths"]["/llm/auth/{agent}/{provider}/failures"]["post"]
    assert failure["requestBody"]["content"]["application/json"]["schema"]["required"] == ["evidence", "reason"]
    assert {"name": "wait", "in": "query"}.items() <= failure["parameters"][-1].items()


def test_changes_are_streamed_under_the_prefix(small: Home) -> None:
    """Server-Sent Events over a real socket: hello, then the change; and the end of the application ends the stream."""
    app = app_of(small, events=True)
    with listening(app) as client:
        assert eventually(lambda: client.get("/llm/readyz").status_code == 200)
        with client.stream("GET", "/llm/events") as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            lines = (line for line in stream.iter_lines() if line.startswith(("event:", "data:")))
            assert next(lines) == "event: hello"
            next(lines)
            sent = client.post("/llm/auth/main/zai/failures", json={"evidence": "zai:work", "reason": "auth"})
            assert sent.status_code == 202
            assert next(lines) == "event: change"
            change = json.loads(next(lines).removeprefix("data:"))
            assert (change["provider"], change["new"]) == ("zai", "rejected")


def test_an_application_that_is_started_again_has_new_answers(small: Home) -> None:
    """Each start has a supervisor of its own, which the one router finds; so has each of two applications."""
    router = create_router()
    first, second = FastAPI(lifespan=lifespan(lambda: AuthSupervisor(small.path, env=small.env))), FastAPI()
    first.include_router(router, prefix="/llm")
    second.include_router(router, prefix="/other")
    second.state.auth = AuthSupervisor(small.path, env={"HOME": "/nonexistent"})
    instances = []
    for _ in range(2):
        with TestClient(first) as client:
            warmed(client)
            instances.append(client.get("/llm/auth").json()["instance"])
            other = TestClient(second).get("/other/auth").json()
            assert other == {"instance": second.state.auth.instance_id, "agents": {}}
            assert client.get("/llm/auth").json()["instance"] == instances[-1]
    assert len(set(instances)) == 2


# ------------------------------------------------------------------------------------------------------ dependencies


def host(home: Home, **router: Any) -> FastAPI:
    """Return an application with routes of its own that depend on credentials."""
    app = FastAPI(lifespan=lifespan(lambda: AuthSupervisor(home.path, env=home.env)))
    app.include_router(create_router(), prefix="/llm")
    own = APIRouter(**router)

    @own.get("/who")
    async def who(supervisor: Supervisor, agent: AgentId) -> dict[str, Any]:
        return {"agent": agent, "has": supervisor.has_auth("zai", agent_id=agent)}

    @own.get("/zai")
    async def zai(verdict: Annotated[Verdict, Depends(require_provider("Z.AI"))]) -> dict[str, str]:
        return {"state": verdict.state, "agent": verdict.agent_id}

    @own.get("/groq", dependencies=[Depends(require_provider("groq"))])
    async def groq() -> dict[str, str]:
        return {}

    @own.get("/key")
    async def key(found: Annotated[Credential, Depends(credential("zai"))]) -> dict[str, object]:
        return {"evidence": found.evidence_id, "is_it": found.reveal() == secret("zai-key")}

    @own.get("/no-key")
    async def no_key(found: Annotated[Credential, Depends(credential("groq"))]) -> None:
        raise AssertionError("never run")

    @own.get("/leak")
    async def leak(found: Annotated[Credential, Depends(credential("zai"))], nested: bool = False) -> Any:
        return {"found": found} if nested else found

    app.include_router(own)
    return app


def test_routes_of_ones_own_depend_on_the_agent_that_is_meant(small: Home) -> None:
    """By query, by header, or the default one; an unknown one ends the request."""
    with TestClient(host(small, route_class=ProblemRoute)) as client:
        warmed(client)
        assert client.get("/who").json() == {"agent": "main", "has": True}
        assert client.get("/who?agent=OPS").json()["agent"] == "ops"
        assert client.get("/who", headers={"x-openclaw-agent-id": "ops"}).json()["agent"] == "ops"
        unknown = client.get("/who?agent=nobody")
        assert (unknown.status_code, unknown.headers["content-type"]) == (404, PROBLEM)
        assert unknown.json()["title"] == "Not found"
        parameters = client.get("/openapi.json").json()["paths"]["/who"]["get"]["parameters"]
        assert {one["name"] for one in parameters} == {"agent", "x-openclaw-agent-id"}


def test_a_provider_that_is_required_and_has_no_auth_ends_the_request(small: Home) -> None:
    """424 with reason and next step: asking again would not help; the route never runs."""
    with TestClient(host(small, route_class=ProblemRoute)) as client:
        warmed(client)
        assert client.get("/zai?agent=ops").json() == {"state": "usable", "agent": "ops"}
        for path in ("/groq", "/no-key"):
            refused = client.get(path)
            assert (refused.status_code, refused.headers["content-type"]) == (424, PROBLEM)
            body = refused.json()
            assert (body["provider"], body["agent"], body["state"]) == ("groq", "main", "expired")
            assert body["next_step"]
            assert body["reason"] in body["detail"]
            assert "retry-after" not in refused.headers


def test_an_application_without_problem_routes_answers_with_status_and_detail(small: Home) -> None:
    """Its own handler of HTTP exceptions answers; by default that is a problem document, too."""
    with TestClient(host(small)) as client:
        warmed(client)
        refused = client.get("/groq")
        assert (refused.status_code, refused.headers["content-type"]) == (424, PROBLEM)
        assert refused.json()["detail"].startswith("groq can't be used for agent main")


def test_what_passes_by_itself_is_503(small: Home) -> None:
    """Not warm yet is no failure of the credential: ask again."""
    app = host(small, route_class=ProblemRoute)
    app.dependency_overrides[auth_supervisor] = lambda: AuthSupervisor(small.path, env=small.env)
    for path in ("/zai", "/key"):
        cold = TestClient(app).get(path)
        assert (cold.status_code, cold.headers["retry-after"], cold.json()["state"]) == (503, "1", "unknown")


def test_a_credential_is_handed_to_a_route_and_never_to_its_caller(small: Home) -> None:
    """A route may use it; one that returns it fails, and shows nothing of it."""
    with TestClient(host(small), raise_server_exceptions=False) as client:
        warmed(client)
        assert client.get("/key").json() == {"evidence": "zai:work", "is_it": True}
        for path in ("/leak", "/leak?nested=1"):
            failed = client.get(path)
            assert (failed.status_code, CANARY in failed.text) == (500, False)
    with TestClient(host(small)) as client:
        warmed(client)
        with pytest.raises(Exception, match=r".") as raised:
            client.get("/leak")
        assert CANARY not in repr(raised.value) + str(raised.value)


def test_a_route_that_promises_a_credential_is_refused_when_it_is_made() -> None:
    """There is no way to write one down, so there is no such response."""

    async def leak(found: Annotated[Credential, Depends(credential("zai"))]) -> Credential:
        return found

    with pytest.raises(FastAPIError, match="Credential"):
        FastAPI().get("/leak")(leak)


def test_an_override_reaches_routes_and_dependencies(small: Home, supervise: Supervise) -> None:
    """A test of an application puts its own supervisor in, without a lifespan."""
    app, supervisor = host(small), supervise(small)
    app.dependency_overrides[auth_supervisor] = lambda: supervisor
    client = TestClient(app)
    assert client.get("/who").json()["has"] is True
    assert set(client.get("/llm/auth").json()["agents"]) == {"main", "ops"}


def test_an_application_without_a_supervisor_is_told_how_to_have_one() -> None:
    """Also when it keeps something else under the name."""
    app = FastAPI()
    app.state.auth = "basic"
    app.include_router(create_router())
    with pytest.raises(RuntimeError, match="lifespan"):
        TestClient(app).get("/livez")


def test_the_readme_example_runs(small: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the README says about FastAPI can be pasted."""
    example = re.search(r"```python\n(.*?)```", README.partition("### In FastAPI")[2], re.DOTALL)
    assert example is not None
    monkeypatch.setenv("OPENCLAW_STATE_DIR", str(small.path))
    monkeypatch.setenv("HOME", str(small.user))
    for name in ("OPENAI_API_KEY", "OPENCLAW_CONFIG_PATH"):
        monkeypatch.delenv(name, raising=False)
    small.write_profiles(zai__work=api_key("zai"))
    names: dict[str, Any] = {}
    exec(example[1], names)  # noqa: S102  # our own README
    with TestClient(names["app"]) as client:
        warmed(client)
        assert "zai" in client.get("/providers?agent=ops").json()
        assert client.get("/providers?agent=nobody").status_code == 404
        refused = client.post("/ask", json={})
        assert (refused.status_code, "openai" in refused.json()["detail"]) == (424, True)
        small.write_profiles(openai__work=api_key("openai"))
        assert eventually(lambda: client.post("/ask", json={}).status_code == 200)
        assert client.post("/ask", json={}).json() == {"asked_with": "openai:work"}


def test_without_fastapi_the_import_names_the_extra() -> None:
    """And nothing else of the gateway needs it."""
    code = (
        "import sys; sys.modules['fastapi'] = None\n"
        "import openclaw_actors.gateway.app, openclaw_actors.gateway.embedding\n"
        "try: import openclaw_actors.gateway.fastapi\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    assert "openclaw_actors[fastapi]" in done.stdout
