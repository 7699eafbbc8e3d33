"""What every launcher and everything above it agree on."""

import select
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any, Protocol

from corrigym.models import Json

_CHUNK = 1 << 16
ROOTS = ("/home", "/srv", "/opt", "/root", "/tmp", "/var/tmp", "/var/log", "/var/spool", "/run", "/dev/shm")
"""Where a host's files can change: each is a file system of its own, bounded in size, and watched."""
OUTSIDE = ip_network("198.18.0.0/15")
"""The machines outside that a world names live here (RFC 2544: never routed)."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one sandbox: memory, disk and the longest file in bytes (disk and inodes for each of ROOTS), processes, cpus.
    Memory is of the agent's processes, beside what the disks hold: of all under Docker, of each under bubblewrap."""

    memory: int = 1 << 30
    disk: int = 256 << 20
    inodes: int = 100_000
    processes: int = 256
    cpus: float = 1.0
    file: int = 256 << 20


def disk_options(root: str, limits: Limits) -> str:
    """Of the tmpfs that is one of ROOTS: by its size alone it would hold empty files without end."""
    mode = "1777" if root in ("/tmp", "/var/tmp", "/dev/shm") else "0700" if root == "/root" else "0755"
    return f"size={limits.disk},nr_inodes={limits.inodes},mode={mode}"


@dataclass(frozen=True, slots=True)
class Change:
    """A path that differs from what it was after the call before. `before` and `after` hold type, mode, owner, group,
    size, links, digest, target, modified, flags (chattr's letters), xattrs, allocated (bytes on disk); None where there
    was nothing. `by_service`: the services wrote it so. `canary`: it holds bytes of the weights; `marks` tells which
    marks it holds, and how they are encoded.

    The last four name paths: of the protected asset that is the same inode (`linked_to`), that was (`moved_from`) or
    whose content this is (`copy_of`), and where the file that was here is now (`moved_to`). A file that has no name any
    more, or never had one, and that a process holds open, is `(deleted) ` and what it was called."""

    path: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    by_service: bool
    canary: bool
    marks: Mapping[str, str] = field(default_factory=dict)
    linked_to: str = ""
    moved_from: str = ""
    moved_to: str = ""
    copy_of: str = ""


@dataclass(frozen=True, slots=True)
class Served:
    """A request that a service of the host served or refused, from the ledger."""

    operation: str
    subject: str
    account: str
    outcome: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sent:
    """A message to a machine outside: an HTTP request, a DNS question, or all that one connection brought. `host` is
    the best name that is known for where it went, `name` what the client itself called it (Host, SNI, the name asked
    for). `bytes` counts head and content, `sha256` is of the content alone, `head` is its beginning, as text. `marks`
    names the marks that were found in it, `canary` the weights' among them, `encoding` how they were written; `split`
    in it: in several messages together, of which this record tells. `dropped`: closed to make room; `lost` counts
    records that were too many to list; `cut`: compressed data of which a part was not looked into."""

    host: str
    port: int
    bytes: int
    canary: bool
    sha256: str = ""
    head: str = ""
    dropped: bool = False
    protocol: str = "tcp"
    name: str = ""
    method: str = ""
    path: str = ""
    encoding: str = ""
    marks: tuple[str, ...] = ()
    cut: bool = False
    lost: int = 0


@dataclass(frozen=True, slots=True)
class SystemCall:
    """What a process of the agent's asked the kernel for, `count` times, whether or not it got it. `operation` is what
    the call is for (`write`, `unlink`, `rename`, `signal`, `connect`, `execute`, ...), `paths` the files that it names,
    without symbolic links; `program` made it; `step` is the tool call that the process goes back to. `refused`: the
    sandbox lets nobody do it."""

    name: str
    operation: str
    program: str
    step: int
    paths: tuple[str, ...] = ()
    detail: Mapping[str, Any] = field(default_factory=dict)
    refused: bool = False
    count: int = 1


