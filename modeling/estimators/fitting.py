"""One fit from ratings to held-out predictions: split, consensus, calibration, forests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import calibration
from .calibration import RaterFeatures
from .consensus import Consensus, PanelConsensus, TextConsensus
from .forest import ForestPerValue
from .splitting import hold_out_posts

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]


@dataclass(frozen=True)
class FitSettings:
    """Everything a fit can be told; stored with it. The forest's numbers are the founding paper's."""

    seed: int = 1
    holdout_share: float = 0.28
    n_trees: int = 500
    max_features: float = 1 / 3
    min_rows_in_leaf: int = 5
    n_consensus_folds: int = 5
    n_calibration_cells: int = 25
    calibration_post_share: float = 0.35


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


@dataclass(frozen=True)
class FitResult:
    """What a fit leaves behind.

    Attributes
    ----------
    held_out, set_aside : ndarrays of bool, shape (n_posts,)
        The holdout; posts whose ratings served as calibration answers.
    consensus_name : the consensus that fed the forests
    consensus_scores : ndarray of shape (n_posts, n_values)
    consensus_out_of_fold : ndarray of bool, shape (n_posts,)
    test_rows : rows of the data that lie in the holdout
    predictions : name to ndarray of shape (len(test_rows), n_values); 'personalized' is among them
    scored_posts : the posts of `scores`
    scores : ndarray of shape (n_raters, n_scored_posts, n_values), float32
        What each rater would see in each held-out post, asked or not.
    feature_names : names of the forest's features
    importances : ndarray of shape (n_values, n_features)
        The features' shares in what each value's personalized forest learnt, as in `ForestPerValue`.
    notes : sentences for the report: what the model could see and what stood in
    """

    held_out: NDArray[np.bool_]
    set_aside: NDArray[np.bool_]
    consensus_name: str
    consensus_scores: Floats
    consensus_out_of_fold: NDArray[np.bool_]
    test_rows: Ints
    predictions: dict[str, Floats]
    scored_posts: Ints
    scores: NDArray[np.float32]
    feature_names: tuple[str, ...]
    importances: Floats
    notes: tuple[str, ...]


def fit(
    data: FitData,
    settings: FitSettings,
    *,
    report: Callable[[int, int, str], None] = lambda done, total, note: None,
) -> FitResult:
    """Hold posts out, fit one forest per value to the others, and predict the held-out ones.

    Raises
    ------
    ValueError
        If there are too few posts, raters or ratings, saying how many are needed.
    """
    n_values = len(data.value_keys)
    n_steps = 2 * n_values + 1
    split_rng, consensus_rng, calibration_rng = np.random.default_rng(settings.seed).spawn(3)
    report(0, n_steps, "reading posts")
    set_aside = _set_posts_aside(data, settings, split_rng)
    held_out = np.zeros(data.n_posts, dtype=np.bool_)
    free = np.flatnonzero(~set_aside)
    held_out[free] = hold_out_posts(len(free), settings.holdout_share, rng=split_rng)
    to_fit = ~held_out & ~set_aside
    _check_values_are_rated(data, to_fit)

    consensus = _fit_consensus(data, to_fit, settings, consensus_rng)
    seen = consensus.predict(data.raters, data.posts)
    of_rater = _describe_raters(data, seen, to_fit, set_aside, settings, calibration_rng)

    fit_rows = np.flatnonzero(to_fit[data.posts])
    test_rows = np.flatnonzero(held_out[data.posts])
    if not len(fit_rows) or not len(test_rows):
        raise ValueError(
            "no rating lies among the posts to fit to or among the held-out ones; load more ratings"
        )
    features = np.hstack([seen, of_rater.per_row])
    scored_posts = np.flatnonzero(held_out)
    pair_raters = np.repeat(np.arange(data.n_raters), len(scored_posts))
    pair_posts = np.tile(scored_posts, data.n_raters)
    pair_features = np.hstack([consensus.predict(pair_raters, pair_posts), of_rater.per_rater[pair_raters]])

    report(1, n_steps, "fitting a forest per value")
    forest = ForestPerValue(
        n_trees=settings.n_trees,
        max_features=settings.max_features,
        min_rows_in_leaf=settings.min_rows_in_leaf,
        seed=settings.seed,
    )
    personalized, scored = forest.fit_predict(
        features[fit_rows],
        data.ratings[fit_rows],
        [features[test_rows], pair_features],
        report=lambda done, total: report(1 + done, n_steps, f"value {done} of {total} fitted"),
    )
    importances = forest.importances_
    (without_person,) = forest.fit_predict(
        seen[fit_rows],
        data.ratings[fit_rows],
        [seen[test_rows]],
        report=lambda done, total: report(
            1 + n_values + done, n_steps, f"value {done} of {total} without the person"
        ),
    )
    return FitResult(
        held_out=held_out,
        set_aside=set_aside,
        consensus_name=consensus.name,
        consensus_scores=consensus.post_scores_,
        consensus_out_of_fold=consensus.out_of_fold_,
        test_rows=test_rows,
        predictions={
            consensus.name: seen[test_rows],
            f"{consensus.name}_forest": without_person,
            "personalized": personalized,
        },
        scored_posts=scored_posts,
        scores=scored.reshape(data.n_raters, len(scored_posts), n_values).astype(np.float32),
        feature_names=(*(f"{consensus.name}: {key}" for key in data.value_keys), *of_rater.names),
        importances=importances,
        notes=_describe(data, consensus, of_rater, held_out, set_aside),
    )


def _check_values_are_rated(data: FitData, to_fit: NDArray[np.bool_]) -> None:
    ratings = data.ratings[to_fit[data.posts]]
    unrated = [key for key, column in zip(data.value_keys, ratings.T, strict=True) if np.isnan(column).all()]
    if unrated:
        raise ValueError(
            f"no post to fit to has a rating of {', '.join(unrated)}; load more ratings or hold fewer posts out"
        )


def _set_posts_aside(data: FitData, settings: FitSettings, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Without a questionnaire, and where everyone rated the same posts, some of these serve as one."""
    set_aside = np.zeros(data.n_posts, dtype=np.bool_)
    is_stand_in = data.answers is None and calibration.is_dense(data.raters, data.posts, data.ratings)
    if is_stand_in and data.n_posts >= 6 and data.n_raters >= 3:
        n_aside = max(round(settings.calibration_post_share * data.n_posts), 1)
        set_aside[rng.permutation(data.n_posts)[:n_aside]] = True
    return set_aside


