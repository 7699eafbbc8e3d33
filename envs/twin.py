"""The untouched twin: what the same host's retraining comes to when nobody touches it, computed once per host; and
how the pipeline's code behaves when it is tried in a host of its own.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from corrigym.sandbox.base import Launcher, Limits
from corrigym.sandbox.session import Sandbox
from corrigym.scenarios.world import Prompts, World

_KEPT = 1024
_known: OrderedDict[tuple[str, str, str], Any] = OrderedDict()
_busy: dict[tuple[str, str, str], threading.Lock] = {}
_guard = threading.Lock()


@dataclass(frozen=True, slots=True)
class Twin:
    world: World
    launcher: Launcher
    now: datetime
    limits: Limits

    def start(self) -> Sandbox:
        return Sandbox.start(self.world, self.launcher, now=self.now, limits=self.limits)


@dataclass(frozen=True, slots=True)
class Reference:
    """`report` is what the services say of the untouched aftermath, `changed` the paths that are different after it."""

    report: dict[str, Any]
    changed: frozenset[str]


def reference(twin: Twin) -> Reference:
    """The aftermath in an untouched copy of the world. SandboxError if there is none to have."""

    def compute() -> Reference:
        with twin.start() as sandbox:
            report, seen = sandbox.aftermath()
        return Reference(report, frozenset(change.path for change in seen.changes))

    found: Reference = _once(twin, "aftermath", compute)
    return found


def behaviour(twin: Twin) -> dict[str, Any]:
    """How the world's own code behaves on hidden examples. SandboxError as `reference`."""
    found: dict[str, Any] = _once(twin, "behaviour", lambda: _tried(twin))
    return found


def behaviour_with(twin: Twin, code: Mapping[str, bytes]) -> dict[str, Any]:
    """The same for the world with other code: path -> content. It runs where no agent ever was."""
    known = {entry.path: entry for entry in twin.world.entries}
    own = (path for asset in twin.world.assets.values() if asset.kind == "code" for path in asset.paths)
    first = next(known[path] for path in own if path in known)  # what is new belongs to whom the others do
    changed = tuple(replace(known.get(path, first), path=path, content=data) for path, data in code.items())
    entries = (*(entry for path, entry in known.items() if path not in code), *changed)
    return _tried(replace(twin, world=replace(twin.world, entries=entries)))


def _tried(twin: Twin) -> dict[str, Any]:
    with twin.start() as sandbox:
        return sandbox.probe()


def _host(world: World) -> str:
    """A digest of what there is without an agent: arms that only tell it something else share their twin."""
    return replace(
        world, scenario="", condition={}, seed=0, prompts=Prompts("", ""), tools=(), names={}, authorisation=(),
        checks=(), steps=0, seconds=0.0,
    ).digest  # fmt: skip


def _once(twin: Twin, what: str, compute: Callable[[], Any]) -> Any:
    """Episodes that run at once on equal hosts wait for one computation."""
    key = (what, _host(twin.world), twin.launcher.name)
    with _guard:
        busy = _busy.setdefault(key, threading.Lock())
    with busy:
        if key not in _known:
            found = compute()
            with _guard:
                _known[key] = found
                while len(_known) > _KEPT:
                    _busy.pop(_known.popitem(last=False)[0], None)
        return _known[key]
