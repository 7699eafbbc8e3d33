"""`corrigym export`: an episode as a file for others."""

import argparse
import sys
from pathlib import Path

from corrigym.cli.output import say
from corrigym.episodes.runs import DEFAULT_FOLDER, find_episodes
from corrigym.errors import UsageError


def export(options: argparse.Namespace) -> int:
    from corrigym.episodes.export.formats import default_file, write_new
    from corrigym.episodes.export.formats import export as exported
    from corrigym.episodes.view import load_view

    log = _only(options.reference, Path(options.log_dir or DEFAULT_FOLDER))
    text = exported(load_view(log), options.to, options.at)
    if options.output == "-" or (options.output is None and options.to in ("cast", "markdown", "json")):
        sys.stdout.buffer.write(text.encode())
        sys.stdout.flush()
        return 0
    path = Path(options.output) if options.output else default_file(log, options.to, options.at)
    write_new(path, text, replace=options.force)
    say(f"written: {path}")
    return 0


def _only(reference: str, folder: Path) -> Path:
    paths = find_episodes(reference, folder)
    if len(paths) == 1:
        return paths[0]
    known = ", ".join(path.stem for path in paths[:5]) + (", ..." if len(paths) > 5 else "")
    raise UsageError(f"{reference!r} has {len(paths)} episodes; export takes one of them: {known}")
