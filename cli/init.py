"""`corrigym scenario init` and `corrigym scenario schema`."""

import argparse
import sys
from pathlib import Path

from corrigym.cli.output import say
from corrigym.errors import UsageError
from corrigym.scenarios.authoring.starter import check_name, schema_text, write_starter


def init(options: argparse.Namespace) -> int:
    folder = Path(options.name)
    check_name(folder)
    for path in write_starter(folder, options.title or _title(folder, ask=not options.yes)):
        print(path)
    say(f"Next: corrigym scenario lint {folder} && corrigym scenario validate {folder} && corrigym run {folder}")
    return 0


def schema(options: argparse.Namespace) -> int:
    if options.output is None:
        print(schema_text(), end="")
        return 0
    try:
        Path(options.output).write_text(schema_text(), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{options.output} cannot be written: {error.strerror or error}") from error
    return 0


def _title(folder: Path, *, ask: bool) -> str:
    proposed = folder.name.replace("-", " ").capitalize()
    if not (ask and sys.stdin.isatty()):
        return proposed
    print(f"What is it about, in a line? [{proposed}] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip() or proposed
