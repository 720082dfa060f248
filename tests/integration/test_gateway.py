"""The HTTP gateway, asked over real sockets: what it answers, to whom, and what it takes."""

from __future__ import annotations

import gc
import json
import threading
from collections.abc import Iterator

import openai
import pytest
from gateways import ADMIN, READ, Gateway, serving
from homes import Home, Supervise, api_key, eventually, secret
from prometheus_client.parser import text_string_to_metric_families

from openclaw_actors import AuthSupervisor, Settings
from openclaw_actors.gateway.answers import Kept
from openclaw_actors.home.providers import _remembered

ACME = {
    "baseUrl": "https://acme.test/v1",
    "apiKey": secret("acme"),
    "api": "openai-completions",
    "models": [{"id": "anvil-1"}],
}
POST = ("/auth/main/zai/recheck", "/auth/main/zai/failures", "/auth/main/zai/successes", "/reload", "/cooldowns/clear")


@pytest.fixture
def small(home: Home) -> Home:
    """Return a home with two agents, a key, and a provider of its own."""
    home.agents("main", "ops").write_config(models={"providers": {"acme": ACME}})
    return home.write_profiles(zai__work=api_key("zai"))


@pytest.fixture
def gateway(small: Home, supervise: Supervise) -> Iterator[Gateway]:
    """Return a gateway of that home."""
    with serving(supervise(small)) as served:
        yield served


# ---------------------------------------------------------------------------------------------------------- models


def test_the_openai_client_lists_what_the_agent_can_use(gateway: Gateway) -> None:
    """The official client lists the models unchanged, gets one, and is told what isn't there."""
    client = openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="none")  # it always sends one
    found = {model.id: model.owned_by for model in client.models.list()}
    assert found["acme/anvil-1"] == "acme"
    assert set(found.values()) == {"acme", "zai"}
    assert client.models.retrieve("acme/anvil-1").id == "acme/anvil-1"
    with pytest.raises(openai.NotFoundError, match="no model"):
        client.models.retrieve("openai/none")
    client.close()


def test_a_refused_provider_leaves_the_list_and_its_tag_changes(gateway: Gateway) -> None:
    """A poller gets 304 until the agent's answers change, and then the list without what was refused."""
    first = gateway.get("/v1/models")
    tag = {"if-none-match": first.headers["etag"]}
    again = gateway.get("/v1/models", headers=tag)
    assert (again.status_code, again.content) == (304, b"")
    body = {"evidence": "zai:work", "reason": "auth"}
    sent = gateway.send("/auth/main/zai/failures?wait=5", body)
    assert (sent.status_code, sent.json()["answered"]) == (200, True)
    after = gateway.get("/v1/models", headers=tag)
    assert after.status_code == 200
    assert {model["owned_by"] for model in after.json()["data"]} == {"acme"}
    gone = gateway.get("/models", params={"include": "hidden", "agent": "ops"}).json()
    assert [one["state"] for one in gone["hidden"] if one["provider"] == "zai"] == ["rejected"]


def test_the_listing_has_pages_views_and_reasons(gateway: Gateway) -> None:
    """Pages count from one; what can't be asked for is said."""
    pages = [gateway.get("/models", params={"page": number, "limit": 3}).json() for number in (1, 2)]
    rows = [row["id"] for page in pages for row in page["models"]]
    assert len(rows) == len(set(rows)) == 6
    assert pages[0]["hidden"]["models"] > 0
    one = gateway.get("/models", params={"provider": "acme"}, headers={"x-openclaw-agent-id": "ops"}).json()
    assert (one["agent"], [row["id"] for row in one["models"]]) == ("ops", ["acme/anvil-1"])
    for query in ({"page": "0"}, {"page": "x"}, {"limit": "101"}, {"view": "none"}, {"include": "x"}):
        bad = gateway.get("/models", params=query)
        assert (bad.status_code, bad.headers["content-type"]) == (400, "application/problem+json")


