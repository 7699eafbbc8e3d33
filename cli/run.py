"""`corrigym run`."""

import argparse
import contextlib
import platform
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

import corrigym
from corrigym.agents.judge import Judge, make_judge
from corrigym.agents.shared import Shared
from corrigym.agents.spec import AgentFactory, make_agent
from corrigym.cli.accounts import accounts_of, as_json, price_of_run, read_allowance, run_json
from corrigym.cli.conditions import parse_conditions
from corrigym.cli.output import console, messages, print_json, say
from corrigym.cli.progress import RunProgress
from corrigym.episodes.runs import DEFAULT_FOLDER, RunFolder
from corrigym.episodes.summary import EpisodeSummary, episode_summary, render_summaries
from corrigym.errors import CorrigymError, LogError
from corrigym.sandbox.base import Launcher
from corrigym.sandbox.launchers import choose_launcher, remove_orphans
from corrigym.scenarios.build import build_world, resolve_condition
from corrigym.scenarios.loader import LoadedScenario, load_scenario
from corrigym.scenarios.trajectories import script_loader
from corrigym.studies.accounts import charge, together, told
from corrigym.studies.runner import HOPELESS, Allowance, Outcome, Planned, no_host_starts, plan, run_episodes

DEFAULTS: Mapping[str, Any] = {
    "agent": "script/honest", "sandbox": "auto", "worlds": 1, "epochs": 1, "seed": 0, "max_sandboxes": 4,
    "log_dir": str(DEFAULT_FOLDER), "limit": None, "max_cost": None, "prices": None, "judge": None, "judge_votes": 1,
    "docker_runtime": None, "docker_host": None,
}  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Everything that can be refused is refused before the first sandbox starts."""
    settings = _settings(options)
    values = {key: setting["value"] for key, setting in settings.items()}
    with Shared(say, Path(values["log_dir"])) as shared:
        episodes = _plan(options, values, shared)
        judge = _judge(values, shared, episodes[0].scenario)
        return _run(options, settings, episodes, read_allowance(options, values["agent"]), judge)


def _run(
    options: argparse.Namespace,
    settings: dict[str, dict[str, Any]],
    episodes: list[Planned],
    allowance: Allowance,
    judge: Judge | None,
) -> int:
    human = settings["agent"]["value"] == "human"  # alone at the terminal, and undisturbed
    with RunProgress(Console(stderr=True, force_terminal=False) if human else messages(), len(episodes)) as progress:
        launcher = choose_launcher(
            settings["sandbox"]["value"], progress.note, progress.preparing,
            runtime=settings["docker_runtime"]["value"], hosts=settings["docker_host"]["value"] or (),
        )  # fmt: skip
        folder = _folder(settings, episodes, launcher, allowance)
        for orphan in remove_orphans(launcher):
            progress.note(f"removed a container that a dead run left: {orphan.id[:12]}")
        try:
            outcomes = run_episodes(
                episodes, launcher=launcher, folder=folder, observer=progress.observer(), allowance=allowance,
                judge=judge, max_sandboxes=1 if human else settings["max_sandboxes"]["value"],
            )  # fmt: skip
        except KeyboardInterrupt:
            progress.note(f"interrupted; what was finished is in {folder.path}")
            raise
    _report(options, folder, outcomes, launcher)
    if unstarted := len(episodes) - len(outcomes):
        why = f"{HOPELESS} hosts in a row did not start" if no_host_starts(outcomes) else "--max-cost is reached"
        say(f"corrigym: {why}: {unstarted} of {len(episodes)} episodes were not started")
    return 0 if not unstarted and all(outcome.status == "finished" for outcome in outcomes) else 1


def _settings(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Each setting with its value and where that came from."""
    given = {key: getattr(options, key) for key in DEFAULTS}
    return {
        key: {"value": DEFAULTS[key], "origin": "default"}
        if value is None
        else {"value": value, "origin": f"--{key.replace('_', '-')}"}
        for key, value in given.items()
    }


