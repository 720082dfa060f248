"""Replacing a JSON file as a whole."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path

import pytest

from openclaw_actors.errors import StoreReadOnlyError
from openclaw_actors.home.stores.atomic import encode_json, remove_file, replace_json
from openclaw_actors.watching.stamp import stamp


def names(directory: Path) -> list[str]:
    return sorted(p.name for p in directory.iterdir())


def fails_with(number: int):  # type: ignore[no-untyped-def]  # takes whatever the replaced call takes
    def fail(*_args: object, **_kwargs: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_the_form_is_that_of_json_stringify() -> None:
    """Two spaces, a final newline, no needless escapes, half surrogates escaped, empty parts on one line."""
    obj = {"a": "ü€\u2028", "b": [1, {"c": None}], "d": {}, "e": [], "f": "\ud800\x1f\n"}
    assert encode_json(obj).decode() == (
        '{\n  "a": "ü€\u2028",\n  "b": [\n    1,\n    {\n      "c": null\n    }\n  ],\n  "d": {},\n  "e": [],\n'
        '  "f": "\\ud800\\u001f\\n"\n}\n'
    )


def test_a_new_file_is_private_and_complete(tmp_path: Path) -> None:
    """Mode 0600 whatever the umask; no temporary file stays."""
    path = tmp_path / "s.json"
    old = os.umask(0o277)
    try:
        assert replace_json(str(path), {"a": 1})
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text()) == {"a": 1}
    assert names(tmp_path) == ["s.json"]


def test_missing_directories_are_made_private(tmp_path: Path) -> None:
    """All that are missing get mode 0700."""
    path = tmp_path / "one" / "two" / "s.json"
    assert replace_json(str(path), {})
    for directory in (path.parent, path.parent.parent):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_identical_bytes_are_not_written(tmp_path: Path) -> None:
    """Inode, mode and time stay; nobody's watcher wakes."""
    path = tmp_path / "s.json"
    path.write_text('{\n  "a": 1\n}\n')
    path.chmod(0o644)
    before = stamp(str(path))
    assert not replace_json(str(path), {"a": 1})
    assert stamp(str(path)) == before
    assert replace_json(str(path), {"a": 2})
    assert before is not None
    assert path.stat().st_ino != before.ino
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    """What the link points at is replaced, beside itself."""
    real, link = tmp_path / "real" / "s.json", tmp_path / "s.json"
    real.parent.mkdir()
    real.write_text("{}")
    link.symlink_to(real)
    assert replace_json(str(link), {"a": 1})
    assert link.is_symlink()
    assert json.loads(real.read_text()) == {"a": 1}
    assert names(real.parent) == ["s.json"]


@pytest.mark.parametrize("call", ["write", "fsync", "rename", "fchmod"])
def test_a_failure_on_the_way_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """Wherever it fails, the old content stands and the temporary file is gone."""
    path = tmp_path / "s.json"
    path.write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, fails_with(errno.EIO))
        with pytest.raises(StoreReadOnlyError, match="nothing was changed"):
            replace_json(str(path), {"a": 1})
    assert path.read_text() == "old"
    assert names(tmp_path) == ["s.json"]


def test_an_interrupt_on_the_way_leaves_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also what isn't an OSError cleans up, and is passed on."""
    path = tmp_path / "s.json"

    def interrupt(_fd: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            replace_json(str(path), {})
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.EACCES, "right to write"),
        (errno.EROFS, "mounted read-only"),
        (errno.ENOSPC, "disk is full"),
        (errno.EBUSY, "mount the directory"),
        (errno.EIO, "Check the file system"),
    ],
)
def test_trouble_is_told_with_file_and_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, remedy: str
) -> None:
    """Each way of not being writable says what to do, and never what was to be written."""
    path = tmp_path / "s.json"
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", fails_with(number))
        with pytest.raises(StoreReadOnlyError, match=remedy) as caught:
            replace_json(str(path), {"key": "canary"})
    assert str(path) in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_root_keeps_the_owner_of_what_it_replaces(tmp_path: Path) -> None:
    """A command run once as root doesn't lock the gateway's user out."""
    path = tmp_path / "s.json"
    path.write_text("{}")
    os.chown(path, 12345, 12345)
    assert replace_json(str(path), {"a": 1})
    assert (path.stat().st_uid, path.stat().st_gid) == (12345, 12345)


def test_removing_tells_whether_it_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing file is no trouble; one that can't be removed is."""
    path = tmp_path / "s.json"
    path.write_text("{}")
    assert remove_file(str(path))
    assert not remove_file(str(path))
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", fails_with(errno.EROFS))
        with pytest.raises(StoreReadOnlyError, match="read-only"):
            remove_file(str(path))
