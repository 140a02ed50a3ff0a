import numpy as np
import pytest

from modeling.softlabels.mixing import (
    check_distributions,
    count_ratings,
    from_grains,
    mix,
    share_out,
    to_grains,
)

NAN = np.nan
POINTS = np.arange(4)


def test_ratings_become_the_shares_in_which_they_were_given():
    samples = np.array([[[0.0, 3.0]], [[0.0, 2.0]], [[1.0, NAN]], [[0.0, NAN]]])

    shares = share_out(count_ratings(samples, POINTS))

    assert shares.tolist() == [[[0.75, 0.25, 0, 0], [0, 0, 0.5, 0.5]]]


def test_a_rating_between_two_points_counts_for_both_by_nearness():
    counts = count_ratings([[[1.25, 3.0, 0.0]]], POINTS)

    assert counts[0].tolist() == [[0, 0.75, 0.25, 0], [0, 0, 0, 1], [1, 0, 0, 0]]
    assert count_ratings([[[2.0]]], [0, 1, 5]).tolist() == [[[0, 0.75, 0.25]]]


def test_smoothing_is_added_to_each_point_but_invents_nothing_where_nobody_rated():
    shares = share_out([[2.0, 0, 0, 0], [0, 0, 0, 0]], smoothing=0.5)

    assert shares[0] == pytest.approx([0.625, 0.125, 0.125, 0.125])
    assert np.isnan(shares[1]).all()


@pytest.mark.parametrize("rating", [-0.01, 3.5])
def test_a_rating_off_the_scale_is_refused(rating):
    with pytest.raises(ValueError, match="off the scale from 0 to 3"):
        count_ratings([[[rating]]], POINTS)


def test_sources_are_mixed_by_their_weights():
    mixed = mix([[[[1, 0]]], [[[0, 1]]]], [3, 1])

    assert mixed.distributions[0, 0] == pytest.approx([0.75, 0.25])
    assert mixed.n_effective[0, 0] == pytest.approx(1.6)
    assert mixed.n_sources[0, 0] == 2


def test_a_source_that_is_silent_moves_nothing_and_nobody_at_all_leaves_a_gap_that_is_counted():
    silent = [NAN, NAN]
    mixed = mix([[[[0.2, 0.8], silent]], [[silent, silent]]], [1, 100])

    assert mixed.distributions[0, 0] == pytest.approx([0.2, 0.8])
    assert np.isnan(mixed.distributions[0, 1]).all()
    assert mixed.n_without == 1
    assert mixed.n_effective.tolist() == [[1, 0]]


@pytest.mark.parametrize(
    ("sources", "weights", "message"),
    [
        ([[[[1, 0]]]], [1, 1], "one weight per source"),
        ([[[[1, 0]]]], [0], "above 0"),
        ([[[[1, 0]]]], [NAN], "above 0"),
        ([[[[0.4, 0.4]]]], [1], "no distribution"),
        ([[[[1.5, -0.5]]]], [1], "no distribution"),
    ],
    ids=["shape", "zero", "nan", "sum", "negative"],
)
def test_what_cannot_be_mixed_is_refused(sources, weights, message):
    with pytest.raises(ValueError, match=message):
        mix(sources, weights)


def test_small_misses_of_a_sum_are_mended():
    assert check_distributions([0.3334, 0.3334, 0.3334]).sum() == pytest.approx(1, abs=1e-6)


def test_a_stored_distribution_comes_back_to_within_a_grain():
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(7) * 0.3, size=(50, 4)).astype(np.float32)
    shares[3, 2] = NAN

    again = from_grains(to_grains(shares))

    assert np.isnan(again[3, 2]).all()
    assert np.nanmax(np.abs(again - shares)) < 1e-4
    assert np.nansum(again, axis=2)[0] == pytest.approx(np.ones(4), abs=1e-5)
    assert from_grains(to_grains([0.25, 0.75])) == pytest.approx([0.25, 0.75], abs=1e-5)
