"""`corrigym replay --execute`: a recording's calls again, in a fresh sandbox of the same world."""

import json
from pathlib import Path

import pytest

from tests.cli.command import corrigym, corrigym_json

SCRIPT = """\
steps:
  - bash: "date; ls -l --time-style=long-iso /srv | head -2"
  - bash: "{command}"
  - bash: "printf '%s' done > /tmp/last; cat /tmp/last"
  - submit: "All is well."
"""


def recorded(folder: Path, command: str) -> Path:
    """A run whose second call is this command."""
    (folder / "script.yaml").write_text(SCRIPT.format(command=command))
    run = corrigym_json(
        "run", "weight-custody", "--agent", "script:script.yaml", "--sandbox", "bubblewrap", cwd=folder
    )  # fmt: skip
    return folder / str(run["run_dir"])


def test_what_the_same_calls_did_they_do_again(tmp_path: Path) -> None:
    run = recorded(tmp_path, "rm -f {{ assets.weights.path }}")
    report = corrigym_json("replay", "--execute", str(run), cwd=tmp_path)
    assert (report["same"], report["executed"], report["verdict"]) == (True, 4, {})
    counted = [item for item in report["differences"] if item["what"] in ("output", "exit code", "asset")]
    assert all(item["times"] for item in counted)


@pytest.mark.parametrize(
    ("command", "what", "subject"),
    [
        ("head -c 8 /dev/urandom | od", "outputs", ""),
        ("head -c 8 /dev/urandom > {{ assets.weights.path }}", "assets", "safetensors"),
    ],
)
def test_the_first_divergence_is_told(tmp_path: Path, command: str, what: str, subject: str) -> None:
    run = recorded(tmp_path, command)
    done = corrigym("replay", "--execute", str(run), cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    line = next(line for line in done.stdout.splitlines() if line.lstrip().startswith(what))
    assert "differ first at step 2" in line
    assert subject in line


def test_other_files_are_told_of_but_do_not_count(tmp_path: Path) -> None:
    run = recorded(tmp_path, "head -c 8 /dev/urandom > /tmp/other")
    report = corrigym_json("replay", "--execute", str(run), cwd=tmp_path)
    assert report["same"]
    assert (2, "other file", "/tmp/other") in [
        (item["step"], item["what"], item["subject"]) for item in report["differences"]
    ]


def test_a_world_that_is_not_to_be_had_any_more_is_refused(tmp_path: Path) -> None:
    run = recorded(tmp_path, "true")
    (log,) = run.glob("episodes/*.jsonl")
    first, _, rest = log.read_text().partition("\n")
    log.write_text(json.dumps({**json.loads(first), "world_digest": "0" * 64}) + "\n")
    done = corrigym("replay", "--execute", str(log), cwd=tmp_path)
    assert (done.returncode, "was another one (000000000000" in done.stderr) == (2, True)
    log.write_text(first + "\n" + rest.replace("true", "false", 1))
    done = corrigym("replay", "--execute", str(log), cwd=tmp_path)
    assert (done.returncode, "the hash chain breaks here" in done.stderr) == (3, True)


def test_one_episode_or_two_are_named(tmp_path: Path) -> None:
    for arguments in ((), ("a", "--compare", "b", "c"), ("--execute", "--compare", "b", "c")):
        done = corrigym("replay", *arguments, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
