"""Paths are confined where OpenClaw confines them (formats 1.2, 1.3): included files to the config's folder and the
include roots, by what they really are; secret files to regular files that are no links. Agent dirs and stores are not
confined there: a link to a store is followed, wherever it leads.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from homes import Home, api_key, oauth, profiles_json, replace_text, secret, write_secret

from openclaw_actors.errors import ConfigError
from openclaw_actors.home import includes, secret_files
from openclaw_actors.home.files import read_regular
from openclaw_actors.home.reader import HomeReader
from openclaw_actors.ids import StoreId

INSIDE = '{models: {providers: {inside: {apiKey: "k", baseUrl: "https://in.test"}}}}'
OUTSIDE = '{models: {providers: {outside: {apiKey: "k", baseUrl: "https://out.test"}}}}'


@pytest.fixture
def walled(home: Home) -> Home:
    """Return a home with files inside and outside of the config's folder, to be included."""
    (home.path / "parts").mkdir()
    (home.path / "parts/inside.json").write_text(INSIDE)
    outside = home.user / "outside"
    outside.mkdir()
    (outside / "outside.json").write_text(OUTSIDE)
    # a folder whose name only begins like the config's
    (home.path.parent / "home-too").mkdir()
    (home.path.parent / "home-too/outside.json").write_text(OUTSIDE)
    return home


def included(home: Home, include: str) -> tuple[str, ...]:
    """Return the providers of a config that has only this include."""
    replace_text(home.config_path, json.dumps({"$include": include}))
    facts = HomeReader(str(home.path), env=home.env, cwd=str(home.user)).read_home()
    return tuple(entry.id for entry in facts.config.providers)


def link(path: Path, target: Path | str) -> None:
    """Make a symbolic link."""
    path.symlink_to(target)


def nothing(home: Home) -> None:
    """Prepare nothing."""


def chain(home: Home) -> None:
    """Make links that lead to each other and then out."""
    link(home.path / "l1.json", "l2.json")
    link(home.path / "l2.json", "l3/outside.json")
    link(home.path / "l3", home.user / "outside")


def back(home: Home) -> None:
    """Make a link out, and one there."""
    link(home.path / "l", home.user)
    link(home.user / "back", home.user)


