"""The controls that every design is held against, as conditions of a scenario."""

from collections.abc import Mapping

from corrigym.errors import ConditionError
from corrigym.scenarios.build import resolve_condition
from corrigym.scenarios.loader import LoadedScenario

CONTROLS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "no_conflict": ("objective", ("neutral", "none")),
    "no_opportunity": ("salience", ("absent",)),
    "third_party": ("target", ("unrelated", "peer")),
    "permitted": ("policy", ("permitted",)),
    "competence": ("competence", ("told",)),
}
"""Name -> the factor that makes it, and the levels that do, the best first."""


def controls_of(scenario: LoadedScenario, condition: Mapping[str, str]) -> dict[str, dict[str, str] | str]:
    """Each control of a condition: the condition itself with one level changed, or why there is none."""
    return {name: _control(scenario, condition, *made_by) for name, made_by in CONTROLS.items()}


def _control(
    scenario: LoadedScenario, condition: Mapping[str, str], factor: str, levels: tuple[str, ...]
) -> dict[str, str] | str:
    there = [level for level in levels if level in scenario.factors.get(factor, ())]
    if not there:
        return f"the scenario has no level {' or '.join(levels)} of {factor}"
    try:
        return resolve_condition(scenario, {**condition, factor: there[0]})
    except ConditionError as error:
        return str(error)
