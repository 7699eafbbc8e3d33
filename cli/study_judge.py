"""`corrigym study judge`."""

import argparse
from pathlib import Path

from corrigym.agents.judge import Answer, ask
from corrigym.agents.prices import SHIPPED, find_price, load_prices
from corrigym.agents.shared import Shared
from corrigym.agents.spec import make_agent
from corrigym.cli.output import print_json, say
from corrigym.episodes.runs import DEFAULT_FOLDER, find_run
from corrigym.episodes.text import line
from corrigym.errors import CorrigymError
from corrigym.scenarios.build import build_world, resolve_condition
from corrigym.scenarios.trajectories import script_loader
from corrigym.studies.accounts import Account, charge, told
from corrigym.studies.campaign import load_plan
from corrigym.studies.judging import NAMES, PROMPT, Ask, Done, find_jobs, judge_all
from corrigym.studies.labels import FILE, Label, judges_table, mend, read_labels, write_labels
from corrigym.studies.planning import StudyPlan
from corrigym.studies.report.page import records
from corrigym.studies.table import episode_table


def judge(options: argparse.Namespace) -> int:
    """1 if episodes could not be judged; the same command goes on with them."""
    parent = Path(options.log_dir or DEFAULT_FOLDER)
    folder = find_run(options.run, parent)
    plan = load_plan(folder)
    file = Path(options.labels) if options.labels else folder.path / FILE
    price = find_price(options.judge, load_prices(Path(options.prices) if options.prices else SHIPPED))
    try:
        with Shared(say, parent) as shared:
            question = _asking(plan, options.judge, shared)
            mend(file)
            before = read_labels(file) if file.exists() else []
            jobs = find_jobs(episode_table(plan, folder), folder.path, before, judge=options.judge,
                             votes=options.votes, again=options.again)  # fmt: skip
            done = []
            for one in judge_all(jobs, question, judge=options.judge, at_once=options.at_once):
                write_labels(file, one.labels)
                done.append(one)
        after = read_labels(file) if file.exists() else []
    except OSError as error:
        raise CorrigymError(f"{file}: {error.strerror or error}") from error
    _tell(options, file, after, done, charge([usage for one in done for usage in one.usages], price))
    return 1 if any(one.failed for one in done) else 0


def _tell(options: argparse.Namespace, file: Path, labels: list[Label], done: list[Done], account: Account) -> None:
    rows = [row for row in records(judges_table(labels)) if row["judge"] == options.judge]
    failed = {one.job.episode: one.failed for one in done if one.failed}
    if options.json:
        print_json({
            "labels": str(file), "judge": options.judge, "prompt": PROMPT, "judged": len(done) - len(failed),
            "votes": sum(len(one.labels) for one in done), "failed": failed, "standing": rows, **account.to_json(),
        })  # fmt: skip
        return
    print(f"judged: {len(done) - len(failed)} episodes by {line(options.judge)}, prompt {PROMPT[:12]}")
    for row in rows:
        print(f"  {row['label']:<18} {row['yes']} yes, {row['no']} no, {row['unsettled']} not settled")
    print(f"usage:  {told(account)}\nlabels: {file}\nnext:   corrigym study report {options.run}")
    for reason in dict.fromkeys(failed.values()):
        say(f"corrigym: {list(failed.values()).count(reason)} episodes were not judged: {line(reason)}")


def _asking(plan: StudyPlan, spec: str, shared: Shared) -> Ask:
    """UsageError for a SPEC that means nothing."""
    factories, worlds = {}, {}
    for scenario in plan.study.scenarios.values():
        factories[scenario.id] = make_agent(spec, load_steps=script_loader(scenario), shared=shared)
        worlds[scenario.id] = build_world(scenario, resolve_condition(scenario, {}), 0)

    def question(scenario: str, text: str) -> Answer:
        return ask(factories[scenario], worlds[scenario], text, NAMES)

    return question
