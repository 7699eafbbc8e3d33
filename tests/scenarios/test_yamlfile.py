"""Scenario files are read strictly: every fault is one ScenarioError, at its line and column, with a remedy."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import Field

from corrigym.errors import ScenarioError
from corrigym.models import Model
from corrigym.scenarios import yamlfile
from corrigym.scenarios.yamlfile import parse

FILE = Path("scenario.yaml")


class Leaf(Model):
    colour: str
    size: int = Field(default=1, ge=0)


class Tree(Model):
    name: str
    leaves: list[Leaf] = []
    named: dict[str, Leaf] = {}
    best: Leaf | None = None


def test_plain_values_are_read_as_in_yaml_1_2() -> None:
    text = "a: no\nb: 12:30\nc: 0755\nd: [1, 2.5, true, null, ~]\ne: '1'\nf: 2020-01-01\ng: |\n  two\n  lines\nh:\n"
    assert parse(text, FILE).value == {
        "a": "no", "b": "12:30", "c": "0755", "d": [1, 2.5, True, None, None], "e": "1", "f": "2020-01-01",
        "g": "two\nlines\n", "h": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("a: 1\na: 2\n", "2:1", "duplicate key 'a', first on line 1"),
        ("a:\n  - x: 1\n    x: 2\n", "3:5", "duplicate key 'x', first on line 2"),
        ("a:\n\tb: 1\n", "2:1", "a tab: indent with spaces"),
        ("a: 'x\ty'\n", "1:6", "a tab"),
        ("a: \x07\n", "1:4", "control character"),
        ("a: &x 1\n", "1:4", "anchor &x"),
        ("a: &x [1]\nb: *x\n", "1:4", "anchor &x"),
        ("b: *x\n", "1:4", "alias *x"),
        ("a: !!python/object/apply:os.system [ls]\n", "1:4", "tags are not read"),
        ("a: !secret x\n", "1:4", "tags are not read"),
        ("!!map {a: 1}\n", "1:1", "tags are not read"),
        ("1: x\n", "1:1", "a key must be text"),
        ("? [a, b]\n: x\n", "1:3", "a key must be text"),
        ("a: [1, 2\nb: 3\n", "2:2", "not YAML"),
        ("a: 'open\n", "2:1", "not YAML"),
        ("a: b: c\n", "1:5", "not YAML"),
        ("a: 1\n---\nb: 2\n", "2:1", "a second document"),
        ("", "1:1", "the file is empty"),
        ("# nothing\n", "2:1", "the file is empty"),
        ("a: " + "[" * 40 + "]" * 40, None, "nested more than 24 deep"),
        ('a: "\\U99999999"\n', "1", "not YAML"),
        ("a: {b: {{ c }}}\n", "1:9", "a text with {{ }} or { } needs quotes"),
    ],
)
def test_a_malformed_file_is_one_error_at_its_place(text: str, place: str | None, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse(text, FILE)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert place is None or str(caught.value).startswith(f"scenario.yaml:{place}: ")


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("nmae: x\n", "1:1", "unknown key 'nmae'. Did you mean 'name'?"),
        ("name: x\nleaves:\n  - colour: red\n    sise: 3\n", "4:5", "unknown key 'sise'. Did you mean 'size'?"),
        ("name: x\nnamed:\n  a: {color: red}\n", "3:7", "unknown key 'color'. Did you mean 'colour'?"),
        ("name: x\nbest:\n  colour: red\n  zzz: 1\n", "4:3", "unknown key 'zzz'. Allowed: colour, size."),
        ("name: x\nleaves:\n  - {size: 2}\n", "3:5", "'colour' is missing"),
        ("leaves: []\n", "1:1", "'name' is missing"),
        ("name: x\nleaves:\n  - {colour: red, size: big}\n", "3:25", "leaves.0.size: should be a valid integer"),
        ("name: x\nleaves:\n  - {colour: red, size: -1}\n", "3:25", "greater than or equal to 0"),
        ("name: [x]\n", "1:7", "name: should be a valid string"),
        ("name: x\nleaves: {a: 1}\n", "2:9", "leaves: should be a valid list"),
        ("just text\n", "1:1", "the file: "),
    ],
)
def test_what_does_not_fit_the_model_is_told_at_its_place(text: str, place: str, message: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse(text, FILE).validated(Tree)
    assert str(caught.value).startswith(f"scenario.yaml:{place}: ")
    assert message in str(caught.value)


def test_files_that_are_too_large_or_no_text_are_not_parsed(tmp_path: Path) -> None:
    large, binary = tmp_path / "large.yaml", tmp_path / "binary.yaml"
    with large.open("wb") as file:
        file.truncate(50_000_000)
    binary.write_bytes(b"a: \xff\xfe")
    for path, message in ((large, "50,000,000 bytes"), (binary, "not UTF-8"), (tmp_path / "none.yaml", "No such file")):
        with pytest.raises(ScenarioError, match=message):
            yamlfile.read(path)


YAMLISH = st.text(alphabet="ab:-{}[]&*!|>'\"#%@,?\\U9 \n\t~01.", max_size=60) | st.text(max_size=40)


@given(YAMLISH)
@settings(max_examples=600, deadline=None)
@example("a: \ud800")
@example("%YAML 9.9\n--- a")
@example("%TAG ! !\n%TAG ! !\n---")
@example('"\\ud800"')
@example("\ufeffa: 1")
@example("?")
@example("---\n...\n---\n")
def test_no_text_raises_anything_else(text: str) -> None:
    with suppress(ScenarioError):
        parse(text, FILE).validated(Tree)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "leaves", "x"]), inner),
    max_leaves=12,
)


@given(JSON)
@settings(max_examples=200, deadline=None)
def test_no_value_raises_anything_else(value: object) -> None:
    with suppress(ScenarioError):
        parse(json.dumps(value), FILE).validated(Tree)
