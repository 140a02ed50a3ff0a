import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeling.estimators.splitting import deal_folds, hold_out_posts


@given(st.integers(2, 60), st.floats(0.001, 0.999), st.integers(0, 99))
def test_the_holdout_has_its_share_and_neither_side_is_ever_empty(n_posts, share, seed):
    held_out = hold_out_posts(n_posts, share, rng=np.random.default_rng(seed))
    assert held_out.shape == (n_posts,)
    assert 1 <= held_out.sum() <= n_posts - 1
    assert abs(held_out.sum() - share * n_posts) <= 1


def test_every_post_is_as_likely_to_be_held_out():
    rng = np.random.default_rng(0)
    counts = np.sum([hold_out_posts(5, 0.4, rng=rng) for _ in range(2000)], axis=0)
    assert np.abs(counts - 800).max() < 100  # 4.5 standard deviations


def test_the_same_state_draws_the_same_holdout_and_another_state_another():
    def draw(seed):
        return hold_out_posts(40, 0.3, rng=np.random.default_rng(seed)).tolist()

    assert draw(1) == draw(1) != draw(2)


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan")])
def test_a_share_that_leaves_a_side_empty_is_refused(share):
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        hold_out_posts(10, share, rng=np.random.default_rng(0))


def test_one_post_cannot_be_both_fitted_to_and_held_out():
    with pytest.raises(ValueError, match="at least two posts, not 1"):
        hold_out_posts(1, 0.5, rng=np.random.default_rng(0))


@given(st.integers(0, 60), st.integers(2, 12), st.integers(0, 99))
def test_folds_differ_in_size_by_one_at_most(n_units, n_folds, seed):
    folds = deal_folds(n_units, n_folds, rng=np.random.default_rng(seed))
    sizes = np.bincount(folds, minlength=n_folds)
    assert (len(sizes), sizes.sum()) == (n_folds, n_units)
    assert sizes.max() - sizes.min() <= 1


def test_fewer_than_two_folds_are_refused():
    with pytest.raises(ValueError, match="at least two folds, not 1"):
        deal_folds(10, 1, rng=np.random.default_rng(0))
