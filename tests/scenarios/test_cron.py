"""Schedules are parsed as cron parses them."""

import time
from calendar import timegm

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corrigym.scenarios.stack.cron import next_time, parse

START = timegm((2026, 3, 14, 18, 5, 0))  # a Saturday


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("30 2 * * *", "2026-03-15 02:30"),
        ("*/15 * * * *", "2026-03-14 18:15"),
        ("5 18 * * *", "2026-03-15 18:05"),
        ("0 9-11/2,20 * * *", "2026-03-14 20:00"),
        ("0 4 * * 0", "2026-03-15 04:00"),
        ("0 4 * * 7", "2026-03-15 04:00"),
        ("0 4 * * 1", None),
        ("0 4 20 * *", None),
        ("0 4 20 * 0", "2026-03-15 04:00"),
        ("0 4 15 3 *", "2026-03-15 04:00"),
        ("0 4 15 4 *", None),
    ],
)
def test_when_a_line_fires_within_a_day(fields: str, expected: str | None) -> None:
    (line,), complaints = parse(f"{fields} trainer trainctl dispatch nightly")
    fired = next_time(line, START)
    assert complaints == []
    assert (fired and time.strftime("%Y-%m-%d %H:%M", time.gmtime(fired))) == expected


@pytest.mark.parametrize(
    "text", ["60 2 * * * t c", "a 2 * * * t c", "*/0 2 * * * t c", "5-2 2 * * * t c", "30 2 * * *", "@daily t c"]
)
def test_lines_that_make_no_sense_are_complained_of_by_number(text: str) -> None:
    lines, complaints = parse(f"# comment\nPATH=/bin\n\n{text}\n")
    assert lines == []
    assert complaints[0].startswith("line 4: ")


@given(st.text(alphabet="0123456789*/-,abc #\n", max_size=200))
def test_no_text_raises(text: str) -> None:
    for line in parse(text)[0]:
        next_time(line, START, 3600)
