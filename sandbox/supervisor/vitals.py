"""What goes on in the host beyond its files: the agent's processes that are still there, those of the world that are
not, and what is used up. Standard library only, Python 3.9.
"""

from __future__ import annotations

import os
import signal
import stat
import time
from typing import Any

from corrigym.sandbox.supervisor import files, targets

MAX_PROCESSES = 64
"""Of the agent's processes that are described; the rest is counted."""
LONGEST_SCRIPT = 1 << 16
MAX_SCRIPTS = 4
_BUSY = 3
"""Processes that go on computing after their tool call: so many starve what else is to run."""
FULL = 0.95
"""Share of a file system's space or of the processes from which on it is told as used up."""


class Vitals:
    """`own`: name -> pid of the processes that the world started. `most`: processes and memory (bytes) of the host."""

    def __init__(self, roots: list[str], own: dict[str, int], most: dict[str, int]) -> None:
        self._roots, self._own, self._max, self._memory = roots, own, most["processes"], most["memory"]
        self._described: dict[int, bytes] = {}
        self._told: set[tuple[str, str]] = set()
        self._peak: dict[str, float] = {}
        self.quiet = True
        """Whether at the last look there was nothing but the world's processes."""

    def sample(self) -> None:
        """Notes what is used up at this moment: a program may be stopped before anybody looks."""
        for place, share in self._full(len(targets.pids())).items():
            self._peak[place] = max(share, self._peak.get(place, 0.0))

    def look(self, alive: list[int]) -> dict[str, Any]:
        """Of `alive`, which are all processes there are. running: the agent's that were not there before; gone: names
        of the world's that ended or were stopped; full: places with the share that is used; peak: the same by `sample`.
        Each is told once, `full` as long as it is."""
        there = set(alive) - {*self._own.values()}
        self.quiet = not there  # a zombie may have threads that live
        pids = [pid for pid in sorted(there) if _state(pid) not in ("", "Z")]
        commands = {pid: _command(pid) for pid in pids[: 4 * MAX_PROCESSES]}
        fresh = [pid for pid, line in commands.items() if self._described.get(pid) != line]
        self._described = commands
        gone = {(name, state) for name, pid in self._own.items() if (state := _ended(pid))}
        peak, self._peak = self._peak, {}
        news, self._told = gone - self._told, self._told | gone
        return {
            "running": [_description(pid) for pid in fresh[:MAX_PROCESSES]],
            "gone": [{"name": name, "state": state} for name, state in sorted(news)],
            "full": self._full(len(pids)),
            "peak": peak,
        }

    def lasting(self) -> dict[str, Any]:
        """gone: the world's processes that ended or are stopped; running: command lines of the agent's that go on."""
        return {
            "gone": [list(one) for one in sorted(self._told)],
            "running": [line.replace(b"\0", b" ").decode("utf-8", "backslashreplace")
                        for line in self._described.values()],
        }  # fmt: skip

    def end(self, gone: list[list[str]]) -> None:
        """Lets processes of the world be gone."""
        for name, state in gone:
            os.kill(self._own[name], signal.SIGKILL if state == "ended" else signal.SIGSTOP)
        for name, _ in gone:
            while not _ended(self._own[name]):
                time.sleep(0.001)

    def _full(self, processes: int) -> dict[str, float]:
        used = {"processes": processes / self._max, **self._hogged()}
        for root in self._roots:
            try:
                info = os.statvfs(root)
            except OSError:
                continue
            space = 1 - info.f_bavail / info.f_blocks if info.f_blocks else 0.0
            inodes = 1 - info.f_favail / info.f_files if info.f_files else 0.0
            used[root] = max(space, inodes)
        return {place: round(share, 3) for place, share in used.items() if share >= FULL}

    def _hogged(self) -> dict[str, float]:
        """Memory and processors that the processes which go on hold, as shares of what there is."""
        resident = sum(_resident(pid) for pid in self._described)
        busy = sum(_state(pid) == "R" for pid in self._described)
        return {"memory": 2 * resident / self._memory, "processors": busy / _BUSY}


def _resident(pid: int) -> int:
    """Bytes."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read(256).split()[1]) * 4096
    except (OSError, ValueError, IndexError):
        return 0


def _description(pid: int) -> dict[str, Any]:
    """`scripts`: the text of files of the host that it was started with, by path; `holds`: files that it has open."""
    words = [word.decode("utf-8", "backslashreplace") for word in _command(pid).split(b"\0")[:-1]]
    scripts: dict[str, str] = {}
    for word in words[1:]:
        path = os.path.join(_cwd(pid), word)
        if len(scripts) < MAX_SCRIPTS and not word.startswith("-") and (text := _text_of(path)):
            scripts[path] = text
    held = [os.fsdecode(path) for path in targets.held_open(pid)][:64]
    return {"pid": pid, "program": targets.program(pid), "argv": words, "scripts": scripts, "holds": held}


def _text_of(path: str) -> str:
    """A text file of at most LONGEST_SCRIPT bytes; nothing for anything else."""
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            return ""
        with files.open_regular(os.path.realpath(path)) as file:
            data: bytes = file.read(LONGEST_SCRIPT)
    except (OSError, ValueError):
        return ""
    return "" if b"\0" in data else data.decode("utf-8", "replace")


def _ended(pid: int) -> str:
    state = _state(pid)
    return "ended" if state in ("", "Z") else "stopped" if state in ("T", "t") else ""


def _state(pid: int) -> str:
    """The letter of /proc/PID/stat; empty if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read(1024).rpartition(b")")[2].split()[0].decode()
    except (OSError, IndexError):
        return ""


def _command(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read(16384)
    except OSError:
        return b""


def _cwd(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return "/"
