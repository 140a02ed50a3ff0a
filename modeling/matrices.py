"""The one place where rows become arrays, with their ids beside them."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from annotation.models import Annotation, Post, Rater, Study
from annotation.selectors import get_tree
from calibration.models import CalibrationAnswer, CalibrationQuestion
from modeling.estimators.fitting import FitData

from .inclusion import DEFAULT, InclusionRule, select


@dataclass(frozen=True)
class StudyTable:
    """A study's ratings as arrays.

    Attributes
    ----------
    enrollment_ids, post_ids : the ids behind the codes
    post_keys, texts : of each post
    raters, posts : ndarrays of shape (n_rows,), codes
    ratings : ndarray of shape (n_rows, n_values); NaN where a value was not shown
    value_keys, scale : of the study's value system
    answers : ndarray of shape (n_raters, n_questions) or None; NaN where unanswered
    question_names : names of the calibration questions
    n_simulated : how many of the raters are simulated
    """

    enrollment_ids: tuple[int, ...]
    post_ids: tuple[int, ...]
    post_keys: tuple[str, ...]
    texts: tuple[str, ...]
    raters: NDArray[np.intp]
    posts: NDArray[np.intp]
    ratings: NDArray[np.float64]
    value_keys: tuple[str, ...]
    scale: tuple[int, int]
    answers: NDArray[np.float64] | None
    question_names: tuple[str, ...]
    n_simulated: int

    @cached_property
    def data_hash(self) -> str:
        """SHA-256 of all that a fit or a report sees, the same wherever the same data is loaded."""
        digest = hashlib.sha256()
        for part in (self.value_keys, self.scale, self.post_keys, self.texts, self.question_names):
            digest.update(repr(part).encode())
        for array in (self.raters, self.posts, self.ratings, self.answers):
            if array is not None:
                digest.update(repr(array.shape).encode())
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def as_fit_data(self) -> FitData:
        return FitData(
            ratings=self.ratings,
            raters=self.raters,
            posts=self.posts,
            n_raters=len(self.enrollment_ids),
            n_posts=len(self.post_ids),
            value_keys=self.value_keys,
            texts=self.texts,
            scale=self.scale,
            answers=self.answers,
            question_names=self.question_names,
        )


def load_table(study: Study, rule: InclusionRule = DEFAULT) -> StudyTable:
    """Read the ratings of those who count by this rule."""
    rows = list(
        Annotation.objects.filter(enrollment__in=select(study, rule))
        .order_by("enrollment_id", "post_id")
        .values_list("enrollment_id", "post_id", "ratings")
    )
    enrollment_ids = tuple(dict.fromkeys(row[0] for row in rows))
    rated = {row[1] for row in rows}
    posts = [post for post in _read_posts(study) if post[0] in rated]
    rater_code = {pk: code for code, pk in enumerate(enrollment_ids)}
    post_code = {post[0]: code for code, post in enumerate(posts)}
    tree = get_tree(study.value_system)
    answers, question_names = _load_answers(study, rater_code)
    return StudyTable(
        enrollment_ids=enrollment_ids,
        post_ids=tuple(post[0] for post in posts),
        post_keys=tuple(post[1] for post in posts),
        texts=tuple(post[2] for post in posts),
        raters=np.array([rater_code[row[0]] for row in rows], dtype=np.intp),
        posts=np.array([post_code[row[1]] for row in rows], dtype=np.intp),
        ratings=np.array([row[2] for row in rows], dtype=np.float64).reshape(
            len(rows), len(study.value_keys)
        ),
        value_keys=tuple(study.value_keys),
        scale=(tree.scale.min, tree.scale.max),
        answers=answers,
        question_names=question_names,
        n_simulated=Rater.objects.filter(
            enrollments__in=enrollment_ids, origin=Rater.Origin.SIMULATED
        ).count(),
    )


def _read_posts(study: Study) -> list[tuple[int, str, str]]:
    """Id, key and text of each post; a reply's or quote's context stands before its own text."""
    return [
        (pk, key, f"{context}\n{text}" if context else text)
        for pk, key, text, context in Post.objects.filter(study=study)
        .order_by("pk")
        .values_list("pk", "key", "text", "context_text")
    ]


def _load_answers(
    study: Study, rater_code: dict[int, int]
) -> tuple[NDArray[np.float64] | None, tuple[str, ...]]:
    questions = list(
        CalibrationQuestion.objects.filter(study=study)
        .order_by("position")
        .values_list("pk", "post__key", "value_key")
    )
    if not questions:
        return None, ()
    column = {pk: index for index, (pk, _, _) in enumerate(questions)}
    answers = np.full((len(rater_code), len(questions)), np.nan)
    for enrollment_id, question_id, rating in CalibrationAnswer.objects.filter(
        question__study=study
    ).values_list("enrollment_id", "question_id", "rating"):
        if enrollment_id in rater_code:
            answers[rater_code[enrollment_id], column[question_id]] = rating
    if np.isnan(answers).all():  # asked of nobody: no questionnaire to learn from
        return None, ()
    return answers, tuple(f"calibration: {post} / {value}" for _, post, value in questions)
