"""The predictions that pages and programs asked for lately: a row for each rater and post, written in one go."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from django.db import connections, models, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.functions import Cast
from django.utils import timezone
from numpy.typing import ArrayLike, NDArray

from annotation.models import Enrollment, Post

from .errors import DataChanged
from .models import FitRun, Prediction

Ids = NDArray[np.int64]
Singles = NDArray[np.float32]

ROWS_AT_ONCE = 1 << 14
MOST_IN_QUERY = 1_000  # ids that a query may name; more are sifted here
INCOMING = "incoming_prediction"
COPY_HEADER, COPY_END = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"


@dataclass(frozen=True)
class Predictions:
    """Predicted ratings of pairs of rater and post, in the order of raters, then of posts.

    Attributes
    ----------
    enrollment_ids, post_ids : ndarrays of shape (n_pairs,)
    ratings : ndarray of float32, shape (n_pairs, n_values), in the study's order of values
    """

    enrollment_ids: Ids
    post_ids: Ids
    ratings: Singles


def store_predictions(
    fit_run: FitRun, enrollment_ids: ArrayLike, post_ids: ArrayLike, ratings: ArrayLike
) -> int:
    """Store what a fit predicts; what it predicted of the same pairs before is replaced.

    Parameters
    ----------
    enrollment_ids, post_ids : array-likes of shape (n_pairs,)
        Who, and of what; no pair twice.
    ratings : array-like of shape (n_pairs, n_values)
        In the study's order of values, stored as float32; NaN where there is no prediction.

    Returns
    -------
    int
        The number of rows: all of them, or none was written and an error raised.

    Raises
    ------
    ValueError
        If shapes do not fit, a pair is given twice or a rating is infinite.
    DataChanged
        If a rater or post is not in the fit's study, or the fit, a rater or a post is not there any more.
    """
    pairs, vectors = _check(len(fit_run.study.value_keys), enrollment_ids, post_ids, ratings)
    if not len(pairs):
        return 0
    alias = router.db_for_write(Prediction)
    connection = connections[alias]
    store = _copy if connection.vendor == "postgresql" else _create
    with transaction.atomic(using=alias):
        _hold(connection, fit_run, pairs)
        store(connection, fit_run, pairs, vectors)
    return len(pairs)


def read_predictions(
    fit_run: FitRun,
    *,
    enrollment_ids: Sequence[int] | None = None,
    post_ids: Sequence[int] | None = None,
) -> Predictions:
    """Return what is stored of a fit, of these raters and posts alone where they are given.

    Raises ValueError when a stored vector has not as many ratings as the study has values.
    """
    chosen = {"enrollment_id": enrollment_ids, "post_id": post_ids}
    named = {
        f"{column}__in": list(ids)
        for column, ids in chosen.items()
        if ids is not None and len(ids) <= MOST_IN_QUERY
    }
    rows = list(
        Prediction.objects.filter(fit_run=fit_run, **named)
        .annotate(raw=Cast("ratings", models.BinaryField()))  # not unpacked into a tuple each
        .values_list("enrollment_id", "post_id", "raw")
    )
    n_values = len(fit_run.study.value_keys)
    keys = np.array([row[:2] for row in rows], np.int64).reshape(-1, 2)
    vectors = [bytes(row[2]) for row in rows]
    if n_odd := sum(len(raw) != 4 * n_values for raw in vectors):
        raise ValueError(
            f"{n_odd} stored predictions of {fit_run} have not one number for each of {n_values} values; delete them"
        )
    ratings = np.frombuffer(b"".join(vectors), "<f4").astype(np.float32).reshape(-1, n_values)
    kept = np.ones(len(keys), np.bool_)
    for place, ids in enumerate(chosen.values()):
        if ids is not None and len(ids) > MOST_IN_QUERY:
            kept &= np.isin(keys[:, place], np.asarray(ids))
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    order = order[kept[order]]
    return Predictions(keys[order, 0], keys[order, 1], ratings[order])


def _check(
    n_values: int, enrollment_ids: ArrayLike, post_ids: ArrayLike, ratings: ArrayLike
) -> tuple[Ids, Singles]:
    """Return pairs of shape (n, 2), sorted so that an index grows at its end, and their vectors."""
    enrollments, posts = np.asarray(enrollment_ids), np.asarray(post_ids)
    vectors = np.asarray(ratings, dtype=np.float32)
    n_pairs = len(enrollments) if enrollments.ndim == 1 else -1
    if posts.shape != (n_pairs,) or vectors.shape != (n_pairs, n_values):
        raise ValueError(
            f"raters of shape {enrollments.shape} and posts of shape {posts.shape} need ratings of shape "
            f"(n_pairs, {n_values}), one row for each pair; they have {vectors.shape}"
        )
    if n_pairs and not (
        np.issubdtype(enrollments.dtype, np.integer) and np.issubdtype(posts.dtype, np.integer)
    ):
        raise ValueError(f"ids must be whole numbers, not {enrollments.dtype} and {posts.dtype}")
    if np.isinf(vectors).any():
        row = int(np.flatnonzero(np.isinf(vectors).any(axis=1))[0])
        raise ValueError(f"the prediction of pair {row} is infinite; give NaN where there is none")
    pairs = np.column_stack([enrollments, posts]).astype(np.int64)
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    pairs = pairs[order]
    twice = np.flatnonzero((pairs[1:] == pairs[:-1]).all(axis=1))
    if len(twice):
        enrollment, post = pairs[twice[0]].tolist()
        raise ValueError(f"post {post} for enrollment {enrollment} is given twice; give each pair once")
    return pairs, vectors[order]


def _hold(connection: BaseDatabaseWrapper, fit_run: FitRun, pairs: Ids) -> None:
    """Make sure that fit, raters and posts are there, and stay until the transaction ends."""
    owners: list[tuple[type[models.Model], str, int, Ids, str]] = [
        (FitRun, "id", fit_run.pk, np.array([fit_run.pk]), "fits"),
        (Enrollment, "study_id", fit_run.study_id, np.unique(pairs[:, 0]), "raters"),
        (Post, "study_id", fit_run.study_id, np.unique(pairs[:, 1]), "posts"),
    ]
    with connection.cursor() as cursor:
        for model, column, owner, wanted, what in owners:
            table = connection.ops.quote_name(model._meta.db_table)
            if connection.vendor == "postgresql":
                named, among = wanted.tolist(), "= ANY(%s::bigint[]) FOR KEY SHARE"
            else:  # SQLite lets one transaction write at a time
                named, among = json.dumps(wanted.tolist()), "IN (SELECT value FROM json_each(%s))"
            query = f"SELECT id FROM {table} WHERE {column} = %s AND id {among}"  # noqa: S608 - the names are our own
            cursor.execute(query, [owner, named])
            found = len(cursor.fetchall())
            if found < len(wanted):
                raise DataChanged(
                    f"{len(wanted) - found} of {len(wanted)} {what} are not in study '{fit_run.study.slug}', or not "
                    "any more; nothing was stored. Predict anew for those who are."
                )


def _copy(connection: BaseDatabaseWrapper, fit_run: FitRun, pairs: Ids, vectors: Singles) -> None:
    """Copy into a table of this session, and from there in one statement."""
    n_values = vectors.shape[1]
    record = np.dtype(
        [
            *(("columns", ">i2"), ("l0", ">i4"), ("enrollment", ">i8"), ("l1", ">i4"), ("post", ">i8")),
            *(("l2", ">i4"), ("ratings", "<f4", (n_values,))),
        ]
    )
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TEMPORARY TABLE {INCOMING} (enrollment bigint, post bigint, ratings bytea)")
        with cursor.copy(f"COPY {INCOMING} FROM STDIN (FORMAT binary)") as copy:
            copy.write(COPY_HEADER)
            for start in range(0, len(pairs), ROWS_AT_ONCE):
                part = slice(start, start + ROWS_AT_ONCE)
                rows = np.empty(len(pairs[part]), record)
                rows["columns"], rows["l0"], rows["l1"], rows["l2"] = 3, 8, 8, 4 * n_values
                rows["enrollment"], rows["post"] = pairs[part].T
                rows["ratings"] = vectors[part]
                copy.write(rows.tobytes())
            copy.write(COPY_END)
        cursor.execute(
            f"""
            INSERT INTO {connection.ops.quote_name(Prediction._meta.db_table)}
                (fit_run_id, enrollment_id, post_id, ratings, created_at)
            SELECT %s, enrollment, post, ratings, %s FROM {INCOMING}
            ON CONFLICT (fit_run_id, enrollment_id, post_id)
            DO UPDATE SET ratings = EXCLUDED.ratings, created_at = EXCLUDED.created_at
            """,  # noqa: S608 - the names are our own
            [fit_run.pk, timezone.now()],
        )
        cursor.execute(f"DROP TABLE {INCOMING}")


def _create(connection: BaseDatabaseWrapper, fit_run: FitRun, pairs: Ids, vectors: Singles) -> None:
    now = timezone.now()
    Prediction.objects.using(connection.alias).bulk_create(
        (
            Prediction(
                fit_run=fit_run,
                enrollment_id=enrollment,
                post_id=post,
                ratings=vector.astype("<f4").tobytes(),
                created_at=now,
            )
            for (enrollment, post), vector in zip(pairs.tolist(), vectors, strict=True)
        ),
        batch_size=ROWS_AT_ONCE,
        update_conflicts=True,
        unique_fields=["fit_run", "enrollment", "post"],
        update_fields=["ratings", "created_at"],
    )
