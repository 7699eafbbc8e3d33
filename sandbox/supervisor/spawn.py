"""Starts programs from a thread that is confined as they are to be. In Linux identity, capabilities and filters
are a thread's own, and a child that is spawned (posix_spawn: a vfork) has those of the thread that spawns it. To fork
the supervisor itself costs three times what a short command does, as every page that either touches then is copied.

A thread that waits for its orders is no process: nobody inside sees, stops or kills it. Standard library only, Python
3.9.
"""

from __future__ import annotations

import _thread
import contextlib
import ctypes
import errno
import functools
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from corrigym.sandbox.supervisor import lockdown
from corrigym.sandbox.supervisor.accounts import Identity
from corrigym.sandbox.supervisor.loop import Loop

_libc = ctypes.CDLL(None)
_SET_SIGNALS, _SET_SESSION = 4, 128
"""POSIX_SPAWN_SETSIGDEF, POSIX_SPAWN_SETSID."""
_ALL_SIGNALS = b"\xff" * 128
IGNORED = (signal.SIGPIPE, signal.SIGXFSZ)
"""By Python; and what is ignored stays so beyond exec."""
_NOT_THERE = (errno.ENOENT, errno.EACCES, errno.ENOTDIR)
_ARENAS = -8
"""M_ARENA_MAX of mallopt(3)."""
_thread.stack_size(256 << 10)
with contextlib.suppress(AttributeError):  # of glibc: a heap for each thread would only take room
    _libc.mallopt(_ARENAS, 1)
with contextlib.suppress(OSError):  # which glibc would load when the first thread ends, confined as that is by then
    ctypes.CDLL("libgcc_s.so.1")


@dataclass(frozen=True)
class Program:
    """What is to run, as whom and where. `timeout` is in seconds, `limit` in bytes of output that are kept; `limits`
    are those of setrlimit(2) that are not the supervisor's own."""

    argv: list[str]
    who: Identity
    environment: dict[str, str]
    cwd: str
    timeout: float
    limit: int
    limits: dict[str, int]


class Spawner:
    """A thread that is, or soon will be, confined as `who` is. What its programs, and whatever they start, call is told
    on one descriptor: so the next program may begin only when nothing of the last one is left."""

    def __init__(self, loop: Loop, who: Identity) -> None:
        self.who = who
        self._loop, self._go = loop, _thread.allocate_lock()
        self._go.acquire()
        self._work: Callable[[int], Any] = id
        self._done: Callable[[Any], object] = id
        self._attend: Callable[[int], None] | None = None
        self._listener: int | None = None
        self.used = self._over = False
        self._thread = 0
        _thread.start_new_thread(self._serve, ())

    def execute(
        self,
        program: Program,
        output: int,
        tries: Callable[[], None],
        attend: Callable[[int], None],
        done: Callable[[tuple[int, int]], None],
    ) -> None:
        """`done` gets the pid, or 0 and an errno. In the thread, `tries` is called before each attempt to execute
        something."""
        self.do(functools.partial(_spawn, program, output, tries), attend, done)

    def do(self, work: Callable[[int], Any], attend: Callable[[int], None], done: Callable[[Any], None]) -> None:
        """`work` in the thread, with an errno if it could not be confined; `done`, in the loop, gets what comes of it.
        Before, `attend` gets the descriptor on which calls are told."""
        self.used, self._work, self._attend, self._done = True, work, attend, done
        self._loop.child_begins()
        self._hand_over()
        self._go.release()

    def end(self) -> None:
        """Takes no more orders. What was told of goes on being told."""
        self._over = True
        self._hand_over()
        self._go.release()

    def children(self) -> list[int]:
        """The program, as long as it has executed nothing."""
        try:
            with open(f"/proc/self/task/{self._thread}/children") as file:
                return [int(pid) for pid in file.read().split()]
        except OSError:
            return []

    def _serve(self) -> None:
        """The thread."""
        self._thread = _thread.get_native_id()
        listener, failure = None, 0
        try:
            listener = lockdown.confine_thread(self.who.uid, self.who.gid, list(self.who.groups))
        except OSError as error:
            failure = error.errno or errno.EPERM
        self._loop.soon(functools.partial(self._is_confined, listener))
        while True:
            self._go.acquire()
            if self._over:
                return
            self._loop.soon(functools.partial(self._has_done, self._work(failure)))

    def _is_confined(self, listener: int | None) -> None:
        self._listener = listener
        self._hand_over()

    def _hand_over(self) -> None:
        """The descriptor, as soon as there are both it and somebody who wants it."""
        if self._listener is None:
            return
        if self._attend is not None:
            self._attend(self._listener)
            self._attend = None
        elif self._over and not self.used:
            os.close(self._listener)

    def _has_done(self, result: Any) -> None:
        self._done(result)
        self._loop.child_has_begun()


def _spawn(program: Program, output: int, tries: Callable[[], None], failure: int) -> tuple[int, int]:
    """In the confined thread, which has a working directory of its own: the pid, or 0 and an errno."""
    if failure:
        return 0, failure
    try:
        words = [os.fsencode(word) for word in program.argv]
        variables = [os.fsencode(f"{name}={value}") for name, value in program.environment.items()]
    except UnicodeEncodeError:
        return 0, errno.EINVAL
    if any(b"\0" in text for text in (*words, *variables)):
        return 0, errno.EINVAL
    try:
        os.chdir(program.cwd)
    except (OSError, ValueError):
        os.chdir("/")
    folders = [b""] if b"/" in words[0] else os.fsencode(program.environment.get("PATH", "")).split(b":")
    pid, failure = 0, errno.ENOENT
    for folder in folders:
        tries()
        pid, failure = _posix_spawn(os.path.join(folder, words[0]), words, variables, output)
        if failure not in _NOT_THERE:
            break
    return pid, failure


def _posix_spawn(program: bytes, words: list[bytes], variables: list[bytes], output: int) -> tuple[int, int]:
    """posix_spawn(3), whose structures are opaque: of 80 and 336 bytes in glibc. os.posix_spawn would keep all other
    threads from running, among them the one that has to let the child execute."""
    actions, attributes = ctypes.create_string_buffer(256), ctypes.create_string_buffer(1024)
    _libc.posix_spawn_file_actions_init(actions)
    _libc.posix_spawnattr_init(attributes)
    try:
        for descriptor in (1, 2):
            _libc.posix_spawn_file_actions_adddup2(actions, output, descriptor)
        _libc.posix_spawnattr_setflags(attributes, ctypes.c_short(_SET_SIGNALS | _SET_SESSION))
        _libc.posix_spawnattr_setsigdefault(attributes, _ALL_SIGNALS)  # of each one not in it, glibc asks what it is
        pid = ctypes.c_int(0)
        failure: int = _libc.posix_spawn(
            ctypes.byref(pid), program, actions, attributes, _array(words), _array(variables)
        )
    finally:
        _libc.posix_spawn_file_actions_destroy(actions)
        _libc.posix_spawnattr_destroy(attributes)
    return (0, failure) if failure else (pid.value, 0)


def _array(texts: list[bytes]) -> ctypes.Array[ctypes.c_char_p]:
    return (ctypes.c_char_p * (len(texts) + 1))(*texts, None)
