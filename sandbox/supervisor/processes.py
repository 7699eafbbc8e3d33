"""Runs programs as the host's accounts, confined, with their output collected by the loop. Standard library only."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from corrigym.sandbox.supervisor import lockdown
from corrigym.sandbox.supervisor.accounts import Identity
from corrigym.sandbox.supervisor.loop import Loop
from corrigym.sandbox.supervisor.spawn import IGNORED, Program, Spawner


@dataclass(frozen=True)
class Outcome:
    """`exit_code` is negative for a signal; `bytes` counts the whole output, of which `output` keeps at most the limit:
    its beginning and, after `omitted` bytes, its end."""

    exit_code: int
    head: bytes
    tail: bytes
    bytes: int
    omitted: int
    timed_out: bool
    duration: float


class _Output:
    """Collects a pipe's bytes: the first half of the limit and the last half of it."""

    def __init__(self, limit: int) -> None:
        self.head, self.tail, self.total, self._half = bytearray(), bytearray(), 0, max(1, limit // 2)

    def add(self, data: bytes) -> None:
        self.total += len(data)
        room = self._half - len(self.head)
        self.head += data[:room]
        self.tail += data[room:] if room < len(data) else b""
        if len(self.tail) > 4 * self._half + 65536:
            del self.tail[: -self._half]

    def parts(self) -> tuple[bytes, bytes, int]:
        tail = bytes(self.tail[-self._half :])
        return bytes(self.head), tail, self.total - len(self.head) - len(tail)


@dataclass
class Begun:
    """A program whose calls are told. `begins` is called with its pid when it is about to execute something."""

    argv: list[str]
    begins: Callable[[int], None]
    attempts: int = 0
    seen: int = 0

    def tries(self) -> None:
        """Before each attempt to execute it."""
        self.attempts += 1

    def executes(self, pid: int) -> list[str]:
        """Asked of each execution that its listener tells: what it is, if it is ours and not the program's own."""
        if self.seen == self.attempts:
            return []
        self.seen = self.attempts
        self.begins(pid)
        return self.argv


Expect = Callable[[Begun, int], None]
"""Takes a program and the descriptor that tells its system calls."""


class _Running:
    """One program from its start to its end, and its output even beyond."""

    def __init__(self, loop: Loop, program: Program, done: Callable[[Outcome], None]) -> None:
        self.loop, self.program, self.done = loop, program, done
        self.reader, self.writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.reader, False)
        self.pid: int | None = None
        self.spawner: Spawner | None = None
        self.begun = Begun(program.argv, self.begins)
        self.output, self.started = _Output(program.limit), time.monotonic()
        self.open = True
        self.ended = self.timed_out = False
        loop.watch(self.reader, select.POLLIN, self.readable)
        self.too_late = loop.after(program.timeout, self.late)

    def spawn(self, spawner: Spawner, expect: Expect, then: Callable[[], None] = lambda: None) -> None:
        def spawned(result: tuple[int, int]) -> None:
            pid, failure = result
            then()
            if failure == errno.EAGAIN:  # for a thread and a child there is no room, for a child there may be
                self.fork(expect)
            elif failure:
                os.close(self.writer)
                self.failed(os.strerror(failure), 126)
            else:
                os.close(self.writer)
                self.goes_on(pid)

        self.spawner = spawner
        spawner.execute(self.program, self.writer, self.begun.tries, functools.partial(expect, self.begun), spawned)

    def fork(self, expect: Expect | None) -> None:
        ours, theirs = socket.socketpair() if expect else (None, None)
        self.begun.tries()
        pid = _fork(self.loop)
        if pid == 0:
            _child(self.program, self.writer, theirs)
        os.close(self.writer)
        if theirs and ours and expect:
            theirs.close()
            _when_it_comes(self.loop, ours, functools.partial(expect, self.begun))
        if pid is None:
            self.failed(f"fork: {os.strerror(errno.EAGAIN)}", 254)
        else:
            self.goes_on(pid)

    def begins(self, pid: int) -> None:
        self.pid = pid
        try:
            lockdown.limit(self.program.limits, pid)
        except OSError:  # it is gone, or is to go: nothing runs without its limits
            _kill(pid)
        if self.program.who.uid is not None:  # else the file of a process that is not dumpable is root's
            _be_the_first_to_go(pid)

    def goes_on(self, pid: int) -> None:
        self.pid = pid
        self.loop.on_exit(pid, self.exited)

    def failed(self, reason: str, exit_code: int) -> None:
        self.output.add(f"{self.program.argv[0]}: {reason}\n".encode())
        self.exited(exit_code)

    def readable(self, _: int = 0) -> bool:
        """Takes one read's worth of output; True if there was any. What comes after the end is dropped."""
        try:
            data = os.read(self.reader, 65536)
        except BlockingIOError:
            return False
        if not data:
            self.loop.forget(self.reader)
            os.close(self.reader)
            self.open = False
        elif not self.ended:
            self.output.add(data)
        return bool(data)

    def late(self) -> None:
        self.timed_out = True
        if self.pid is not None:
            _kill_group(self.pid)
        elif self.spawner:  # stopped before it executed anything, by somebody who was quick
            for pid in self.spawner.children():
                _kill(pid)

    def exited(self, exit_code: int) -> None:
        self.loop.cancel(self.too_late)
        # a background process may write without end into the pipe that it inherited
        for _ in range(64):
            if not self.open or not self.readable():
                break
        self.ended = True
        head, tail, omitted = self.output.parts()
        duration = time.monotonic() - self.started
        self.done(Outcome(exit_code, head, tail, self.output.total, omitted, self.timed_out, duration))


