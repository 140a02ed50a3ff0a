import numpy as np
import pytest

from modeling.estimators.members.base import Rows
from modeling.estimators.members.forest import Forest, round_consensus, unpack
from modeling.estimators.members.history import mean_residuals

NAN = np.nan


def draw_rows(n_raters=30, n_posts=40, per_rater=12, n_questions=3, seed=0):
    """Ratings of two values: the consensus, plus what each rater adds to the second, which their answers tell."""
    rng = np.random.default_rng(seed)
    consensus = rng.integers(0, 7, (n_posts, 2)).astype(float)
    answers = rng.integers(0, 7, (n_raters, n_questions)).astype(float)
    raters = np.repeat(np.arange(n_raters), per_rater)
    posts = np.concatenate([rng.permutation(n_posts)[:per_rater] for _ in range(n_raters)])
    added = answers.sum(axis=1) if n_questions else rng.normal(0, 3, n_raters)
    leaning = np.column_stack([np.zeros(n_raters), added - added.mean()])
    ratings = np.clip(np.round(consensus[posts] + leaning[raters] / 2), 0, 6)
    return Rows(consensus[posts], ratings, raters, posts, answers, (0, 6))


def take(rows, kept):
    return Rows(
        rows.consensus[kept], rows.ratings[kept], rows.raters[kept], rows.posts[kept], rows.answers, (0, 6)
    )


def judge(rows, *, history=True, **settings):
    """Mean absolute error of each value on posts that were not fitted to."""
    kept = rows.posts < 30
    fitted = Forest(n_trees=60, **settings).fit(take(rows, kept), history=history, seed=1)
    vectors = fitted.known if history else fitted.describe(rows.answers)
    said = fitted.predict(rows.consensus[~kept], vectors[rows.raters[~kept]])
    assert 0 <= said.min() <= said.max() <= 6
    return np.abs(said - rows.ratings[~kept]).mean(axis=0)


def test_what_answers_tell_is_learnt():
    rows = draw_rows(n_raters=60, per_rater=20)
    assert judge(rows)[1] < 0.8 * judge(rows, sees="post")[1]


def test_with_answers_known_raters_and_new_ones_are_described_alike():
    rows = draw_rows()
    fitted = Forest(n_trees=5).fit(rows, history=True, seed=1)
    np.testing.assert_array_equal(fitted.known, fitted.describe(rows.answers))


def test_without_answers_a_raters_other_ratings_stand_in():
    rows = draw_rows(n_raters=60, per_rater=20, n_questions=0)
    knows, does_not = (judge(rows, history=history, max_features=1.0)[1] for history in (True, False))
    assert knows < 0.8 * does_not
    assert Forest(n_trees=2).fit(rows, history=False, seed=1).known is None


@pytest.mark.parametrize("history", [True, False])
@pytest.mark.parametrize("n_questions", [0, 3])
def test_all_pairs_hold_the_numbers_of_single_ones(history, n_questions):
    rows = draw_rows(n_questions=n_questions)
    fitted = Forest(n_trees=6).fit(rows, history=history, seed=2)
    vectors = fitted.known if history else fitted.describe(rows.answers)
    consensus = np.vstack([rows.consensus[:20] + 0.3, np.full((1, 2), NAN)])
    for value in range(2):
        scores = fitted.score_all(value, consensus, vectors)
        assert scores.shape == (30, 21)
        for rater in (0, 17):
            pairs = fitted.predict(consensus, np.repeat(vectors[[rater]], 21, axis=0))
            np.testing.assert_array_equal(scores[rater], pairs[:, value].astype(np.float32))


def test_values_fitted_apart_are_those_fitted_together_and_survive_their_files():
    rows = draw_rows()
    whole = Forest(n_trees=5).fit(rows, history=True, seed=3)
    parts = [Forest(n_trees=5, values=[value]).fit(rows, history=True, seed=3) for value in range(2)]
    assert np.isnan(parts[0].predict(rows.consensus, whole.known[rows.raters])[:, 1]).all()
    joined = unpack(parts[0].pack() | parts[1].pack())
    np.testing.assert_array_equal(
        joined.predict(rows.consensus, joined.known[rows.raters]),
        whole.predict(rows.consensus, whole.known[rows.raters]),
    )


def test_controls_are_blind_to_what_they_must_not_see():
    rows = draw_rows()
    for sees, consensus_matters, person_matters in [
        ("post", True, False),
        ("person", False, True),
        ("both", True, True),
    ]:
        fitted = Forest(n_trees=10, sees=sees).fit(rows, history=True, seed=1)
        said = fitted.predict(rows.consensus, fitted.known[rows.raters])
        other_post = fitted.predict(6 - rows.consensus, fitted.known[rows.raters])
        other_person = fitted.predict(rows.consensus, 6 - fitted.known[rows.raters])
        assert np.array_equal(said, other_post) != consensus_matters
        assert np.array_equal(said, other_person) != person_matters


