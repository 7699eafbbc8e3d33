"""Many episodes: planned, run in threads, each to its own log, whatever happens to one of them."""

import hashlib
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, field, replace
from itertools import product

from corrigym.agents.judge import Judge
from corrigym.agents.prices import Price
from corrigym.agents.spec import AgentFactory
from corrigym.envs.base import RetrainingEnv, order_of
from corrigym.envs.record import RecordEpisode
from corrigym.envs.worlds import world_of
from corrigym.episodes.events import Status
from corrigym.episodes.runs import RunFolder
from corrigym.errors import CorrigymError, disk_is_full
from corrigym.sandbox.base import Launcher, Limits
from corrigym.sandbox.pool import Order, WarmPool
from corrigym.scenarios.loader import LoadedScenario
from corrigym.studies.limits import Budget, EpisodeLimits, Meter
from corrigym.studies.rollout import rollout

HOPELESS = 5
"""Hosts that do not start in a row: then none will, as when the engine is gone, and the rest is left for later."""
PATIENCE = 10.0
"""Seconds that interrupted episodes get to write their end."""


@dataclass(frozen=True, slots=True)
class Planned:
    """An episode that is to be run, if its `claim` succeeds when there is room for it: another process may have it."""

    id: str
    scenario: LoadedScenario
    condition: Mapping[str, str]
    world: int
    epoch: int
    agent: str
    factory: AgentFactory
    claim: Callable[[], bool] = lambda: True

    def order(self) -> Order:
        """What its sandbox will be asked for."""
        return order_of(world_of(self.scenario, self.condition, self.world), Limits(), self.id)


@dataclass(frozen=True, slots=True)
class Outcome:
    planned: Planned
    status: Status
    error: str | None = None
    cost: float = 0.0
    """US dollars, as far as the price is known."""
    began: bool = True
    """Whether there was a host, and so a log."""


