"""What all agents of a run share: the limiter of their requests, and the server that they had us start."""

import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from corrigym.agents.limiter import Limiter
from corrigym.agents.smollm2 import CONTEXT, NAME, running
from corrigym.episodes.runs import DEFAULT_FOLDER


class Shared:
    """A context manager: what was started is stopped at its end. `note` takes lines for people; `log_dir` is where
    `replay:` looks for an episode."""

    def __init__(self, note: Callable[[str], None] = lambda _: None, log_dir: Path = DEFAULT_FOLDER) -> None:
        self.limiter, self.log_dir, self._note = Limiter(), log_dir, note
        self._stack, self._guard = ExitStack(), threading.Lock()
        self._servers: dict[int, str] = {}

    def smollm2(self, context: int = CONTEXT) -> str:
        """The address of the model's server, started by the first who asks. AgentError if it does not start."""
        with self._guard:
            if context not in self._servers:
                address = self._stack.enter_context(running(context))
                self._servers[context] = address
                self._note(f"local/{NAME}: llama.cpp serves it at {address} until the run ends")
            return self._servers[context]

    def close(self) -> None:
        self._stack.close()
        self._servers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
