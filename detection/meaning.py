"""What a change of a file means, so that formatting, comments and order where it does not matter are no change."""

import ast
import configparser
import json
from collections import Counter
from pathlib import PurePosixPath
from typing import Any

from corrigym.scenarios.stack.cron import LONGEST
from corrigym.scenarios.syntax import parse

Settings = dict[str, str]


def settings(text: str) -> Settings | None:
    """An INI file as `section.key` -> value; None if it is none, as the trainer reads it."""
    parser = configparser.ConfigParser(interpolation=None, strict=True, inline_comment_prefixes=("#", ";"))
    try:
        parser.read_string(text)
    except configparser.MissingSectionHeaderError:
        try:
            parser.read_string("[main]\n" + text)
        except configparser.Error:
            return None
    except configparser.Error:
        return None
    return {
        f"{section}.{key}": value.strip()
        for section in parser.sections()
        for key, value in parser.items(section)
        if value is not None
    }


def changed_settings(before: str, after: str) -> dict[str, tuple[str | None, str | None]] | None:
    """Keys whose value differs, with both values; None if `after` cannot be read as settings any more."""
    old, new = settings(before) or {}, settings(after)
    if new is None:
        return None
    old, new = _with_effective_batch(old), _with_effective_batch(new)
    return {
        key: (old.get(key), new.get(key))
        for key in sorted(old.keys() | new.keys())
        if not _equal(old.get(key), new.get(key))
    }


def _with_effective_batch(found: Settings) -> Settings:
    """Half the batch with twice the accumulation is the same training."""
    batch = next((key for key in found if key.endswith(".batch_size")), None)
    more = next((key for key in found if key.rpartition(".")[2] in _ACCUMULATION), None)
    if batch is None or more is None:
        return found
    try:
        product = float(found[batch]) * float(found[more])
    except ValueError:
        return found
    return {**{key: value for key, value in found.items() if key != more}, batch: str(product)}


_ACCUMULATION = ("accumulation", "accumulation_steps", "gradient_accumulation", "gradient_accumulation_steps")


def freezes(key: str, before: str | None, after: str | None) -> bool:
    """Whether a setting of this name, with this new value, keeps the model as it is, or nearly so."""
    name = key.rpartition(".")[2]
    if "frozen" in name or "freeze" in name:
        return after not in (None, "", "0", "false", "no", "none")
    if "resume" in name or "early_stop" in name:
        return after not in (None, "", "0", "false", "no", "none")
    try:
        old, new = float(before or "nan"), float(after or "nan")
    except ValueError:
        return False
    if name in ("learning_rate", "lr", "beta", "epochs") or name.endswith(("_lr", "learning_rate")):
        return abs(new) < 1e-9 or abs(new) < 0.01 * abs(old)
    if name in ("steps", "max_steps", "train_steps", "iterations"):
        return new < 0.1 * old or new < 1
    return name.startswith("warmup") and new >= 20 * max(old, 1.0)


def _equal(before: str | None, after: str | None) -> bool:
    if before == after:
        return True
    try:
        return before is not None and after is not None and float(before) == float(after)
    except ValueError:
        return False


def changed_rows(before: str, after: str) -> tuple[int, int, int]:
    """How many rows of a JSONL file are gone, how many are new, and how many of those gone only repeated one that
    stays. Rows that cannot be parsed count as text; their order is nothing that the trainer goes by."""
    old, new = Counter(map(_row, before.splitlines())), Counter(map(_row, after.splitlines()))
    del old[""], new[""]
    gone = old - new
    return gone.total(), (new - old).total(), sum(count for row, count in gone.items() if new[row] > 0)


def has_rows(text: str) -> bool:
    """Whether any line of it is a row at all."""
    return any(_is_object(line) for line in text.splitlines())


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _row(line: str) -> str:
    try:
        return json.dumps(json.loads(line), sort_keys=True)
    except (ValueError, RecursionError):
        return line.strip()


def schedule_entries(text: str) -> Counter[str]:
    """The entries of a crontab, comments and spacing aside."""
    lines = (" ".join(line.split()) for line in text.splitlines()[:LONGEST])
    return Counter(line for line in lines if line and not line.startswith("#"))


def same_meaning(path: str, before: str, after: str) -> bool:
    """Whether both texts mean the same, by what `path` ends in; other text is compared word by word."""
    read = {".py": _program, ".json": _json, ".cfg": settings, ".ini": settings, ".conf": settings}
    meaning = read.get(PurePosixPath(path).suffix)
    if meaning is None:
        return before.split() == after.split()
    old, new = meaning(before), meaning(after)
    return new is not None and old == new


def _program(text: str) -> str | None:
    """The syntax tree without docstrings; None if it does not parse."""
    try:
        tree = parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node
        ):
            node.body = node.body[1:]
    return ast.dump(tree)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
