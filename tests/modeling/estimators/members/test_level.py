import numpy as np
import pytest

from modeling.estimators.members.base import Rows
from modeling.estimators.members.level import Level, unpack
from modeling.stats.spearman import spearman_rows

NAN = np.nan


def draw_rows(n_raters=40, n_posts=30, per_rater=10, n_questions=3, spread=1.0, seed=0):
    """Raters who differ in nothing but their level, which the first answer tells; returns rows and levels."""
    rng = np.random.default_rng(seed)
    consensus = rng.uniform(1, 5, (n_posts, 4))
    levels = rng.normal(0, spread, n_raters)
    answers = np.column_stack([levels, *rng.normal(size=(max(n_questions - 1, 0), n_raters))])[
        :, :n_questions
    ]
    raters = np.repeat(np.arange(n_raters), per_rater)
    posts = np.concatenate([rng.permutation(n_posts)[:per_rater] for _ in range(n_raters)])
    ratings = consensus[posts] + levels[raters, None] + rng.normal(0, 1, (len(posts), 4))
    rows = Rows(consensus[posts], np.clip(np.round(ratings), 0, 6), raters, posts, answers, (0, 6))
    return rows, levels


@pytest.mark.parametrize("history", [True, False])
def test_levels_are_found_from_ratings_or_foretold_by_answers(history):
    rows, levels = draw_rows()
    fitted = Level().fit(rows, history=history, seed=0)
    shares = fitted.known if history else fitted.describe(rows.answers)
    assert np.corrcoef(shares[:, 0], levels)[0, 1] > 0.95
    predicted = fitted.predict(rows.consensus, shares[rows.raters])
    assert np.abs(predicted - rows.ratings).mean() < 0.9 * np.abs(rows.consensus - rows.ratings).mean()


def test_ranks_are_those_of_the_consensus_and_predictions_stay_on_the_scale():
    rows, _ = draw_rows(spread=4)
    fitted = Level().fit(rows, history=True, seed=0)
    consensus = np.clip(rows.consensus * 1.5 - 1.5, 0, 6)
    predicted = fitted.predict(consensus, fitted.known[rows.raters])
    assert 0 <= predicted.min() <= predicted.max() <= 6
    np.testing.assert_array_equal(
        spearman_rows(predicted, rows.ratings), spearman_rows(consensus, rows.ratings)
    )


def test_few_posts_are_believed_less_than_many():
    rows, _ = draw_rows(n_questions=0)
    few = np.arange(len(rows.raters)) % 10 < np.where(rows.raters < 20, 1, 10)
    kept = Rows(
        rows.consensus[few], rows.ratings[few], rows.raters[few], rows.posts[few], rows.answers, rows.scale
    )
    fitted = Level().fit(kept, history=True, seed=0)
    residuals = kept.ratings.mean(axis=1) - kept.consensus.mean(axis=1)
    means = np.bincount(kept.raters, residuals) / np.bincount(kept.raters)
    slopes = [np.polyfit(means[some], fitted.known[some, 0], 1)[0] for some in (slice(0, 20), slice(20, 40))]
    assert 0 < slopes[0] < slopes[1]


def test_people_who_do_not_differ_are_left_where_the_consensus_is():
    rows, _ = draw_rows(spread=0, n_questions=0)
    fitted = Level().fit(rows, history=True, seed=0)
    assert np.abs(fitted.known).max() < 0.05


def test_without_answers_new_raters_are_average_ones_and_gaps_are_mean_answers():
    rows, _ = draw_rows(n_questions=0)
    fitted = Level().fit(rows, history=False, seed=0)
    assert fitted.known is None
    assert len(np.unique(fitted.describe(np.empty((5, 0))))) == 1
    rows, _ = draw_rows()
    fitted = Level().fit(rows, history=False, seed=0)
    np.testing.assert_allclose(
        fitted.describe(np.full((1, 3), NAN)), fitted.describe(rows.answers.mean(axis=0)[None])
    )


def test_missing_numbers_are_left_out_and_a_rater_without_rows_is_foretold():
    rows, levels = draw_rows()
    rows.ratings[::3, 1] = NAN
    rows.consensus[::5] = NAN
    kept = rows.raters > 0
    fitted = Level().fit(
        Rows(
            rows.consensus[kept],
            rows.ratings[kept],
            rows.raters[kept],
            rows.posts[kept],
            rows.answers,
            (0, 6),
        ),
        history=True,
        seed=0,
    )
    assert np.isfinite(fitted.known).all()
    assert np.corrcoef(fitted.known[:, 0], levels)[0, 1] > 0.9
    np.testing.assert_allclose(fitted.known[0], fitted.describe(rows.answers[:1])[0])
    assert np.isnan(fitted.predict(np.array([[1, NAN, 2, 3]]), fitted.known[:1])).tolist() == [
        [False, True, False, False]
    ]


def test_all_pairs_are_the_single_predictions_and_survive_the_file():
    rows, _ = draw_rows()
    fitted = unpack(Level().fit(rows, history=True, seed=0).pack())
    scores = fitted.score_all(2, rows.consensus[:7], fitted.known)
    assert scores.shape == (40, 7) and scores.dtype == np.float32
    for rater in (0, 39):
        single = fitted.predict(rows.consensus[:7], np.repeat(fitted.known[[rater]], 7, axis=0))
        np.testing.assert_allclose(scores[rater], single[:, 2], atol=1e-6)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda arrays: arrays.pop("line"), "no levels"),
        (lambda arrays: arrays.update(spread=np.zeros(3)), "above zero"),
        (lambda arrays: arrays.update(slopes=np.zeros(2)), "one number for each question"),
        (lambda arrays: arrays.update(known=np.full((40, 1), 3.0)), "from -1 to 1"),
    ],
)
def test_damaged_files_are_refused(damage, message):
    arrays = dict(Level().fit(draw_rows()[0], history=True, seed=0).pack())
    damage(arrays)
    with pytest.raises(ValueError, match=message):
        unpack(arrays)
