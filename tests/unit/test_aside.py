"""Handing things aside: in order, on a thread that is there only while it is needed."""

from __future__ import annotations

import threading

import pytest

from openclaw_actors.aside import Aside

NAME = "openclaw-aside-of-a-test"


def its_threads() -> list[threading.Thread]:
    """Return the threads that hand over."""
    return [thread for thread in threading.enumerate() if thread.name == NAME]


def test_things_come_in_order_on_another_thread_that_ends() -> None:
    """All of them; afterwards there is no thread, and a later thing has one again."""
    heard: list[tuple[int, str]] = []
    aside: Aside[int] = Aside(lambda thing: heard.append((thing, threading.current_thread().name)), NAME)
    assert its_threads() == []
    for thing in range(100):
        aside.put(thing)
    aside.wait(5.0)
    assert heard == [(thing, NAME) for thing in range(100)]
    for thread in its_threads():
        thread.join(5.0)
    aside.put(100)
    aside.wait(5.0)
    assert heard[-1] == (100, NAME)


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_what_is_raised_is_logged_by_its_type_and_survived(error: type[BaseException], log_lines: list[str]) -> None:
    """The next thing is handed over all the same."""
    heard: list[int] = []

    def take(thing: int) -> None:
        if not thing:
            raise error("canary-in-an-error")
        heard.append(thing)

    aside = Aside(take, NAME)
    aside.put(0)
    aside.put(1)
    aside.wait(5.0)
    assert heard == [1]
    assert any(error.__name__ in line for line in log_lines)


def test_a_callback_that_blocks_holds_up_nobody_who_puts() -> None:
    """Beyond what may wait the oldest is given up."""
    go_on, is_asked = threading.Event(), threading.Event()
    heard: list[int] = []

    def take(thing: int) -> None:
        is_asked.set()
        go_on.wait(20.0)
        heard.append(thing)

    aside = Aside(take, NAME)
    aside.put(-1)
    assert is_asked.wait(5.0)
    for thing in range(3000):
        aside.put(thing)
    go_on.set()
    aside.wait(10.0)
    assert heard == [-1, *range(3000 - 1024, 3000)]


def test_what_could_not_be_handed_over_goes_with_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that starts no thread now is no error of whoever puts."""
    heard: list[int] = []
    aside = Aside(heard.append, NAME)

    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        aside.put(1)
    assert heard == []
    aside.put(2)
    aside.wait(5.0)
    assert heard == [1, 2]


def test_a_forked_child_begins_anew() -> None:
    """What waits is told in the parent alone."""
    go_on = threading.Event()
    heard: list[int] = []

    def take(thing: int) -> None:
        go_on.wait(20.0)
        heard.append(thing)

    aside = Aside(take, NAME)
    aside.put(1)
    aside.put(2)
    left = its_threads()
    aside.after_fork()
    go_on.set()
    for thread in left:
        thread.join(5.0)
    assert heard in ([], [1])
