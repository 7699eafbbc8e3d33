"""What the viewer costs: time to the first frame, memory, and key to redraw, by the length of the episode, and beside
`less` on the same file.

    uv run python bench/viewer.py [--events 100,10000,100000] [--keys 20]

All in one run on one machine: read the ratios, not the milliseconds. Most of the first frame is Python's own start,
which stands in a row of its own.
"""

import argparse
import os
import pty
import select
import shutil
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fcntl import ioctl
from functools import partial
from pathlib import Path
from signal import SIGKILL
from termios import TIOCSWINSZ
from typing import Self

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))
from corrigym.detection.model import Evidence, Finding
from corrigym.episodes.events import Call, EvidenceSeen, FindingMade, Message, Payload, Result
from tests.episodes.builder import WEIGHTS, ended, started, write_episode

COLUMNS, ROWS = 120, 40
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds and KiB. `whole`: until all of the file has been read; memory then."""

    first: float
    memory: int
    whole: float
    memory_after: int
    keys: float


class Screen:
    """A program on a terminal of its own."""

    def __init__(self, command: Sequence[str]) -> None:
        self.last = b""
        """The frame that was waited for."""
        self.pid, self._tty = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color", COLUMNS=str(COLUMNS), LINES=str(ROWS))
            os.execvp(command[0], list(command))
        ioctl(self._tty, TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.kill(self.pid, SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._tty)

    def until(self, *texts: str, without: str = "\0") -> float:
        """Seconds from now until a frame (or all, where there are none) has these texts, and not the other."""
        began, seen, last = time.perf_counter(), b"", b""
        while without.encode() in last or not all(text.encode() in last for text in texts):
            ready, _, _ = select.select([self._tty], [], [], PATIENCE)
            assert ready, f"nothing with {texts} came: {seen[-400:]!r}"
            seen = (seen + os.read(self._tty, 1 << 16))[-(1 << 18) :]
            last = seen.rpartition(b"\x1b[H")[2]
        self.last = last
        return time.perf_counter() - began

    def press(self, key: str, *texts: str) -> float:
        os.write(self._tty, key.encode())
        return self.until(*texts)

    @property
    def memory(self) -> int:
        """The most that was resident so far."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", default="100,10000,100000", help="lengths of the episodes")
    parser.add_argument("--keys", type=int, default=20, help="steps to go through")
    parser.add_argument("--repeats", type=int, default=5, help="starts of each; medians are told")
    options = parser.parse_args()
    rows: list[tuple[str, int, Costs]] = []
    with tempfile.TemporaryDirectory() as folder:
        for count in map(int, options.events.split(",")):
            path = write_episode(Path(folder) / str(count) / "episodes" / f"e{count}.jsonl", episode(count))
            rows.append(("corrigym replay", count, best(partial(viewer, path, options.keys), options.repeats)))
            if shutil.which("less"):
                rows.append(("less", count, best(partial(less, path, options.keys), options.repeats)))
    report(rows, statistics.median(start_of_python() for _ in range(options.repeats)))


def episode(count: int) -> list[tuple[int, Payload]]:
    """About so many events; a state change every tenth step, a finding every five hundredth."""
    events: list[tuple[int, Payload]] = [(0, started())]
    number = 0
    while len(events) < count - 1:
        number += 1
        output = "".join(f"-rw-r--r-- 1 ops ops {n * number} Nov  1 shard-{n}\n" for n in range(8))
        events.append((number, Message(role="assistant", text=f"Next I look at shard {number}.")))
        events.append((number, Call(tool="bash", arguments={"command": f"ls -l /srv/cache | grep {number}; df -h"})))
        events.append((number, Result(text=output, exit_code=0, duration=0.01, bytes=len(output))))
        if number % 10 == 0:
            seen = Evidence(
                id=f"e{number}", step=number, source="state", kind="modified", subject=WEIGHTS, asset="weights"
            )
            events.append((number, EvidenceSeen(evidence=seen)))
        if number % 500 == 0:
            finding = Finding(interference="destroy_assets", asset="weights", stage="effected", step=number,
                              evidence=(f"e{number}",), reason="changed")  # fmt: skip
            events.append((number, FindingMade(finding=finding)))
    return [*events, (number, ended(steps=number))]


def viewer(path: Path, keys: int) -> Costs:
    command = [sys.executable, "-m", "corrigym", "replay", str(path)]
    with Screen(command) as screen:
        first = screen.until("? help")
        memory = screen.memory
        whole = first + screen.until("? help", without="┄") if "┄".encode() in screen.last else first
        after = screen.memory
        taken = [screen.press("l", f"step {number} of", "? help") for number in range(1, keys + 1)]
        return Costs(first, memory, whole, after, statistics.median(taken))


def less(path: Path, keys: int) -> Costs:
    with Screen(["less", str(path)]) as screen:
        first = screen.until(path.name)
        memory = screen.memory
        taken = [screen.press("j", ":") for _ in range(keys)]
        began = time.perf_counter()
        screen.press("G", "END")
        return Costs(first, memory, first + time.perf_counter() - began, screen.memory, statistics.median(taken))


def best(run: Callable[[], Costs], repeats: int) -> Costs:
    """The medians of several runs."""
    costs = [run() for _ in range(repeats)]

    def median(name: str) -> float:
        return float(statistics.median(getattr(cost, name) for cost in costs))

    return Costs(median("first"), int(median("memory")), median("whole"), int(median("memory_after")), median("keys"))


def start_of_python() -> float:
    """Until Python has loaded what draws a frame, and nothing is read yet."""
    with Screen(
        [sys.executable, "-c", "import corrigym.cli.main, corrigym.episodes.player; print('rea' + 'dy')"]
    ) as it:
        return it.until("ready")


def report(rows: Sequence[tuple[str, int, Costs]], start: float) -> None:
    table = Table(
        "", "events", "first frame", "memory", "all read", "memory", "key to redraw", title="Looking at an episode"
    )
    for name, count, costs in rows:
        cells = [f"{costs.first * 1000:.0f} ms", f"{costs.memory / 1024:.1f} MB", f"{costs.whole * 1000:.0f} ms"]
        table.add_row(name, f"{count:,}", *cells, f"{costs.memory_after / 1024:.1f} MB", f"{costs.keys * 1000:.2f} ms")
    console = Console(width=100)
    console.print(table)
    console.print(f"Python's start, with imports: {start * 1000:.0f} ms")
    own = [(count, costs) for name, count, costs in rows if name != "less"]
    (least, small), (most, large) = own[0], own[-1]
    console.print(
        f"{most:,} events beside {least:,}: first frame {large.first / small.first:.2f}x, memory"
        f" {large.memory_after / small.memory_after:.2f}x, key to redraw {large.keys / small.keys:.2f}x"
    )


if __name__ == "__main__":
    main()
