"""What the files tell: who may reach them, what in them OpenClaw would drop, what can't be read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from openclaw_actors.cli.diagnosis.remark import Remark, Severity
from openclaw_actors.cli.diagnosis.scene import Scene
from openclaw_actors.health import STORE_PERMISSIONS
from openclaw_actors.home.facts import ConfigFacts, Finding, KeyForm
from openclaw_actors.home.permissions import OPEN_TO_OTHERS, open_to_others

_SEVERITIES = {
    "dropped-profiles": Severity.ERROR,
    "duplicate-agent-dir": Severity.ERROR,
    "invalid-json": Severity.ERROR,
    "invalid-store": Severity.ERROR,
    "secret-file": Severity.ERROR,
    "torn-secret-file": Severity.ERROR,
    "dotenv-unreadable": Severity.ERROR,
    "shell-env": Severity.NOTE,
}
"""By the code of a finding; any other is a warning."""

TOLD_ELSEWHERE = frozenset({STORE_PERMISSIONS, "AgentDirsDistinct", "SecretFilesReadable", "DotenvReadable"})
"""Conditions that only sum up findings."""


def permissions(scene: Scene) -> Iterator[Remark]:
    """Remark on files of credentials that others than their owner may reach; looks at modes of some more files."""
    found = [finding for store in scene.stores for finding in store.findings if finding.code == OPEN_TO_OTHERS]
    for path in _other_secret_files(scene):
        try:
            found += open_to_others(path, os.stat(path).st_mode)
        except (OSError, ValueError):
            continue
    return _remarks("permissions", found)


def files(scene: Scene) -> Iterator[Remark]:
    """Remark on what is wrong in config, stores, models.json, secret files and logins of other programs."""
    found: list[Finding] = []
    if scene.reading is not None:
        found += [*scene.reading.home.config.findings, *scene.reading.catalog.findings]
    found += [finding for store in scene.stores for finding in store.findings if finding.code != OPEN_TO_OTHERS]
    yield from _remarks("files", found)
    for login in scene.logins:
        if login.problem:
            yield Remark(
                check="files",
                severity=Severity.WARNING if login.is_broken else Severity.NOTE,
                path=login.path or None,
                provider=login.provider,
                problem=f"the login of {login.name} doesn't count: {login.problem}",
                remedy=f"Sign in with {login.name} again, if it is meant to be used.",
            )


def conditions(scene: Scene) -> Iterator[Remark]:
    """Remark on each condition of the health that is false, and on a home that isn't there."""
    if not os.path.isdir(scene.home_path):
        yield Remark(
            check="conditions",
            severity=Severity.ERROR,
            path=scene.home_path,
            problem="there is no such directory",
            remedy="Check --home or OPENCLAW_STATE_DIR.",
        )
    for condition in scene.conditions:
        if not condition.status and condition.type not in TOLD_ELSEWHERE:
            text = condition.message or condition.reason
            yield Remark(check="conditions", severity=Severity.ERROR, problem=f"{condition.type}: {text}")


def _other_secret_files(scene: Scene) -> Iterator[str]:
    """Yield config, dotenv files and logins, as far as there are secrets in them."""
    if scene.reading is not None:
        home = scene.reading.home
        origins = {variable.origin for variable in home.environment.variables}
        if home.config.exists and ("config env" in origins or _has_literal(home.config)):
            yield home.config.path
        yield from sorted(origin for origin in origins if os.path.isabs(origin))
    yield from (login.path for login in scene.logins if login.found and os.path.isabs(login.path))


def _has_literal(config: ConfigFacts) -> bool:
    keys = (*(provider.key for provider in config.providers), config.xai_search_key)
    return any(key.form is KeyForm.LITERAL for key in keys)


def _remarks(check: str, found: Iterable[Finding]) -> Iterator[Remark]:
    for finding in found:
        yield Remark(
            check=check,
            severity=_SEVERITIES.get(finding.code, Severity.WARNING),
            path=finding.path or None,
            problem=f"{finding.place}: {finding.problem}" if finding.place else finding.problem,
            remedy=finding.remedy,
        )
