"""How commands speak: results on stdout, everything else on stderr."""

import json
import sys
from typing import Any

from rich.console import Console


def say(message: str) -> None:
    """A line for people, out of the way of results."""
    print(message, file=sys.stderr)


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2))


def console() -> Console:
    """For results that people read; plain where stdout is no terminal."""
    return Console(highlight=False)


def messages() -> Console:
    return Console(stderr=True, highlight=False)
