"""npm, as its user has it configured: which version a name means, and installing packages into a folder."""

from __future__ import annotations

import collections
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from bench.peers.protocol import PeerError

_VIEW_S = 120.0
_SHOWN_LINES = 12
_STOP_S = 5.0


def npm_program(path: str | None = None) -> str:
    """Return npm's path.

    Args:
        path: Where to look, as in `PATH`; this process's by default.

    Raises:
        PeerError: There is none.
    """
    found = shutil.which("npm", path=path)
    if found is None:
        raise PeerError(
            "npm isn't there, and peers from npm are installed with it. Install Node.js with npm 9 or newer (for "
            "example `apt-get install npm`, `brew install node`), then repeat the command."
        )
    return found


def resolve(name: str, tag: str) -> str:
    """Return the version that a tag of a package means now, such as `latest`.

    Raises:
        PeerError: There is no npm, or it doesn't answer with a version.
    """
    command = [npm_program(), "view", f"{name}@{tag}", "version", "--json", "--loglevel=error"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_VIEW_S, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise PeerError(f"npm view {name}@{tag} gave no answer for {_VIEW_S:.0f} s. Look at the network.") from None
    try:
        return msgspec.json.decode(done.stdout, type=str)
    except msgspec.DecodeError:
        tail = _tail(done.stderr.splitlines()) or "no output"
        raise PeerError(f"npm view {name}@{tag} found no version (status {done.returncode}): {tail}") from None


def install(
    folder: Path, packages: Sequence[str], say: Callable[[str], None], *, first_path: Path | None = None
) -> None:
    """Install packages into a folder's `node_modules`; ends with npm, also when it is interrupted.

    Args:
        folder: Becomes a package of its own.
        packages: As on npm's command line, `NAME@VERSION`.
        say: Shows how far it is.
        first_path: A folder of programs that npm and the packages' own scripts find first, such as another Node.

    Raises:
        PeerError: npm failed; has the end of what it said.
    """
    manifest = folder / "package.json"
    if not manifest.exists():
        manifest.write_text('{"private": true}\n', "utf-8")
    command = [npm_program(), "install", "--no-audit", "--no-fund", "--engine-strict", "--loglevel=http", *packages]
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=_environment(os.environ, first_path),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # its children end with it
    )
    assert process.stderr is not None
    lines: collections.deque[str] = collections.deque(maxlen=200)
    fetched = 0
    try:
        for line in process.stderr:
            if line.startswith("npm http"):
                fetched += 1
                say(f"{', '.join(packages)}: {fetched} answers of the registry")
            else:
                lines.append(line)
        status = process.wait()
    finally:
        _end(process)
    if status != 0:
        raise PeerError(f"npm install {' '.join(packages)} failed with status {status}: {_tail(lines)}")


def _environment(own: Mapping[str, str], first_path: Path | None) -> dict[str, str]:
    if first_path is None:
        return dict(own)
    return {**own, "PATH": f"{first_path}{os.pathsep}{own.get('PATH', os.defpath)}"}


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            os.killpg(process.pid, number)
            try:
                process.wait(_STOP_S)
                break
            except subprocess.TimeoutExpired:
                continue
    if process.stderr is not None:
        process.stderr.close()


def _tail(lines: Sequence[str] | collections.deque[str]) -> str:
    told = [line.strip() for line in lines if line.startswith("npm error") and "complete log" not in line]
    return " / ".join(told[-_SHOWN_LINES:] or [line.strip() for line in list(lines)[-_SHOWN_LINES:]])
