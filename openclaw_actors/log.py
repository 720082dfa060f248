"""The package's logger: the one import of loguru.

Disabled until an application asks for it with `loguru.logger.enable("openclaw_actors")`; no sink is ever added here.
Texts are constant and data goes into bound fields: a formatted value in a template could be a secret or break
formatting.
"""

from __future__ import annotations

from loguru import logger

logger.disable("openclaw_actors")
log = logger

__all__ = ["log"]
