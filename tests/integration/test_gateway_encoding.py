"""Compressed answers of the HTTP gateway, over real sockets: to whom, of what, and with which headers."""

from __future__ import annotations

import gzip
import http.client
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from gateways import Gateway, serving
from homes import Home, Supervise, api_key, secret

from openclaw_actors.gateway.encoding import Body

ACME = {
    "baseUrl": "https://acme.test/v1",
    "apiKey": secret("acme"),
    "api": "openai-completions",
    "models": [{"id": f"anvil-{number}"} for number in range(60)],
}
TINY = {**ACME, "models": [{"id": "tiny-1"}]}
LONG, SHORT = "/v1/models?provider=acme", "/v1/models?provider=tiny"
Answer = tuple[http.client.HTTPResponse, bytes]


@pytest.fixture
def gateway(home: Home, supervise: Supervise) -> Iterator[Gateway]:
    """Return a gateway whose agent has a provider with many models and one with few."""
    home.agents("main").write_config(models={"providers": {"acme": ACME, "tiny": TINY}})
    home.write_profiles(zai__work=api_key("zai"))
    with serving(supervise(home)) as served:
        yield served


def raw(gateway: Gateway, path: str, accepted: str | None, method: str = "GET", **headers: str) -> Answer:
    """Ask with a client that decodes nothing."""
    address = urlsplit(gateway.url)
    assert address.hostname is not None
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=10)
    connection.putrequest(method, path, skip_accept_encoding=True)
    for name, value in (headers | ({} if accepted is None else {"accept-encoding": accepted})).items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def coding(answer: Answer) -> str | None:
    """Return how a body is encoded."""
    return answer[0].getheader("content-encoding")


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        (None, None),
        ("", None),
        ("gzip", "gzip"),
        ("GZip", "gzip"),
        ("x-gzip", "gzip"),
        ("deflate, gzip ;q=0.5, br", "gzip"),
        ("gzip;q=1.000", "gzip"),
        ("*", "gzip"),
        ("identity;q=0.5, *", "gzip"),
        ("*;q=0, gzip", "gzip"),
        ("gzip;q=0", None),
        ("gzip;q=0, *", None),
        ("gzip;q=0.000, identity", None),
        ("*;q=0", None),
        ("identity", None),
        ("identity;q=0", None),
        ("br, deflate", None),
        ("identity;q=1, gzip;q=0.5", None),
        ("gzip;q=much", None),
        ("gzip;v=1", None),
    ],
)
def test_a_list_is_compressed_for_whoever_takes_gzip(
    gateway: Gateway, accepted: str | None, expected: str | None
) -> None:
    """As the header weighs it; nobody gets what they didn't allow, and the same bytes are in either."""
    answer = raw(gateway, LONG, accepted)
    plain = raw(gateway, LONG, None)[1]
    assert (answer[0].status, coding(answer)) == (200, expected)
    assert (gzip.decompress(answer[1]) if expected else answer[1]) == plain
    assert int(answer[0].getheader("content-length") or 0) == len(answer[1])
    assert not expected or len(answer[1]) * 4 < len(plain)


def test_a_client_that_decodes_sees_no_difference(gateway: Gateway) -> None:
    """Lists, pages and texts are the same to httpx, which takes gzip unless told otherwise."""
    for path, headers in ((LONG, {}), ("/models?limit=50", {}), ("/models?provider=acme&limit=60", {})):
        packed = gateway.get(path, headers=headers)
        plain = gateway.get(path, headers={**headers, "accept-encoding": "identity"})
        assert packed.headers["content-encoding"] == "gzip"
        assert "content-encoding" not in plain.headers
        assert packed.json() == plain.json()


def test_a_short_list_is_plain_unless_plain_is_refused(gateway: Gateway) -> None:
    """It would hardly become shorter."""
    assert coding(raw(gateway, SHORT, "gzip")) is None
    only = raw(gateway, SHORT, "gzip, identity;q=0")
    assert coding(only) == "gzip"
    assert gzip.decompress(only[1]) == raw(gateway, SHORT, None)[1]


def test_tags_and_vary_are_the_same_whatever_the_encoding(gateway: Gateway) -> None:
    """A poller that changes its mind gets its 304, and a proxy keeps the two apart."""
    plain, packed = raw(gateway, LONG, None)[0], raw(gateway, LONG, "gzip")[0]
    tag = plain.getheader("etag") or ""
    assert tag.startswith('W/"')
    assert packed.getheader("etag") == tag
    for accepted in (None, "gzip", "gzip;q=0"):
        known, body = raw(gateway, LONG, accepted, if_none_match=tag)
        assert (known.status, body, known.getheader("content-encoding")) == (304, b"", None)
        assert known.getheader("etag") == tag
        for answer in (plain, packed, known):
            assert "accept-encoding" in (answer.getheader("vary") or "").split(", ")


def test_head_says_what_get_would(gateway: Gateway) -> None:
    """The same headers and no body, compressed or not."""
    for accepted in (None, "gzip"):
        asked, told = raw(gateway, LONG, accepted)[0], raw(gateway, LONG, accepted, "HEAD")
        assert (told[0].status, told[1]) == (200, b"")
        for name in ("content-length", "content-encoding", "content-type", "etag", "vary"):
            assert told[0].getheader(name) == asked.getheader(name), name


def test_a_changed_list_is_compressed_anew(gateway: Gateway) -> None:
    """What is kept is that of the list as it is."""
    before = raw(gateway, "/v1/models", "gzip")[1]
    assert raw(gateway, "/v1/models", "gzip")[1] == before
    gateway.send("/auth/main/zai/failures?wait=5", {"evidence": "zai:work", "reason": "auth"})
    after = raw(gateway, "/v1/models", "gzip")
    assert gzip.decompress(after[1]) == raw(gateway, "/v1/models", None)[1] != gzip.decompress(before)


def test_what_is_made_for_one_request_is_compressed_when_it_is_long(gateway: Gateway) -> None:
    """All answers of an agent are; one answer, metrics, errors and streams are not."""
    everything = raw(gateway, "/auth/main?all=1", "gzip")
    assert coding(everything) == "gzip"
    assert gzip.decompress(everything[1]) == raw(gateway, "/auth/main?all=1", None)[1]
    for path in ("/auth/main/zai", "/metrics", "/auth/nobody"):
        assert coding(raw(gateway, path, "gzip")) is None
    with gateway.client.stream("GET", "/events", headers={"accept-encoding": "gzip"}) as stream:
        assert "content-encoding" not in stream.headers


def test_a_kept_body_is_compressed_once() -> None:
    """Whoever comes second gets the very same bytes."""
    body = Body(b"model " * 1000)
    assert body.gzipped() is body.gzipped()
    assert gzip.decompress(body.gzipped()) == body.plain
