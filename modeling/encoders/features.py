"""A text as weighted terms: words, pairs of words and parts of words, hashed, so that no list of words is kept."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import kernels

FEWEST_POSTS = 2  # that have a term, for it to count
TEXTS_AT_ONCE = 4096
_LINK = re.compile(r"https?://\S+|www\.\S+")
_NAME = re.compile(r"@\w+")
_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")


@dataclass(frozen=True, eq=False)
class Terms:
    """Posts by terms as a sparse matrix: those of post i are entries rows[i] to rows[i + 1]."""

    rows: NDArray[np.int64]
    columns: NDArray[np.int32]
    weights: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Which terms count, and how much: TF-IDF over hashed terms.

    Attributes
    ----------
    n_bits : words are hashed into 2**n_bits buckets, and parts of words into as many
    buckets : ndarray of int32, increasing, those of terms that count; words come before parts of words
    idf : ndarray of float32, one per bucket: log((1 + n) / (1 + posts with the term)) + 1
    """

    n_bits: int
    buckets: NDArray[np.int32]
    idf: NDArray[np.float32]

    def __post_init__(self) -> None:
        """Raises ValueError for buckets that are none."""
        n_all = 2 << self.n_bits
        is_good = self.buckets.ndim == 1 and self.buckets.shape == self.idf.shape
        if not is_good or (len(self.buckets) and not 0 <= self.buckets.min() <= self.buckets.max() < n_all):
            raise ValueError(f"{self.buckets.shape} buckets do not fit {self.idf.shape} weights of terms")

    def weigh(self, texts: Sequence[str]) -> Terms:
        """Return the terms of texts. Words are brought to length 1 in each text, and so are parts of words."""
        column_of = np.full(2 << self.n_bits, -1, dtype=np.int32)
        column_of[self.buckets] = np.arange(len(self.buckets), dtype=np.int32)
        n_word_columns = int(np.searchsorted(self.buckets, 1 << self.n_bits))
        parts = []
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            rows, buckets, counts = _count(texts[start : start + TEXTS_AT_ONCE], self.n_bits)
            parts.append(kernels.weigh_terms(rows, buckets, counts, column_of, self.idf, n_word_columns))
        return _join(parts)


def build_vocabulary(texts: Sequence[str], n_bits: int) -> Vocabulary:
    """Return the terms that two or more of these texts have."""
    n_with = np.zeros(2 << n_bits, dtype=np.int64)
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        _, buckets, _ = _count(texts[start : start + TEXTS_AT_ONCE], n_bits)
        n_with += np.bincount(buckets, minlength=len(n_with))
    kept = np.flatnonzero(n_with >= FEWEST_POSTS)
    idf = np.log((1 + len(texts)) / (1 + n_with[kept])) + 1
    return Vocabulary(n_bits, kept.astype(np.int32), idf.astype(np.float32))


def select(terms: Terms, posts: NDArray[np.intp]) -> Terms:
    """Return the terms of these posts, in their order."""
    lengths = np.diff(terms.rows)[posts]
    rows = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    entries = np.repeat(terms.rows[posts] - rows[:-1], lengths) + np.arange(rows[-1])
    return Terms(rows, terms.columns[entries], terms.weights[entries])


def split_words(text: str) -> str:
    """Return the words and signs of a text in one form, each between spaces.

    Links are all the same word, and so are names of accounts: who was spoken to says nothing of values.

    Examples
    --------
    >>> split_words("Ｆree the @owls! https://x.org")
    ' free the @ owls ! '
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    plain = _NAME.sub("@", _LINK.sub(" ", plain))
    return " " + "".join(f"{word} " for word in _WORD.findall(plain))


def _count(
    texts: Sequence[str], n_bits: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    split = [split_words(text).encode("utf-32-le", "surrogatepass") for text in texts]
    starts = np.concatenate([[0], np.cumsum([len(part) // 4 for part in split])]).astype(np.int64)
    points = np.frombuffer(b"".join(split), dtype=np.uint32)
    counted: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]
    counted = kernels.count_terms(points, starts, n_bits)
    return counted


def _join(parts: Sequence[tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]]) -> Terms:
    starts = np.concatenate([[0], np.cumsum([len(columns) for _, columns, _ in parts])]).astype(np.int64)
    rows = [np.zeros(1, dtype=np.int64)]
    rows += [part[0][1:] + start for part, start in zip(parts, starts[:-1], strict=True)]
    columns = [np.empty(0, np.int32), *(part[1] for part in parts)]
    weights = [np.empty(0, np.float32), *(part[2] for part in parts)]
    return Terms(np.concatenate(rows), np.concatenate(columns), np.concatenate(weights))
