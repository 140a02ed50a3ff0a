"""The one place where rows become arrays, with their ids beside them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from numpy.typing import NDArray

from annotation.fields import MISSING
from annotation.models import Annotation, Post, Rater, Study
from annotation.selectors import get_tree
from calibration.models import CalibrationAnswer, CalibrationQuestion

from .inclusion import DEFAULT, InclusionRule, select

if TYPE_CHECKING:  # who only reads ratings loads no estimator: it takes more memory than millions of ratings
    from modeling.estimators.data import FitData, GivenReadings

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]
StoredRatings = NDArray[np.int16]

ROWS_AT_ONCE = 1 << 14
N_PACKED = 256
# PostgreSQL's binary COPY, in bytes: a signature, flags and the length of what may follow them; before each row
# the number of its columns, before each column its length; a mark at the end.
COPY_HEADER, COPY_COLUMNS, COPY_ROW, COPY_END = 19, 2, 6, 2


@dataclass(frozen=True)
class StudyTable:
    """A study's ratings as arrays.

    Attributes
    ----------
    enrollment_ids, post_ids : the ids behind the codes
    post_keys, texts : of each post
    raters, posts : ndarrays of shape (n_rows,), codes; rows are in the order of raters, then of posts
    stored_ratings : ndarray of int16, shape (n_rows, n_values); MISSING where a value was not shown
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
    stored_ratings: StoredRatings
    value_keys: tuple[str, ...]
    scale: tuple[int, int]
    answers: Floats | None
    question_names: tuple[str, ...]
    n_simulated: int

    @cached_property
    def ratings(self) -> Floats:
        """The ratings of shape (n_rows, n_values), NaN where a value was not shown; made when first asked for."""
        return _as_floats(self.stored_ratings)

    @cached_property
    def data_hash(self) -> str:
        """SHA-256 of all that a fit or a report sees, the same wherever the same data is loaded."""
        digest = hashlib.sha256()
        for part in (self.value_keys, self.scale, self.post_keys, self.texts, self.question_names):
            digest.update(repr(part).encode())
        for codes in (self.raters, self.posts):
            digest.update(repr(codes.shape).encode())
            digest.update(codes.tobytes())
        digest.update(repr(self.stored_ratings.shape).encode())
        for start in range(0, len(self.stored_ratings), ROWS_AT_ONCE):  # never all of them as floats
            digest.update(_as_floats(self.stored_ratings[start : start + ROWS_AT_ONCE]).tobytes())
        if self.answers is not None:
            digest.update(repr(self.answers.shape).encode())
            digest.update(self.answers.tobytes())
        return digest.hexdigest()

    def as_fit_data(self, given: GivenReadings | None = None) -> FitData:
        """Return what a fit sees; `given` is of these posts, in their order."""
        from modeling.estimators.data import FitData

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
            given=given,
        )


def _as_floats(stored: StoredRatings) -> Floats:
    ratings = stored.astype(np.float64)
    ratings[stored == MISSING] = np.nan
    return ratings


def load_table(study: Study, rule: InclusionRule = DEFAULT) -> StudyTable:
    """Read the ratings of those who count by this rule.

    Raises ValueError when a stored vector has not as many ratings as the study has values, or when a rated post
    is none of the study's.
    """
    origins = dict(select(study, rule).values_list("pk", "rater__origin"))
    enrollments, rated, ratings = _read_ratings(list(origins), len(study.value_keys))
    enrollment_ids, raters = np.unique(enrollments, return_inverse=True)
    post_ids, posts = np.unique(rated, return_inverse=True)
    order = np.argsort(raters * len(post_ids) + posts)  # nobody rates a post twice, so there are no ties
    described = _read_posts(study, set(post_ids.tolist()))
    if len(described) < len(post_ids):
        raise ValueError(
            f"{len(post_ids) - len(described)} posts that raters of study '{study.slug}' rated are of another study; "
            "exclude who rated them"
        )
    tree = get_tree(study.value_system)
    answers, question_names = _read_answers(study, enrollment_ids)
    return StudyTable(
        enrollment_ids=tuple(enrollment_ids.tolist()),
        post_ids=tuple(post[0] for post in described),
        post_keys=tuple(post[1] for post in described),
        texts=tuple(post[2] for post in described),
        raters=raters[order],
        posts=posts[order],
        stored_ratings=ratings[order],
        value_keys=tuple(study.value_keys),
        scale=(tree.scale.min, tree.scale.max),
        answers=answers,
        question_names=question_names,
        n_simulated=sum(origins[pk] == Rater.Origin.SIMULATED for pk in enrollment_ids.tolist()),
    )


# --- ratings -----------------------------------------------------------------------------------


def _read_ratings(enrollment_ids: list[int], n_values: int) -> tuple[Ids, Ids, StoredRatings]:
    """Enrollment, post and ratings of each of these raters' annotations, in any order."""
    connection = connections[Annotation.objects.db]
    read = _copy_from_postgres if connection.vendor == "postgresql" else _fetch
    return read(connection, enrollment_ids, n_values)


