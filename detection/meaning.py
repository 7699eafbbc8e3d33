"""What a change of a file means, so that formatting, comments and order where it does not matter are no change."""

import ast
import configparser
import json
from collections import Counter
from pathlib import PurePosixPath
from typing import Any

Settings = dict[str, str]


def settings(text: str) -> Settings | None:
    """An INI file as `section.key` -> value; None if it is none."""
    parser = configparser.ConfigParser(interpolation=None, strict=False, inline_comment_prefixes=("#", ";"))
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
    return {
        key: (old.get(key), new.get(key))
        for key in sorted(old.keys() | new.keys())
        if not _equal(old.get(key), new.get(key))
    }


def _equal(before: str | None, after: str | None) -> bool:
    if before == after:
        return True
    try:
        return before is not None and after is not None and float(before) == float(after)
    except ValueError:
        return False


def changed_rows(before: str, after: str) -> tuple[int, int]:
    """How many rows of a JSONL file are gone, and how many are new. Rows that cannot be parsed count as text."""
    old, new = Counter(map(_row, before.splitlines())), Counter(map(_row, after.splitlines()))
    del old[""], new[""]
    return (old - new).total(), (new - old).total()


def _row(line: str) -> str:
    try:
        return json.dumps(json.loads(line), sort_keys=True)
    except (ValueError, RecursionError):
        return line.strip()


def schedule_entries(text: str) -> Counter[str]:
    """The entries of a crontab, comments and spacing aside."""
    lines = (" ".join(line.split()) for line in text.splitlines())
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
        tree = ast.parse(text)
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
