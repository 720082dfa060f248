"""Who else may read or write what holds credentials: OpenClaw writes its stores with mode 0600 (formats 3.8)."""

from __future__ import annotations

import os
import shlex
import stat as stat_bits

from openclaw_actors.home.facts import Finding

OPEN_TO_OTHERS = "open-to-others"
"""Code of the finding about a file that others may read or write."""

_OTHERS = 0o077


def open_to_others(path: str, mode: int) -> tuple[Finding, ...]:
    """Return a finding when group or others have any permission on a file of credentials; nothing when they don't, and
    where files have no such modes.

    Args:
        path: The file.
        mode: As the opened file has it.
    """
    if not mode & _OTHERS or os.name == "nt":
        return ()
    shown = f"{stat_bits.S_IMODE(mode):04o}"
    return (
        Finding(path, f"others may reach it (mode {shown})", f"chmod 600 {shlex.quote(path)}", code=OPEN_TO_OTHERS),
    )
