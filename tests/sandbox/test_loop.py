"""The supervisor's event loop."""

import functools
import os
import select
import signal
import subprocess
import threading
import weakref
from collections.abc import Iterator

import pytest

from corrigym.sandbox.supervisor.loop import Loop


@pytest.fixture
def loop() -> Iterator[Loop]:
    before = signal.getsignal(signal.SIGCHLD)
    yield Loop()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, before)


def ready() -> int:
    """A descriptor from which one byte can be read."""
    reader, writer = os.pipe()
    os.write(writer, b"x")
    os.close(writer)
    return reader


def test_what_a_turn_within_a_turn_has_taken_is_not_told_again(loop: Loop) -> None:
    taken: list[bytes] = []
    first, second = ready(), ready()

    def take(fd: int) -> None:
        loop.forget(fd)
        taken.append(os.read(fd, 1))
        loop.turn(0)

    # whichever comes first, within it the other one's turn comes
    loop.watch(first, select.POLLIN, lambda _: take(first))
    loop.watch(second, select.POLLIN, lambda _: taken.append(os.read(second, 1)))
    loop.turn(0)
    assert taken == [b"x", b"x"]


def test_who_takes_over_a_descriptor_does_not_get_what_was_there_for_another(loop: Loop) -> None:
    told: list[str] = []
    first, second = ready(), ready()

    def take_over(_: int) -> None:
        loop.forget(first)
        loop.watch(second, select.POLLIN, lambda _: told.append("new"))

    loop.watch(first, select.POLLIN, take_over)
    loop.watch(second, select.POLLIN, lambda _: told.append("old"))
    loop.turn(0)
    assert told == []
    loop.turn(0)
    assert told == ["new"]


def test_a_cancelled_timer_neither_calls_nor_wakes_nor_holds_what_it_would_have_called(loop: Loop) -> None:
    called: list[str] = []
    held = {"output"}
    kept = weakref.ref(held)
    loop.after(3600, lambda: called.append("last"))
    loop.after(0.03, lambda: called.append("due"))
    loop.cancel(loop.after(0.01, functools.partial(called.extend, held)))
    del held
    assert kept() is None
    loop.turn()
    assert called == ["due"]


def test_a_timer_can_be_cancelled_by_one_that_is_due_with_it(loop: Loop) -> None:
    called: list[str] = []
    loop.after(0, lambda: loop.cancel(second))
    second = loop.after(0, lambda: called.append("second"))
    loop.turn()
    loop.turn(0)
    assert called == []


def test_a_thread_wakes_it(loop: Loop) -> None:
    done: list[int] = []
    threading.Timer(0.05, lambda: loop.soon(lambda: done.append(1))).start()
    while not done:
        loop.turn()


def test_a_child_that_ends_before_its_pid_is_told_is_not_missed(loop: Loop) -> None:
    codes: list[int] = []
    loop.child_begins()
    child = subprocess.Popen(["/bin/sh", "-c", "exit 3"])
    while child.pid not in loop._unclaimed:
        loop.turn()
    loop.on_exit(child.pid, codes.append)
    loop.child_has_begun()
    while not codes:
        loop.turn()
    child.returncode = codes[0]
    assert codes == [3]
