"""The labelled corpus: trajectories of which it is known what they are, and how one is played and judged."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Literal
from zlib import crc32

from corrigym.agents.base import AgentStop, Briefing
from corrigym.agents.scripted import ScriptedAgent
from corrigym.detection.model import ClassState, Finding, Retraining, Verdict
from corrigym.detection.score import Record
from corrigym.envs.base import RetrainingEnv
from corrigym.episodes.events import Call, EpisodeEnded, EpisodeStarted, FindingMade, Payload, Result
from corrigym.episodes.scoring import begin, take
from corrigym.models import Json, Model
from corrigym.sandbox.base import Launcher
from corrigym.scenarios import yamlfile
from corrigym.scenarios.loader import LoadedScenario, load_scenario
from corrigym.scenarios.schema import Permission
from corrigym.scenarios.trajectories import Script, render_script
from corrigym.scenarios.yamlfile import Document

FOLDER = Path(__file__).parent
WORLDS = 5
POSITIVE = ("attempted", "effected")


class Case(Model):
    """One trajectory.

    `expect`: class -> how far it goes (`either`: that depends on the machine); without it the conduct is innocent.
    `also`: classes that the same acts may be called as well. `permits`: what the manifest holds beyond the scenario's
    own. `needs: judge`: without a judge model the expected classes are `unscored`. `missed`: why detection does not see
    it for what it is (docs/detection.md, "Known misses").
    """

    name: str
    technique: str
    steps: list[dict[str, Json]]
    expect: dict[str, Literal["attempted", "effected", "either"]] = {}
    also: tuple[str, ...] = ()
    retraining: Retraining | None = None
    condition: dict[str, str] = {}
    scenario: str = "weight-custody"
    permits: list[Permission] = []
    needs: Literal["judge"] | None = None
    missed: str | None = None

    @property
    def innocent(self) -> bool:
        return not self.expect

    @property
    def world(self) -> int:
        return crc32(self.name.encode()) % WORLDS


@dataclass(frozen=True, slots=True)
class Labelled:
    """A case and where it is written: `document` is its part of the file, so that faults are told at their line."""

    case: Case
    document: Document

    @property
    def theme(self) -> str:
        return self.document.file.stem


@dataclass(slots=True)
class Played:
    """What came of a case. `calls`: each command with its exit status and output."""

    verdict: Verdict
    record: Record
    failed: dict[str, str]
    findings: list[Finding] = field(default_factory=list)
    calls: list[tuple[str, int | None, str]] = field(default_factory=list)

    @property
    def states(self) -> dict[str, ClassState]:
        """The classes that were seen."""
        found = {name: seen.verdict for name, seen in self.verdict.classes.items()}
        return {name: state for name, state in found.items() if state in POSITIVE}


def load(kind: Literal["interfering", "innocent"]) -> list[Labelled]:
    """All cases of one kind. ScenarioError with the line for a case that is none."""
    return [labelled for file in sorted((FOLDER / kind).glob("*.yaml")) for labelled in _cases(file)]


def load_all() -> list[Labelled]:
    return [*load("interfering"), *load("innocent")]


def _cases(file: Path) -> Iterator[Labelled]:
    document = yamlfile.read(file)
    cases = document.value.get("cases") if isinstance(document.value, dict) else None
    if not isinstance(cases, list):
        raise document.fault("a file of the corpus has 'cases', a list")
    for number, value in enumerate(cases):
        own = (("cases", number), document.places, document.keys)
        places, keys = ({path[2:]: place for path, place in all_.items() if path[:2] == own[0]} for all_ in own[1:])
        part = replace(document, value=value, places=places, keys=keys)
        yield Labelled(part.validated(Case), part)


def play(labelled: Labelled, launcher: Launcher) -> Played:
    """Plays the case on `launcher` through the public environment. SandboxError if the sandbox fails."""
    case = labelled.case
    env = RetrainingEnv(_scenario(case), sandbox=launcher, condition=case.condition)
    seen: list[Payload] = []
    env.on_event = lambda payload, _: seen.append(payload)
    try:
        _act(env, labelled)
    finally:
        env.close()
    return _played(seen)


def _act(env: RetrainingEnv, labelled: Labelled) -> None:
    observation, info = env.reset(seed=labelled.case.world)
    steps = render_script(Script(labelled.document, tuple(labelled.case.steps)), env.world)
    agent = ScriptedAgent(labelled.case.name, steps)
    agent.reset(Briefing(info["system"], observation["text"], env.world.tools, env.world.seed, env.record_message))
    over = False
    try:
        while not over:
            observation, _, terminated, truncated, _ = env.step(agent.act(observation))
            over = terminated or truncated
    except AgentStop as stop:
        env.finish(stop.reason)


def _played(seen: list[Payload]) -> Played:
    started, ended = seen[0], seen[-1]
    assert isinstance(started, EpisodeStarted)
    assert isinstance(ended, EpisodeEnded)
    assert ended.verdict is not None
    played = Played(ended.verdict, begin(started), dict(ended.detectors))
    for payload in seen[1:]:
        take(played.record, payload)
        match payload:
            case FindingMade():
                played.findings.append(payload.finding)
            case Call():
                played.calls.append((str(payload.arguments.get("command", payload.tool)), None, ""))
            case Result():
                played.calls[-1] = (played.calls[-1][0], payload.exit_code, payload.text)
            case _:
                pass
    return played


def play_all(cases: Iterable[Labelled], launcher: Launcher, at_once: int = 2) -> dict[str, Played | Exception]:
    """Every case by its name, `at_once` of them at a time; an exception where one could not be played."""

    def attempt(labelled: Labelled) -> Played | Exception:
        try:
            return play(labelled, launcher)
        except Exception as error:  # noqa: BLE001  one broken case must not hide the others
            return error

    cases = list(cases)
    with ThreadPoolExecutor(at_once) as pool:
        return {one.case.name: played for one, played in zip(cases, pool.map(attempt, cases), strict=True)}


def faults(case: Case, played: Played | Exception) -> list[str]:
    """How what was seen differs from the label, a line each; nothing where it is as it should be."""
    if isinstance(played, Exception):
        return [f"not played: {type(played).__name__}: {played}"]
    states, lines = played.states, [f"detector {name} failed: {why}" for name, why in played.failed.items()]
    for name, expected in case.expect.items():
        wanted = ("unscored",) if case.needs else POSITIVE if expected == "either" else (expected,)
        if (got := played.verdict.classes[name].verdict) not in wanted:
            lines.append(f"{name}: expected {' or '.join(wanted)}, got {got}")
    lines += [
        f"{name}: {state} on {(seen := played.verdict.classes[name]).asset}, expected none ({seen.reason})"
        for name, state in states.items()
        if name not in case.expect and name not in case.also
    ]
    retraining = case.retraining or ("as_intended" if case.innocent else None)
    if retraining and played.verdict.retraining != retraining:
        lines.append(f"retraining: expected {retraining}, got {played.verdict.retraining} {played.verdict.differences}")
    return lines


def _scenario(case: Case) -> LoadedScenario:
    scenario = _loaded(case.scenario)
    manifest = [*scenario.definition.authorisation, *case.permits]
    return replace(scenario, definition=scenario.definition.model_copy(update={"authorisation": manifest}))


@cache
def _loaded(name: str) -> LoadedScenario:
    return load_scenario(name)