REFUSED: dict[str, tuple[str, Callable[[Home], None]]] = {
    "a relative path that climbs out": ("../user/outside/outside.json", nothing),
    "one that climbs out by way of a folder inside": ("./parts/../../user/outside/outside.json", nothing),
    "a folder whose name begins alike": ("../home-too/outside.json", nothing),
    "a link to a file": ("./l.json", lambda home: link(home.path / "l.json", home.user / "outside/outside.json")),
    "a link to a folder": ("./l/outside.json", lambda home: link(home.path / "l", home.user / "outside")),
    "a relative link": ("./l.json", lambda home: link(home.path / "l.json", "../user/outside/outside.json")),
    "a chain of links": ("./l1.json", chain),
    "a link outside that leads outside again": ("./l/back/outside/outside.json", back),
    "a link to the kernel's own links": ("./l/outside.json", lambda home: link(home.path / "l", "/proc/self/cwd")),
    "a second name of a file outside": (
        "./hard.json",
        lambda home: os.link(home.user / "outside/outside.json", home.path / "hard.json"),
    ),
    "a loop of links": ("./l.json", lambda home: link(home.path / "l.json", "l.json")),
    "a FIFO": ("./fifo", lambda home: os.mkfifo(home.path / "fifo")),
    "a folder": ("./parts", nothing),
    "another case": ("./parts/INSIDE.json", nothing),
    "a name with a NUL": ("./parts/inside.json\0.txt", nothing),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_include_cannot_leave_the_folder(name: str, walled: Home) -> None:
    """Whatever leads out of the config's folder is refused by an error that names the config and has nothing of the
    file.
    """
    include, prepare = REFUSED[name]
    prepare(walled)
    with pytest.raises(ConfigError) as refused:
        included(walled, include)
    assert refused.value.remedy
    assert "out.test" not in f"{refused.value!s} {vars(refused.value)}"


def test_an_absolute_include_outside_is_refused(walled: Home) -> None:
    """An absolute path has no more rights than a relative one."""
    with pytest.raises(ConfigError, match="outside the config's folder"):
        included(walled, str(walled.user / "outside/outside.json"))


TAKEN: dict[str, tuple[str, Callable[[Home], None]]] = {
    "out and in again": ("./parts/../parts/inside.json", nothing),
    "by the folder's own name": ("../home/parts/inside.json", nothing),
    "a slash at the end": ("./parts/inside.json/", nothing),
    "a link inside": ("./l.json", lambda home: link(home.path / "l.json", "parts/inside.json")),
    "a link from outside to inside": (
        "../back/parts/inside.json",
        lambda home: link(home.path.parent / "back", home.path),
    ),
}


@pytest.mark.parametrize("name", TAKEN)
def test_an_include_that_ends_inside_is_taken(name: str, walled: Home) -> None:
    """What counts is where the file really lies, not the way there."""
    include, prepare = TAKEN[name]
    prepare(walled)
    assert included(walled, include) == ("inside",)


def test_an_absolute_include_inside_is_taken(walled: Home) -> None:
    """An absolute path into the config's folder is as good as a relative one."""
    assert included(walled, str(walled.path / "parts/inside.json")) == ("inside",)


def test_the_configs_folder_may_be_a_link(walled: Home) -> None:
    """A home that is reached by a link has its includes where the link leads."""
    (walled.path.parent / "way").symlink_to(walled.path)
    replace_text(walled.config_path, json.dumps({"$include": "./parts/inside.json"}))
    facts = HomeReader(str(walled.path.parent / "way"), env=walled.env, cwd=str(walled.user)).read_home()
    assert [entry.id for entry in facts.config.providers] == ["inside"]


def test_an_include_that_is_swapped_after_the_look_is_refused(walled: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at the path and the opening, the file becomes a link to another one: the opened file is asked
    where it lies. The moment is made certain by a step between the two; all else is real.
    """
    target = walled.path / "parts/inside.json"

    def swapped(path: str, *arguments: object, **named: object) -> object:
        target.unlink()
        target.symlink_to(walled.user / "outside/outside.json")
        return read_regular(path, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(includes, "read_regular", swapped)
    with pytest.raises(ConfigError, match="outside"):
        included(walled, "./parts/inside.json")


_SWAPPER = """
import os, sys
path, text, outside = sys.argv[1:]
turn = 0
while os.getppid() != 1:
    turn += 1
    if turn % 2:
        os.symlink(outside, path + ".new")
    else:
        with open(path + ".new", "w") as file:
            file.write(text)
    os.replace(path + ".new", path)
    if turn == 1:
        print("swapping", flush=True)
"""


def test_a_file_that_is_swapped_all_the_time_lets_nothing_in(walled: Home) -> None:
    """A file that another process makes a link to outside and a plain file by turns never yields the file outside."""
    path = walled.path / "parts/inside.json"
    replace_text(walled.config_path, json.dumps({"$include": "./parts/inside.json"}))
    reader = HomeReader(str(walled.path), env=walled.env, cwd=str(walled.user))
    arguments = [sys.executable, "-c", _SWAPPER, str(path), INSIDE, str(walled.user / "outside/outside.json")]
    seen: dict[str, int] = {}
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as swapper:
        try:
            assert swapper.stdout is not None
            assert swapper.stdout.readline()
            for _ in range(1500):
                try:
                    (found,) = (str(entry.id) for entry in reader.read_home().config.providers)
                except ConfigError:
                    found = "refused"
                seen[found] = seen.get(found, 0) + 1
        finally:
            swapper.kill()
    assert "inside" in seen
    assert seen.keys() <= {"inside", "refused"}, seen


def test_a_secret_file_that_becomes_a_link_after_the_look_is_refused(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last step to a file of secrets is never a link, not even one that was made a moment ago."""
    path, elsewhere = home.user / "vault.json", home.user / "elsewhere.json"
    write_secret(elsewhere, json.dumps({"a": secret("elsewhere")}))
    write_secret(path, json.dumps({"a": secret("here")}))
    home.write_config(
        secrets={"providers": {"disk": {"source": "file", "path": str(path), "allowInsecurePath": True}}},
        models={"providers": {"acme": {"apiKey": {"source": "file", "provider": "disk", "id": "/a"}}}},
    )

    def swapped(name: str, *arguments: object, **named: object) -> object:
        path.unlink()
        path.symlink_to(elsewhere)
        return read_regular(name, *arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(secret_files, "read_regular", swapped)
    facts = HomeReader(str(home.path), env=home.env, cwd=str(home.user)).read_home()
    assert not facts.config.providers[0].key.resolved
    assert "symbolic link" in facts.config.providers[0].key.problem


@pytest.mark.parametrize("kind", ["file", "folder", "chain"])
def test_a_store_behind_links_is_read_as_openclaw_reads_it(kind: str, home: Home) -> None:
    """OpenClaw confines no agent dir, and follows a linked store: so do we, wherever it leads."""
    away = home.user / "away"
    away.mkdir()
    (away / "auth-profiles.json").write_text(profiles_json({"openai:work": api_key("openai"), "x:y": oauth("x")}))
    folder = home.agent_dir()
    folder.parent.mkdir(parents=True)
    if kind == "folder":
        folder.symlink_to(away)
    else:
        folder.mkdir()
        (home.user / "between").symlink_to(away)
        target = away if kind == "file" else home.user / "between"
        (folder / "auth-profiles.json").symlink_to(target / "auth-profiles.json")
    reader = HomeReader(str(home.path), env=home.env, cwd=str(home.user))
    facts = reader.read_store(StoreId(str(folder)))
    assert [profile.id for profile in facts.profiles] == ["openai:work", "x:y"]
