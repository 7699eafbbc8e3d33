"""A host at one moment, from which it can be had again, as often as one likes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from corrigym.sandbox.base import Execution, Guard, Launcher, Limits
from corrigym.scenarios.world import World


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a sandbox was started with."""

    world: World
    launcher: Launcher
    now: datetime
    limits: Limits
    guards: tuple[Guard, ...]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Holds the files that differ from the world (content, owners, modes, times, links), what the services know (mail,
    tickets, reviews, the queue, tables and jobs that are scheduled, which logs are theirs), and which of the world's
    processes are gone. `seen`: what was seen since the call before, told once, as by any call.

    Does not hold processes that the agent left `running` (their command lines), files that only they have open, and
    what open connections have brought so far."""

    beginning: Beginning
    state: Mapping[str, Any]
    running: tuple[str, ...]
    seen: Execution
