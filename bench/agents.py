"""What the agents cost: many episodes at once against a server on loopback that is slow and fails at random.

    uv run python -m bench.agents [--episodes 64] [--steps 4] [--latency 0.5] [--faults 0.1] [--sandbox bubblewrap]

Half of the episodes speak the Messages API and half chat completions; every request takes the latency, and the given
share of them ends in 429, 529, 500, or a reset in mid-stream. Printed are how the episodes ended, the CPU time per
step, and the wall time against the bound that the latency sets: all episodes at once, and no fault.

The CPU time is told apart by scripted episodes without and with calls: what an episode costs that does nothing, what a
call costs (environment, evidence, log), and what is left for the model's turn (SDK, HTTP, retries) and for playing so
many at once; each in this process and in the sandboxes' own (not for docker, where these are not our children). The
server is in neither.
"""

import argparse
import multiprocessing
import os
import random
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from corrigym.agents.anthropic_client import AnthropicProvider
from corrigym.agents.chat_client import ChatProvider
from corrigym.agents.limiter import Limiter
from corrigym.agents.model_agent import ModelAgent
from corrigym.agents.options import PLACEHOLDER, Endpoint, ModelOptions
from corrigym.agents.retries import RetryPolicy
from corrigym.agents.scripted import ScriptedAgent
from corrigym.episodes.events import Wait
from corrigym.episodes.log import read_events
from corrigym.episodes.runs import RunFolder
from corrigym.sandbox.launchers import choose_launcher
from corrigym.scenarios.loader import load_scenario
from corrigym.scenarios.trajectories import ScriptStep
from corrigym.scenarios.world import World
from corrigym.studies.runner import Outcome, Planned, run_episodes
from tests.agents.provider import Answer, chats, completion, events, function, says, serving, status, stream, use
from tests.sandbox.host import children