def _plan(options: argparse.Namespace, values: Mapping[str, Any], shared: Shared) -> list[Planned]:
    given = parse_conditions(options.condition)
    chosen: list[tuple[LoadedScenario, Mapping[str, str], AgentFactory]] = []
    for reference in options.scenarios:
        scenario = load_scenario(reference)
        factory = make_agent(values["agent"], load_steps=script_loader(scenario), shared=shared)
        condition = resolve_condition(scenario, given)
        build_world(scenario, condition, values["seed"])  # what an author got wrong is told before a sandbox starts
        chosen.append((scenario, condition, factory))
    return plan(chosen, agent=values["agent"], worlds=values["worlds"], epochs=values["epochs"], seed=values["seed"])


def _judge(values: Mapping[str, Any], shared: Shared, scenario: LoadedScenario) -> Judge | None:
    """The judge, if there is to be one; a script that stands in for it is filled in with the scenario's names."""
    spec = values["judge"]
    if spec is None:
        return None
    return make_judge(spec, make_agent(spec, load_steps=script_loader(scenario), shared=shared), values["judge_votes"])


def _folder(
    settings: Mapping[str, Mapping[str, Any]], episodes: list[Planned], launcher: Launcher, allowance: Allowance
) -> RunFolder:
    names = "-".join(dict.fromkeys(planned.scenario.id for planned in episodes))
    parent = Path(settings["log_dir"]["value"])
    try:
        return RunFolder.create(
            parent, names[:60],
            {
                "name": names, "settings": {key: dict(value) for key, value in settings.items()},
                "sandbox": launcher.name, "command": list(sys.argv),
                "price": allowance.price.model_dump(mode="json") if allowance.price else None,
                "versions": {"corrigym": corrigym.__version__, "python": platform.python_version()},
                "episodes": [
                    {"id": one.id, "scenario": one.scenario.id, "condition": dict(one.condition), "world": one.world,
                     "epoch": one.epoch, "agent": one.agent}
                    for one in episodes
                ],
            },
        )  # fmt: skip
    except OSError as error:
        raise CorrigymError(f"the run's folder cannot be made below {parent}: {error.strerror or error}") from error


def _report(options: argparse.Namespace, folder: RunFolder, outcomes: list[Outcome], launcher: Launcher) -> None:
    summaries = list(_summaries(folder))
    logged = {summary.id for summary in summaries}
    unlogged = [outcome for outcome in outcomes if outcome.planned.id not in logged]
    logs = [folder.path / "episodes" / f"{summary.id}.jsonl" for summary in summaries]
    accounts = accounts_of(logs, price_of_run(folder))
    if options.json:
        episodes = as_json(summaries, accounts) + [_never_started(outcome, launcher) for outcome in unlogged]
        print_json(run_json(folder.path, episodes, accounts))
    else:
        console().print(render_summaries(summaries))
        if together(accounts).usage.total:
            print(f"usage:  {told(together(accounts))}")
        print(f"log:    {folder.path}\nreplay: corrigym replay {folder.path}")
    for outcome in outcomes:
        if outcome.error:
            print(f"corrigym: {outcome.planned.id}: {outcome.error}", file=sys.stderr)


def _summaries(folder: RunFolder) -> Iterator[EpisodeSummary]:
    """Of every episode whose log says at least how it started."""
    for path in folder.episodes():
        with contextlib.suppress(LogError):
            yield episode_summary(path)


def _never_started(outcome: Outcome, launcher: Launcher) -> dict[str, Any]:
    """An episode whose host did not start has no log, but it is counted."""
    planned = outcome.planned
    return {
        "id": planned.id, "scenario": planned.scenario.id, "condition": dict(planned.condition),
        "world": planned.world, "epoch": planned.epoch, "agent": planned.agent, "sandbox": launcher.name,
        "status": outcome.status, "steps": 0, "verdict": None, "error": outcome.error, **charge((), None).to_json(),
    }  # fmt: skip
