"""What of an asset changed: configuration by meaning, data by row, other text by line, the rest by digest and size."""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, zip_longest
from pathlib import PurePosixPath
from typing import Any

from rich.text import Text

from corrigym.detection.meaning import changed_settings, same_meaning
from corrigym.detection.model import Evidence
from corrigym.episodes.blocks import when
from corrigym.episodes.compare import compact, leaves
from corrigym.episodes.look import DIM, LABEL, WARN
from corrigym.episodes.rows import Row, columns
from corrigym.episodes.text import safe_line
from corrigym.scenarios.world import Asset

MOST = 40
"""Rows or lines of one change that are shown; the rest is counted."""
COMPARED = 4_000
"""Lines up to which two texts are aligned; longer ones are compared as sets of lines."""
SIDES, TEXTS = ("before", "after"), ("text_before", "text_after")
_FACTS = ("type", "size", "digest", "mode", "owner", "group", "target", "links")
_SETTINGS = (".ini", ".cfg", ".conf")
_MINUS, _PLUS = ("-", "red"), ("+", "green")
Change = tuple[str, str, str]
"""What changed, before and after."""


def diff_rows(evidence: Sequence[Evidence], assets: Mapping[str, Asset]) -> Iterator[Row]:
    """How assets (and other files) changed at a step; folded, only which."""
    changed = [item for item in evidence if any(side in item.detail for side in SIDES)]
    if not changed:
        return
    names = changed_assets(changed)
    yield Row(Text.assemble(("changed", LABEL), "  ", safe_line(", ".join(names))), "  ", rest="    ", wrap="words")
    for item in changed:
        yield from when("diff", _change(item, assets.get(item.asset or "")))


def changed_assets(evidence: Sequence[Evidence]) -> list[str]:
    """What changed, by name."""
    changed = (item for item in evidence if any(side in item.detail for side in SIDES))
    return list(dict.fromkeys(item.asset or "other files" for item in changed))


def _change(item: Evidence, asset: Asset | None) -> Iterator[Row]:
    head = Text.assemble(safe_line(item.kind, WARN), "  ", safe_line(item.subject, "bold"))
    if item.asset:
        head.append("  ").append_text(safe_line(item.asset, DIM))
    yield Row(head, "    ", rest="      ", wrap="words")
    yield from fact_rows(item, "        ")
    old, new = (item.detail.get(name) for name in TEXTS)
    if isinstance(old, str) or isinstance(new, str):
        yield from _texts(item.subject, asset, old if isinstance(old, str) else "", new if isinstance(new, str) else "")


def fact_rows(item: Evidence, lead: str) -> Iterator[Row]:
    """Size, digest and whatever else of the file is not what it was; where there is one side only, what it is."""
    before, after = (value if isinstance(value := item.detail.get(name), dict) else {} for name in SIDES)
    pairs = [(name, _fact(name, before), _fact(name, after)) for name in _FACTS]
    if before and after:
        yield from _pairs([pair for pair in pairs if pair[1] != pair[2]], lead)
    elif before or after:
        facts = ", ".join(f"{name} {old or new}" for name, old, new in pairs if (old or new) and name != "type")
        told = safe_line(f"was: {facts}" if before else f"now: {facts}", "red" if before else "green")
        yield Row(told, lead, wrap="words")


def _fact(name: str, side: Mapping[str, Any]) -> str:
    value = side.get(name)
    if value is None or value == "":
        return ""
    if name == "size" and isinstance(value, int):
        return f"{value:,} bytes"
    return compact(value)[:16] + "…" if name == "digest" and len(compact(value)) > 16 else compact(value)


def _pairs(changes: Sequence[Change], lead: str = "        ") -> Iterator[Row]:
    """`name  before → after`, a row each."""
    cells = [
        (safe_line(name, DIM), safe_line(old or "(none)", "red"), Text("→", DIM), safe_line(new or "(none)", "green"))
        for name, old, new in changes[:MOST]
    ]
    for text in columns(cells):
        yield Row(text, lead, wrap="words")
    yield from _rest(len(changes))


