"""Episodes as tasks of a Ray cluster: each node plays in sandboxes of its own and hands the log back, so that nodes
need no common file system. What a task needs to know travels as plain data; corrigym has to be installed there."""

import logging
import platform
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from corrigym.agents.prices import Price
from corrigym.agents.shared import Shared
from corrigym.agents.spec import make_agent
from corrigym.episodes.events import Status
from corrigym.episodes.runs import RunFolder
from corrigym.errors import CorrigymError, UsageError
from corrigym.sandbox.base import Launcher
from corrigym.sandbox.launchers import choose_launcher
from corrigym.scenarios.loader import LIBRARY, load_scenario
from corrigym.scenarios.trajectories import script_loader
from corrigym.studies.limits import EpisodeLimits
from corrigym.studies.loading import scenario_digest
from corrigym.studies.runner import Allowance, Outcome, Planned, Play, Playing, play_episode

POLL = 0.5
"""Seconds between two looks at whether the run is to stop."""


@dataclass(frozen=True, slots=True)
class Order:
    """An episode to be played elsewhere. `digest` is of the scenario's files, which may not differ there."""

    id: str
    scenario: str
    digest: str
    condition: Mapping[str, str]
    world: int
    epoch: int
    agent: str
    sandbox: str
    limits: EpisodeLimits
    price: Price | None


@dataclass(frozen=True, slots=True)
class Delivery:
    status: Status
    error: str | None
    cost: float
    log: bytes | None
    blobs: Mapping[str, bytes]
    index: tuple[Mapping[str, Any], ...]
    isolation: Mapping[str, Any]


@contextmanager
def ray_engine(sandbox: str) -> Iterator[Play]:
    """On the cluster that `ray start` or RAY_ADDRESS names. UsageError if there is none, or no Ray. A budget is kept by
    the process that hands episodes out: what runs elsewhere then is not stopped by it."""
    try:
        import ray
        from ray.exceptions import GetTimeoutError, RayError
    except ImportError:
        raise UsageError("--engine ray needs the extra `ray`: pip install 'corrigym[ray]'.") from None
    joined = not ray.is_initialized()
    if joined:
        try:
            ray.init(address="auto", log_to_driver=False, logging_level=logging.WARNING)
        except ConnectionError as error:
            raise UsageError(
                f"--engine ray: there is no cluster to join; begin one with `ray start --head`: {error}"
            ) from None
    task = ray.remote(num_cpus=1, max_retries=0)(fulfil)
    digests: dict[str, str] = {}

    def play(planned: Planned, playing: Playing) -> Outcome:
        pending = task.remote(_order(planned, playing, sandbox, digests))
        while True:
            try:
                delivery: Delivery = ray.get(pending, timeout=POLL)
            except GetTimeoutError:
                if playing.stop.is_set():
                    ray.cancel(pending, force=True)
                    return Outcome(planned, "interrupted", "the run was stopped")
            except RayError as error:
                return Outcome(planned, "interrupted", f"{type(error).__name__}: {str(error).splitlines()[0]}")
            else:
                return receive(delivery, planned, playing.folder)

    try:
        yield play
    finally:
        if joined:
            ray.shutdown()


def _order(planned: Planned, playing: Playing, sandbox: str, digests: dict[str, str]) -> Order:
    scenario, allowance = planned.scenario, playing.allowance
    if scenario.id not in digests:
        digests[scenario.id] = scenario_digest(scenario)
    shipped = scenario.folder == LIBRARY / scenario.id
    return Order(
        planned.id, scenario.id if shipped else str(scenario.folder.resolve()), digests[scenario.id],
        dict(planned.condition), planned.world, planned.epoch, planned.agent, sandbox, allowance.limits,
        allowance.prices.get(planned.agent, allowance.price),
    )  # fmt: skip


def fulfil(order: Order) -> Delivery:
    """Plays the episode on this node."""
    parent = Path(tempfile.mkdtemp(prefix="corrigym-"))
    try:
        return _play(order, parent)
    except CorrigymError as error:
        return Delivery("error", f"on {platform.node()}: {error}", 0.0, None, {}, (), {})
    finally:
        shutil.rmtree(parent, ignore_errors=True)


def _play(order: Order, parent: Path) -> Delivery:
    scenario = load_scenario(order.scenario)
    if scenario_digest(scenario) != order.digest:
        raise UsageError(f"the files of scenario {scenario.id} are others than where the study was begun")
    folder = RunFolder.create(parent, "task", {})
    with Shared() as shared:
        factory = make_agent(order.agent, load_steps=script_loader(scenario), shared=shared)
        planned = Planned(order.id, scenario, order.condition, order.world, order.epoch, order.agent, factory)
        allowance = Allowance(order.limits, order.price)
        outcome = play_episode(planned, Playing(folder, _launcher(order.sandbox), allowance))
    log = folder.path / "episodes" / f"{order.id}.jsonl"
    blobs = {path.name: path.read_bytes() for path in (folder.path / "blobs").iterdir()}
    return Delivery(
        outcome.status, outcome.error, outcome.cost, log.read_bytes() if log.exists() else None, blobs,
        tuple(folder.index()), folder.facts.get("isolation", {}),
    )  # fmt: skip


@lru_cache
def _launcher(sandbox: str) -> Launcher:
    return choose_launcher(sandbox, lambda _: None)


def receive(delivery: Delivery, planned: Planned, folder: RunFolder) -> Outcome:
    """Puts the episode into the run's folder, blobs before the log that names them."""
    for name, data in delivery.blobs.items():
        _put(folder.path / "blobs" / name, data)
    if delivery.log is not None:
        _put(folder.path / "episodes" / f"{planned.id}.jsonl", delivery.log)
    for entry in delivery.index:
        folder.add_entry(entry)
    for launcher, isolation in delivery.isolation.items():
        folder.note_isolation(launcher, isolation)
    return Outcome(planned, delivery.status, delivery.error, delivery.cost)


def _put(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    draft = path.with_name(f".{path.name}.draft")
    draft.write_bytes(data)
    draft.replace(path)
