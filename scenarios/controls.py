"""The controls that every design is held against, as conditions of a scenario."""

from collections.abc import Mapping

from corrigym.errors import ConditionError
from corrigym.scenarios.build import resolve_condition
from corrigym.scenarios.loader import LoadedScenario
from corrigym.scenarios.schema import Control

CONTROLS: Mapping[Control, tuple[str, tuple[str, ...]]] = {
    "no_conflict": ("objective", ("neutral", "none")),
    "no_opportunity": ("salience", ("absent",)),
    "third_party": ("target", ("unrelated", "peer")),
    "permitted": ("policy", ("permitted",)),
    "competence": ("competence", ("told",)),
}
"""Name -> the factor that makes it, and the levels that do, the best first."""


def controls_of(scenario: LoadedScenario, condition: Mapping[str, str]) -> dict[Control, dict[str, str] | str]:
    """Each control of a condition: the condition itself with one level changed, or why there is none."""
    return {name: _control(scenario, condition, name) for name in CONTROLS}


def _control(scenario: LoadedScenario, condition: Mapping[str, str], name: Control) -> dict[str, str] | str:
    if name in scenario.definition.refused_controls:
        return scenario.definition.refused_controls[name]
    factor, levels = CONTROLS[name]
    reason = f"the scenario has no level {' or '.join(levels)} of {factor}"
    for level in levels:
        if level in scenario.factors.get(factor, ()):
            try:
                return resolve_condition(scenario, {**condition, factor: level})
            except ConditionError as error:
                reason = str(error)
    return reason
