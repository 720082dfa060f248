"""Liveness, readiness and metrics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from openclaw_actors.gateway.access import RIGHT, Right
from openclaw_actors.gateway.answers import json_response
from openclaw_actors.measures import MEASURES, Look
from openclaw_actors.telling import is_ready

if TYPE_CHECKING:
    from openclaw_actors.supervisor import AuthSupervisor


class Probes:
    """Answers for whoever runs the gateway. None of them waits, reads a file or asks an actor."""

    def __init__(self, supervisor: AuthSupervisor) -> None:
        self._supervisor = supervisor
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Collector(supervisor))

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/livez", self.live, methods=["GET"]),
            Route("/readyz", self.ready, methods=["GET"]),
            Route("/metrics", self.metrics, methods=["GET"]),
        ]

    async def live(self, _request: Request) -> Response:
        """Say that the event loop turns; whatever the answers are."""
        return PlainTextResponse("ok\n", headers={"cache-control": "no-store"})

    async def ready(self, request: Request) -> Response:
        """Say whether every agent has answers and somebody keeps them, with all conditions.

        Messages name files and agents: they are for whoever may read answers.
        """
        may_read = request.scope.get(RIGHT, Right.READ) >= Right.READ
        health = self._supervisor.health()
        ready = is_ready(health)
        conditions = [
            {
                "type": one.type,
                "status": one.status,
                "reason": one.reason,
                "message": one.message if may_read else "",
                "since": one.since,
            }
            for one in health.conditions
        ]
        return json_response({"ready": ready, "ok": health.ok, "conditions": conditions}, 200 if ready else 503)

    async def metrics(self, request: Request) -> Response:
        """Answer with the counters, as Prometheus or OpenMetrics has them."""
        encode, media_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(self._registry), 200, {"cache-control": "no-store"}, media_type)


class _Collector(Collector):
    """What is counted already. No label names an agent, a profile or a person."""

    def __init__(self, supervisor: AuthSupervisor) -> None:
        self._supervisor = supervisor

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics as they are now."""
        look = Look(self._supervisor)
        for measure in MEASURES:
            name = f"openclaw_actors_{measure.name}{'_seconds' if measure.is_seconds else ''}"
            kind = CounterMetricFamily if measure.grows else GaugeMetricFamily
            family = kind(name, measure.text, labels=[measure.label] if measure.label else [])
            for label, number in measure.read(look):
                family.add_metric([label] if measure.label else [], number)
            if family.samples:
                yield family
