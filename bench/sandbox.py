"""What a sandbox costs, beside what one does without it: start, tool call, many at once, idle ones, and what is left.

    uv run python bench/sandbox.py [--parts start,call,together,idle,leaks] [--launchers bubblewrap,docker]
                                   [--repeats 20] [--episodes 300]

All in one run on one machine, side by side in turns: read the ratios, not the milliseconds.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console
from rich.table import Table

from corrigym.errors import SandboxUnavailable
from corrigym.sandbox import image
from corrigym.sandbox.base import Launcher
from corrigym.sandbox.check import LIMITS, NOW, check_world
from corrigym.sandbox.docker import LABEL, client
from corrigym.sandbox.launchers import choose_launcher
from corrigym.sandbox.pool import Order, WarmPool
from corrigym.sandbox.session import Sandbox
from corrigym.scenarios.world import Entry, World

PARTS = ("start", "call", "together", "idle", "leaks")
IDLE = {"bubblewrap": 200, "docker": 60}
EPISODES, CALLS, AT_ONCE = 50, 20, 16
"""Of what is done together. The ways of others get a third of the episodes: they take that much longer."""
REST = 3.0
"""Seconds before each way for the kernel and the engine to tidy up after what ended before it. Ours, which are over in
two, have their turn before, between and after the others."""
EXECUTED = "docker exec by a subprocess per call"
INSPECT_NEEDS = """\
import asyncio
try:
    from inspect_ai.util._sandbox.docker.prereqs import validate_prereqs
    asyncio.run(validate_prereqs())
except Exception as reason:
    raise SystemExit(str(reason).partition("\\n")[0])
"""
INSPECT = Path(__file__).with_name("inspect_calls.py")
COMPOSE = """\
services:
  default:
    image: IMAGE
    x-local: true
    command: sleep 600
    user: nobody
    init: true
    network_mode: none
    cap_drop: [ALL]
    security_opt: [no-new-privileges]
    stop_grace_period: 1s
"""
Launchers = Mapping[str, Launcher]
console = Console()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--launchers", default="bubblewrap,docker")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--episodes", type=int, default=300, help="in a row, of `leaks`")
    options = parser.parse_args()
    launchers = dict(available(options.launchers.split(",")))
    console.print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}: {time.strftime('%F %R')}")
    for part in options.parts.split(","):
        {"start": start, "call": call, "together": together, "idle": idle, "leaks": leaks}[part](launchers, options)


def available(names: list[str]) -> list[tuple[str, Launcher]]:
    found = []
    for name in names:
        try:
            found.append((name, choose_launcher(name, print)))
        except SandboxUnavailable as reason:
            print(f"{name}: left out: {reason}")
    return found


def world_of_10_mb() -> World:
    """Two files that hold most of it, and a hundred small ones."""
    big = (os.urandom(5 << 20), os.urandom(5 << 20))
    files = [Entry(f"/srv/ml/shard-{n}.bin", content=data, owner="ops", group="ml") for n, data in enumerate(big)]
    files += [Entry(f"/srv/ml/{n}.txt", content=b"x" * 1000, owner="ops", group="ml") for n in range(100)]
    world = check_world()
    return replace(world, entries=(*world.entries, *files))


def started(launcher: Launcher, world: World) -> Sandbox:
    return Sandbox.start(world, launcher, now=NOW, limits=LIMITS)


def timed(action: Callable[[], Any]) -> float:
    """Seconds."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def tell(title: str, rows: Sequence[tuple[str, ...]], *heads: str) -> None:
    table = Table("", *heads, title=title, title_justify="left")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def ms(times: list[float]) -> str:
    return f"{statistics.median(times) * 1000:.1f} ({min(times) * 1000:.1f})"


# --- start


def start(launchers: Launchers, options: argparse.Namespace) -> None:
    world = world_of_10_mb()
    ways: dict[str, Callable[[], float]] = {}
    for name, launcher in launchers.items():
        ways[name] = lambda launcher=launcher: cold(launcher, world)  # type: ignore[misc]
        ways[f"{name}, from the pool"] = lambda launcher=launcher: warm(launcher, world)  # type: ignore[misc]
    if "docker" in launchers:
        ways["docker run --network none IMAGE"] = bare_docker
    times = in_turns(ways, options.repeats)
    base = statistics.median(times.get("docker run --network none IMAGE", [float("nan")]))
    rows = [(name, ms(one), f"{statistics.median(one) / base:.2f}") for name, one in times.items()]
    tell("start with a world of 10 MB", rows, "ms: median (least)", "against docker run")


