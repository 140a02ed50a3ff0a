"""What reading a study's ratings takes in time and memory, against `pandas.read_sql` on a row-per-rating table.

Both tables lie in one private PostgreSQL and hold the same ratings, filled by COPY. Each reading has a process of its
own, so that its peak memory is its own; modules are imported and the connection is open before the clock starts.
"""

from __future__ import annotations

import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from bench import RUNS, CannotRun, Timing, bench
from tests.services import PrivatePostgres, ServiceError

ROOT = Path(__file__).resolve().parent.parent
STATUS = Path("/proc/self/status")
N_RATERS, POSTS_PER_RATER, N_POSTS, N_VALUES, N_LEVELS = 10_534, 30, 5_211, 19, 7
RATIO_AT_LEAST, PEAK_MB_AT_MOST = 15, 150
ROWS_AT_ONCE = 1 << 14
SLUG = "bench"
SELECT = "SELECT rater, post, value, rating FROM rating"  # what pandas reads


@dataclass(frozen=True)
class Reading:
    """What one reading took; the sum tells whether every rating was read, and at its place."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    n_ratings: int
    weighted_sum: int


@bench("read_vs_read_sql")
def read_vs_read_sql() -> Timing:
    """`load_table` on six million ratings, against `pandas.read_sql` on a row-per-rating table of the same.

    Wall time, the median of RUNS runs in turn. Raises CannotRun without PostgreSQL or /proc, and ValueError when
    the two did not read the same ratings.
    """
    if not STATUS.exists():
        raise CannotRun("The peak memory is read from /proc, which this system does not have.")
    readings: dict[str, list[Reading]] = {"ours": [], "reference": []}
    try:
        with filled_database("bench.reading") as do:
            for _ in range(RUNS):
                for name, each in readings.items():
                    each.append(Reading(**json.loads(do(name))))
    except ServiceError as error:
        raise CannotRun(str(error)) from error
    check_same([reading for each in readings.values() for reading in each])
    wall_s = {name: statistics.median(each.wall_s for each in found) for name, found in readings.items()}
    return Timing(
        ratio=wall_s["reference"] / wall_s["ours"],
        reference="pandas.read_sql over psycopg, a table with a row per rating",
        medians=wall_s,
        more={
            "clock": "wall",
            "ratio_at_least": RATIO_AT_LEAST,
            "peak_mb": {name: max(each.peak_mb for each in found) for name, found in readings.items()},
            "peak_mb_at_most": PEAK_MB_AT_MOST,
            "cpu_s": {
                name: round(statistics.median(each.cpu_s for each in found), 3)
                for name, found in readings.items()
            },
            "n_ratings": readings["ours"][0].n_ratings,
        },
    )


@contextmanager
def filled_database(module: str) -> Iterator[Callable[[str], str]]:
    """Start a private PostgreSQL with Parallax's tables and have `python -m MODULE fill` fill it.

    Yields a function that runs `python -m MODULE NAME` on it, in a process of its own, and returns what that printed.
    """
    with PrivatePostgres() as postgres, tempfile.TemporaryDirectory(prefix="parallax-bench-") as folder:
        surroundings = {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "DJANGO_SETTINGS_MODULE": "config.settings.base",
            "DATABASE_URL": postgres.url,
            "SECRET_KEY": secrets.token_urlsafe(64),
            "VAR_DIR": folder,
        }
        run(["manage.py", "migrate", "-v0"], surroundings)
        run(["-m", module, "fill"], surroundings)
        yield lambda name: run(["-m", module, name], surroundings)


def run(arguments: list[str], environment: dict[str, str]) -> str:
    """Run Python with these arguments; return what it printed. Raises ServiceError with its last words."""
    done = subprocess.run(  # noqa: S603 - our own commands
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
        raise ServiceError(f"`python {' '.join(arguments)}` failed:\n{said}")
    return done.stdout


def check_same(readings: Iterable[Reading]) -> None:
    """Raise ValueError unless all have read all ratings, each of its rater, post and value."""
    found = {(reading.n_ratings, reading.weighted_sum) for reading in readings}
    expected = N_RATERS * POSTS_PER_RATER * N_VALUES
    if len(found) != 1 or next(iter(found))[0] != expected:
        raise ValueError(
            f"the two ways read different ratings (number, weighted sum): {sorted(found)}; all should have read "
            f"{expected}, so timing them means nothing"
        )


def weigh(
    raters: NDArray[Any], posts: NDArray[Any], values: NDArray[Any] | int, ratings: NDArray[Any]
) -> int:
    """Sum of the ratings, each weighted by whose, of what and of which value it is; ids as the database has them."""
    weights = (raters.astype(np.int64) * 31 + posts.astype(np.int64) * 17 + values * 7) % 1009
    return int((weights * ratings).sum())


# --- in a process of its own -------------------------------------------------------------------


def peak_mb() -> float:
    """The most memory this process has held. Unlike getrusage's figure, it does not begin with the parent's."""
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
    return round(int(line.split()[1]) / 1024, 1)


def read_ours() -> Reading:
    """Read the study as a report does."""
    import django

    django.setup()
    from django.db import connection

    from annotation.models import Study
    from modeling.matrices import load_table

    study = Study.objects.select_related("value_system").get(slug=SLUG)
    connection.ensure_connection()
    wall, cpu = time.perf_counter(), time.process_time()
    table = load_table(study)
    wall, cpu, peak = time.perf_counter() - wall, time.process_time() - cpu, peak_mb()
    raters, posts = np.array(table.enrollment_ids)[table.raters], np.array(table.post_ids)[table.posts]
    total = sum(weigh(raters, posts, value, table.stored_ratings[:, value]) for value in range(N_VALUES))
    return Reading(wall, cpu, peak, table.stored_ratings.size, total)


def read_reference() -> Reading:
    """Read the row-per-rating table into a data frame."""
    import pandas as pd

    with psycopg.connect(os.environ["DATABASE_URL"]) as connection, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas has tried other kinds of connection than this one less
        wall, cpu = time.perf_counter(), time.process_time()
        frame = pd.read_sql(SELECT, connection)
        wall, cpu, peak = time.perf_counter() - wall, time.process_time() - cpu, peak_mb()
    rater, post, value, rating = (frame[name].to_numpy() for name in ("rater", "post", "value", "rating"))
    return Reading(wall, cpu, peak, len(frame), weigh(rater, post, value, rating))


def fill() -> None:
    """Store a study whose raters completed it, and the same ratings once more, a row each."""
    import django

    django.setup()
    from django.utils import timezone

    from annotation.models import Enrollment, Outcome, Post, Rater, Study
    from annotation.services import save_value_system
    from modeling.demo import load_default_tree

    study = Study.objects.create(
        slug=SLUG,
        name=SLUG,
        title=SLUG,
        value_system=save_value_system(load_default_tree()),
        posts_per_rater=POSTS_PER_RATER,
        consent={},
    )
    posts = Post.objects.bulk_create(
        Post(study=study, key=f"p{number}", text=f"The words of post {number}.") for number in range(N_POSTS)
    )
    raters = Rater.objects.bulk_create(
        Rater(origin=Rater.Origin.PROLIFIC, external_id=str(number)) for number in range(N_RATERS)
    )
    enrollments = Enrollment.objects.bulk_create(
        Enrollment(study=study, rater=rater, outcome=Outcome.COMPLETED, finished_at=timezone.now())
        for rater in raters
    )
    fill_ratings([enrollment.pk for enrollment in enrollments], [post.pk for post in posts])


def fill_ratings(enrollment_ids: list[int], post_ids: list[int]) -> None:
    """Write the annotations, in an order that is nobody's, and the row-per-rating table."""
    rng = np.random.default_rng(20241)
    chosen = np.concatenate([rng.choice(N_POSTS, POSTS_PER_RATER, replace=False) for _ in enrollment_ids])
    order = rng.permutation(len(chosen))  # as they arrive when many take part at once
    raters = np.repeat(np.array(enrollment_ids), POSTS_PER_RATER)[order]
    posts = np.array(post_ids)[chosen][order]
    ratings = rng.integers(0, N_LEVELS, (len(order), N_VALUES)).astype("<i2")
    vectors = "<i2", (N_VALUES,)
    annotation = np.dtype(
        [
            *(("columns", ">i2"), ("l0", ">i4"), ("rater", ">i8"), ("l1", ">i4"), ("post", ">i8")),
            *(("l2", ">i4"), ("ratings", *vectors), ("l3", ">i4"), ("codes", *vectors)),
            *(("l4", ">i4"), ("opened", "S3"), ("rationale", ">i4"), ("l5", ">i4"), ("at", ">i8")),
        ]
    )
    rating = np.dtype(
        [
            *(("columns", ">i2"), ("l0", ">i4"), ("rater", ">i8"), ("l1", ">i4"), ("post", ">i8")),
            *(("l2", ">i4"), ("value", ">i2"), ("l3", ">i4"), ("rating", ">i2")),
        ]
    )
    lengths = {"columns": 7, "l0": 8, "l1": 8, "l2": 2 * N_VALUES, "l3": 2 * N_VALUES, "l4": 3, "l5": 8}
    columns = {"rater": raters, "post": posts, "ratings": ratings, "codes": 2, "opened": b"\x01[]"}
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        copy_in(
            connection,
            "annotation_annotation (enrollment_id, post_id, ratings, codes, opened, rationale, submitted_at)",
            annotation,
            lengths | columns,
            len(order),
        )
        connection.execute(
            "CREATE TABLE rating (rater bigint NOT NULL, post bigint NOT NULL, value smallint NOT NULL, "
            "rating smallint NOT NULL)"
        )
        for value in range(N_VALUES):
            lengths = {"columns": 4, "l0": 8, "l1": 8, "l2": 2, "l3": 2}
            columns = {"rater": raters, "post": posts, "value": value, "rating": ratings[:, value]}
            copy_in(connection, "rating", rating, lengths | columns, len(order))
        connection.execute("VACUUM ANALYZE")


def copy_in(
    connection: psycopg.Connection, table: str, row: np.dtype[Any], columns: dict[str, Any], n_rows: int
) -> None:
    """Write rows in PostgreSQL's binary form; a column is an array or one thing for all, a field unnamed is 0."""
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {table} FROM STDIN (FORMAT binary)".encode()) as copy,
    ):
        copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
        for start in range(0, n_rows, ROWS_AT_ONCE):
            rows = np.zeros(min(ROWS_AT_ONCE, n_rows - start), row)
            for name, column in columns.items():
                is_array = isinstance(column, np.ndarray)
                rows[name] = column[start : start + ROWS_AT_ONCE] if is_array else column
            copy.write(rows.tobytes())
        copy.write(b"\xff\xff")


if __name__ == "__main__":
    if sys.argv[1] == "fill":
        fill()
    else:
        read = {"ours": read_ours, "reference": read_reference}[sys.argv[1]]
        print(json.dumps(asdict(read())))
