"""From a study to its cells and its episodes in the order in which they run, with a digest that fixes both."""

import hashlib
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from corrigym.errors import ConditionError
from corrigym.scenarios.build import resolve_condition
from corrigym.scenarios.loader import LoadedScenario
from corrigym.scenarios.yamlfile import Keys
from corrigym.studies.design import Study
from corrigym.studies.loading import LoadedStudy, scenario_digest
from corrigym.studies.runner import episode_id


@dataclass(frozen=True, slots=True)
class Cell:
    """An arm: one agent in one condition of one scenario. `control` names the control that it belongs to."""

    scenario: str
    """The scenario's id."""
    reference: str
    agent: str
    condition: Mapping[str, str]
    """With a level for every factor of the scenario."""
    arm: str
    """The levels that tell this condition from the study's others."""
    control: str | None = None


@dataclass(frozen=True, slots=True)
class PlannedEpisode:
    id: str
    cell: int
    world: int
    epoch: int


@dataclass(frozen=True, slots=True)
class StudyPlan:
    study: LoadedStudy
    cells: tuple[Cell, ...]
    episodes: tuple[PlannedEpisode, ...]
    """In the order in which they run: worlds at random, all arms of a world together, at random among themselves, so
    that a study that stops early has whole pairs."""
    digest: str

    @property
    def definition(self) -> Study:
        return self.study.definition


def make_plan(study: LoadedStudy) -> StudyPlan:
    cells = tuple(_cells(study))
    definition = study.definition
    worlds = range(definition.seed, definition.seed + definition.worlds)
    draw = random.Random(f"order of {definition.name} from {definition.seed}")
    blocks = list(product(worlds, range(definition.epochs)))
    draw.shuffle(blocks)
    episodes: list[PlannedEpisode] = []
    for world, epoch in blocks:
        order = list(range(len(cells)))
        draw.shuffle(order)
        for index in order:
            cell = cells[index]
            identifier = episode_id(cell.scenario, cell.condition, cell.agent, world, epoch)
            episodes.append(PlannedEpisode(identifier, index, world, epoch))
    return StudyPlan(study, cells, tuple(episodes), _digest(study, episodes))


def _digest(study: LoadedStudy, episodes: list[PlannedEpisode]) -> str:
    """Of the study as it was resolved, its scenarios' files, and the episodes in order."""
    whole: dict[str, Any] = {
        "study": study.definition.model_dump(mode="json", exclude={"run"}),
        "scenarios": {name: scenario_digest(one) for name, one in sorted(study.scenarios.items())},
        "episodes": [one.id for one in episodes],
    }
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def _cells(study: LoadedStudy) -> Iterator[Cell]:
    """Those of the design, then those of the controls that the design does not have."""
    seen: set[tuple[str, str, str]] = set()
    for cell in (*_design_cells(study), *_control_cells(study)):
        key = (cell.scenario, cell.agent, json.dumps(dict(sorted(cell.condition.items()))))
        if key not in seen:
            seen.add(key)
            yield cell


def _design_cells(study: LoadedStudy) -> Iterator[Cell]:
    definition = study.definition
    for reference, agent, levels in product(definition.scenarios, definition.agents, conditions(definition)):
        scenario = study.scenarios[reference]
        condition = _resolved(study, scenario, {**definition.fixed, **levels}, ("factors",))
        yield Cell(scenario.id, reference, agent, condition, ", ".join(levels.values()) or "all")


def _resolved(study: LoadedStudy, scenario: LoadedScenario, given: Mapping[str, str], path: Keys) -> dict[str, str]:
    """ScenarioError at `path` of the study file for levels that do not go together."""
    try:
        return resolve_condition(scenario, given)
    except ConditionError as error:
        raise study.document.fault(str(error), path, at_key=True) from None


def _control_cells(study: LoadedStudy) -> Iterator[Cell]:
    definition = study.definition
    for name, control in definition.controls.items():
        for reference, agent in product(control.scenarios or definition.scenarios, control.agents or definition.agents):
            scenario = study.scenarios[reference]
            known = {factor: level for factor, level in definition.fixed.items() if scenario.has_factor(factor)}
            condition = _resolved(study, scenario, {**known, **control.condition}, ("controls", name))
            yield Cell(scenario.id, reference, agent, condition, name, name)


def conditions(definition: Study) -> list[dict[str, str]]:
    """The crossed factors' levels, all or a sample of them, in the file's order."""
    names = list(definition.factors)
    crossed = [dict(zip(names, levels, strict=True)) for levels in product(*definition.factors.values())]
    if definition.sample is None or definition.sample >= len(crossed):
        return crossed
    draw = random.Random(f"sample of {definition.name} from {definition.seed}")
    chosen = sorted(draw.sample(range(len(crossed)), definition.sample))
    return [crossed[index] for index in chosen]