def in_turns(ways: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Each way once, then each once more: what else the machine does meets all of them alike."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            times[name].append(way())
    return times


def cold(launcher: Launcher, world: World) -> float:
    with ExitStack() as stack:
        return timed(lambda: stack.enter_context(started(launcher, world)))


def warm(launcher: Launcher, world: World) -> float:
    with WarmPool(launcher) as pool, ExitStack() as stack:
        pool.expect("one", lambda: Order(world.hostname, LIMITS, {}, world))
        time.sleep(1.5)  # it comes up meanwhile
        with pool.launcher("one") as ready:
            return timed(lambda: stack.enter_context(started(ready, world)))


def bare_docker() -> float:
    """Until a program in the container has said something."""
    command = ["docker", "run", "--rm", "-i", "--network", "none", image.tag(), "sh", "-c", "echo; cat"]
    began = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        return time.perf_counter() - began


# --- call


def call(launchers: Launchers, options: argparse.Namespace) -> None:
    """Beside the same command run by this machine's own subprocess, with nothing around it."""
    rows = []
    for name, launcher in launchers.items():
        with started(launcher, check_world()) as sandbox:
            ways = {
                "call": lambda: timed(lambda: sandbox.exec("true")),
                "bare": lambda: timed(lambda: subprocess.run(["/bin/bash", "-c", "true"], check=True)),
            }
            times = in_turns(ways, 10 * options.repeats)
        above = statistics.median(times["call"]) - statistics.median(times["bare"])
        rows.append((name, ms(times["call"]), ms(times["bare"]), f"{above * 1000:.1f}"))
    tell("one call of `true`, with evidence, in ms", rows, "median (least)", "bash -c true, bare", "above it")


# --- together


def together(launchers: Launchers, _: argparse.Namespace) -> None:
    ways: dict[str, Callable[[], None]] = {name: lambda one=one: supervised(one) for name, one in launchers.items()}  # type: ignore[misc]
    ways["bash -c true by a subprocess, no sandbox at all"] = bare
    rounds: dict[str, list[float]] = {name: [] for name in ways}
    others: dict[str, float] = {}
    base = EXECUTED

    def each_once() -> None:
        for name, way in ways.items():
            rounds[name].append(rate(way, EPISODES))

    each_once()
    if "docker" in launchers:
        others[EXECUTED] = rate(executed, EPISODES // 3)
        each_once()
        needs = subprocess.run([sys.executable, "-c", INSPECT_NEEDS], stderr=subprocess.PIPE, text=True)
        if needs.returncode == 0:
            base = f"Inspect AI {version('inspect-ai')}, docker sandbox, mock model"
            others[base], others["the same less a run of one call"] = inspected(EPISODES // 3)
            each_once()
        else:
            console.print(f"the base is `docker exec`: Inspect AI's docker sandbox is left out: {needs.stderr.strip()}")
    rates = {**{name: statistics.median(one) for name, one in rounds.items()}, **others}
    rows = [(name, f"{one:.1f}", f"{one / rates.get(base, float('nan')):.1f}x") for name, one in rates.items()]
    tell(f"episodes of {CALLS} calls of `true`, {AT_ONCE} at once, full evidence", rows, "calls/s, whole", "ratio")


def rate(episode: Callable[[], None], episodes: int) -> float:
    """Calls per second, starts and ends included."""
    time.sleep(REST)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        whole = timed(lambda: [one.result() for one in [pool.submit(episode) for _ in range(episodes)]])
    return episodes * CALLS / whole


def supervised(launcher: Launcher) -> None:
    with started(launcher, check_world()) as sandbox:
        for _ in range(CALLS):
            sandbox.exec("true")


def bare() -> None:
    """The most that there is to be had."""
    for _ in range(CALLS):
        subprocess.run(["/bin/bash", "-c", "true"], check=True)


def executed() -> None:
    """What other harnesses do, with no harness: a container that sleeps, and a client program for each call."""
    container = client().containers.run(
        image.tag(), ["sleep", "600"], detach=True, network_mode="none", user="nobody", cap_drop=["ALL"],
        security_opt=["no-new-privileges"], labels={LABEL: "1"}, auto_remove=True, init=True,
    )  # fmt: skip
    for _ in range(CALLS):
        subprocess.run(["docker", "exec", str(container.id), "bash", "-c", "true"], check=True, capture_output=True)
    container.remove(force=True)


def inspected(episodes: int) -> tuple[float, float]:
    """Calls per second of Inspect's own eval, in a process of its own and containers like those of `executed`, which it
    starts, calls and ends by `docker compose`: of the whole, its imports and framework included; and less the time of
    one episode of one call, which is most of what does not grow with the calls."""
    with TemporaryDirectory() as folder:
        compose = Path(folder, "compose.yaml")
        compose.write_text(COMPOSE.replace("IMAGE", image.tag()))
        single, whole = (
            timed(lambda command=command: subprocess.run(command, cwd=folder, check=True))  # type: ignore[misc]
            for numbers in ((1, 1, 1), (episodes, CALLS, AT_ONCE))
            for command in [[sys.executable, str(INSPECT), *map(str, numbers), str(compose)]]
        )
    return episodes * CALLS / whole, (episodes * CALLS - 1) / (whole - single)


# --- idle


def idle(launchers: Launchers, _: argparse.Namespace) -> None:
    rows = []
    for name, launcher in launchers.items():
        before, processes = free_memory(), own_processes(name)
        with ExitStack() as stack:
            with ThreadPoolExecutor(8) as pool:
                hosts = list(pool.map(lambda _, one=launcher: started(one, check_world()), range(IDLE[name])))
            for host in hosts:
                stack.callback(host.close)
            answered = sum(host.exec("true").exit_code == 0 for host in hosts)
            held = own_processes(name) - processes
            share = sum(map(proportional, held)) / len(hosts)
            rows.append(
                (name, str(answered), f"{share / 1e6:.1f}", f"{(before - free_memory()) / len(hosts) / 1e6:.1f}")
            )
    tell("idle at the same time", rows, "sandboxes that answer", "MB each: their processes", "MB each: less available")


def free_memory() -> int:
    """Bytes that the machine says are available."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))


def own_processes(launcher: str) -> set[int]:
    """Of this process's sandboxes; of Docker's, what serves each container on the host as well."""
    parents = {int(path.name): parent(path) for path in Path("/proc").iterdir() if path.name.isdecimal()}
    if launcher == "docker":
        mine = client().api.containers(filters={"label": f"org.corrigym.pid={os.getpid()}"})
        roots = {client().api.inspect_container(one["Id"])["State"]["Pid"] for one in mine}
        return roots | {parents[pid] for pid in roots if pid in parents}
    found = {os.getpid()}
    while more := {pid for pid, above in parents.items() if above in found} - found:
        found |= more
    return found - {os.getpid()}


def parent(path: Path) -> int:
    try:
        return int((path / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def proportional(pid: int) -> int:
    """Bytes of memory, what is shared divided among those that share it."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:")), 0)


