"""`corrigym export`: an episode as a file for others."""

import argparse
import sys
from pathlib import Path

from corrigym.cli.output import say
from corrigym.cli.replay import only_episode
from corrigym.episodes.runs import DEFAULT_FOLDER


def export(options: argparse.Namespace) -> int:
    from corrigym.episodes.export.formats import default_file, write_new
    from corrigym.episodes.export.formats import export as exported
    from corrigym.episodes.view import load_view

    log = only_episode(options.reference, Path(options.log_dir or DEFAULT_FOLDER))
    text = exported(load_view(log), options.to, options.at)
    if options.output == "-" or (options.output is None and options.to in ("cast", "markdown", "json")):
        sys.stdout.buffer.write(text.encode())
        sys.stdout.flush()
        return 0
    path = Path(options.output) if options.output else default_file(log, options.to, options.at)
    write_new(path, text, replace=options.force)
    say(f"written: {path}")
    return 0
