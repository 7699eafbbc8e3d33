"""A running host: what an environment holds, whichever launcher started it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from ipaddress import ip_address
from itertools import chain
from types import TracebackType
from typing import Any, Self

from corrigym.errors import SandboxError
from corrigym.sandbox.base import (
    OUTSIDE,
    ROOTS,
    Change,
    Channel,
    Execution,
    Guard,
    Held,
    Isolation,
    Launcher,
    Limits,
    Sent,
    Served,
    SystemCall,
)
from corrigym.sandbox.snapshots import Beginning, Checkpoint
from corrigym.sandbox.supervisor import wire
from corrigym.sandbox.supervisor.certificates import Authority
from corrigym.scenarios.times import resolve, resolve_marks
from corrigym.scenarios.world import Entry, World

GRACE = 60.0
"""Seconds beyond a command's own timeout after which the supervisor is given up."""
OUTPUT_LIMIT = 64 << 10
"""Bytes of a command's output that are kept."""
_PIECE = 1 << 16
"""Bytes of a world that are sent in one go at least."""
SECRET = ("weights", "credentials")
"""Kinds of asset of which reading is evidence too."""
READ_ONLY = ("/", "/etc", "/usr/local")
"""Where one uid owns everything, what belongs to root is made unchangeable as a file system."""


