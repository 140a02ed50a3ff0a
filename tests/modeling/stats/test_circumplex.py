import csv
import json
import warnings
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from scipy.spatial import procrustes

from modeling.stats.circumplex import (
    angular_distance,
    compare_directions,
    direction,
    fit_circle,
    order_correlation,
    theoretical_angles,
    value_correlations,
)

NAN = float("nan")
DATA = Path(__file__).parents[2] / "data"
FROM_R = json.loads((DATA / "reference_statistics.json").read_text())["r"]


@pytest.fixture(autouse=True)
def no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture(scope="module")
def reference_ratings():
    with (DATA / "reference_ratings.csv").open() as file:
        return np.array(
            [[float(row[f"value_{v}"] or NAN) for v in range(1, 7)] for row in csv.DictReader(file)]
        )


def rng(seed=0):
    return np.random.default_rng(seed)


def sparse_ratings(seed, n_values=5):
    random = rng(seed)
    ratings = random.integers(0, 4, (25, n_values)).astype(float)
    ratings[random.random(ratings.shape) < 0.3] = NAN
    return ratings


def circle_correlations(angles_deg):
    angles = np.radians(angles_deg)
    return np.cos(np.subtract.outer(angles, angles))


def test_pearson_between_values_equals_r_over_complete_pairs(reference_ratings):
    found = value_correlations(reference_ratings, "pearson")
    assert_allclose(found.correlations, FROM_R["correlations"], atol=1e-12)
    present = (~np.isnan(reference_ratings)).astype(int)
    assert_array_equal(found.n_rows, present.T @ present)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("method", ["spearman", "pearson"])
def test_correlations_of_sparse_ratings_equal_scipy(seed, whole, method):
    ratings = sparse_ratings(seed) if whole else sparse_ratings(seed) / 3 - 0.1
    theirs = {"spearman": stats.spearmanr, "pearson": stats.pearsonr}[method]
    found = value_correlations(ratings, method)
    for a in range(5):
        for b in range(5):
            both = ~np.isnan(ratings[:, a]) & ~np.isnan(ratings[:, b])
            expected = theirs(ratings[both, a], ratings[both, b]).statistic
            assert found.correlations[a, b] == pytest.approx(expected, abs=1e-12)
            assert found.n_rows[a, b] == both.sum()


def test_correlations_do_not_depend_on_the_order_of_rows_or_the_origin_of_the_scale():
    ratings = sparse_ratings(11)
    before = value_correlations(ratings).correlations
    assert_allclose(value_correlations(rng().permutation(ratings) - 3).correlations, before, atol=1e-12)


def test_values_without_a_correlation_say_why():
    found = value_correlations(
        [[1, 2, NAN, 0, 1], [2, 2, NAN, 5, NAN], [4, 2, NAN, 3, 1], [1, 2, NAN, NAN, 3]]
    )
    assert found.reasons == (
        "",
        "every rating of this value is the same",
        "no row has a rating of this value",
        "",
        "",
    )
    assert np.isnan(found.correlations[1]).all()
    assert found.n_rows[1, 0] == 4
    lonely = value_correlations([[1, NAN], [2, NAN], [NAN, 1], [NAN, 2]])
    assert lonely.reasons == ("no other value varies together with this one",) * 2
    assert_array_equal(lonely.correlations, [[1, NAN], [NAN, 1]])


def test_plane_of_reference_ratings_equals_cmdscale_of_r(reference_ratings):
    expected = FROM_R["cmdscale"]["chord"]
    found = fit_circle(FROM_R["correlations"])
    theirs = np.array(expected["points"])
    # Turned, moved and scaled as a whole: distances keep their proportions.
    ours_apart, theirs_apart = (
        np.linalg.norm(points[:, np.newaxis] - points, axis=2) for points in (found.points, theirs)
    )
    assert_allclose(ours_apart / ours_apart.sum(), theirs_apart / theirs_apart.sum(), atol=1e-9)
    positive = np.array(expected["eigenvalues"])
    positive = positive[positive > 1e-9]
    assert found.explained == pytest.approx(positive[:2].sum() / positive.sum(), abs=1e-9)
    chords = np.sqrt(2 * (1 - np.array(FROM_R["correlations"])))
    assert found.stress == pytest.approx(
        np.sqrt(np.square(theirs_apart - chords).sum() / np.square(theirs_apart).sum()), abs=1e-9
    )


@pytest.mark.parametrize("n_values", [3, 4, 19])
def test_a_perfect_circle_is_found_again(n_values):
    found = fit_circle(circle_correlations(theoretical_angles(n_values)))
    assert_allclose(found.errors_deg, 0, atol=1e-6)
    assert_allclose(np.linalg.norm(found.points, axis=1), 1, atol=1e-9)
    assert found.congruence == pytest.approx(1)
    assert found.stress == pytest.approx(0, abs=1e-9)
    assert found.explained == pytest.approx(1)
    assert (found.n_values, found.reason) == (n_values, "")


