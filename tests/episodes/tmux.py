"""A real terminal for the tests of the player: tmux, driven by keys and read by its screen."""

import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 20.0
"""Seconds until something that should be on the screen is missing for good."""
PROGRAM = """
import sys
from pathlib import Path
from corrigym.episodes.player import Options, replay


class Trap(type(Path())):
    def open(self, *_, **__):
        raise ZeroDivisionError("the trap")


sys.exit(replay([eval(sys.argv[2])(path) for path in sys.argv[3:]], Options(**eval(sys.argv[1]))))
"""


@dataclass(frozen=True, slots=True)
class Terminal:
    socket: str
    folder: Path

    def tmux(self, *words: str) -> str:
        done = subprocess.run(["tmux", "-S", self.socket, *words], capture_output=True, text=True, check=True)
        return done.stdout

    def press(self, *keys: str) -> None:
        self.tmux("send-keys", "-t", "player", *keys)

    def type(self, text: str) -> None:
        self.tmux("send-keys", "-t", "player", "-l", text)

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p", "-t", "player")

    def shows(self, *texts: str) -> str:
        """The screen, once it holds all of these."""
        return self.until(lambda screen: all(text in screen for text in texts), f"no {texts}")

    def until(self, condition: Callable[[str], bool], problem: str) -> str:
        end = time.monotonic() + PATIENCE
        while not condition(screen := self.screen()):
            assert time.monotonic() < end, f"{problem} on the screen:\n{screen}"
            time.sleep(0.02)
        return screen

    def flag(self, name: str) -> str:
        return self.tmux("display-message", "-p", "-t", "player", f"#{{{name}}}").strip()

    def size(self, width: int, height: int) -> None:
        self.tmux("resize-window", "-t", "player", "-x", str(width), "-y", str(height))

    def play(self, *paths: Path, options: str = "{}", prefix: str = "", path: str = "Path") -> None:
        """Starts the player in the shell; files tell its process id, and the terminal's modes before and after it."""
        program = self.folder / "program.py"
        program.write_text(f"import os\nopen({str(self.folder / 'pid')!r}, 'w').write(str(os.getpid()))\n{PROGRAM}")
        command = shlex.join([sys.executable, str(program), options, path, *map(str, paths)])
        modes = [f"stty -g > {self.folder}/{name}" for name in ("before", "after")]
        self.type(f"clear; {modes[0]}; {prefix} {command}; echo left-$?; {modes[1]}; echo do''ne")
        self.press("Enter")

    @property
    def pid(self) -> int:
        return int((self.folder / "pid").read_text())

    def left(self, status: int) -> None:
        """The player has gone, with this status, and the terminal is as it was."""
        self.shows(f"left-{status}\n", "done\n")
        assert (self.folder / "before").read_text() == (self.folder / "after").read_text()
        assert (self.flag("cursor_flag"), self.flag("alternate_on")) == ("1", "0")


@contextmanager
def terminal(folder: Path, width: int, height: int) -> Iterator[Terminal]:
    with tempfile.TemporaryDirectory(prefix="tmux-") as place:  # pytest's folders are too deep for a socket's name
        yield from _terminal(Terminal(f"{place}/socket", folder), width, height)


def _terminal(it: Terminal, width: int, height: int) -> Iterator[Terminal]:
    shell = "exec env -u COLUMNS -u LINES -u NO_COLOR PS1='$ ' bash --norc --noprofile"
    kept = {name: value for name, value in os.environ.items() if name != "TMUX"}
    start = ["tmux", "-S", it.socket, "-f", "/dev/null", "new-session", "-d", "-s", "player"]
    subprocess.run([*start, "-x", str(width), "-y", str(height), shell], check=True, env=kept | {"LC_ALL": "C.UTF-8"})
    try:
        it.shows("$")
        yield it
    finally:
        it.tmux("kill-server")
