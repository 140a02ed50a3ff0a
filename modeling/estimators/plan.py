"""The one place where it is decided who may see what: every fitting of a fit, its rows and those it predicts.

Held-out posts are never fitted to. Within the posts to fit to, the blend's weights are chosen by cross-fitting:
over posts for raters with a history, over raters, and over posts at once where these can be read, for new ones. Raters
set apart are judged by models that never met them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .data import FitSettings, Floats, Ints
from .members.base import Rows
from .prepared import Prepared
from .splitting import deal_folds

Purpose = Literal["serving", "weights", "cold", "control", "curve"]

MAIN, MAIN_NEW, COLD = "main", "main_new", "cold"
NO_PERSON, COLD_NO_PERSON, PERSON, PERMUTED = "no_person", "cold_no_person", "person", "permuted"
CURVE_ANSWERS = (0, 1, 2, 3, 5, 8, 12, 16, 20, 25, 32, 40, 50)
CURVE_RATER_SHARES = (0.125, 0.25, 0.5, 1.0)
_FOLDS = 7  # of the numbers that seeds of this module are made with
LEAST_RATERS_OF_CURVE = 4


@dataclass(frozen=True, eq=False)
class Task:
    """One fitting.

    Attributes
    ----------
    name : what it is called in the files of a fit
    purpose : what its predictions are for
    fit_rows, predict_rows : ndarrays of int; no post is in both, and for new raters no rater either
    history : whether raters are known by their other ratings among the rows to fit to
    n_answers : only so many of the first calibration answers; None for all
    apart : whether the consensus is made without the raters set apart
    """

    name: str
    purpose: Purpose
    fit_rows: Ints
    predict_rows: Ints
    history: bool
    n_answers: int | None = None
    apart: bool = False


def plan_tasks(prepared: Prepared, settings: FitSettings) -> dict[str, Task]:
    """Return every fitting of a fit by its name, the same for the same study and settings."""
    to_fit = np.flatnonzero(prepared.to_fit[prepared.posts])
    test = np.flatnonzero(prepared.held_out[prepared.posts])
    nothing = np.empty(0, dtype=np.intp)
    tasks = [
        Task(MAIN, "serving", to_fit, test, history=True),
        Task(NO_PERSON, "control", to_fit, test, history=False),
        Task(PERSON, "control", to_fit, test, history=True),
        Task(PERMUTED, "control", to_fit, test, history=True),
        *_cross_fit_posts(prepared, to_fit, settings),
    ]
    if prepared.answers.shape[1]:
        tasks += [
            Task(MAIN_NEW, "serving", to_fit, nothing, history=False),
            *_cross_fit_raters(prepared, to_fit, settings),
        ]
    if prepared.set_apart.any():
        tasks += _judge_new_raters(prepared, to_fit, settings)
    return {task.name: task for task in tasks}


def select_rows(prepared: Prepared, task: Task) -> Rows:
    """Return what a member may see in a task, and nothing else."""
    rows = task.fit_rows
    return Rows(
        consensus=consensus_of(prepared, task)[rows],
        ratings=prepared.ratings[rows],
        raters=prepared.raters[rows],
        posts=prepared.posts[rows],
        answers=answers_of(prepared, task),
        scale=prepared.scale,
    )


def consensus_of(prepared: Prepared, task: Task) -> Floats:
    """The consensus of every row, as far as a task may know it."""
    return prepared.consensus_apart if task.apart else prepared.consensus


def answers_of(prepared: Prepared, task: Task) -> Floats:
    """The calibration answers that a task may know, shape (n_raters, n_answers)."""
    return prepared.answers[:, : task.n_answers]


def _cross_fit_posts(prepared: Prepared, to_fit: Ints, settings: FitSettings) -> list[Task]:
    fold = _deal_posts(prepared, settings)[prepared.posts[to_fit]]
    return [
        Task(f"known_fold_{k}", "weights", to_fit[fold != k], to_fit[fold == k], history=True)
        for k in np.unique(fold)
    ]


def _cross_fit_raters(prepared: Prepared, to_fit: Ints, settings: FitSettings) -> list[Task]:
    """Each fold's rows are predicted by models that did not meet their rater, nor anyone who is set apart.

    Where the consensus reads posts, new raters will meet posts that nobody rated, and so the models do not meet the
    rows' posts either. Where it is made of other raters there are no such posts, and every row can be predicted.
    """
    rest = to_fit[~prepared.set_apart[prepared.raters[to_fit]]]
    rng = np.random.default_rng([settings.seed, _FOLDS, 1])
    n_folds = max(min(settings.n_inner_folds, prepared.n_raters), 2)
    of_rater = deal_folds(prepared.n_raters, n_folds, rng=rng)[prepared.raters[rest]]
    of_post = _deal_posts(prepared, settings)[prepared.posts[rest]] if prepared.reads_posts else of_rater
    tasks = []
    for k in np.unique(of_post):
        kept, met = (of_post != k) & (of_rater != k), (of_post == k) & (of_rater == k)
        if kept.any() and met.any():
            name = f"new_fold_{k}"
            tasks.append(Task(name, "weights", rest[kept], rest[met], history=False, apart=True))
    return tasks


def _deal_posts(prepared: Prepared, settings: FitSettings) -> NDArray[np.intp]:
    """The fold of each post to fit to; -1 of any other."""
    posts = np.flatnonzero(prepared.to_fit)
    folds = np.full(prepared.n_posts, -1, dtype=np.intp)
    rng = np.random.default_rng([settings.seed, _FOLDS, 0])
    folds[posts] = deal_folds(len(posts), max(min(settings.n_inner_folds, len(posts)), 2), rng=rng)
    return folds


def _judge_new_raters(prepared: Prepared, to_fit: Ints, settings: FitSettings) -> list[Task]:
    """Raters set apart: on posts that others rated and on held-out ones, by models that met neither them nor those."""
    is_apart = prepared.set_apart[prepared.raters]
    rest = to_fit[~is_apart[to_fit]]
    new = np.flatnonzero(is_apart & ~prepared.set_aside[prepared.posts])
    tasks = [
        Task(COLD, "cold", rest, new, history=False, apart=True),
        Task(COLD_NO_PERSON, "control", rest, new, history=False, apart=True),
    ]
    if not settings.n_curve_trees:
        return tasks
    n_questions = prepared.answers.shape[1]
    counts = sorted({*(n for n in CURVE_ANSWERS if n < n_questions), n_questions})
    tasks += [
        Task(f"answers_{n}", "curve", rest, new, history=False, n_answers=n, apart=True) for n in counts
    ]
    others = np.flatnonzero(~prepared.set_apart)
    order = np.random.default_rng([settings.seed, _FOLDS, 2]).permutation(others)
    sizes = {max(round(share * len(order)), LEAST_RATERS_OF_CURVE) for share in CURVE_RATER_SHARES}
    for n_raters in sorted(n for n in sizes if n <= len(order)):
        met = np.isin(prepared.raters[rest], order[:n_raters])
        tasks.append(Task(f"raters_{n_raters}", "curve", rest[met], new, history=False, apart=True))
    return tasks
