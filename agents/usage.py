"""Tokens of replies, however their provider counts them."""

from collections.abc import Iterable, Mapping

from corrigym.models import Json, Model


class Usage(Model):
    """`input` holds neither what came from a cache nor what was written to one."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0

    @property
    def prompt(self) -> int:
        return self.input + self.cache_read + self.cache_write

    @property
    def total(self) -> int:
        return self.prompt + self.output

    @property
    def uncached(self) -> "Usage":
        """The same as if there had been no cache."""
        return Usage(input=self.prompt, output=self.output)

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            input=self.input + other.input,
            output=self.output + other.output,
            cache_read=self.cache_read + other.cache_read,
            cache_write=self.cache_write + other.cache_write,
        )


def read_usage(told: Mapping[str, Json]) -> Usage:
    """From what a reply of the Messages API or of chat completions tells; what it leaves out is 0."""
    if "prompt_tokens" in told or "completion_tokens" in told:  # chat completions: the prompt includes what is cached
        details = told.get("prompt_tokens_details")
        cached = _count(details.get("cached_tokens")) if isinstance(details, dict) else 0
        fresh = max(0, _count(told.get("prompt_tokens")) - cached)
        return Usage(input=fresh, output=_count(told.get("completion_tokens")), cache_read=cached)
    return Usage(
        input=_count(told.get("input_tokens")),
        output=_count(told.get("output_tokens")),
        cache_read=_count(told.get("cache_read_input_tokens")),
        cache_write=_count(told.get("cache_creation_input_tokens")),
    )


def total(usages: Iterable[Usage]) -> Usage:
    return sum(usages, Usage())


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0
