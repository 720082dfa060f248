"""What is measured, whoever asks: the one list behind `/metrics` and OpenTelemetry.

No label names an agent, a profile or a person, so that there are as many series in a home of ten thousand agents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final, NamedTuple, final

from openclaw_actors.counters import Stats
from openclaw_actors.health import Health

if TYPE_CHECKING:
    from openclaw_actors.supervisor import AuthSupervisor

__all__ = ["MEASURES", "Look", "Measure"]


@final
class Look:
    """One look at a supervisor: what several measures need is asked for once. Any thread, no I/O."""

    def __init__(self, supervisor: AuthSupervisor) -> None:
        self.supervisor = supervisor

    @cached_property
    def stats(self) -> Stats:
        """All counters."""
        return self.supervisor.stats()

    @cached_property
    def health(self) -> Health:
        """All conditions."""
        return self.supervisor.health()


class Measure(NamedTuple):
    """One thing that is measured."""

    name: str
    """Without prefix and unit."""
    text: str
    read: Callable[[Look], Iterable[tuple[str, float]]]
    """Returns the numbers as they are now, each with the value of the label; none when there is none now."""
    grows: bool = False
    """Whether it is a counter."""
    label: str = ""
    """What tells several numbers apart; empty when there is one."""
    is_seconds: bool = False
    together: Callable[[Iterable[float]], float] = sum
    """What the numbers of several supervisors of a process come to."""


def _stat(name: str, look: Look) -> Iterable[tuple[str, float]]:
    return (("", getattr(look.stats, name)),)


def _agents(look: Look) -> Iterable[tuple[str, float]]:
    return (("", len(look.supervisor.agent_ids())),)


def _conditions(look: Look) -> Iterable[tuple[str, float]]:
    return [(one.type, float(one.status)) for one in look.health.conditions]


def _maybe(number: float | None) -> Iterable[tuple[str, float]]:
    return () if number is None else (("", number),)


MEASURES: Final = (
    # the names are our own: a counter each, and none is taken away
    *(
        Measure(name, f"How many {name.replace('_', ' ')} so far.", partial(_stat, name), grows=True)
        for name in Stats.__struct_fields__
    ),
    Measure("agents", "How many agents the config has.", _agents),
    Measure("condition", "1 while a condition holds.", _conditions, label="type", together=min),
    Measure(
        "warm",
        "How long the first warm took.",
        lambda look: _maybe(look.supervisor.warm_time_s),
        is_seconds=True,
        together=max,
    ),
    Measure(
        "event_loop_max_gap",
        "The longest time for which the event loop was kept from running, within the last 10 s.",
        lambda look: _maybe(look.supervisor.loop_gap_s()),
        is_seconds=True,
        together=max,
    ),
)
