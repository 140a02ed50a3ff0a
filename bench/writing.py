"""What storing a million predictions in PostgreSQL takes, against Django's `bulk_create`.

A prediction is one number: what one rater is predicted to see of one value in one post. Every writing has a process of
its own; modules are imported, objects' classes made and the connection open before the clock starts. The private
server does not wait for its disk, which favours nobody: all write within one transaction.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import RUNS, CannotRun, Timing, bench
from bench.reading import filled_database, weigh
from tests.services import ServiceError

N_RATERS, POSTS_PER_RATER, N_POSTS, N_VALUES = 1_053, 50, 5_211, 19
N_ROWS = N_RATERS * POSTS_PER_RATER
RATIO_AT_LEAST, BATCH, STEPS = 25, 10_000, 64
SLUG = "bench"
NARROW = "CREATE TABLE narrow (rater bigint, post bigint, value smallint, rating real)"


@dataclass(frozen=True)
class Writing:
    """What one writing took; the sum tells whether every prediction was written, and at its place."""

    wall_s: float
    cpu_s: float
    n_predictions: int
    weighted_sum: int


@bench("write_vs_bulk_create")
def write_vs_bulk_create() -> Timing:
    """`store_predictions` with a million numbers, against `bulk_create` of a row for each and of our own rows.

    The reference with a row for each number writes into a table without any key or index; ours, and `bulk_create` of
    our rows, keep the check of the rater and what holds a pair unique. Wall time, the median of RUNS runs in turn.
    Raises CannotRun without PostgreSQL, and ValueError when they did not write the same.
    """
    writings: dict[str, list[Writing]] = {name: [] for name in WAYS}
    try:
        with filled_database("bench.writing") as do:
            for _ in range(RUNS):
                for name, each in writings.items():
                    each.append(Writing(**json.loads(do(name))))
    except ServiceError as error:
        raise CannotRun(str(error)) from error
    check_same([writing for each in writings.values() for writing in each])
    wall_s = {name: statistics.median(each.wall_s for each in found) for name, found in writings.items()}
    cpu_s = {name: statistics.median(each.cpu_s for each in found) for name, found in writings.items()}
    return Timing(
        ratio=wall_s["reference"] / wall_s["ours"],
        reference=f"Django's bulk_create, a row per number in batches of {BATCH}",
        medians=wall_s,
        more={
            "clock": "wall",
            "ratio_at_least": RATIO_AT_LEAST,
            "ratio_to_bulk_create_of_the_same_rows": round(wall_s["same_rows"] / wall_s["ours"], 2),
            "ratio_when_written_again": round(wall_s["reference"] / wall_s["ours_again"], 2),
            "cpu_s": {name: round(seconds, 3) for name, seconds in cpu_s.items()},
            "n_predictions": N_ROWS * N_VALUES,
        },
    )


def check_same(writings: Iterable[Writing]) -> None:
    """Raise ValueError unless all have written all predictions, each of its rater, post and value."""
    found = {(writing.n_predictions, writing.weighted_sum) for writing in writings}
    expected = N_ROWS * N_VALUES
    if len(found) != 1 or next(iter(found))[0] != expected:
        raise ValueError(
            f"the ways wrote different predictions (number, weighted sum): {sorted(found)}; all should have written "
            f"{expected}, so timing them means nothing"
        )


# --- in a process of its own -------------------------------------------------------------------


def draw(enrollment_ids: list[int], post_ids: list[int]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Pairs in an order that is nobody's, and their predictions in steps that a sum can count."""
    rng = np.random.default_rng(20242)
    posts = np.concatenate([rng.choice(post_ids, POSTS_PER_RATER, replace=False) for _ in enrollment_ids])
    raters = np.repeat(enrollment_ids, POSTS_PER_RATER)
    order = rng.permutation(N_ROWS)
    ratings = (rng.integers(0, 6 * STEPS + 1, (N_ROWS, N_VALUES)) / STEPS).astype(np.float32)
    return raters[order], posts[order], ratings


def write_ours(fit_run: Any, raters: NDArray[Any], posts: NDArray[Any], ratings: NDArray[Any]) -> None:
    """Write them as the software does."""
    from modeling.predictions import store_predictions

    store_predictions(fit_run, raters, posts, ratings)


def write_same_rows(fit_run: Any, raters: NDArray[Any], posts: NDArray[Any], ratings: NDArray[Any]) -> None:
    """Write the very rows that ours are, by `bulk_create`."""
    from django.db import transaction

    from modeling.models import Prediction

    with transaction.atomic():
        Prediction.objects.bulk_create(
            (
                Prediction(fit_run=fit_run, enrollment_id=rater, post_id=post, ratings=vector)
                for rater, post, vector in zip(raters.tolist(), posts.tolist(), ratings.tolist(), strict=True)
            ),
            batch_size=BATCH,
        )


