"""Embeddings that are hashed words: texts that share words lie near each other, and no more than that."""

import base64
import math
import struct
import zlib
from typing import Any

from .completions import BadRequest, count_tokens
from .lexicon import split_words

DEFAULT_DIMENSIONS = 256


def embed(body: Any) -> dict[str, Any]:
    """Return the body of an answer to an embeddings request; BadRequest for what a provider refuses."""
    if not isinstance(body, dict) or not isinstance(body.get("model"), str):
        raise BadRequest("you must provide a model parameter")
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
        raise BadRequest("input must be a text or a list of texts, none of them empty.")
    dimensions = body.get("dimensions", DEFAULT_DIMENSIONS)
    if type(dimensions) is not int or not 1 <= dimensions <= 3072:
        raise BadRequest("dimensions must be a whole number from 1 to 3072.")
    as_base64 = body.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": place, "embedding": _encode(_embed(text, dimensions), as_base64)}
        for place, text in enumerate(texts)
    ]
    n_tokens = sum(count_tokens(text) for text in texts)
    usage = {"prompt_tokens": n_tokens, "total_tokens": n_tokens}
    return {"object": "list", "data": data, "model": body["model"], "usage": usage}


def _embed(text: str, dimensions: int) -> list[float]:
    vector = [0.0] * dimensions
    for word in split_words(text) or [text]:
        number = zlib.crc32(word[:6].encode())
        vector[number % dimensions] += 1.0 if number >> 16 & 1 else -1.0
    length = math.sqrt(sum(share * share for share in vector))
    return [share / length for share in vector] if length else [1.0] + [0.0] * (dimensions - 1)


def _encode(vector: list[float], as_base64: bool) -> list[float] | str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode() if as_base64 else vector
