"""Many threads may want syntax trees at once."""

import ast
import gc
import inspect
import time
from concurrent.futures import ThreadPoolExecutor

from corrigym.scenarios.syntax import parse


class Lingering:
    """Garbage that lets other threads go on while it is collected, in the middle of whatever allocated."""

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        time.sleep(0)


def test_threads_that_parse_at_once_all_get_their_tree() -> None:
    text = inspect.getsource(inspect)
    expected = ast.dump(ast.parse(text))

    def parse_among_garbage(deep: int) -> str:
        if deep:  # each at another depth of its own
            return parse_among_garbage(deep - 1)
        for _ in range(40):
            Lingering()
        return ast.dump(parse(text))

    before = gc.get_threshold()
    gc.set_threshold(100)
    try:
        with ThreadPoolExecutor(4) as pool:
            trees = list(pool.map(parse_among_garbage, range(8)))
    finally:
        gc.set_threshold(*before)
    assert set(trees) == {expected}
