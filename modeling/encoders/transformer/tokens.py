"""Text into numbers of word pieces, by the tokenizer that an encoder was made with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .packages import load_package

Ids = NDArray[np.int32]
FEWEST_TOKENS = 3  # a token between the two that mark beginning and end


class Tokenizer:
    """Cuts texts into the pieces that an encoder knows.

    Parameters
    ----------
    definition : the content of a tokenizer.json
    max_tokens : longer texts keep so many, with the marks of beginning and end

    Raises
    ------
    PackageMissing
        If the package tokenizers is not installed.
    ValueError
        If the definition cannot be read.
    """

    def __init__(self, definition: bytes, max_tokens: int) -> None:
        self.definition, self.max_tokens = definition, max_tokens
        tokenizers = _load_tokenizers()
        try:
            self._tokenizer = tokenizers.Tokenizer.from_buffer(definition)
        except Exception as error:  # the package raises bare Exception
            raise ValueError(f"the tokenizer's definition cannot be read: {error}") from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max(max_tokens, FEWEST_TOKENS))

    @property
    def n_tokens(self) -> int:
        """How many pieces it knows."""
        return int(self._tokenizer.get_vocab_size(with_added_tokens=True))

    def encode(self, texts: Sequence[str]) -> tuple[list[Ids], NDArray[np.bool_]]:
        """Return each text's pieces, and which texts were cut because they are longer than `max_tokens`."""
        # A lone surrogate, which JSON can hold, is no text to the tokenizer.
        readable = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        encodings = self._tokenizer.encode_batch(readable)
        ids = [np.array(encoding.ids, dtype=np.int32) for encoding in encodings]
        is_cut = np.array([bool(encoding.overflowing) for encoding in encodings], dtype=np.bool_)
        return ids, is_cut


def define_by_vocabulary(vocabulary: Sequence[str], *, lowercase: bool) -> bytes:
    """Return the tokenizer.json of BERT's word pieces for a vocab.txt, which holds a piece a line.

    Raises ValueError when a special token is not among them, PackageMissing without the package.
    """
    tokenizers = _load_tokenizers()
    numbers = {piece: number for number, piece in enumerate(vocabulary)}
    if missing := [token for token in ("[UNK]", "[CLS]", "[SEP]") if token not in numbers]:
        raise ValueError(f"vocab.txt lacks {', '.join(missing)}; give the tokenizer.json of this encoder")
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(numbers, unk_token="[UNK]"))  # noqa: S106
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = tokenizers.processors.BertProcessing(
        ("[SEP]", numbers["[SEP]"]), ("[CLS]", numbers["[CLS]"])
    )
    return str(tokenizer.to_str()).encode()


def _load_tokenizers() -> Any:
    return load_package("tokenizers", "Reading text with a transformer")
