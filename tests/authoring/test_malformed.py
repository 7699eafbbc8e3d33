"""Files that are wrong: each is one error, at its place, and no host is started for any of them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from corrigym.cli.main import main
from tests.authoring.folder import EVERY_FACTOR, replace, written

Change = Callable[[Path], object]
TASK = 'task: "{{ factors.tag }} Look at the queue."'


def _task(text: str) -> Change:
    return replace(TASK, f'task: "{text}"')


def _file(line: str) -> Change:
    return replace(EVERY_FACTOR.splitlines()[-1], f"files: [{line}]")


def _whole(content: bytes) -> Change:
    return lambda folder: (folder / "scenario.yaml").write_bytes(content)


def _huge(folder: Path) -> None:
    with (folder / "scenario.yaml").open("wb") as file:
        file.truncate(50_000_000)


def _huge_source(folder: Path) -> None:
    _file("{source: big.md, path: /srv/big}")(folder)
    with (folder / "big.md").open("wb") as file:
        file.truncate(50_000_000)


def _linked(folder: Path) -> None:
    _file("{source: x.md, path: /srv/x}")(folder)
    (folder / "x.md").symlink_to("/etc/passwd")


GROWS = "{% for i in range(999) %}{% for j in range(999) %}{{ lab }}{% endfor %}{% endfor %}"
LOOPS = "{% for i in a %}{% for j in a %}{% for k in a %}{% endfor %}{% endfor %}{% endfor %}"
BOMB = b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"
MALFORMED: dict[str, tuple[Change, str, str]] = {
    "wrong type": (replace("schema_version: 1", "schema_version: one"), ":2:17", "should be 1"),
    "unknown key": (replace("summary:", "sumary:"), ":5:1", "Did you mean 'summary'?"),
    "missing key": (replace("title: A scenario that varies every factor\n", ""), ":2:1", "'title' is missing"),
    "duplicate key": (replace("summary:", "title:"), ":5:1", "duplicate key 'title', first on line 4"),
    "tab": (replace("  oversight:", "\toversight:"), ":7:1", "a tab: indent with spaces"),
    "unknown factor": (replace("oversight:", "overview:"), ":7:3", "unknown factor 'overview'"),
    "unknown level": (replace("reviewed_later", "reviewed"), ":7:", "Did you mean 'reviewed_later'?"),
    "levels that make no sense": (replace("told_by: [prompt, ", "told_by: ["), ":7:3", "condition is excluded"),
    "path with dots": (_file("{source: ../x.md, path: /srv/x}"), ":26:18", "leads out of the scenario's folder"),
    "absolute path": (_file("{source: /etc/passwd, path: /srv/x}"), ":26:18", "leads out of the scenario's folder"),
    "link out of the folder": (_linked, ":26:18", "is a link out of the scenario's folder"),
    "path where a host has none": (_file("{text: x, path: /proc/x}"), ":26:", "a host's files lie below"),
    "path that climbs": (_file("{text: x, path: /srv/../etc/shadow}"), ":26:", "a host's files lie below"),
    "50 MB": (_huge, "", "50,000,000 bytes; at most 1,000,000"),
    "50 MB source": (_huge_source, "big.md", "more than 1,000,000 bytes"),
    "YAML bomb": (_whole(BOMB), ":1:4", "anchors and aliases are not read"),
    "YAML tag": (replace("id: every", "id: !!python/name:os.system every"), ":3:5", "tags are not read"),
    "second document": (replace("stack_when:", "---\nstack_when:"), ":25:1", "a second document"),
    "not text": (_whole(b"id: \xff\xfe"), "", "not UTF-8"),
    "empty": (_whole(b""), ":1:1", "the file is empty"),
    "nested too deeply": (_whole(b"a: " + b"[" * 40 + b"]" * 40), ":1:", "nested more than 24 deep"),
    "template that loops": (_task("{% for i in range(100000000) %}x{% endfor %}"), ":23:", "at most 1000 numbers"),
    "template that grows": (_task(GROWS), ":23:", "is longer than"),
    "loops in loops": (_task(LOOPS), ":23:", "at most two loops"),
    "template that reaches": (_task("{{ lab.__class__.__mro__ }}"), ":23:", "is out of reach"),
    "template that calls": (_task("{{ lab.upper() }}"), ":23:", "nothing can be called but range()"),
    "template that includes": (_task("{% include '/etc/passwd' %}"), ":23:", "include is not allowed"),
    "name that there is not": (_task("{{ jobb }}"), ":23:", "Did you mean 'job'?"),
    "prompt that is no file": (_task("prompts/task.md"), ":23:", "there is no file 'prompts/task.md'"),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_scenario_is_one_error_and_starts_nothing(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, place, message = MALFORMED[name]
    folder, logs = written(tmp_path / "every-factor"), tmp_path / "runs"
    change(folder)
    status = main(["run", str(folder), "--agent", "noop", "--sandbox", "bubblewrap", "--log-dir", str(logs)])
    told = capsys.readouterr()
    assert status == 3
    assert not logs.exists(), "no run was begun"
    assert len(told.err.splitlines()) == 1
    assert told.err.startswith(f"corrigym: {folder}/")
    assert place in told.err
    assert message in told.err
