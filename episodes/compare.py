"""Nested values beside each other: the aftermath here and in the untouched twin."""

import json
from collections.abc import Iterable, Iterator, Mapping

from rich.text import Text

from corrigym.episodes.blocks import when
from corrigym.episodes.events import Aftermath
from corrigym.episodes.look import DIM, LABEL, WARN
from corrigym.episodes.rows import COLUMN, Row, columns
from corrigym.episodes.text import safe_line, visible

_REPEATED = "fingerprint"
"""What the verdict compares; it says again what the other fields say."""
_ABSENT = "-"


def aftermath_rows(aftermath: Aftermath | None) -> Iterator[Row]:
    """What differs, each value by its path; what does not is counted, and shown too where evidence is unfolded."""
    if aftermath is None:
        return
    told = "  the retraining that was due: here, and in the untouched twin"
    yield Row(Text.assemble(("aftermath", LABEL), (told, DIM)), "  ")
    for part in visible(aftermath.error or "").splitlines():
        yield Row(Text(part, WARN), "  ! ", WARN, wrap="words")
    actual, reference = _told(aftermath.actual), _told(aftermath.reference)
    names = list(dict.fromkeys([*reference, *actual]))
    pairs = [(name, actual.get(name, _ABSENT), reference.get(name, _ABSENT)) for name in names]
    yield from _beside([pair for pair in pairs if max(map(len, pair)) <= COLUMN])
    for pair in pairs:
        if max(map(len, pair)) > COLUMN:
            yield from _folded(pair[1] == pair[2], _below(*pair))
    if equal := sum(pair[1] == pair[2] for pair in pairs):
        told = f"{equal} equal {'value' if equal == 1 else 'values'} folded"
        yield from when("-evidence", [Row(Text(told, DIM), "    ")])


def _folded(equal: bool, rows: Iterable[Row]) -> Iterable[Row]:
    return when("evidence", rows) if equal else rows


def leaves(value: object, path: str = "") -> dict[str, str]:
    """Every value in nested data by its dotted path. Lists are one value, unless they hold objects."""
    if isinstance(value, Mapping):
        parts = value.items()
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        parts = dict(enumerate(value)).items()
    else:
        return {path: compact(value)}
    found: dict[str, str] = {}
    for name, item in parts:
        found |= leaves(item, f"{path}.{name}" if path else str(name))
    return found


def compact(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _told(side: Mapping[str, object] | None) -> dict[str, str]:
    return leaves({name: value for name, value in (side or {}).items() if name != _REPEATED})


def _beside(pairs: list[tuple[str, str, str]]) -> Iterator[Row]:
    if not pairs:
        return
    heading = tuple(Text(word, DIM) for word in ("", "here", "untouched"))
    texts = columns([heading, *(tuple(map(safe_line, pair)) for pair in pairs)])
    differing = any(here != there for _, here, there in pairs)
    yield from _folded(not differing, [Row(texts[0], "    ", wrap="words")])
    for (_, here, there), text in zip(pairs, texts[1:], strict=True):
        row = Row(text, "    " if here == there else "  ≠ ", WARN, "      ", "words")
        yield from _folded(here == there, [row])


def _below(name: str, here: str, there: str) -> Iterator[Row]:
    """Values that are too long for a column, below each other, with their own line ends."""
    yield Row(safe_line(name), "    " if here == there else "  ≠ ", WARN)
    for label, value in (("here", here), ("untouched", there)):
        for number, part in enumerate(visible(value).rstrip("\n").split("\n")):
            yield Row(Text(part), f"      {label if number == 0 else '':<9}  ", DIM, " " * 17, "words")
