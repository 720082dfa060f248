"""Request time: the map says yes and the provider says 401. A real provider on loopback, and a real gateway asked over
HTTP before and after.
"""

from __future__ import annotations

import asyncio
import re
import threading
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import httpx
import openai
import pytest
from gateways import Gateway, serving
from homes import CANARY, Home, Supervise, api_key, eventually, secret

from openclaw_actors import AuthSupervisor, Credential, CredentialError
from openclaw_actors.gateway.calling import call_with_rotation, failure_reason, status_of

T = TypeVar("T")
MODEL = "glm-4.7"
README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


class Provider(ThreadingHTTPServer):
    """An LLM provider that knows some keys, and quotes those that it refuses, as real ones do."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"
        self.accepted: set[str] = set()
        self.says: dict[str, int] = {}
        """Statuses that override, by key."""
        self.asked: list[str] = []
        """The key of each request, in order."""
        self.on_request: Callable[[], None] = lambda: None
        """What happens while a request is under way."""

    def status(self, key: str) -> int:
        """Return what a request with this key comes to."""
        return self.says.get(key, 200 if key in self.accepted else 401)

    @property
    def asked_names(self) -> list[str]:
        """Return the names of the keys that came, as `api_key` was given them."""
        return [key.removeprefix(f"{CANARY}zai-").partition("-")[0] for key in self.asked]


class _Handler(BaseHTTPRequestHandler):
    server: Provider

    def do_POST(self) -> None:
        """Answer a completion."""
        self.rfile.read(int(self.headers.get("content-length") or 0))
        key = self.headers.get("authorization", "").removeprefix("Bearer ")
        self.server.asked.append(key)
        self.server.on_request()
        status = self.server.status(key)
        said = "served" if status == 200 else f"Incorrect API key provided: {key}"
        body = f'{{"error": {{"message": "{said}"}}}}'.encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Write nothing to the terminal."""