def test_the_listing_is_a_chat_text_where_that_is_preferred(gateway: Gateway) -> None:
    """The menu of providers, and the models of one, in OpenClaw's words."""
    plain = {"accept": "text/plain"}
    menu = gateway.get("/models", headers=plain)
    assert menu.headers["content-type"] == "text/plain; charset=utf-8"
    assert "acme" in menu.text
    one = gateway.get("/models", params={"provider": "acme"}, headers=plain)
    assert "acme/anvil-1" in one.text
    assert gateway.get("/models", headers=plain | {"if-none-match": menu.headers["etag"]}).status_code == 304
    assert "nonesuch" in gateway.get("/models", params={"provider": "nonesuch"}, headers=plain).text


# --------------------------------------------------------------------------------------------------------- answers


def test_answers_come_with_evidence_reason_and_next_step(gateway: Gateway) -> None:
    """All agents, one agent, one provider in any spelling; an unknown agent is said to be."""
    assert set(gateway.get("/auth").json()["agents"]) == {"main", "ops"}
    assert gateway.get("/auth/ops").json()["providers"]["zai"]["state"] == "usable"
    one = gateway.get("/auth/ops/Z.AI").json()
    assert (one["provider"], one["state"], one["evidence"]["id"]) == ("zai", "usable", "zai:work")
    assert gateway.get("/auth/main/groq").json()["next_step"]
    unknown = gateway.get("/auth/nobody")
    assert (unknown.status_code, unknown.json()["status"]) == (404, 404)
    assert "main, ops" in unknown.json()["detail"]


def test_what_changes_without_a_revision_is_not_called_known(gateway: Gateway, small: Home) -> None:
    """A provider that somebody sets up without credentials is listed from then on, also to pollers."""
    first = gateway.get("/auth/main")
    assert "nocred" not in first.json()["providers"]
    entry = {"baseUrl": "https://nocred.test/v1", "models": [{"id": "n-1"}], "api": "openai-completions"}
    small.write_config(models={"providers": {"acme": ACME, "nocred": entry}})
    tag = {"if-none-match": first.headers["etag"]}
    assert eventually(lambda: gateway.get("/auth/main", headers=tag).status_code == 200)
    assert eventually(lambda: "nocred" in gateway.get("/auth/main").json()["providers"])


def test_a_gateway_answers_at_once_and_says_that_it_warms(small: Home) -> None:
    """Nothing waits for the warm: alive at once, ready when warm, and answers that aren't there are said to come."""
    supervisor = AuthSupervisor(small.path, env=small.env, settings=Settings())
    with serving(supervisor) as served:
        assert served.get("/livez").status_code == 200
        assert served.get("/readyz").status_code == 503
        early = served.get("/v1/models")
        assert (early.status_code, early.headers["retry-after"]) == (503, "1")
        with supervisor:
            assert eventually(lambda: served.get("/readyz").status_code == 200)
            assert served.get("/v1/models").status_code == 200
        assert served.send("/reload").status_code == 503


# ---------------------------------------------------------------------------------------------------------- events


def test_events_are_taken_and_waited_for(gateway: Gateway) -> None:
    """Each answers with its attempt: at once, or when that is answered; a logout when it is published."""
    at_once = gateway.send("/auth/main/zai/recheck")
    assert (at_once.status_code, at_once.json()["generation"] > 0) == (202, True)
    for path, body in (("/auth/main/zai/successes", {"evidence": "zai:work"}), ("/reload", {"plugins": True})):
        assert gateway.send(f"{path}?wait=5", body).json()["answered"]
    gateway.send("/auth/main/zai/failures?wait=5", {"evidence": "zai:work", "reason": "rate limit"})
    assert gateway.get("/auth/main/zai").json()["state"] == "cooldown"
    gateway.send("/cooldowns/clear", {"profile": "zai:work"})
    assert gateway.get("/auth/main/zai").json()["state"] == "usable"
    gone = gateway.send("/auth/ops/zai/logout").json()
    assert (gone["done"], gone["state"], [one["id"] for one in gone["removed"]]) == (True, "missing", ["zai:work"])
    assert gateway.get("/auth/main/zai").json()["state"] == "missing"


