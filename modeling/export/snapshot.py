"""A study as it is at one moment, and what an export looks up in it again and again."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from django.db import connection, transaction
from django.db.models import QuerySet

from annotation.models import Enrollment, Post, Step, Study, StudyVersion
from annotation.selectors import get_tree
from modeling.inclusion import DEFAULT, InclusionRule, select

from .pseudonyms import make_pseudonym, select_people
from .scopes import EVERYONE

PEOPLE_AT_ONCE = 200
ROWS_AT_ONCE = 2_000

Tick = Callable[[float], None]


@contextmanager
def read_consistently() -> Iterator[None]:
    """Read the database as it is at one moment, whatever others write meanwhile, and write nothing.

    Nobody waits for anybody: on SQLite a plain BEGIN reads one state of the log, where Django's own transactions
    would keep writers out. Inside a transaction that has begun already, that one is used as it is.
    """
    if connection.in_atomic_block:
        yield
    elif connection.vendor == "postgresql":
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield
    else:
        connection.ensure_connection()
        with connection.cursor() as cursor:
            cursor.execute("BEGIN")
            try:
                yield
            finally:
                cursor.execute("ROLLBACK")


@dataclass
class Tally:
    """What is counted while the ratings go by.

    Attributes
    ----------
    statuses : ratings by where they come from, of everyone in the export
    per_person, per_post : annotations by included raters, by their places in the snapshot
    n_included : annotations by included raters
    """

    per_person: np.ndarray
    per_post: np.ndarray
    statuses: Counter[str] = field(default_factory=Counter)
    n_included: int = 0


class Snapshot:
    """A study's people, posts, steps and versions, looked up by id.

    What it holds grows with people and posts, some hundred bytes for each, and not with their ratings.

    Parameters
    ----------
    study : Study
    rule : by which people count as included
    scope : one of `SCOPES`
    tick : called with the share of one pass over the people that was done since the last call
    """

    def __init__(
        self,
        study: Study,
        rule: InclusionRule = DEFAULT,
        scope: str = EVERYONE,
        tick: Tick = lambda share: None,
    ) -> None:
        self.study = study
        self.rule = rule
        self.scope = scope
        self.tick = tick
        self.tree = get_tree(study.value_system)
        self.value_keys = tuple(study.value_keys)
        included = set(select(study, rule).values_list("pk", flat=True))
        everyone = select_people(study).values_list("pk", "public_id").iterator()
        people = [(pk, public) for pk, public in everyone if scope == EVERYONE or pk in included]
        self.enrollment_ids = [pk for pk, _ in people]
        self.place = {pk: place for place, pk in enumerate(self.enrollment_ids)}
        self.rater_ids = pa.array([make_pseudonym(public) for _, public in people], pa.string())
        self.is_included = np.array([pk in included for pk in self.enrollment_ids], dtype=np.bool_)
        posts = list(Post.objects.filter(study=study).order_by("pk").values_list("pk", "key").iterator())
        self.post_place = {pk: place for place, (pk, _) in enumerate(posts)}
        self.post_keys = [key for _, key in posts]
        self.steps = {
            pk: (position, kind)
            for pk, position, kind in Step.objects.filter(study=study).values_list("pk", "position", "kind")
        }
        self.versions = dict(StudyVersion.objects.filter(study=study).values_list("pk", "number"))
        self.tally = Tally(np.zeros(len(people), dtype=np.int64), np.zeros(len(posts), dtype=np.int64))

    @property
    def people(self) -> QuerySet[Enrollment]:
        return Enrollment.objects.filter(study=self.study)

    def rater(self, enrollment_id: int) -> str:
        return self.rater_ids[self.place[enrollment_id]].as_py()

    def post(self, post_id: int) -> str:
        return self.post_keys[self.post_place[post_id]]

    def version(self, version_id: int | None) -> int | None:
        return self.versions.get(version_id)

    def by_person(
        self, rows: QuerySet, *columns: Any, order: Sequence[str], at: str = "enrollment_id"
    ) -> Iterator[tuple]:
        """Yield rows that belong to people, person by person in the order in which they came.

        The database sorts what belongs to a few hundred people at a time and hands it over in pieces.
        """
        n_people = len(self.enrollment_ids)
        for begin in range(0, n_people, PEOPLE_AT_ONCE):
            ids = self.enrollment_ids[begin : begin + PEOPLE_AT_ONCE]
            of_these = rows.filter(**{f"{at}__in": ids}).order_by(at, *order)
            yield from of_these.values_list(at, *columns).iterator(chunk_size=ROWS_AT_ONCE)
            self.tick(len(ids) / n_people)