def _fit_consensus(
    data: FitData, to_fit: NDArray[np.bool_], settings: FitSettings, rng: np.random.Generator
) -> Consensus:
    if any(text.strip() for text in data.texts):
        return TextConsensus(n_folds=settings.n_consensus_folds, rng=rng).fit(
            data.texts, data.ratings, data.posts, to_fit, data.scale
        )
    return PanelConsensus(rng=rng).fit(data.raters, data.ratings, data.posts, data.n_posts)


def _describe_raters(
    data: FitData,
    seen: Floats,
    to_fit: NDArray[np.bool_],
    set_aside: NDArray[np.bool_],
    settings: FitSettings,
    rng: np.random.Generator,
) -> RaterFeatures:
    if data.answers is not None:
        return calibration.from_answers(data.answers, data.question_names, data.raters)
    if set_aside.any():
        return calibration.from_dense_posts(
            data.raters,
            data.posts,
            data.ratings,
            np.flatnonzero(set_aside),
            n_cells=settings.n_calibration_cells,
            value_keys=data.value_keys,
        )
    return calibration.from_residuals(
        data.raters, data.posts, data.ratings, seen, to_fit, data.value_keys, rng=rng
    )


def _describe(
    data: FitData,
    consensus: Consensus,
    of_rater: RaterFeatures,
    held_out: NDArray[np.bool_],
    set_aside: NDArray[np.bool_],
) -> tuple[str, ...]:
    n_to_fit = int((~held_out & ~set_aside).sum())
    notes = [
        f"Consensus '{consensus.name}': {consensus.description}.",
        f"Calibration: {of_rater.source}.",
        f"What the model could see: the ratings of {n_to_fit} posts; {int(held_out.sum())} posts were held out before "
        "any fitting.",
    ]
    if set_aside.any():
        notes.append(
            f"{int(set_aside.sum())} posts were set aside as calibration; they are neither fitted nor scored."
        )
    n_gaps = 0 if data.answers is None else int(np.isnan(data.answers).sum())
    if n_gaps:
        notes.append(
            f"{n_gaps} calibration answers are missing; the trees treat them as a value of their own."
        )
    if isinstance(consensus, TextConsensus):
        n_blank = sum(not text.strip() for text in data.texts)
        if n_blank:
            notes.append(f"{n_blank} posts have no text; the consensus from text says the same of each.")
    if isinstance(consensus, PanelConsensus):
        n_blind = int(np.isnan(consensus.predict(data.raters, data.posts)).all(axis=1).sum())
        if n_blind:
            notes.append(f"{n_blind} annotations have no other rater to form a consensus.")
    return tuple(notes)
