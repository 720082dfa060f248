"""The watching room: raw file events become "look at this path again", and never anything more.

A watcher is given the exact paths that readers depended on, existing or not. It answers with hints, which may come too
often (readers compare digests) and must never be missing; where events can be lost, it says so (`WatchSink.rescan`).

`protocol` is what the rest of the package sees; `choose` picks the backend; `inotify` (with `directories`, `tracing`
and `mounts`) is the native one, `polling` the one that works everywhere; `stamp` is what a file looks like from
outside.
"""

from __future__ import annotations

from openclaw_actors.watching.choose import open_watcher
from openclaw_actors.watching.polling import PollingWatcher
from openclaw_actors.watching.protocol import FileWatcher, WatchSink
from openclaw_actors.watching.stamp import FileStamp, stamp

__all__ = ["FileStamp", "FileWatcher", "PollingWatcher", "WatchSink", "open_watcher", "stamp"]