class Sandbox:
    """Use `Sandbox.start`, and close it (it is a context manager): then everything in it is gone.

    Every method raises SandboxError if the sandbox itself fails; a command that fails is an Execution.
    """

    def __init__(self, channel: Channel, beginning: Beginning) -> None:
        self._channel, self._beginning, self.launcher = channel, beginning, beginning.launcher.name
        self.isolation = Isolation({})

    @classmethod
    def start(
        cls,
        world: World,
        launcher: Launcher,
        *,
        now: datetime,
        limits: Limits | None = None,
        labels: Mapping[str, str] | None = None,
        guards: Sequence[Guard] = (),
    ) -> Self:
        """A host as `world` describes it, with the world's times resolved against `now` (aware, UTC). `guards` say
        what must not happen."""
        limits = limits or Limits()
        channel = launcher.launch(hostname=world.hostname, limits=limits, labels=dict(labels or {}))
        sandbox = cls(channel, Beginning(world, launcher, now, limits, tuple(guards)))
        try:
            if strangers := channel.held.keys() - {entry.path for entry in world.entries}:
                raise SandboxError(f"the sandbox was prepared for another world: it has {min(strangers)}")
            contents = [_to_send(entry, channel.held.get(entry.path), now) for entry in world.entries]
            request = _start_request(world, now, limits, guards, contents)
            sent = [content for content in contents if content is not None]
            digests = (  # made while the contents are written
                channel.held[entry.path].digest if content is None else sha256(content).digest()
                for entry, content in zip(world.entries, contents, strict=True)
            )
            size = sum(map(len, sent)) + sha256().digest_size * len(contents)
            sandbox._send({**request, "attached": size}, chain(_together(sent), _together(digests)))
            outside = channel.describe()  # while the host is set up
            answer = sandbox._answer(request, GRACE)
            sandbox.isolation = Isolation(answer["isolation"], outside, answer["separate_accounts"])
        except BaseException:
            channel.close()
            raise
        return sandbox

    def exec(
        self,
        command: str,
        *,
        timeout: float = 60.0,
        account: str | None = None,
        cwd: str | None = None,
        environment: Mapping[str, str] | None = None,
        limit: int = OUTPUT_LIMIT,
        step: int = 0,
        evidence: bool = True,
    ) -> Execution:
        """Runs `command` by bash as `account` (the agent's if None), in its home directory unless `cwd` says otherwise.
        After `timeout` seconds its process group is killed; the output keeps at most `limit` bytes. What its processes
        do, also later, is told under the number `step`; without `evidence` nothing is (what that costs, a benchmark
        wants to know)."""
        request = {
            "op": "exec", "argv": ["/bin/bash", "-c", command], "account": account, "cwd": cwd,
            "environment": dict(environment or {}), "timeout": timeout, "limit": limit,
            "step": step, "evidence": evidence,
        }  # fmt: skip
        return _execution(self._ask(request, timeout + GRACE))

    def read(self, path: str, limit: int = 1 << 20) -> bytes | None:
        """The content of a regular file of at most `limit` bytes; None where there is none."""
        answer = self._ask({"op": "read", "path": path, "limit": limit}, GRACE)
        return wire.unpack(answer["content"]) if "content" in answer else None

    def aftermath(self, timeout: float = 600.0) -> tuple[dict[str, Any], Execution]:
        """Lets what is scheduled happen now. Returns what the host's services say became of it, and what was seen."""
        answer = self._ask({"op": "aftermath"}, timeout)
        return answer["report"], _seen(answer["seen"])

    def probe(self, timeout: float = 120.0) -> dict[str, Any]:
        """Runs the pipeline's code, as it stands on the host, on hidden examples, and returns how it behaves."""
        return self._ask({"op": "probe"}, timeout)

    def sweep(self) -> Execution:
        """Runs nothing; tells what is different after all, with every file read whole, whatever its times say."""
        return _seen(self._ask({"op": "sweep"}, GRACE))

    def checkpoint(self) -> Checkpoint:
        """What `fork` makes this host again from; it tells what is in it and what not. This one goes on undisturbed."""
        answer = self._ask({"op": "checkpoint"}, GRACE)
        return Checkpoint(self._beginning, answer["state"], tuple(answer["running"]), _seen(answer["seen"]))

    @classmethod
    def fork(
        cls, checkpoint: Checkpoint, *, launcher: Launcher | None = None, labels: Mapping[str, str] | None = None
    ) -> Self:
        """A host of its own as it was at the checkpoint; it tells only of what happens in it from here on. `launcher`
        is of the same kind as the first one's."""
        begun = checkpoint.beginning
        chosen = launcher or begun.launcher
        if chosen.name != begun.launcher.name:
            raise SandboxError(f"a checkpoint of {begun.launcher.name} cannot go on in {chosen.name}")
        sandbox = cls.start(
            begun.world, chosen, now=begun.now, limits=begun.limits, labels=labels, guards=begun.guards
        )  # fmt: skip
        try:
            sandbox._ask({"op": "restore", "state": checkpoint.state}, GRACE)
        except BaseException:
            sandbox.close()
            raise
        return sandbox

    def close(self) -> None:
        self._channel.close()

    def kill(self) -> None:
        """From any thread: ends the sandbox now; a call that is under way raises SandboxError."""
        self._channel.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, request: dict[str, Any], timeout: float) -> dict[str, Any]:
        self._send(request)
        return self._answer(request, timeout)

    def _send(self, request: dict[str, Any], attached: Iterable[bytes] = ()) -> None:
        try:
            self._channel.ask(chain([wire.encode(request)], attached))
        except wire.WireError as error:
            raise SandboxError(f"the {self.launcher} sandbox cannot be asked: {error}") from error

    def _answer(self, request: dict[str, Any], timeout: float) -> dict[str, Any]:
        try:
            answer = wire.decode(lambda size: self._channel.receive(size, timeout))
        except wire.WireError as error:
            raise SandboxError(f"the {self.launcher} sandbox broke its protocol: {error}") from error
        if "ok" not in answer:
            raise SandboxError(f"the {self.launcher} sandbox failed at {request['op']}: {answer.get('error')}")
        result: dict[str, Any] = answer["ok"]
        return result


@lru_cache(maxsize=256)
def _authority(canary: str) -> str:
    """Made here, while the sandbox starts."""
    return Authority(bytes.fromhex(canary)).pem


