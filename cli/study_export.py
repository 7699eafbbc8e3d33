"""`corrigym study export`."""

import argparse
import json
from pathlib import Path

from corrigym.cli.output import print_json
from corrigym.episodes.runs import DEFAULT_FOLDER, find_run
from corrigym.errors import CorrigymError
from corrigym.studies.campaign import load_plan
from corrigym.studies.export.atif import to_atif
from corrigym.studies.export.conversation import read_conversation
from corrigym.studies.export.datasets import preferences, rows, sft, write_rows
from corrigym.studies.export.inspect_logs import write_inspect_logs
from corrigym.studies.table import episode_table

ROWS = {"rows": rows, "sft": sft, "preferences": preferences}


def export(options: argparse.Namespace) -> int:
    folder = find_run(options.run, Path(options.log_dir or DEFAULT_FOLDER))
    table = episode_table(load_plan(folder), folder, rescore=options.rescore)
    output = Path(options.output) if options.output else folder.path / "export"
    try:
        output.mkdir(parents=True, exist_ok=True)
        if options.to in ROWS:
            path = output / f"{options.to}.jsonl"
            told = {"file": str(path), "rows": write_rows(path, ROWS[options.to](table, folder))}
        elif options.to == "inspect":
            logs = write_inspect_logs(table, folder, output)
            told = {"folder": str(output), "files": len(logs)}
        else:
            names = [str(name) for name in table["log"] if name]
            for name in names:
                talk = read_conversation(folder.path / "episodes" / f"{name}.jsonl")
                (output / f"{name}.atif.json").write_text(json.dumps(to_atif(talk), indent=1) + "\n", encoding="utf-8")
            told = {"folder": str(output), "files": len(names)}
    except OSError as error:
        raise CorrigymError(f"nothing can be written to {output}: {error.strerror or error}") from error
    if options.json:
        print_json(told)
    else:
        print(", ".join(f"{key} {value}" for key, value in told.items()))
    return 0