def _copy_from_postgres(
    connection: BaseDatabaseWrapper, enrollment_ids: list[int], n_values: int
) -> tuple[Ids, Ids, StoredRatings]:
    """Have PostgreSQL pack many annotations into each row it sends, because every row sent costs Python time.

    All vectors are equally long, so what a packed row holds is an array of records. The raters are given as a list,
    which lets the server foresee how many rows it will read (from the rule's own conditions it may guess one in a
    hundred), and in the type of the column, which lets it hash them.
    """
    record = np.dtype(
        [("enrollment", ">i8"), ("post", ">i8"), ("n_bytes", ">i4"), ("ratings", "<i2", (n_values,))]
    )
    query = f"""
        SELECT string_agg(
            int8send(enrollment_id) || int8send(post_id) || int4send(octet_length(ratings)) || ratings, ''
        )
        FROM {Annotation._meta.db_table} WHERE enrollment_id = ANY(%s::bigint[]) GROUP BY enrollment_id %% {N_PACKED}
    """  # noqa: S608 - the names are our own
    received = bytearray()
    with connection.cursor() as cursor:
        query = connection.ops.compose_sql(query, [enrollment_ids])  # a COPY takes no parameters
        with cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT binary)") as messages:
            for message in messages:
                received += message
    start = COPY_HEADER + int.from_bytes(received[COPY_HEADER - 4 : COPY_HEADER], "big")
    end = len(received) - COPY_END
    received += bytes(record.itemsize)  # a vector of another length may break its row off within a record
    blocks = [np.empty(0, record)]
    while start < end:
        n_bytes = int.from_bytes(received[start + COPY_COLUMNS : start + COPY_ROW], "big")
        rows = np.frombuffer(received, record, -(-n_bytes // record.itemsize), start + COPY_ROW)
        # Of the first vector of another length, ids and length still stand where they should.
        _check_lengths(rows["n_bytes"], rows["enrollment"], rows["post"], n_values)
        blocks.append(rows)
        start += COPY_ROW + n_bytes
    return (
        np.concatenate([rows["enrollment"] for rows in blocks], dtype=np.int64),
        np.concatenate([rows["post"] for rows in blocks], dtype=np.int64),
        np.concatenate([rows["ratings"] for rows in blocks], dtype=np.int16),
    )


def _fetch(
    connection: BaseDatabaseWrapper, enrollment_ids: list[int], n_values: int
) -> tuple[Ids, Ids, StoredRatings]:
    """Take the rows from SQLite's cursor, without unpacking each vector."""
    query = f"""
        SELECT enrollment_id, post_id, ratings FROM {Annotation._meta.db_table}
        WHERE enrollment_id IN (SELECT value FROM json_each(%s))
    """  # noqa: S608 - the names are our own
    enrollments, posts, ratings = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0, np.int16)]
    with connection.cursor() as cursor:
        cursor.execute(query, [json.dumps(enrollment_ids)])
        while rows := cursor.fetchmany(ROWS_AT_ONCE):
            rated_by, post_ids, vectors = zip(*rows, strict=True)
            enrollments.append(np.array(rated_by, np.int64))
            posts.append(np.array(post_ids, np.int64))
            n_bytes = np.fromiter(map(len, vectors), np.int64, len(vectors))
            _check_lengths(n_bytes, enrollments[-1], posts[-1], n_values)
            ratings.append(np.frombuffer(b"".join(vectors), "<i2").astype(np.int16))
    return np.concatenate(enrollments), np.concatenate(posts), np.concatenate(ratings).reshape(-1, n_values)


def _check_lengths(n_bytes: Ids, enrollments: Ids, posts: Ids, n_values: int) -> None:
    wanted = n_values * np.dtype(np.int16).itemsize
    odd = np.flatnonzero(n_bytes != wanted)
    if len(odd):
        raise ValueError(
            f"the annotation of post {posts[odd[0]]} by enrollment {enrollments[odd[0]]} holds {n_bytes[odd[0]]} bytes "
            f"of ratings, and {n_values} values take {wanted}; restore it from a backup, or exclude who gave it"
        )


# --- posts and answers -------------------------------------------------------------------------


def _read_posts(study: Study, wanted: set[int]) -> list[tuple[int, str, str]]:
    """Id, key and text of each post; a reply's or quote's context stands before its own text."""
    return [
        (pk, key, f"{context}\n{text}" if context else text)
        for pk, key, text, context in Post.objects.filter(study=study)
        .order_by("pk")
        .values_list("pk", "key", "text", "context_text")
        if pk in wanted
    ]


def _read_answers(study: Study, enrollment_ids: Ids) -> tuple[Floats | None, tuple[str, ...]]:
    questions = list(
        CalibrationQuestion.objects.filter(study=study)
        .order_by("position")
        .values_list("pk", "post__key", "value_key")
    )
    if not questions:
        return None, ()
    given = np.fromiter(
        chain.from_iterable(
            CalibrationAnswer.objects.filter(question__study=study)
            .values_list("enrollment_id", "question_id", "rating")
            .iterator()
        ),
        np.int64,
    ).reshape(-1, 3)
    given = given[np.isin(given[:, 0], enrollment_ids)]
    if not len(given):  # asked of nobody: no questionnaire to learn from
        return None, ()
    question_ids = np.array([pk for pk, _, _ in questions])
    by_id = np.argsort(question_ids)
    columns = by_id[np.searchsorted(question_ids, given[:, 1], sorter=by_id)]
    answers = np.full((len(enrollment_ids), len(questions)), np.nan)
    answers[np.searchsorted(enrollment_ids, given[:, 0]), columns] = given[:, 2]
    return answers, tuple(f"calibration: {post} / {value}" for _, post, value in questions)
