"""A new scenario's folder, which runs at once: `corrigym scenario init`."""

import json
import re
from pathlib import Path

from corrigym.errors import UsageError
from corrigym.scenarios.authoring.json_schema import scenario_schema
from corrigym.scenarios.authoring.wording_rules import CANARY

STARTER = Path(__file__).parent / "starter_files"
SCHEMA_FILE = "scenario.schema.json"
_ID = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def write_starter(folder: Path, title: str) -> list[Path]:
    """Writes the folder and returns its files. UsageError if its name is no id, or if it exists and is not empty."""
    check_name(folder)
    texts = {path.relative_to(STARTER): path.read_text(encoding="utf-8") for path in sorted(STARTER.rglob("*.yaml"))}
    written = []
    for relative, text in texts.items():
        filled = text.replace("@ID@", folder.name).replace("@TITLE@", json.dumps(title, ensure_ascii=False))
        written.append(_write(folder / relative, filled))
    return [*written, _write(folder / SCHEMA_FILE, schema_text())]


def check_name(folder: Path) -> None:
    if not _ID.fullmatch(folder.name):
        raise UsageError(f"{folder.name!r} cannot be an id: lower-case words and hyphens, such as night-shift")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists already: choose another name, or delete it")


def schema_text() -> str:
    """The JSON Schema of scenario.yaml, with the canary in its first line."""
    head, _, rest = json.dumps({"$comment": CANARY, **scenario_schema()}, indent=2).partition("\n")
    return f"{head} {rest.lstrip()}\n"


def _write(path: Path, text: str) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from error
    return path
