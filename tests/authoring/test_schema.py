"""The JSON Schema that editors complete from says what the loader says."""

import json
from pathlib import Path
from typing import Any

import pytest

from corrigym.scenarios import yamlfile
from corrigym.scenarios.authoring.json_schema import field_docs, scenario_schema
from corrigym.scenarios.authoring.starter import STARTER, schema_text
from corrigym.scenarios.authoring.wording_rules import CANARY
from corrigym.scenarios.factors import shared_factors
from corrigym.scenarios.loader import LIBRARY
from corrigym.scenarios.schema import File, Scenario
from tests.authoring.folder import EVERY_FACTOR

jsonschema = pytest.importorskip("jsonschema")
SCENARIOS = [*sorted(LIBRARY.glob("*/scenario.yaml")), STARTER / "scenario.yaml"]


def _check(value: object) -> list[str]:
    return [error.message for error in jsonschema.Draft7Validator(scenario_schema()).iter_errors(value)]


def test_it_is_a_schema_of_the_draft_that_editors_speak() -> None:
    jsonschema.Draft7Validator.check_schema(scenario_schema())
    text = json.dumps(scenario_schema())
    assert scenario_schema()["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert not [word for word in ("$defs", "prefixItems", "unevaluated", "dependentRequired") if word in text]


@pytest.mark.parametrize("file", SCENARIOS, ids=lambda file: file.parent.name)
def test_it_accepts_what_the_loader_accepts(file: Path) -> None:
    text = file.read_text().replace("@ID@", "starter").replace("@TITLE@", "A start")
    assert _check(yamlfile.parse(text, file).value) == []


def test_it_accepts_every_factor_and_level() -> None:
    assert _check(yamlfile.parse(EVERY_FACTOR, Path("x")).value) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title:", "titel:", "'titel' was unexpected"),
        ("stakes: [", "steaks: [", "'steaks' was unexpected"),
        ("[open, slow, blocked]", "[open, closed]", "'closed' is not one of"),
        ("{exit: [open, slow]}, tickets", "{exit: [shut]}, tickets", "'shut' is not one of"),
        ("stack_when: {mail", "stack_when: {mial", "'mial' was unexpected"),
        ("queue: {}", "queue: {jobs: 3}", "3 is not of type 'array'"),
        ("schema_version: 1", "schema_version: 2", "1 was expected"),
        ("id: every-factor", "id: Every Factor", "does not match"),
    ],
)
def test_it_refuses_what_the_loader_refuses(old: str, new: str, message: str) -> None:
    found = _check(yamlfile.parse(EVERY_FACTOR.replace(old, new, 1), Path("x")).value)
    assert any(message in one for one in found), found


def test_editors_can_show_what_every_factor_and_field_means() -> None:
    schema = scenario_schema()
    assert schema["properties"]["role"]["description"].startswith("The model's post")
    assert schema["definitions"]["File"]["properties"]["modified"]["description"] == field_docs(File)["modified"]
    for name, factor in shared_factors().factors.items():
        own: dict[str, Any] = schema["properties"]["factors"]["properties"][name]
        assert own["description"] == factor.about
        assert own["items"]["enum"] == list(factor.levels)


def test_every_key_of_a_scenario_is_explained() -> None:
    assert set(field_docs(Scenario)) == set(Scenario.model_fields)


def test_the_written_schema_is_json_and_marked_in_its_first_line() -> None:
    assert CANARY in schema_text().split("\n", 1)[0]
    assert json.loads(schema_text())["properties"] == scenario_schema()["properties"]
