"""watchdog's inotify descriptor with its thread, as one that says when it ends."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from watchdog.observers.inotify_c import InotifyFD

from openclaw_actors.log import log

THREAD_NAME = "openclaw-watch-inotify"


class Descriptor(InotifyFD):
    """An inotify instance and the thread that reads it; `InotifyFD` would end, or spin on a closed descriptor, without
    a word.

    Args:
        ended: Called on the thread when it ends though nobody has stopped it.

    Raises:
        OSError: The system has no instance or no descriptor left; nothing stays open.
    """

    def __init__(self, ended: Callable[[Descriptor], None]) -> None:
        self._ended = ended
        self._is_lost = False
        self._inotify_fd = -1
        try:
            super().__init__()
        except OSError:
            if self._inotify_fd != -1:  # the pipe beside it could not be had
                os.close(self._inotify_fd)
            raise
        # watchdog opens it without CLOEXEC: a program that the embedder runs would hold the instance, and its watches,
        # for as long as it lives
        os.set_inheritable(self._inotify_fd, False)
        # Until its thread reads, InotifyFD leaves the closing of its descriptors to that thread, which won't do it when
        # stop comes first. Saying what is true, that nobody reads yet, makes stop close them itself.
        self._is_reading = False
        self.name = THREAD_NAME

    def run(self) -> None:
        """Reads events and handles them until it is stopped."""
        try:
            while self.should_keep_running():
                events = self.read_events()
                if not events and not self._closed and self.should_keep_running():
                    self._is_lost = True  # somebody closed it: reading says EBADF now and for ever
                    break
                for event in events:
                    self.handle_event(event)
        except Exception as error:
            log.bind(error=type(error).__name__).error("reading file events failed")
        finally:
            if self.should_keep_running():
                self._ended(self)

    def discard(self) -> None:
        """Closes what a thread that has ended, or never began, left open."""
        if self._is_lost:
            return  # whoever closed it may have got these numbers for files of their own
        self._is_reading = False
        with contextlib.suppress(OSError):
            self.stop()
