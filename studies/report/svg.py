"""The little of SVG that the figures need. Every text is escaped; colours are classes of the page's style sheet."""

from collections.abc import Iterable

from markupsafe import Markup, escape

from corrigym.episodes.text import line as plain_line


def tag(name: str, *content: str, **attributes: object) -> Markup:
    """Attribute names: `class_` for class, `_` for `-`."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_number(value))}"' for key, value in attributes.items()
    )
    inner = Markup("").join(content)
    return Markup(f"<{name}{given}>{inner}</{name}>") if inner else Markup(f"<{name}{given}/>")


def _number(value: object) -> object:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value


def text(x: float, y: float, words: str, class_: str = "", anchor: str = "start") -> Markup:
    return tag("text", escape(plain_line(words)), x=x, y=y, class_=class_, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def rect(x: float, y: float, width: float, height: float, class_: str, **more: object) -> Markup:
    return tag("rect", x=x, y=y, width=max(0.0, width), height=height, class_=class_, **more)


def linked(target: str, told: str, *content: Markup) -> Markup:
    """Content that leads to a place of the page, with a tooltip."""
    return tag("a", tag("title", escape(plain_line(told))), *content, href=target)


def figure(width: float, height: float, told: str, content: Iterable[Markup]) -> Markup:
    """`told`: what the picture shows, for those who do not see it."""
    body = Markup("").join(content)
    return tag(
        "svg", tag("title", escape(plain_line(told))), body, xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width:g} {height:g}", width=width, height=height, role="img",
    )  # fmt: skip