def test_bad_events_are_refused_and_said_why(gateway: Gateway) -> None:
    """Each as problem+json that never repeats what was sent: it may have been a secret."""
    bodies: tuple[tuple[str, object, int], ...] = (
        ("/auth/main/zai/failures", {"evidence": "zai:work", "reason": secret("reason")}, 422),
        ("/auth/main/zai/failures", {"evidence": "zai:work"}, 422),
        ("/auth/main/zai/failures", {"key": secret("key")}, 422),
        ("/auth/main/zai/failures", [secret("list")], 422),
        ("/auth/main/groq/failures", {"evidence": "zai:work", "reason": "auth"}, 422),
        ("/auth/main/zai/successes", {"evidence": "zai:none"}, 422),
        ("/auth/nobody/zai/recheck", {}, 404),
        ("/auth/main/groq/logout", {}, 409),
        ("/cooldowns/clear", {"profile": "none:x"}, 409),
        ("/auth/main/zai/recheck?wait=nan", {}, 400),
        ("/nothing", {}, 404),
    )
    for path, body, status in bodies:
        refused = gateway.send(path, body)
        assert (refused.status_code, refused.headers["content-type"]) == (status, "application/problem+json"), path
        assert refused.json()["detail"]
        assert "canary-" not in refused.text
    assert gateway.client.request("DELETE", "/models", headers={"authorization": f"Bearer {ADMIN}"}).status_code == 405


def test_each_change_is_streamed_once_and_a_stream_goes_on_where_it_ended(gateway: Gateway, small: Home) -> None:
    """Server-Sent Events, with an id to come back with; what another process was told means nothing here."""

    def events(count: int, **headers: str) -> list[tuple[str, dict[str, object]]]:
        found, last, is_change = [], "", False
        with gateway.client.stream("GET", "/events", headers=headers) as stream:
            started.set()
            for line in stream.iter_lines():
                last = line.removeprefix("id: ") if line.startswith("id: ") else last
                is_change = line == "event: change" if line.startswith("event: ") else is_change
                if line.startswith("data: ") and is_change:
                    found.append((last, json.loads(line.removeprefix("data: "))))
                    if len(found) == count:
                        break
        return found

    started, heard = threading.Event(), list[list[tuple[str, dict[str, object]]]]()
    listener = threading.Thread(target=lambda: heard.append(events(2)))
    listener.start()
    assert started.wait(5.0)
    small.write_profiles(groq__me=api_key("groq"), zai__work=api_key("zai"))
    listener.join(8.0)
    (first,) = heard
    assert {str(one["agent"]) for _, one in first} <= {"main", "ops"}
    sequences = [int(name.rpartition(":")[2]) for name, _ in first]
    assert sequences == sorted(set(sequences))
    (after,) = events(1, **{"last-event-id": first[0][0]})
    assert after == first[1] or int(after[0].rpartition(":")[2]) == sequences[0] + 1


# ---------------------------------------------------------------------------------------------------------- metrics


def test_metrics_are_prometheus_and_name_no_agent(gateway: Gateway) -> None:
    """A parser of Prometheus's own reads them; labels are few and none names whose they are."""
    answer = gateway.get("/metrics")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert families["openclaw_actors_warms"].samples[0].value >= 1
    assert families["openclaw_actors_agents"].samples[0].value == 2
    labels = {name for family in families.values() for sample in family.samples for name in sample.labels}
    assert labels == {"type"}
    values = {value for family in families.values() for sample in family.samples for value in sample.labels.values()}
    assert values == {condition.type for condition in gateway.supervisor.health().conditions}


# ----------------------------------------------------------------------------------------------------------- access


@pytest.mark.parametrize("token", ["", "Bearer wrong", f"Basic {ADMIN}", f"Bearer {READ}"])
def test_events_need_the_admin_token(gateway: Gateway, token: str) -> None:
    """Nobody, somebody else, the right token in the wrong way, and a reader change nothing."""
    before = gateway.supervisor.stats()
    for path in POST:
        refused = gateway.client.post(path, headers={"authorization": token} if token else {}, json={})
        assert refused.status_code == (403 if token.endswith(READ) else 401), path
        assert refused.json()["detail"]
    assert gateway.supervisor.stats().failures_reported == before.failures_reported


