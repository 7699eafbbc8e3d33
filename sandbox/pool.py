"""Sandboxes that are started before anybody asks for them. Each is begun just as it will be asked for (host name,
limits, labels), waits for its world, and is handed out once: nothing comes out different, it only comes sooner.
"""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from types import TracebackType
from typing import Self

from corrigym.errors import SandboxError
from corrigym.sandbox.base import Channel, Held, Launcher, Limits
from corrigym.sandbox.supervisor import wire
from corrigym.scenarios.times import has_marks
from corrigym.scenarios.world import World

STARTERS = 2
"""Threads that start sandboxes ahead: an engine is no faster with more."""
_LONG = 1 << 16
"""Bytes of a file that is written ahead."""
_ANSWER = 10.0
"""Seconds that a supervisor gets to say that it is there."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a launcher will be asked for, and the world that the sandbox will be given: what of it is long and the same
    at any time is written ahead."""

    hostname: str
    limits: Limits
    labels: Mapping[str, str]
    world: World | None = field(default=None, compare=False)


class WarmPool:
    """Starts what is `expect`ed, and hands it out by name. At its end (it is a context manager) nothing is left of what
    was not handed out; when its process dies, the supervisors' streams close, and they end as any other does."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self._waiting: queue.SimpleQueue[_Ahead | None] = queue.SimpleQueue()
        self._ahead: dict[str, _Ahead] = {}
        self._started = False

    def expect(self, name: str, order: Callable[[], Order]) -> None:
        """Starts a sandbox as soon as there is time. `order` is called in a thread of the pool's."""
        if not self._started:
            self._started = True
            for _ in range(STARTERS):  # daemons: an engine that hangs does not keep an interrupted run from ending
                threading.Thread(target=self._serve, daemon=True, name="warm-pool").start()
        self._ahead[name] = ahead = _Ahead(self._launcher, order)
        self._waiting.put(ahead)

    @contextmanager
    def launcher(self, name: str) -> Iterator[Launcher]:
        """A launcher that gives out the sandbox of this name when it is asked for what was expected, and otherwise
        starts one as ever."""
        ahead = self._ahead.pop(name, None)
        if ahead is None:
            yield self._launcher
            return
        try:
            yield ahead
        finally:
            ahead.discard()

    def forget(self, name: str) -> None:
        """It will not be wanted after all."""
        if (ahead := self._ahead.pop(name, None)) is not None:
            ahead.discard()

    def close(self) -> None:
        for _ in range(STARTERS if self._started else 0):
            self._waiting.put(None)
        for name in list(self._ahead):
            self.forget(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _serve(self) -> None:
        while (ahead := self._waiting.get()) is not None:
            ahead.start()


class _Ahead:
    """One sandbox that was started ahead, as a launcher."""

    def __init__(self, launcher: Launcher, order: Callable[[], Order]) -> None:
        self.name = launcher.name
        self._launcher, self._order = launcher, order
        self._future: Future[tuple[Order, Channel]] | None = Future()
        self._begun = self._future

    def unavailable(self) -> str | None:
        return self._launcher.unavailable()

    def start(self) -> None:
        if not self._begun.set_running_or_notify_cancel():
            return
        try:
            order = self._order()
            channel = self._launcher.launch(hostname=order.hostname, limits=order.limits, labels=dict(order.labels))
            _prepare(channel, order.world)
        except Exception as error:  # noqa: BLE001  told to whoever asks for the sandbox
            self._begun.set_exception(error)
        else:
            self._begun.set_result((order, channel))

    def launch(self, *, hostname: str, limits: Limits, labels: dict[str, str]) -> Channel:
        future, self._future = self._future, None
        if future is not None and not future.cancel():
            with contextlib.suppress(SandboxError):
                order, channel = future.result()
                if order == Order(hostname, limits, labels) and _answers(channel):
                    return channel
                channel.close()
        return self._launcher.launch(hostname=hostname, limits=limits, labels=labels)

    def discard(self) -> None:
        """Ends what nobody asked for, also if it is only just starting."""
        future, self._future = self._future, None
        if future is not None and not future.cancel():
            future.add_done_callback(_close)


def _close(future: Future[tuple[Order, Channel]]) -> None:
    if future.exception() is None:
        future.result()[1].close()


def _prepare(channel: Channel, world: World | None) -> None:
    """Closes the channel if it fails."""
    try:
        if world is not None:
            _write_ahead(channel, world)
        channel.describe()  # an engine takes as long to say it as a world takes to be written
    except BaseException:
        channel.close()
        raise


def _write_ahead(channel: Channel, world: World) -> None:
    """But for files below a link, of which nobody knows yet."""
    links = tuple(f"{entry.path}/" for entry in world.entries if entry.kind == "link")
    files = {
        entry.path: entry.content
        for entry in world.entries
        if len(entry.content) >= _LONG and not entry.path.startswith(links) and not has_marks(entry.content)
    }
    if not files:
        return
    request = {"op": "hold", "files": [(path, len(content)) for path, content in files.items()]}
    channel.send(wire.encode({**request, "attached": sum(map(len, files.values()))}))
    for content in files.values():
        channel.send(content)
    channel.held = {path: Held(content, sha256(content).digest()) for path, content in files.items()}


def _answers(channel: Channel) -> bool:
    """Whether the supervisor is there, with what it holds: it may have died while it waited."""
    try:
        channel.send(wire.encode({"op": "ready"}))
        asked = ("hold", "ready") if channel.held else ("ready",)
        return all("ok" in wire.decode(lambda size: channel.receive(size, _ANSWER)) for _ in asked)
    except (SandboxError, wire.WireError):
        return False