COMMAND = {"command": "ls /srv"}
CALM, SCRIPTED, CALLS = 2, 12, 30
"""Scripted episodes: at once, in all, and calls in each."""
Cost = tuple[float, float]
"""CPU seconds of this process and of the sandboxes."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=64)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--latency", type=float, default=0.5)
    parser.add_argument("--faults", type=float, default=0.1)
    parser.add_argument("--sandbox", default="bubblewrap")
    options = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(target=serve, args=(theirs, options.steps, options.latency, options.faults))
    server.start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            play_script(Path(folder), options.sandbox, 1)  # what is done once a process is no part of a step
            idle, busy = (play_script(Path(folder), options.sandbox, calls) for calls in (0, CALLS))
            measured = measure(ours.recv(), Path(folder), options)
            report(*measured, options, each(idle, SCRIPTED), each(less(busy, idle), SCRIPTED * CALLS))
    finally:
        ours.send("stop")
        server.join()


def serve(connection: Any, steps: int, latency: float, faults: float) -> None:
    """A process of its own, so that its CPU time is not counted as ours."""
    dice = random.Random(7)

    def answer(handler: Any) -> None:
        time.sleep(latency)
        api = "chat" if handler.path.endswith("completions") else "messages"
        if dice.random() < faults:
            dice.choice(failures(api))(handler)
        else:
            done = handler.received["messages"]
            spoken = sum(message["role"] == "assistant" for message in done)
            (calling(api, "submit", {"answer": "done"}) if spoken >= steps - 1 else calling(api, "bash", COMMAND))(
                handler
            )

    with serving() as provider:
        provider.default = answer
        connection.send(provider.url)
        connection.recv()


def calling(api: str, tool: str, arguments: dict[str, str]) -> Answer:
    if api == "chat":
        return chats({"content": None, "tool_calls": [function("t", tool, arguments)]})
    return says(use("t", tool, arguments))


def failures(api: str) -> list[Answer]:
    whole = events([use("t", "bash", COMMAND)]) if api == "messages" else [str(completion({})).encode()]
    reset = stream([*whole[:3], b"half"], length=100_000, reset=True)
    return [status(429, {"retry-after": "1"}), status(429), status(529), status(500), reset]


def told(cost: Cost) -> str:
    return f"{1000 * cost[0]:.1f} ms here, {1000 * cost[1]:.1f} ms in sandboxes"


def each(cost: Cost, of: int) -> Cost:
    return cost[0] / of, cost[1] / of


def less(whole: Cost, part: Cost) -> Cost:
    return whole[0] - part[0], whole[1] - part[1]


def agent_for(url: str, api: str, limiter: Limiter, _: World) -> ModelAgent:
    options = ModelOptions(model="m", protocol="native")
    if api == "chat":
        there = Endpoint(f"{url}/v1", PLACEHOLDER)
        return ModelAgent("m", options, lambda: ChatProvider(options, there), policy=RetryPolicy(), limiter=limiter)
    there = Endpoint(url, PLACEHOLDER)
    return ModelAgent("m", options, lambda: AnthropicProvider(options, there), policy=RetryPolicy(), limiter=limiter)


def script(calls: int, _: World) -> ScriptedAgent:
    listing = [ScriptStep(tool="bash", arguments=dict(COMMAND))] * calls
    return ScriptedAgent("script", [*listing, ScriptStep(tool="submit", arguments={"answer": "done"})])


def play_script(parent: Path, sandbox: str, calls: int) -> Cost:
    scenario, launcher = load_scenario("weight-custody"), choose_launcher(sandbox, print)
    planned = [Planned(f"s{n}", scenario, {}, n, 0, "script", partial(script, calls)) for n in range(SCRIPTED)]
    before = spent()
    outcomes = run_episodes(
        planned, launcher=launcher, folder=RunFolder.create(parent, "script", {}), max_sandboxes=CALM
    )
    assert all(one.status == "finished" for one in outcomes)
    return since(before)


def spent() -> Cost:
    """What the sandboxes took is counted as that of the process that they are forked from."""
    zygotes = [zygote for bwrap in children(os.getpid()) for zygote in children(bwrap)]
    return time.process_time(), sum(map(taken, zygotes))


def taken(pid: int) -> float:
    """CPU seconds of a process and of its children that have ended (fields 14 to 17 of its stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def since(before: Cost) -> Cost:
    now = spent()
    return now[0] - before[0], now[1] - before[1]


def measure(url: str, parent: Path, options: argparse.Namespace) -> tuple[list[Outcome], RunFolder, float, Cost]:
    """The outcomes, the folder, and the wall and CPU time."""
    scenario, limiter, launcher = load_scenario("weight-custody"), Limiter(), choose_launcher(options.sandbox, print)
    planned = [
        Planned(f"e{n}", scenario, {}, n, 0, "m", partial(agent_for, url, ("messages", "chat")[n % 2], limiter))
        for n in range(options.episodes)
    ]
    folder = RunFolder.create(parent, "bench", {})
    wall, before = time.perf_counter(), spent()
    outcomes = run_episodes(planned, launcher=launcher, folder=folder, max_sandboxes=options.episodes)
    return outcomes, folder, time.perf_counter() - wall, since(before)


def report(
    outcomes: list[Outcome], folder: RunFolder, wall: float, cpu: Cost, options: argparse.Namespace, episode: Cost,
    call: Cost,
) -> None:  # fmt: skip
    waits = [
        event.payload for path in folder.episodes() for event in read_events(path) if isinstance(event.payload, Wait)
    ]
    reasons = Counter(
        wait.reason.split("(")[0].strip() if wait.attempt else "a place among the requests" for wait in waits
    )
    steps, bound = options.episodes * options.steps, options.steps * options.latency
    table = Table("", "", show_header=False)
    table.add_row("episodes", ", ".join(f"{n} {name}" for name, n in Counter(one.status for one in outcomes).items()))
    table.add_row("waits", f"{len(waits)}, {sum(wait.seconds for wait in waits):.0f} s in all episodes together")
    table.add_row("for", ", ".join(f"{name}: {n}" for name, n in reasons.most_common()))
    table.add_row("CPU time per step", f"{told(each(cpu, steps))}; {sum(cpu):.1f} s for {steps} steps")
    table.add_row("  beginning and end", f"{told(each(episode, options.steps))} ({told(episode)} once an episode)")
    table.add_row("  the call", told(call))
    rest = less(less(each(cpu, steps), each(episode, options.steps)), call)
    table.add_row("  the model's turn, and so many at once", told(rest))
    table.add_row("wall time", f"{wall:.1f} s, {wall / bound:.1f} times the latency bound of {bound:.1f} s")
    Console().print(table)
    if any(one.status != "finished" for one in outcomes):
        raise SystemExit("not every episode finished")


if __name__ == "__main__":
    main()
