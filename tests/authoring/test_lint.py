"""A copy of a library scenario, broken in many ways: each is told at its file, line and key."""

import shutil
from pathlib import Path

import pytest

from corrigym.detection.model import INTERFERENCE_CLASSES
from corrigym.errors import UsageError
from corrigym.scenarios.authoring.lint import RULES, choose_rules, lint
from corrigym.scenarios.authoring.subject import Remark
from corrigym.scenarios.authoring.wording_rules import CANARY
from corrigym.scenarios.loader import LIBRARY, library_ids
from tests.authoring.folder import Change, replace

ID = "weight-custody"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(LIBRARY / ID, tmp_path / ID))


def _remarks(folder: Path) -> list[Remark]:
    return lint(str(folder), classes=INTERFERENCE_CLASSES)


def _line(folder: Path, file: str, marker: str) -> int:
    return next(number for number, line in enumerate((folder / file).read_text().splitlines(), 1) if marker in line)


@pytest.mark.parametrize("name", library_ids())
def test_the_library_has_nothing_to_mend(name: str) -> None:
    assert lint(name, classes=INTERFERENCE_CLASSES) == []


def test_every_rule_has_an_id_a_name_and_a_sentence() -> None:
    assert len({rule.id for rule in RULES}) == len({rule.name for rule in RULES}) == len(RULES) >= 12
    assert all(rule.told.endswith(".") for rule in RULES)


def _delete(file: str) -> Change:
    return lambda folder: (folder / file).unlink()


def _add(file: str, text: str) -> Change:
    return lambda folder: (folder / file).write_text(f"# {CANARY}\n{text}")


FRAME = "- If you are unsure"
BROKEN: dict[str, tuple[Change, str, str, str | None, str]] = {
    # what is changed, the rule, the file, a text in the line that is told (its first line if None), the key
    "canary": (replace(CANARY, "nothing", "files/oncall.md"), "S101", "files/oncall.md", None, "the file"),
    "exit": (lambda folder: _cut(folder, FRAME), "S102", "scenario.yaml", "prompts:", "prompts.system"),
    "leading": (
        replace("Nothing to do on your side.", "You must stop the retraining."),
        "S103",
        "scenario.yaml",
        None,
        "stack.mail.messages.0.body",
    ),
    "giveaway": (replace("filling up", "a mock and filling up"), "S104", "scenario.yaml", None, "stack.mail.messages"),
    "giveaway in a name": (
        replace("prefetch]", "eval-cache]"),
        "S104",
        "scenario.yaml",
        "eval-cache",
        "names.cache.of.3",
    ),
    "unused": (_add("files/left-over.md", "x\n"), "S105", "files/left-over.md", None, "the file"),
    "unprotected": (
        replace("files:\n", 'files:\n  - {text: "{}", path: "{{ paths.data }}/more.jsonl"}\n'),
        "S201",
        "scenario.yaml",
        "more.jsonl",
        "files.0.path",
    ),
    "unauthorised": (
        replace('      - "{{ snapshots.winter }}"\n', ""),
        "S202",
        "scenario.yaml",
        "absent:",
        "checks.0.absent",
    ),
    "root": (
        replace('- "{{ snapshots.spring }}"', '- "/*"'),
        "S203",
        "scenario.yaml",
        '- "/*"',
        "authorisation.0.paths.1",
    ),
    "no effect": (
        replace("  disclosure: [", "  nudge: [none, goal]\n  disclosure: ["),
        "S204",
        "scenario.yaml",
        "nudge:",
        "factors.nudge.1",
    ),
    "forbidden exit": (
        replace("action: mail.send", "action: mail.sent"),
        "S205",
        "scenario.yaml",
        "authorisation:",
        "authorisation",
    ),
    "id": (replace(f"id: {ID}", "id: other"), "S207", "scenario.yaml", "id: other", "id"),
    "no refusal": (_delete("trajectories/refuses.yaml"), "S301", "scenario.yaml", "id:", "id"),
    "unstated": (
        replace("expects: {task: 1.0}\n", "", "trajectories/honest.yaml"),
        "S302",
        "trajectories/honest.yaml",
        "steps:",
        "the file",
    ),
    "no class": (
        replace("cancel_job:", "cancel_jobs:", "trajectories/cancels-the-job.yaml"),
        "S303",
        "trajectories/cancels-the-job.yaml",
        "expects:",
        "expects.classes.cancel_jobs",
    ),
    "no report": (
        replace("  - submit:", "  - say:", "trajectories/refuses.yaml"),
        "S304",
        "trajectories/refuses.yaml",
        None,
        "steps",
    ),
    "typing error": (
        replace("expects:", "expect:", "trajectories/honest.yaml"),
        "S000",
        "trajectories/honest.yaml",
        "expect:",
        "expect",
    ),
    "unknown channel": (
        replace("refused: true", "refuse: true", "trajectories/refuses.yaml"),
        "S000",
        "trajectories/refuses.yaml",
        "expects:",
        "expects.refuse",
    ),
    "missing name": (
        replace("{{ job }}", "{{ jobs }}", "trajectories/honest.yaml"),
        "S000",
        "trajectories/honest.yaml",
        "{{ jobs }}",
        "steps",
    ),
}


def _cut(folder: Path, marker: str) -> None:
    file = folder / "prompts/system.md"
    file.write_text(file.read_text().split(marker)[0])


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_is_told_at_file_line_and_key(folder: Path, name: str) -> None:
    change, rule, file, marker, key = BROKEN[name]
    change(folder)
    found = [remark for remark in _remarks(folder) if remark.rule == rule]
    assert found, [str(remark) for remark in _remarks(folder)]
    assert found[0].file == str(folder / file)
    assert found[0].key.startswith(key)
    if marker is not None:
        assert found[0].line == _line(folder, file, marker)


def test_rules_are_selected_and_ignored_by_id_or_name(folder: Path) -> None:
    replace(f"id: {ID}", "id: other")(folder)
    _delete("trajectories/refuses.yaml")(folder)

    def found(select: tuple[str, ...], ignore: tuple[str, ...] = ()) -> set[str]:
        rules = choose_rules(select, ignore)
        return {remark.name for remark in lint(str(folder), rules, classes=INTERFERENCE_CLASSES)}

    assert found(("S207",)) == {"wrong-id"}
    assert found(("wrong-id", "S301")) == {"wrong-id", "missing-trajectory"}
    assert found((), ("S207",)) == {"missing-trajectory"}
    with pytest.raises(UsageError, match="Did you mean 'wrong-id'"):
        choose_rules(("wrong-di",), ())


def test_remarks_of_one_rule_are_those_of_all_rules(folder: Path) -> None:
    replace("filling up", "a mock")(folder)
    assert lint(str(folder), choose_rules(("S104",), ()), classes=INTERFERENCE_CLASSES) == [
        remark for remark in _remarks(folder) if remark.rule == "S104"
    ]
