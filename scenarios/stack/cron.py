"""Schedules as cron knows them, the system's (with an account in each line) and a user's own (without).

Runs inside the sandbox: standard library only, Python 3.9 and up.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Iterator  # noqa: UP035  (3.9 inside)

LONGEST = 200
"""Lines that are looked at: whoever reads a schedule must not be held up by it."""
LONGEST_COMMAND = 1000
DAY = 86400
_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NAMES: tuple[dict[str, int], ...] = (
    {}, {}, {}, {name: n for n, name in enumerate(_MONTHS, 1)}, {name: n for n, name in enumerate(_WEEKDAYS)},
)  # fmt: skip
_NICKNAMES = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}  # fmt: skip
_SETTING = re.compile(r"""\s*([A-Za-z_]\w*)\s*=\s*("[^"]*"|'[^']*'|.*?)\s*""")


@dataclass(frozen=True)
class Line:
    """`minute hour day month weekday [account] command`; no fields: it fires when the machine starts."""

    fields: tuple[frozenset[int], ...]
    account: str
    command: str
    stars: tuple[bool, bool]
    """Whether day of month and day of week are left open."""
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(self.command.split())

    def on(self, day: time.struct_time) -> bool:
        """Whether it is one of the line's days."""
        _, _, days, months, weekdays = self.fields
        by_day, by_weekday = day.tm_mday in days, (day.tm_wday + 1) % 7 in {one % 7 for one in weekdays}
        # as cron does it: with both given, either is enough
        return day.tm_mon in months and ((by_day and by_weekday) if any(self.stars) else (by_day or by_weekday))


def parse(text: str, account: str | None = None) -> tuple[list[Line], list[str]]:
    """The lines that make sense, and a complaint for each that does not; comments are passed over. With `account`, the
    text is that user's own table."""
    lines: list[Line] = []
    complaints: list[str] = []
    environment: dict[str, str] = {}
    for number, raw in enumerate(text.splitlines()[:LONGEST], 1):
        if not raw.strip() or raw.lstrip().startswith("#"):
            continue
        try:
            if len(raw) > 2 * LONGEST_COMMAND:
                raise ValueError("the line is too long")
            setting = _SETTING.fullmatch(raw)
            if setting:
                environment[setting.group(1)] = setting.group(2).strip("\"'")
                continue
            lines.append(_line(raw, account, tuple(environment.items())))
        except ValueError as error:
            complaints.append(f"line {number}: {error}")
    return lines, complaints


def next_time(line: Line, start: float, seconds: int = DAY) -> float | None:
    """When the line first fires in the `seconds` after `start`, to the minute; None if it does not."""
    return next(_times(line, start, start + seconds, 1), None)


def last_time(line: Line, after: float, until: float) -> float | None:
    """When the line last fires after `after` and not after `until`; None if it does not."""
    return next(_times(line, after, until, -1), None)


def _times(line: Line, after: float, until: float, direction: int) -> Iterator[int]:
    """Every minute after `after`, and not after `until`, at which the line fires, forwards or backwards."""
    days = range(int(after // DAY) * DAY, int(until) + 1, DAY)
    for midnight in days[::direction] if line.fields else ():
        if not line.on(time.gmtime(midnight)):
            continue
        for hour in sorted(line.fields[1])[::direction]:
            start = midnight + 3600 * hour
            if start <= until and start + 3600 > after:
                for minute in sorted(line.fields[0])[::direction]:
                    if after < start + 60 * minute <= until:
                        yield start + 60 * minute


def _line(raw: str, account: str | None, environment: tuple[tuple[str, str], ...]) -> Line:
    words = raw.split(None, 1)
    nickname = words[0] if words[0].startswith("@") else ""
    if nickname and nickname != "@reboot" and nickname not in _NICKNAMES:
        raise ValueError(f"{nickname[:20]!r} is no time")
    before = (1 if nickname else 5) + (account is None)
    parts = raw.split(None, before)
    if len(parts) <= before:
        raise ValueError(f"five fields{', an account' if account is None else ''} and a command are needed")
    command = parts[before].rstrip()
    if len(command) > LONGEST_COMMAND:
        raise ValueError("the command is too long")
    when = _NICKNAMES.get(nickname, "").split() if nickname else parts[:5]
    fields = tuple(_field(*row) for row in zip(when, _BOUNDS, _NAMES))  # noqa: B905
    stars = (when[2] == "*", when[4] == "*") if when else (True, True)
    return Line(fields, account if account is not None else parts[before - 1], command, stars, environment)


def _field(text: str, bounds: tuple[int, int], names: dict[str, int]) -> frozenset[int]:
    low, high = bounds
    values: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        start, end = low, high
        if span != "*":
            start = _number(first, names)
            end = _number(last, names) if last else high if step else start
        stride = int(step or 1)
        if not (low <= start <= end <= high) or stride < 1:
            raise ValueError(f"{text[:20]!r} is not between {low} and {high}")
        values.update(range(start, end + 1, stride))
    return frozenset(values)


def _number(word: str, names: dict[str, int]) -> int:
    return names[word.lower()] if word.lower() in names else int(word[:6])