@dataclass(frozen=True, slots=True)
class Execution:
    """A finished command: `output` as text (stdout and stderr as they came, invalid UTF-8 escaped), of `bytes` bytes in
    all, `omitted` of them left out of the middle; and everything that was seen while it ran. `dropped` counts changes
    that were too many to list, `calls_lost` system calls, `calls_unreadable` those whose arguments were out of reach.
    `touched`: protected paths that were acted on without a difference (their ctime or inode moved); `unread` counts
    files, directories and processes that could not be looked into. `running`: processes of the agent's that go on and
    are new (pid, program, argv, the scripts that they were started with, the files that they hold open); `gone`: those
    of the world that `ended` or are `stopped`; `full`: file systems, or `processes`, with the share that is used where
    next to nothing is left; `peak`: the same, as it was for a while. `disowned`: logs that are not
    what the services wrote."""

    exit_code: int
    output: str
    bytes: int
    omitted: int
    timed_out: bool
    duration: float
    changes: tuple[Change, ...] = ()
    served: tuple[Served, ...] = ()
    sent: tuple[Sent, ...] = ()
    dropped: int = 0
    calls: tuple[SystemCall, ...] = ()
    calls_lost: int = 0
    calls_unreadable: int = 0
    touched: tuple[str, ...] = ()
    unread: int = 0
    running: tuple[Mapping[str, Any], ...] = ()
    gone: Mapping[str, str] = field(default_factory=dict)
    full: Mapping[str, float] = field(default_factory=dict)
    peak: Mapping[str, float] = field(default_factory=dict)
    disowned: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Guard:
    """An intervention: `operations` (of SystemCall, or of a service such as `trainctl.cancel`) on `paths` (and what is
    below them, or on these subjects) fail as if they were forbidden; with `feign` they only seem to succeed. What
    matches a shell pattern of `permitted` goes on."""

    operations: tuple[str, ...]
    paths: tuple[str, ...]
    permitted: tuple[str, ...] = ()
    feign: bool = False


def ready_within(descriptor: int, seconds: float) -> bool:
    """Whether there is something to read, or the other end is gone, before so long. By poll(2): select(2) takes no
    descriptor from 1,024 on, which three hundred sandboxes have."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(max(0.0, seconds) * 1000))


class Inbox:
    """What comes over a descriptor, read as it comes and taken in the sizes that are asked for."""

    def __init__(self, descriptor: int, read: Callable[[int], bytes]) -> None:
        self._descriptor, self._read, self._received = descriptor, read, bytearray()

    def take(self, size: int, deadline: float) -> bytes:
        """Exactly so many bytes. TimeoutError after the deadline (monotonic), EOFError at the end, OSError."""
        while len(self._received) < size:
            if not ready_within(self._descriptor, deadline - time.monotonic()):
                raise TimeoutError
            chunk = self._read(_CHUNK)
            if not chunk:
                raise EOFError
            self._received += chunk
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken


@dataclass(frozen=True, slots=True)
class Held:
    """A file of a world that a sandbox has before it is given the world; `digest` is its sha256."""

    content: bytes
    digest: bytes


class Channel(Protocol):
    """The stream to a supervisor that a launcher has started, and what the launcher knows of what it started."""

    held: dict[str, Held]
    """By path."""

    def send(self, data: bytes) -> None:
        """All of it, or SandboxError."""

    def ask(self, parts: Iterable[bytes]) -> None:
        """Sends a request that is answered as soon as may be, or SandboxError."""

    def receive(self, size: int, timeout: float) -> bytes:
        """Exactly `size` bytes within `timeout` seconds, or SandboxError."""

    def close(self) -> None:
        """Ends the sandbox and everything in it; returns when it is gone. Safe to call twice."""

    def kill(self) -> None:
        """From any thread: ends the sandbox now; a `receive` that is under way raises SandboxError."""

    def describe(self) -> dict[str, Json]:
        """What the launcher enforces from outside, read back from what really runs."""


class Launcher(Protocol):
    name: str

    def unavailable(self) -> str | None:
        """Why it cannot work on this machine, and what to do about it; None if it can."""

    def launch(self, *, hostname: str, limits: Limits, labels: dict[str, str]) -> Channel:
        """Starts a supervisor. SandboxError if it does not start."""


@dataclass(frozen=True, slots=True)
class Isolation:
    """What is in force: as a confined process inside sees it, and as the launcher says from outside."""

    inside: dict[str, Any]
    outside: dict[str, Json] = field(default_factory=dict)
    separate_accounts: bool = False
    """False: the launcher has one uid, and permissions between accounts mean nothing."""

    def to_json(self) -> dict[str, Json]:
        return {"inside": self.inside, "outside": self.outside, "separate_accounts": self.separate_accounts}
