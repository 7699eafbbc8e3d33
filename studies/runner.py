"""Many episodes: planned, run in threads, each to its own log, whatever happens to one of them."""

import contextlib
import hashlib
import json
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from corrigym.agents.prices import Price
from corrigym.agents.spec import AgentFactory
from corrigym.envs.base import RetrainingEnv
from corrigym.envs.record import RecordEpisode
from corrigym.episodes.events import Status
from corrigym.episodes.runs import RunFolder
from corrigym.errors import CorrigymError
from corrigym.sandbox.base import Launcher
from corrigym.scenarios.loader import LoadedScenario
from corrigym.studies.limits import Budget, EpisodeLimits, Meter
from corrigym.studies.rollout import rollout

PATIENCE = 10.0
"""Seconds that interrupted episodes get to write their end."""


@dataclass(frozen=True, slots=True)
class Planned:
    """An episode that is to be run."""

    id: str
    scenario: LoadedScenario
    condition: Mapping[str, str]
    world: int
    epoch: int
    agent: str
    factory: AgentFactory


@dataclass(frozen=True, slots=True)
class Outcome:
    planned: Planned
    status: Status
    error: str | None = None


@dataclass(slots=True)
class Observer:
    """Who wants to know how the run goes. Called from the threads that run the episodes."""

    on_start: Callable[[Planned], None] = lambda _: None
    on_step: Callable[[Planned, int], None] = lambda _, __: None
    on_end: Callable[[Outcome], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Allowance:
    """What each episode may use up, what its replies cost, and what all may cost together."""

    limits: EpisodeLimits = field(default_factory=EpisodeLimits)
    price: Price | None = None
    budget: Budget | None = None

    @property
    def spent(self) -> bool:
        return self.budget is not None and self.budget.exhausted

    def meter(self) -> Meter:
        return Meter(self.limits, self.price, self.budget)


class Interrupted(Exception):
    """Raised inside an episode when the run is to stop."""


def plan(
    scenarios: Sequence[tuple[LoadedScenario, Mapping[str, str], AgentFactory]],
    *,
    agent: str,
    worlds: int,
    epochs: int,
    seed: int,
) -> list[Planned]:
    """Every scenario x world x epoch, with ids that name them within a run."""
    return [
        Planned(
            id=episode_id(scenario.id, condition, agent, world, epoch),
            scenario=scenario, condition=condition, world=world, epoch=epoch, agent=agent, factory=factory,
        )
        for (scenario, condition, factory), world, epoch in product(
            scenarios, range(seed, seed + worlds), range(epochs)
        )
    ]  # fmt: skip


def episode_id(scenario: str, condition: Mapping[str, str], agent: str, world: int, epoch: int) -> str:
    """The same for the same episode of any run."""
    key = json.dumps([scenario, dict(sorted(condition.items())), agent, world, epoch])
    return f"{scenario}_w{world}_e{epoch}_{hashlib.sha256(key.encode()).hexdigest()[:8]}"


@dataclass(slots=True)
class _Running:
    """What the threads share."""

    allowance: "Allowance"
    waiting: "queue.SimpleQueue[Planned]" = field(default_factory=queue.SimpleQueue)
    stop: threading.Event = field(default_factory=threading.Event)
    live: set[RetrainingEnv] = field(default_factory=set)
    outcomes: list[Outcome] = field(default_factory=list)


def run_episodes(
    episodes: Iterable[Planned],
    *,
    launcher: Launcher,
    folder: RunFolder,
    max_sandboxes: int,
    observer: Observer | None = None,
    allowance: Allowance | None = None,
) -> list[Outcome]:
    """Runs all of them, at most `max_sandboxes` at once. An episode that fails is data: its outcome says so. One that
    the budget of `allowance` had nothing left for has no outcome.

    KeyboardInterrupt ends what runs (logged as interrupted) and comes out again.
    """
    shared, observer = _Running(allowance or Allowance()), observer or Observer()
    for planned in episodes:
        shared.waiting.put(planned)
    # daemon threads: one that hangs in a provider's answer does not keep an interrupted run from ending
    ends = [threading.Event() for _ in range(min(max_sandboxes, shared.waiting.qsize()))]
    try:
        for end in ends:
            threading.Thread(target=_work, args=(shared, launcher, folder, observer, end), daemon=True).start()
        for end in ends:  # not Thread.join: an interrupt inside it makes a running thread look ended
            end.wait()
    except KeyboardInterrupt:
        _stop(shared, ends)
        raise
    return shared.outcomes


def _stop(shared: _Running, ends: Sequence[threading.Event]) -> None:
    shared.stop.set()
    for env in list(shared.live):
        env.kill_sandbox()
    deadline = time.monotonic() + PATIENCE
    for end in ends:
        end.wait(max(0.0, deadline - time.monotonic()))


def _work(shared: _Running, launcher: Launcher, folder: RunFolder, observer: Observer, end: threading.Event) -> None:
    try:
        _take_turns(shared, launcher, folder, observer)
    finally:
        end.set()


def _take_turns(shared: _Running, launcher: Launcher, folder: RunFolder, observer: Observer) -> None:
    while not (shared.stop.is_set() or shared.allowance.spent):
        try:
            planned = shared.waiting.get_nowait()
        except queue.Empty:
            return
        observer.on_start(planned)
        outcome = _run_one(planned, shared, launcher, folder, observer)
        shared.outcomes.append(outcome)
        observer.on_end(outcome)


def _run_one(planned: Planned, shared: _Running, launcher: Launcher, folder: RunFolder, observer: Observer) -> Outcome:
    inner = RetrainingEnv(planned.scenario, sandbox=launcher, condition=planned.condition)
    env = RecordEpisode(inner, folder)
    shared.live.add(inner)

    def on_step(step: int) -> None:
        if shared.stop.is_set():
            raise Interrupted
        observer.on_step(planned, step)

    try:
        rollout(
            env, lambda: planned.factory(inner.world), seed=planned.world, on_step=on_step,
            meter=shared.allowance.meter(),
            options={"id": planned.id, "epoch": planned.epoch, "agent": planned.agent},
        )  # fmt: skip
    except Exception as error:  # noqa: BLE001  the runner's boundary: an episode that fails is data, not a crash
        return _failed(planned, inner, error, interrupted=shared.stop.is_set())
    finally:
        shared.live.discard(inner)
        env.close()
    return Outcome(planned, "finished")


def _failed(planned: Planned, env: RetrainingEnv, error: Exception, *, interrupted: bool) -> Outcome:
    """Logs the end of an episode that did not get to its own."""
    status: Status = "interrupted" if interrupted else "error"
    told = str(error) if isinstance(error, CorrigymError) else f"{type(error).__name__}: {error}"
    with contextlib.suppress(OSError, AssertionError):  # a full disk, or an episode that never started
        env.finish("interrupted" if interrupted else type(error).__name__, status=status, error=told)
    return Outcome(planned, status, told)
