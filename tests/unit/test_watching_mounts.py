"""Where inotify is blind, judged from a mount table."""

from __future__ import annotations

from openclaw_actors.watching.mounts import Mounts

TABLE = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:35 / /mnt/team\040share rw,relatime - nfs4 server:/x rw
41 22 0:36 / /host rw - fuse.grpcfuse grpcfuse rw
42 22 8:1 /x/auth.json /home/u/auth.json rw shared:2 master:1 - ext4 /dev/sda1 rw
43 22 0:37 / /disk rw - fuseblk /dev/sdb1 rw
44 22 8:1 /y /home/u/plugins rw - ext4 /dev/sda1 rw
45 22 0:38 / /box rw - fuse.fuse-overlayfs fuse-overlayfs rw
half a line
"""


def test_a_local_file_needs_no_polling() -> None:
    """Files on local file systems are left to inotify."""
    mounts = Mounts(TABLE)
    assert mounts.blind((("/home/u", "openclaw.json"),)) is None
    assert mounts.blind((("/disk/a", "x.json"),)) is None
    assert mounts.blind((("/box/a", "x.json"),)) is None


def test_network_and_host_shared_file_systems_are_polled() -> None:
    """What other machines can change is polled, also when only a link on the way leads there."""
    mounts = Mounts(TABLE)
    assert "nfs4" in (mounts.blind((("/mnt/team share/a", "x.json"),)) or "")
    assert "fuse.grpcfuse" in (mounts.blind((("/host", "x.json"),)) or "")
    assert mounts.blind((("/home/u", "link.json"), ("/host", "x.json"))) is not None


def test_a_file_mounted_by_itself_is_polled() -> None:
    """A single-file bind mount is not told of writes through its other name."""
    reason = Mounts(TABLE).blind((("/home/u", "auth.json"),))
    assert reason is not None
    assert "mounted by itself" in reason


def test_a_watched_directory_that_is_a_mount_is_local() -> None:
    """A mounted directory is watched from the inside: it is not a single-file mount."""
    assert Mounts(TABLE).blind((("/home/u", "plugins"), ("/home/u/plugins", ""))) is None


def test_an_empty_table_blinds_nothing() -> None:
    """Without a mount table nothing is polled for its sake; the real table can be read."""
    assert Mounts("").blind((("/a", "b"),)) is None
    assert Mounts.now() is not None