def write_reference(fit_run: Any, raters: NDArray[Any], posts: NDArray[Any], ratings: NDArray[Any]) -> None:
    """Write a row for each number."""
    from django.db import transaction

    model = make_narrow_model()
    rows = zip(
        np.repeat(raters, N_VALUES).tolist(),
        np.repeat(posts, N_VALUES).tolist(),
        np.tile(np.arange(N_VALUES), N_ROWS).tolist(),
        ratings.ravel().tolist(),
        strict=True,
    )
    with transaction.atomic():
        model.objects.bulk_create(
            (
                model(rater=rater, post=post, value=value, rating=rating)
                for rater, post, value, rating in rows
            ),
            batch_size=BATCH,
        )


def make_narrow_model() -> Any:
    """A row per number; the table has no key at all, so nothing but the row is written."""
    from django.db import models

    meta = type("Meta", (), {"app_label": "bench", "db_table": "narrow", "managed": False})
    columns = {
        "rater": models.BigIntegerField(primary_key=True),
        "post": models.BigIntegerField(),
        "value": models.SmallIntegerField(),
        "rating": models.FloatField(),
    }
    return type("Narrow", (models.Model,), {"__module__": __name__, "Meta": meta, **columns})


WAYS: dict[str, Callable[..., None]] = {
    "ours": write_ours,
    "ours_again": write_ours,
    "same_rows": write_same_rows,
    "reference": write_reference,
}


def write(name: str) -> Writing:
    """Write in one of the ways; every way but `ours_again` finds its table empty."""
    import django

    django.setup()
    from django.db import connection

    from modeling.models import FitRun

    fit_run = FitRun.objects.select_related("study__value_system").get(key=SLUG)
    raters, posts, ratings = draw(
        list(fit_run.study.enrollments.order_by("pk").values_list("pk", flat=True)),
        list(fit_run.study.posts.order_by("pk").values_list("pk", flat=True)),
    )
    table = "narrow" if name == "reference" else "modeling_prediction"
    with connection.cursor() as cursor:
        if name != "ours_again":
            cursor.execute(f"TRUNCATE {table}")
    wall, cpu = time.perf_counter(), time.process_time()
    WAYS[name](fit_run, raters, posts, ratings)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Writing(wall, cpu, *(read_narrow() if name == "reference" else read_wide(fit_run)))


def read_narrow() -> tuple[int, int]:
    """Number and weighted sum of what stands in the table with a row per number."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT rater, post, value, rating FROM narrow")
        rows = np.array(cursor.fetchall(), np.float64).T
    raters, posts, values = rows[:3].astype(np.int64)
    return rows.shape[1], weigh(raters, posts, values, np.rint(rows[3] * STEPS).astype(np.int64))


def read_wide(fit_run: Any) -> tuple[int, int]:
    """Number and weighted sum of what stands in our table."""
    from modeling.predictions import read_predictions

    stored = read_predictions(fit_run)
    steps = np.rint(stored.ratings * STEPS).astype(np.int64)
    total = sum(weigh(stored.enrollment_ids, stored.post_ids, v, steps[:, v]) for v in range(N_VALUES))
    return stored.ratings.size, total


def fill() -> None:
    """Store a study and a fit that has predicted nothing yet."""
    import django

    django.setup()
    from django.db import connection

    from annotation.models import Enrollment, Post, Rater, Study
    from annotation.services import save_value_system
    from modeling.demo import load_default_tree
    from modeling.models import FitRun

    study = Study.objects.create(
        slug=SLUG,
        name=SLUG,
        title=SLUG,
        value_system=save_value_system(load_default_tree()),
        posts_per_rater=POSTS_PER_RATER,
        consent={},
    )
    Post.objects.bulk_create(
        Post(study=study, key=f"p{number}", text=f"Post {number}.") for number in range(N_POSTS)
    )
    raters = Rater.objects.bulk_create(
        Rater(origin=Rater.Origin.PROLIFIC, external_id=str(number)) for number in range(N_RATERS)
    )
    Enrollment.objects.bulk_create(Enrollment(study=study, rater=rater) for rater in raters)
    FitRun.objects.create(
        study=study,
        key=SLUG,
        settings={},
        holdout_post_ids=[],
        feature_names=[],
        notes=[],
        n_raters=N_RATERS,
        n_annotations=0,
        has_simulated=False,
    )
    with connection.cursor() as cursor:
        cursor.execute(NARROW)


if __name__ == "__main__":
    if sys.argv[1] == "fill":
        fill()
    else:
        print(json.dumps(asdict(write(sys.argv[1]))))