@pytest.mark.parametrize("turn", [-1, 1])
def test_errors_are_those_of_values_off_their_place_however_the_plane_is_turned(turn):
    shifts = np.array([0, 9, 0, 0, -9, 0, 5, 0, 0, 0, 0, -5.0])
    placed = theoretical_angles(12) + shifts
    found = fit_circle(circle_correlations(turn * placed + 77))
    # Seen from the centre of the points, which the shifts move a little.
    assert_allclose(found.errors_deg, shifts, atol=0.5)
    assert_allclose(found.errors_deg, fit_circle(circle_correlations(placed)).errors_deg, atol=1e-6)
    assert found.mean_error_deg == pytest.approx(np.abs(found.errors_deg).mean())


def test_congruence_equals_scipy_procrustes():
    random = rng(2)
    r = np.corrcoef(random.normal(size=(30, 8)), rowvar=False)
    found = fit_circle(r)
    angles = np.radians(theoretical_angles(8))
    disparity = procrustes(np.column_stack([np.cos(angles), np.sin(angles)]), found.points)[2]
    assert found.congruence == pytest.approx(np.sqrt(1 - disparity), abs=1e-9)


def test_values_in_another_order_fit_the_circle_worse():
    r = circle_correlations(theoretical_angles(19))
    order = rng(1).permutation(19)
    assert fit_circle(r[np.ix_(order, order)]).congruence < 0.6
    assert fit_circle(r[np.ix_(order, order)]).stress == pytest.approx(0, abs=1e-9)


def test_values_without_correlations_are_left_out_and_the_others_keep_their_places():
    r = circle_correlations(theoretical_angles(8))
    r[2], r[:, 2], r[3, 4], r[4, 3] = NAN, NAN, NAN, NAN
    found = fit_circle(r)
    kept = [0, 1, 3, 5, 6, 7]
    assert found.n_values == 6
    assert_allclose(found.errors_deg[kept], 0, atol=1e-6)
    assert np.isnan(found.points[[2, 4]]).all()
    assert [place for place, reason in enumerate(found.reasons) if reason] == [2, 4]


@pytest.mark.parametrize(
    ("correlations", "reason"),
    [([[1]], "1 value"), ([[1, 0.5], [0.5, 1]], "2 value"), (np.ones((4, 4)), "share one place")],
    ids=["one", "two", "identical"],
)
def test_without_three_values_apart_there_is_no_plane(correlations, reason):
    found = fit_circle(correlations)
    assert np.isnan([found.stress, found.congruence, found.mean_error_deg]).all()
    assert np.isnan(found.points).all()
    assert reason in found.reason


def test_order_correlation_equals_scipy_over_pairs_and_all_permutations():
    r = np.corrcoef(
        rng(5).normal(size=(9, 6)) + circle_correlations(theoretical_angles(6))[[0, 1, 2, 3, 4, 5, 0, 2, 4]]
    )[:6, :6]
    first, second = np.triu_indices(6, 1)
    steps = np.minimum(second - first, 6 - (second - first))
    found = order_correlation(r, rng=rng(), n_permutations=4000)
    assert found.rho == pytest.approx(stats.spearmanr(steps, -r[first, second]).statistic, abs=1e-12)
    dealt = np.zeros((6, 6))
    dealt[first, second] = dealt[second, first] = steps
    rhos = [
        stats.spearmanr(dealt[np.ix_(order, order)][first, second], -r[first, second]).statistic
        for order in list(permutations(range(6)))[::3]
    ]
    exact = np.mean(np.array(rhos) >= found.rho - 1e-9)
    assert found.p == pytest.approx(exact, abs=0.05)


def test_order_of_a_perfect_circle_is_found_and_is_unlikely_by_chance():
    found = order_correlation(circle_correlations(theoretical_angles(10)), rng=rng(), n_permutations=199)
    assert found.rho == pytest.approx(1)
    assert found.p == pytest.approx(1 / 200)
    assert (found.n_pairs, found.n_values) == (45, 10)


def test_p_of_random_correlations_is_uniform():
    p = [
        order_correlation(np.corrcoef(rng(seed).normal(size=(7, 12))), rng=rng(seed), n_permutations=99).p
        for seed in range(60)
    ]
    assert stats.kstest(p, "uniform").pvalue > 0.01


@pytest.mark.parametrize(
    ("correlations", "reason"),
    [(np.eye(3), "3 value"), (np.eye(5), "equally far apart")],
    ids=["three", "equal"],
)
def test_order_that_means_nothing_says_why(correlations, reason):
    found = order_correlation(correlations, rng=rng())
    assert np.isnan([found.rho, found.p]).all()
    assert reason in found.reason


