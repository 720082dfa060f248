"""Which watcher this machine gets."""

from __future__ import annotations

import sys

from openclaw_actors.log import log
from openclaw_actors.watching.polling import POLL_INTERVAL_S, PollingWatcher
from openclaw_actors.watching.protocol import FileWatcher


def open_watcher(*, poll_interval_s: float = POLL_INTERVAL_S, force_polling: bool = False) -> FileWatcher:
    """Makes a watcher that is not started yet: inotify on Linux, polling elsewhere.

    Args:
        poll_interval_s: Seconds between two looks, of the polling watcher and of inotify's fallback.
        force_polling: Polls even where inotify is there (file systems whose changes come from other machines).
    """
    if force_polling or sys.platform != "linux":
        return PollingWatcher(interval_s=poll_interval_s)
    try:
        from openclaw_actors.watching.inotify import InotifyWatcher
    except Exception as error:  # ImportError, or what watchdog raises for a libc without inotify
        log.bind(error=type(error).__name__).warning("inotify can't be used here: files are polled")
        return PollingWatcher(interval_s=poll_interval_s)
    return InotifyWatcher(poll_interval_s=poll_interval_s)
