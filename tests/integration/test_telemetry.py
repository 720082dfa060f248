"""OpenTelemetry with its real SDK: what is told of a supervisor, and that it is never in the way."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest
from gateways import serving
from homes import CANARY, Home, Supervise, api_key, eventually, secret
from prometheus_client.parser import text_string_to_metric_families

from openclaw_actors import AuthSupervisor, Credential, CredentialError, Stats
from openclaw_actors.gateway.calling import call_with_rotation

pytest.importorskip("opentelemetry.sdk")

from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from openclaw_actors.telemetry import instrument


class Backend:
    """An SDK whose exports stay in memory."""

    def __init__(self, *processors: SpanProcessor) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider()
        for processor in (*processors, SimpleSpanProcessor(self.exporter)):
            self.tracers.add_span_processor(processor)
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader])

    def instrument(self, supervisor: AuthSupervisor) -> Any:
        """Instrument a supervisor with this one."""
        return instrument(supervisor, tracer_provider=self.tracers, meter_provider=self.meters)

    def spans(self, name: str) -> list[ReadableSpan]:
        """Return the spans of a name that have ended, oldest first."""
        return [span for span in self.exporter.get_finished_spans() if span.name == f"openclaw_actors.{name}"]

    def said(self, name: str) -> list[dict[str, Any]]:
        """Return what is said of these, without prefix."""
        return [
            {key.removeprefix("openclaw_actors."): value for key, value in (span.attributes or {}).items()}
            for span in self.spans(name)
        ]

    def numbers(self) -> dict[str, dict[str, float]]:
        """Return each metric: the numbers by the value of their label."""
        data = self.reader.get_metrics_data()
        return {
            metric.name: {
                str(next(iter((point.attributes or {"": ""}).values()), "")): point.value
                for point in metric.data.data_points
            }
            for resource in (data.resource_metrics if data is not None else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def everything(self) -> str:
        """Return all that was exported, as text."""
        data = self.reader.get_metrics_data()
        spans = "\n".join(span.to_json() for span in self.exporter.get_finished_spans())
        return spans + (data.to_json() if data is not None else "")


@pytest.fixture
def backend() -> Iterator[Backend]:
    """Return an SDK, shut down in the end."""
    found = Backend()
    yield found
    found.tracers.shutdown()
    found.meters.shutdown()


@pytest.fixture
def two(home: Home) -> Home:
    """Return a home with two keys of one provider."""
    return home.write_config().write_profiles(zai__a=api_key("zai", "a"), zai__b=api_key("zai", "b"))


def unstarted(home: Home) -> AuthSupervisor:
    """Return a supervisor that nobody has started."""
    return AuthSupervisor(home.path, env=home.env)


# ------------------------------------------------------------------------------------------------------------- warms


def test_each_warm_is_a_span_of_its_own_time(two: Home, backend: Backend) -> None:
    """The first one and those that events cause, with reason, generation and duration; nobody's children."""
    supervisor = unstarted(two)
    backend.instrument(supervisor)
    with supervisor, backend.tracers.get_tracer("test").start_as_current_span("a request") as request:
        assert supervisor.wait_warm(10.0)
        generation = supervisor.report_failure("zai:a", "auth")
        assert eventually(lambda: any(one["generation"] == generation for one in backend.said("warm")))
    first, last = backend.spans("warm")[0], backend.said("warm")[-1]
    said = backend.said("warm")[0]
    assert (said["reason"], said["agents"], said["changed"]) == ("startup", 1, True)
    assert first.start_time is not None
    assert first.end_time is not None
    assert first.end_time - first.start_time == int(said["duration"] * 1e9)
    assert last["reason"] == "failure-reported"
    assert {span.parent for span in backend.spans("warm")} == {None}
    assert request.get_span_context().trace_id not in {span.context.trace_id for span in backend.spans("warm")}


