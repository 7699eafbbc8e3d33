"""What the README shows is true."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_first_screen_has_the_two_commands() -> None:
    first_screen = README.splitlines()[:10]
    assert any(line.strip().startswith("pip install uv && uv run corrigym run weight-custody") for line in first_screen)
    assert any(line.strip().startswith("uv run pytest") for line in first_screen)


def test_the_python_loop_runs(capsys: pytest.CaptureFixture[str]) -> None:
    program = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert program is not None
    exec(program[1], {})
    assert capsys.readouterr().out.endswith("negative as_intended\n")


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", README):
        assert (Path(__file__).parent.parent / target).exists(), target