def _start_request(
    world: World, now: datetime, limits: Limits, guards: Sequence[Guard], contents: Sequence[bytes | None]
) -> dict[str, Any]:
    groups = world.groups
    protected = sorted({path for asset in world.assets.values() for path in asset.paths})
    return {
        "op": "start",
        "accounts": [
            {"name": account.name, "uid": account.uid, "gid": groups[account.name], "home": account.home,
             "shell": account.shell, "groups": [account.name, *account.groups]}
            for account in world.accounts
        ],
        "groups": groups,
        "agent": world.agent,
        "entries": [_entry(entry, content, now) for entry, content in zip(world.entries, contents, strict=True)],
        "services": _resolved(world.services, now),
        "now": now.timestamp(),
        "roots": list(ROOTS),
        "protected": protected,
        "guards": [asdict(guard) for guard in guards],
        "processes": [{"name": one.name, "argv": list(one.argv), "account": one.account} for one in world.processes],
        "most": {"processes": limits.processes, "memory": limits.memory},
        "secret": sorted({path for asset in world.assets.values() if asset.kind in SECRET for path in asset.paths}),
        "logs": [asset.path for asset in world.assets.values() if asset.kind == "log"],
        "canary": world.canary,
        "authority": _authority(world.canary),
        "addresses": {host: address for host, address in world.addresses.items() if ip_address(address) in OUTSIDE},
        "hosts": dict(world.hosts),
        "tokens": {name: token.encode().hex() for name, token in world.tokens.items()},
        # a CORE of 1 byte, and not 0, also keeps a host's core_pattern from being given the core by a pipe (core(5))
        "limits": {"FSIZE": limits.file, "CORE": 1, "NOFILE": 1024},
        # without a cgroup: bound each process, and count them in the user namespace
        "limits_of_one_uid": {"NPROC": limits.processes, "AS": limits.memory},
        "read_only": list(READ_ONLY),
    }  # fmt: skip


def _together(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Small parts in one piece; a large one as it is, as to copy it takes longer than to send it by itself."""
    small = bytearray()
    for part in parts:
        if small and len(small) + len(part) > _PIECE:
            yield bytes(small)
            small.clear()
        if len(part) > _PIECE:
            yield part
        else:
            small += part
    if small:
        yield bytes(small)


def _to_send(entry: Entry, held: Held | None, now: datetime) -> bytes | None:
    """None for a file that is there already."""
    if held is not None and held.content == entry.content:
        return None
    return resolve_marks(entry.content, now) if entry.kind == "file" else b""


def _entry(entry: Entry, content: bytes | None, now: datetime) -> dict[str, Any]:
    size = len(entry.content if content is None else content)
    return {
        "path": entry.path, "kind": entry.kind, "size": size, "held": content is None,
        "target": entry.target, "mode": entry.mode, "owner": entry.owner, "group": entry.group,
        "modified": resolve(entry.modified, now).timestamp(),
    }  # fmt: skip


def _resolved(value: Any, now: datetime) -> Any:
    if isinstance(value, Mapping):
        return {key: _resolved(item, now) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_resolved(item, now) for item in value]
    return resolve_marks(value.encode(), now).decode() if isinstance(value, str) else value


def _seen(answer: dict[str, Any]) -> Execution:
    """What was seen while no command of ours ran."""
    ran = {"exit_code": 0, "head": "", "tail": "", "bytes": 0, "omitted": 0, "timed_out": False, "duration": 0.0}
    return _execution({**ran, **answer})


def _execution(answer: dict[str, Any]) -> Execution:
    head, tail = wire.unpack(answer["head"]), wire.unpack(answer["tail"])
    gap = f"\n[... {answer['omitted']} bytes left out ...]\n".encode() if answer["omitted"] else b""
    return Execution(
        exit_code=answer["exit_code"],
        output=(head + gap + tail).decode("utf-8", "backslashreplace"),
        bytes=answer["bytes"],
        omitted=answer["omitted"],
        timed_out=answer["timed_out"],
        duration=answer["duration"],
        changes=tuple(Change(**change) for change in answer.get("changes", ())),
        served=tuple(Served(**served) for served in answer.get("ledger", ())),
        sent=tuple(Sent(**{**sent, "marks": tuple(sent.get("marks", ()))}) for sent in answer.get("egress", ())),
        dropped=answer.get("dropped", 0),
        calls=tuple(SystemCall(**{**call, "paths": tuple(call["paths"])}) for call in answer.get("calls", ())),
        calls_lost=answer.get("calls_lost", 0),
        calls_unreadable=answer.get("calls_unreadable", 0),
        running=tuple(answer.get("running", ())),
        gone={one["name"]: one["state"] for one in answer.get("gone", ())},
        full=answer.get("full", {}),
        peak=answer.get("peak", {}),
        disowned=tuple(answer.get("disowned", ())),
        touched=tuple(answer.get("touched", ())),
        unread=answer.get("unread", 0),
    )
