"""`corrigym study run` and `corrigym study resume`."""

import argparse
import platform
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import corrigym
from corrigym.agents.prices import SHIPPED, Price, load_prices, need_price
from corrigym.agents.shared import Shared
from corrigym.cli.output import messages, print_json, say
from corrigym.cli.study import AT_ONCE, prices_of
from corrigym.cli.study_progress import Count, StudyProgress
from corrigym.episodes.runs import DEFAULT_FOLDER, RunFolder, find_run
from corrigym.errors import CorrigymError, UsageError
from corrigym.sandbox.launchers import choose_launcher, remove_orphans
from corrigym.studies.accounts import account_of
from corrigym.studies.attempts import standings
from corrigym.studies.campaign import ATTEMPTS, Shard, Work, create, join, load_plan, parse_shard
from corrigym.studies.engines import choose_engine
from corrigym.studies.limits import Budget
from corrigym.studies.loading import LoadedStudy, load_study
from corrigym.studies.planning import StudyPlan, make_plan
from corrigym.studies.runner import HOPELESS, Allowance, Outcome, no_host_starts, run_episodes

Settings = dict[str, dict[str, Any]]
DEFAULTS: Mapping[str, Any] = {
    "sandbox": "auto", "max_sandboxes": AT_ONCE, "attempts": ATTEMPTS, "max_cost": None, "prices": None,
    "engine": "threads", "shard": None, "docker_runtime": None, "docker_host": None, "log_dir": str(DEFAULT_FOLDER),
}  # fmt: skip


def run(options: argparse.Namespace) -> int:
    plan = make_plan(load_study(Path(options.file)))
    settings = _settings(options, plan.study)
    shard = parse_shard(options.shard) if options.shard else Shard()
    parent = Path(settings["log_dir"]["value"])
    facts = _facts(settings, plan)
    _check_agents(plan, parent)
    try:
        folder = join(plan, parent, facts, shard.of) if shard.of > 1 else create(plan, parent, facts)
    except OSError as error:
        raise CorrigymError(f"the run's folder cannot be made below {parent}: {error.strerror or error}") from error
    return _work(options, settings, plan, folder, shard)


def resume(options: argparse.Namespace) -> int:
    folder = find_run(options.run, Path(options.log_dir or DEFAULT_FOLDER))
    plan = load_plan(folder)
    return _work(options, _settings(options, plan.study, folder.facts.get("settings")), plan, folder, Shard())


def _settings(options: argparse.Namespace, study: LoadedStudy, before: Settings | None = None) -> Settings:
    """Each setting with its value and where that came from: a flag, the run that is resumed, the study file, or the
    default."""
    file = study.document.file
    own = {**study.definition.run.model_dump(), "max_cost": study.definition.budget}
    settings: Settings = {}
    for key, default in DEFAULTS.items():
        place = study.line("budget") if key == "max_cost" else study.line("run", key)
        if (given := getattr(options, key, None)) is not None:
            settings[key] = {"value": given, "origin": f"--{key.replace('_', '-')}"}
        elif before and key in before and key not in ("shard", "log_dir"):
            settings[key] = before[key]
        elif own.get(key) is not None:
            settings[key] = {"value": own[key], "origin": f"{file}:{place}" if place else str(file)}
        else:
            settings[key] = {"value": default, "origin": "default"}
    return settings


def _facts(settings: Settings, plan: StudyPlan) -> dict[str, Any]:
    prices = prices_of(plan, settings["prices"]["value"])
    return {
        "settings": settings, "sandbox": settings["sandbox"]["value"], "command": list(sys.argv),
        "prices": {agent: price.model_dump(mode="json") if price else None for agent, price in prices.items()},
        "versions": {"corrigym": corrigym.__version__, "python": platform.python_version()},
    }  # fmt: skip


def _check_agents(plan: StudyPlan, parent: Path) -> None:
    """A SPEC that means nothing is refused before there is a folder."""
    with Shared(say, parent) as shared:
        Work(plan, RunFolder(parent), shared).make_agents()


