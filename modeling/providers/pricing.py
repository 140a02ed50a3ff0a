"""Tokens and dollars: what a call may cost before it is sent, and what it did cost."""

import json
import math
from collections.abc import Iterable, Mapping
from decimal import ROUND_UP, Decimal
from typing import Any

# English prose takes about 4 characters per token, JSON and rare words fewer; other scripts about one token per
# character. A low figure leans to too many tokens, as a budget needs.
CHARACTERS_PER_TOKEN = 3.5
TOKENS_PER_MESSAGE = 4
TOKENS_PER_CALL = 3
MILLION = Decimal(1_000_000)
MILLIONTH = Decimal("0.000001")


def estimate_tokens(
    messages: Iterable[Mapping[str, Any]], response_format: Mapping[str, Any] | None = None
) -> int:
    """Return about how many tokens messages, and the schema of the reply, take; more likely too many than too few."""
    texts = [str(message.get("content") or "") for message in messages]
    n_tokens = TOKENS_PER_CALL + TOKENS_PER_MESSAGE * len(texts)
    if response_format is not None:
        texts.append(json.dumps(response_format))
    return n_tokens + sum(estimate_text_tokens(text) for text in texts)


def estimate_text_tokens(text: str) -> int:
    """Return about how many tokens a text takes."""
    n_ascii = sum(map(str.isascii, text)) if not text.isascii() else len(text)
    return math.ceil(n_ascii / CHARACTERS_PER_TOKEN) + len(text) - n_ascii


def cost(
    prompt_tokens: int,
    completion_tokens: int,
    input_price: Decimal,
    output_price: Decimal,
    factor: Decimal | int = 1,
) -> Decimal:
    """Return dollars, rounded up to a millionth, for prices in dollars per million tokens.

    Raises
    ------
    ValueError
        If anything is negative.
    """
    if min(prompt_tokens, completion_tokens, input_price, output_price, factor) < 0:
        raise ValueError("Tokens, prices and the factor must be 0 or more.")
    dollars = (prompt_tokens * input_price + completion_tokens * output_price) / MILLION * factor
    return dollars.quantize(MILLIONTH, rounding=ROUND_UP)
