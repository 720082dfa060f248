"""What may be followed of a supervisor's work, by a tracer if there is one: warms, and what requests wait for.

Nothing here knows any tracer; `telemetry.py` has the one of OpenTelemetry.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Final, Protocol, Self, final

from openclaw_actors.actors.warm_book import WarmReport

Attribute = str | bool | int | float
"""What is said of a span. Never a secret, an agent, or a person."""


class Span(Protocol):
    """Something that has begun and not ended."""

    def note(self, **attributes: Attribute) -> None:
        """Say more of it."""
        ...


class Spans(Protocol):
    """Follows the work of a supervisor. Nothing of it raises."""

    def warmed(self, report: WarmReport) -> None:
        """Hear of a finished warm, on an actor's thread: returns at once."""
        ...

    def span(self, name: str, **attributes: Attribute) -> AbstractContextManager[Span]:
        """Follow what is done within, on the thread or task that does it; whatever is raised in it passes through."""
        ...

    def flush(self, timeout_s: float) -> None:
        """Wait until what was heard of is passed on, at most so many seconds."""
        ...


@final
class NoSpans:
    """Follows nothing: what a supervisor has unless somebody asks for more."""

    __slots__ = ()

    def warmed(self, report: WarmReport) -> None:
        """Do nothing."""

    def span(self, name: str, **attributes: Attribute) -> NoSpans:
        """Return what does nothing."""
        return self

    def flush(self, timeout_s: float) -> None:
        """Do nothing."""

    def note(self, **attributes: Attribute) -> None:
        """Do nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


NO_SPANS: Final = NoSpans()
"""The only one."""
