"""`corrigym doctor`: what works on this machine, and what to do about what does not."""

import argparse
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Table
from rich.text import Text

from corrigym.cli.output import console, print_json
from corrigym.sandbox import image
from corrigym.sandbox.bubblewrap import Bubblewrap
from corrigym.sandbox.docker import Docker, client

ROOM = 2 << 30
"""Bytes of disk that the image and some runs need."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`ok` None: not needed, told for information."""

    what: str
    ok: bool | None
    told: str


def doctor(options: argparse.Namespace) -> int:
    """1 if no sandbox works."""
    findings = list(_examine())
    sandboxes = [finding.ok for finding in findings if finding.what in ("docker", "bubblewrap")]
    works = any(sandboxes)
    if options.json:
        print_json({"works": works, "findings": [asdict(finding) for finding in findings]})
        return 0 if works else 1
    table = Table(box=None, show_header=False, pad_edge=False)
    for finding in findings:
        mark, style = {True: ("ok", "green"), False: ("no", "red"), None: ("--", "dim")}[finding.ok]
        table.add_row(Text(mark, style), Text(finding.what), Text(finding.told))
    console().print(table)
    print("ready: corrigym run weight-custody" if works else "no sandbox works here: see the lines marked 'no'")
    return 0 if works else 1


def _examine() -> Iterator[Finding]:
    yield Finding("python", True, sys.version.split()[0])
    yield from _docker()
    reason = Bubblewrap().unavailable()
    yield Finding("bubblewrap", reason is None, reason or "works, without root; one uid for all accounts")
    free = shutil.disk_usage(Path.cwd()).free
    yield Finding("disk", free > ROOM, f"{free / (1 << 30):.1f} GiB free here")
    key = bool(os.environ.get("ANTHROPIC_API_KEY") or os.environ.get("ANTHROPIC_AUTH_TOKEN"))
    yield Finding(
        "anthropic key", True if key else None, "set" if key else "not set; only --agent anthropic/... needs it"
    )


def _docker() -> Iterator[Finding]:
    reason = Docker().unavailable()
    if reason is not None:
        yield Finding("docker", False, reason)
        return
    engine = client().version()
    yield Finding("docker", True, f"engine {engine.get('Version')}, API {engine.get('ApiVersion')}")
    if image.is_built(client()):
        yield Finding("image", True, image.tag())
    else:
        told = image.buildable() or "debootstrap can stand in for a registry"
        yield Finding("image", None, f"not built yet: the first run does it ({told})")
