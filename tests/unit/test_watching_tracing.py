"""The trace of a path: which directory entries decide what it leads to."""

from __future__ import annotations

import os
from pathlib import Path

from openclaw_actors.watching.tracing import LISTING, MAX_LINKS, Look, trace


def test_a_plain_file_depends_on_its_name_in_its_directory(tmp_path: Path) -> None:
    """One entry is enough for a path without links, whether or not the file exists."""
    assert trace(f"{tmp_path}/auth.json", Look()) == ((str(tmp_path), "auth.json"),)
    (tmp_path / "auth.json").write_text("{}")
    assert trace(f"{tmp_path}/auth.json", Look()) == ((str(tmp_path), "auth.json"),)


def test_a_missing_directory_is_waited_for_in_the_nearest_existing_one(tmp_path: Path) -> None:
    """The walk ends at the first thing that isn't there, and that is what is waited for."""
    assert trace(f"{tmp_path}/agents/ops/auth.json", Look()) == ((str(tmp_path), "agents"),)


def test_a_file_on_the_way_counts_as_missing(tmp_path: Path) -> None:
    """A file in a directory's place may be replaced by a directory: its name is waited for."""
    (tmp_path / "agents").write_text("")
    assert trace(f"{tmp_path}/agents/auth.json", Look()) == ((str(tmp_path), "agents"),)


def test_every_link_on_the_way_is_an_entry(tmp_path: Path) -> None:
    """A path through a `..data` swap depends on the file's link, the directory's link and the file."""
    (tmp_path / "..1").mkdir()
    (tmp_path / "..1" / "auth.json").write_text("{}")
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "auth.json").symlink_to("..data/auth.json")
    here = str(tmp_path)
    assert trace(f"{here}/auth.json", Look()) == (
        (here, "auth.json"),
        (here, "..data"),
        (f"{here}/..1", "auth.json"),
    )


def test_absolute_and_upward_links_are_followed(tmp_path: Path) -> None:
    """An absolute target starts at the root again; `..` in a target means the real parent."""
    (tmp_path / "real").mkdir()
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "up").symlink_to("../real")
    (tmp_path / "links" / "far").symlink_to(tmp_path / "links" / "up")
    here = str(tmp_path)
    assert trace(f"{here}/links/far/a.json", Look()) == (
        (f"{here}/links", "far"),
        (f"{here}/links", "up"),
        (f"{here}/real", "a.json"),
    )


def test_circular_links_end(tmp_path: Path) -> None:
    """A loop of links is cut, and its links are what is waited for."""
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert trace(f"{tmp_path}/a", Look()) == ((str(tmp_path), "a"), (str(tmp_path), "b"))
    assert MAX_LINKS == 40


def test_a_directory_depends_on_its_name_and_its_listing(tmp_path: Path) -> None:
    """A path that is a directory is watched for entries that come and go."""
    (tmp_path / "plugins").mkdir()
    assert trace(f"{tmp_path}/plugins", Look()) == ((str(tmp_path), "plugins"), (f"{tmp_path}/plugins", LISTING))
    assert trace("/", Look()) == (("/", LISTING),)


def test_spelling_is_no_obstacle(tmp_path: Path) -> None:
    """Doubled slashes, dots, and names that no file can have never raise."""
    assert trace(f"/{tmp_path}//./x/", Look()) == ((str(tmp_path), "x"),)
    assert trace(f"{tmp_path}/a\0b", Look()) == ((str(tmp_path), "a\0b"),)
    assert trace(f"{tmp_path}/\ud800", Look()) == ((str(tmp_path), "\ud800"),)


def test_a_look_sees_each_path_once(tmp_path: Path) -> None:
    """Within one look the picture stays the same, so that many traces cost one system call per directory."""
    look = Look()
    assert look.at(f"{tmp_path}/x") is None
    os.mkdir(f"{tmp_path}/x")
    assert look.at(f"{tmp_path}/x") is None
    assert isinstance(Look().at(f"{tmp_path}/x"), tuple)


def test_a_shared_look_changes_no_trace(tmp_path: Path) -> None:
    """Traces that start where others have been are the same as traces from the root, in any order."""
    (tmp_path / "d" / "e").mkdir(parents=True)
    (tmp_path / "d" / "up").symlink_to("..")
    (tmp_path / "l").symlink_to("d")
    names = [
        "d/a",
        "d/b",
        "d/e/a",
        "d/e/../a",
        "d/e/..",
        "d/e/.",
        "d/",
        "d/up/d/a",
        "l/a",
        "l/e/a",
        "d/e/a/b",
        "d//a",
        ".",
    ]
    shared = Look()
    for name in [*names, *reversed(names)]:
        assert trace(f"{tmp_path}/{name}", shared) == trace(f"{tmp_path}/{name}", Look())