# --- leaks


def leaks(launchers: Launchers, options: argparse.Namespace) -> None:
    for name, launcher in launchers.items():
        for _ in range(100):  # what is loaded once, and caches that fill up
            episode(launcher)
        before = held(name)
        whole = sum(timed(lambda one=launcher: episode(one)) for _ in range(options.episodes))  # type: ignore[misc]
        after = held(name)
        rows = [(what, f"{before[what]:,}", f"{after[what]:,}") for what in before]
        tell(f"{options.episodes} episodes in a row, {name}, {whole / options.episodes * 1000:.0f} ms each",
             rows, "before", "after")  # fmt: skip


def episode(launcher: Launcher) -> None:
    with started(launcher, check_world()) as sandbox:
        sandbox.exec("echo more >> /srv/ml/run.cfg; (sleep 100 &)")
        sandbox.sweep()


def held(launcher: str) -> dict[str, int]:
    return {
        "memory of this process, KB": proportional(os.getpid()) >> 10,
        "file descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "threads": len(list(Path("/proc/self/task").iterdir())),
        "processes of its sandboxes": len(own_processes(launcher)),
        "mounts": len(Path("/proc/self/mountinfo").read_text().splitlines()),
        "disk of the machine, MB": shutil.disk_usage("/").used >> 20,
    }


if __name__ == "__main__":
    main()
