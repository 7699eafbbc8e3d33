"""The player in a real terminal, and what it prints where there is none."""

import contextlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from corrigym.episodes.log import EpisodeLog
from corrigym.episodes.player import Options, replay
from corrigym.errors import LogError, UsageError
from tests.episodes.builder import innocent, story, write_episode
from tests.episodes.test_render import everywhere
from tests.episodes.test_text import obeyed
from tests.episodes.tmux import PROGRAM, Terminal, terminal

FIRST_LINE = re.compile(r"│ line 1\s")
SIZES = [(80, 24), (120, 40), (200, 60)]


@pytest.fixture
def run(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "run" / "episodes"
    first = write_episode(folder / "e1.jsonl", pace=0.3)
    return [first, write_episode(folder / "e2.jsonl", innocent()), write_episode(folder / "e3.jsonl", story()[:-1])]


@pytest.fixture(params=SIZES, ids=["80x24", "120x40", "200x60"])
def tty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Terminal]:
    if shutil.which("tmux") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("tmux is missing: apt-get install tmux")
        pytest.skip("tmux is not installed")
    with terminal(tmp_path, *request.param) as it:
        yield it


@pytest.mark.slow
def test_keys_move(tty: Terminal, run: list[Path]) -> None:
    tty.play(run[0])
    tty.shows("Briefing", "You are the operations assistant", "? help")
    tty.press("Right")
    tty.shows("Step 1 of 7", "cat ~/RUNBOOK.md")
    tty.press("]")
    tty.shows("Step 3 of 7", "◐ attempted  cancel_job on job")
    tty.press("]")
    tty.shows("Step 5 of 7", "● effected  destroy_assets on weights", "1 more folded")
    tty.press("[")
    tty.shows("Step 3 of 7", "thinking, 2 lines folded")
    tty.press("a")
    tty.shows("· job      trainctl.cancel, step 3", "finding 1 of 1", "result denied")
    tty.press("a")
    tty.press("t")
    tty.shows("I do not want that.")
    tty.type(":4")
    tty.press("Enter")
    tty.until(lambda screen: bool(FIRST_LINE.search(screen)), "not at the top of step 4")
    tty.press("PageDown")
    tty.until(lambda screen: not FIRST_LINE.search(screen) and "│ line 2" in screen, "not scrolled")
    tty.press("G")
    tty.shows("Ending  submitted", "● positive", "≠ status ")
    assert (tty.flag("cursor_flag"), tty.flag("alternate_on")) == ("0", "1")
    tty.press("q")
    tty.left(0)


@pytest.mark.slow
def test_search_help_and_switching(tty: Terminal, run: list[Path]) -> None:
    tty.play(*run)
    tty.shows("3 of 3 episodes", "enter open")
    tty.press("Enter")
    tty.shows("1 of 3", "Briefing")
    tty.type("/line 5")
    tty.shows("/line 5▏")
    tty.press("Enter")
    tty.shows("1 of 11", "Step 4 of 7", "│ line 5")
    tty.press("n", "n")
    tty.shows("3 of 11", "│ line 51")
    tty.type("/change what I value")
    tty.press("Enter")
    tty.shows("1 of 1", "Step 3 of 7", "It would change what I value.")
    tty.press("?")
    tty.shows("next, previous finding", "any key goes back")
    tty.press("x", "L")
    tty.shows("2 of 3", "script/honest", "○ negative")
    tty.press("L", "G")
    tty.shows("3 of 3", "! interrupted, no verdict", "Interrupted: the log stops here")
    tty.press("L")
    tty.shows("there is no further episode")
    tty.press("Escape")
    tty.shows("3 of 3 episodes")
    tty.press("q")
    tty.left(0)


@pytest.mark.slow
def test_the_list(tty: Terminal, run: list[Path]) -> None:
    tty.play(*run)
    tty.shows("3 of 3 episodes", "● positive", "○ negative", "! no verdict")
    tty.type("/honest")
    tty.shows("/honest▏", "1 of 3 episodes")
    tty.press("Enter", "Enter")
    tty.shows("script/honest", "Briefing")
    tty.press("Escape")
    tty.shows("only honest")
    tty.press("Escape", "v")
    tty.shows("1 of 3 episodes", "only verdict:positive")
    tty.press("v", "v", "v", "v", "s", "c", "G", "c")
    tty.shows("Briefing", "│", "they part at step 1")
    tty.press("q")
    tty.left(0)


@pytest.mark.slow
def test_a_pair(tty: Terminal, run: list[Path]) -> None:
    tty.play(*run[:2], options="{'pair': True}")
    tty.shows("they part at step 1", "● positive", "○ negative")
    tty.press("=")
    tty.shows("Step 1 of 7", "Step 1 of 1", "RUNBOOK.md", "trainctl list")
    tty.press("G")
    tty.until(lambda screen: screen.count("Ending") == 2, "not at both ends")
    tty.press("q")
    tty.left(0)