@pytest.fixture
def provider() -> Iterator[Provider]:
    """Return a provider that listens."""
    with Provider() as server:
        thread = threading.Thread(target=lambda: server.serve_forever(0.01), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(5.0)


@pytest.fixture
def one(home: Home, provider: Provider) -> Home:
    """Return a home with one profile of that provider, whose base URL is the loopback server's."""
    home.agents("main", "ops").write_config(
        models={"providers": {"zai": {"baseUrl": provider.url, "models": []}}},
        auth={"order": {"zai": ["zai:a", "zai:b"]}},
    )
    return home.write_profiles(zai__a=api_key("zai", "a"))


@pytest.fixture
def two(one: Home) -> Home:
    """Return that home with two profiles, `zai:a` first."""
    return one.write_profiles(zai__a=api_key("zai", "a"), zai__b=api_key("zai", "b"))


@contextmanager
def running(home: Home, supervise: Supervise) -> Iterator[Gateway]:
    """Serve a home, and look at every answer for secrets."""
    with serving(supervise(home)) as gateway:
        gateway.client.event_hooks["response"].append(_shows_no_secret)
        yield gateway


def _shows_no_secret(response: httpx.Response) -> None:
    assert CANARY not in response.read().decode() + str(response.headers)


def run(live: Callable[[], Awaitable[T]]) -> T:
    """Run a coroutine on a loop of its own, with a deadline."""

    async def main() -> T:
        async with asyncio.timeout(20):
            return await live()

    return asyncio.run(main())


def complete(supervisor: AuthSupervisor, **options: Any) -> int:
    """Make a completion as a gateway does, and return the provider's status."""

    async def live() -> int:
        async with httpx.AsyncClient() as client:

            async def send(credential: Credential) -> httpx.Response:
                return await client.post(
                    f"{credential.base_url}/chat/completions",
                    headers={"authorization": f"Bearer {credential.reveal()}"},
                    json={"model": MODEL},
                )

            return (await call_with_rotation(supervisor, "zai", send, **options)).status_code

    return run(live)


def refused(supervisor: AuthSupervisor, **options: Any) -> CredentialError:
    """Make a completion for which no credential is left; return the error, which shows no secret with any detail."""
    with pytest.raises(CredentialError) as raised:
        complete(supervisor, **options)
    error = raised.value
    assert error.__context__ is None
    package = str(Path(__file__).parents[2] / "openclaw_actors")
    trace = traceback.TracebackException.from_exception(error, capture_locals=True)
    ours = [frame for frame in trace.stack if frame.filename.startswith(package)]
    assert CANARY not in f"{error} {error!r} {[frame.locals for frame in ours]}"
    return error


def in_lists(gateway: Gateway, agent: str) -> list[bool]:
    """Return whether each of the two lists shows the provider to an agent."""
    asked = {"agent": agent}
    shown = {model["owned_by"] for model in gateway.get("/v1/models", params=asked).json()["data"]}
    rows = {row["provider"] for row in gateway.get("/models", params={**asked, "limit": 100}).json()["models"]}
    return ["zai" in shown, "zai" in rows]


def listed(gateway: Gateway, agent: str = "main") -> bool:
    """Return whether all lists show the provider to an agent."""
    return all(in_lists(gateway, agent))


def hidden(gateway: Gateway, agent: str = "main") -> bool:
    """Return whether no list shows the provider to an agent."""
    return not any(in_lists(gateway, agent))


def answer(gateway: Gateway, agent: str = "main") -> dict[str, Any]:
    """Return the gateway's whole answer about the provider."""
    found: dict[str, Any] = gateway.get(f"/auth/{agent}/zai").json()
    return found


# ------------------------------------------------------------------------------------------------------ the stale TRUE


def test_a_provider_that_says_401_leaves_the_list_and_comes_back_with_a_new_key(
    one: Home, provider: Provider, supervise: Supervise
) -> None:
    """The map says yes, the provider 401; the next list is without it, for all who inherit the key, until another key
    is stored: no restart, no recheck.
    """
    provider.accepted = {secret("zai-new")}
    with running(one, supervise) as gateway:
        assert listed(gateway)
        assert "rejected" in str(refused(gateway.supervisor))
        assert hidden(gateway)  # at once: the listing that is asked for next
        assert answer(gateway)["state"] == "rejected"
        assert eventually(lambda: hidden(gateway, "ops"))
        assert "zai:a" in str(refused(gateway.supervisor, agent_id="ops"))
        assert provider.asked_names == ["a"]  # what was refused is not sent again

        one.write_profiles(zai__a=api_key("zai", "new"))
        assert eventually(lambda: listed(gateway) and listed(gateway, "ops"))
        assert complete(gateway.supervisor) == 200
    assert provider.asked_names == ["a", "new"]


def test_the_next_profile_is_used_within_the_same_call(two: Home, provider: Provider, supervise: Supervise) -> None:
    """With a second profile the caller sees no 401, and nothing is hidden; the winner is another one."""
    provider.accepted = {secret("zai-b")}
    with running(two, supervise) as gateway:
        assert answer(gateway)["evidence"]["id"] == "zai:a"
        assert complete(gateway.supervisor) == 200
        assert listed(gateway)
        assert (answer(gateway)["evidence"]["id"], answer(gateway)["state"]) == ("zai:b", "usable")
        assert complete(gateway.supervisor) == 200
    assert provider.asked_names == ["a", "b", "b"]


def test_when_every_profile_is_refused_the_error_says_it_of_each(
    two: Home, provider: Provider, supervise: Supervise
) -> None:
    """One by the key, one by the account; the provider is hidden then."""
    provider.says = {secret("zai-b"): 402}
    with running(two, supervise) as gateway:
        error = refused(gateway.supervisor)
        assert [name for name, _ in error.candidates] == ["zai:a", "zai:b"]
        assert ["rejected" in error.candidates[0][1], "disabled" in error.candidates[1][1]] == [True, True]
        assert hidden(gateway)
    assert provider.asked_names == ["a", "b"]


def test_the_attempts_are_a_bound(two: Home, provider: Provider, supervise: Supervise) -> None:
    """The last refusal is returned, and was reported."""
    with running(two, supervise) as gateway:
        assert complete(gateway.supervisor, attempts=1) == 401
        assert eventually(lambda: answer(gateway)["evidence"]["id"] == "zai:b")
        with pytest.raises(ValueError, match="attempts"):
            complete(gateway.supervisor, attempts=0)
    assert provider.asked_names == ["a"]


# ---------------------------------------------------------------------------------------------------- passing troubles


@pytest.mark.parametrize("status", [400, 404, 500, 502, 504])
def test_what_says_nothing_of_the_credential_hides_nothing(
    status: int, two: Home, provider: Provider, supervise: Supervise
) -> None:
    """It is the caller's answer at once: no report, no other credential, no change."""
    provider.says = {secret("zai-a"): status}
    with running(two, supervise) as gateway:
        tag = {"if-none-match": gateway.get("/v1/models").headers["etag"]}
        assert complete(gateway.supervisor) == status
        assert (answer(gateway)["state"], answer(gateway)["evidence"]["id"]) == ("usable", "zai:a")
        assert gateway.get("/v1/models", headers=tag).status_code == 304
    assert provider.asked_names == ["a"]


def test_a_rate_limit_uses_the_next_profile_and_then_is_the_answer(
    two: Home, provider: Provider, supervise: Supervise
) -> None:
    """A profile that rests stays listed; when all rest the 429 is returned, each asked once."""
    provider.says = {secret("zai-a"): 429, secret("zai-b"): 429}
    with running(two, supervise) as gateway:
        assert complete(gateway.supervisor) == 429
        assert provider.asked_names == ["a", "b"]
        assert listed(gateway)
        assert answer(gateway)["state"] == "cooldown"
        provider.says, provider.accepted = {}, {secret("zai-a"), secret("zai-b")}
        assert complete(gateway.supervisor) == 200
        assert eventually(lambda: answer(gateway)["state"] == "usable")


def test_a_connection_that_breaks_or_hangs_blames_no_credential(
    one: Home, provider: Provider, supervise: Supervise
) -> None:
    """The error of the client comes as it is."""
    with running(one, supervise) as gateway:
        for error in (TimeoutError("it hangs"), httpx.ConnectError("refused")):

            async def send(_credential: Credential, error: Exception = error) -> int:
                raise error

            with pytest.raises(type(error)) as raised:
                run(lambda send=send: call_with_rotation(gateway.supervisor, "zai", send))  # type: ignore[misc]
            assert raised.value is error
        assert listed(gateway)
        assert answer(gateway)["state"] == "usable"


# --------------------------------------------------------------------------------------------------------------- races


def test_a_key_that_was_replaced_under_way_is_not_blamed_for_the_old_one(
    one: Home, provider: Provider, supervise: Supervise
) -> None:
    """The 401 is the old secret's: the new one is tried, and nothing was ever hidden."""
    provider.accepted = {secret("zai-new")}
    with running(one, supervise) as gateway:
        sequence = gateway.supervisor.sequence

        def replace() -> None:
            provider.on_request = lambda: None
            one.write_profiles(zai__a=api_key("zai", "new"))

        provider.on_request = replace
        assert complete(gateway.supervisor) == 200
        assert provider.asked_names == ["a", "new"]
        assert listed(gateway)
        assert gateway.supervisor.sequence == sequence  # no answer changed at any time


def test_many_requests_at_once_ask_a_refused_key_at_most_once_each(
    two: Home, provider: Provider, supervise: Supervise
) -> None:
    """A burst in which all meet the 401 at once is one offence, and every request is served."""
    provider.accepted = {secret("zai-b")}
    with running(two, supervise) as gateway:

        async def live() -> list[int]:
            async with httpx.AsyncClient() as client:

                async def send(credential: Credential) -> int:
                    headers = {"authorization": f"Bearer {credential.reveal()}"}
                    return (await client.post(f"{credential.base_url}/x", headers=headers)).status_code

                calls = (call_with_rotation(gateway.supervisor, "zai", send) for _ in range(12))
                return await asyncio.gather(*calls)

        assert run(live) == [200] * 12
        assert provider.asked_names.count("a") <= 12
        assert provider.asked_names.count("b") == 12
        assert eventually(lambda: two.usage().get("zai:a", {}).get("errorCount") == 1)


@pytest.mark.parametrize("status", [200, 401])
def test_a_response_is_returned_though_the_supervisor_has_stopped(
    status: int, one: Home, provider: Provider, supervise: Supervise
) -> None:
    """A request that ends during shutdown is not lost because nobody takes its report."""
    provider.says = {secret("zai-a"): status}
    supervisor = supervise(one)
    provider.on_request = supervisor.stop
    assert complete(supervisor) == status
    assert provider.asked_names == ["a"]


# ------------------------------------------------------------------------------------------------------------- clients


def test_the_errors_of_the_openai_client_are_refusals(two: Home, provider: Provider, supervise: Supervise) -> None:
    """A client that raises for a status is rotated all the same; its last error is raised as it came."""
    provider.says = {secret("zai-b"): 429}
    supervisor = supervise(two)

    async def send(credential: Credential) -> object:
        async with openai.AsyncOpenAI(
            api_key=credential.reveal(), base_url=credential.base_url, max_retries=0
        ) as client:
            return await client.chat.completions.create(model=MODEL, messages=[])

    with pytest.raises(openai.RateLimitError):
        run(lambda: call_with_rotation(supervisor, "zai", send, classify=failure_reason, model=MODEL))
    assert provider.asked_names == ["a", "b"]


def test_a_provider_that_says_it_otherwise_is_classified_by_the_gateway(
    two: Home, provider: Provider, supervise: Supervise
) -> None:
    """400 for a wrong key, as Google has it."""
    provider.says = {secret("zai-a"): 400}
    provider.accepted = {secret("zai-b")}
    supervisor = supervise(two)
    assert complete(supervisor, classify=lambda one: "auth" if status_of(one) == 400 else None) == 200


def test_what_has_no_status_is_said_to_have_none() -> None:
    """A response that can't be judged is a bug of the gateway; an error without a status blames nobody."""
    assert [failure_reason(one) for one in (200, 401, 402, 403, 429, 500, 503)] == [
        None,
        "auth",
        "billing",
        "auth",
        "rate_limit",
        None,
        "overloaded",
    ]
    assert failure_reason(OSError()) is None
    for wrong in (None, "401", True):
        with pytest.raises(TypeError, match="status"):
            failure_reason(wrong)


def test_the_readme_example_runs(two: Home, provider: Provider, supervise: Supervise) -> None:
    """What the README says about a provider that says no can be pasted."""
    section = README.partition("### When a provider says no")[2]
    example = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert example is not None
    provider.accepted = {secret("zai-b")}
    names: dict[str, Any] = {}
    exec(example[1], names)  # noqa: S102  # our own README
    with running(two, supervise) as gateway:
        body = {"model": MODEL, "messages": []}
        assert run(lambda: names["complete"](gateway.supervisor, "zai", body))[0] == 200
        two.write_profiles(zai__a=api_key("zai", "a"))
        assert eventually(lambda: hidden(gateway))
        status, text = run(lambda: names["complete"](gateway.supervisor, "zai", body))
        assert (status, "rejected" in text, CANARY in text) == (503, True, False)
