import hashlib
import subprocess
import sys

import numpy as np
import pytest

from annotation.fields import MISSING
from annotation.models import Annotation, Enrollment, Outcome, Post, Rater
from calibration.models import CalibrationAnswer
from modeling import matrices
from modeling.matrices import load_table
from tests.modeling.rated import make_rated_study

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    return make_rated_study(n_posts=6, n_raters=5, per_post=3)


def test_every_number_stands_at_its_rater_post_and_value(study):
    table = load_table(study)
    assert table.value_keys == ("order", "play", "care", "fame")
    assert table.scale == (0, 6)
    assert len(table.ratings) == Annotation.objects.count() == 18
    for rater, post, ratings in zip(table.raters, table.posts, table.ratings, strict=True):
        stored = Annotation.objects.get(
            enrollment_id=table.enrollment_ids[rater], post_id=table.post_ids[post]
        )
        assert tuple(ratings) == stored.ratings
    keys = dict(Post.objects.values_list("pk", "key"))
    assert table.post_keys == tuple(keys[pk] for pk in table.post_ids)
    for rater, row in enumerate(table.answers):
        answers = CalibrationAnswer.objects.filter(enrollment=table.enrollment_ids[rater])
        assert list(row) == list(answers.order_by("question__position").values_list("rating", flat=True))
    assert table.question_names[0] == "calibration: asked / order"


def test_only_those_who_completed_the_study_are_in_it(study):
    left, declined = Enrollment.objects.order_by("pk")[:2]
    Enrollment.objects.filter(pk=left.pk).update(outcome="", finished_at=None)
    Enrollment.objects.filter(pk=declined.pk).update(outcome=Outcome.STUDY_FULL)
    table = load_table(study)
    assert len(table.enrollment_ids) == len(table.answers) == 3
    assert not {left.pk, declined.pk} & set(table.enrollment_ids)
    assert len(table.ratings) == Annotation.objects.exclude(enrollment__in=[left, declined]).count()


def test_posts_that_nobody_rated_and_other_studies_are_not_in_it(study):
    Post.objects.create(study=study, key="unread", text="Nobody read it.")
    make_rated_study(n_posts=4, n_raters=3, per_post=2)
    assert load_table(study).post_keys == ("p0", "p1", "p2", "p3", "p4", "p5")


def test_the_context_of_a_reply_stands_before_its_text(study):
    Post.objects.filter(study=study, key="p1").update(
        text="So true!", context_kind="reply", context_text="Rain."
    )
    assert load_table(study).texts[1] == "Rain.\nSo true!"


def test_a_rating_that_was_not_shown_is_a_gap(study):
    Annotation.objects.filter(pk=Annotation.objects.first().pk).update(ratings=(1, None, 2, None))
    table = load_table(study)
    assert np.isnan(table.ratings).sum() == 2
    np.testing.assert_array_equal(table.stored_ratings == MISSING, np.isnan(table.ratings))
    assert table.as_fit_data().ratings is table.ratings  # made once


def test_rows_go_by_rater_and_post_whatever_order_they_were_stored_in(study):
    rows = list(Annotation.objects.values_list("enrollment_id", "post_id", "ratings"))
    expected = load_table(study)
    Annotation.objects.all().delete()
    Annotation.objects.bulk_create(
        Annotation(enrollment_id=enrollment, post_id=post, ratings=ratings, codes=(2,) * 4)
        for enrollment, post, ratings in reversed(rows)
    )
    table = load_table(study)
    pairs = list(zip(table.raters.tolist(), table.posts.tolist(), strict=True))
    assert pairs == sorted(pairs)
    assert table.data_hash == expected.data_hash


@pytest.mark.parametrize("which", ["first", "last"])
@pytest.mark.parametrize("n_ratings", [0, 3, 5, 38])
def test_a_vector_of_another_length_is_named_and_refused(study, which, n_ratings):
    annotation = getattr(Annotation.objects.order_by("pk"), which)()
    Annotation.objects.filter(pk=annotation.pk).update(ratings=(1,) * n_ratings)
    named = f"post {annotation.post_id} by enrollment {annotation.enrollment_id} holds {2 * n_ratings} bytes"
    with pytest.raises(ValueError, match=named):
        load_table(study)


