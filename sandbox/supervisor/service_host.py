"""Gives the mock stack's services what they need of the sandbox (`scenarios.stack.host.Host`), inside the supervisor's
process, where no agent reaches them. Standard library only, Python 3.9.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import json
import os
import select
import socket
import struct
from collections.abc import Callable
from typing import Any

from corrigym.sandbox.supervisor import files, processes, targets
from corrigym.sandbox.supervisor.accounts import Accounts
from corrigym.sandbox.supervisor.guards import Guard
from corrigym.sandbox.supervisor.loop import Loop
from corrigym.sandbox.supervisor.spawn import Program
from corrigym.scenarios.stack.host import Reply, Request

MAX_REQUEST = 1 << 20
MAX_CLIENTS = 64
JOB_OUTPUT = 1 << 20


class ServiceHost:
    """`authored` maps each path that the services wrote to the digest that it has if nobody else touched it."""

    def __init__(
        self,
        loop: Loop,
        accounts: Accounts,
        now: float,
        limits: dict[str, int],
        agent: str,
        logs: list[str],
        expect: processes.Expect | None,
        guards: list[Guard],
    ) -> None:
        self.now, self._loop, self._accounts, self._limits, self._agent = now, loop, accounts, limits, agent
        self._expect, self._guards, self._feigning = expect, guards, False
        self.own: set[int] = set()
        """Pids of the processes that the world started."""
        self.authored: dict[str, str] = {}
        self.served: list[dict[str, Any]] = []
        self._clients: set[_Client] = set()
        self._expected: dict[str, Any] = {}
        self._services: dict[str, Any] = {}
        """By the sockets that they listen on."""
        for path in logs:
            self._expected[path] = hashlib.sha256(self.read(path, files.HASH_LIMIT))

    def listen(self, path: str, handler: Callable[[Request], Reply]) -> None:
        self._services[path] = getattr(handler, "__self__", None)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(path)
        os.chmod(path, 0o666)
        listener.listen(64)
        listener.setblocking(False)
        self._loop.watch(listener.fileno(), select.POLLIN, lambda _: self._accept(listener, handler))

    def read(self, path: str, limit: int = 1 << 20) -> bytes:
        with files.open_regular(path) as file:
            data: bytes = file.read(limit + 1)
        if len(data) > limit:
            raise OSError(27, "file too large", path)
        return data

    def write(self, path: str, data: bytes, *, owner: str, group: str, mode: int = 0o664) -> None:
        """By a new file and rename: a link or pipe that the agent put in the place is replaced, not followed."""
        if self._feigning:
            return
        draft = f"{path}.new"
        if os.path.lexists(draft):
            os.unlink(draft)
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
        if self._accounts.many:
            os.chown(draft, *self._accounts.ids(owner, group))
        os.chmod(draft, mode)
        os.replace(draft, path)
        self.authored[path] = hashlib.sha256(data).hexdigest()

    def append(self, path: str, data: bytes) -> None:
        if self._feigning:
            return
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            fd = os.open(path, flags, 0o664)
        except OSError:
            return  # the agent put something else in its place: that is evidence, and no reason to fail its request
        with os.fdopen(fd, "ab") as file:
            if os.fstat(fd).st_size == 0:  # begun anew: that it was removed or emptied is evidence of its own
                self._expected[path] = hashlib.sha256()
            file.write(data)
        expected = self._expected.setdefault(path, hashlib.sha256())
        expected.update(data)
        self.authored[path] = expected.hexdigest()

    def remove(self, path: str) -> None:
        os.unlink(path)

    def run(
        self,
        argv: list[str],
        *,
        account: str,
        cwd: str,
        timeout: float,
        done: Callable[[int | None, bytes], None],
        watched: bool = False,
    ) -> None:
        who, environment = self._accounts.identity(account), self._accounts.environment(account)
        processes.run(
            self._loop,
            Program(argv, who, environment, cwd, timeout, JOB_OUTPUT, self._limits),
            lambda outcome: done(None if outcome.timed_out else outcome.exit_code, outcome.head + outcome.tail),
            expect=self._expect if watched else None,
        )

    def after(self, seconds: float, callback: Callable[[], None]) -> None:
        self._loop.after(seconds, callback)

    def alive(self, account: str) -> int:
        """How many processes of the account there are, the world's own not counted."""
        uid = self._accounts.identity(account).uid
        return sum(pid != 1 and pid not in self.own and _runs(pid, uid) for pid in targets.pids())

    def ledger(self, operation: str, subject: str, account: str, outcome: str, detail: dict[str, Any]) -> None:
        outcome = "feigned" if self._feigning else outcome
        self.served.append(
            {"operation": operation, "subject": subject, "account": account, "outcome": outcome, "detail": detail}
        )

    def _accept(self, listener: socket.socket, handler: Callable[[Request], Reply]) -> None:
        try:
            peer, _ = listener.accept()
        except OSError:
            return
        if len(self._clients) >= MAX_CLIENTS:
            peer.close()
            return
        _, uid, _ = struct.unpack("=iii", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        account = self._accounts.name(uid) if self._accounts.many else self._agent
        guarded = functools.partial(self._guarded, handler)
        self._clients.add(_Client(self._loop, peer, account, guarded, self._clients))

    def _guarded(self, handler: Callable[[Request], Reply], request: Request) -> Reply:
        """What the service replies; where a guard holds, a refusal, or a reply of which nothing comes."""
        operation, subjects = ".".join(request.argv[:2]), request.argv[2:3]
        guard = next((guard for guard in self._guards if guard.holds(operation, subjects)), None)
        if guard is None:
            return handler(request)
        if not guard.feign:
            self.ledger(operation, subjects[0], request.account, "denied", {})
            return Reply(f"{request.argv[0]}: {os.strerror(errno.EPERM)}", 1)
        self._feigning = True
        try:
            return handler(request)
        finally:
            self._feigning = False

    def memory(self) -> dict[str, Any]:
        """What the services know beyond the files: their public attributes, which are plain data."""
        return {
            "services": {path: _known(service) for path, service in self._services.items()},
            "authored": dict(self.authored), "logs": sorted(self._expected),
        }  # fmt: skip

    def recall(self, memory: dict[str, Any]) -> None:
        """The other way round, once the files are as they were."""
        for path, known in memory["services"].items():
            vars(self._services[path]).update(known)
        self.authored = memory["authored"]
        for path in memory["logs"]:
            try:
                self._expected[path] = hashlib.sha256(self.read(path, files.HASH_LIMIT))
            except OSError:
                self._expected[path] = hashlib.sha256()
            if self.authored.get(path, digest := self._expected[path].hexdigest()) != digest:
                self._expected[path].update(b"not what the services wrote")  # as little as what follows on it

    def list(self, path: str) -> list[str]:  # last: in a class, its name hides the type's
        return sorted(os.listdir(path))


def _known(service: Any) -> dict[str, Any]:
    known = {name: value for name, value in vars(service).items() if name not in ("host", "config")}
    return {name: value for name, value in known.items() if not name.startswith("_")}


def _runs(pid: int, uid: int | None) -> bool:
    """Whether the process is there, is no zombie, and is the account's (any, where there is one uid only)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            state = file.read(1024).rpartition(b")")[2].split()[0]
            return state != b"Z" and uid in (None, os.fstat(file.fileno()).st_uid)
    except (OSError, IndexError):
        return False


class _Client:
    """One request, one reply. The time that a client takes costs nobody else anything."""

    def __init__(
        self, loop: Loop, peer: socket.socket, account: str, handler: Callable[[Request], Reply], among: set[_Client]
    ) -> None:
        self._loop, self._peer, self._account, self._handler, self._among = loop, peer, account, handler, among
        self._fd, self._received, self._reply = peer.fileno(), b"", b""
        peer.setblocking(False)
        loop.watch(self._fd, select.POLLIN, self._readable)
        loop.after(30, self._close)

    def _readable(self, _: int) -> None:
        try:
            data = self._peer.recv(65536)
        except OSError:
            data = b""
        self._received += data
        if not data or len(self._received) > MAX_REQUEST:
            self._close()
        elif self._received.endswith(b"\n"):
            self._reply = self._serve()
            self._loop.watch(self._fd, select.POLLOUT, self._writable)

    def _serve(self) -> bytes:
        try:
            message = json.loads(self._received)
            argv, stdin = message["argv"], message.get("stdin", "")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return b'{"text": "malformed request", "exit_code": 1}\n'
        if not isinstance(argv, list) or not all(isinstance(word, str) for word in [*argv, stdin]) or not argv:
            return b'{"text": "malformed request", "exit_code": 1}\n'
        reply = self._handler(Request(argv, stdin, self._account))
        return json.dumps({"text": reply.text, "exit_code": reply.exit_code}).encode() + b"\n"

    def _writable(self, _: int) -> None:
        try:
            self._reply = self._reply[self._peer.send(self._reply) :]
        except BlockingIOError:
            return
        except OSError:
            self._reply = b""
        if not self._reply:
            self._close()

    def _close(self) -> None:
        if self in self._among:
            self._among.discard(self)
            self._loop.forget(self._fd)
            self._peer.close()
