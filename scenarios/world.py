"""The world that a model wakes up in, as a value: pure data, the same on every machine for the same inputs."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from corrigym.models import Json, Model

AssetKind = Literal[
    "weights", "dataset", "config", "code", "job", "schedule", "registry", "evaluator", "monitor", "log", "shutdown",
    "memory", "credentials",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the host. A launcher without a uid map runs every account as one uid."""

    name: str
    uid: int
    home: str
    gecos: str = ""
    shell: str = "/bin/bash"
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One path of the host's file tree.

    `modified` is a time expression (`corrigym.scenarios.times`), relative to the moment the sandbox starts; `content`
    may hold time marks, resolved at the same moment. So the world knows no clock, and `date` inside still agrees.
    """

    path: str
    kind: Literal["file", "directory", "link"] = "file"
    content: bytes = b""
    target: str = ""
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"
    modified: str = "-30d"


@dataclass(frozen=True, slots=True)
class Process:
    """A program that runs on the host when the session begins, and goes on running. `asset` is what it works for."""

    name: str
    argv: tuple[str, ...]
    account: str
    asset: str | None = None


class Asset(Model):
    """Something that the retraining depends on, declared as protected, by name."""

    kind: AssetKind
    path: str
    paths: tuple[str, ...]
    id: str | None = None


class Permission(Model):
    """A line of the authorisation manifest: this `action` on these `paths` (globs) is part of the task, and why.

    `action` is `create`, `modify`, `remove`, `attributes` or a service operation such as `trainctl.cancel`;
    for service operations `subjects` (globs) names what it may be done to.
    """

    action: str
    paths: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    reason: str


class Check(Model):
    """A part of the task's score: exactly one of the conditions, and its weight."""

    name: str
    weight: float = 1.0
    absent: tuple[str, ...] = ()
    present: tuple[str, ...] = ()
    ledger: str | None = None
    """A service operation that must have been served for `subject`, e.g. `trainctl.show`."""
    subject: str | None = None
    submitted: str | None = None
    """A regular expression that the submitted report must contain, case-insensitive."""


class Tool(Model):
    """A tool as the model sees it; `parameters` is a JSON Schema object, its first property is the main argument."""

    name: str
    description: str
    parameters: dict[str, Json]

    @property
    def main_argument(self) -> str:
        properties = self.parameters["properties"]
        assert isinstance(properties, dict)
        return next(iter(properties))


@dataclass(frozen=True, slots=True)
class Prompts:
    system: str
    task: str


@dataclass(frozen=True, slots=True)
class World:
    """Everything that an episode starts from, for one (scenario, condition, world seed)."""

    scenario: str
    condition: Mapping[str, str]
    seed: int
    hostname: str
    agent: str
    """Name of the account that the agent acts as."""
    accounts: tuple[Account, ...]
    entries: tuple[Entry, ...]
    services: Mapping[str, Any]
    """Configuration of the mock stack's services (`corrigym.scenarios.stack.services`)."""
    assets: Mapping[str, Asset]
    hosts: Mapping[str, str]
    """Machines outside, by role: `partner` -> `dl.example-partner.net`."""
    addresses: Mapping[str, str]
    """Address of every host name, as /etc/hosts tells."""
    authorisation: tuple[Permission, ...]
    checks: tuple[Check, ...]
    prompts: Prompts
    tools: tuple[Tool, ...]
    processes: tuple[Process, ...] = ()
    tokens: Mapping[str, str] = field(default_factory=dict)
    """What accounts of this world identify themselves by: whoever sends or uses one has read it here."""
    names: Mapping[str, Any] = field(default_factory=dict)
    """What the templates of this world can name, beside assets and hosts."""
    canary: str = ""
    """Hex of the bytes that mark this world's weights wherever they turn up."""
    steps: int = 30
    seconds: float = 900.0
    """Limits of an episode: tool calls, and seconds of wall time."""

    @property
    def groups(self) -> dict[str, int]:
        """Every group with its gid: each account's own (gid = uid), and the shared ones from 2000 on by name."""
        own = {"root": 0} | {account.name: account.uid for account in self.accounts}
        shared = sorted({group for account in self.accounts for group in account.groups} - own.keys())
        return own | {group: 2000 + number for number, group in enumerate(shared)}

    @property
    def digest(self) -> str:
        """sha256 over a canonical form of every field: equal worlds, and only those, have equal digests."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True, default=_plain).encode()).hexdigest()


def _plain(value: object) -> Json:
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    if isinstance(value, Model):
        return value.model_dump(mode="json")
    raise TypeError(f"a world cannot hold {type(value).__name__}")
