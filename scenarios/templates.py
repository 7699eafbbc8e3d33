"""Jinja templates that authors write, in a subset that cannot run for long, grow without bound or reach outside.

Names, attributes, comparisons, `if`, `for` (two deep, over names or `range`) and a few filters: enough for wording.
Everything else is refused before it runs, with its line.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from itertools import islice
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, UndefinedError, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from corrigym.errors import ScenarioError, did_you_mean
from corrigym.scenarios.times import mark

LONGEST_OUTPUT = 1 << 20
LONGEST_RANGE = 1000

_ALLOWED = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Const, nodes.Name, nodes.Getattr, nodes.Getitem, nodes.If,
    nodes.For, nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Filter, nodes.Test,
    nodes.Concat, nodes.Add, nodes.Sub, nodes.Call, nodes.List, nodes.Tuple, nodes.Keyword,
)  # fmt: skip


class TemplateFault(ValueError):
    """What is wrong in a template, and in which of its lines; the caller knows the file."""

    def __init__(self, message: str, line: int = 1) -> None:
        super().__init__(message)
        self.message, self.line = message, line


class _Undefined(StrictUndefined):
    @property
    def _undefined_message(self) -> str:
        owner, name = self._undefined_obj, str(self._undefined_name)
        if isinstance(owner, Mapping):
            return f"there is no {name!r} here.{did_you_mean(name, (str(key) for key in owner))}"
        return super()._undefined_message


def render(text: str, context: Mapping[str, Any]) -> str:
    """The text with its names filled in. TemplateFault if it is no template or names what there is not."""
    if "{{" not in text and "{%" not in text and "{#" not in text:
        return text
    try:
        template, named = _compiled(text)
        _check_names(named, context)
        return "".join(_bounded(template.generate(dict(context))))
    except UndefinedError as error:
        raise TemplateFault(error.message or "unknown name", _line_of(error)) from None
    except TemplateFault:  # a ValueError as well
        raise
    except (TemplateError, ValueError, TypeError, ArithmeticError, LookupError) as error:
        raise TemplateFault(str(error), _line_of(error)) from None


def render_at(text: str, context: Mapping[str, Any], *, file: object, first_line: int = 1) -> str:
    """`render`, with faults as a ScenarioError at their place."""
    try:
        return render(text, context)
    except TemplateFault as fault:
        raise ScenarioError(fault.message, file=str(file), line=first_line + fault.line - 1) from None


def check_syntax(text: str) -> None:
    """TemplateFault if `text` could not be rendered whatever the names are."""
    _compiled(text)


@lru_cache(maxsize=4096)
def _compiled(text: str) -> tuple[Template, dict[str, int]]:
    """The program of a template, and the names that it wants, each with its first line."""
    tree = _parsed(text)
    wanted = meta.find_undeclared_variables(tree) - {"range"}
    lines: dict[str, int] = {}
    for node in tree.find_all(nodes.Name):
        if node.name in wanted:
            lines.setdefault(node.name, node.lineno)
    return _environment().from_string(tree), lines


def _parsed(text: str) -> nodes.Template:
    try:
        tree = _environment().parse(text)
    except TemplateSyntaxError as error:
        raise TemplateFault(f"template: {error.message}", error.lineno) from None
    except RecursionError:
        raise TemplateFault("template: nested too deeply") from None
    _check_nodes(tree)
    return tree


def _check_nodes(tree: nodes.Node, loops: int = 0) -> None:
    for node in tree.iter_child_nodes():
        if not isinstance(node, _ALLOWED):
            raise TemplateFault(f"template: {type(node).__name__.lower()} is not allowed here", node.lineno)
        if isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
            raise TemplateFault(f"template: attribute {node.attr!r} is out of reach", node.lineno)
        if isinstance(node, nodes.Call):
            _check_call(node)
        if isinstance(node, nodes.For):
            _check_loop(node, loops)
        _check_nodes(node, loops + isinstance(node, nodes.For))


def _check_call(node: nodes.Call) -> None:
    if not (isinstance(node.node, nodes.Name) and node.node.name == "range"):
        raise TemplateFault("template: nothing can be called but range()", node.lineno)


def _check_loop(node: nodes.For, loops: int) -> None:
    if loops >= 2:
        raise TemplateFault("template: at most two loops inside each other", node.lineno)
    if not isinstance(node.iter, nodes.Name | nodes.Getattr | nodes.Getitem | nodes.Call):
        raise TemplateFault("template: a loop goes over a name or a range()", node.lineno)


def _check_names(named: Mapping[str, int], context: Mapping[str, Any]) -> None:
    for name, line in named.items():
        if name not in context:
            raise TemplateFault(f"unknown name {name!r}.{did_you_mean(name, context)}", line)


def _bounded(chunks: Iterator[str]) -> Iterator[str]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > LONGEST_OUTPUT:
            raise ValueError(f"the rendered text is longer than {LONGEST_OUTPUT} characters")
        yield chunk


def _line_of(error: BaseException) -> int:
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _range(*bounds: int) -> range:
    numbers = range(*bounds)
    if len(numbers) > LONGEST_RANGE:
        raise ValueError(f"range() goes to at most {LONGEST_RANGE} numbers")
    return numbers


def _join(items: Iterable[object], separator: str = "") -> str:
    if isinstance(items, str) or len(separator) > 100:
        raise ValueError("join takes a list and a short separator")
    return separator.join(str(item) for item in islice(items, LONGEST_RANGE))


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        undefined=_Undefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, autoescape=False
    )
    kept = {name: environment.filters[name] for name in ("upper", "lower", "title", "capitalize", "length")}
    environment.filters = {**kept, "time": mark, "join": _join}
    environment.globals = {"range": _range}
    return environment
