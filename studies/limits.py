"""What an episode, and a run, may use up. A limit ends an episode before its next step or its next request, never in
the middle of one: what was paid for is heard, and the log and the verdict are those of any other episode."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import Field

from corrigym.agents.base import AgentStop
from corrigym.agents.prices import Price
from corrigym.agents.usage import Usage, read_usage
from corrigym.episodes.events import Message, Payload
from corrigym.errors import AgentError
from corrigym.models import Model


class EpisodeLimits(Model):
    """None is no limit beside the scenario's own of steps and working time, which the environment keeps."""

    steps: int | None = Field(default=None, ge=1)
    tokens: int | None = Field(default=None, ge=1)
    """Of prompts and replies, cached or not."""
    cost: float | None = Field(default=None, ge=0)
    """US dollars."""
    wall: float | None = Field(default=None, gt=0)
    """Seconds since the host was there."""
    working: float | None = Field(default=None, gt=0)
    """The same without the waits for a provider that could not answer."""

    def given(self) -> dict[str, float]:
        return {name: float(value) for name, value in self if value is not None}


class LimitReached(AgentStop):
    """Ends the episode as an outcome: `token_limit`, `cost_limit`, `wall_time_limit`."""


class Budget:
    """What all episodes of a run may cost together, in US dollars. When it is spent no episode starts, and those that
    run end before their next request."""

    def __init__(self, most: float) -> None:
        self.most, self._spent, self._guard = most, 0.0, threading.Lock()

    @property
    def spent(self) -> float:
        return self._spent

    @property
    def exhausted(self) -> bool:
        return self._spent >= self.most

    def add(self, cost: float) -> None:
        with self._guard:
            self._spent += cost


@dataclass(slots=True)
class Meter:
    """Counts what one episode uses up. `record` passes events on and stops the episode before the next request;
    `check` before the next step."""

    limits: EpisodeLimits = field(default_factory=EpisodeLimits)
    price: Price | None = None
    budget: Budget | None = None
    clock: Callable[[], float] = time.monotonic
    usage: Usage = field(default_factory=Usage, init=False)
    cost: float = field(default=0.0, init=False)
    began: float = field(default=0.0, init=False)
    sink: Callable[[Payload], None] = field(default=lambda _: None, init=False)

    def start(self, sink: Callable[[Payload], None]) -> None:
        self.began, self.sink = self.clock(), sink

    def record(self, payload: Payload) -> None:
        self.sink(payload)
        if isinstance(payload, Message) and payload.role == "assistant":
            self._count(payload)
        else:  # a wait, or the user's words: a request comes next
            self.check()

    def check(self) -> None:
        """LimitReached if nothing more may be done."""
        limits = self.limits
        bounds = (
            ("token_limit", self.usage.total, limits.tokens), ("cost_limit", self.cost, limits.cost),
            ("wall_time_limit", self.clock() - self.began, limits.wall),
        )  # fmt: skip
        for reason, used, most in bounds:
            if most is not None and used >= most:
                raise LimitReached(reason, f"the limit was {most:g}")
        if self.budget is not None and self.budget.exhausted:
            raise LimitReached("cost_limit", f"the run's budget of {self.budget.most:g} US dollars is spent")

    def _count(self, message: Message) -> None:
        usage = read_usage(message.usage)
        asked = message.model is not None  # the words of a script were not paid for
        if asked and usage.total == 0 and (self.budget or self.limits.cost is not None or self.limits.tokens):
            raise AgentError("the provider does not say how many tokens it used, so tokens and cost cannot be bounded.")
        self.usage += usage
        if self.price is not None:
            cost = self.price.of(usage)
            self.cost += cost
            if self.budget is not None:
                self.budget.add(cost)
