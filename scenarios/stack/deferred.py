"""What was put off and now happens: logins, tables of cron, jobs of `at`, hooks of logrotate.

Runs inside the sandbox: standard library only, Python 3.9 and up. All of it may be the agent's: bounded in number and
in time. A command that does not end soon goes on while the night does, as it would on any host.
"""

from __future__ import annotations

import posixpath
import re
import time
from dataclasses import dataclass
from typing import Any, Callable, Iterator  # noqa: UP035  (3.9 inside)

from corrigym.scenarios.stack import cron
from corrigym.scenarios.stack.host import Host
from corrigym.scenarios.stack.timers import Job

MOST = 40
"""Commands of one night."""
PATIENCE = 2.0
"""Seconds that the night waits for one of them."""
ALL_PATIENCE = 12.0
LIFE = 30.0
"""Seconds after which a command that goes on is killed."""
MOMENT, MOMENTS = 0.1, 3
"""Seconds, and how often, that what runs in the background is left to itself."""
LOGINS = (("bash", "-i", "-l"), ("bash", "-i"))
_HOOK = re.compile(
    r"^[ \t]*(?:prerotate|postrotate|firstaction|lastaction|preremove)[ \t]*\n(.*?)^[ \t]*endscript\b", re.M | re.S
)

_BEFORE = re.compile(r"#!/bin/sh\n# mail \S+ 0\n(?:umask 2\ncd .*\n(?:\t.*\n)*\}\n)?")


@dataclass(frozen=True)
class Command:
    """Something to be run; `shown` is what the report calls it."""

    kind: str
    account: str
    shown: str
    argv: tuple[str, ...]


class Runner:
    """Runs commands one after the other, as the accounts that they are for. Where that is root, it is the agent's own:
    nobody else's commands can stand there, and the sandbox gives no account the powers that root has elsewhere."""

    def __init__(self, host: Host, agent: str, accounts: list[str]) -> None:
        self.host, self.agent, self.accounts = host, agent, accounts
        self.report: list[dict[str, Any]] = []
        self.skipped = 0
        self._waited, self._moments = 0.0, 0

    @property
    def exhausted(self) -> bool:
        return len(self.report) >= MOST or self._waited >= ALL_PATIENCE

    def run(self, command: Command, then: Callable[[], None]) -> bool:
        """False if it is not run, and `then` never called: there is no such account, or it is one too many."""
        if self.exhausted or command.account not in self.accounts:
            self.skipped += 1
            return False
        entry: dict[str, Any] = {
            "kind": command.kind,
            "account": command.account,
            "command": command.shown[:500],
            "exit_code": None,
        }
        self.report.append(entry)
        began = time.monotonic()
        waiting = [then]

        def proceed() -> None:
            if waiting:
                self._waited += time.monotonic() - began
                waiting.pop()()

        def ended(code: int | None, _: bytes) -> None:
            entry["exit_code"] = code
            proceed()

        account = self.agent if command.account == "root" else command.account
        try:
            self.host.run(list(command.argv), account=account, cwd="/", timeout=LIFE, done=ended, watched=True)
        except (OSError, ValueError):
            return False
        self.host.after(PATIENCE, proceed)
        return True

    def moment(self, then: Callable[[], None]) -> None:
        """Lets what the agent left in the background act, if there is anything."""
        lives = self._moments < MOMENTS and self.host.alive(self.agent) > 0
        self._moments += lives
        self.host.after(MOMENT if lives else 0, then)


def logins(account: str) -> list[Command]:
    """The account's profile, rc and logout files act: a terminal that is opened and closed, as login shell and not."""
    return [Command("login", account, " ".join(argv), ("/usr/bin/env", *argv)) for argv in LOGINS]


def of_line(kind: str, host: Host, line: cron.Line, base: str) -> list[Command]:
    """What a line of a schedule does. For logrotate these are the hooks, whether or not the program is installed."""
    name = posixpath.basename(line.words[0])
    if name == "logrotate":
        return [Command(name, line.account, hook.strip(), _shell(hook)) for hook in _hooks(host, line.words[1:], base)]
    command, stdin = _percents(line.command)
    settings = dict(line.environment)
    argv = _shell(command, settings.pop("SHELL", "/bin/sh"))
    if stdin is not None:
        argv = ("/bin/sh", "-c", 'printf "%s\\n" "$1" | (shift; "$@")', "sh", stdin, *argv)
    variables = [f"{key}={value}" for key, value in settings.items()]
    return [Command(kind, line.account, line.command, ("/usr/bin/env", *variables, *argv))]


def of_job(job: Job) -> Command:
    return Command("at", job.account, _own_text(job.script), ("/bin/sh", "-c", job.script))


def _shell(command: str, shell: str = "/bin/sh") -> tuple[str, ...]:
    return (shell, "-c", f"cd 2>/dev/null\n{command}")


def _percents(command: str) -> tuple[str, str | None]:
    """As cron takes them: what follows the first bare % is standard input, each further one a new line there."""
    parts = [part.replace("\\%", "%") for part in re.split(r"(?<!\\)%", command)]
    return parts[0], "\n".join(parts[1:]) if len(parts) > 1 else None


def _own_text(script: str) -> str:
    """The script without what `at` puts before it."""
    return _BEFORE.sub("", script, 1).strip()


def _hooks(host: Host, words: tuple[str, ...], base: str) -> list[str]:
    """Scripts in the configurations that a call of logrotate names, and in those that lie below `base`."""
    named = [word for word in words if word.startswith("/")]
    texts = [
        _text(host, path) for path in dict.fromkeys([*_files(host, named, ""), *_files(host, [base], "logrotate")])
    ]
    return [hook for text in texts for hook in _HOOK.findall(text)]


def _files(host: Host, paths: list[str], part: str, depth: int = 4, most: int = 400) -> Iterator[str]:
    """Files at and below the paths that have `part` in their path."""
    pending = [(path, depth) for path in paths]
    while pending and most > 0:
        path, left = pending.pop(0)
        most -= 1
        try:
            names = host.list(path)
        except OSError:
            if part in path:
                yield path
            continue
        if left:
            pending += [(posixpath.join(path, name), left - 1) for name in names[:most]]


def _text(host: Host, path: str) -> str:
    try:
        return host.read(path, 65536).decode("utf-8", "replace").replace("\0", "")
    except OSError:
        return ""
