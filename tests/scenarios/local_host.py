"""A stand-in for the supervisor's side of `corrigym.scenarios.stack.host.Host`: a real directory and real processes,
but no accounts and no isolation. The supervisor itself is tested in tests/sandbox.
"""

import subprocess
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
    def __init__(self) -> None:
        self.now = NOW.timestamp()
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

    def run(
        self,
        argv: List[str],  # noqa: UP006
        *,
        account: str,  # noqa: ARG002
        cwd: str,
        timeout: float,
        done: Callable[[int | None, bytes], None],
    ) -> None:
        ended = subprocess.run(argv, cwd=cwd, timeout=timeout, stdout=-1, stderr=subprocess.STDOUT, check=False)
        done(ended.returncode, ended.stdout)

    def ledger(self, operation: str, subject: str, account: str, outcome: str, detail: dict[str, Any]) -> None:
        self.served.append((operation, subject, account, outcome))
        self.details.append(detail)


class Site:
    """A world's training tree below a temporary directory, with its services running."""

    def __init__(self, world: World, root: Path) -> None:
        base, log = world.names["paths"]["base"], str(Path(world.names["paths"]["audit_log"]).parent)
        self.moves = {base: str(root / "base"), log: str(root / "log")}
        self.world = world
        for entry in world.entries:
            if entry.path.startswith((base, log)):
                self._place(Path(self.moved(entry.path)), entry.kind, entry.content)
        self.host = LocalHost()
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

    def path(self, asset: str) -> Path:
        return Path(self.moved(self.world.assets[asset].path))

    @property
    def job(self) -> str:
        return str(self.world.names["job"])

    def call(self, *argv: str, stdin: str = "") -> Reply:
        return self.host.handlers[argv[0]](Request(list(argv), stdin, self.world.agent))

    def night(self) -> dict[str, Any]:
        """The report of the aftermath."""
        reports: list[dict[str, Any]] = []
        self.services.aftermath(reports.append)
        (report,) = reports
        return report

    def _place(self, path: Path, kind: str, content: bytes) -> None:
        if kind == "directory":
            path.mkdir(parents=True, exist_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        text = path.suffix != ".safetensors"
        path.write_bytes(self.moved(content.decode()).encode() if text else content)
