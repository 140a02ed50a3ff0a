"""The founding paper's recipe: a random forest per value, from the consensus and the rater's answers to a rating.

500 trees, a third of the features tried at each split, R's node size of five (Epstein et al.; Breiman 2001,
Machine Learning 45, 5-32; Liaw and Wiener 2002, R News 2/3, 18-22). Where a study has no calibration
questionnaire, the rater's mean residuals stand in for the answers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from modeling.estimators.data import FOREST
from modeling.estimators.histogram.files import pack_forest, unpack_forest
from modeling.estimators.histogram.forest import HistogramForest
from modeling.estimators.histogram.scoring import score_all_pairs

from .base import Arrays, Floats, Rows, Singles
from .history import mean_residuals

Sees = Literal["both", "post", "person", "permuted"]

LEAST_STEPS = 48
_PACKED = re.compile(r"(\d+)/(\w+)")


class Forest:
    """One forest per value.

    Parameters
    ----------
    n_trees, max_features, min_rows_in_leaf : as in `HistogramForest`
    values : which values, by their places; None for all
    sees : "both", the recipe; and for controls only the "post", only the "person", or both with the persons
        "permuted" over the rows, so that nothing is known of anyone
    """

    name = FOREST

    def __init__(
        self,
        *,
        n_trees: int = 500,
        max_features: float = 1 / 3,
        min_rows_in_leaf: int = 5,
        values: Sequence[int] | None = None,
        sees: Sees = "both",
    ) -> None:
        self.n_trees = n_trees
        self.max_features = max_features
        self.min_rows_in_leaf = min_rows_in_leaf
        self.values = values
        self.sees: Sees = sees

    def fit(self, rows: Rows, *, history: bool, seed: int, n_threads: int = 1) -> FittedForests:
        """See `Member.fit`. A value without any rating among the rows is left out."""
        values = range(rows.n_values) if self.values is None else self.values
        known, vectors = _describe_rows(rows, history=history, seed=seed)
        if self.sees == "permuted":
            vectors = vectors[np.random.default_rng(seed).permutation(len(vectors))]
        features = _join(rows.consensus, vectors, rows.scale, self.sees)
        forests = {}
        for value in values:
            rated = ~np.isnan(rows.ratings[:, value])
            if not rated.any():
                continue
            forest = HistogramForest(
                n_trees=self.n_trees,
                max_features=self.max_features,
                min_rows_in_leaf=self.min_rows_in_leaf,
                seed=int(np.random.SeedSequence([seed, value]).generate_state(1)[0]),
                n_threads=n_threads,
                bins="quantiles",
            )
            forests[value] = forest.fit(features[rated], rows.ratings[rated, value])
        return FittedForests(forests, rows.n_values, rows.scale, known if history else None, self.sees)


class FittedForests:
    """The forests of some or all values; what they do not cover is predicted as NaN.

    Attributes
    ----------
    forests : a value's place to its forest
    known : see `Fitted`
    """

    def __init__(
        self,
        forests: Mapping[int, HistogramForest],
        n_values: int,
        scale: tuple[int, int],
        known: Floats | None,
        sees: Sees = "both",
    ) -> None:
        self.forests = dict(forests)
        self.n_values = n_values
        self.scale = scale
        self.known = known
        self.sees: Sees = sees

    def describe(self, answers: Floats) -> Floats:
        return np.asarray(answers, dtype=np.float64)

    def predict(self, consensus: Floats, vectors: Floats) -> Floats:
        features = _join(consensus, vectors, self.scale, self.sees)
        predicted = np.full((len(features), self.n_values), np.nan)
        for value, forest in self.forests.items():
            predicted[:, value] = forest.predict(features)
        return predicted

    def score_all(self, value: int, consensus: Floats, vectors: Floats, *, n_threads: int = 1) -> Singles:
        if value not in self.forests:
            return np.full((len(vectors), len(consensus)), np.nan, dtype=np.float32)
        return score_all_pairs(
            self.forests[value], round_consensus(consensus, self.scale), vectors, n_threads=n_threads
        )

    def importances(self) -> Floats:
        """Return each feature's share in what each value's forest learnt, shape (n_values, n_features).

        NaN for a value of which no tree could split, or which has no forest here.
        """
        n_features = len(next(iter(self.forests.values())).levels_)
        shares = np.full((self.n_values, n_features), np.nan)
        for value, forest in self.forests.items():
            shares[value] = forest.importances(normalized=True)
        return shares

    def pack(self) -> Arrays:
        arrays: Arrays = {"n_values": np.array(self.n_values), "scale": np.array(self.scale)}
        if self.known is not None:
            arrays["known"] = self.known
        for value, forest in self.forests.items():
            names = [f"feature {place}" for place in range(len(forest.levels_))]
            arrays |= {f"{value}/{name}": array for name, array in pack_forest(forest, names).items()}
        return arrays


def unpack(arrays: Mapping[str, NDArray[Any]]) -> FittedForests:
    """Return what `pack` was called on, from one file or from several joined. Raises ValueError when damaged."""
    of_value: dict[int, dict[str, NDArray[Any]]] = {}
    for name, array in arrays.items():
        if found := _PACKED.fullmatch(name):
            of_value.setdefault(int(found[1]), {})[found[2]] = array
    try:
        n_values = int(arrays["n_values"])
        low, high = (int(end) for end in arrays["scale"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"these are no forests of values ({error!r}); fit again") from error
    if not of_value or max(of_value) >= n_values:
        raise ValueError(f"there are forests of {sorted(of_value)} for {n_values} values; fit again")
    forests = {value: unpack_forest(parts).forest for value, parts in sorted(of_value.items())}
    known = arrays.get("known")
    return FittedForests(forests, n_values, (low, high), None if known is None else known.astype(np.float64))


def round_consensus(consensus: Floats, scale: tuple[int, int]) -> Floats:
    """Return the consensus in steps of which at least 48 span the scale: whole numbers stay exactly as they are.

    A forest tells so few levels apart quickly, and a finer consensus says no more about a rating.
    """
    steps = 1
    while (scale[1] - scale[0]) * steps < LEAST_STEPS:
        steps *= 2
    rounded: Floats = np.rint(np.asarray(consensus, dtype=np.float64) * steps) / steps
    return rounded


def _describe_rows(rows: Rows, *, history: bool, seed: int) -> tuple[Floats, Floats]:
    """What is known of each rater for other posts, and of each row's rater for that row."""
    if rows.answers.shape[1] or not history:
        return rows.answers, rows.answers[rows.raters]
    per_row, per_rater = mean_residuals(rows, seed=seed)
    return per_rater, per_row


def _join(consensus: Floats, vectors: Floats, scale: tuple[int, int], sees: Sees) -> Floats:
    if sees == "post":
        return round_consensus(consensus, scale)
    if sees == "person":  # of whom nothing may be known, and a forest needs a feature
        return vectors if vectors.shape[1] else np.zeros((len(vectors), 1))
    return np.hstack([round_consensus(consensus, scale), vectors])
