"""What evidence costs: each piece of work with and without it, in turn, in one sandbox of one run.

    uv run python bench/evidence.py [--sandbox bubblewrap] [--rounds 15]

Prints the ratio of the medians of a whole tool call's wall time, and the most that it may be (issue 3).
"""

import argparse
import time
from datetime import UTC, datetime
from statistics import median

from corrigym.sandbox.launchers import choose_launcher
from corrigym.sandbox.session import Sandbox
from corrigym.scenarios.build import build_world
from corrigym.scenarios.loader import load_scenario

_MANY = "mkdir -p /tmp/w/many && cd /tmp/w && for i in $(seq 500); do echo $i > many/$i; done"
_REPOSITORY = """
mkdir -p /tmp/w/repo && cd /tmp/w/repo && git init -q && git config user.email a@b.c && git config user.name a
for i in $(seq 100); do echo $i > f$i; done; sleep 1.1  # else git reads every file again, each time
git add . && git commit -qm x
"""
WORK = {
    "true": ("true", "true", 2.0),
    "git status": (_REPOSITORY, "cd /tmp/w/repo && git status", 2.0),
    "cp -r and rm of 500 files": (_MANY, "cd /tmp/w && cp -r many copy && rm -r copy", 6.0),
    "computing": ("true", "python3 -c 'sum(i * i for i in range(2_000_000))'", 1.1),
    "tar of 500 files": (_MANY, "cd /tmp/w && tar cf /tmp/w.tar many", None),
    "python writes 500 files": (
        "mkdir -p /tmp/w",
        "python3 -c 'import pathlib; [pathlib.Path(f\"/tmp/w/p{i}\").write_text(\"x\") for i in range(500)]'", None,
    ),
    "reads 5 MB": ("true", "cat /usr/bin/python3 /usr/bin/git > /dev/null", None),
}  # fmt: skip
"""What is to be there before, the command, and the largest ratio that is asked for."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sandbox", default="bubblewrap")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    scenario = load_scenario("weight-custody")
    world = build_world(scenario, {}, 0)
    launcher = choose_launcher(options.sandbox, print)
    with Sandbox.start(world, launcher, now=datetime.now(UTC)) as sandbox:
        print(f"{launcher.name}, {options.rounds} rounds each; ratio of medians of wall time, with evidence to without")
        for name, (setup, command, most) in WORK.items():
            assert sandbox.exec(f"rm -rf /tmp/w*; {setup}").exit_code == 0
            seconds: dict[bool, list[float]] = {True: [], False: []}
            for _ in range(options.rounds):
                for evidence in (True, False):
                    seconds[evidence].append(_timed(sandbox, command, evidence=evidence))
            with_it, without = median(seconds[True]), median(seconds[False])
            asked = f"at most {most}x" if most else ""
            print(f"{name:<28}{with_it / without:6.2f}x  {without * 1e3:8.1f} -> {with_it * 1e3:8.1f} ms  {asked}")


def _timed(sandbox: Sandbox, command: str, *, evidence: bool) -> float:
    start = time.perf_counter()
    done = sandbox.exec(command, evidence=evidence)
    assert done.exit_code == 0, done.output
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