@pytest.mark.slow
def test_an_episode_is_followed_while_it_runs(tty: Terminal, tmp_path: Path) -> None:
    path = tmp_path / "run" / "episodes" / "now.jsonl"
    events = story()
    with EpisodeLog(path, path.parent.parent / "blobs") as log:
        for step, payload in events[:4]:
            log.write(payload, step)
        tty.play(path, options="{'follow': True}")
        tty.shows("● live", "Step 1 of 1", "running, no verdict")
        for step, payload in events[4:10]:
            log.write(payload, step)
        tty.shows("Step 3 of 3", "permission denied")
        tty.press("h")
        tty.shows("○ live", "Step 2 of 3")
        for step, payload in events[10:-1]:
            log.write(payload, step)
        tty.shows("Step 2 of 7")
        tty.press("G")
        tty.shows("Step 7 of 7", "● live")
        log.write(events[-1][1], 7)
    tty.shows("Ending  submitted", "● positive")
    tty.until(lambda screen: "live" not in screen, "still live")
    tty.press("q")
    tty.left(0)


@pytest.mark.slow
def test_exporting(tty: Terminal, run: list[Path]) -> None:
    tty.play(run[0], options="{'at': 5}")
    tty.shows("Step 5 of 7")
    tty.press("x")
    tty.shows("export as  h html")
    tty.press("s")
    tty.shows("written: ")
    tty.press("x", "s")
    tty.shows("exists already")
    tty.press("x", "M")
    tty.shows("written: ")
    tty.press("q")
    tty.left(0)
    assert {path.name for path in run[0].parent.parent.glob("e1*")} == {"e1-step5.svg", "e1.md"}


@pytest.mark.slow
def test_a_log_that_goes_away_is_told(tty: Terminal, run: list[Path]) -> None:
    tty.play(*run)
    tty.press("Enter")
    tty.shows("1 of 3")
    run[1].unlink()
    tty.press("L")
    tty.shows("No such file", "1 of 3")
    tty.press("q")
    tty.left(0)


@pytest.mark.slow
def test_playing(tty: Terminal, run: list[Path]) -> None:
    tty.play(run[0], options="{'at': 1, 'pause_on_findings': True}")
    tty.shows("Step 1 of 7")
    tty.press("Space")
    tty.shows("Step 3 of 7", "◐ attempted")
    tty.until(lambda screen: "▶" not in screen, "still playing")
    tty.press("+", "Space")
    tty.shows("Step 5 of 7")
    tty.press("q")
    tty.left(0)


@pytest.mark.slow
def test_a_resize_redraws(tty: Terminal, run: list[Path]) -> None:
    tty.play(run[0], options="{'at': 5}")
    tty.shows("Step 5 of 7")
    for width, height in ((60, 12), (200, 50), (30, 5), (100, 30)):
        tty.size(width, height)
        tty.until(lambda screen, w=width: _rule(screen) == min(w, 200) or w < 40, "not redrawn")  # type: ignore[misc]
    screen = tty.shows("Step 5 of 7", "? help")
    assert len(screen.splitlines()) == 30
    tty.press("q")
    tty.left(0)


def _rule(screen: str) -> int:
    return max((len(line) for line in screen.splitlines() if set(line) == {"─"}), default=0)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_restores_the_terminal(tty: Terminal, run: list[Path], number: signal.Signals) -> None:
    tty.play(run[0])
    tty.shows("Briefing", "? help")
    os.kill(tty.pid, number)
    tty.left(128 + number)


@pytest.mark.slow
def test_ctrl_c_restores_the_terminal(tty: Terminal, run: list[Path]) -> None:
    tty.play(run[0])
    tty.shows("Briefing", "? help")
    tty.press("/", "C-c")
    tty.left(130)


@pytest.mark.slow
def test_a_crash_restores_the_terminal(tty: Terminal, run: list[Path]) -> None:
    """Paths that cannot even be opened, by an error that nobody expects."""
    tty.play(*run, path="Trap")
    tty.shows("left-1", "ZeroDivisionError: the trap")
    tty.left(1)


@pytest.mark.slow
@pytest.mark.parametrize("prefix", ["", "NO_COLOR=1"], ids=["colour", "no colour"])
def test_every_view_is_drawn_whole_after_a_resize(tty: Terminal, run: list[Path], prefix: str) -> None:
    tty.play(run[0], options="{'at': 5}", prefix=prefix)
    for keys, text in (
        ("t", "Step 5"),
        ("a", "assets"),
        ("a", "Step 5"),
        ("?", "any key"),
        ("l", "Step 5"),
        ("G", "Ending"),
    ):
        tty.press(keys)
        for width, height in ((64, 18), (132, 42)):
            tty.size(width, height)
            tty.until(lambda screen, w=width, s=text: _rule(screen) == w and s in screen, "not redrawn")  # type: ignore[misc]
    coloured = tty.tmux("capture-pane", "-pe", "-t", "player")
    assert ("\x1b[31m" in coloured) == (not prefix)
    tty.press("q")
    tty.left(0)


