"""What people together see in a post: from its text, as an annotator model said, or from other raters.

All answer for a (rater, post) pair without that rater's own rating of the post, so what they say may be
a feature of a personalized estimator.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline

from .data import GivenReadings
from .reader import PARTS, from_pipeline
from .splitting import deal_folds

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

RIDGE_PENALTIES = np.logspace(-1, 3, 9)


def build_text_regressor() -> Pipeline:
    """TF-IDF of words, word pairs and word parts, and one ridge regression per value.

    The penalty is chosen by efficient leave-one-out on the posts it is fitted to.
    """
    rarest = {"words": 1, "parts": 2}  # posts that must share a term
    return make_pipeline(
        FeatureUnion(
            [(name, TfidfVectorizer(min_df=rarest[name], **settings)) for name, settings in PARTS.items()]
        ),
        RidgeCV(alphas=RIDGE_PENALTIES, alpha_per_target=True),
    )


def mean_ratings(ratings: Floats, posts: Ints, n_posts: int) -> Floats:
    """Mean rating of each post and value over its raters, shape (n_posts, n_values); NaN where none."""
    present = ~np.isnan(ratings)
    totals = np.zeros((n_posts, ratings.shape[1]))
    counts = np.zeros_like(totals)
    np.add.at(totals, posts, np.where(present, ratings, 0.0))
    np.add.at(counts, posts, present)
    with np.errstate(invalid="ignore"):
        return totals / counts


class TextConsensus:
    """Predicts a post's mean ratings from its text alone.

    Parameters
    ----------
    n_folds : int
        Posts it is fitted to are predicted out of fold, by regressors that never saw them.
    rng : numpy.random.Generator
        Deals the folds.

    Attributes
    ----------
    post_scores_ : ndarray of shape (n_posts, n_values)
        Predictions for every post, clipped to the scale.
    out_of_fold_ : ndarray of shape (n_posts,)
        Whether the prediction is out of fold (the post was one to fit to).
    reader_ : TextReader
        Reads posts that are not here.
    """

    name = "text"
    description = (
        "TF-IDF and ridge regression on the mean ratings of the posts to fit to; out of fold for these"
    )

    def __init__(self, *, n_folds: int = 10, rng: np.random.Generator) -> None:
        self.n_folds = n_folds
        self.rng = rng

    def fit(
        self,
        texts: Sequence[str],
        ratings: Floats,
        posts: Ints,
        to_fit: NDArray[np.bool_],
        scale: tuple[int, int],
    ) -> TextConsensus:
        """Fit to the posts marked in `to_fit`, predict all.

        Parameters
        ----------
        texts : sequence of n_posts strings
            A post without text is no post to fit to; the same is said of each.
        ratings : ndarray of shape (n_rows, n_values)
            NaN where a value was not shown.
        posts : ndarray of shape (n_rows,)
        to_fit : ndarray of bool, shape (n_posts,)
        scale : (lowest, highest) rating

        Raises
        ------
        ValueError
            If fewer than two posts to fit to have text and ratings of every value, or if their texts
            share too little.
        """
        means = mean_ratings(ratings, posts, len(texts))
        has_text = np.array([bool(text.strip()) for text in texts])
        usable = np.flatnonzero(to_fit & has_text & ~np.isnan(means).any(axis=1))
        if len(usable) < 2:
            raise ValueError(
                "a consensus from text needs at least two posts to fit to that have text and ratings of every value; "
                f"there are {len(usable)}. Load more posts or texts, or hold fewer posts out."
            )
        regressor = self._fit_regressor(texts, means, usable)
        self.reader_ = from_pipeline(regressor, scale)
        scores = _as_table(regressor.predict(texts), means.shape[1])
        folds = deal_folds(len(usable), min(self.n_folds, len(usable)), rng=self.rng)
        for fold in range(folds.max() + 1):
            seen, unseen = usable[folds != fold], usable[folds == fold]
            if len(seen) > 1:
                regressor = self._fit_regressor(texts, means, seen)
                scores[unseen] = _as_table(
                    regressor.predict([texts[post] for post in unseen]), means.shape[1]
                )
            else:
                scores[unseen] = means[seen].mean(axis=0)
        self.post_scores_ = np.clip(scores, *scale)
        self.out_of_fold_ = np.isin(np.arange(len(texts)), usable)
        return self

    def _fit_regressor(self, texts: Sequence[str], means: Floats, seen: Ints) -> Pipeline:
        regressor = build_text_regressor()
        try:
            regressor.fit([texts[post] for post in seen], means[seen])
        except ValueError as error:  # no words at all, or no part of a word that two of the posts share
            raise ValueError(
                f"the texts of {len(seen)} posts to fit to share too little to learn from ({error}); load more "
                "posts, or load them without text"
            ) from error
        return regressor

    def predict(self, raters: Ints, posts: Ints) -> Floats:
        """The consensus for each (rater, post) pair, shape (n_pairs, n_values); the rater plays no part."""
        return self.post_scores_[posts]


def _as_table(predicted: Floats, n_values: int) -> Floats:
    return np.asarray(predicted, dtype=np.float64).reshape(len(predicted), n_values)


class PanelConsensus:
    """Stands in where posts have no text: the mean of *other* raters.

    The raters of each post are dealt into two panels, and everyone is shown the other panel's mean. A
    leave-one-out mean would not do as a feature: knowing the post, it gives the rating away that was left
    out. A panel's mean is the same for all it is shown to, so it can say nothing about any one of them.

    Attributes
    ----------
    post_scores_ : ndarray of shape (n_posts, n_values)
        The mean of all raters: for those who did not rate the post.
    """

    name = "panel"
    description = (
        "mean of other raters (the raters of each post are dealt into two panels; each is shown the other's mean), "
        "because the posts have no text"
    )

    def __init__(self, *, rng: np.random.Generator) -> None:
        self.rng = rng

    def fit(self, raters: Ints, ratings: Floats, posts: Ints, n_posts: int) -> PanelConsensus:
        """Deal the panels.

        Parameters
        ----------
        raters, posts : ndarrays of shape (n_rows,)
            Raters who are not among them are shown the mean of all who are.
        ratings : ndarray of shape (n_rows, n_values)
        n_posts : int
        """
        order = np.lexsort((self.rng.random(len(posts)), posts))
        starts = np.searchsorted(posts[order], np.arange(n_posts))
        panel = np.empty(len(posts), dtype=np.intp)
        panel[order] = (np.arange(len(posts)) - starts[posts[order]]) % 2
        other_panel = mean_ratings(ratings, posts * 2 + (1 - panel), n_posts * 2)
        self._shown = {
            (int(rater), int(post)): other_panel[post * 2 + side]
            for rater, post, side in zip(raters, posts, panel, strict=True)
        }
        self.post_scores_ = mean_ratings(ratings, posts, n_posts)
        self.out_of_fold_ = np.zeros(n_posts, dtype=np.bool_)
        return self

    def predict(self, raters: Ints, posts: Ints) -> Floats:
        """The consensus for each (rater, post) pair, shape (n_pairs, n_values).

        NaN where the other panel is empty (a post with a single rater).
        """
        rows = [
            self._shown.get((int(rater), int(post)), self.post_scores_[post])
            for rater, post in zip(raters, posts, strict=True)
        ]
        return np.array(rows).reshape(len(rows), self.post_scores_.shape[1])


class GivenConsensus:
    """What an annotator model said, which knows no rater.

    Parameters
    ----------
    given : GivenReadings

    Attributes
    ----------
    post_scores_ : ndarray of shape (n_posts, n_values)
        What was said, clipped to the scale; NaN throughout for a post without a whole reading.
    is_read_ : ndarray of bool, shape (n_posts,)
        Posts with a reading of every value.
    honest_ : ndarray of bool, shape (n_posts,)
        Posts with a reading by a model that was not taught by their raters. No other may be fitted to.
    """

    description = "what this annotator model said of the posts, each read once and alike for all raters"

    def __init__(self, given: GivenReadings) -> None:
        self.given = given
        self.name = given.name

    def fit(self, n_posts: int, n_values: int, scale: tuple[int, int]) -> GivenConsensus:
        """Take the readings over; nothing is learnt.

        Raises
        ------
        ValueError
            If there is not one reading and one mark for each post.
        """
        shapes = (self.given.ratings.shape, self.given.taught.shape)
        if shapes != ((n_posts, n_values), (n_posts,)):
            raise ValueError(
                f"readings of shape {shapes[0]} and marks of shape {shapes[1]} do not fit {n_posts} posts and "
                f"{n_values} values; give one row for each post"
            )
        self.is_read_: NDArray[np.bool_] = np.all(np.isfinite(self.given.ratings), axis=1)
        self.honest_ = self.is_read_ & ~self.given.taught
        self.post_scores_ = np.where(self.is_read_[:, None], np.clip(self.given.ratings, *scale), np.nan)
        self.out_of_fold_ = self.honest_
        return self

    def predict(self, raters: Ints, posts: Ints) -> Floats:
        """The consensus for each (rater, post) pair, shape (n_pairs, n_values); the rater plays no part."""
        return self.post_scores_[posts]


Consensus = TextConsensus | PanelConsensus | GivenConsensus
