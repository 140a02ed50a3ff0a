"""From the probabilities of tokens to a distribution over the scale, for each rating of a reply."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from modeling.prompts.design import PromptDesign
from modeling.prompts.replies import ReplyFault, read_reply

# A text of JSON, or a number: in a good reply every number outside of a text is a rating.
_TEXT_OR_NUMBER = re.compile(rb'"(?:[^"\\]|\\.)*"|(-?\d+)')
_NUMBER_AT_START = re.compile(rb"(-?\d+)(?![\d.eE])(.?)", re.DOTALL)
_SPACES = b" \t\r\n"
_SLACK = 0.01  # by which rounded log-probabilities may add up to more than one


@dataclass(frozen=True)
class Distribution:
    """How sure a model was of one rating.

    Attributes
    ----------
    probabilities : tuple of float, one per point of the scale
        Sum to 1: conditional on the token being a number of the scale.
    share : float
        Probability of all listed tokens that are numbers of the scale, before dividing by it. What is missing to 1
        belongs to tokens that the provider did not list or that begin something else.
    """

    probabilities: tuple[float, ...]
    share: float


def read_distributions(
    design: PromptDesign, text: str, logprobs: Sequence[Mapping[str, Any]] | None
) -> list[list[float] | None]:
    """Return the probabilities alone of what `measure_distributions` returns."""
    return [
        None if found is None else list(found.probabilities)
        for found in measure_distributions(design, text, logprobs)
    ]


def measure_distributions(
    design: PromptDesign, text: str, logprobs: Sequence[Mapping[str, Any]] | None
) -> list[Distribution | None]:
    """Find for each rating of a good reply what the model might have said instead, at that token.

    However the text is cut into tokens: a number may share its token with spaces, quotation marks or commas.
    The probabilities of later ratings are conditional on the ratings that were said before them.

    Parameters
    ----------
    design : what was asked
    text : the reply, as `read_reply` accepts it
    logprobs : the provider's list, one entry per token of the reply: token, logprob, bytes (may be missing or
        null) and top_logprobs with entries of the same form

    Returns
    -------
    list, one per rating: of values in the order of the concepts, of a codebook the final one
        None where it cannot be told: the reply or the tokens are not what they should be, the number is spread
        over several tokens, a token could be the beginning of two numbers (1 and 10), or no number is listed.
    """
    nothing: list[Distribution | None] = [None] * design.n_ratings
    try:
        read_reply(design, text)
        tokens = [_read_token(entry) for entry in logprobs or ()]
    except (ReplyFault, ValueError):
        return nothing
    encoded = text.encode()
    joined = b"".join(spelling for spelling, _ in tokens)
    offset = joined.find(encoded)  # some providers list a mark of the end, too
    if offset < 0 or not tokens:
        return nothing
    ends = list(accumulate(len(spelling) for spelling, _ in tokens))
    found: dict[str, Distribution | None] = {}
    for key, start, end in _locate_ratings(design, text, encoded):
        position = next(index for index, stop in enumerate(ends) if stop > offset + start)
        begin = ends[position] - len(tokens[position][0])
        if offset + end <= ends[position]:
            prefix = joined[begin : offset + start]
            found[key] = _measure(design, prefix, tokens[position], (logprobs or ())[position])
    wanted = ("",) if design.is_codebook else design.keys
    return [found.get(key) for key in wanted]


def _read_token(entry: Mapping[str, Any]) -> tuple[bytes, float]:
    """Return a token's bytes and its probability. Raises ValueError for an entry that is none."""
    if not isinstance(entry, Mapping) or not isinstance(entry.get("token"), str):
        raise ValueError("an entry must have a token")
    logprob = entry.get("logprob")
    if isinstance(logprob, bool) or not isinstance(logprob, int | float) or not logprob <= _SLACK:
        raise ValueError("an entry must have the logarithm of a probability")
    spelled = entry.get("bytes")
    spelling = (
        bytes(spelled) if isinstance(spelled, list) else entry["token"].encode("utf-8", "surrogatepass")
    )
    return spelling, math.exp(logprob)


def _locate_ratings(design: PromptDesign, text: str, encoded: bytes) -> Iterator[tuple[str, int, int]]:
    """Yield key, start and end (in bytes) of each rating of a good reply; a codebook's final one has a blank key.

    The numbers stand in the order of the objects' keys, whichever the model chose.
    """
    reply = json.loads(text)
    if design.is_codebook:
        groups = [reply[place] if place == "concepts" else [""] for place in reply]
        keys = [key for group in groups for key in group]
    else:
        keys = list(reply["ratings"])
    spans = [match.span(1) for match in _TEXT_OR_NUMBER.finditer(encoded) if match[1] is not None]
    for key, (start, end) in zip(keys, spans, strict=True):
        yield key, start, end


def _measure(
    design: PromptDesign, prefix: bytes, token: tuple[bytes, float], entry: Mapping[str, Any]
) -> Distribution | None:
    listed = entry.get("top_logprobs")
    if not isinstance(listed, list) or not listed:
        return None  # what was said alone says nothing of how sure it was
    try:
        alternatives = dict(_read_token(alternative) for alternative in listed)
    except ValueError:
        return None
    alternatives.setdefault(*token)  # what was said need not be among the likeliest
    masses = dict.fromkeys(design.numbers, 0.0)
    for spelling, probability in alternatives.items():
        match = _NUMBER_AT_START.match(_cut_prefix(spelling, prefix))
        if match is None:
            continue
        if not match[2] and _may_go_on(design, match[1]):
            return None
        if match[1] in (str(number).encode() for number in design.numbers):
            masses[int(match[1])] += probability
    share = sum(masses.values())
    if not 0 < share <= 1 + _SLACK:
        return None
    return Distribution(tuple(mass / share for mass in masses.values()), min(share, 1.0))


def _cut_prefix(spelling: bytes, prefix: bytes) -> bytes:
    """What a token says from where the number stands; spaces before a number are as good as none."""
    if spelling.startswith(prefix):
        return spelling[len(prefix) :].lstrip(_SPACES)
    return b"" if prefix.strip(_SPACES) else spelling.lstrip(_SPACES)


def _may_go_on(design: PromptDesign, digits: bytes) -> bool:
    """Whether a longer number of the scale begins with these digits."""
    return any(
        str(number).encode().startswith(digits) and str(number).encode() != digits
        for number in design.numbers
    )
