"""The supervisor inside an ASGI application of one's own: started with it, stopped with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from openclaw_actors.supervisor import AuthSupervisor

__all__ = ["lifespan"]

Lifespan = Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any] | None]]
"""What Starlette and FastAPI take as `lifespan`."""


def lifespan(
    make: Callable[[], AuthSupervisor], *, inner: Lifespan | None = None, stop_timeout_s: float = 5.0
) -> Callable[[Any], AbstractAsyncContextManager[Mapping[str, Any]]]:
    """Return a lifespan for `Starlette(lifespan=…)` or `FastAPI(lifespan=…)` that runs a supervisor.

    It starts after the application's own startup and stops before its own shutdown. The warm is not waited for: the
    server accepts requests at once, and until an agent is published its answers are `unknown`. Requests find the
    supervisor in `request.state.auth`. Where an application is started and ended several times (in tests) each time has
    a supervisor of its own, since one lives once.

    Args:
        make: Makes a supervisor that isn't started, for each startup.
        inner: The application's own lifespan; what it yields is in `request.state`, too.
        stop_timeout_s: How long the stop may take at most, in seconds, without blocking the loop.
    """

    @asynccontextmanager
    async def run(app: Any) -> AsyncIterator[Mapping[str, Any]]:
        async with inner(app) if inner is not None else _nothing() as state:
            supervisor = make()
            supervisor.start()
            try:
                yield {**(state or {}), "auth": supervisor}
            finally:
                await supervisor.aio.stop(stop_timeout_s)

    return run


@asynccontextmanager
async def _nothing() -> AsyncIterator[None]:
    yield None
