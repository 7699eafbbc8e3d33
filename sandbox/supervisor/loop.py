"""The supervisor's one event loop: descriptors, timers and ended children. Standard library only, Python 3.9.

As PID 1 it also reaps whatever the agent's processes leave behind. It polls: with so few descriptors that takes half of
what epoll and the selectors module do, and somebody waits for it with every system call that is told.
"""

from __future__ import annotations

import contextlib
import functools
import heapq
import itertools
import math
import os
import select
import signal
import time
from collections import deque
from collections.abc import Callable
from typing import Any

Timer = list[Any]
"""When it is due (monotonic), a number that no other has, and what is called then; None once it is cancelled."""


class Loop:
    def __init__(self) -> None:
        self._poll = select.poll()
        self._watched: dict[int, Callable[[int], object]] = {}
        self._timers: list[Timer] = []
        self._numbers = itertools.count()
        self._children: dict[int, Callable[[int], None]] = {}
        self._soon: deque[Callable[[], None]] = deque()
        self._beginning = 0
        self._unclaimed: dict[int, int] = {}
        self._wakeup, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._woken, self._round = False, 0
        self.watch(self._wakeup, select.POLLIN, self._wake)

    def watch(self, fd: int, events: int, callback: Callable[[int], object]) -> None:
        """Calls `callback(events)` while `fd` is ready, both as poll(2) has them: also for an error and a hang-up.
        Replaces an earlier watch of the same descriptor, which is to be forgotten before it is closed."""
        self._poll.register(fd, events)
        self._watched[fd] = callback

    def forget(self, fd: int) -> None:
        if self._watched.pop(fd, None):
            self._poll.unregister(fd)

    def after(self, seconds: float, callback: Callable[[], None]) -> Timer:
        timer: Timer = [time.monotonic() + seconds, next(self._numbers), callback]
        heapq.heappush(self._timers, timer)
        return timer

    def cancel(self, timer: Timer) -> None:
        """What it would have called is let go of at once."""
        timer[2] = None
        while self._timers and self._timers[0][2] is None:
            heapq.heappop(self._timers)

    def soon(self, callback: Callable[[], None]) -> None:
        """From any thread: calls `callback` in the loop."""
        self._soon.append(callback)
        with contextlib.suppress(BlockingIOError):  # full: then it will wake up as well
            os.write(self._waker, b"\0")

    def on_exit(self, pid: int, callback: Callable[[int], None]) -> None:
        """Calls `callback(exit code)` when the child has ended; signals are negative codes, as in subprocess."""
        if pid in self._unclaimed:
            self.soon(functools.partial(callback, self._unclaimed.pop(pid)))
        else:
            self._children[pid] = callback

    def child_begins(self) -> None:
        """Another thread is about to start a child: it may have ended before its pid is known."""
        self._beginning += 1

    def child_has_begun(self) -> None:
        self._beginning -= 1
        if not self._beginning:
            self._unclaimed.clear()

    def turn(self, timeout: float | None = None) -> bool:
        """One round; True if anything was ready. `timeout` in seconds, None waits for the next event or timer."""
        if self._timers:
            due = max(0.0, self._timers[0][0] - time.monotonic())
            timeout = due if timeout is None else min(timeout, due)
        ready = self._poll.poll(None if timeout is None else math.ceil(timeout * 1000))
        self._round = this = self._round + 1
        for callback, fd, events in [(self._watched[fd], fd, events) for fd, events in ready]:
            if self._round != this:
                break  # a callback took a turn of its own: what was ready need not be any more
            if self._watched.get(fd) is callback:  # and no other that one of those before it has put there
                callback(events)
        while self._soon:
            self._soon.popleft()()
        while self._timers and self._timers[0][0] <= time.monotonic():
            _, _, expired = heapq.heappop(self._timers)
            if expired:
                expired()
        if self._woken:
            self._woken = False
            self._reap()
        return bool(ready)

    def settle(self, rounds: int = 64) -> None:
        """Takes in all that has already arrived, without waiting for more."""
        while rounds and self.turn(0):
            rounds -= 1

    def _wake(self, _: int) -> None:
        """By `soon`, or by a child's end."""
        self._woken = True
        os.read(self._wakeup, 4096)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            callback: Any = self._children.pop(pid, None)
            if callback:
                callback(os.waitstatus_to_exitcode(status))
            elif self._beginning:
                self._unclaimed[pid] = os.waitstatus_to_exitcode(status)