def _texts(path: str, asset: Asset | None, before: str, after: str) -> Iterator[Row]:
    kind = asset.kind if asset else ""
    settings = _settings(path, before, after)
    if settings is not None:
        if settings:
            yield from _pairs(settings)
            return
        yield Row(Text("the same settings, written differently", DIM), "        ")
    elif kind == "dataset":
        yield from _data(before, after)
        return
    elif before and after and same_meaning(path, before, after):
        yield Row(Text("the same meaning, written differently", DIM), "        ")
    yield from _lines(before, after)


def _settings(path: str, before: str, after: str) -> list[Change] | None:
    """Settings that differ, by name; None if these are none, or only one of both is."""
    suffix = PurePosixPath(path).suffix
    if not before or not after:
        return None
    if suffix in _SETTINGS:
        changed = changed_settings(before, after)
        return None if changed is None else [(name, old or "", new or "") for name, (old, new) in changed.items()]
    if suffix == ".json":
        old, new = _json(before), _json(after)
        if isinstance(old, dict | list) and isinstance(new, dict | list):
            return _fields(old, new)
    return None


def _fields(old: object, new: object) -> list[Change]:
    one, two = leaves(old), leaves(new)
    return [(name, one.get(name, ""), two.get(name, "")) for name in {**one, **two} if one.get(name) != two.get(name)]


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _data(before: str, after: str) -> Iterator[Row]:
    """Rows that are gone, new, or have other values in the same place."""
    old, new = before.splitlines(), after.splitlines()
    gone, added, replaced = _compared(old, new)
    told = [f"{len(old):,} rows → {len(new):,}"]
    told += [f"{len(rows):,} {name}" for rows, name in ((gone, "gone"), (added, "new"), (replaced, "other")) if rows]
    yield Row(Text(", ".join(told), DIM), "        ")
    for number, one, two in replaced[:MOST]:
        yield from _replaced(number, one, two)
    yield from _rest(len(replaced))
    yield from _marked([(*_MINUS, row) for row in gone])
    yield from _marked([(*_PLUS, row) for row in added])


def _replaced(number: int, one: str, two: str) -> Iterator[Row]:
    old, new = _json(one), _json(two)
    yield Row(Text(f"row {number}", DIM), "        ")
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _pairs(_fields(old, new))
    else:
        yield from _marked([(*_MINUS, one), (*_PLUS, two)])


def _compared(old: list[str], new: list[str]) -> tuple[list[str], list[str], list[tuple[int, str, str]]]:
    """What is gone, what is new, and what stands in the place of something else, with its row's number."""
    gone: list[str] = []
    added: list[str] = []
    replaced: list[tuple[int, str, str]] = []
    for tag, first, after, low, high in _opcodes(old, new):
        pairs = enumerate(zip_longest(old[first:after], new[low:high]), first + 1)
        for number, (one, two) in pairs if tag != "equal" else ():
            if one is not None and two is not None:
                replaced.append((number, one, two))
            elif one is not None:
                gone.append(one)
            elif two is not None:
                added.append(two)
    return gone, added, replaced


def _opcodes(old: list[str], new: list[str]) -> Sequence[tuple[str, int, int, int, int]]:
    """As of difflib; where that would take too long, what is common at both ends, and one block between."""
    if len(old) + len(new) <= COMPARED:
        return difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    head = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    tail = next(
        (n for n, (a, b) in enumerate(zip(reversed(old[head:]), reversed(new[head:]), strict=False)) if a != b),
        min(len(old), len(new)) - head,
    )
    return [("replace", head, len(old) - tail, head, len(new) - tail)]


def _lines(before: str, after: str) -> Iterator[Row]:
    """A unified difference."""
    old, new = before.splitlines(), after.splitlines()
    if len(old) + len(new) > COMPARED:
        yield from _data(before, after)
        return
    marked = []
    for part in islice(difflib.unified_diff(old, new, lineterm="", n=2), 2, None):
        mark = part[:1]
        style = {"-": "red", "+": "green", "@": "cyan"}.get(mark, DIM)
        marked.append((mark, style, part[1:]))
    yield from _marked(marked)


def _marked(lines: Sequence[tuple[str, str, str]]) -> Iterator[Row]:
    for mark, style, text in lines[:MOST]:
        yield Row(safe_line(text, style), f"      {mark} ", style, "        ")
    yield from _rest(len(lines))


def _rest(count: int) -> Iterator[Row]:
    if count > MOST:
        yield Row(Text(f"… {count - MOST:,} more", DIM), "        ")
