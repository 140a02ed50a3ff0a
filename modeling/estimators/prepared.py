"""The first step of a fit: what is held out, the consensus of every row, and what raters answered.

All that comes later works on this alone, so it can be done anywhere; the arrays travel as one file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import calibration
from .consensus import Consensus, GivenConsensus, PanelConsensus, TextConsensus
from .data import FitData, FitSettings, Flags, Floats, Ints
from .splitting import hold_out_posts

Arrays = dict[str, NDArray[Any]]

LEAST_RATERS_APART = 3
LEAST_RATERS_LEFT = 5
_TEXTS = ("value_keys", "scale", "question_names", "consensus_name", "notes")


@dataclass(frozen=True, eq=False)
class Prepared:
    """A study made ready to be fitted.

    Attributes
    ----------
    ratings : ndarray of shape (n_rows, n_values); NaN where a value was not shown
    raters, posts : ndarrays of int, shape (n_rows,), codes
    held_out, set_aside : ndarrays of bool, shape (n_posts,)
        The holdout; posts that are neither fitted nor scored: their ratings serve as calibration answers, or what a
        given consensus says of them is no honest reading.
    set_apart : ndarray of bool, shape (n_raters,)
        Raters by whom is judged how well new raters are predicted; nobody where there are no answers.
    consensus : ndarray of shape (n_rows, n_values)
        Without the row's own rating, and of posts to fit to out of fold.
    consensus_apart : ndarray of shape (n_rows, n_values)
        The same, made without any rating by those set apart.
    post_scores : ndarray of shape (n_posts, n_values); out_of_fold : ndarray of bool, shape (n_posts,)
    answers : ndarray of shape (n_raters, n_questions); NaN where unanswered; no column without a questionnaire
    reader : arrays of a `TextReader`, or none where the consensus is not made of texts
    notes : sentences for the report: what the model could see and what stood in
    """

    ratings: Floats
    raters: Ints
    posts: Ints
    held_out: Flags
    set_aside: Flags
    set_apart: Flags
    consensus: Floats
    consensus_apart: Floats
    post_scores: Floats
    out_of_fold: Flags
    answers: Floats
    value_keys: tuple[str, ...]
    scale: tuple[int, int]
    question_names: tuple[str, ...]
    consensus_name: str
    notes: tuple[str, ...]
    reader: Arrays = field(default_factory=dict)

    @property
    def n_raters(self) -> int:
        return len(self.answers)

    @property
    def n_posts(self) -> int:
        return len(self.held_out)

    @property
    def to_fit(self) -> Flags:
        """Posts to fit to, shape (n_posts,)."""
        return ~self.held_out & ~self.set_aside

    @property
    def reads_posts(self) -> bool:
        """Whether there is a consensus of posts that nobody rated."""
        return self.consensus_name != PanelConsensus.name

    def pack(self) -> Arrays:
        """Return plain arrays from which `unpack` makes the same again."""
        texts = {name: getattr(self, name) for name in _TEXTS}
        arrays = {name: value for name, value in vars(self).items() if name not in texts and name != "reader"}
        return {
            "about": np.array(json.dumps(texts)),
            **arrays,
            **{f"reader_{name}": array for name, array in self.reader.items()},
        }


def unpack(arrays: Mapping[str, NDArray[Any]]) -> Prepared:
    """Return what `pack` was called on."""
    texts: dict[str, Any] = json.loads(str(arrays["about"]))
    held: dict[str, Any] = {name: array for name, array in arrays.items() if name != "about"}
    held["reader"] = {
        name.removeprefix("reader_"): held.pop(name) for name in list(held) if name.startswith("reader_")
    }
    for name, value in texts.items():
        held[name] = value if isinstance(value, str) else tuple(value)
    return Prepared(**held)


def prepare(data: FitData, settings: FitSettings) -> Prepared:
    """Hold posts out, set raters apart, and make the consensus of every row.

    Raises
    ------
    ValueError
        If there are too few posts, raters or ratings, saying how many are needed.
    """
    split_rng, consensus_rng, apart_rng = _spawn(settings)
    held_out, serves_as_answers = _split_posts(data, settings, split_rng)
    blind = _find_blind_posts(data, held_out)
    held_out, set_aside = held_out & ~blind, serves_as_answers | blind
    to_fit = ~held_out & ~set_aside
    _check_ratings(data, to_fit, held_out)

    has_answers = data.answers is not None or bool(serves_as_answers.any())
    set_apart = _set_raters_apart(
        data.n_raters, settings.rater_holdout_share if has_answers else 0, apart_rng
    )
    answers, names, source = _gather_answers(data, serves_as_answers, set_apart, settings)
    consensus = _fit_consensus(data, np.ones(len(data.raters), np.bool_), to_fit, settings, consensus_rng)
    seen = consensus.predict(data.raters, data.posts)
    seen_apart = seen
    if set_apart.any():
        rest = _fit_consensus(data, ~set_apart[data.raters], to_fit, settings, consensus_rng)
        seen_apart = rest.predict(data.raters, data.posts)
    return Prepared(
        ratings=data.ratings,
        raters=data.raters,
        posts=data.posts,
        held_out=held_out,
        set_aside=set_aside,
        set_apart=set_apart,
        consensus=seen,
        consensus_apart=seen_apart,
        post_scores=consensus.post_scores_,
        out_of_fold=consensus.out_of_fold_ & to_fit,
        answers=answers,
        value_keys=data.value_keys,
        scale=data.scale,
        question_names=names,
        consensus_name=consensus.name,
        notes=_describe(data, consensus, seen, source, held_out, set_aside, serves_as_answers, set_apart),
        reader=consensus.reader_.pack() if isinstance(consensus, TextConsensus) else {},
    )


def hold_out(data: FitData, settings: FitSettings) -> Flags:
    """Return the posts that a fit of this data by these settings holds out, shape (n_posts,).

    Raises
    ------
    ValueError
        If there are too few posts.
    """
    return _split_posts(data, settings, _spawn(settings)[0])[0]


def _spawn(settings: FitSettings) -> list[np.random.Generator]:
    """What deals posts, makes the consensus and sets raters apart."""
    return np.random.default_rng(settings.seed).spawn(3)


def _split_posts(data: FitData, settings: FitSettings, rng: np.random.Generator) -> tuple[Flags, Flags]:
    """The holdout, and posts whose ratings serve as calibration answers."""
    set_aside = _set_posts_aside(data, settings, rng)
    held_out = np.zeros(data.n_posts, dtype=np.bool_)
    free = np.flatnonzero(~set_aside)
    held_out[free] = hold_out_posts(len(free), settings.holdout_share, rng=rng)
    return held_out, set_aside


def _find_blind_posts(data: FitData, held_out: Flags) -> Flags:
    """Posts without an honest reading by the annotator model that gives the consensus; none without such a model."""
    if data.given is None:
        return np.zeros(data.n_posts, dtype=np.bool_)
    given = GivenConsensus(data.given).fit(data.n_posts, len(data.value_keys), data.scale)
    n_taught = int((held_out & data.given.taught).sum())
    if n_taught:
        raise ValueError(
            f"{given.name} was itself taught by the raters of {n_taught} of the {int(held_out.sum())} posts that this "
            "fit holds out, so it would be judged by what it has seen; fit with the seed and the holdout share by "
            "which its consensus set was drawn, or draw a new set from the ratings as they are now"
        )
    if not given.honest_.any():
        raise ValueError(
            f"{given.name} has no reading of any rated post that it was not taught by; run it over more posts"
        )
    blind: Flags = ~given.honest_
    return blind


def _check_ratings(data: FitData, to_fit: Flags, held_out: Flags) -> None:
    fitted = to_fit[data.posts]
    if not fitted.any() or not held_out[data.posts].any():
        raise ValueError(
            "no rating lies among the posts to fit to or among the held-out ones; load more ratings"
        )
    ratings = data.ratings[fitted]
    unrated = [key for key, column in zip(data.value_keys, ratings.T, strict=True) if np.isnan(column).all()]
    if unrated:
        raise ValueError(
            f"no post to fit to has a rating of {', '.join(unrated)}; load more ratings or hold fewer posts out"
        )


def _set_posts_aside(data: FitData, settings: FitSettings, rng: np.random.Generator) -> Flags:
    """Without a questionnaire, and where everyone rated the same posts, some of these serve as one."""
    set_aside = np.zeros(data.n_posts, dtype=np.bool_)
    is_stand_in = data.answers is None and calibration.is_dense(data.raters, data.posts, data.ratings)
    if is_stand_in and data.n_posts >= 6 and data.n_raters >= 3:
        n_aside = max(round(settings.calibration_post_share * data.n_posts), 1)
        set_aside[rng.permutation(data.n_posts)[:n_aside]] = True
    return set_aside


def _set_raters_apart(n_raters: int, share: float, rng: np.random.Generator) -> Flags:
    apart = np.zeros(n_raters, dtype=np.bool_)
    n_apart = round(share * n_raters)
    if n_apart >= LEAST_RATERS_APART and n_raters - n_apart >= LEAST_RATERS_LEFT:
        apart[rng.permutation(n_raters)[:n_apart]] = True
    return apart


def _gather_answers(
    data: FitData, set_aside: Flags, set_apart: Flags, settings: FitSettings
) -> tuple[Floats, tuple[str, ...], str]:
    """Each rater's answers, the questions' names, and one sentence on what they are."""
    if data.answers is not None:
        n_questions = data.answers.shape[1]
        return (
            data.answers,
            tuple(data.question_names),
            f"answers to a calibration questionnaire of {n_questions} questions",
        )
    if set_aside.any():
        return calibration.from_dense_posts(
            data.raters,
            data.posts,
            data.ratings,
            np.flatnonzero(set_aside),
            n_cells=settings.n_calibration_cells,
            value_keys=data.value_keys,
            chosen_by=~set_apart,
        )
    return (
        np.empty((data.n_raters, 0)),
        (),
        "none; a rater is known by their mean residual per value on the posts to fit to (a row to fit to sees only "
        "the half of the posts that it does not lie in)",
    )


def _fit_consensus(
    data: FitData, rows: Flags, to_fit: Flags, settings: FitSettings, rng: np.random.Generator
) -> Consensus:
    if data.given is not None:
        return GivenConsensus(data.given).fit(data.n_posts, len(data.value_keys), data.scale)
    raters, posts, ratings = data.raters[rows], data.posts[rows], data.ratings[rows]
    if any(text.strip() for text in data.texts):
        return TextConsensus(n_folds=settings.n_consensus_folds, rng=rng).fit(
            data.texts, ratings, posts, to_fit, data.scale
        )
    return PanelConsensus(rng=rng).fit(raters, ratings, posts, data.n_posts)


def _describe(
    data: FitData,
    consensus: Consensus,
    seen: Floats,
    source: str,
    held_out: Flags,
    set_aside: Flags,
    serves_as_answers: Flags,
    set_apart: Flags,
) -> tuple[str, ...]:
    n_to_fit = int((~held_out & ~set_aside).sum())
    notes = [
        f"Consensus '{consensus.name}': {consensus.description}.",
        f"Calibration: {source}.",
        f"What the model could see: the ratings of {n_to_fit} posts; {int(held_out.sum())} posts were held out before "
        "any fitting.",
    ]
    if set_apart.any():
        notes.append(
            f"What the model could see: of the {int(set_apart.sum())} raters set apart to judge how new raters are "
            "predicted, only their calibration answers; neither they nor their ratings of any post were fitted to."
        )
    else:
        notes.append(
            "New raters cannot be judged: "
            + (
                "there are no calibration answers to know them by."
                if data.answers is None and not serves_as_answers.any()
                else f"{data.n_raters} raters are too few to set some apart."
            )
        )
    if serves_as_answers.any():
        notes.append(
            f"{int(serves_as_answers.sum())} posts were set aside as calibration; they are neither fitted nor scored."
        )
    n_gaps = 0 if data.answers is None else int(np.isnan(data.answers).sum())
    if n_gaps:
        notes.append(
            f"{n_gaps} calibration answers are missing; the trees treat them as a value of their own."
        )
    if isinstance(consensus, GivenConsensus):
        notes += _describe_given(consensus, data.posts, set_apart)
    elif isinstance(consensus, TextConsensus):
        n_blank = sum(not text.strip() for text in data.texts)
        if n_blank:
            notes.append(f"{n_blank} posts have no text; the consensus from text says the same of each.")
    else:
        n_blind = int(np.isnan(seen).all(axis=1).sum())
        if n_blind:
            notes.append(f"{n_blind} annotations have no other rater to form a consensus.")
    return tuple(notes)


def _describe_given(consensus: GivenConsensus, posts: Ints, set_apart: Flags) -> list[str]:
    """What was left out because the annotator model could not speak for it honestly."""
    taught = consensus.given.taught
    notes = list(consensus.given.notes)
    for left_out, why in (
        (consensus.is_read_ & taught, "the annotator model was itself taught by their raters"),
        (~consensus.is_read_, "the annotator model has no reading of them"),
    ):
        if left_out.any():
            notes.append(
                f"{int(left_out.sum())} posts with {int(left_out[posts].sum())} annotations are neither fitted nor "
                f"scored, because {why}."
            )
    if taught.any() and set_apart.any():
        notes.append(
            "The raters set apart may be among those who taught the annotator model, by other posts than those that "
            "are fitted or scored."
        )
    return notes