def run(
    loop: Loop,
    program: Program,
    done: Callable[[Outcome], None],
    *,
    expect: Expect | None = None,
    spawner: Spawner | None = None,
) -> int | None:
    """Starts a program in a process group of its own; `done` is called once the program itself has ended. Whatever it
    left in the background goes on (its output is read and dropped). At its timeout the whole group is killed. On a host
    whose processes are used up the program fails as it would anywhere.

    With `expect` its calls are told; `spawner`, if it is there, starts it. Without, the pid is returned, or None if
    there is none."""
    if program.who.uid == 0:
        lockdown.load_the_rest()
    running = _Running(loop, program, done)
    if expect and spawner:
        running.spawn(spawner, expect)
    elif expect and (own := spawner_for(loop, program.who)):
        running.spawn(own, expect, then=own.end)
    else:
        running.fork(expect)
    return running.pid


def spawner_for(loop: Loop, who: Identity) -> Spawner | None:
    """None where no more threads can be had."""
    try:
        return Spawner(loop, who)
    except RuntimeError:
        return None


def _when_it_comes(loop: Loop, channel: socket.socket, take: Callable[[int], None]) -> None:
    """A child is about to send a descriptor, or ends before it comes so far."""

    def arrived(_: int) -> None:
        try:
            descriptors = socket.recv_fds(channel, 1, 1)[1]
        except OSError:
            descriptors = []
        loop.forget(channel.fileno())
        channel.close()
        for descriptor in descriptors:
            take(descriptor)

    loop.watch(channel.fileno(), select.POLLIN, arrived)


def _fork(loop: Loop) -> int | None:
    """Tries for a second: processes that were killed just now still count until they are reaped."""
    for _ in range(100):
        try:
            return os.fork()
        except BlockingIOError:
            loop.turn(0.01)
    return None


def _child(program: Program, writer: int, told: socket.socket | None) -> None:
    """Between fork and exec; never returns."""
    try:
        os.setsid()
        null = os.open("/dev/null", os.O_RDWR)
        keep = os.dup(told.fileno() if told else null)
        for number, descriptor in enumerate((null, writer, writer, keep)):
            os.dup2(descriptor, number)
        os.closerange(4, 4096)
        for number in IGNORED:  # handlers end with exec, what is ignored does not
            signal.signal(number, signal.SIG_DFL)
        os.umask(0o002)
        _be_the_first_to_go(os.getpid())
        who = program.who
        listener = lockdown.confine(who.uid, who.gid, list(who.groups), program.limits, listen=told is not None)
        if listener is not None:  # from here on, whoever holds it decides: no watched call before it is on its way
            socket.send_fds(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, 3), [b"1"], [listener])
        os.closerange(3, 4096)
        try:
            os.chdir(program.cwd)
        except OSError:
            os.chdir("/")
        os.execvpe(program.argv[0], program.argv, program.environment)
    except OSError as error:
        os.write(2, f"{program.argv[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(126)


def _be_the_first_to_go(pid: int) -> None:
    """Where memory is used up, the agent's smallest process is killed before the supervisor is."""
    try:
        with open(f"/proc/{pid}/oom_score_adj", "wb", buffering=0) as file:
            file.write(b"1000")
    except OSError:
        pass  # it is gone


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