def test_a_rated_post_of_another_study_is_refused(study):
    stranger = Post.objects.create(study=make_rated_study(n_posts=4, n_raters=3, per_post=2), key="stranger")
    Annotation.objects.filter(pk=Annotation.objects.first().pk).update(post=stranger)
    with pytest.raises(ValueError, match="1 posts .* are of another study"):
        load_table(study)


def test_an_answer_that_was_not_given_is_a_gap(study):
    CalibrationAnswer.objects.filter(pk=CalibrationAnswer.objects.first().pk).delete()
    assert np.isnan(load_table(study).answers).sum() == 1


def test_a_questionnaire_that_nobody_answered_is_none(study):
    CalibrationAnswer.objects.all().delete()
    table = load_table(study)
    assert (table.answers, table.question_names) == (None, ())


def test_an_empty_study_is_an_empty_table(study):
    Annotation.objects.all().delete()
    table = load_table(study)
    assert table.ratings.shape == (0, 4)
    assert table.enrollment_ids == table.post_ids == ()


def test_simulated_raters_are_counted():
    assert load_table(make_rated_study(n_posts=4, n_raters=3, per_post=2)).n_simulated == 0
    simulated = make_rated_study(n_posts=4, n_raters=3, per_post=2, origin=Rater.Origin.SIMULATED)
    assert load_table(simulated).n_simulated == 3


def change_rating():
    annotation = Annotation.objects.first()
    Annotation.objects.filter(pk=annotation.pk).update(
        ratings=((annotation.ratings[0] + 1) % 7, *annotation.ratings[1:])
    )


def change_answer():
    answer = CalibrationAnswer.objects.first()
    CalibrationAnswer.objects.filter(pk=answer.pk).update(rating=answer.rating + 1)


CHANGES = {
    "a rating": change_rating,
    "an answer": change_answer,
    "a text": lambda: Post.objects.filter(key="p1").update(text="Other words."),
    "one rating less": lambda: Annotation.objects.filter(pk=Annotation.objects.last().pk).delete(),
    "one rater less": lambda: Enrollment.objects.filter(pk=Enrollment.objects.last().pk).update(
        outcome="", finished_at=None
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_the_hash_tells_of_any_change_and_of_nothing_else(study, change):
    before = load_table(study).data_hash
    assert load_table(study).data_hash == before
    study.name = "Another name"
    study.save()
    assert load_table(study).data_hash == before
    change()
    assert load_table(study).data_hash != before


def test_the_hash_is_the_same_wherever_the_same_data_is_loaded(study):
    twin = make_rated_study(n_posts=6, n_raters=5, per_post=3)
    assert load_table(twin).data_hash == load_table(study).data_hash


def test_the_hash_is_that_of_the_ratings_as_one_array_of_floats(study, monkeypatch):
    """Fits that are stored were hashed so; in which blocks it is done now does not show."""
    Annotation.objects.filter(pk=Annotation.objects.first().pk).update(ratings=(1, None, 2, None))
    rows = Annotation.objects.order_by("enrollment_id", "post_id").values_list("ratings", flat=True)
    ratings = np.array(list(rows), dtype=np.float64)
    monkeypatch.setattr(matrices, "ROWS_AT_ONCE", 5)
    table = load_table(study)
    digest = hashlib.sha256()
    for part in (table.value_keys, table.scale, table.post_keys, table.texts, table.question_names):
        digest.update(repr(part).encode())
    for array in (table.raters, table.posts, ratings, table.answers):
        digest.update(repr(array.shape).encode() + array.tobytes())
    assert table.data_hash == digest.hexdigest()


def test_who_reads_ratings_loads_no_estimator():
    code = "import django; django.setup(); import modeling.matrices, sys; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_reading_takes_the_same_few_queries_however_many_rows(study, django_assert_num_queries):
    large = make_rated_study(n_posts=20, n_raters=12, per_post=8)
    for each in (study, large):
        load_table(each)  # its value tree is read once per process
        with django_assert_num_queries(5):
            load_table(each)