def test_a_stop_waits_until_the_last_warm_is_told(two: Home, backend: Backend) -> None:
    """What was warmed before it is exported when it returns."""
    for _ in range(3):
        backend.exporter.clear()
        supervisor = unstarted(two)
        backend.instrument(supervisor)
        with supervisor:
            assert supervisor.wait_warm(10.0)
            assert eventually(lambda supervisor=supervisor: supervisor.stats().warms)  # type: ignore[misc]
        assert len(backend.spans("warm")) >= 1


# ---------------------------------------------------------------------------------------------------------- requests


def test_what_a_request_waits_for_is_below_its_span(two: Home, backend: Backend, supervise: Supervise) -> None:
    """Each credential, each attempt and what came of it; the span of the HTTP client is below its attempt."""
    supervisor, tracer = supervise(two), backend.tracers.get_tracer("test")
    uninstrument = backend.instrument(supervisor)

    async def send(credential: Credential) -> int:
        with tracer.start_as_current_span("http"):
            return 200 if credential.reveal() == secret("zai-b") else 401

    async def request() -> int:
        with tracer.start_as_current_span("request"):
            return await call_with_rotation(supervisor, "Z.AI", send)

    assert asyncio.run(request()) == 200
    attempts = backend.said("attempt")
    common = {"provider": "zai", "kind": "api_key", "source": "profile"}
    assert attempts == [{**common, "outcome": "auth"}, {**common, "outcome": "success"}]
    assert {one["provider"] for one in backend.said("credential")} == {"zai"}
    (outer,) = (span for span in backend.exporter.get_finished_spans() if span.name == "request")
    below = {span.parent.span_id for name in ("attempt", "credential") for span in backend.spans(name) if span.parent}
    assert below == {outer.context.span_id}
    clients = [span for span in backend.exporter.get_finished_spans() if span.name == "http"]
    assert [span.parent.span_id for span in clients if span.parent] == [
        span.context.span_id for span in backend.spans("attempt")
    ]
    uninstrument()
    backend.exporter.clear()
    assert asyncio.run(request()) == 200
    assert not backend.spans("attempt")


def test_what_is_raised_is_named_by_its_type_alone(two: Home, backend: Backend, supervise: Supervise) -> None:
    """An error's text may quote the key; it passes through to whoever asked, and not into the span."""
    supervisor = supervise(two)
    backend.instrument(supervisor)

    async def send(credential: Credential) -> int:
        raise httpx.ReadTimeout(f"no answer for {credential.reveal()}")

    with pytest.raises(httpx.ReadTimeout):
        asyncio.run(call_with_rotation(supervisor, "zai", send))
    with pytest.raises(CredentialError):
        asyncio.run(supervisor.aio.credential("groq"))
    with pytest.raises(TypeError, match="provider must be a str"):
        asyncio.run(supervisor.aio.credential(5))  # type: ignore[arg-type]
    (attempt,), (_, missing, _) = backend.spans("attempt"), backend.spans("credential")
    assert (attempt.attributes or {})["error.type"] == "ReadTimeout"
    assert attempt.status.status_code is trace.StatusCode.ERROR
    assert (missing.attributes or {})["error.type"] == "CredentialError"
    assert not attempt.events
    assert CANARY not in backend.everything()


def test_no_secret_agent_or_profile_is_exported(full: Home, backend: Backend, supervise: Supervise) -> None:
    """From a home with a secret in every place, after warms, credentials and refusals."""
    supervisor = supervise(full)
    backend.instrument(supervisor)

    async def send(credential: Credential) -> int:
        credential.reveal()
        return 401

    for provider in ("openai", "anthropic", "acme", "xai"):
        try:
            asyncio.run(call_with_rotation(supervisor, provider, send))
        except CredentialError:
            continue
    generation = supervisor.recheck()
    assert eventually(lambda: any(one["generation"] == generation for one in backend.said("warm")))
    text = backend.everything()
    assert backend.spans("attempt")
    assert "openclaw_actors.condition" in text
    for hidden in (CANARY, "openai:work", "anthropic:me", '"ops"', str(full.path)):
        assert hidden not in text


