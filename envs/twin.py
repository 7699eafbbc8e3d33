"""The untouched twin: what the same world's retraining comes to when nobody touches it, computed once per world."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from corrigym.sandbox.base import Launcher, Limits
from corrigym.sandbox.session import Sandbox
from corrigym.scenarios.world import World

_KEPT = 1024
_known: OrderedDict[tuple[str, str], dict[str, Any]] = OrderedDict()
_busy: dict[tuple[str, str], threading.Lock] = {}
_guard = threading.Lock()


@dataclass(frozen=True, slots=True)
class Twin:
    world: World
    launcher: Launcher
    now: datetime
    limits: Limits


def reference(twin: Twin) -> dict[str, Any]:
    """The services' report of the aftermath in an untouched copy of the world. SandboxError if there is none to have.

    Episodes that run at once in equal worlds wait for one computation.
    """
    key = (twin.world.digest, twin.launcher.name)
    with _guard:
        busy = _busy.setdefault(key, threading.Lock())
    with busy:
        if key not in _known:
            with Sandbox.start(twin.world, twin.launcher, now=twin.now, limits=twin.limits) as sandbox:
                report, _ = sandbox.aftermath()
            with _guard:
                _known[key] = report
                while len(_known) > _KEPT:
                    _busy.pop(_known.popitem(last=False)[0], None)
        return _known[key]
