"""What the running gateways of a home say of themselves."""

from __future__ import annotations

import os
from collections.abc import Iterator

from openclaw_actors.cli.diagnosis.on_disk import TOLD_ELSEWHERE
from openclaw_actors.cli.diagnosis.remark import Remark, Severity
from openclaw_actors.control.address import HTTP_SUFFIX, offers
from openclaw_actors.home.paths import locate


def gateway(home: str | None) -> Iterator[Remark]:
    """Remark on each condition of a running gateway that is false, and on gateways that can't be asked; asks them."""
    location = locate(home, os.environ)
    found, passed_over = offers(location.state_dir, suffix=HTTP_SUFFIX)
    problems = [f"passed over: {one}" for one in passed_over]
    if found:
        from openclaw_actors.cli.running import gateways  # only where there is one

        for _, about in gateways(location, found, problems.append):
            for condition in about.conditions:
                if not condition.status and condition.type not in TOLD_ELSEWHERE:
                    text = f"{condition.type}: {condition.message or condition.reason}"
                    yield Remark(check="gateway", severity=Severity.ERROR, problem=f"gateway {about.pid} says: {text}")
    for problem in problems:
        yield Remark(
            check="gateway",
            severity=Severity.WARNING,
            problem=problem,
            remedy="Commands read the files meanwhile. Restart the gateway if it stays so.",
        )
