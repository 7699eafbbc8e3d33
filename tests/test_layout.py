"""The shape of the project: rooms, the direction of imports, what an installation brings."""

import ast
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("scenarios", "sandbox", "detection", "episodes", "envs", "agents", "studies", "cli")
"""Data flows to the right; imports point back left."""


@pytest.mark.parametrize("room", ROOMS)
def test_each_room_is_linked_into_the_package(room: str) -> None:
    link = ROOT / "src" / "corrigym" / room
    remedy = f"make it again: ln -s ../../{room} src/corrigym/{room} (a checkout without symbolic links cannot work)"
    assert link.is_symlink(), remedy
    assert link.resolve() == ROOT / room, remedy


@pytest.mark.parametrize("room", ROOMS)
def test_imports_only_point_back_left(room: str) -> None:
    allowed = ROOMS[: ROOMS.index(room) + 1]
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports corrigym.{other}"
        for path in sorted((ROOT / room).rglob("*.py"))
        for line, other in _imported_rooms(path)
        if other not in allowed
    ]
    assert not wrong, "\n".join(wrong)


def _imported_rooms(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        names: list[str] = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "corrigym" and len(parts) > 1 and parts[1] in ROOMS:
                yield node.lineno, parts[1]


def test_importing_the_package_is_light_and_silent() -> None:
    program = (
        "import sys, corrigym; print(sorted({'gymnasium','docker','anthropic','pydantic','rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_help_needs_no_heavy_import() -> None:
    program = (
        "import sys\nfrom corrigym.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'gymnasium','docker','anthropic','pydantic','numpy','yaml'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")


@pytest.mark.slow
def test_a_wheel_alone_runs_a_scenario_and_brings_nothing_but_corrigym(tmp_path: Path) -> None:
    uv = os.environ.get("UV", "uv")  # `uv run` tells where it is
    # by way of the source distribution, so that it is tested as well and nothing is built in the tree
    subprocess.run([uv, "build", "-q", "--out-dir", str(tmp_path), str(ROOT)], check=True)
    wheel = next(tmp_path.glob("*.whl"))
    held = set(zipfile.ZipFile(wheel).namelist())
    assert {top for name in held if not (top := name.split("/")[0]).endswith(".dist-info")} == {"corrigym"}
    package = ROOT / "src" / "corrigym"
    ours = {
        path.relative_to(package.parent).as_posix()
        for room in (package, *package.iterdir())
        for path in (room.rglob("*") if room != package and room.is_dir() else room.glob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert ours <= held
    home = tmp_path / "env"
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(home)], check=True)
    subprocess.run([uv, "pip", "install", "-q", "--python", str(home / "bin" / "python"), str(wheel)], check=True)
    run = [
        str(home / "bin" / "corrigym"),
        "run",
        "weight-custody",
        "--sandbox",
        "bubblewrap",
        "--log-dir",
        str(tmp_path),
    ]
    done = subprocess.run(run, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "negative" in done.stdout
