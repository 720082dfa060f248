"""What the commands that write into stores have in common: errors as one line with an exit status, and the question
before.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

import click

from openclaw_actors import errors
from openclaw_actors.cli.source import RefusedError
from openclaw_actors.cli.text import clean
from openclaw_actors.shapes import About


class NotWrittenError(click.ClickException):
    """A store is busy, or the change was not published in time: it may be tried again (exit status 75, EX_TEMPFAIL)."""

    exit_code = 75


class BrokenStoreError(NotWrittenError):
    """A store is broken; it is left as it is (exit status 65, EX_DATAERR)."""

    exit_code = 65


class NotPermittedError(NotWrittenError):
    """A store can't be written, or is of a kind that isn't (exit status 77, EX_NOPERM)."""

    exit_code = 77


_MADE: tuple[tuple[type[errors.OpenclawActorsError], type[NotWrittenError]], ...] = (
    (errors.StoreUnreadableError, BrokenStoreError),
    (errors.StoreReadOnlyError, NotPermittedError),
)


class NothingThereError(Exception):
    """There is no such profile: nothing to do."""


def raise_for_unread(about: About) -> None:
    """Where nothing was found to be done: say that a store can't be read, if one can't.

    Raises:
        BrokenStoreError: One can't.
    """
    unread = next((one for one in about.conditions if one.type == "StoresReadable" and not one.status), None)
    if unread is not None:
        raise BrokenStoreError(clean(unread.message))


@contextlib.contextmanager
def said_in_one_line() -> Iterator[None]:
    """Turn what a supervisor raises, or a gateway answers, into one line with its exit status.

    Raises:
        NothingThereError: There is no such profile.
        NotWrittenError: The store was not changed as asked.
    """
    try:
        yield
    except errors.OpenclawActorsError as error:
        raise _told(type(error), str(error)) from None
    except RefusedError as error:
        kind = getattr(errors, error.kind, errors.OpenclawActorsError)
        raise _told(kind if isinstance(kind, type) else errors.OpenclawActorsError, str(error)) from None


def _told(kind: type, message: str) -> Exception:
    if issubclass(kind, errors.NoSuchProfileError):
        return NothingThereError(message)
    made = next((made for one, made in _MADE if issubclass(kind, one)), NotWrittenError)
    return made(clean(message))


def confirm(question: str, *, yes: bool) -> None:
    """Ask a person on a terminal, unless they have said `--yes`.

    Raises:
        click.UsageError: Nobody is there to be asked.
        click.Abort: They said no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} Nobody is there to be asked: say --yes if that is meant.")
    click.confirm(question, abort=True, err=True)
