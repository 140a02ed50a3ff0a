"""One random forest per value: consensus and calibration in, this rater's rating out.

The founding paper's recipe: 500 trees, a third of the features tried at each split, at least five rows
in a leaf (Epstein et al.; Breiman 2001, Machine Learning 45, 5-32).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from joblib import Parallel, delayed, parallel_config
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor

Floats = NDArray[np.float64]

ROWS_AT_ONCE = 1024


class ForestPerValue:
    """Fits and predicts the ratings of each value by its own forest.

    Parameters
    ----------
    n_trees, max_features, min_rows_in_leaf : the forest's settings
    seed : int
        Repeats the fit exactly, whatever the number of threads.
    n_jobs : int
        Threads.

    Attributes
    ----------
    n_rows_ : list of int, rows each value was fitted to
    importances_ : ndarray of shape (n_values, n_features)
        Each feature's share in the decrease of squared error that all splits brought, averaged over trees; a
        value's shares sum to one. Features with many distinct values get more than their due. NaN for a value
        of which no tree could split.
    """

    def __init__(
        self,
        *,
        n_trees: int = 500,
        max_features: float = 1 / 3,
        min_rows_in_leaf: int = 5,
        seed: int = 0,
        n_jobs: int = -1,
    ) -> None:
        self.n_trees = n_trees
        self.max_features = max_features
        self.min_rows_in_leaf = min_rows_in_leaf
        self.seed = seed
        self.n_jobs = n_jobs

    def fit_predict(
        self,
        features: Floats,
        ratings: Floats,
        wanted: list[Floats],
        *,
        report: Callable[[int, int], None] = lambda done, total: None,
    ) -> list[Floats]:
        """Fit each value's forest and predict, one forest in memory at a time.

        Parameters
        ----------
        features : ndarray of shape (n_rows, n_features)
            Missing features are NaN; the trees send them to the better side.
        ratings : ndarray of shape (n_rows, n_values)
            A row whose rating of a value is NaN is left out of that value's forest.
        wanted : list of ndarrays of shape (n, n_features)
            What to predict.
        report : called with (values done, values in all)

        Returns
        -------
        list of ndarrays of shape (n, n_values)
            On the ratings' scale, not rounded.

        Raises
        ------
        ValueError
            If a value has no rating at all to fit to.
        """
        n_values = ratings.shape[1]
        predictions = [np.empty((len(block), n_values)) for block in wanted]
        self.n_rows_: list[int] = []
        self.importances_ = np.full((n_values, features.shape[1]), np.nan)
        for value in range(n_values):
            rated = ~np.isnan(ratings[:, value])
            if not rated.any():
                raise ValueError(
                    f"value {value} has no rating among the posts to fit to; hold fewer posts out"
                )
            forest = RandomForestRegressor(
                n_estimators=self.n_trees,
                max_features=self.max_features,
                min_samples_leaf=self.min_rows_in_leaf,
                random_state=np.random.RandomState(
                    np.random.MT19937(np.random.SeedSequence([self.seed, value]))
                ),
                n_jobs=self.n_jobs,
            )
            with parallel_config(backend="threading"):  # a worker's process may not have processes of its own
                forest.fit(features[rated].astype(np.float32), ratings[rated, value])
                if any(tree.tree_.node_count > 1 for tree in forest.estimators_):
                    self.importances_[value] = forest.feature_importances_
                for block, out in zip(wanted, predictions, strict=True):
                    out[:, value] = self._predict(forest, block)
            self.n_rows_.append(int(rated.sum()))
            report(value + 1, n_values)
        return predictions

    def _predict(self, forest: RandomForestRegressor, block: Floats) -> Floats:
        # Threads share out rows, not trees: a sum over trees in the order in which threads end
        # differs in its last digit from run to run.
        forest.n_jobs = 1
        starts = range(0, len(block), ROWS_AT_ONCE)
        parts = Parallel(n_jobs=self.n_jobs)(
            delayed(forest.predict)(block[start : start + ROWS_AT_ONCE].astype(np.float32))
            for start in starts
        )
        return np.concatenate([np.empty(0), *parts])
