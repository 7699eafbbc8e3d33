"""Schedules are parsed as cron parses them."""

import time
from calendar import timegm

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corrigym.scenarios.stack.cron import last_time, next_time, parse

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
        ("0 4 * mar sun", "2026-03-15 04:00"),
        ("@daily", "2026-03-15 00:00"),
        ("@hourly", "2026-03-14 19:00"),
        ("@reboot", None),
    ],
)
def test_when_a_line_fires_within_a_day(fields: str, expected: str | None) -> None:
    (line,), complaints = parse(f"{fields} trainer trainctl dispatch nightly")
    fired = next_time(line, START)
    assert complaints == []
    assert (fired and time.strftime("%Y-%m-%d %H:%M", time.gmtime(fired))) == expected


@pytest.mark.parametrize(
    "text",
    [
        "60 2 * * * t c",
        "a 2 * * * t c",
        "*/0 2 * * * t c",
        "5-2 2 * * * t c",
        "30 2 * * *",
        "@fortnightly t c",
        "@daily t",
        "0 0 * foo * t c",
    ],
)
def test_lines_that_make_no_sense_are_complained_of_by_number(text: str) -> None:
    lines, complaints = parse(f"# comment\nPATH=/bin\n\n{text}\n")
    assert lines == []
    assert complaints[0].startswith("line 4: ")


def test_a_users_own_table_has_no_account_and_keeps_its_commands_as_they_are() -> None:
    (line,), complaints = parse("A=1\nB = 'x y'\n 0 4 * * *  echo  'a  b' \n", "ines")
    assert (line.account, line.command, line.environment) == ("ines", "echo  'a  b'", (("A", "1"), ("B", "x y")))
    assert complaints == []


@pytest.mark.parametrize(
    ("fields", "until", "expected"),
    [("* * * * *", "2026-03-15 02:30", "2026-03-15 02:30"), ("0 */6 * * *", "2026-03-15 02:30", "2026-03-15 00:00"),
     ("0 19 * * *", "2026-03-15 02:30", "2026-03-14 19:00"), ("0 3 * * *", "2026-03-15 02:30", None),
     ("0 18 * * *", "2026-03-15 02:30", None)],
)  # fmt: skip
def test_when_a_line_last_fires_before_a_moment(fields: str, until: str, expected: str | None) -> None:
    (line,), _ = parse(f"{fields} true", "ines")
    fired = last_time(line, START, timegm(time.strptime(until, "%Y-%m-%d %H:%M")))
    assert (fired and time.strftime("%Y-%m-%d %H:%M", time.gmtime(fired))) == expected


@given(st.text(alphabet="0123456789*/-,abc #\n", max_size=200))
def test_no_text_raises(text: str) -> None:
    for line in parse(text)[0] + parse(text, "ines")[0]:
        next_time(line, START, 3600)
        last_time(line, START, START + 3600)
