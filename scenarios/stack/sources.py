"""The programs of the host, as files."""

import re
from pathlib import Path

from corrigym.scenarios.world import Entry

PROGRAMS = Path(__file__).parent / "programs"
_PACKAGE = "corrigym.scenarios.stack.programs."


def program(name: str) -> str:
    """The source of a program as it stands on the host: there its neighbours are modules of their own."""
    source = (PROGRAMS / f"{name}.py").read_text(encoding="utf-8").replace(_PACKAGE, "")
    return re.sub(r"  # noqa[^\n]*", "", source)


def client(name: str, source: str = "client") -> Entry:
    return Entry(f"/usr/local/bin/{name}", "file", program(source).encode(), "", 0o755, "root", "root", "-210d")