def test_where_reading_is_not_open_it_needs_a_token(small: Home, supervise: Supervise) -> None:
    """Probes and the dashboard's files are open, and say nothing of the home; everything else takes either token."""
    small.profiles_path().chmod(0o644)
    with serving(supervise(small), open_reads=False) as served:
        assert served.get("/livez").status_code == served.get("/readyz").status_code == 200
        assert str(small.path) not in served.get("/readyz").text
        assert str(small.path) in served.get("/readyz", headers={"authorization": f"bearer {READ}"}).text
        page = [served.get("/", headers={"accept": "text/html"}), served.get("/page/main.js"), served.get("/")]
        assert [one.status_code for one in page] == [200, 200, 200]
        assert not any("zai" in one.text or str(small.path) in one.text for one in page)
        for path in ("/v1/models", "/models", "/auth", "/events", "/metrics", "/matrix", "/changes", "/page/../auth"):
            refused = served.get(path)
            assert (refused.status_code, refused.headers["www-authenticate"][:6]) == (401, "Bearer")
        for token in (READ, ADMIN):
            assert served.get("/auth", headers={"authorization": f"bearer {token}"}).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.test"}, 421),
        ({"host": "127.0.0.1.evil.test:80"}, 421),
        ({"host": ""}, 421),
        ({"origin": "https://evil.test"}, 403),
        ({"host": "localhost:1", "origin": "http://localhost:1"}, 200),
        ({"host": "[::1]:18790"}, 200),
    ],
)
def test_a_page_that_rebinds_its_name_or_comes_from_elsewhere_is_refused(
    gateway: Gateway, headers: dict[str, str], status: int
) -> None:
    """By the names that the gateway is called and the page came from, reads as well."""
    assert gateway.get("/auth", headers=headers).status_code == status


def test_forms_and_long_bodies_are_refused(gateway: Gateway) -> None:
    """What any page can send without asking is no event; what is too long isn't read."""
    auth = {"authorization": f"Bearer {ADMIN}"}
    form = gateway.client.post("/reload", headers=auth, data={"plugins": "1"})
    assert form.status_code == 415
    long = gateway.client.post("/reload", headers=auth | {"content-type": "application/json"}, content=b" " * 70_000)
    assert long.status_code == 413

    def chunks() -> Iterator[bytes]:
        for _ in range(70):
            yield b" " * 1024

    streamed = gateway.client.post("/reload", headers=auth | {"content-type": "application/json"}, content=chunks())
    assert streamed.status_code == 413


def test_no_answer_holds_a_secret(full: Home, supervise: Supervise) -> None:
    """Every route of a home with a secret in every place."""
    with serving(supervise(full)) as served:
        agents = served.supervisor.agent_ids()
        paths = ["/", "/v1/models", "/models?view=all&limit=100&include=hidden", "/auth", "/readyz", "/metrics"]
        paths += [f"/auth/{agent}?all=1" for agent in agents]
        providers = served.get(f"/auth/{agents[0]}?all=1").json()["providers"]
        paths += [f"/auth/{agents[0]}/{provider}" for provider in providers]
        for path in paths:
            answer = served.get(path)
            assert "canary-" not in answer.text, path
            assert "canary-" not in str(answer.headers), path


# ------------------------------------------------------------------------------------------------- for the dashboard


def test_the_matrix_says_what_each_answer_says(gateway: Gateway) -> None:
    """A letter per provider, for each table that agents hold; agents that see the same hold the same."""
    gateway.send("/auth/main/zai/failures?wait=5", {"evidence": "zai:work", "reason": "billing"})
    found = gateway.get("/matrix").json()
    letters = {agent["id"]: found["tables"][agent["table"]] for agent in found["agents"]}
    for agent, text in letters.items():
        said = {name: found["states"][letter] for name, letter in zip(found["providers"], text, strict=True)}
        verdicts = gateway.supervisor.snapshot(agent).verdicts
        assert said == {name: verdict.state.value for name, verdict in verdicts.items()}
    assert letters["ops"][found["providers"].index("zai")] == "h"
    tag = {"if-none-match": gateway.get("/matrix").headers["etag"]}
    assert gateway.get("/matrix", headers=tag).status_code == 304
    assert found["sequence"] == gateway.supervisor.sequence


