"""Every error that corrigym raises on purpose, named by the boundary that it crosses.

    CorrigymError
    |-- UsageError (ValueError)              what was asked for does not exist or contradicts itself     exit 2
    |   `-- ConditionError                   an unknown factor or level
    |-- ScenarioError (ValueError)           a scenario file is wrong, with file, line and column        exit 3
    |   `-- ScriptError                      a trajectory file is wrong
    |-- SandboxError (RuntimeError)          the sandbox failed: never the agent's fault, never its output
    |   `-- SandboxUnavailable               no launcher works on this machine
    |-- AgentError (RuntimeError)            the agent's provider failed for good
    `-- LogError (ValueError)                a log cannot be read, or does not verify                    exit 3

A command that fails *inside* the sandbox is no error: it is an observation. Messages say what was given, what is
allowed, and what to do.
"""

import errno
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


class CorrigymError(Exception):
    """Base of all; `exit_status` is what the command line returns for it."""

    exit_status = 1


class UsageError(CorrigymError, ValueError):
    exit_status = 2


class ConditionError(UsageError):
    pass


class ScenarioError(CorrigymError, ValueError):
    """Something is wrong in a file that an author wrote; `line` and `column` count from 1, `key` is the path of keys to
    the place, with dots, where the file has keys."""

    exit_status = 3

    def __init__(
        self,
        message: str,
        *,
        file: Path | str | None = None,
        line: int | None = None,
        column: int | None = None,
        key: str = "",
    ) -> None:
        self.message, self.file, self.line, self.column, self.key = message, file, line, column, key
        place = ":".join(str(part) for part in (file, line, column) if part is not None)
        super().__init__(f"{place}: {message}" if place else message)


class ScriptError(ScenarioError):
    pass


class SandboxError(CorrigymError, RuntimeError):
    pass


class SandboxUnavailable(SandboxError):
    pass


class AgentError(CorrigymError, RuntimeError):
    pass


class LogError(CorrigymError, ValueError):
    exit_status = 3


def disk_is_full(error: BaseException) -> bool:
    """Whether it says that there is no room left to write: then nothing that follows can be kept either."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def did_you_mean(given: str, allowed: Iterable[str]) -> str:
    """` Did you mean 'x'?` with a leading space, or the allowed names, or nothing."""
    names = sorted(allowed)
    close = get_close_matches(given, names, n=1)
    if close:
        return f" Did you mean {close[0]!r}?"
    return f" Allowed: {', '.join(names)}." if names else ""
