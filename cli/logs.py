"""`corrigym show`, `verify` and `score`: what is done with logs."""

import argparse
from pathlib import Path
from typing import Any

from corrigym.cli.output import console, print_json
from corrigym.episodes.log import verify_episode
from corrigym.episodes.runs import DEFAULT_FOLDER, RunFolder, find_episodes, find_run
from corrigym.episodes.scoring import score_again
from corrigym.errors import LogError


def show(options: argparse.Namespace) -> int:
    from corrigym.cli.accounts import accounts_of, as_json, price_of_run, run_json
    from corrigym.episodes.summary import episode_summary, render_episode_log, render_summaries

    paths = find_episodes(options.reference, _folder(options))
    single = len(paths) == 1 and not Path(options.reference).is_dir()
    summaries = [episode_summary(path) for path in paths]
    if options.json:
        run = RunFolder(paths[0].parent.parent)
        accounts = accounts_of(paths, price_of_run(run))
        episodes = as_json(summaries, accounts)
        print_json(episodes[0] if single else run_json(run.path, episodes, accounts))
    elif single:
        console().print(render_episode_log(paths[0]))
    else:
        console().print(render_summaries(summaries))
    return 0


def verify(options: argparse.Namespace) -> int:
    """3 if anything is not as it was written."""
    run = find_run(options.reference, _folder(options))
    reports = _verify_run(run)
    problems = [problem for report in reports for problem in report["problems"]]
    if options.json:
        print_json({"run_dir": str(run.path), "episodes": reports, "problems": problems})
    else:
        for report in reports:
            print(_told(report))
    return LogError.exit_status if problems else 0


def score(options: argparse.Namespace) -> int:
    """Shows what today's rules make of the logged evidence; logs stay as they are."""
    paths = find_episodes(options.reference, _folder(options))
    reports = [_scored(path) for path in paths]
    if options.json:
        print_json({"run_dir": str(paths[0].parent.parent), "episodes": reports})
        return 0
    for report in reports:
        print(f"{report['id']}: {'; '.join(report['changed']) or 'as logged'}")
    return 0


def _scored(path: Path) -> dict[str, Any]:
    held, now = score_again(path)
    before, after = (held.model_dump(mode="json") if held else {}), now.model_dump(mode="json")
    changed = [
        f"{name}: {before.get(name)} -> {after[name]}"
        for name in after
        if name != "classes" and before.get(name) != after[name]
    ]
    for name, found in after["classes"].items():
        state = before.get("classes", {}).get(name, {}).get("verdict")
        if state != found["verdict"]:
            changed.append(f"{name}: {state} -> {found['verdict']}")
    return {"id": path.stem, "verdict": after, "changed": changed}


def _verify_run(run: RunFolder) -> list[dict[str, Any]]:
    """A report for each log, and for each entry of the index that has none."""
    indexed = {entry["id"]: entry for entry in run.index()}
    reports = []
    for path in run.episodes():
        checked = verify_episode(path, run.path / "blobs")
        problems, entry = list(checked.problems), indexed.pop(path.stem, None)
        if entry is not None and not problems and entry.get("head") != checked.head:
            problems.append(
                f"{path}: the log ends elsewhere than the index says: lines at its end were changed or removed"
            )
        reports.append(
            {"id": path.stem, "events": checked.events, "complete": checked.complete, "partial": checked.partial,
             "problems": problems}
        )  # fmt: skip
    for name in indexed:
        problem = f"{run.path}: the log of {name} is gone, which the index knows"
        reports.append({"id": name, "events": 0, "complete": False, "partial": 0, "problems": [problem]})
    return reports


def _told(report: dict[str, Any]) -> str:
    if report["problems"]:
        return f"BROKEN  {report['id']}: {report['problems'][0]}"
    state = "complete" if report["complete"] else "interrupted"
    cut = f", {report['partial']} bytes of a line cut short at its end" if report["partial"] else ""
    return f"ok      {report['id']}: {report['events']} events, {state}{cut}"


def _folder(options: argparse.Namespace) -> Path:
    return Path(options.log_dir or DEFAULT_FOLDER)
