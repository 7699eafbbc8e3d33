"""`corrigym scenario validate`."""

import argparse
import platform
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

import corrigym
from corrigym.cli.lint import listed
from corrigym.cli.output import console, messages, print_json
from corrigym.cli.progress import RunProgress
from corrigym.detection.model import INTERFERENCE_CLASSES, Verdict
from corrigym.episodes.runs import DEFAULT_FOLDER, RunFolder
from corrigym.episodes.summary import episode_summary
from corrigym.errors import LogError, SandboxError, ScenarioError, UsageError
from corrigym.sandbox.base import Launcher
from corrigym.sandbox.launchers import choose_launcher
from corrigym.scenarios.authoring.lint import choose_rules, lint
from corrigym.scenarios.authoring.subject import Remark
from corrigym.scenarios.build import conditions_of
from corrigym.scenarios.giveaways import Giveaway
from corrigym.scenarios.loader import LoadedScenario, library_ids, load_scenario
from corrigym.studies.runner import Outcome, run_episodes
from corrigym.studies.validation import Case, Miss, cases_of, confusion, giveaways_of, misses

FAILED = 3


@dataclass(slots=True)
class Report:
    """What validation found out about one scenario."""

    scenario: LoadedScenario
    remarks: list[Remark] = field(default_factory=list)
    """Of lint."""
    results: list[tuple[Case, Verdict]] = field(default_factory=list)
    unplayed: list[tuple[Case, str]] = field(default_factory=list)
    misses: list[Miss] = field(default_factory=list)
    giveaways: list[tuple[int, Giveaway]] = field(default_factory=list)
    """With the world in which each was seen."""
    unseen: list[tuple[int, str]] = field(default_factory=list)
    """Worlds that nobody could look around in, and why."""

    @property
    def passed(self) -> bool:
        wrong = self.remarks or self.misses or self.unplayed or self.unseen
        return not (wrong or any(not one.of_sandbox for _, one in self.giveaways))


def validate(options: argparse.Namespace) -> int:
    references = _chosen(options)
    scenarios = [load_scenario(reference) for reference in references]
    rules = choose_rules([], listed(options.ignore))
    cases = {scenario.id: cases_of(scenario, options.worlds, options.seed) for scenario in scenarios}
    played = [case for one in cases.values() for case in one]
    with RunProgress(messages(), len(played)) as progress:
        launcher = choose_launcher(options.sandbox, progress.note, progress.preparing)
        folder = _folder(options, launcher, scenarios)
        outcomes = run_episodes(
            (case.planned for case in played), launcher=launcher, folder=folder, observer=progress.observer(),
            max_sandboxes=options.max_sandboxes,
        )  # fmt: skip
        progress.note("looking for what gives the worlds away")
        reports = [_report(scenario, cases[scenario.id], outcomes, folder) for scenario in scenarios]
        for reference, report in zip(references, reports, strict=True):
            report.remarks = lint(reference, rules, classes=INTERFERENCE_CLASSES)
            _look_around(report, launcher, options)
    if options.json:
        print_json(_as_json(reports, folder, launcher))
    else:
        for report in reports:
            _print(report)
        print(f"log:    {folder.path}")
    return 0 if all(report.passed for report in reports) else FAILED


def _chosen(options: argparse.Namespace) -> list[str]:
    if options.all == bool(options.scenarios):
        raise UsageError("name the scenarios to validate, or say --all")
    return library_ids() if options.all else list(dict.fromkeys(options.scenarios))


def _folder(options: argparse.Namespace, launcher: Launcher, scenarios: Sequence[LoadedScenario]) -> RunFolder:
    parent = Path(options.log_dir or DEFAULT_FOLDER)
    facts: dict[str, Any] = {
        "name": "validate", "sandbox": launcher.name, "scenarios": [one.id for one in scenarios], "episodes": [],
        "versions": {"corrigym": corrigym.__version__, "python": platform.python_version()},
    }  # fmt: skip
    try:
        return RunFolder.create(parent, "validate", facts)
    except OSError as error:
        raise UsageError(f"the run's folder cannot be made below {parent}: {error.strerror or error}") from error


def _report(scenario: LoadedScenario, cases: Sequence[Case], outcomes: Sequence[Outcome], folder: RunFolder) -> Report:
    report, told = Report(scenario), {outcome.planned.id: outcome for outcome in outcomes}
    for case in cases:
        outcome = told.get(case.planned.id)
        verdict = _verdict(folder, case) if outcome is not None and outcome.status == "finished" else None
        if verdict is None:
            report.unplayed.append((case, outcome.error or outcome.status if outcome else "it was not started"))
        else:
            report.results.append((case, verdict))
            report.misses += misses(case, verdict)
    return report


def _verdict(folder: RunFolder, case: Case) -> Verdict | None:
    try:
        return episode_summary(folder.path / "episodes" / f"{case.planned.id}.jsonl").verdict
    except (LogError, OSError):
        return None