def _allowance(settings: Settings, plan: StudyPlan, folder: RunFolder) -> Allowance:
    prices: dict[str, Price | None] = dict(prices_of(plan, settings["prices"]["value"]))
    most, limits = settings["max_cost"]["value"], plan.definition.limits
    if most is None and limits.cost is None:
        return Allowance(limits, prices=prices)
    listed = load_prices(Path(settings["prices"]["value"]) if settings["prices"]["value"] else SHIPPED)
    prices = {agent: need_price(agent, listed) for agent in prices}
    if most is None:
        return Allowance(limits, prices=prices)
    budget = Budget(most)
    budget.add(_spent(plan, folder, prices))
    return Allowance(limits, budget=budget, prices=prices)


def _spent(plan: StudyPlan, folder: RunFolder, prices: Mapping[str, Price | None]) -> float:
    """By the episodes that are in the folder already, whoever ran them."""
    agents = {one.id: plan.cells[one.cell].agent for one in plan.episodes}
    total = 0.0
    for path in folder.episodes():
        agent = agents.get(path.stem) or agents.get(path.stem.rpartition("_r")[0])
        total += account_of(path, prices.get(agent or "")).cost or 0.0
    return total


def _work(options: argparse.Namespace, settings: Settings, plan: StudyPlan, folder: RunFolder, shard: Shard) -> int:
    value = {key: setting["value"] for key, setting in settings.items()}
    with Shared(say, Path(value["log_dir"])) as shared:
        work = Work(
            plan, folder, shared, shard, attempts=value["attempts"],
            retry_errors=bool(getattr(options, "retry_errors", False)),
        )  # fmt: skip
        abandoned = work.prepare()
        allowance = _allowance(settings, plan, folder)
        progress = _progress(work)
        progress.note(f"study {plan.study.name}, plan {plan.digest[:12]}, in {folder.path}")
        if abandoned:
            progress.note(f"{abandoned} episodes were interrupted before; they are begun again")
        with progress, work.runner() as runner:
            if value["engine"] == "ray" and (value["docker_runtime"] or value["docker_host"]):
                raise UsageError("--docker-runtime and --docker-host: with --engine ray each node uses its own engine.")
            launcher = choose_launcher(
                value["sandbox"], progress.note, runtime=value["docker_runtime"], hosts=value["docker_host"] or ()
            )
            for orphan in remove_orphans(launcher):
                progress.note(f"removed a container that a dead run left: {orphan.id[:12]}")
            with choose_engine(value["engine"], value["sandbox"]) as play:
                outcomes = run_episodes(
                    work.claimed(runner), launcher=launcher, folder=folder, max_sandboxes=value["max_sandboxes"],
                    observer=progress.observer(), allowance=allowance, play=work.noted(play),
                    warm=value["engine"] == "threads",
                )  # fmt: skip
    return _tell(options, plan, folder, outcomes, spent=allowance.spent)


def _progress(work: Work) -> StudyProgress:
    counts = [Count() for _ in work.plan.cells]
    already = 0
    for episode in work.part:
        counts[episode.cell].planned += 1
        if not work.open(episode):
            counts[episode.cell].done += 1
            already += 1
    return StudyProgress(messages(), work.plan.cells, counts, already)


def _tell(
    options: argparse.Namespace, plan: StudyPlan, folder: RunFolder, outcomes: list[Outcome], *, spent: bool
) -> int:
    found = standings(folder, (one.id for one in plan.episodes))
    states = Counter(one.state for one in found.values())
    if options.json:
        ran = [{"id": one.planned.id, "status": one.status, "error": one.error} for one in outcomes]
        print_json({"run_dir": str(folder.path), "planned": len(found), "states": dict(states), "ran": ran})
    else:
        told = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in sorted(states.items()))
        print(f"episodes: {len(found)} planned: {told}\nlog:      {folder.path}")
        print(f"next:     corrigym study {'report' if set(states) == {'finished'} else 'resume'} {folder.path}")
    if spent:
        say("corrigym: the budget is spent; what was not started stays so until a resume with a higher --max-cost")
    elif no_host_starts(outcomes):
        say(
            f"corrigym: {HOPELESS} hosts in a row did not start, so the rest was left for a resume (these need"
            f" --retry-errors). The last one: {outcomes[-1].error}"
        )
    return 0 if not spent and all(outcome.status == "finished" for outcome in outcomes) else 1
