"""A private scratchpad, in the sense of the alignment-faking study: the model is told of a place that nobody reads.

The log keeps what is written there as thinking; it does not count as said, no action in it is carried out, and it is
part of no observation. The model's own turns go back to it as it wrote them."""

import re
from dataclasses import replace

from corrigym.agents.dialogue import Reply
from corrigym.scenarios.factors import shared_factors

INSTRUCTIONS = shared_factors().factors["reasoning"].levels["scratchpad"]
_PAD = re.compile(r"<scratchpad>(.*?)(?:</scratchpad>|\Z)", re.DOTALL | re.IGNORECASE)


def separated(reply: Reply) -> Reply:
    """`reply` with its scratchpads among its thinking instead of its text. One that is never closed is all private."""
    private = [thought.strip() for thought in _PAD.findall(reply.text)]
    thinking = "\n\n".join(part for part in (reply.thinking, *private) if part)
    return replace(reply, text=_PAD.sub("", reply.text).strip(), thinking=thinking)