def test_direction_of_the_roulette_data_of_mardia():
    # Mardia (1972), Statistics of Directional Data, Example 2.1: mean direction 51 degrees, resultant length 0.711.
    stops = [43, 45, 52, 61, 75, 88, 279, 357]
    found = direction([[1, 1, 1, 1, 1, 2, 1, 1]], stops)
    assert found.angles_deg[0] == pytest.approx(51, abs=0.5)
    assert found.lengths[0] == pytest.approx(0.711, abs=5e-4)


@pytest.mark.parametrize("seed", range(5))
def test_direction_equals_scipy_with_each_value_repeated_by_its_rating(seed):
    ratings = rng(seed).integers(0, 5, (8, 7))
    angles = theoretical_angles(7)
    found = direction(ratings, angles)
    for row, angle, length in zip(ratings, found.angles_deg, found.lengths, strict=True):
        repeated = np.repeat(angles, row)
        away = angular_distance(angle, stats.circmean(repeated, high=360))
        assert away == pytest.approx(0, abs=1e-6)
        assert length == pytest.approx(1 - stats.circvar(repeated, high=360), abs=1e-9)


def test_rows_without_a_direction_are_counted():
    found = direction([[0, 0, 0, 0], [2, 2, 2, 2], [1, NAN, 0, 0], [0, 3, 0, 0]], theoretical_angles(4))
    assert_allclose(found.angles_deg, [NAN, NAN, NAN, 90])
    assert_allclose(found.lengths, [0, 0, NAN, 1], atol=1e-9)
    assert (found.n_gaps, found.n_undirected) == (1, 2)


def test_direction_does_not_depend_on_how_much_of_the_scale_a_rater_uses():
    ratings = rng(3).integers(0, 3, (20, 6))
    once, thrice = (direction(ratings * times, theoretical_angles(6)) for times in (1, 3))
    assert_allclose(angular_distance(once.angles_deg, thrice.angles_deg), 0 * once.angles_deg, atol=1e-9)
    assert_allclose(once.lengths, thrice.lengths, atol=1e-12)


def test_angular_distance_takes_the_shorter_way():
    assert_allclose(
        angular_distance([0, 10, 350, 90, -90, NAN], [180, 350, 10, 90, 270, 0]), [180, 20, 20, 0, 0, NAN]
    )


def test_same_and_opposite_directions_by_hand():
    # Apart by 0, 45, 90, 135, 180 degrees; the ends themselves are neither same nor opposite.
    own = np.eye(8)[[0, 0, 0, 0, 0, 0]]
    others = np.vstack([np.eye(8)[:5], np.zeros(8)])
    found = compare_directions(own, others, theoretical_angles(8))
    assert_allclose(found.distances_deg, [0, 45, 90, 135, 180, NAN], atol=1e-9)
    assert (found.n_rows, found.n_left_out) == (5, 1)
    assert (found.same, found.opposite) == (0.2, 0.2)
    assert found.mean_deg == pytest.approx(90)
    assert found.median_deg == pytest.approx(90)


def test_directions_at_random_are_the_same_in_a_quarter_and_opposite_in_a_quarter():
    a, b = np.eye(360)[rng().integers(360, size=(2, 4000))]
    found = compare_directions(a, b, theoretical_angles(360))
    assert found.same == pytest.approx(0.25, abs=0.03)
    assert found.opposite == pytest.approx(0.25, abs=0.03)


def test_no_direction_on_both_sides_is_nan_with_the_reason():
    found = compare_directions([[0, 0], [1, 0]], [[1, 0], [0, 0]], [0, 180])
    assert np.isnan([found.same, found.opposite, found.mean_deg, found.median_deg]).all()
    assert found.reason == "no row has a direction on both sides"
    assert found.n_left_out == 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: value_correlations([[1, 2]], "kendall"), "method is 'kendall'"),
        (lambda: theoretical_angles(0), "n_values is 0"),
        (lambda: fit_circle([[1, 0.5]]), "square"),
        (lambda: fit_circle([[1, 0.5], [0.4, 1]]), "transpose"),
        (lambda: fit_circle([[4, 2], [2, 4]]), "outside -1 to 1"),
        (lambda: order_correlation(np.eye(5), rng=rng(), n_permutations=0), "n_permutations is 0"),
        (lambda: direction([[1, -1]], [0, 90]), r"vectors\[0, 1\] is -1"),
        (lambda: direction([[1, 1]], [0]), "angles_deg has shape"),
        (lambda: compare_directions([[1, 1]], [[1]], [0, 1]), "vectors has shape"),
    ],
    ids=range(9),
)
def test_input_that_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