def _look_around(report: Report, launcher: Launcher, options: argparse.Namespace) -> None:
    """Puts into the report what gives its worlds away. What has been played is not lost where a sandbox fails now."""
    conditions = conditions_of(report.scenario)
    seeds = range(options.seed, options.seed + options.worlds)
    with ThreadPoolExecutor(options.max_sandboxes) as pool:
        looks = [
            pool.submit(giveaways_of, report.scenario, launcher, seed, conditions[seed % len(conditions)])
            for seed in seeds
        ]
    for seed, look in zip(seeds, looks, strict=True):
        try:
            report.giveaways += [(seed, one) for one in look.result()]
        except SandboxError as error:
            report.unseen.append((seed, str(error)))


def _print(report: Report) -> None:
    out = console()
    out.rule(Text(report.scenario.id), align="left", style="dim")
    out.print(_by_trajectory(report))
    out.print(_by_class(confusion(report.results)))
    for line in problems(report):
        out.print(Text(line), soft_wrap=True)
    notes = Counter(f"{one.question}: {one.reason}" for _, one in report.giveaways if one.of_sandbox)
    for note, count in notes.items():
        out.print(
            Text(f"note: in {count} worlds, of the sandbox and not the scenario: {note}", style="dim"), soft_wrap=True
        )
    worlds = len({case.planned.world for case, _ in report.results})
    told = f"{len(report.results)} episodes in {worlds} worlds"
    out.print(
        Text(f"{report.scenario.id}: passed, {told}" if report.passed else f"{report.scenario.id}: FAILED, {told}")
    )


def _by_trajectory(report: Report) -> Table:
    table = Table("trajectory", "must lead to", "played", "as stated", box=None, pad_edge=False)
    wrong = {miss.case.planned.id for miss in report.misses}
    for name in dict.fromkeys(case.trajectory for case, _ in report.results):
        own = [case for case, _ in report.results if case.trajectory == name]
        right = [case for case in own if case.planned.id not in wrong]
        table.add_row(Text(name), Text(_stated(own[0])), str(len(own)), str(len(right)))
    return table


def _stated(case: Case) -> str:
    expects = case.expects
    parts = [f"{name} {state}" for name, state in expects.classes.items()] or ["no interference"]
    parts += [f"retraining {expects.retraining.replace('_', ' ')}"]
    parts += [f"task {expects.task:g}"] if expects.task is not None else []
    return ", ".join(parts + [name for name in ("refused", "objected", "asked", "escalated") if getattr(expects, name)])


def _by_class(table: Mapping[str, Counter[str]]) -> Table:
    shown = Table("class", "found as stated", "missed", "false alarms", box=None, pad_edge=False)
    for name, counts in table.items():
        right = counts["clean"] if name == "none" else counts["found"]
        label = "none (episodes without interference)" if name == "none" else name
        shown.add_row(Text(label), str(right), str(counts["missed"]), str(counts["false_alarm"]))
    return shown


def problems(report: Report) -> Iterator[str]:
    """A line for each thing that is wrong, with its place; what is the same in several episodes is said once."""
    yield from map(str, report.remarks)
    grouped: dict[str, list[str]] = {}
    for miss in report.misses:
        grouped.setdefault(str(miss.error), []).append(miss.case.planned.id)
    for case, reason in report.unplayed:
        grouped.setdefault(f"{case.document.file}: could not be played: {reason}", []).append(case.planned.id)
    for message, episodes in grouped.items():
        yield f"{message} ({len(episodes)} episodes, such as {episodes[0]})"
    seen: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for world, one in report.giveaways:
        if not one.of_sandbox:
            seen.setdefault((one.question, one.reason), []).append((world, one.subject))
    file = report.scenario.document.file
    for world, reason in report.unseen:
        yield f"{file}: world {world} could not be looked at: {reason}"
    for (question, reason), found in seen.items():
        yield f"{file}: giveaway: {question}: {found[0][1]}: {reason} (worlds {_worlds(found)})"


def _worlds(found: Sequence[tuple[int, str]]) -> str:
    return ", ".join(dict.fromkeys(str(world) for world, _ in found))


def _as_json(reports: Sequence[Report], folder: RunFolder, launcher: Launcher) -> dict[str, Any]:
    return {
        "run_dir": str(folder.path), "sandbox": launcher.name, "passed": all(report.passed for report in reports),
        "scenarios": [
            {
                "scenario": report.scenario.id, "passed": report.passed, "episodes": len(report.results),
                "confusion": {name: dict(counts) for name, counts in confusion(report.results).items()},
                "remarks": [asdict(one) for one in report.remarks],
                "problems": [_problem(miss.error, miss) for miss in report.misses],
                "unplayed": [{"episode": case.planned.id, "reason": reason} for case, reason in report.unplayed],
                "giveaways": [{"world": world, **asdict(one)} for world, one in report.giveaways],
                "unseen": [{"world": world, "reason": reason} for world, reason in report.unseen],
            }
            for report in reports
        ],
    }  # fmt: skip


def _problem(error: ScenarioError, miss: Miss) -> dict[str, Any]:
    return {
        "file": str(error.file), "line": error.line, "column": error.column, "key": ".".join(map(str, miss.key)),
        "message": miss.message, "trajectory": miss.case.trajectory, "episode": miss.case.planned.id,
    }  # fmt: skip
