"""Predictions are stored all or not at all, each pair once, for people and posts that are there."""

import threading
import time

import numpy as np
import pytest
from django.db import connection, transaction
from django.utils import timezone

from annotation.models import Enrollment, Post
from modeling.errors import DataChanged
from modeling.models import FitRun, Prediction
from modeling.predictions import read_predictions, store_predictions
from tests.modeling.bare_fits import N_VALUES, make_fit


@pytest.fixture
def fit_run(db):
    return make_fit()


def pair_up(fit_run, seed=1):
    """All pairs of rater and post in an order that is nobody's, with their predictions."""
    raters = np.array(fit_run.study.enrollments.values_list("pk", flat=True))
    posts = np.array(fit_run.study.posts.values_list("pk", flat=True))
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(raters) * len(posts))
    pairs = np.array([(rater, post) for rater in raters for post in posts])[order]
    return pairs[:, 0], pairs[:, 1], rng.uniform(0, 6, (len(pairs), N_VALUES)).astype(np.float32)


def test_what_is_stored_comes_back_in_the_order_of_raters_and_posts(fit_run):
    raters, posts, ratings = pair_up(fit_run)
    ratings[0, 2] = np.nan
    assert store_predictions(fit_run, raters, posts, ratings) == 12
    stored = read_predictions(fit_run)
    order = np.lexsort((posts, raters))
    np.testing.assert_array_equal(stored.enrollment_ids, raters[order])
    np.testing.assert_array_equal(stored.post_ids, posts[order])
    assert stored.ratings.dtype == np.float32
    np.testing.assert_array_equal(stored.ratings, ratings[order])


def test_a_stored_row_reads_as_any_other(fit_run):
    raters, posts, ratings = pair_up(fit_run)
    store_predictions(fit_run, raters, posts, ratings)
    row = Prediction.objects.get(enrollment=raters[0], post=posts[0])
    assert row.ratings == tuple(ratings[0].tolist())
    assert row.fit_run == fit_run
    assert abs((timezone.now() - row.created_at).total_seconds()) < 60


def test_what_was_predicted_before_is_replaced_and_the_rest_stays(fit_run):
    raters, posts, ratings = pair_up(fit_run)
    store_predictions(fit_run, raters, posts, ratings)
    store_predictions(fit_run, raters[:5], posts[:5], ratings[:5] + 10)
    store_predictions(fit_run, raters[:5], posts[:5], ratings[:5] + 1)
    expected = ratings.copy()
    expected[:5] += 1
    np.testing.assert_array_equal(read_predictions(fit_run).ratings, expected[np.lexsort((posts, raters))])


def test_fits_keep_apart_what_they_predict(fit_run):
    raters, posts, ratings = pair_up(fit_run)
    other = FitRun.objects.create(
        **{
            field: getattr(fit_run, field)
            for field in ("study", "settings", "holdout_post_ids", "feature_names")
        },
        **{
            field: getattr(fit_run, field)
            for field in ("notes", "n_raters", "n_annotations", "has_simulated")
        },
        key="another",
    )
    store_predictions(fit_run, raters, posts, ratings)
    store_predictions(other, raters[:2], posts[:2], ratings[:2] + 1)
    assert len(read_predictions(other).ratings) == 2
    assert read_predictions(fit_run).ratings.max() <= 6


@pytest.mark.parametrize("n_named", [1, 1_500], ids=["few", "many"])
def test_only_the_raters_and_posts_asked_for_are_read(fit_run, n_named):
    raters, posts, ratings = pair_up(fit_run)
    store_predictions(fit_run, raters, posts, ratings)
    unknown = list(range(10**6, 10**6 + n_named))
    found = read_predictions(
        fit_run, enrollment_ids=[int(raters[0]), *unknown], post_ids=[int(posts[0]), *unknown]
    )
    assert (found.enrollment_ids.tolist(), found.post_ids.tolist()) == ([raters[0]], [posts[0]])
    np.testing.assert_array_equal(found.ratings, ratings[:1])
    assert read_predictions(fit_run, enrollment_ids=unknown).ratings.shape == (0, N_VALUES)
    assert read_predictions(fit_run, post_ids=[]).ratings.shape == (0, N_VALUES)


