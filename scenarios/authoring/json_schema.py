"""The JSON Schema of scenario.yaml, in the draft that editors complete from (draft-07), with the fields' docstrings."""

import ast
import inspect
import sys
from functools import cache
from itertools import pairwise
from typing import Any

from pydantic import BaseModel

from corrigym.scenarios.factors import shared_factors
from corrigym.scenarios.schema import Scenario

DRAFT = "http://json-schema.org/draft-07/schema#"


def scenario_schema() -> dict[str, Any]:
    """As yaml-language-server takes it: `definitions` instead of `$defs`, and every factor with its levels."""
    schema = _older(Scenario.model_json_schema())
    for model in _models(Scenario, {}).values():
        _describe(schema, model)
    definitions, properties = schema["definitions"], schema["properties"]
    definitions["when"] = {"type": "object", "additionalProperties": False, "properties": _levels()}
    for own in (schema, *definitions.values()):
        if "when" in own.get("properties", {}):
            told = own["properties"]["when"].get("description", "Factor -> levels in which it is there.")
            own["properties"]["when"] = {"$ref": "#/definitions/when", "description": told}
    properties["stack_when"] = {**_told(properties["stack_when"]), "type": "object", "additionalProperties": False}
    properties["stack_when"]["properties"] = {
        name: {"$ref": "#/definitions/when"} for name in definitions["Stack"]["properties"]
    }
    properties["factors"] = {
        **_told(properties["factors"]), "type": "object", "additionalProperties": False, "properties": _levels()
    }  # fmt: skip
    return {"$schema": DRAFT, **schema}


def _told(schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": schema["description"]}


def _levels() -> dict[str, Any]:
    return {
        name: {
            "type": "array", "minItems": 1, "uniqueItems": True, "description": factor.about,
            "items": {"type": "string", "enum": list(factor.levels)},
        }
        for name, factor in shared_factors().factors.items()
    }  # fmt: skip


def _older(value: Any) -> Any:
    """Without titles, in the words of draft-07; what may be left out is said by leaving it out, not by null."""
    if isinstance(value, list):
        return [_older(inner) for inner in value]
    if isinstance(value, str):
        return value.replace("#/$defs/", "#/definitions/")
    if not isinstance(value, dict):
        return value
    options = [option for option in value.get("anyOf", []) if option != {"type": "null"}]
    if len(options) == 1:
        value = {**{key: inner for key, inner in value.items() if key not in ("anyOf", "default")}, **options[0]}
    return {
        "definitions" if key == "$defs" else key: _older(inner)
        for key, inner in value.items()
        if key != "title" or isinstance(inner, dict)
    }


def _models(model: type[BaseModel], found: dict[str, type[BaseModel]]) -> dict[str, type[BaseModel]]:
    """The model and all that its fields hold, by name."""
    if model.__name__ not in found:
        found[model.__name__] = model
        for info in model.model_fields.values():
            for inner in _types(info.annotation):
                if isinstance(inner, type) and issubclass(inner, BaseModel):
                    _models(inner, found)
    return found


def _types(annotation: Any) -> list[Any]:
    arguments = getattr(annotation, "__args__", ())
    return [annotation, *(inner for argument in arguments for inner in _types(argument))]


def _describe(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Puts the docstrings of the model's fields where editors show them."""
    own = schema if model is Scenario else schema["definitions"].get(model.__name__, {})
    for name, told in field_docs(model).items():
        if name in own.get("properties", {}):
            own["properties"][name]["description"] = told


@cache
def field_docs(model: type[BaseModel]) -> dict[str, str]:
    """Field -> the docstring below it, of the model and those that it builds on, as one line."""
    docs: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel) and base.__module__.startswith("corrigym."):
            docs |= _docs_in(base)
    return docs


def _docs_in(model: type[BaseModel]) -> dict[str, str]:
    tree = ast.parse(inspect.getsource(sys.modules[model.__module__]))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == model.__name__)
    return {
        field.target.id: " ".join(inspect.cleandoc(text.value.value).split())
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }  # fmt: skip
