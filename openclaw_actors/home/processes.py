"""Whether another process is there."""

from __future__ import annotations

import os


def is_alive(pid: int) -> bool:
    """Tell whether there is such a process; of one that can't be seen from here nothing is known, so: yes."""
    if pid <= 0:  # of another namespace, or no pid at all
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        # another user's, or a number that is no pid here
        return True
    return True
