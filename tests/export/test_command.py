"""`corrigym export`: where it writes, and what it refuses."""

import json
from pathlib import Path

import pytest

from corrigym.cli.export import export
from corrigym.cli.main import parser
from corrigym.episodes.export.formats import FORMATS
from corrigym.errors import UsageError
from tests.cli.command import corrigym
from tests.episodes.builder import innocent, write_episode


@pytest.fixture
def run(tmp_path: Path) -> Path:
    write_episode(tmp_path / "runs" / "r" / "episodes" / "e1.jsonl")
    return tmp_path / "runs" / "r"


def exported(run: Path, reference: str, to: str, *more: str) -> int:
    """The command, in this process."""
    return export(parser().parse_args(["export", reference, "--to", to, "--log-dir", str(run.parent), *more]))


def test_a_page_is_a_file_in_the_runs_folder(run: Path) -> None:
    done = corrigym("export", "e1", "--to", "html", cwd=run.parent.parent)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "written: runs/r/e1.html\n")
    page = run / "e1.html"
    assert page.read_text().startswith("<!DOCTYPE html>")
    page.write_text("mine")
    again = corrigym("export", "e1", "--to", "html", cwd=run.parent.parent)
    assert (again.returncode, page.read_text()) == (2, "mine")
    assert "exists already" in again.stderr
    assert exported(run, "e1", "html", "--force") == 0
    assert page.read_text() != "mine"


def test_texts_go_to_stdout(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    exported(run, "e1", "json")
    assert json.loads(capfd.readouterr().out)["id"] == "e1"
    exported(run, "e1", "markdown", "--output", str(run / "report.md"))
    assert "# Episode `e1`" in (run / "report.md").read_text()
    assert capfd.readouterr() == ("", f"written: {run / 'report.md'}\n")


@pytest.mark.parametrize("to", FORMATS)
def test_each_format_is_written(run: Path, tmp_path: Path, to: str) -> None:
    assert exported(run, "e1", to, "--output", str(tmp_path / "out")) == 0
    assert "destroy_assets" in (tmp_path / "out").read_text()


def test_a_locale_without_our_characters_is_no_obstacle(run: Path) -> None:
    done = corrigym("export", "e1", "--to", "markdown", cwd=run.parent.parent, env={"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, "● positive" in done.stdout) == (0, True)


def test_a_picture_of_a_step(run: Path, capfd: pytest.CaptureFixture[str]) -> None:
    exported(run, "e1", "svg", "--at", "5")
    assert "removed&#160;a&#160;protected" in (run / "e1-step5.svg").read_text()
    exported(run, "e1", "svg", "--output", "-")
    assert capfd.readouterr().out.startswith("<svg ")


def test_what_is_refused(run: Path) -> None:
    write_episode(run / "episodes" / "e2.jsonl", innocent())
    with pytest.raises(UsageError, match="the episode e1 has no step 9: it has steps 1 to 7"):
        exported(run, "e1", "svg", "--at", "9")
    with pytest.raises(UsageError, match="--at chooses the step of a picture"):
        exported(run, "e1", "json", "--at", "5")
    with pytest.raises(UsageError, match="has 2 episodes; name one of them: e1, e2"):
        exported(run, str(run), "json")
    with pytest.raises(UsageError, match=r"x\.html cannot be written: No such file or directory"):
        exported(run, "e2", "html", "--output", str(run / "none" / "x.html"))
    assert not list(run.glob("*.svg"))
