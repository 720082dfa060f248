"""OpenTelemetry: the metrics of `/metrics`, and spans of warms and of what requests wait for; where it is asked for.

The API alone is needed; which SDK there is, and where it exports to, is the application's. Spans of HTTP requests are
left to OpenTelemetry's own instrumentation of ASGI, FastAPI and the HTTP clients: those here become their children.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from types import TracebackType
from typing import Any, Self, final
from weakref import WeakKeyDictionary

try:
    from opentelemetry import context, metrics, trace
except ImportError:
    raise ImportError("this needs OpenTelemetry's API: pip install 'openclaw_actors[otel]'") from None

from openclaw_actors import __version__
from openclaw_actors.actors.warm_book import WarmReport
from openclaw_actors.aside import Aside
from openclaw_actors.clock import Clock
from openclaw_actors.forking import call_in_children, mend_in_children
from openclaw_actors.log import log
from openclaw_actors.measures import MEASURES, Look, Measure
from openclaw_actors.spans import NO_SPANS, Attribute
from openclaw_actors.supervisor import AuthSupervisor

__all__ = ["instrument"]

_NAME = "openclaw_actors"

_REASONS = frozenset(
    {
        "agents-changed",
        "clock-set-back",
        "config-reload",
        "cooldown-cleared",
        "credentials-changed",
        "failure-reported",
        "logout",
        "plugin-reload",
        "recheck",
        "restart",
        "shared-sources-changed",
        "startup",
        "success-reported",
        "time-passed",
        "usage-changed",
    }
)
"""Reasons of warms that are ours; what an embedder says to `invalidate` may be any text."""


def instrument(
    supervisor: AuthSupervisor,
    *,
    tracer_provider: trace.TracerProvider | None = None,
    meter_provider: metrics.MeterProvider | None = None,
) -> Callable[[], None]:
    """Have a supervisor's work told to OpenTelemetry; return what ends that, which may be called on any thread, and
    twice. Before `start` the first warm is told of for sure; any other time is as good for the rest.

    Metrics are those of `gateway/probes.py`, as `openclaw_actors.warms` and so on, read when they are collected. Where
    a process has several supervisors they are told together: counters are sums, of those that were instrumented before,
    too, so that they never fall. Spans are `openclaw_actors.warm` for each warm, `openclaw_actors.credential` for each
    credential that `aio` hands out, and `openclaw_actors.attempt` for each request of `call_with_rotation`. None says
    more than provider, kind and source of the evidence, and what came of it: no agent, no profile, no error's text.

    What is raised by a tracer is logged and survived. An exporter that blocks holds up no warm and no answer; it does
    hold up a request that waits for its credential, if its spans are exported one by one rather than in batches.

    Args:
        supervisor: Running or not started yet; it is held until that ends.
        tracer_provider: None is the process's own.
        meter_provider: None is the process's own.

    Raises:
        RuntimeError: It is instrumented already.
    """
    runtime = supervisor._runtime
    if runtime.spans is not NO_SPANS:
        raise RuntimeError("this supervisor is instrumented already")
    tracer = (tracer_provider or trace.get_tracer_provider()).get_tracer(_NAME, __version__)
    instruments = _Instruments.of(meter_provider or metrics.get_meter_provider())
    runtime.spans = spans = _Spans(tracer, runtime.clock)
    instruments.add(supervisor)

    def uninstrument() -> None:
        if runtime.spans is spans:
            runtime.spans = NO_SPANS
        instruments.remove(supervisor)

    return uninstrument


# ----------------------------------------------------------------------------------------------------------- metrics


@final
class _Instruments:
    """The instruments of one meter provider. They are made once: those that are made again under the same name are the
    first ones, with their first callbacks.
    """

    def __init__(self, provider: metrics.MeterProvider) -> None:
        self._lock = threading.Lock()
        self._supervisors: tuple[AuthSupervisor, ...] = ()
        self._before: dict[str, float] = {}
        """What those that are gone have counted."""
        mend_in_children(self)
        meter = provider.get_meter(_NAME, __version__)
        for measure in MEASURES:
            create: Any = meter.create_observable_counter if measure.grows else meter.create_observable_gauge
            name, unit = f"{_NAME}.{measure.name}", "s" if measure.is_seconds else ""
            create(name, callbacks=[partial(self._observe, measure)], unit=unit, description=measure.text)

    @classmethod
    def of(cls, provider: metrics.MeterProvider) -> Self:
        """Return those of a provider."""
        with _MAKING:
            found = _MADE.get(provider)
            if found is None:
                found = _MADE[provider] = cls(provider)
            return found

    def after_fork(self) -> None:
        """Take a lock that nobody holds, in a forked child."""
        self._lock = threading.Lock()

    def add(self, supervisor: AuthSupervisor) -> None:
        """Measure a supervisor, too."""
        with self._lock:
            self._supervisors = (*self._supervisors, supervisor)

    def remove(self, supervisor: AuthSupervisor) -> None:
        """Measure it no more; what it has counted stays counted."""
        with self._lock:
            if supervisor not in self._supervisors:
                return
            self._supervisors = tuple(one for one in self._supervisors if one is not supervisor)
            look = Look(supervisor)
            for measure in MEASURES:
                if measure.grows:
                    self._before[measure.name] = sum(
                        (number for _, number in measure.read(look)), self._of_gone(measure)
                    )

    def _of_gone(self, measure: Measure) -> float:
        return self._before.get(measure.name, 0)

    def _observe(self, measure: Measure, _options: metrics.CallbackOptions) -> Iterable[metrics.Observation]:
        """Return the numbers of all supervisors, on the thread that collects."""
        found: dict[str, list[float]] = {}
        with self._lock:
            if measure.grows:
                found[""] = [self._of_gone(measure)]
            for supervisor in self._supervisors:
                for label, number in measure.read(Look(supervisor)):
                    found.setdefault(label, []).append(number)
        return [
            metrics.Observation(measure.together(numbers), {measure.label: label} if measure.label else None)
            for label, numbers in found.items()
        ]


_MADE: WeakKeyDictionary[metrics.MeterProvider, _Instruments] = WeakKeyDictionary()
_MAKING = threading.Lock()


def _unlock() -> None:
    global _MAKING
    _MAKING = threading.Lock()


call_in_children(_unlock)


# ------------------------------------------------------------------------------------------------------------- spans


@final
class _Spans:
    """Follows a supervisor with a tracer."""

    def __init__(self, tracer: trace.Tracer, clock: Clock) -> None:
        self._tracer = tracer
        self._clock = clock
        self._reports = Aside(self._tell, "openclaw-telemetry")

    def warmed(self, report: WarmReport) -> None:
        """Take a report; it is told on a thread of its own, since an exporter may block."""
        self._reports.put(report)

    def flush(self, timeout_s: float) -> None:
        """Wait until all reports are told."""
        self._reports.wait(timeout_s)

    def span(self, name: str, **attributes: Attribute) -> _Span:
        """Return a span that begins when it is entered, and is the current one within."""
        return _Span(self._tracer, name, attributes)

    def _tell(self, report: WarmReport) -> None:
        began_ago_s = self._clock.monotonic() - report.started_at
        start_ns = int((self._clock.epoch() - began_ago_s) * 1e9)
        span = self._tracer.start_span(
            f"{_NAME}.warm",
            context=context.Context(),  # a warm is nobody's child: it goes on when the request that caused it is over
            start_time=start_ns,
            attributes=_named(
                generation=report.generation,
                reason=report.reason if report.reason in _REASONS else "other",
                agents=report.agents,
                changed=report.changed,
                duration=report.duration_s,
            ),
        )
        span.end(start_ns + int(report.duration_s * 1e9))


@final
class _Span:
    """A span that is never in the way: what the tracer raises is survived, and no error's text is kept, since providers
    quote keys in their refusals.
    """

    __slots__ = ("_attributes", "_name", "_span", "_token", "_tracer")

    def __init__(self, tracer: trace.Tracer, name: str, attributes: dict[str, Attribute]) -> None:
        self._tracer = tracer
        self._name = name
        self._attributes = attributes
        self._span: trace.Span = trace.INVALID_SPAN
        self._token: Any = None

    def note(self, **attributes: Attribute) -> None:
        """Say more of it."""
        with _survived():
            self._span.set_attributes(_named(**attributes))

    def __enter__(self) -> Self:
        with _survived():
            self._span = self._tracer.start_span(f"{_NAME}.{self._name}", attributes=_named(**self._attributes))
            self._token = context.attach(trace.set_span_in_context(self._span))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            context.detach(self._token)
        with _survived():
            if kind is not None:
                self._span.set_attribute("error.type", kind.__qualname__)
                self._span.set_status(trace.StatusCode.ERROR)
        with _survived():
            self._span.end()


def _named(**attributes: Attribute) -> dict[str, Attribute]:
    return {f"{_NAME}.{name}": value for name, value in attributes.items()}


@contextlib.contextmanager
def _survived() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # others' code
        log.bind(error=type(error).__name__).warning("a tracer raised, and what it follows goes on")
