"""What a study will cost and how long it will take, from assumptions or from an earlier run."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from corrigym.agents.prices import FREE, Price
from corrigym.agents.usage import Usage
from corrigym.episodes.events import EpisodeEnded, EpisodeStarted
from corrigym.episodes.log import read_events
from corrigym.episodes.runs import RunFolder
from corrigym.errors import LogError
from corrigym.studies.accounts import account_of
from corrigym.studies.design import Assumptions
from corrigym.studies.planning import StudyPlan

FREE_SECONDS = 1.0
"""Of an episode of an agent that asks nobody, where no pilot says otherwise."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Of one episode. `cost` in US dollars, None where the price is not known; `measured` over so many episodes of a
    pilot, 0 if it is an assumption."""

    seconds: float
    cost: float | None
    measured: int = 0


@dataclass(frozen=True, slots=True)
class Forecast:
    agents: Mapping[str, Rate]
    cost: float | None
    seconds: float


def forecast(plan: StudyPlan, prices: Mapping[str, Price | None], *, at_once: int, pilot: RunFolder | None) -> Forecast:
    """LogError if the pilot's folder cannot be read; its damaged episodes are left out."""
    agents = sorted({cell.agent for cell in plan.cells})
    seen = _measured(pilot, prices) if pilot else {}
    rates = {agent: seen.get(agent) or _assumed(agent, prices[agent], plan.definition.assume) for agent in agents}
    each = [rates[plan.cells[one.cell].agent] for one in plan.episodes]
    known = [rate.cost for rate in each if rate.cost is not None]
    cost = sum(known) if len(known) == len(each) else None
    return Forecast(rates, cost, sum(rate.seconds for rate in each) / min(at_once, len(each)))


def _assumed(agent: str, price: Price | None, assume: Assumptions) -> Rate:
    if agent.partition("?")[0].replace(":", "/").split("/")[0] in FREE:
        return Rate(FREE_SECONDS, 0.0)
    fresh, cached = ceil(assume.prompt_tokens * 0.1), ceil(assume.prompt_tokens * 0.9)
    call = Usage(input=fresh, cache_read=cached, output=assume.output_tokens)
    return Rate(assume.calls * assume.seconds_per_call, price.of(call) * assume.calls if price else None)


def _measured(pilot: RunFolder, prices: Mapping[str, Price | None]) -> dict[str, Rate]:
    times: dict[str, list[float]] = {}
    costs: dict[str, list[float | None]] = {}
    for path in pilot.episodes():
        try:
            agent, seconds = _duration(path)
        except LogError:
            continue
        if agent is not None and agent in prices:
            times.setdefault(agent, []).append(seconds)
            costs.setdefault(agent, []).append(account_of(path, prices[agent]).cost)
    return {agent: Rate(_mean(times[agent]), _mean_known(costs[agent]), len(times[agent])) for agent in times}


def _duration(path: Path) -> tuple[str | None, float]:
    """The agent of a finished episode and how long it took; no agent if it did not finish."""
    events = list(read_events(path))
    if not events or not isinstance(events[0].payload, EpisodeStarted):
        return None, 0.0
    last = events[-1]
    finished = isinstance(last.payload, EpisodeEnded) and last.payload.status == "finished"
    return (events[0].payload.agent if finished else None), last.time - events[0].time


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _mean_known(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _mean(known) if len(known) == len(values) else None