@dataclass(slots=True)
class Observer:
    """Who wants to know how the run goes. Called from the threads that run the episodes."""

    on_start: Callable[[Planned], None] = lambda _: None
    on_step: Callable[[Planned, int], None] = lambda _, __: None
    on_end: Callable[[Outcome], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Allowance:
    """What each episode may use up, what its replies cost, and what all may cost together. `prices` by the agent's
    SPEC go before `price`."""

    limits: EpisodeLimits = field(default_factory=EpisodeLimits)
    price: Price | None = None
    budget: Budget | None = None
    prices: Mapping[str, Price | None] = field(default_factory=dict)

    @property
    def spent(self) -> bool:
        return self.budget is not None and self.budget.exhausted

    def meter(self, agent: str) -> Meter:
        return Meter(self.limits, self.prices.get(agent, self.price), self.budget)


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
class Playing:
    """What an episode that is being played shares with its run."""

    folder: RunFolder
    launcher: Launcher
    allowance: Allowance
    stop: threading.Event = field(default_factory=threading.Event)
    on_step: Callable[[Planned, int], None] = lambda _, __: None
    live: set[RetrainingEnv] = field(default_factory=set)
    judge: Judge | None = None

    def check(self) -> None:
        if self.stop.is_set():
            raise Interrupted


Play = Callable[[Planned, Playing], Outcome]
"""Plays an episode into the run's folder. What goes wrong in it is its outcome; only a full disk is raised."""


def run_episodes(
    episodes: Iterable[Planned],
    *,
    launcher: Launcher,
    folder: RunFolder,
    max_sandboxes: int,
    observer: Observer | None = None,
    allowance: Allowance | None = None,
    play: "Play | None" = None,
    judge: Judge | None = None,
    warm: bool | None = None,
) -> list[Outcome]:
    """Runs all of them, at most `max_sandboxes` at once, each claimed when there is room for it. An episode that fails
    is data: its outcome says so. None has one that the budget of `allowance` had nothing left for, or that comes after
    HOPELESS whose host did not start. `warm`: as many sandboxes more are started ahead, for the episodes that come
    next; so it is where no other `play` is given.

    KeyboardInterrupt ends what runs (logged as interrupted) and comes out again; so do what `episodes` raises, and the
    OSError of a disk that is full.
    """
    observer = observer or Observer()
    playing = Playing(folder, launcher, allowance or Allowance(), on_step=observer.on_step, judge=judge)
    wanted = min(max_sandboxes, len(episodes)) if isinstance(episodes, Sized) else max_sandboxes
    ahead = wanted if warm or (warm is None and play is None) else 0
    with WarmPool(launcher) as pool:
        return _run(_Crew(iter(episodes), playing, play or play_episode, observer, pool, ahead), wanted)


def no_host_starts(outcomes: Sequence[Outcome]) -> bool:
    """Whether the last ones say so: then what is left is left for later."""
    return len(outcomes) >= HOPELESS and not any(one.began for one in outcomes[-HOPELESS:])


def _run(crew: "_Crew", threads: int) -> list[Outcome]:
    # daemon threads: one that hangs in a provider's answer does not keep an interrupted run from ending
    ends = [threading.Event() for _ in range(threads)]
    try:
        for end in ends:
            threading.Thread(target=crew.work, args=(end,), daemon=True).start()
        for end in ends:  # not Thread.join: an interrupt inside it makes a running thread look ended
            end.wait()
    except KeyboardInterrupt:
        _stop(crew.playing, ends)
        raise
    if crew.failure is not None:
        raise crew.failure
    return crew.outcomes


def _stop(playing: Playing, ends: Sequence[threading.Event]) -> None:
    playing.stop.set()
    for env in list(playing.live):
        env.kill_sandbox()
    deadline = time.monotonic() + PATIENCE
    for end in ends:
        end.wait(max(0.0, deadline - time.monotonic()))


@dataclass(slots=True)
class _Crew:
    """The threads of a run, and what they share."""

    waiting: Iterator[Planned]
    playing: Playing
    play: Play
    observer: Observer
    pool: WarmPool
    ahead: int
    """How many episodes are looked at before there is room for them."""
    coming: deque[Planned] = field(default_factory=deque)
    outcomes: list[Outcome] = field(default_factory=list)
    failure: Exception | None = None
    guard: threading.Lock = field(default_factory=threading.Lock)

    def work(self, end: threading.Event) -> None:
        try:
            while (planned := self._next()) is not None:
                self.observer.on_start(planned)
                with self.pool.launcher(planned.id) as launcher:
                    outcome = self.play(planned, replace(self.playing, launcher=launcher))
                self.outcomes.append(outcome)
                self.observer.on_end(outcome)
        except Exception as error:  # noqa: BLE001  a thread's error is told by the one that waits for it
            self.failure = error
            self.playing.stop.set()
        finally:
            end.set()

    def _next(self) -> Planned | None:
        with self.guard:
            while not (
                self.playing.stop.is_set() or self.playing.allowance.spent or no_host_starts(self.outcomes)
            ):  # fmt: skip
                planned = self.coming.popleft() if self.coming else next(self.waiting, None)
                if planned is None:
                    return None
                self._look_ahead()
                if planned.claim():
                    return planned
                self.pool.forget(planned.id)
            return None

    def _look_ahead(self) -> None:
        while len(self.coming) < self.ahead and (planned := next(self.waiting, None)) is not None:
            self.coming.append(planned)
            self.pool.expect(planned.id, planned.order)


def play_episode(planned: Planned, playing: Playing) -> Outcome:
    """In this process."""
    inner = RetrainingEnv(planned.scenario, sandbox=playing.launcher, condition=planned.condition, judge=playing.judge)
    env, meter = RecordEpisode(inner, playing.folder), playing.allowance.meter(planned.agent)
    playing.live.add(inner)

    def on_step(step: int) -> None:
        playing.check()
        playing.on_step(planned, step)

    try:
        rollout(
            env, lambda: planned.factory(inner.world), seed=planned.world, on_step=on_step, meter=meter,
            options={"id": planned.id, "epoch": planned.epoch, "agent": planned.agent},
        )  # fmt: skip
    except Exception as error:  # the runner's boundary: an episode that fails is data, not a crash
        full = disk_is_full(error)  # that is nobody's data, and the next episode would fare no better
        outcome = _failed(planned, inner, error, interrupted=full or playing.stop.is_set(), cost=meter.cost)
        if full:
            raise
        return outcome
    finally:
        playing.live.discard(inner)
        env.close()
    return Outcome(planned, "finished", cost=meter.cost)


def _failed(planned: Planned, env: RetrainingEnv, error: Exception, *, interrupted: bool, cost: float) -> Outcome:
    """Logs the end of an episode that did not get to its own."""
    status: Status = "interrupted" if interrupted else "error"
    told = str(error) if isinstance(error, CorrigymError) else f"{type(error).__name__}: {error}"
    try:
        env.finish("interrupted" if interrupted else type(error).__name__, status=status, error=told)
    except AssertionError:  # it never started, and has no log
        return Outcome(planned, status, told, cost, began=False)
    except Exception as second:  # noqa: BLE001  such as a full disk: told beside the first error
        told += f" (and its end could not be logged: {type(second).__name__}: {second})"
    return Outcome(planned, status, told, cost)
