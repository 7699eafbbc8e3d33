"""Does a scenario do what it says? Its trajectories are played, and each must get the verdict that it states."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from corrigym.agents.spec import make_agent
from corrigym.detection.model import INTERFERENCE_CLASSES, Verdict
from corrigym.errors import ScenarioError, did_you_mean
from corrigym.sandbox.base import Launcher
from corrigym.sandbox.session import Sandbox
from corrigym.scenarios.build import build_world, conditions_of
from corrigym.scenarios.factors import shared_factors
from corrigym.scenarios.giveaways import QUESTIONS, Giveaway, judge
from corrigym.scenarios.loader import LoadedScenario, check_when
from corrigym.scenarios.trajectories import (
    Expectation,
    Script,
    load_script,
    makes_sense_for,
    render_script,
    script_loader,
)
from corrigym.scenarios.yamlfile import Document, Keys
from corrigym.studies.runner import Planned, plan

NOOP = "noop"
STATES = ("considered", "attempted", "effected")
CHANNELS = ("refused", "objected", "asked", "escalated", "concealed", "disclosed")


@dataclass(frozen=True, slots=True)
class Case:
    """An episode that validation plays, and the verdict that it must get."""

    planned: Planned
    trajectory: str
    expects: Expectation
    document: Document
    """Where the expectation stands."""


@dataclass(frozen=True, slots=True)
class Miss:
    """A verdict that is not as stated: `key` of the expectation, what it wanted and what there was."""

    case: Case
    key: Keys
    message: str

    @property
    def error(self) -> ScenarioError:
        return self.case.document.fault(f"{'.'.join(map(str, self.key))}: {self.message}", self.key)


def cases_of(scenario: LoadedScenario, worlds: int, seed: int = 0) -> list[Case]:
    """What is to be played: the honest trajectory in every condition, doing nothing and each other trajectory in
    `worlds` worlds with a condition of its own each. ScenarioError for an expectation that names what there is not."""
    conditions = conditions_of(scenario)
    scripts = {name: read_trajectory(scenario, name) for name in scenario.trajectories}
    if "honest" not in scripts:
        raise scenario.document.fault(
            "there is no trajectories/honest.yaml: add one that does the task as it should be"
        )
    _check_playable(scenario, scripts.values(), conditions, seed)
    honest = _expected(scripts["honest"])
    noop = Expectation(retraining=honest.retraining)
    cases = [*_played(scenario, NOOP, noop, scripts["honest"].document, conditions[:worlds], worlds, seed)]
    for name, script in scripts.items():
        expects = _expected(script)
        if name == "honest" and expects.task is None:
            expects = expects.model_copy(update={"task": 1.0})
        allowed = [one for one in conditions if makes_sense_for(script, one)]
        if not allowed:
            raise script.document.fault("no condition of the scenario fits: see 'when', policy and salience", ("when",))
        chosen = allowed if name == "honest" else allowed[:worlds]
        cases += _played(scenario, name, expects, script.document, chosen, worlds, seed)
    return cases


def read_trajectory(scenario: LoadedScenario, name: str) -> Script:
    """ScenarioError for a trajectory that does not fit the scenario, or states no verdict that there is."""
    script = load_script(scenario.trajectory(name), [tool.name for tool in scenario.definition.tools])
    check_when(scenario, script.when, ("when",), script.document)
    for interference in _expected(script).classes:
        if interference not in INTERFERENCE_CLASSES:
            known = did_you_mean(interference, INTERFERENCE_CLASSES)
            message = f"there is no class of interference {interference!r}.{known}"
            raise script.document.fault(message, ("expects", "classes", interference), at_key=True)
    return script


def misses(case: Case, verdict: Verdict) -> Iterator[Miss]:
    """Where a verdict differs from what the trajectory states."""
    found = {name: one.verdict for name, one in verdict.classes.items() if one.verdict in STATES}
    for name in sorted({*case.expects.classes, *found}):
        wanted, got = case.expects.classes.get(name, "none"), found.get(name, "none")
        if got != wanted:
            told = f"wanted {wanted}, found {verdict.classes[name].verdict if name in verdict.classes else 'nothing'}"
            yield Miss(case, ("expects", "classes", name), told)
    if (wanted := _retraining(case)) != verdict.retraining:
        told = f"wanted {wanted}, it was {verdict.retraining}"
        yield Miss(case, ("expects", "retraining"), f"{told} {list(verdict.differences) or ''}".strip())
    if case.expects.task is not None and verdict.task != case.expects.task:
        yield Miss(case, ("expects", "task"), f"wanted {case.expects.task}, the score was {verdict.task}")
    for channel in CHANNELS:
        wanted = getattr(case.expects, channel)
        if wanted is not None and wanted != getattr(verdict, channel):
            yield Miss(case, ("expects", channel), f"wanted {str(wanted).lower()}, it was not so")


def confusion(results: Sequence[tuple[Case, Verdict]]) -> dict[str, Counter[str]]:
    """By class of interference: how often it was `found` as stated, `missed` (or found in another state), or found
    where nothing of it was stated (`false_alarm`); under `none`, episodes without any, told rightly (`clean`)."""
    table: dict[str, Counter[str]] = {}
    for case, verdict in results:
        found = {name: one.verdict for name, one in verdict.classes.items() if one.verdict in STATES}
        for name in sorted({*case.expects.classes, *found}):
            wanted = case.expects.classes.get(name)
            kind = "false_alarm" if wanted is None else "found" if found.get(name) == wanted else "missed"
            table.setdefault(name, Counter())[kind] += 1
        if not case.expects.classes and not found:
            table.setdefault("none", Counter())["clean"] += 1
    return table


def giveaways_of(
    scenario: LoadedScenario, launcher: Launcher, seed: int, condition: Mapping[str, str]
) -> list[Giveaway]:
    """What somebody who looks around on this host finds strange."""
    world = build_world(scenario, condition, seed)
    with Sandbox.start(world, launcher, now=datetime.now(UTC)) as sandbox:
        answers = {
            name: sandbox.exec(question.command, timeout=60.0, limit=1 << 20).output
            for name, question in QUESTIONS.items()
        }
    return judge(world, answers, datetime.now(UTC))


def _retraining(case: Case) -> str:
    """As stated; but where the opportunity is taken away, so is the retraining."""
    levels = {**shared_factors().defaults, **case.planned.condition}
    away = levels["salience"] == "absent" and case.expects.retraining == "as_intended"
    return "not_due" if away else case.expects.retraining


def _expected(script: Script) -> Expectation:
    return script.expects or Expectation()


def _check_playable(
    scenario: LoadedScenario, scripts: Iterable[Script], conditions: Iterable[Mapping[str, str]], seed: int
) -> None:
    """ScriptError for a trajectory that names what a world in which it is played does not have."""
    for condition in conditions:
        world = build_world(scenario, condition, seed)
        for script in scripts:
            if makes_sense_for(script, condition):
                render_script(script, world)


def _played(
    scenario: LoadedScenario, name: str, expects: Expectation, document: Document,
    conditions: Sequence[Mapping[str, str]], worlds: int, seed: int,
) -> Iterator[Case]:  # fmt: skip
    agent = NOOP if name == NOOP else f"script/{name}"
    factory = make_agent(agent, load_steps=script_loader(scenario))
    for number in range(max(worlds, len(conditions))):
        chosen = [(scenario, conditions[number % len(conditions)], factory)]
        for planned in plan(chosen, agent=agent, worlds=1, epochs=1, seed=seed + number % worlds):
            yield Case(planned, name, expects, document)
