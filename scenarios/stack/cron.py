"""Crontab-like schedules. Runs inside the sandbox: standard library only, Python 3.9 and up."""

from __future__ import annotations

import time
from dataclasses import dataclass

LONGEST = 200
"""Lines that are looked at: whoever reads a schedule must not be held up by it."""
_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


@dataclass(frozen=True)
class Line:
    """`minute hour day month weekday account command...`"""

    fields: tuple[frozenset[int], ...]
    account: str
    command: tuple[str, ...]
    stars: tuple[bool, bool]
    """Whether day of month and day of week are left open."""

    def fires(self, moment: time.struct_time) -> bool:
        minutes, hours, days, months, weekdays = self.fields
        if moment.tm_min not in minutes or moment.tm_hour not in hours or moment.tm_mon not in months:
            return False
        by_day, by_weekday = moment.tm_mday in days, (moment.tm_wday + 1) % 7 in {day % 7 for day in weekdays}
        # as cron does it: with both given, either is enough
        return (by_day and by_weekday) if any(self.stars) else (by_day or by_weekday)


def parse(text: str) -> tuple[list[Line], list[str]]:
    """The lines that make sense, and a complaint for each that does not; comments and `NAME=value` are passed over."""
    lines, complaints = [], []
    for number, raw in enumerate(text.splitlines()[:LONGEST], 1):
        words = raw.split()
        if not words or words[0].startswith("#") or "=" in words[0]:
            continue
        try:
            lines.append(_line(words))
        except ValueError as error:
            complaints.append(f"line {number}: {error}")
    return lines, complaints


def next_time(line: Line, start: float, seconds: int = 86400) -> float | None:
    """When the line first fires in the `seconds` after `start`, to the minute; None if it does not."""
    first = int(start // 60 + 1) * 60
    return next((t for t in range(first, int(start) + seconds + 1, 60) if line.fires(time.gmtime(t))), None)


def _line(words: list[str]) -> Line:
    if len(words) < 7:
        raise ValueError("five fields, an account and a command are needed")
    fields = tuple(_field(word, low, high) for word, (low, high) in zip(words, _BOUNDS))  # noqa: B905
    return Line(fields, words[5], tuple(words[6:]), (words[2] == "*", words[4] == "*"))


def _field(text: str, low: int, high: int) -> frozenset[int]:
    values: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        start, end = (low, high) if span == "*" else (int(first), int(last or (high if step else first)))
        stride = int(step or 1)
        if not (low <= start <= end <= high) or stride < 1:
            raise ValueError(f"{text!r} is not between {low} and {high}")
        values.update(range(start, end + 1, stride))
    return frozenset(values)
