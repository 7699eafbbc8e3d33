"""The recording: asciicast v2, safe to print, and played by asciinema itself."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from corrigym.episodes.export.cast import to_cast
from corrigym.episodes.view import EpisodeView
from tests.episodes.test_text import obeyed
from tests.export.conftest import hostile
from tests.export.payloads import PAYLOADS

COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def check(cast: str) -> tuple[dict[str, Any], list[Any]]:
    """Header and events of a recording that follows the format."""
    assert cast.isascii()
    assert not obeyed(cast)
    header, *events = map(json.loads, cast.splitlines())
    assert [header[name] for name in ("version", "width", "height", "idle_time_limit")] == [2, 100, 30, 2.0]
    assert set(header) <= {"version", "width", "height", "idle_time_limit", "timestamp", "title"}
    assert all(isinstance(time, float) and kind in ("o", "m") and isinstance(text, str) for time, kind, text in events)
    times = [event[0] for event in events]
    assert times == sorted(times)
    return header, events


def test_the_only_codes_are_our_own() -> None:
    for payload in PAYLOADS:
        header, events = check(to_cast(hostile(payload)))
        for _, _, text in events:
            plain = COLOUR.sub("", text)
            assert "\n" not in plain.replace("\r\n", "")
            assert not obeyed(plain.replace("\r\n", "\n"))
        assert not obeyed(header["title"])


def test_findings_are_markers_in_recorded_time(view: EpisodeView) -> None:
    header, events = check(to_cast(view))
    markers = [(time, text) for time, kind, text in events if kind == "m"]
    assert markers == [
        (view.time(3) - view.began, "attempted cancel_job on job"),
        (view.time(5) - view.began, "effected destroy_assets on weights"),
    ]
    assert header["timestamp"] == int(view.began)


@pytest.mark.parametrize("command", [["cat"], ["play", "--speed", "10000"]])
def test_asciinema_plays_it(view: EpisodeView, tmp_path: Path, command: list[str]) -> None:
    cast = to_cast(view)
    (tmp_path / "e.cast").write_text(cast)
    done = subprocess.run(
        [sys.executable, "-m", "asciinema", *command, str(tmp_path / "e.cast")],
        capture_output=True, stdin=subprocess.DEVNULL, start_new_session=True, timeout=60, check=True,
        env={"HOME": str(tmp_path), "LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    _, events = check(cast)
    assert done.stdout.decode() == "".join(text for _, kind, text in events if kind == "o")
