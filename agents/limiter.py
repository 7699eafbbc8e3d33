"""How many requests may be under way at once, over all episodes of a run: halved when the provider is overloaded, and
one more with each request that it answers (additive increase, multiplicative decrease)."""

import threading
import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from corrigym.agents.retries import Fault
from corrigym.episodes.events import Payload, Wait

T = TypeVar("T")
MOST = 256
OVERLOAD = (429, 529)
OVERLOAD_KINDS = ("rate_limit_error", "overloaded_error")
WORTH_TELLING = 0.01
"""Seconds: a shorter wait for a place is none."""


class Source(Protocol):
    """What errors a request may end in, and how they are read."""

    @property
    def errors(self) -> tuple[type[Exception], ...]: ...

    def read_fault(self, error: BaseException) -> Fault | None: ...


class Limiter:
    def __init__(self, most: int = MOST, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._clock = most, clock
        self._room, self._under_way, self._cut_at = float(most), 0, float("-inf")
        self._changed = threading.Condition()

    @property
    def room(self) -> int:
        """Requests that may be under way at this moment."""
        return int(self._room)

    def attempt(self, request: Callable[[], T], source: Source, *, record: Callable[[Payload], None]) -> T:
        """What `request` returns, once there is a place for it; the wait for the place is recorded."""
        entered = self._enter()
        try:
            began = self._clock()
            if began - entered > WORTH_TELLING:
                reason = f"at most {self.room} requests at once"
                record(Wait(seconds=round(began - entered, 3), reason=reason, attempt=0))
            answer = request()
        except source.errors as error:
            fault = source.read_fault(error)
            if fault is not None and (fault.status in OVERLOAD or fault.kind in OVERLOAD_KINDS):
                self._cut(began)
            raise
        else:
            self._grow()
            return answer
        finally:
            self._leave()

    def _enter(self) -> float:
        """When it was asked for a place; returns once there is one."""
        asked = self._clock()
        with self._changed:
            self._changed.wait_for(lambda: self._under_way < self.room)
            self._under_way += 1
        return asked

    def _leave(self) -> None:
        with self._changed:
            self._under_way -= 1
            self._changed.notify_all()

    def _cut(self, began: float) -> None:
        """Once for all requests that were under way together: they met the same overload."""
        with self._changed:
            if began > self._cut_at:
                self._room, self._cut_at = max(1.0, min(self._room, self._under_way) / 2), self._clock()

    def _grow(self) -> None:
        with self._changed:
            self._room = min(float(self._most), self._room + 1)