# ----------------------------------------------------------------------------------------------------------- metrics


def test_metrics_are_those_of_prometheus(two: Home, backend: Backend, supervise: Supervise) -> None:
    """One list: the same names and numbers for both, and no other label than the type of a condition."""
    supervisor = supervise(two)
    backend.instrument(supervisor)
    told = backend.numbers()
    assert set(told) >= {f"openclaw_actors.{name}" for name in Stats.__struct_fields__}
    assert told["openclaw_actors.agents"] == {"": 1}
    assert told["openclaw_actors.condition"]["Warm"] == 1.0
    with serving(supervisor) as gateway:
        families = {one.name: one for one in text_string_to_metric_families(gateway.get("/metrics").text)}
    assert {name.replace("openclaw_actors.", "openclaw_actors_") for name in told} == {
        name.removesuffix("_seconds") for name in families
    }
    for name in ("store_reads", "provider_checks"):
        assert families[f"openclaw_actors_{name}"].samples[0].value == told[f"openclaw_actors.{name}"][""] > 0
    assert {tuple(sample.labels) for one in families.values() for sample in one.samples} == {(), ("type",)}


def test_the_gap_of_the_loop_is_measured_where_there_is_one(two: Home, backend: Backend) -> None:
    """A supervisor that was started on a loop says how long that did not turn."""

    async def run() -> dict[str, dict[str, float]]:
        async with unstarted(two) as supervisor:
            backend.instrument(supervisor)
            await supervisor.aio.wait_warm(10.0)
            threading.Event().wait(0.12)  # what a blocking call in a route does
            await asyncio.sleep(0)
            found = backend.numbers()
        assert supervisor.loop_gap_s() is None
        return found

    assert asyncio.run(run())["openclaw_actors.event_loop_max_gap"][""] >= 0.1


def test_several_supervisors_are_told_together_and_counters_never_fall(
    two: Home, backend: Backend, supervise: Supervise
) -> None:
    """Sums, the worst condition; what one that is over has counted stays counted, so that a restart is no fall."""
    first, second = supervise(two), unstarted(two)
    end_first, end_second = backend.instrument(first), backend.instrument(second)
    told = backend.numbers()
    reads = first.stats().store_reads
    assert told["openclaw_actors.store_reads"][""] == reads + second.stats().store_reads
    assert told["openclaw_actors.agents"] == {"": 1}
    end_first()
    end_first()
    told = backend.numbers()
    assert told["openclaw_actors.store_reads"][""] == reads
    assert told["openclaw_actors.agents"] == {"": 0}
    end_second()
    third = supervise(two)
    end_third = backend.instrument(third)
    assert backend.numbers()["openclaw_actors.store_reads"][""] == reads + third.stats().store_reads
    end_third()
    assert "openclaw_actors.agents" not in backend.numbers()


# ---------------------------------------------------------------------------------------------------- not in the way


class Raising(SpanProcessor):
    """A processor that fails at whatever it is told."""

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        """Fail."""
        raise ValueError("on_start")

    def on_end(self, span: Any) -> None:
        """Fail."""
        raise ValueError("on_end")


class Blocking(SpanExporter):
    """An exporter whose backend does not answer until it may."""

    def __init__(self) -> None:
        self.is_asked, self.go_on = threading.Event(), threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Block."""
        self.is_asked.set()
        self.go_on.wait(20.0)
        return SpanExportResult.SUCCESS


def test_a_tracer_that_raises_is_survived(two: Home, log_lines: list[str]) -> None:
    """Warms and requests go on, and a log line names the kind of error."""
    backend = Backend(Raising())
    supervisor = unstarted(two)
    backend.instrument(supervisor)

    async def send(credential: Credential) -> int:
        return 200

    with supervisor:
        assert supervisor.wait_warm(10.0)
        assert asyncio.run(call_with_rotation(supervisor, "zai", send)) == 200
        supervisor.recheck()
        assert eventually(lambda: supervisor.stats().warms >= 2)
    for what in ("things are handed to raised", "a tracer raised"):
        assert any(what in line and "ValueError" in line for line in log_lines)


def test_an_exporter_that_blocks_holds_up_no_warm(two: Home) -> None:
    """Warms finish while the first one's span is still being exported; a stop keeps its deadline."""
    blocking = Blocking()
    backend = Backend(SimpleSpanProcessor(blocking))
    supervisor = unstarted(two)
    backend.instrument(supervisor)
    try:
        supervisor.start()
        assert supervisor.wait_warm(10.0)
        assert blocking.is_asked.wait(10.0)
        for _ in range(3):
            generation = supervisor.recheck()
            assert asyncio.run(supervisor.aio.answered(generation))
        assert not blocking.go_on.is_set()
        supervisor.stop(1.0)
    finally:
        blocking.go_on.set()
        supervisor.stop()