def test_recent_changes_are_told_newest_first(gateway: Gateway) -> None:
    """Of one answer, of one agent, or of all; with when and why."""
    assert gateway.get("/changes").json() == {"changes": []}
    for reason in ("auth", "billing"):
        gateway.send("/auth/main/zai/failures?wait=5", {"evidence": "zai:work", "reason": reason})
    gateway.send("/auth/main/zai/recheck?wait=5")
    found = gateway.get("/changes", params={"agent": "ops", "provider": "Z.AI"}).json()["changes"]
    assert [one["new"] for one in found] == ["usable", "disabled", "rejected"]
    assert {one["agent"] for one in found} == {"ops"}
    assert found[0]["published_at"] >= found[-1]["published_at"] > 1e9
    assert len(gateway.get("/changes", params={"limit": 1}).json()["changes"]) == 1
    assert len(gateway.get("/changes").json()["changes"]) == 6
    assert gateway.get("/changes", params={"agent": "nobody"}).status_code == 404


def test_vitals_come_with_the_stream_for_whoever_wants_them(gateway: Gateway) -> None:
    """Warm progress, the newest attempt, what was counted, and which conditions aren't well."""
    with gateway.client.stream("GET", "/events", params={"vitals": "1"}) as stream:
        lines = stream.iter_lines()
        event = next(line for line in lines if line == "event: vitals")
        found = json.loads(next(lines).removeprefix("data: "))
    assert event
    assert found["progress"] == {"agents": 2, "published": 2, "generation": 1, "open": 0}
    assert found["stats"]["provider_checks"] > 0
    assert found["wrong"] == []


# ------------------------------------------------------------------------------------------------------ what goes wrong


def test_an_error_that_nobody_expected_shows_nowhere_what_it_says(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], log_lines: list[str]
) -> None:
    """Its text may hold a key: neither the answer nor any log has it, and the connection goes on."""

    def fail(*_arguments: object, **_options: object) -> None:
        raise RuntimeError(f"the provider said: {secret('bug')}")

    monkeypatch.setattr(gateway.supervisor, "recent_changes", fail)
    for _ in range(2):
        answer = gateway.get("/changes")
        assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
        assert "bug" in answer.json()["detail"]
    shown = answer.text + "".join(capfd.readouterr()) + "".join(log_lines)
    assert "RuntimeError" in "".join(log_lines)
    assert secret("bug") not in shown


def test_long_texts_of_requests_are_kept_nowhere(gateway: Gateway) -> None:
    """Whoever sends thousands of names that nobody has fills no memory with them."""
    before = _remembered.cache_info().currsize
    for number in range(5):
        name = f"{number}-{'x' * 5000}"
        assert gateway.get(f"/auth/main/{name}").json()["state"] == "missing"
        assert gateway.get("/models", params={"provider": name}).json()["models"] == []
        assert gateway.get("/v1/models", params={"provider": name}).json()["data"] == []
    assert _remembered.cache_info().currsize == before
    held = [one for one in gc.get_objects() if isinstance(one, Kept)]
    assert not any("xxx" in repr(key) for kept in held for key in kept._kept)
    assert gateway.get("/auth/main", params=[("provider", f"p{number}") for number in range(201)]).status_code == 400


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://{host}", 200),
        ("https://{host}", 200),
        ("http://127.0.0.1:3000", 403),
        ("http://127.0.0.1", 403),
        ("http://evil.test", 403),
        ("{host}", 403),
    ],
)
def test_another_port_is_another_origin(gateway: Gateway, origin: str, status: int) -> None:
    """A page that another program of this machine serves isn't this one's."""
    host = gateway.url.removeprefix("http://")
    assert gateway.get("/auth", headers={"origin": origin.format(host=host)}).status_code == status