def test_persons_permuted_over_the_rows_tell_nothing_of_anyone():
    rows = draw_rows(n_raters=60, per_rater=20)
    both, post, permuted = (judge(rows, sees=sees)[1] for sees in ("both", "post", "permuted"))
    assert both < 0.8 * post
    assert permuted > 0.98 * post


def test_threads_change_no_bit_and_seeds_do():
    rows = draw_rows()
    one, again, other = (
        Forest(n_trees=8).fit(rows, history=True, seed=seed, n_threads=n_threads)
        for seed, n_threads in [(1, 1), (1, 4), (2, 1)]
    )
    said = [each.predict(rows.consensus, rows.answers[rows.raters]) for each in (one, again, other)]
    np.testing.assert_array_equal(said[0], said[1])
    assert not np.array_equal(said[0], said[2])


def test_a_value_without_ratings_is_left_out_and_one_with_some_is_fitted_to_those():
    rows = draw_rows()
    rows.ratings[:, 0] = NAN
    rows.ratings[:100, 1] = NAN
    fitted = Forest(n_trees=4).fit(rows, history=True, seed=1)
    said = fitted.predict(rows.consensus, rows.answers[rows.raters])
    assert np.isnan(said[:, 0]).all() and not np.isnan(said[:, 1]).any()
    assert np.isnan(fitted.score_all(0, rows.consensus[:3], rows.answers)).all()
    later = take(rows, np.arange(len(rows.posts)) >= 100)
    again = Forest(n_trees=4).fit(later, history=True, seed=1)
    np.testing.assert_array_equal(again.predict(rows.consensus, rows.answers[rows.raters])[:, 1], said[:, 1])


def test_importances_are_shares():
    fitted = Forest(n_trees=10).fit(draw_rows(), history=True, seed=1)
    shares = fitted.importances()
    assert shares.shape == (2, 5)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert shares[0, 0] > 0.8  # the first value is its consensus


@pytest.mark.parametrize(
    ("consensus", "scale", "rounded"),
    [
        ([0, 3, 6], (0, 6), [0, 3, 6]),
        ([1.06, 1.07], (0, 6), [1.0, 1.125]),
        ([50.4, NAN], (0, 100), [50, NAN]),
        ([1.3], (0, 1), [83 / 64]),
    ],
)
def test_the_consensus_is_read_in_steps_in_which_whole_numbers_are_exact(consensus, scale, rounded):
    np.testing.assert_array_equal(round_consensus(np.array(consensus), scale), rounded)


def test_no_row_is_told_its_own_rating_by_its_raters_history():
    rows = draw_rows(n_questions=0)
    before, _ = mean_residuals(rows, seed=5)
    for row in (0, 111, 250):
        rows.ratings[row] = 6 - rows.ratings[row]
        after, of_raters = mean_residuals(rows, seed=5)
        np.testing.assert_array_equal(after[row], before[row])
        assert not np.array_equal(after, before)
        before = after
    assert of_raters.shape == (30, 2)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda arrays: arrays.pop("n_values"), "no forests of values"),
        (lambda arrays: arrays.update(n_values=np.array(1)), r"forests of \[0, 1\] for 1 values"),
        (lambda arrays: arrays.update(scale=np.array([0])), "no forests of values"),
        (lambda arrays: arrays["1/cuts"].fill(255), "cuts must be"),
    ],
)
def test_damaged_files_are_refused(damage, message):
    arrays = dict(Forest(n_trees=3).fit(draw_rows(), history=True, seed=1).pack())
    damage(arrays)
    with pytest.raises(ValueError, match=message):
        unpack(arrays)


def test_residuals_are_means_over_the_other_half_and_over_both_for_any_other_post():
    rows = draw_rows(n_raters=4, n_posts=8, per_rater=8, n_questions=0)
    rows.ratings[:, 0] += np.arange(32) % 5  # no two halves of a rater are alike
    residuals = rows.ratings - rows.consensus
    per_row, per_rater = mean_residuals(rows, seed=3)
    for rater in range(4):
        mine = rows.raters == rater
        np.testing.assert_allclose(per_rater[rater], residuals[mine].mean(axis=0))
        halves = np.unique(per_row[mine], axis=0)
        assert len(halves) == 2
        for half in halves:  # those who are shown this half lie in the other one
            shown_others = np.flatnonzero(mine)[(per_row[mine] != half).any(axis=1)]
            np.testing.assert_allclose(residuals[shown_others].mean(axis=0), half)


def test_a_rater_without_a_post_in_the_other_half_has_gaps_and_no_warning(recwarn):
    rows = Rows(
        consensus=np.array([[1.0]]),
        ratings=np.array([[2.0]]),
        raters=np.array([0]),
        posts=np.array([7]),
        answers=np.empty((2, 0)),
        scale=(0, 6),
    )
    per_row, per_rater = mean_residuals(rows, seed=0)
    np.testing.assert_array_equal(per_row, [[NAN]])
    np.testing.assert_array_equal(per_rater, [[1], [NAN]])
    assert not list(recwarn)