def test_a_supervisor_is_instrumented_once(two: Home, backend: Backend) -> None:
    """Two would be told twice; after the end of one it may be instrumented again."""
    supervisor = unstarted(two)
    uninstrument = backend.instrument(supervisor)
    with pytest.raises(RuntimeError, match="already"):
        backend.instrument(supervisor)
    uninstrument()
    backend.instrument(supervisor)()


# ------------------------------------------------------------------------------------------------- where it is absent


def python(code: str, *arguments: object) -> str:
    """Run code in a process of its own and return what it prints."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=40, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_nothing_of_it_is_imported_unless_it_is_asked_for(two: Home) -> None:
    """Neither by the package, nor by a supervisor, a credential, or the gateway's application."""
    code = """
import asyncio, sys
from openclaw_actors import AuthSupervisor
from openclaw_actors.gateway.app import create_app
from openclaw_actors.gateway import calling
async def send(credential): return 200
with AuthSupervisor(sys.argv[1], env={"HOME": sys.argv[2]}) as supervisor:
    create_app(supervisor)
    assert supervisor.wait_warm(10)
    assert asyncio.run(calling.call_with_rotation(supervisor, "zai", send)) == 200
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""
    assert python(code, two.path, two.user).strip() == "[]"


def test_without_the_api_the_import_names_the_extra() -> None:
    """And nothing else needs it."""
    code = """
import sys
sys.modules["opentelemetry"] = None
import openclaw_actors.cli.serve, openclaw_actors.supervisor
try: import openclaw_actors.telemetry
except ImportError as error: print(error)
"""
    assert "openclaw_actors[otel]" in python(code)


def test_with_the_api_alone_it_tells_nobody(two: Home) -> None:
    """Without an SDK the API's own no-ops take everything."""
    code = """
import asyncio, sys
from openclaw_actors import AuthSupervisor
from openclaw_actors.telemetry import instrument
with AuthSupervisor(sys.argv[1], env={"HOME": sys.argv[2]}) as supervisor:
    end = instrument(supervisor)
    assert supervisor.wait_warm(10)
    print(asyncio.run(supervisor.aio.credential("zai")).evidence_id)
    end()
assert not any(name.startswith("opentelemetry.sdk") for name in sys.modules)
"""
    assert python(code, two.path, two.user).strip() == "zai:a"


def test_serve_tells_an_sdk_that_the_process_was_started_with(two: Home) -> None:
    """What `opentelemetry-instrument` configures before the command runs is used; nothing has to be said to `serve`."""
    code = """
import os, signal, sys, threading
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
class Ending(SpanExporter):
    def export(self, spans):
        print("SPANS", *(span.name for span in spans), flush=True)
        os.kill(os.getpid(), signal.SIGTERM)
        return SpanExportResult.SUCCESS
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(Ending()))
trace.set_tracer_provider(provider)
from openclaw_actors.__main__ import main
sys.argv = ["openclaw-actors", "serve", "--home", sys.argv[1], "--port", "0", "--token-file", sys.argv[2]]
main()
"""
    assert "SPANS openclaw_actors.warm" in python(code, two.path, two.user / "tokens")
