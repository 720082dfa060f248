"""Scripts: what happens to a world, one operation after another, as a pure function of a seed."""

from __future__ import annotations

import random
from typing import NamedTuple

from openclaw_actors.testing.simulation.coverage import ALL_TYPES

Number = int
"""0 up to 65,535; the world counts round whatever it picks from."""


class Op(NamedTuple):
    """One operation, with numbers that say which and how. Any subset of a script is a script, too."""

    name: str
    a: Number = 0
    b: Number = 0
    c: Number = 0

    def __str__(self) -> str:
        return f"{self.name}({self.a}, {self.b}, {self.c})"


WEIGHTS = {
    "step": 560,
    "look_after": 30,
    "advance": 60,
    "set_clock": 3,
    "edit_store": 40,
    "remove_store": 6,
    "tear_store": 8,
    "mend_store": 8,
    "edit_store_unseen": 4,
    "use_elsewhere": 30,
    "edit_order": 6,
    "edit_provider": 8,
    "edit_agents": 10,
    "tear_config": 5,
    "mend_config": 6,
    "edit_login": 6,
    "churn": 4,
    "touch": 10,
    "lose_events": 4,
    "overflow": 4,
    "degrade": 4,
    "refuse_watches": 4,
    "report_failure": 36,
    "report_success": 18,
    "log_out": 8,
    "clear_cooldown": 5,
    "recheck": 10,
    "invalidate": 10,
    "reload_config": 6,
    "reload_plugins": 4,
    "resync": 6,
    "repeat_result": 12,
    "hold": 12,
    "damage": 8,
    "mend": 12,
    "crash": 30,
    "crash_at": 60,
    "kill": 8,
    "read": 20,
    "hold_snapshot": 12,
}
"""How often each operation comes, in proportion. Most steps belong to the actors."""


_SCENES: dict[str, tuple[Op, ...]] = {
    "AgentActorDied": (Op("kill", 3), Op("advance", 4)),
    "BreakerDue": (Op("edit_store", 0, 0, 1), Op("churn"), Op("churn"), Op("advance", 8)),
    "BudgetOver": (Op("hold", 4), Op("recheck"), Op("advance", 7), Op("mend")),
    "CancelSweep": (Op("invalidate", 3, 3), *(Op("step", number) for number in range(24)), Op("reload_config")),
    "ContinuePatching": (
        Op("edit_store", 0, 0, 1),
        Op("edit_agents", 1, 0),
        Op("advance", 4),
        Op("use_elsewhere", 0, 0, 3),
        Op("advance", 4),
    ),
    "WatchingDegraded": (Op("degrade", 0), Op("advance", 4)),
    "WatchingRecovered": (Op("degrade", 0), Op("degrade", 1), Op("advance", 4)),
    "ResyncStep": (Op("resync"), Op("advance", 4)),
    "TimePassed": (Op("edit_store", 0, 0, 1), Op("advance", 4), Op("report_failure", 0, 0, 2), Op("advance", 8)),
    "UnwatchSource": (Op("edit_agents", 3, 1), Op("advance", 4), Op("edit_agents", 0, 1), Op("advance", 4)),
    "UseDue": (Op("edit_store", 0, 0, 1), Op("advance", 4), Op("use_elsewhere", 0, 0, 1), Op("advance", 6)),
}
"""What brings about the messages that seldom come by themselves."""
_SCENES_PER_SEED = 3
_AIMED = 0.6
"""How many of a seed's aimed crashes are after the same point."""


def write_script(seed: int, steps: int) -> tuple[Op, ...]:
    """Return the operations of a seed; the same seed and number give the same script, on any machine."""
    chance = random.Random(f"openclaw_actors {seed}")  # noqa: S311  # replayable is the point
    # each seed has its own temper, so that some runs crash all the time, some never do, and some are left in peace
    names, unrest = list(WEIGHTS), chance.choice((0.1, 0.4, 1.0, 1.0))
    weights = [
        weight if name == "step" else weight * unrest * chance.choice((0, 1, 1, 1, 2, 5))
        for name, weight in WEIGHTS.items()
    ]
    # and an aim: one message type and one crash point that its crashes are after
    kind, aim = ALL_TYPES[seed % len(ALL_TYPES)], Op("crash_at", seed, seed // len(ALL_TYPES))

    def aimed() -> Op:
        return aim._replace(c=chance.getrandbits(16))

    script = [
        aimed()
        if name == "crash_at" and chance.random() < _AIMED
        else Op(name, chance.getrandbits(16), chance.getrandbits(16), chance.getrandbits(16))
        for name in chance.choices(names, weights, k=steps)
    ]
    for _ in range(_SCENES_PER_SEED):
        scene = (aimed()._replace(c=0), *_SCENES.get(kind, ()))
        begin = chance.randrange(max(1, steps - len(scene)))
        script[begin : begin + len(scene)] = scene
    return tuple(script[:steps])
