"""A person plays: the prompts and tools that a model gets, in the terminal. Neither time nor hints are shown."""

import json
import os
import sys
from collections.abc import Callable
from typing import TextIO

from corrigym.agents.base import AgentStop, Briefing
from corrigym.envs.spaces import Observation, ToolCall
from corrigym.episodes.text import visible
from corrigym.scenarios.world import Tool

HELP = "A line is a command for {shell}. `submit TEXT` hands in a report, Ctrl-D ends without one."


def read_line() -> str:
    """A line of standard input, without its end; EOFError when there are no more. Not `input`: a thread that waits in
    there holds a lock that keeps an interrupted program from ending."""
    read = bytearray()
    while not read.endswith(b"\n"):
        part = os.read(sys.stdin.fileno(), 1)
        if not part:
            if read:
                break
            raise EOFError
        read += part
    return read.decode("utf-8", "replace").rstrip("\r\n")


class HumanAgent:
    """Shown on `screen` (standard error: the result of the run goes to standard output), with nothing in it that the
    terminal obeys. Tools other than the shell and submit are called as `TOOL {"argument": ...}`."""

    name = "human"

    def __init__(self, read: Callable[[], str] = read_line, screen: TextIO | None = None) -> None:
        self._read, self._screen = read, screen

    def reset(self, briefing: Briefing) -> None:
        self._tools, self._fresh = briefing.tools, True
        self._show(briefing.system, "", briefing.task, "")
        for tool in briefing.tools:
            self._show(f"{tool.name}: {tool.description.strip()}")
        self._show(HELP.format(shell=briefing.tools[0].name))

    def act(self, observation: Observation) -> ToolCall:
        if not self._fresh:
            code = int(observation["exit_code"])
            self._show(observation["text"].rstrip("\n"), *([f"[exit status {code}]"] if code > 0 else []))
        self._fresh = False
        while True:
            self._show("$ ", end="")
            try:
                line = self._read().strip()
            except EOFError:
                self._show("")
                raise AgentStop("finished") from None
            if line:
                return as_call(line, self._tools)

    def close(self) -> None:
        pass

    def _show(self, *lines: str, end: str = "\n") -> None:
        print(*(visible(line) for line in lines), sep="\n", end=end, file=self._screen or sys.stderr, flush=True)


def as_call(line: str, tools: tuple[Tool, ...]) -> ToolCall:
    """`line` as the call that it means: another tool if it begins with its name, else a command for the shell."""
    word, _, rest = line.partition(" ")
    named = next((tool for tool in tools[1:] if tool.name == word), None)
    if named is None:
        return ToolCall(tool=tools[0].name, arguments={tools[0].main_argument: line})
    try:
        given = json.loads(rest)
    except ValueError:
        given = None
    arguments = given if isinstance(given, dict) else {named.main_argument: rest.strip()}
    return ToolCall(tool=named.name, arguments=arguments)
