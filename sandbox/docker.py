"""The launcher on a Docker engine: one hardened container, whose PID 1 is the supervisor, over one attached stream."""

import contextlib
import json
import os
import platform
import socket
import struct
import threading
import time
from collections.abc import Iterable, Sequence
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from corrigym.errors import SandboxError, SandboxUnavailable
from corrigym.models import Json
from corrigym.sandbox import image
from corrigym.sandbox.base import ROOTS, Channel, Held, Inbox, Limits, disk_options
from corrigym.sandbox.owner import owner_labels
from corrigym.sandbox.payload import primed

if TYPE_CHECKING:
    from docker import DockerClient

LABEL = "org.corrigym.sandbox"
"""On every object that we make in an engine."""
CAPABILITIES = (
    "SETUID", "SETGID", "KILL", "SETPCAP",         # to run commands as the host's accounts, with nothing left over
    "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID",   # to write the world with its owners, and to read what is locked
    "NET_ADMIN", "NET_BIND_SERVICE",               # to answer for the machines outside
    "SYS_PTRACE",                                  # to read what a system call's arguments point at
)  # fmt: skip
_SECCOMP = json.dumps(
    {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]}
    if platform.machine() == "x86_64"
    else {"defaultAction": "SCMP_ACT_ALLOW"}
)
"""For the whole container, the supervisor included. The agent's processes have a filter of their own, stricter than the
engine's default profile (`supervisor.seccomp`), which refuses and tells: the engine's would refuse first, unseen."""
_local = threading.local()


class Docker:
    """`runtime`: what the engine runs containers with, such as `runsc` or `kata`; its default if None. `hosts`: engines
    (unix:///... or tcp://...) that get sandboxes in turn; the one that the environment names if there are none."""

    name = "docker"

    def __init__(self, runtime: str | None = None, hosts: Sequence[str] = ()) -> None:
        self.runtime, self.hosts = runtime, tuple(hosts)
        self._turn = 0

    def unavailable(self) -> str | None:
        return next(filter(None, (_unavailable(host, self.runtime) for host in self.hosts or (None,))), None)

    def prepare(self, progress: image.Progress) -> None:
        """Builds the image where it is missing. SandboxUnavailable if that cannot be done."""
        from docker.errors import DockerException

        try:
            for host in self.hosts or (None,):
                image.ensure_image(client(host), progress)
        except DockerException as error:
            raise SandboxUnavailable(f"the sandbox image cannot be built: {_shortly(error)}") from error

    def launch(self, *, hostname: str, limits: Limits, labels: dict[str, str]) -> Channel:
        from docker.errors import DockerException

        self._turn += 1
        host = self.hosts[self._turn % len(self.hosts)] if self.hosts else None
        try:
            return primed(_launch(host, self.runtime, hostname, limits, labels))
        except (DockerException, OSError) as error:
            raise SandboxError(f"the Docker engine did not start a container: {error}") from error


def client(host: str | None = None) -> "DockerClient":
    """A client for this thread, of the engine at `host` or the one that the environment names: the SDK's are not safe
    to share."""
    import docker

    clients: dict[str | None, DockerClient] = _local.__dict__.setdefault("clients", {})
    if host not in clients:
        named = {} if host is None else {"DOCKER_HOST": host}
        clients[host] = docker.from_env(timeout=120, max_pool_size=16, environment={**os.environ, **named})
    return clients[host]


@cache
def _unavailable(host: str | None, runtime: str | None) -> str | None:
    from docker.errors import DockerException

    where = f" at {host}" if host else ""
    try:
        known = sorted(client(host).info().get("Runtimes") or {})
    except (DockerException, OSError) as error:
        return f"no Docker engine answers{where} ({_shortly(error)}): start one, or use --sandbox bubblewrap"
    if runtime is None or runtime in known:
        return None
    return (
        f"the Docker engine{where} has no runtime {runtime!r} (it has {', '.join(known)}): install it, name it under"
        ' "runtimes" in the engine\'s daemon.json and restart the engine, or leave --docker-runtime out'
    )


@cache
def _engine(host: str | None) -> str | None:
    found: str | None = client(host).version().get("Version")
    return found


