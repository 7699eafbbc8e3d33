"""A stand-in for the supervisor's side of `corrigym.scenarios.stack.host.Host`: a real directory and real processes,
but no accounts and no isolation. The supervisor itself is tested in tests/sandbox.
"""

import contextlib
import os
import queue
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, List  # noqa: UP035  (in the class, `list` is a method)

from corrigym.scenarios.stack import services
from corrigym.scenarios.stack.host import Reply, Request
from corrigym.scenarios.times import resolve_marks
from corrigym.scenarios.world import World

NOW = datetime(2026, 3, 14, 18, 5, tzinfo=UTC)


class LocalHost:
    """`turn` is the event loop: what has ended, and what was to come `after`, is called back from there."""

    def __init__(self, home: Path) -> None:
        self.now = NOW.timestamp()
        self.home = home
        self.ran_as: list[tuple[str, bool]] = []
        self._due: queue.Queue[Callable[[], None]] = queue.Queue()
        self._sessions: set[int] = set()
        self.handlers: dict[str, Callable[[Request], Reply]] = {}
        self.served: list[tuple[str, str, str, str]] = []
        self.details: list[dict[str, Any]] = []

    def listen(self, path: str, handler: Callable[[Request], Reply]) -> None:
        self.handlers[Path(path).stem] = handler

    def read(self, path: str, limit: int = 1 << 20) -> bytes:
        file = Path(path)
        if file.is_symlink() or not file.is_file() or file.stat().st_size > limit:
            raise OSError(5, "no regular file, or too large", path)
        return file.read_bytes()

    def list(self, path: str) -> List[str]:  # noqa: UP006
        return sorted(item.name for item in Path(path).iterdir())

    def write(self, path: str, data: bytes, *, owner: str, group: str, mode: int = 0o664) -> None:  # noqa: ARG002
        Path(path).write_bytes(data)

    def append(self, path: str, data: bytes) -> None:
        with Path(path).open("ab") as file:
            file.write(data)

    def remove(self, path: str) -> None:
        Path(path).unlink()

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
        self.ran_as.append((account, watched))
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), "LANG": "C.UTF-8"}
        output = tempfile.TemporaryFile()  # noqa: SIM115  closed by the thread that waits
        program = subprocess.Popen(
            argv, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
        self._sessions.add(program.pid)

        def wait() -> None:
            """As the supervisor: the program's own end counts, not that of what it left in the background."""
            code: int | None = None
            try:
                code = program.wait(timeout)
            except subprocess.TimeoutExpired:
                os.killpg(program.pid, signal.SIGKILL)
                program.wait()
            with output:
                output.seek(0)
                text = output.read(1 << 20)
            self._due.put(lambda: done(code, text))

        threading.Thread(target=wait, daemon=True).start()

    def after(self, seconds: float, callback: Callable[[], None]) -> None:
        if seconds == 0:
            self._due.put(callback)
            return
        timer = threading.Timer(seconds, self._due.put, [callback])
        timer.daemon = True
        timer.start()

    def alive(self, account: str) -> int:  # noqa: ARG002
        return len(self._running())

    def turn(self) -> None:
        self._due.get(timeout=60)()

    def close(self) -> None:
        for pid in self._running():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _running(self) -> List[int]:  # noqa: UP006
        """Whatever is left of the programs that were run, and of what they started."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                state, *_ = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
                pid = int(stat.parent.name)
                if state != "Z" and os.getsid(pid) in self._sessions:
                    found.append(pid)
        return found

    def ledger(self, operation: str, subject: str, account: str, outcome: str, detail: dict[str, Any]) -> None:
        self.served.append((operation, subject, account, outcome))
        self.details.append(detail)


class Site:
    """A world's training tree below a temporary directory, with its services running."""

    def __init__(self, world: World, root: Path) -> None:
        base, log = world.names["paths"]["base"], str(Path(world.names["paths"]["audit_log"]).parent)
        self.moves = {base: str(root / "base"), log: str(root / "log"), "/var/spool/cron": str(root / "cron")}
        self.world, self.home = world, root / "home"
        self.home.mkdir(parents=True)
        for entry in world.entries:
            if entry.path.startswith(tuple(self.moves)):
                self._place(Path(self.moved(entry.path)), entry.kind, entry.content)
        self.host = LocalHost(self.home)
        self.services = services.start(self.host, self.moved(dict(world.services)))

    def moved(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self.moved(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.moved(item) for item in value]
        if not isinstance(value, str):
            return value
        for old, new in self.moves.items():
            value = value.replace(old, new)
        return resolve_marks(value.encode(), NOW).decode()

    def spool(self, name: str) -> Path:
        """A file below /var/spool/cron."""
        return Path(self.moves["/var/spool/cron"]) / name

    def path(self, asset: str) -> Path:
        return Path(self.moved(self.world.assets[asset].path))

    @property
    def job(self) -> str:
        return str(self.world.names["job"])

    def call(self, *argv: str, stdin: str = "") -> Reply:
        return self.host.handlers[argv[0]](Request(list(argv), stdin, self.world.agent))

    def night(self) -> dict[str, Any]:
        """The report of the aftermath."""
        return self._reported(self.services.aftermath)

    def probe(self) -> dict[str, Any]:
        return self._reported(self.services.probe)

    def _reported(self, ask: Callable[[Callable[[dict[str, Any]], None]], None]) -> dict[str, Any]:
        reports: list[dict[str, Any]] = []
        ask(reports.append)
        while not reports:
            self.host.turn()
        (report,) = reports
        return report

    def _place(self, path: Path, kind: str, content: bytes) -> None:
        if kind == "directory":
            path.mkdir(parents=True, exist_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        text = path.suffix != ".safetensors"
        path.write_bytes(self.moved(content.decode()).encode() if text else content)
