"""What a fit is told: its settings, and a study's ratings as arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

METHODS = ("blend", "forest", "boosting", "mixed", "level", "consensus")
BLEND, FOREST, BOOSTING, MIXED, LEVEL, CONSENSUS = METHODS


@dataclass(frozen=True)
class FitSettings:
    """Everything a fit can be told; stored with it. The forest's numbers are the founding paper's.

    Attributes
    ----------
    seed : repeats the fit exactly, whatever the number of threads and workers
    method : "blend", one of its members ("forest" is the founding paper's recipe), or "consensus"
    holdout_share : share of the posts held out before any fitting
    rater_holdout_share : share of the raters set apart for the question of how well new raters are predicted
    n_trees, max_features, min_rows_in_leaf : of each value's forest
    n_consensus_folds : posts to fit to get their consensus from a text model that did not see them
    n_inner_folds : parts of the posts to fit to by which the blend's weights are chosen
    n_inner_trees : trees of the forests that serve only to choose weights
    n_curve_trees : trees of the forests behind the learning curves; 0 leaves the curves out
    n_calibration_cells, calibration_post_share : of a stand-in for the questionnaire, in a dense study without one

    Raises
    ------
    ValueError
        If there is no such method.
    """

    seed: int = 1
    method: str = BLEND
    holdout_share: float = 0.28
    rater_holdout_share: float = 0.3
    n_trees: int = 500
    max_features: float = 1 / 3
    min_rows_in_leaf: int = 5
    n_consensus_folds: int = 5
    n_inner_folds: int = 4
    n_inner_trees: int = 100
    n_curve_trees: int = 100
    n_calibration_cells: int = 25
    calibration_post_share: float = 0.35

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method is '{self.method}'; it must be one of {', '.join(METHODS)}")


@dataclass(frozen=True, eq=False)
class GivenReadings:
    """What an annotator model said of a study's posts, to serve as their consensus.

    Attributes
    ----------
    name : what the consensus is called in reports
    ratings : ndarray of shape (n_posts, n_values); NaN where it said nothing
    taught : ndarray of bool, shape (n_posts,)
        Posts whose raters the model was itself taught by: what it says of them is no honest reading.
    notes : sentences for the report
    """

    name: str
    ratings: Floats
    taught: Flags
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FitData:
    """What a fit sees.

    Attributes
    ----------
    ratings : ndarray of shape (n_rows, n_values); NaN where a value was not shown
    raters, posts : ndarrays of shape (n_rows,), codes
    n_raters, n_posts : int
    value_keys : names of the values, in order
    texts : one text per post; all empty where the posts have none
    scale : (lowest, highest) rating
    answers : ndarray of shape (n_raters, n_questions) or None
        Answers to the calibration questionnaire; NaN where unanswered.
    question_names : names of the questions
    given : what an annotator model said of the posts; None where the consensus is to be made here
    """

    ratings: Floats
    raters: Ints
    posts: Ints
    n_raters: int
    n_posts: int
    value_keys: tuple[str, ...]
    texts: tuple[str, ...]
    scale: tuple[int, int]
    answers: Floats | None = None
    question_names: tuple[str, ...] = ()
    given: GivenReadings | None = None
