"""`corrigym replay`: to look at episodes, one, two beside each other or a run's; or to run one again."""

import argparse
import time
from pathlib import Path

from corrigym.cli.output import print_json, say
from corrigym.episodes.runs import DEFAULT_FOLDER, find_episodes, find_run
from corrigym.errors import UsageError

POLL = 0.25
"""Seconds between two looks at a folder."""


def replay(options: argparse.Namespace) -> int:
    from corrigym.episodes.player import Options
    from corrigym.episodes.player import replay as play

    given = [options.reference is not None, options.compare is not None]
    if sum(given) != 1:
        raise UsageError("name an episode or a run to replay, or two episodes: replay --compare A B")
    if options.execute:
        return _execute(options)
    wanted = Options(
        plain=options.plain, at=options.at, speed=options.speed, idle_limit=options.idle_limit,
        pause_on_findings=options.pause_on_findings, follow=options.follow, pair=bool(options.compare),
    )  # fmt: skip
    folder = _folder(options)
    if options.compare:
        return play([only_episode(reference, folder) for reference in options.compare], wanted)
    if options.follow:
        _await_episode(options.reference, folder)
    paths = find_episodes(options.reference, folder)
    return play(_running(paths) if options.follow else paths, wanted)


def _execute(options: argparse.Namespace) -> int:
    """0 if the same happened again, else 3."""
    from corrigym.studies.reexecution import reexecute, told

    if options.compare:
        raise UsageError("--execute runs one episode again: leave --compare out")
    log = only_episode(options.reference, _folder(options))
    report = reexecute(log, sandbox=options.sandbox, scenario=options.scenario, progress=say)
    if options.json:
        print_json(report.to_json())
    else:
        print("\n".join(told(report)))
    return 0 if report.same else 3


def _await_episode(reference: str, folder: Path) -> None:
    """A run that has just begun has no episode yet: its first host is being started."""
    try:
        run = find_run(reference, folder)
    except UsageError:  # an episode
        return
    if not run.episodes():
        say("corrigym: waiting for the run's first episode (Ctrl-C: no longer)")
    while not run.episodes():
        time.sleep(POLL)


def _running(paths: list[Path]) -> list[Path]:
    """The one episode that has no end yet, if there is one such; else all."""
    from corrigym.episodes.scan import last_event

    running = [path for path in paths if last_event(path) is None] if len(paths) > 1 else []
    return running if len(running) == 1 else paths


def only_episode(reference: str, folder: Path) -> Path:
    """UsageError if this names several episodes, or none."""
    paths = find_episodes(reference, folder)
    if len(paths) == 1:
        return paths[0]
    known = ", ".join(path.stem for path in paths[:5]) + (", ..." if len(paths) > 5 else "")
    raise UsageError(f"{reference!r} has {len(paths)} episodes; name one of them: {known}")


def _folder(options: argparse.Namespace) -> Path:
    return Path(options.log_dir or DEFAULT_FOLDER)
