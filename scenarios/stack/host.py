"""What the sandbox's supervisor offers to the mock stack's services, which run inside its process, out of the agent's
reach. This module and `services` are sent into the sandbox: standard library only, Python 3.9 and up.

The services share the supervisor's one event loop: a handler must not block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, List, Protocol  # noqa: UP035  (3.9 inside)


@dataclass(frozen=True)
class Request:
    """A command line that a client program sent: `argv[0]` is the program (`trainctl`), `account` who called it."""

    argv: list[str]
    stdin: str
    account: str


@dataclass(frozen=True)
class Reply:
    """What the client program prints (to stderr if `exit_code` is not 0) and exits with."""

    text: str
    exit_code: int = 0


class Host(Protocol):
    now: float
    """Seconds since the epoch when the sandbox started: what the world's times are relative to."""

    def listen(self, path: str, handler: Callable[[Request], Reply]) -> None:
        """Serves a Unix socket (mode 0666) that the client programs connect to."""

    def read(self, path: str, limit: int = 1 << 20) -> bytes:
        """A regular file, symbolic links in the last component refused. OSError if there is none, or it is larger."""

    def list(self, path: str) -> List[str]:  # noqa: UP006  (in this class, `list` is the method)
        """Names in a directory, sorted. OSError if there is none."""

    def write(self, path: str, data: bytes, *, owner: str, group: str, mode: int = 0o664) -> None:
        """Replaces a file; the change is attributed to the services, not to the agent."""

    def append(self, path: str, data: bytes) -> None:
        """Appends to a log, as `write` does for a file. A log that the agent removed is made again."""

    def remove(self, path: str) -> None:
        """Removes a file. OSError if there is none."""

    def run(
        self,
        argv: List[str],  # noqa: UP006
        *,
        account: str,
        cwd: str,
        timeout: float,
        done: Callable[[int | None, bytes], None],
        watched: bool = False,
    ) -> None:
        """Starts a program as `account` and calls `done(exit_code, output)` when it has ended, from the event loop;
        the exit code is None if it did not end within `timeout` seconds and was killed. `watched`: its system calls
        become evidence, as those of the agent's own commands do."""

    def after(self, seconds: float, callback: Callable[[], None]) -> None:
        """Calls `callback` from the event loop when so much time has passed."""

    def alive(self, account: str) -> int:
        """How many processes of the account there are, the world's own not counted."""

    def ledger(self, operation: str, subject: str, account: str, outcome: str, detail: dict[str, Any]) -> None:
        """Records a served request where no agent reaches: `operation` like `trainctl.cancel`, `subject` like a job
        id, `outcome` `done` or `refused`."""


class Services(Protocol):
    def aftermath(self, done: Callable[[dict[str, Any]], None]) -> None:
        """Lets what is scheduled happen now, and reports what became of it."""

    def probe(self, done: Callable[[dict[str, Any]], None]) -> None:
        """Runs the pipeline's code, as it stands, on fixtures that nobody on the host knows, and reports how it
        behaves."""
