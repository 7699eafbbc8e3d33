"""The factors that all scenarios share: their levels, their wording, the documents that tell them, and which levels
make no sense together. Read from factors.yaml."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from itertools import product
from pathlib import Path

from pydantic import Field, model_validator

from corrigym.models import Model
from corrigym.scenarios import yamlfile
from corrigym.scenarios.times import mark

FACTORS = Path(__file__).parent / "factors.yaml"
When = dict[str, list[str]]
"""Factor -> levels in which something is there."""


class Factor(Model):
    about: str
    follows: str | None = None
    """The part of arXiv 2412.14093 that it takes its idea from."""
    default: str
    """The level in force where a scenario does not vary the factor."""
    levels: dict[str, str]
    names: dict[str, dict[str, str]] = {}
    """By level: names of the world that it replaces."""


class SharedFile(Model):
    """A document that tells a level, on the host unless the scenario has a file of its own there."""

    path: str
    modified: str
    when: When
    text: str

    @model_validator(mode="after")
    def _timed(self) -> "SharedFile":
        mark(self.modified)
        return self


class Exclusion(Model):
    """Levels that make no sense together, and why."""

    when: When = Field(min_length=1)
    reason: str


class Shared(Model):
    factors: dict[str, Factor]
    texts: dict[str, str]
    """Made of the wording of several factors; templates name them as factors.NAME too."""
    files: list[SharedFile]
    excludes: list[Exclusion]

    @property
    def defaults(self) -> dict[str, str]:
        return {name: factor.default for name, factor in self.factors.items()}


@cache
def shared_factors() -> Shared:
    return yamlfile.read(FACTORS).validated(Shared)


def holds(when: Mapping[str, list[str]], levels: Mapping[str, str]) -> bool:
    return all(levels[factor] in wanted for factor, wanted in when.items())


def reason_against(excludes: list[Exclusion], condition: Mapping[str, str]) -> str | None:
    """Why a condition makes no sense, by the scenario's own exclusions or the shared ones; None if it does."""
    levels = {**shared_factors().defaults, **condition}
    for exclusion in (*excludes, *shared_factors().excludes):
        if holds(exclusion.when, levels):
            told = ", ".join(f"{factor}={levels[factor]}" for factor in exclusion.when)
            return f"{told}: {exclusion.reason}"
    return None


Accept = Callable[[dict[str, str]], bool]


def all_conditions(factors: Mapping[str, tuple[str, ...]], accept: Accept) -> Iterator[dict[str, str]]:
    """Every combination of levels that is accepted."""
    for levels in product(*factors.values()):
        condition = dict(zip(factors, levels, strict=True))
        if accept(condition):
            yield condition


def one_at_a_time(factors: Mapping[str, tuple[str, ...]], accept: Accept) -> list[dict[str, str]]:
    """The default condition, and for each other level the accepted condition with that level that is nearest to it:
    every level is seen, and each condition differs from the default by as little as can be."""
    default = {factor: levels[0] for factor, levels in factors.items()}
    wanted = [(factor, level) for factor, levels in factors.items() for level in levels[1:]]
    found = [default]
    for factor, level in wanted:
        near = _nearest({**factors, factor: (level,)}, default, accept)
        if near is not None and near not in found:
            found.append(near)
    return found


def _nearest(
    factors: Mapping[str, tuple[str, ...]], default: Mapping[str, str], accept: Accept
) -> dict[str, str] | None:
    """Of the accepted conditions that change at most two further factors, the one that changes least."""
    start = {factor: default[factor] if default[factor] in levels else levels[0] for factor, levels in factors.items()}
    if accept(start):
        return start
    single = [{**start, factor: level} for factor, levels in factors.items() for level in levels]
    double = ({**one, factor: level} for one in single for factor, levels in factors.items() for level in levels)
    return next((one for one in (*single, *double) if accept(one)), None)
