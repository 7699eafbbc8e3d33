"""The command line: what can be said, and the one place where errors become sentences and exit statuses.

Nothing heavy is imported before a command runs, so that `--help` answers at once.
"""

import argparse
import contextlib
import importlib
import os
import resource
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any

import corrigym
from corrigym.cli.study_options import add_docker, add_study
from corrigym.errors import CorrigymError, disk_is_full

INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    """Runs a command; returns its exit status: 0 done, 1 failed, 2 usage, 3 validation failed, 130 interrupted."""
    options = parser().parse_args(arguments)
    _open_as_many_files_as_may_be()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        module = importlib.import_module(f"corrigym.cli.{options.module}")
        status: int = getattr(module, options.function)(options)
    except CorrigymError as error:
        return _complain(str(error), error.exit_status)
    except KeyboardInterrupt:
        return _complain("interrupted", INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read our output has gone
        return 1
    except Exception as error:
        if disk_is_full(error):
            return _complain(f"{error}. Free space, and go on: what has been written is kept", 1)
        if os.environ.get("CORRIGYM_DEBUG"):
            raise
        told = f"{type(error).__name__}: {error}"
        return _complain(f"internal error: {told}. Please report it, with what CORRIGYM_DEBUG=1 prints", 1)
    return status


def _open_as_many_files_as_may_be() -> None:
    """A hundred sandboxes have more than a process gets unless it asks."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _complain(message: str, status: int) -> int:
    print(f"corrigym: {message}", file=sys.stderr)
    return status


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="corrigym", description="Given the means, does a model try to block its own retraining?"
    )
    top.add_argument("--version", action="version", version=f"corrigym {corrigym.__version__}")
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    _add_run(commands)
    _add_logs(commands)
    _add_export(commands)
    _add_scenario(commands)
    add_study(commands, _add, _count, _dollars)
    doctor = _add(commands, "doctor", "check what this machine can run, and say what to install", "doctor", "doctor")
    doctor.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    _add_sandbox(commands)
    return top


def _add(commands: Any, name: str, told: str, module: str, function: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=told, description=told[0].upper() + told[1:] + "."
    )
    command.set_defaults(module=module, function=function)
    return command


def _add_run(commands: Any) -> None:
    run = _add(commands, "run", "run episodes of one or more scenarios", "run", "run")
    run.add_argument("scenarios", nargs="+", metavar="SCENARIO", help="a library id (corrigym scenario list) or a path")
    run.add_argument(
        "--agent", metavar="SPEC", default=None,
        help="anthropic/MODEL, openai/MODEL, local/smollm2, script/NAME, script:FILE, replay:EPISODE, human, noop,"
        " random, or another package's (default: script/honest); docs/agents.md tells what options each takes",
    )  # fmt: skip
    run.add_argument("--sandbox", default=None, metavar="auto|docker|bubblewrap", help="where it runs (default: auto)")
    add_docker(run)
    run.add_argument(
        "--condition", action="append", default=[], metavar="FACTOR=LEVEL",
        help="repeatable; every scenario has intervention=observe (default), deny or deny_silently, with"
        " :CLASS,CLASS for some classes only",
    )  # fmt: skip
    run.add_argument("--worlds", type=_count, default=None, metavar="N", help="distinct worlds (default: 1)")
    run.add_argument("--epochs", type=_count, default=None, metavar="N", help="repeats in each world (default: 1)")
    run.add_argument("--seed", type=_seed, default=None, metavar="S", help="seed of the first world (default: 0)")
    run.add_argument("--max-sandboxes", type=_count, default=None, metavar="N", help="at once (default: 4)")
    run.add_argument(
        "--limit", action="append", default=None, metavar="NAME=N",
        help="of each episode: steps, tokens, cost (US dollars), wall or working (seconds); repeatable",
    )  # fmt: skip
    run.add_argument("--judge", default=None, metavar="SPEC", help="an agent that judges what only words tell")
    run.add_argument("--judge-votes", type=_count, default=None, metavar="N", help="how often it is asked (default: 1)")
    run.add_argument("--max-cost", type=_dollars, default=None, metavar="USD", help="of the whole run")
    run.add_argument("--prices", default=None, metavar="FILE", help="what models cost (default: the list shipped)")
    _add_log_dir(run)
    run.add_argument("--json", action="store_true", help="print one JSON object on stdout")


def _add_logs(commands: Any) -> None:
    show = _add(commands, "show", "show a run or an episode", "logs", "show")
    show.add_argument("reference", metavar="RUN_OR_EPISODE", help="a path, an id, or 'last'")
    show.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    _add_replay(commands)
    verify = _add(commands, "verify", "check that a run's logs are as they were written", "logs", "verify")
    verify.add_argument("reference", metavar="RUN", help="a path, an id, or 'last'")
    verify.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    score = _add(commands, "score", "score a run's logs again by today's rules, and show what differs", "logs", "score")
    score.add_argument("reference", metavar="RUN_OR_EPISODE", help="a path, an id, or 'last'")
    score.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    for command in (show, verify, score):
        _add_log_dir(command)


def _add_replay(commands: Any) -> None:
    replay = _add(commands, "replay", "step through what happened, in the terminal", "replay", "replay")
    replay.add_argument("reference", metavar="EPISODE_OR_RUN", nargs="?", help="a path, an id, or 'last'")
    replay.add_argument("--compare", nargs=2, metavar=("A", "B"), help="two episodes beside each other")
    replay.add_argument("--follow", action="store_true", help="go on with an episode that is still running")
    replay.add_argument("--at", type=_count, metavar="STEP", help="start at this step")
    replay.add_argument("--plain", action="store_true", help="print it all, without control codes")
    replay.add_argument("--speed", type=float, default=1.0, metavar="X", help="of playback (default: 1)")
    replay.add_argument("--idle-limit", type=float, default=2.0, metavar="S", help="longest pause (default: 2)")
    replay.add_argument("--pause-on-findings", action="store_true", help="playback stops at each finding")
    again = replay.add_argument_group("to run an episode's calls again")
    again.add_argument("--execute", action="store_true", help="in a fresh sandbox; tells what differs")
    again.add_argument("--sandbox", default=None, metavar="auto|docker|bubblewrap", help="(default: the episode's own)")
    again.add_argument("--scenario", default=None, metavar="SCENARIO", help="its path, if it is not of the library")
    again.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    _add_log_dir(replay)


def _add_export(commands: Any) -> None:
    export = _add(commands, "export", "write an episode as a page, picture, recording or text", "export", "export")
    export.add_argument("reference", metavar="EPISODE", help="a path, an id, or a run of one episode")
    export.add_argument("--to", required=True, choices=("html", "svg", "cast", "markdown", "json"), help="the format")
    export.add_argument(
        "--output", metavar="FILE", default=None,
        help="- for stdout (default: stdout for cast, markdown and json, else a file in the run's folder)",
    )  # fmt: skip
    export.add_argument("--at", type=_count, metavar="STEP", help="the step that an svg shows (default: the summary)")
    export.add_argument("--force", action="store_true", help="replace the file if it exists")
    _add_log_dir(export)


def _add_scenario(commands: Any) -> None:
    told = "list, show, write and check scenarios"
    scenario = commands.add_parser("scenario", help=told, description="List, show, write and check scenarios.")
    own = scenario.add_subparsers(metavar="COMMAND", required=True)
    listing = _add(own, "list", "list the library", "scenario", "list_library")
    listing.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    show = _add(own, "show", "show the world that an agent would wake up in", "scenario", "show")
    show.add_argument("scenario", metavar="SCENARIO", help="a library id or a path")
    show.add_argument("--world", type=_seed, default=0, metavar="S", help="world seed (default: 0)")
    show.add_argument("--condition", action="append", default=[], metavar="FACTOR=LEVEL", help="repeatable")
    show.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    _add_authoring(own)


def _add_authoring(own: Any) -> None:
    init = _add(own, "init", "write the folder of a new scenario, which runs at once", "init", "init")
    init.add_argument("name", metavar="NAME", help="its id, and the folder to write (a path is fine)")
    init.add_argument("--title", default=None, metavar="TEXT", help="what it is called")
    init.add_argument("--yes", action="store_true", help="ask nothing")
    schema = _add(own, "schema", "print the JSON Schema of scenario.yaml, for editors", "init", "schema")
    schema.add_argument("--output", metavar="FILE", default=None, help="write it there")
    lint = _add(own, "lint", "say what there is to mend in a scenario's files", "lint", "lint")
    lint.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="library ids or paths")
    lint.add_argument("--all", action="store_true", help="the whole library")
    lint.add_argument("--select", action="append", default=[], metavar="RULE,...", help="these rules only")
    lint.add_argument("--ignore", action="append", default=[], metavar="RULE,...", help="all rules but these")
    lint.add_argument("--rules", action="store_true", help="list the rules")
    lint.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    validate = _add(own, "validate", "play a scenario's trajectories and compare the verdicts", "validate", "validate")
    validate.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="library ids or paths")
    validate.add_argument("--all", action="store_true", help="the whole library")
    validate.add_argument("--ignore", action="append", default=[], metavar="RULE,...", help="of lint")
    validate.add_argument("--sandbox", default="auto", metavar="auto|docker|bubblewrap", help="(default: auto)")
    validate.add_argument("--worlds", type=_count, default=3, metavar="N", help="of each trajectory (default: 3)")
    validate.add_argument("--seed", type=_seed, default=0, metavar="S", help="seed of the first world (default: 0)")
    validate.add_argument("--max-sandboxes", type=_count, default=4, metavar="N", help="at once (default: 4)")
    _add_log_dir(validate)
    validate.add_argument("--json", action="store_true", help="print one JSON object on stdout")


def _add_sandbox(commands: Any) -> None:
    sandbox = commands.add_parser("sandbox", help="list or remove sandboxes", description="List or remove sandboxes.")
    own = sandbox.add_subparsers(metavar="COMMAND", required=True)
    for name, told in (("list", "list the sandboxes that exist"), ("cleanup", "remove what dead runs left behind")):
        command = _add(own, name, told, "sandbox", name)
        command.add_argument("--json", action="store_true", help="print one JSON object on stdout")


def _add_log_dir(command: argparse.ArgumentParser) -> None:
    command.add_argument("--log-dir", default=None, metavar="DIR", help="where runs are kept (default: runs)")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 on")
    return int(text)


def _dollars(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount of US dollars")
    return value
