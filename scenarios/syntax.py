"""Python's syntax trees, one at a time: CPython 3.11 counts the depth of nodes for all threads together. Two that meet
(a collection of garbage in the middle of one lets the other go on) end in a SystemError (python/cpython#106905)."""

import ast
import threading

_one_at_a_time = threading.Lock()


def parse(text: str) -> ast.Module:
    """As `ast.parse`. SyntaxError, ValueError, RecursionError or MemoryError for what it cannot take."""
    with _one_at_a_time:
        return ast.parse(text)
