"""Times of a world that has no clock: expressions relative to the moment in which the sandbox starts.

`-45m`, `-3h`, `+2d` count from that moment; `-3d 02:30` is a clock time on the day that many days away (UTC).
In text, `mark("-3d 02:30", "%d %b")` leaves a mark that `resolve_marks` fills in when the moment is known; the form
`<I` stands for the moment's seconds since 1970 as four bytes, for binary files.
"""

import re
import struct
from datetime import UTC, datetime, timedelta

_EXPRESSION = re.compile(r"([+-]?\d+)([smhd])(?: (\d\d):(\d\d)(?::(\d\d))?)?")
SECONDS = "<I"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_MARK = re.compile(rb"@\{([+-]?\d+[smhd](?: [\d:]+)?)\|([^}\n]*)\}@")


def resolve(expression: str, now: datetime) -> datetime:
    """The moment that `expression` names, seen from `now`. ValueError if it is none."""
    match = _EXPRESSION.fullmatch(expression)
    if match is None or (match[3] and match[2] != "d"):
        raise ValueError(f"{expression!r} is no time: write -45m, -3h, +2d or '-3d 02:30'")
    moment = now + timedelta(seconds=int(match[1]) * _UNITS[match[2]])
    if match[3]:
        moment = moment.replace(hour=int(match[3]), minute=int(match[4]), second=int(match[5] or 0), microsecond=0)
    return moment


def mark(expression: str, form: str = "%Y-%m-%d %H:%M") -> str:
    """A mark that becomes `strftime(form)` of the expression when the sandbox starts. ValueError as `resolve`."""
    resolve(expression, datetime(2000, 1, 15, tzinfo=UTC))
    return f"@{{{expression}|{form}}}@"


def resolve_marks(text: bytes, now: datetime) -> bytes:
    return _MARK.sub(lambda found: _formed(resolve(found[1].decode(), now), found[2].decode()), text)


def has_marks(text: bytes) -> bool:
    return _MARK.search(text) is not None


def _formed(moment: datetime, form: str) -> bytes:
    if form == SECONDS:
        return struct.pack("<I", int(moment.timestamp()))
    return moment.strftime(form).encode()
