"""Runs programs as the host's accounts, confined, with their output collected by the loop. Standard library only."""

from __future__ import annotations

import errno
import functools
import os
import selectors
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from corrigym.sandbox.supervisor import lockdown
from corrigym.sandbox.supervisor.accounts import Identity
from corrigym.sandbox.supervisor.loop import Loop
from corrigym.sandbox.supervisor.spawn import Spawner


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


class _Running:
    """One program from its start to its end, and its output even beyond."""

    def __init__(self, loop: Loop, reader: int, limit: int, done: Callable[[Outcome], None]) -> None:
        self.loop, self.reader, self.limit, self.done = loop, reader, limit, done
        self.pid: int | None = None
        self.spawner: Spawner | None = None
        self.output, self.started = _Output(limit), time.monotonic()
        self.open = True
        self.ended = self.timed_out = False

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
        if self.ended:
            return
        self.timed_out = True
        if self.pid is not None:
            _kill_group(self.pid)
        elif self.spawner:  # stopped before it executed anything, by somebody who was quick
            for pid in self.spawner.children():
                os.kill(pid, signal.SIGKILL)

    def begins(self, pid: int, limits: dict[str, int]) -> None:
        self.pid = pid
        lockdown.limit(limits, pid)
        _be_the_first_to_go(pid)

    def begun(self, program: str, pid: int, failure: int) -> None:
        if not failure:
            self.pid = pid
            self.loop.on_exit(pid, self.exited)
        elif failure == errno.EAGAIN:
            self.failed(f"{program}: fork: {os.strerror(failure)}", 254)
        else:
            self.failed(f"{program}: {os.strerror(failure)}", 126)

    def failed(self, said: str, exit_code: int) -> None:
        self.output.add(f"{said}\n".encode())
        self.exited(exit_code)

    def exited(self, exit_code: int) -> None:
        # a background process may write without end into the pipe that it inherited
        for _ in range(64):
            if not self.open or not self.readable():
                break
        self.ended = True
        head, tail, omitted = self.output.parts()
        duration = time.monotonic() - self.started
        self.done(Outcome(exit_code, head, tail, self.output.total, omitted, self.timed_out, duration))


@dataclass
class Begun:
    """A program whose calls are told. `begins` is called with its pid when it is about to execute something."""

    spawner: Spawner
    argv: list[str]
    begins: Callable[[int], None]
    seen: int = 0

    def executes(self, pid: int) -> list[str]:
        """Asked of each execution that its listener tells: what it is, if it is ours and not the program's own."""
        if self.seen == self.spawner.attempts:
            return []
        self.seen = self.spawner.attempts
        self.begins(pid)
        return self.argv


def run(
    loop: Loop,
    argv: list[str],
    who: Identity,
    *,
    environment: dict[str, str],
    cwd: str,
    timeout: float,
    limit: int,
    limits: dict[str, int],
    done: Callable[[Outcome], None],
    expect: Callable[[Begun, int], None] | None = None,
    spawner: Spawner | None = None,
) -> int | None:
    """Starts `argv` in a process group of its own; `done` is called once the program itself has ended. Whatever it left
    in the background goes on (its output is read and dropped). At `timeout` the whole group is killed. On a host whose
    processes are used up the program fails as it would anywhere.

    `expect` takes the descriptor that tells the program's system calls; then `spawner`, if it is there and of this
    account, is used up. Without `expect` they are not told, and the pid is returned, or None if there is none."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(reader, False)
    running = _Running(loop, reader, limit, done)
    loop.watch(reader, selectors.EVENT_READ, running.readable)
    loop.after(timeout, running.late)
    if expect is None:
        running.pid = _fork(loop)
        if running.pid == 0:
            _child(writer, argv, who, environment, cwd, limits)
        os.close(writer)
        if running.pid is None:
            running.failed(f"{argv[0]}: fork: {os.strerror(errno.EAGAIN)}", 254)
        else:
            loop.on_exit(running.pid, running.exited)
        return running.pid
    if spawner and spawner.who != who:
        spawner.end()
        spawner = None
    running.spawner = spawner or Spawner(loop, who)
    begun = Begun(running.spawner, argv, lambda pid: running.begins(pid, limits if who.uid is None else {}))
    attend = functools.partial(expect, begun)
    running.spawner.execute(argv, environment, cwd, writer, attend, lambda *result: running.begun(argv[0], *result))
    return None


def _fork(loop: Loop) -> int | None:
    """Tries for a second: processes that were killed just now still count until they are reaped."""
    for _ in range(100):
        try:
            return os.fork()
        except BlockingIOError:
            loop.turn(0.01)
    return None


def _child(
    writer: int, argv: list[str], who: Identity, environment: dict[str, str], cwd: str, limits: dict[str, int]
) -> None:
    """Between fork and exec; never returns."""
    try:
        os.setsid()
        null = os.open("/dev/null", os.O_RDWR)
        for number, descriptor in enumerate((null, writer, writer)):
            os.dup2(descriptor, number)
        os.closerange(3, 4096)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # handlers end with exec, what is ignored does not
            signal.signal(number, signal.SIG_DFL)
        os.umask(0o002)
        _be_the_first_to_go(os.getpid())
        lockdown.confine(who.uid, who.gid, list(who.groups), limits)
        try:
            os.chdir(cwd)
        except OSError:
            os.chdir("/")
        os.execvpe(argv[0], argv, environment)
    except OSError as error:
        os.write(2, f"{argv[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(126)


def _be_the_first_to_go(pid: int) -> None:
    """Where memory is used up, the agent's smallest process is killed before the supervisor is."""
    try:
        with open(f"/proc/{pid}/oom_score_adj", "wb", buffering=0) as file:
            file.write(b"1000")
    except OSError:
        pass  # one uid: the file of a process that is not dumpable is root's


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
