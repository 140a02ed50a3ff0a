"""From a dense pre-study's rows to an array, and from there to the questions that tell its raters apart."""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotation.models import Annotation, Post, Study

from .derivation.choosing import METHODS, derive
from .derivation.comparison import Comparison, compare
from .derivation.coverage import Coverage
from .deriving import DerivationSettings, select_raters

Report = Callable[[int, int, str], None]

# A questionnaire that adapts could save most where it is short; every further answer makes it slower to compare.
ADAPTIVE_LENGTHS = (3, 6, 12)


@dataclass(frozen=True, eq=False)
class PreStudy:
    """A dense pre-study.

    Attributes
    ----------
    responses : ndarray of shape (n_raters, n_posts, n_values), without gaps
    post_keys, value_keys : what the columns are
    n_left_out : raters who were left out because they had not rated everything
    """

    responses: NDArray[np.float64]
    post_keys: tuple[str, ...]
    value_keys: tuple[str, ...]
    n_left_out: int


def read_pre_study(study: Study, *, leave_out_incomplete: bool = False) -> PreStudy:
    """Read the ratings of those who count, of all posts that any of them rated.

    Raises ValueError when nobody counts, or when somebody has gaps and is not to be left out: it says how many.
    """
    raters = list(select_raters(study).values_list("pk", flat=True))
    rows = list(
        Annotation.objects.filter(enrollment__in=raters, post__study=study).values_list(
            "enrollment_id", "post_id", "ratings"
        )
    )
    if not rows:
        raise ValueError(
            f"nobody who counts has rated anything in study '{study.slug}': those count who completed it live and are "
            "not excluded"
        )
    posts = sorted({post for _, post, _ in rows})
    place_of_rater = {pk: place for place, pk in enumerate(raters)}
    place_of_post = {pk: place for place, pk in enumerate(posts)}
    ratings = np.full((len(raters), len(posts), len(study.value_keys)), np.nan)
    for rater, post, vector in rows:
        ratings[place_of_rater[rater], place_of_post[post]] = np.array(
            vector, dtype=np.float64
        )  # None is NaN
    gaps = np.isnan(ratings)
    has_gaps = gaps.any(axis=(1, 2))
    if has_gaps.all() or (has_gaps.any() and not leave_out_incomplete):
        mend = (
            "no rater rated everything, so this is no dense pre-study: everyone must read the same posts (strategy "
            "'fixed') and every value must be shown"
            if has_gaps.all()
            else "leave out the incomplete raters, or let them finish"
        )
        raise ValueError(
            f"{int(has_gaps.sum())} of {len(raters)} raters of study '{study.slug}' did not rate all {len(posts)} "
            f"posts on all {ratings.shape[2]} values: {int(gaps.sum()):,} of {gaps.size:,} ratings are missing; {mend}"
        )
    keys = dict(Post.objects.filter(pk__in=posts).values_list("pk", "key"))
    return PreStudy(
        ratings[~has_gaps], tuple(keys[pk] for pk in posts), tuple(study.value_keys), int(has_gaps.sum())
    )


def derive_questions(
    study: Study, settings: DerivationSettings, report: Report | None = None
) -> dict[str, Any]:
    """Choose questions from a pre-study; returns plain data for JSON, which `docs/questionnaires.md` describes.

    Raises ValueError when the ratings have gaps or cannot give what is asked for.
    """
    data = read_pre_study(study, leave_out_incomplete=settings.leave_out_incomplete)
    coverage = Coverage(settings.every_value, settings.most_per_post)
    selection = derive(data.responses, settings.n_questions, settings.method, coverage)
    n_values = len(data.value_keys)
    comparison = compare_methods(data, settings, coverage, report) if settings.compare else None
    return {
        "study": study.slug,
        "n_raters": len(data.responses),
        "n_left_out": data.n_left_out,
        "n_posts": len(data.post_keys),
        "n_values": n_values,
        "method": settings.method,
        "criterion": selection.criterion_name,
        "questions": [
            {
                "post": data.post_keys[cell // n_values],
                "value": data.value_keys[cell % n_values],
                "criterion": float(criterion),
                "explained": float(explained),
                "captured": float(captured),
            }
            for cell, criterion, explained, captured in zip(
                selection.cells, selection.criterion, selection.explained, selection.captured, strict=True
            )
        ],
        "explained_in_all": selection.explained_in_all,
        "scree": [float(share) for share in selection.scree],
        "comparison": _as_plain(comparison),
    }


def compare_methods(
    data: PreStudy, settings: DerivationSettings, coverage: Coverage, report: Report | None
) -> Comparison:
    """Compare all methods, and a questionnaire that adapts, on held-out raters and posts."""
    return compare(
        data.responses,
        settings.n_questions,
        tuple(METHODS),
        coverage,
        rng=np.random.default_rng(settings.seed),
        adaptive_lengths=ADAPTIVE_LENGTHS,
        report=report,
    )


def _as_plain(value: Any) -> Any:
    """Dataclasses, with what they say of themselves, as JSON; a number that does not exist is None."""
    if is_dataclass(value):
        plain = {field.name: _as_plain(getattr(value, field.name)) for field in fields(value)}
        return plain | {"is_won": value.is_won} if hasattr(value, "is_won") else plain
    if isinstance(value, list):
        return [_as_plain(each) for each in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return value
