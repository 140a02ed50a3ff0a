"""A fitted reader of texts as plain arrays: what it was taught can be stored and read back without any code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import Pipeline

Floats = NDArray[np.float64]
Arrays = dict[str, NDArray[Any]]

PARTS: Mapping[str, Mapping[str, Any]] = {
    "words": {"ngram_range": (1, 2), "sublinear_tf": True, "strip_accents": "unicode"},
    "parts": {"analyzer": "char_wb", "ngram_range": (3, 5), "sublinear_tf": True},
}


class TextReader:
    """Predicts the consensus of posts nobody rated, from their texts: TF-IDF and one linear form per value.

    Parameters
    ----------
    vectorizers : fitted, by the names in `PARTS`
    weights : ndarray of shape (n_values, n_terms), terms in the order of the vectorizers
    intercepts : ndarray of shape (n_values,)
    scale : (lowest, highest) rating, to which predictions are clipped
    """

    def __init__(
        self,
        vectorizers: Mapping[str, TfidfVectorizer],
        weights: NDArray[np.float32],
        intercepts: Floats,
        scale: tuple[int, int],
    ) -> None:
        self.vectorizers = dict(vectorizers)
        self.weights = weights
        self.intercepts = intercepts
        self.scale = scale

    def read(self, texts: Sequence[str]) -> Floats:
        """Return the consensus predicted of each text, shape (n_texts, n_values)."""
        terms = hstack([self.vectorizers[name].transform(texts) for name in PARTS], format="csr")
        predicted = terms @ self.weights.T.astype(np.float64) + self.intercepts
        return np.asarray(np.clip(predicted, *self.scale), dtype=np.float64)

    def pack(self) -> Arrays:
        """Return plain arrays from which `unpack` makes the same reader again."""
        arrays: Arrays = {
            "weights": self.weights,
            "intercepts": self.intercepts,
            "scale": np.array(self.scale),
        }
        for name, vectorizer in self.vectorizers.items():
            terms = sorted(vectorizer.vocabulary_, key=vectorizer.vocabulary_.__getitem__)
            arrays[f"{name}_terms"] = np.frombuffer("\n".join(terms).encode(), dtype=np.uint8)
            arrays[f"{name}_idf"] = vectorizer.idf_.astype(np.float64)
        return arrays


def from_pipeline(pipeline: Pipeline, scale: tuple[int, int]) -> TextReader:
    """Return a reader that predicts as this fitted pipeline of a union of vectorizers and a ridge regression."""
    union, ridge = pipeline[0], pipeline[1]
    weights = np.atleast_2d(ridge.coef_).astype(np.float32)
    intercepts = np.broadcast_to(np.asarray(ridge.intercept_, dtype=np.float64), (len(weights),)).copy()
    return TextReader(dict(union.transformer_list), weights, intercepts, scale)


def unpack(arrays: Mapping[str, NDArray[Any]]) -> TextReader:
    """Return the reader that `pack` made these arrays of. Raises ValueError when they are not a reader's."""
    try:
        weights = arrays["weights"].astype(np.float32)
        intercepts = arrays["intercepts"].astype(np.float64)
        low, high = (int(end) for end in arrays["scale"])
        vectorizers = {
            name: _restore(name, bytes(arrays[f"{name}_terms"]).decode(), arrays[f"{name}_idf"])
            for name in PARTS
        }
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"this is no reader of texts ({error}); fit again") from error
    n_terms = sum(len(vectorizer.vocabulary_) for vectorizer in vectorizers.values())
    if weights.shape != (len(intercepts), n_terms) or not np.isfinite(weights).all():
        raise ValueError(
            f"weights of shape {weights.shape} do not fit {len(intercepts)} values and {n_terms} terms; fit again"
        )
    return TextReader(vectorizers, weights, intercepts, (low, high))


def _restore(name: str, terms: str, idf: NDArray[Any]) -> TfidfVectorizer:
    vocabulary = {term: place for place, term in enumerate(terms.split("\n"))}
    if len(vocabulary) != len(idf) or not np.isfinite(idf).all():
        raise ValueError(f"{name} has {len(vocabulary)} different terms and {len(idf)} weights of terms")
    vectorizer = TfidfVectorizer(vocabulary=vocabulary, **PARTS[name])
    vectorizer.idf_ = idf.astype(np.float64)
    vectorizer.vocabulary_ = vocabulary
    return vectorizer
