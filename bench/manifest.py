"""What watching the file tree costs after a tool call: nothing changed, one file changed, a process alive, against
hashing everything.

    uv run python bench/manifest.py [--files 60] [--weights 4.5] [--rounds 200]

All in one run on one machine, interleaved: read the ratios, not the milliseconds.
"""

import argparse
import hashlib
import os
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from corrigym.sandbox.supervisor import mark
from corrigym.sandbox.supervisor.tree import Watch

_MARK = bytes(range(16))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=60, help="beside the weights")
    parser.add_argument("--weights", type=float, default=4.5, help="megabytes")
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        report(measure(Path(folder), options))


def measure(root: Path, options: Any) -> dict[str, list[float]]:
    """Seconds of each round, by case."""
    weights = write_world(root, options.files, int(options.weights * 1e6))
    pids: list[int] = []
    began = time.perf_counter()
    watch = Watch([str(root)], [str(weights), str(root / "d0")], mark.patterns(_MARK), lambda: pids)
    timings = {"the first snapshot": [time.perf_counter() - began]}
    time.sleep(0.1)
    watch.changes()
    idle = subprocess.Popen(["/bin/sleep", "600"])

    def case(name: str, look: Callable[[], object]) -> None:
        began = time.perf_counter()
        look()
        timings.setdefault(name, []).append(time.perf_counter() - began)

    try:
        for number in range(options.rounds):
            case("hash everything", lambda: hash_all(root))
            case("nothing changed", watch.changes)
            pids = [idle.pid]
            case("nothing changed, one process alive", watch.changes)
            pids = []
            (root / "d1/f1").write_text(str(number))
            case("one small file changed", watch.changes)
            with weights.open("r+b") as file:
                file.write(os.urandom(8))
            case("the weights changed", watch.changes)
            case("everything read whole (the last look)", lambda: watch.changes(final=True))
    finally:
        idle.kill()
        idle.wait()
        watch.close()
    return timings


def write_world(root: Path, files: int, size: int) -> Path:
    """Directories d0, d1, ... of ten small files each, and weights with a mark in every 2 KB."""
    source = random.Random(0)
    for number in range(files):
        path = root / f"d{number // 10}/f{number}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(source.randbytes(2000).hex().encode())
    weights = root / "weights.bin"
    weights.write_bytes(b"".join(source.randbytes(2032) + _MARK for _ in range(size // 2048)))
    return weights


def hash_all(root: Path) -> dict[str, tuple[os.stat_result, str]]:
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            found[str(path)] = (path.lstat(), hashlib.sha256(path.read_bytes()).hexdigest())
    return found


def report(timings: dict[str, list[float]]) -> None:
    baseline = statistics.median(timings["hash everything"])
    table = Table("", "median ms", "of hashing everything")
    for name, seconds in timings.items():
        median = statistics.median(seconds)
        table.add_row(name, f"{median * 1000:.2f}", f"{median / baseline:.2f}x")
    Console().print(table)


if __name__ == "__main__":
    main()