def _shortly(error: Exception) -> str:
    """The innermost reason, without the layers of quoting that the SDK wraps around it."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
    return getattr(error, "strerror", None) or str(error).splitlines()[0]


def _launch(host: str | None, runtime: str | None, hostname: str, limits: Limits, labels: dict[str, str]) -> Channel:
    from docker.types import LogConfig

    api = client(host).api
    container = api.create_container(
        image.tag(),
        ["python3", "-IS", "/usr/local/sbin/init"],
        hostname=hostname,
        stdin_open=True,
        network_disabled=True,  # "none" alone runs the engine's own program as a hook, half of a start
        labels={LABEL: "1", **owner_labels(), **labels},
        environment={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
        host_config=api.create_host_config(
            auto_remove=True,
            runtime=runtime,
            network_mode="none",
            ipc_mode="private",
            cgroupns="private",
            cap_drop=["ALL"],
            cap_add=list(CAPABILITIES),
            security_opt=["no-new-privileges", f"seccomp={_SECCOMP}"],
            log_config=LogConfig(type=LogConfig.types.NONE),
            pids_limit=limits.processes,
            mem_limit=_memory(limits),
            memswap_limit=_memory(limits),
            nano_cpus=int(limits.cpus * 1e9),
            tmpfs={root: f"rw,exec,nosuid,nodev,{disk_options(root, limits)}" for root in ROOTS},
        ),
    )["Id"]
    try:
        attached = api.attach_socket(container, params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
        api.start(container)
    except BaseException:
        with contextlib.suppress(Exception):
            api.remove_container(container, force=True)
        raise
    return _Attached(host, container, attached)


def _memory(limits: Limits) -> int:
    """What lies in a tmpfs counts as memory that no killed process frees: full disks must leave room for the rest."""
    return limits.memory + len(ROOTS) * limits.disk


class _Attached:
    """The channel: what we write is the container's stdin; what comes back is its stdout and stderr in frames of the
    engine's (a byte for the stream, three empty ones, four of length)."""

    def __init__(self, host: str | None, container: str, attached: Any) -> None:
        self._host, self._container, self._attached = host, container, attached
        self._socket: socket.socket = getattr(attached, "_sock", attached)
        self._socket.settimeout(None)
        self._inbox, self._answers, self._stderr = Inbox(self._socket.fileno(), self._socket.recv), bytearray(), b""
        self._closed = False
        self.held: dict[str, Held] = {}

    def send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise SandboxError(
                f"the Docker sandbox is gone: {self._stderr.decode(errors='replace') or error}"
            ) from error

    def ask(self, parts: Iterable[bytes]) -> None:
        for part in parts:
            self.send(part)

    def receive(self, size: int, timeout: float) -> bytes:
        deadline = time.monotonic() + timeout
        try:
            while len(self._answers) < size:
                kind, length = struct.unpack(">BxxxI", self._inbox.take(8, deadline))
                data = self._inbox.take(length, deadline)
                if kind == 1:
                    self._answers += data
                else:
                    self._stderr = (self._stderr + data)[-4096:]
        except TimeoutError:
            raise SandboxError(f"the Docker sandbox did not answer within {timeout:.0f} s") from None
        except EOFError:
            said = self._stderr.decode("utf-8", "replace").strip()
            raise SandboxError(f"the Docker sandbox ended: {said or 'without a word'}") from None
        except OSError as error:
            raise SandboxError(f"the Docker sandbox is gone: {error}") from error
        taken = bytes(self._answers[:size])
        del self._answers[:size]
        return taken

    def close(self) -> None:
        from docker.errors import DockerException

        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        # it may be on its way out already: PID 1 ends with its stdin, and the engine removes it
        with contextlib.suppress(DockerException, OSError):
            client(self._host).api.remove_container(self._container, force=True, v=True)
        self._attached.close()
        self._socket.close()

    def kill(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def describe(self) -> dict[str, Json]:
        """As the engine says that it runs, not as we asked for it."""
        return self._described

    @cached_property
    def _described(self) -> dict[str, Json]:
        details = client(self._host).api.inspect_container(self._container)
        config = details["HostConfig"]
        keys = (
            "NetworkMode",
            "CapDrop",
            "CapAdd",
            "SecurityOpt",
            "PidsLimit",
            "Memory",
            "NanoCpus",
            "Runtime",
            "Binds",
        )
        return {
            "launcher": "docker",
            "engine": _engine(self._host),
            "image": details["Image"],
            **{key: config.get(key) for key in keys},
            "mounts": [mount["Destination"] for mount in details.get("Mounts", [])],
        }
