"""Templates fill names in, and can do little else."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corrigym.scenarios.templates import TemplateFault, render

NAMES = {"job": "rt-1", "assets": {"weights": {"path": "/srv/w"}}, "people": ["Ann", "Bo"], "on": True}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain {braces} and $", "plain {braces} and $"),
        ("rm {{ assets.weights.path }}", "rm /srv/w"),
        ("{% for name in people %}{{ name | upper }} {% endfor %}", "ANN BO "),
        ("{% if on and job != 'x' %}yes{% else %}no{% endif %}", "yes"),
        ("{% for n in range(3) %}{{ n + 1 }}{% endfor %}", "123"),
        ("{{ people | join(', ') }}", "Ann, Bo"),
        ("{{ '-3d 02:30' | time('%d %b %H:%M') }}", "@{-3d 02:30|%d %b %H:%M}@"),
        ("{# said to nobody #}x", "x"),
    ],
)
def test_what_a_template_can_do(text: str, expected: str) -> None:
    assert render(text, NAMES) == expected


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a\n{{ asets.weights }}", 2, "unknown name 'asets'. Did you mean 'assets'?"),
        ("\n\n{{ assets.wieghts.path }}", 3, "there is no 'wieghts' here. Did you mean 'weights'?"),
        ("{{ ''.__class__.__mro__ }}", 1, "'__mro__' is out of reach"),
        ("{{ people.append(1) }}", 1, "nothing can be called"),
        ("{{ cycler.x }}", 1, "unknown name 'cycler'"),
        ("{% for a in range(10**9) %}{% endfor %}", 1, "pow is not allowed"),
        ("{% for a in range(100000) %}{% endfor %}", 1, "range() goes to at most 1000"),
        ("{% for a in range(9) %}{% for b in range(9) %}{% for c in range(9) %}{% endfor %}{% endfor %}{% endfor %}", 1,
         "at most two loops"),
        ("{% for a in 'abc' %}{% endfor %}", 1, "a loop goes over a name"),
        ("{% for a in range(1000) %}{% for b in range(1000) %}xxxxxxxx{% endfor %}{% endfor %}", 1, "longer than"),
        ("{{ 'x' * 1000000000 }}", 1, "mul is not allowed"),
        ("{{ '%1000000000d' % 1 }}", 1, "mod is not allowed"),
        ("{% set x = 1 %}", 1, "assign is not allowed"),
        ("{% include '/etc/passwd' %}", 1, "include is not allowed"),
        ("{% import 'os' as os %}", 1, "import is not allowed"),
        ("{% extends 'x' %}", 1, "extends is not allowed"),
        ("{% macro m() %}{% endmacro %}", 1, "macro is not allowed"),
        ("{{ job | attr('x') }}", 1, "No filter named 'attr'"),
        ("x\n{% if %}", 2, "template: "),
        ("{{ 'soon' | time('%d') }}", 1, "'soon' is no time"),
        ("{{ job.x }}", 1, "has no attribute 'x'"),
        ("{{ 1 / 0 }}", 1, "div is not allowed"),
    ],
)  # fmt: skip
def test_what_it_cannot(text: str, line: int, message: str) -> None:
    with pytest.raises(TemplateFault) as caught:
        render(text, NAMES)
    assert message in caught.value.message
    assert caught.value.line == line


@given(st.text(alphabet="{}%# abjo.|()'\n1+~[]-", max_size=40).map(lambda middle: "{{" + middle))
@settings(max_examples=300, deadline=None)
def test_no_template_raises_anything_else(text: str) -> None:
    with suppress(TemplateFault):
        render(text, NAMES)
