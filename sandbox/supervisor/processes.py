"""Runs programs as the host's accounts, confined, with their output collected by the loop. Standard library only."""

from __future__ import annotations

import errno
import fcntl
import marshal
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from corrigym.sandbox.supervisor import lockdown
from corrigym.sandbox.supervisor.loop import Loop

_LONGEST_ORDERS = 1 << 15
"""Bytes that a pipe takes in one go, whatever it is."""
_ABOVE = 10


@dataclass(frozen=True)
class Identity:
    """An account, as far as running something as it goes. `uid` None: this launcher has one uid, keep it."""

    name: str
    home: str
    uid: int | None
    gid: int
    groups: tuple[int, ...]


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

    def __init__(self, loop: Loop, pid: int, reader: int, limit: int, done: Callable[[Outcome], None]) -> None:
        self.loop, self.pid, self.reader, self.limit, self.done = loop, pid, reader, limit, done
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
        if not self.ended:
            self.timed_out = True
            _kill_group(self.pid)

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
class Waiting:
    """A child that is confined, and waits for its `orders`: what to execute. `reader` brings its output, `told` the
    descriptor that tells its system calls. Made ahead, as to make it is half of what a short command takes."""

    loop: Loop
    pid: int
    who: Identity
    reader: int
    orders: int
    told: socket.socket | None
    ended: bool = False

    def takes(self, orders: bytes) -> bool:
        """Gives it its orders. False if it cannot take them at once: the agent may have stopped or killed it."""
        if self.ended or len(orders) > _LONGEST_ORDERS or not _sleeps(self.pid):
            return False
        try:
            os.write(self.orders, orders)
        except BrokenPipeError:  # killed just now
            return False
        os.close(self.orders)
        return True

    def end(self) -> None:
        """Instead of orders. When this returns it is gone."""
        if not self.ended:
            os.kill(self.pid, signal.SIGKILL)  # until it is reaped, which ends it, the pid is its own
        while not self.ended:
            self.loop.turn()
        os.close(self.orders)
        os.close(self.reader)
        if self.told:
            self.told.close()

    def exited(self, _: int) -> None:
        self.ended = True


def prepare(
    loop: Loop, who: Identity, limits: dict[str, int], *, told: bool, orders: bytes = b"", patience: int = 1
) -> Waiting | None:
    """A child in a session of its own that executes what its orders say, which it has or waits for. `told`: its system
    calls are. None on a host whose processes are used up, after `patience` hundredths of a second."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    source, order = os.pipe2(os.O_CLOEXEC)
    ours, theirs = socket.socketpair() if told else (None, None)
    pid = _fork(loop, patience)
    if pid == 0:
        _child(source, writer, theirs, who, limits, orders)
    os.close(source)
    os.close(writer)
    if theirs:
        theirs.close()
    waiting = Waiting(loop, pid or 0, who, reader, order, ours, ended=pid is None)
    if pid is None:
        waiting.end()
        return None
    loop.on_exit(pid, waiting.exited)
    return waiting


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
    expect: Callable[[socket.socket, int, list[str]], None] | None = None,
    waiting: Waiting | None = None,
) -> int | None:
    """Starts `argv` in a process group of its own, and returns its pid; `done` is called once the program itself has
    ended. Whatever it left in the background goes on (its output is read and dropped). At `timeout` the whole group is
    killed. `expect` takes the socket on which the descriptor comes that tells the program's system calls, the pid and
    `argv`. On a host
    whose processes are used up the program fails as it would anywhere, and there is no pid. `waiting` becomes the
    program if it can, and is used up."""
    orders = marshal.dumps((argv, environment, cwd))
    fits = waiting is not None and waiting.who == who and bool(waiting.told) == bool(expect)
    if waiting and not (fits and waiting.takes(orders)):
        waiting.end()
        waiting = None
    if waiting is None:
        waiting = prepare(loop, who, limits, told=expect is not None, orders=orders, patience=100)
        if waiting is None:
            said = f"{argv[0]}: fork: {os.strerror(errno.EAGAIN)}\n".encode()
            done(Outcome(254, said, b"", len(said), 0, False, 0.0))
            return None
        os.close(waiting.orders)
    if expect and waiting.told:
        expect(waiting.told, waiting.pid, argv)
    os.set_blocking(waiting.reader, False)
    running = _Running(loop, waiting.pid, waiting.reader, limit, done)
    loop.watch(waiting.reader, selectors.EVENT_READ, running.readable)
    loop.on_exit(waiting.pid, running.exited)
    loop.after(timeout, running.late)
    return waiting.pid


def _fork(loop: Loop, patience: int) -> int | None:
    """Tries again: processes that were killed just now still count until they are reaped."""
    for _ in range(patience):
        try:
            return os.fork()
        except BlockingIOError:
            loop.turn(0.01)
    return None


def _child(
    source: int, writer: int, told: socket.socket | None, who: Identity, limits: dict[str, int], orders: bytes
) -> None:
    """Between fork and exec; never returns."""
    program = "sandbox"
    try:
        os.setsid()
        null = os.open("/dev/null", os.O_RDWR)
        source, keep = (fcntl.fcntl(fd, fcntl.F_DUPFD, _ABOVE) for fd in (source, told.fileno() if told else null))
        os.dup2(null, 0)
        os.dup2(writer, 1)
        os.dup2(writer, 2)
        os.dup2(keep, 3)
        os.dup2(source, 4)
        os.closerange(5, 4096)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # handlers end with exec, what is ignored does not
        os.umask(0o002)
        _be_the_first_to_go()
        listener = lockdown.confine(who.uid, who.gid, list(who.groups), limits, listen=told is not None)
        if listener is not None:  # from here on, whoever holds it decides: no watched call before it is on its way
            socket.send_fds(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, 3), [b"1"], [listener])
        os.closerange(5, 4096)
        os.closerange(3, 4)
        orders = orders or os.read(4, 2 * _LONGEST_ORDERS)
        os.close(4)
        if not orders:  # it is not wanted, or nobody is there any more
            return
        argv, environment, cwd = marshal.loads(orders)
        program = argv[0]
        try:
            os.chdir(cwd)
        except OSError:
            os.chdir("/")
        os.execvpe(program, argv, environment)
    except OSError as error:
        os.write(2, f"{program}: {error.strerror}\n".encode())
    finally:
        os._exit(126)


def _sleeps(pid: int) -> bool:
    """Or runs: not one that was stopped, or is as good as gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read(1024).rpartition(b")")[2].split()[0] in (b"S", b"R", b"D")
    except OSError:
        return False


def _be_the_first_to_go() -> None:
    """Where memory is used up, the agent's smallest process is killed before the supervisor is."""
    try:
        os.write(os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC), b"1000")
    except OSError:
        pass  # one uid: the file of a process that is not dumpable is root's


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
