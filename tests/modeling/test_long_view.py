import pytest
from django.core.management import call_command
from django.db import connection

from modeling.export.pseudonyms import make_pseudonym
from modeling.long_view import NAME, create, drop
from tests.modeling.export.studies import enroll, export, make_full_study
from tests.modeling.rated import make_rated_study

pytestmark = pytest.mark.django_db


def ask(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def test_the_view_shows_every_rating_as_an_export_does():
    study = make_full_study()
    make_rated_study()  # another study's rows stay apart
    ids = {
        make_pseudonym(public_id): pk for pk, public_id in study.enrollments.values_list("pk", "public_id")
    }
    exported = [
        (ids[row["rater_id"]], row["post_id"], row["value"], row["rating"], row["status"])
        for row in export(study).parquet("ratings_long")
    ]
    shown = ask(
        f"SELECT enrollment_id, post, value, rating, status FROM {NAME} "  # noqa: S608
        f"WHERE study = '{study.slug}' ORDER BY enrollment_id, post, position"
    )
    assert len(shown) == 10 and [tuple(row) for row in shown] == exported


def test_negative_and_large_ratings_are_read_whole():
    study = make_full_study()
    annotation = study.enrollments.first().annotations.get()
    annotation.ratings = (-1, -32767, 32767, 255, 256, None, 0, 1, -256, 300)
    annotation.codes = (1,) * 10
    annotation.save()
    shown = ask(f"SELECT rating, status FROM {NAME} ORDER BY position")  # noqa: S608
    assert [row[0] for row in shown] == list(annotation.ratings)
    assert [row[1] for row in shown].index("not_shown") == 5


def test_the_view_tells_who_came_in_the_pilot():
    study = make_full_study()
    enroll(study, "nobody")
    assert ask(f"SELECT DISTINCT phase, outcome FROM {NAME}") == [("live", "completed")]  # noqa: S608


def test_it_makes_room_for_migrations_and_comes_back():
    drop(using="default")
    drop(using="default")
    call_command("migrate", verbosity=0)
    assert ask(f"SELECT count(*) FROM {NAME}") == [(0,)]  # noqa: S608
    create(using="default")
    assert ask(f"SELECT count(*) FROM {NAME}") == [(0,)]  # noqa: S608