@pytest.mark.slow
def test_stopping_and_going_on(tty: Terminal, run: list[Path]) -> None:
    tty.play(run[0], options="{'at': 3}")
    tty.shows("Step 3 of 7", "? help")
    tty.press("C-z")
    tty.shows("Stopped")
    assert (tty.flag("cursor_flag"), tty.flag("alternate_on")) == ("1", "0")
    tty.type("stty -a | grep -o ' echo '; fg")
    tty.press("Enter")
    tty.shows("Step 3 of 7", "? help")
    tty.press("l")
    tty.shows("Step 4 of 7")
    tty.press("q")
    tty.until(lambda _: tty.flag("alternate_on") == "0" and tty.flag("cursor_flag") == "1", "not left")


@pytest.mark.slow
def test_hostile_text_leaves_the_screen_alone(tty: Terminal, tmp_path: Path) -> None:
    bad = "\x1b[2J\x1b[H\x1b]0;owned\x07\x1b[?1049l\x9b2J\u202e[red]\r"
    tty.play(write_episode(tmp_path / "bad" / "episodes" / "e1.jsonl", everywhere(bad)))
    tty.shows("Briefing", "␛[2J␛[H␛]0;owned␇", "? help")
    tty.press("l")
    tty.shows("Step 1 of 2", "⟨U+202E⟩[red]␍")
    assert tty.flag("alternate_on") == "1"
    assert "owned" not in tty.flag("pane_title")
    tty.press("q")
    tty.left(0)


@pytest.mark.slow
@pytest.mark.parametrize("prefix", ["TERM=dumb", "TERM="])
def test_a_dumb_terminal_gets_the_plain_text(tty: Terminal, run: list[Path], prefix: str) -> None:
    tty.play(run[1], prefix=prefix)
    tty.shows("channels      none used")
    tty.left(0)


@pytest.mark.slow
def test_no_colour_and_columns(tty: Terminal, run: list[Path]) -> None:
    tty.play(run[0], options="{'at': 5}", prefix="NO_COLOR=1 COLUMNS=60")
    tty.shows("Step 5 of 7", "? help")
    coloured = tty.tmux("capture-pane", "-pe", "-t", "player")
    assert "\x1b[31m" not in coloured
    assert _rule(tty.screen()) == 60
    tty.press("q")
    tty.left(0)


def printed(*paths: Path, plain: bool = False, at: int | None = None) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert replay(paths, Options(plain=plain, at=at)) == 0
    return out.getvalue()


def test_without_a_terminal_it_is_a_plain_text(run: list[Path]) -> None:
    text = printed(*run)
    assert not obeyed(text)
    assert [text.count(title) for title in ("Briefing", "Step 5 of 7", "Ending")] == [3, 2, 3]
    assert "I do not want that." in text


def test_one_step_as_plain_text(run: list[Path]) -> None:
    text = printed(run[0], plain=True, at=5)
    assert "Step 5 of 7" in text
    assert "Step 4 of 7" not in text


def test_a_damaged_log_is_shown_up_to_its_damage(run: list[Path]) -> None:
    lines = run[0].read_bytes().splitlines(keepends=True)
    run[0].write_bytes(b"".join([*lines[:5], b"garbage\n", *lines[5:]]))
    text = printed(run[0])
    assert text.count("The log is damaged") == 2  # above everything, and at the end
    assert "e1.jsonl:6:" in " ".join(text.split())
    assert "Step 2 of 2" in text


def test_a_pipe_in_ascii(run: list[Path]) -> None:
    surroundings = {"PATH": os.environ["PATH"], "PYTHONIOENCODING": "ascii", "COLUMNS": "70"}
    command = [sys.executable, "-c", PROGRAM, "{}", "Path", str(run[0])]
    done = subprocess.run(command, capture_output=True, check=True, env=surroundings)
    assert (done.stderr, b"\x1b" in done.stdout, b"Step 5 of 7" in done.stdout) == (b"", False, True)


@pytest.mark.parametrize("options", [{"speed": 0}, {"speed": -1}, {"speed": float("nan")}, {"idle_limit": -1}])
def test_impossible_speeds_are_refused(run: list[Path], options: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="speed"):
        replay(run, Options(**options))  # type: ignore[arg-type]


def test_nothing_to_replay() -> None:
    with pytest.raises(UsageError, match="no episode"):
        replay([])


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="No such file"):
        replay([tmp_path / "none.jsonl"])
