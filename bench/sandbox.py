"""What a sandbox costs: episodes of trivial tool calls, per launcher, beside one `docker exec` per call.

    uv run python bench/sandbox.py [--episodes 50] [--calls 20] [--at-once 16]

All in one run on one machine: read the ratios, not the milliseconds.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from corrigym.errors import SandboxUnavailable
from corrigym.sandbox import image
from corrigym.sandbox.base import Launcher
from corrigym.sandbox.check import start
from corrigym.sandbox.docker import LABEL, client
from corrigym.sandbox.launchers import choose_launcher


@dataclass(frozen=True, slots=True)
class Timing:
    """Of one episode, in seconds."""

    start: float
    calls: tuple[float, ...]
    teardown: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=50)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--at-once", type=int, default=16)
    options = parser.parse_args()
    rows: dict[str, tuple[float, list[Timing]]] = {}
    for name in ("bubblewrap", "docker"):
        try:
            launcher = choose_launcher(name, print)
        except SandboxUnavailable as reason:
            print(f"{name}: left out: {reason}")
            continue
        rows[name] = measure(lambda launcher=launcher: supervised(launcher, options.calls), options)  # type: ignore[misc]
    if "docker" in rows:
        rows["docker exec per call"] = measure(lambda: exec_per_call(options.calls), options)
    report(rows, options.episodes * options.calls)


def measure(episode: Callable[[], Timing], options: Any) -> tuple[float, list[Timing]]:
    """Wall time of the whole, and each episode's timing."""
    began = time.perf_counter()
    with ThreadPoolExecutor(options.at_once) as pool:
        timings = [future.result() for future in [pool.submit(episode) for _ in range(options.episodes)]]
    return time.perf_counter() - began, timings


def supervised(launcher: Launcher, calls: int) -> Timing:
    """Full evidence: every call brings its changes, ledger and egress."""
    began = time.perf_counter()
    sandbox = start(launcher)
    started = time.perf_counter()
    durations = tuple(timed(lambda: sandbox.exec("true")) for _ in range(calls))
    return Timing(started - began, durations, timed(sandbox.close))


def exec_per_call(calls: int) -> Timing:
    """What other harnesses do: a container that sleeps, and an exec for each call."""
    began = time.perf_counter()
    container = client().containers.run(
        image.tag(), ["sleep", "600"], detach=True, network_mode="none", user="nobody", cap_drop=["ALL"],
        security_opt=["no-new-privileges"], labels={LABEL: "1"}, auto_remove=True, init=True,
    )  # fmt: skip
    started = time.perf_counter()
    durations = tuple(timed(lambda: container.exec_run(["bash", "-c", "true"])) for _ in range(calls))
    return Timing(started - began, durations, timed(lambda: container.remove(force=True)))


def timed(action: Callable[[], Any]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def report(rows: dict[str, tuple[float, list[Timing]]], calls: int) -> None:
    baseline = rows.get("docker exec per call")
    table = Table("", "start ms", "call ms", "teardown ms", "whole s", "calls/s", "against docker exec per call")
    for name, (whole, timings) in rows.items():
        one_call = [duration for timing in timings for duration in timing.calls]
        columns = [[timing.start for timing in timings], one_call, [timing.teardown for timing in timings]]
        ratio = f"{baseline[0] / whole:.1f}x" if baseline else "no engine"
        medians = [f"{statistics.median(column) * 1000:.1f}" for column in columns]
        table.add_row(name, *medians, f"{whole:.1f}", f"{calls / whole:.0f}", ratio)
    Console().print(table, "medians; ratio of the whole", sep="\n")


if __name__ == "__main__":
    main()
