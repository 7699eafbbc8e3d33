"""What can be said to `corrigym study`. Imports nothing heavy: it is read for every `--help`."""

from collections.abc import Callable
from typing import Any

Add = Callable[..., Any]


def add_study(commands: Any, add: Add, count: Callable[[str], int], dollars: Callable[[str], float]) -> None:
    study = commands.add_parser(
        "study", help="plan, run, resume and report a study", description="Many episodes, from a design to a report."
    )
    own = study.add_subparsers(metavar="COMMAND", required=True)
    _add_design(own, add, count)
    _add_running(own, add, count, dollars)
    _add_judging(own, add, count)
    _add_reading(own, add)


def _add_design(own: Any, add: Add, count: Callable[[str], int]) -> None:
    plan = add(own, "plan", "show cells, episodes, cost, time and the smallest detectable difference", "study", "plan")
    plan.add_argument("file", metavar="FILE", help="a study file")
    plan.add_argument("--pilot", metavar="RUN", default=None, help="take cost and time from the episodes of this run")
    plan.add_argument("--max-sandboxes", type=count, default=None, metavar="N", help="at once (default: 4)")
    plan.add_argument("--prices", default=None, metavar="FILE", help="what models cost (default: the list shipped)")
    lint = add(own, "lint", "check a study file, and say what is likely to be regretted", "study", "lint")
    lint.add_argument("file", metavar="FILE", help="a study file")
    schema = add(own, "schema", "print the JSON Schema of study files", "study", "schema")
    for command in (plan, lint):
        command.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    plan.add_argument("--log-dir", default=None, metavar="DIR", help="where --pilot is looked for (default: runs)")
    schema.set_defaults(json=True)


def _add_running(own: Any, add: Add, count: Callable[[str], int], dollars: Callable[[str], float]) -> None:
    run = add(own, "run", "run a study, or one shard of it", "study_run", "run")
    run.add_argument("file", metavar="FILE", help="a study file")
    run.add_argument(
        "--shard", default=None, metavar="I/N",
        help="only the I-th of N parts, into the run folder that all shards with this --log-dir share",
    )  # fmt: skip
    resume = add(own, "resume", "run what of a study is not finished; several may do so at once", "study_run", "resume")
    resume.add_argument("run", metavar="RUN", help="a path, an id, or 'last'")
    resume.add_argument("--retry-errors", action="store_true", help="begin episodes that ended in an error again")
    for command in (run, resume):
        command.add_argument("--sandbox", default=None, metavar="auto|docker|bubblewrap", help="where episodes run")
        add_docker(command)
        command.add_argument("--max-sandboxes", type=count, default=None, metavar="N", help="at once (default: 4)")
        command.add_argument("--attempts", type=count, default=None, metavar="N",
                             help="how often a killed episode is begun at most (default: 3)")  # fmt: skip
        command.add_argument("--max-cost", type=dollars, default=None, metavar="USD", help="of the whole study")
        command.add_argument("--prices", default=None, metavar="FILE", help="what models cost")
        command.add_argument("--engine", default=None, metavar="threads|ray", help="what plays episodes")
        command.add_argument("--log-dir", default=None, metavar="DIR", help="where runs are kept (default: runs)")
        command.add_argument("--json", action="store_true", help="print one JSON object on stdout")


def add_docker(command: Any) -> None:
    command.add_argument("--docker-runtime", default=None, metavar="NAME",
                         help="what the engine runs containers with, such as runsc or kata")  # fmt: skip
    command.add_argument("--docker-host", action="append", default=None, metavar="URL",
                         help="an engine; repeatable: sandboxes go to them in turn")  # fmt: skip


def _add_judging(own: Any, add: Add, count: Callable[[str], int]) -> None:
    judge = add(own, "judge", "have a model judge what recorded episodes reasoned and said", "study_judge", "judge")
    judge.add_argument("run", metavar="RUN", help="a path, an id, or 'last'")
    judge.add_argument("--judge", required=True, metavar="SPEC", help="the agent that judges; it is not told the arm")
    judge.add_argument("--votes", type=count, default=1, metavar="N", help="how often it is asked (default: 1)")
    judge.add_argument("--again", action="store_true",
                       help="judge all once more; without it, only what this judge has not judged")  # fmt: skip
    judge.add_argument("--at-once", type=count, default=4, metavar="N", help="episodes at once (default: 4)")
    judge.add_argument("--labels", default=None, metavar="FILE",
                       help="where votes are kept (default: labels.jsonl in the run's folder)")  # fmt: skip
    judge.add_argument("--prices", default=None, metavar="FILE", help="what models cost")
    judge.add_argument("--log-dir", default=None, metavar="DIR", help="where runs are kept (default: runs)")
    judge.add_argument("--json", action="store_true", help="print one JSON object on stdout")


def _add_reading(own: Any, add: Add) -> None:
    report = add(own, "report", "write figures and tables of a study", "study_report", "report")
    report.add_argument("run", metavar="RUN", help="a path, an id, or 'last'")
    compare = add(own, "compare", "compare two or more runs of a study", "study_report", "compare")
    compare.add_argument("runs", metavar="RUN", nargs="+", help="a path or an id")
    export = add(own, "export", "write a study's episodes for other tools, or to train on", "study_export", "export")
    export.add_argument("run", metavar="RUN", help="a path, an id, or 'last'")
    export.add_argument("--to", required=True, choices=("rows", "sft", "preferences", "atif", "inspect"),
                        help="the format")  # fmt: skip
    for command in (report, compare):
        command.add_argument("--labels", default=None, metavar="FILE",
                             help="labels of episodes (default: labels.jsonl in the run's folder)")  # fmt: skip
    report.add_argument("--truth", default=None, metavar="FILE",
                        help="labels that people gave: how far each judge agrees with them")  # fmt: skip
    for command in (report, compare, export):
        command.add_argument("--output", default=None, metavar="DIR", help="where to write it")
        command.add_argument("--rescore", action="store_true", help="use today's rules in place of the logged verdicts")
        command.add_argument("--log-dir", default=None, metavar="DIR", help="where runs are kept (default: runs)")
        command.add_argument("--json", action="store_true", help="print one JSON object on stdout")
