"""From a study file to a study whose scenarios are loaded, and whose every name means something."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corrigym.errors import ConditionError, UsageError, did_you_mean
from corrigym.scenarios import yamlfile
from corrigym.scenarios.build import resolve_condition
from corrigym.scenarios.loader import FACTORS, LoadedScenario, library_ids, load_scenario
from corrigym.scenarios.yamlfile import Document, Keys
from corrigym.studies.design import Between, Study
from corrigym.studies.outcomes import is_outcome, known_outcomes


@dataclass(frozen=True, slots=True)
class LoadedStudy:
    definition: Study
    document: Document
    base: Path
    """The folder that relative scenarios are found from."""
    scenarios: Mapping[str, LoadedScenario]
    """By the reference that the file gives."""

    @property
    def name(self) -> str:
        return self.definition.name

    def line(self, *path: str | int) -> int | None:
        place = self.document.places.get(path)
        return place.line if place else None


def load_study(file: Path, *, base: Path | None = None) -> LoadedStudy:
    """ScenarioError with file, line and column for anything that is wrong in it."""
    document = yamlfile.read(file)
    definition = document.validated(Study)
    base = base or file.parent
    references = [
        *((reference, ("scenarios", index)) for index, reference in enumerate(definition.scenarios)),
        *(
            (reference, ("controls", name, "scenarios", index))
            for name, control in definition.controls.items()
            for index, reference in enumerate(control.scenarios)
        ),
    ]
    scenarios = {reference: _scenario(reference, base, document, path) for reference, path in references}
    study = LoadedStudy(definition, document, base, scenarios)
    _check_ids(study)
    _check_conditions(study)
    _check_primary(study)
    for index, name in enumerate(definition.secondary):
        _check_outcome(document, name, ("secondary", index))
    return study


def scenario_digest(scenario: LoadedScenario) -> str:
    """Of all files in its folder: a study that is resumed after one changed would mix two scenarios."""
    total = hashlib.sha256()
    for path in sorted(path for path in scenario.folder.rglob("*") if path.is_file()):
        total.update(path.relative_to(scenario.folder).as_posix().encode() + b"\0")
        total.update(hashlib.sha256(path.read_bytes()).digest())
    total.update(FACTORS.read_bytes())
    return total.hexdigest()


def _scenario(reference: str, base: Path, document: Document, path: Keys) -> LoadedScenario:
    try:
        return load_scenario(reference if reference in library_ids() else _beside(reference, base))
    except UsageError as error:
        raise document.fault(str(error), path) from None


def _beside(reference: str, base: Path) -> str:
    plain = "/" not in reference and not (base / reference).exists()
    return reference if plain or Path(reference).is_absolute() else str(base / reference)


def _check_ids(study: LoadedStudy) -> None:
    seen: dict[str, str] = {}
    for reference, scenario in study.scenarios.items():
        other = seen.setdefault(scenario.id, reference)
        if other != reference:
            raise study.document.fault(f"{other!r} and {reference!r} are both scenario {scenario.id!r}", ("scenarios",))


def _check_conditions(study: LoadedStudy) -> None:
    definition = study.definition
    for reference in definition.scenarios:
        scenario = study.scenarios[reference]
        for factor, levels in definition.factors.items():
            for index, level in enumerate(levels):
                _check_level(study, scenario, factor, level, ("factors", factor, index))
                if level in levels[:index]:
                    raise study.document.fault(f"level {level!r} is listed twice", ("factors", factor, index))
        for factor, level in definition.fixed.items():
            _check_level(study, scenario, factor, level, ("fixed", factor))
    for name, control in definition.controls.items():
        for reference in control.scenarios or definition.scenarios:
            for factor, level in control.condition.items():
                place: Keys = ("controls", name, "condition", factor)
                _check_level(study, study.scenarios[reference], factor, level, place)
        for index, agent in enumerate(control.agents):
            if agent in control.agents[:index]:
                raise study.document.fault(f"{agent!r} is listed twice", ("controls", name, "agents", index))


def _check_level(study: LoadedStudy, scenario: LoadedScenario, factor: str, level: str, path: Keys) -> None:
    try:
        resolve_condition(scenario, {factor: level})
    except ConditionError as error:
        unknown = not scenario.has_factor(factor)
        place = path[:-1] if unknown and isinstance(path[-1], int) else path
        raise study.document.fault(str(error), place, at_key=unknown) from None


def _check_primary(study: LoadedStudy) -> None:
    primary = study.definition.primary
    if primary is None:
        return
    _check_outcome(study.document, primary.outcome, ("primary", "outcome"))
    for where, between in _betweens(primary.difference, primary.moderator):
        crossed = study.definition.factors
        if between.factor not in crossed:
            known = did_you_mean(between.factor, crossed)
            message = f"{between.factor!r} is no crossed factor of this study.{known}"
            raise study.document.fault(message, ("primary", where, "factor"))
        for key in ("level", "against"):
            level = getattr(between, key)
            if level not in crossed[between.factor]:
                known = did_you_mean(level, crossed[between.factor])
                message = f"the study has no arm with {between.factor}={level}.{known}"
                raise study.document.fault(message, ("primary", where, key))
    for index, agent in enumerate(primary.agents):
        if agent not in study.definition.agents:
            known = did_you_mean(agent, study.definition.agents)
            raise study.document.fault(f"{agent!r} is no agent of this study.{known}", ("primary", "agents", index))


def _betweens(difference: Between, moderator: Between | None) -> Iterator[tuple[str, Between]]:
    yield "difference", difference
    if moderator is not None:
        yield "moderator", moderator


def _check_outcome(document: Document, name: str, path: Keys) -> None:
    if not is_outcome(name):
        raise document.fault(f"there is no outcome {name!r}.{did_you_mean(name, known_outcomes())}", path)


def schema() -> dict[str, Any]:
    """The JSON Schema of a study file, for editors."""
    return Study.model_json_schema()