def test_nothing_to_store_stores_nothing(fit_run):
    assert store_predictions(fit_run, [], [], np.empty((0, N_VALUES))) == 0
    assert read_predictions(fit_run).ratings.shape == (0, N_VALUES)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda raters, posts, ratings: (raters, posts[:-1], ratings), "one row for each pair"),
        (lambda raters, posts, ratings: (raters, posts, ratings[:, :3]), r"\(n_pairs, 10\)"),
        (lambda raters, posts, ratings: (raters[0], posts, ratings), "one row for each pair"),
        (lambda raters, posts, ratings: (raters / 1, posts, ratings), "whole numbers, not float64"),
        (
            lambda raters, posts, ratings: (raters[[0, *range(11)]], posts[[0, *range(11)]], ratings),
            "given twice",
        ),
        (lambda raters, posts, ratings: (raters, posts, ratings / 0), "pair 0 is infinite"),
    ],
    ids=["posts", "values", "rater", "floats", "twice", "infinite"],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_malformed_predictions_are_refused_and_nothing_is_stored(fit_run, change, words):
    with pytest.raises(ValueError, match=words):
        store_predictions(fit_run, *change(*pair_up(fit_run)))
    assert not Prediction.objects.exists()


@pytest.mark.parametrize("gone", ["rater", "post", "fit"])
def test_one_who_is_gone_keeps_all_from_being_stored(fit_run, gone):
    raters, posts, ratings = pair_up(fit_run)
    {
        "rater": Enrollment.objects.filter(pk=raters[0]),
        "post": Post.objects.filter(pk=posts[0]),
        "fit": FitRun.objects.filter(pk=fit_run.pk),
    }[gone].delete()
    with pytest.raises(DataChanged, match=f"1 of . {gone}s are not in study 'one'"):
        store_predictions(fit_run, raters, posts, ratings)
    assert not Prediction.objects.exists()


def test_raters_of_another_study_are_not_taken(fit_run):
    other = make_fit(slug="two", system=fit_run.study.value_system)
    raters, _, ratings = pair_up(other)
    with pytest.raises(DataChanged, match="3 of 3 raters are not in study 'one'"):
        store_predictions(fit_run, raters, pair_up(fit_run)[1], ratings)


def test_a_failure_later_in_the_transaction_leaves_what_was_there(fit_run):
    raters, posts, ratings = pair_up(fit_run)
    store_predictions(fit_run, raters, posts, ratings)
    with pytest.raises(RuntimeError), transaction.atomic():
        store_predictions(fit_run, raters, posts, ratings + 1)
        raise RuntimeError
    assert read_predictions(fit_run).ratings.max() <= 6


def test_a_vector_of_another_length_is_named(fit_run):
    raters, posts, ratings = pair_up(fit_run)
    store_predictions(fit_run, raters, posts, ratings)
    Prediction.objects.filter(enrollment=raters[0], post=posts[0]).update(ratings=(1.0, 2.0))
    with pytest.raises(ValueError, match="1 stored predictions .* not one number for each of 10 values"):
        read_predictions(fit_run)


@pytest.mark.servers
@pytest.mark.django_db(transaction=True)
def test_who_is_being_erased_is_waited_for_and_then_missed():
    fit_run = make_fit()
    raters, posts, ratings = pair_up(fit_run)
    caught = []

    def store():
        try:
            store_predictions(fit_run, raters, posts, ratings)
        except DataChanged as error:
            caught.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=store)
    with transaction.atomic():
        Enrollment.objects.select_for_update().get(pk=raters[0])
        thread.start()
        time.sleep(0.3)
        assert not caught
        Enrollment.objects.filter(pk=raters[0]).delete()
    thread.join(10)
    assert len(caught) == 1
    assert not Prediction.objects.exists()
