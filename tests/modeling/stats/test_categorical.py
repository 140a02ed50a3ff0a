from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from statsmodels.stats import inter_rater

from modeling.stats.categorical import (
    cohen_kappa,
    fleiss_kappa,
    gwet_ac,
    percent_agreement,
    weighted_kappa,
)
from modeling.stats.categories import agreement_weights

NAN = float("nan")
SCALE = (0, 6)
KINDS = ["identity", "linear", "quadratic", "ordinal"]
COEFFICIENTS = {"percent": percent_agreement, "fleiss": fleiss_kappa, "gwet": gwet_ac}
gap_or_rating = st.sampled_from([NAN, 0.0, 0.0, 0.0, 1.0, 2.0, 5.0, 6.0])

# Krippendorff's twelve units and four observers, in the form that the R package irrCAC distributes as
# cac.raw4raters: https://cran.r-project.org/package=irrCAC, vignette "overview".
FOUR_RATERS = np.array(
    [
        [1, 1, NAN, 1],
        [2, 2, 3, 2],
        [3, 3, 3, 3],
        [3, 3, 3, 3],
        [2, 2, 2, 2],
        [1, 2, 3, 4],
        [4, 4, 4, 4],
        [1, 1, 2, 1],
        [2, 2, 2, 2],
        [NAN, 5, 5, 5],
        [NAN, NAN, 1, 1],
        [NAN, NAN, 3, NAN],
    ]
)

# Fleiss (1971), Psychological Bulletin 76(5), 378-382, Table 1: six psychiatrists' diagnoses of 30 patients.
# A digit per diagnosis: how many of the six gave it.
DIAGNOSES = (
    "00060 03003 01401 00006 03030 20400 00402 20310 20040 00006 10050 11040 03300 10050 02031 "
    "00501 30012 51000 02040 10203 00006 01050 02013 20040 10041 05010 40002 02040 10500 00006"
)


def long(table):
    """One column of ratings and their posts, from a (posts, raters) table."""
    table = np.asarray(table, dtype=float)
    return table.reshape(-1, 1), np.repeat(np.arange(len(table)), table.shape[1])


def fleiss_counts():
    return np.array([[int(count) for count in patient] for patient in DIAGNOSES.split(" ")])


@st.composite
def annotations(draw):
    """Twelve raters of five posts at most, two values, so that posts differ in who rated them."""
    n_rows = draw(st.integers(1, 14))
    ratings = draw(hnp.arrays(np.float64, (n_rows, 2), elements=gap_or_rating))
    return ratings, draw(hnp.arrays(np.int64, n_rows, elements=st.integers(0, 4)))


def loop(ratings, posts, kind, method):
    """A coefficient by going through pairs of raters, for one value."""
    weights = agreement_weights(range(7), kind)
    of_posts = [[int(r) for r in ratings[posts == p] if r == r] for p in range(5)]
    of_posts = [given_ for given_ in of_posts if given_]
    agreement = [np.mean([weights[a, b] for a, b in permutations(g, 2)]) for g in of_posts if len(g) > 1]
    if not agreement:
        return NAN
    share = [np.mean([np.mean([r == c for r in g]) for g in of_posts]) for c in range(7)]
    chance = {
        "percent": 0.0,
        "fleiss": sum(weights[a, b] * share[a] * share[b] for a in range(7) for b in range(7)),
        "gwet": weights.sum() / 42 * sum(p * (1 - p) for p in share),
    }[method]
    if chance > 1 - 1e-9:
        return NAN
    return (np.mean(agreement) - chance) / (1 - chance)


def loop_over_pairs_of_raters(ratings, posts, raters, kind, min_shared):
    """Mean of statsmodels' kappa over the tables of rater pairs; and pairs with, without and left out."""
    kappas, n_left_out = [], 0
    for a, b in combinations(sorted(set(raters)), 2):
        table = np.zeros((7, 7))
        for post in set(posts[raters == a]) & set(posts[raters == b]):
            x, y = (ratings[(raters == rater) & (posts == post)][0] for rater in (a, b))
            if x == x and y == y:
                table[int(x), int(y)] += 1
        if table.sum() < min_shared:
            n_left_out += table.sum() > 0
        elif table.max() == table.sum() and table.diagonal().sum() == table.sum():
            kappas.append(NAN)
        else:
            kappas.append(
                inter_rater.cohens_kappa(
                    table, weights=1 - agreement_weights(range(7), kind), return_results=False
                )
            )
    defined = [kappa for kappa in kappas if kappa == kappa]
    return np.mean(defined) if defined else NAN, len(defined), len(kappas) - len(defined), n_left_out


def test_krippendorffs_data_give_the_coefficients_and_standard_errors_of_irrcac():
    ratings, posts = long(FOUR_RATERS)
    assert_allclose(percent_agreement(ratings, posts).estimate, [0.8181818], atol=5e-8)
    for coefficient, estimate, standard_error in [
        (fleiss_kappa, 0.76117, 0.15302),
        (gwet_ac, 0.77544, 0.14295),
    ]:
        found = coefficient(ratings, posts)
        assert_allclose(found.estimate, [estimate], atol=5e-6)
        assert_allclose(found.standard_error, [standard_error], atol=5e-6)
        assert_array_equal([found.n_posts[0], found.n_left_out[0], found.n_ratings[0]], [11, 1, 41])


def test_a_post_with_one_rating_does_not_widen_the_standard_error_of_percent_agreement():
    # irrCAC counts the twelfth unit, which one observer rated, as a post without agreement: 0.12561.
    found, without = percent_agreement(*long(FOUR_RATERS)), percent_agreement(*long(FOUR_RATERS[:11]))
    assert_allclose(found.standard_error, without.standard_error, atol=1e-14)
    as_irrcac_does = [12 / 11 * agreement for agreement in (1, 0.5, 1, 1, 1, 0, 1, 0.5, 1, 1, 1)] + [0]
    assert np.std(as_irrcac_does, ddof=0) / np.sqrt(11) == pytest.approx(0.12561, abs=5e-6)
    assert_allclose(found.standard_error, [0.10164], atol=5e-6)
    assert_array_equal([found.n_posts[0], found.n_left_out[0], found.n_ratings[0]], [11, 1, 40])


def test_fleiss_diagnoses_give_his_kappa():
    counts = fleiss_counts()
    assert_array_equal(counts.sum(axis=0), [26, 26, 30, 55, 43])
    ratings = np.concatenate([np.repeat(np.arange(5), row) for row in counts])[:, np.newaxis]
    posts = np.repeat(np.arange(30), 6)
    found = fleiss_kappa(ratings, posts)
    assert_allclose(found.estimate, [0.430], atol=5e-4)
    assert_allclose(percent_agreement(ratings, posts).estimate, [0.5556], atol=5e-4)
    assert_allclose(found.estimate, inter_rater.fleiss_kappa(counts), atol=1e-12)


def test_cohens_psychiatrists_give_his_kappa():
    # Cohen (1968), Psychological Bulletin 70(4), 213-220, Table 1: 200 cases, unweighted kappa .492.
    cells = [(0, 0, 88), (0, 1, 14), (0, 2, 18), (1, 0, 10), (1, 1, 40), (1, 2, 10)]
    cells += [(2, 0, 2), (2, 1, 6), (2, 2, 12)]
    first, second = (np.concatenate([np.full(cell[2], cell[side]) for cell in cells]) for side in (0, 1))
    assert cohen_kappa(first, second).estimate == pytest.approx(0.492, abs=5e-4)


def test_nine_subjects_of_psych_give_its_weighted_kappa():
    # R package psych, help page of cohen.kappa: kappa 0.00 and, with quadratic weights, 0.68.
    first, second = [1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 3, 1, 6, 1, 5, 5, 6, 7]
    assert cohen_kappa(first, second).estimate == pytest.approx(0.0, abs=5e-3)
    assert cohen_kappa(first, second, "quadratic", scale=(1, 9)).estimate == pytest.approx(0.68, abs=5e-3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", COEFFICIENTS)
@given(annotations())
def test_coefficients_equal_the_loop_over_pairs(method, kind, data):
    ratings, posts = data
    found = COEFFICIENTS[method](ratings, posts, kind, scale=SCALE, n_posts=5)
    for value in range(2):
        expected = loop(ratings[:, value], posts, kind, method)
        assert found.estimate[value] == pytest.approx(expected, abs=1e-9, nan_ok=True)
        assert (found.reasons[value] == "") == (not np.isnan(expected))
        n_raters = np.bincount(posts[~np.isnan(ratings[:, value])], minlength=5)
        assert found.n_posts[value] == (n_raters > 1).sum()
        assert found.n_left_out[value] == (n_raters < 2).sum()
        entered = n_raters.sum() if method != "percent" else n_raters[n_raters > 1].sum()
        assert found.n_ratings[value] == entered


@pytest.mark.parametrize("kind", KINDS)
def test_mean_over_pairs_equals_statsmodels_pair_by_pair(kind):
    rng = np.random.default_rng(5)
    for _ in range(4):
        rated = np.argwhere(rng.random((14, 7)) < 0.5)
        posts, raters = rated.T
        ratings = rng.choice([0, 0, 0, 1, 2, 6, NAN], (len(rated), 2))
        ratings[raters < 2, 0] = 0  # these two never leave 0, so that their kappa does not exist
        found = weighted_kappa(ratings, posts, raters, kind, scale=SCALE, min_shared=3)
        for value in range(2):
            expected = loop_over_pairs_of_raters(ratings[:, value], posts, raters, kind, 3)
            assert found.estimate[value] == pytest.approx(expected[0], abs=1e-12, nan_ok=True)
            counts = found.n_pairs[value], found.n_pairs_undefined[value], found.n_pairs_left_out[value]
            assert counts == expected[1:]


@pytest.mark.parametrize("kind", KINDS)
def test_two_raters_of_all_posts_have_one_kappa_however_it_is_asked_for(kind):
    rng = np.random.default_rng(6)
    table = rng.integers(0, 7, (40, 2)).astype(float)
    table[rng.random((40, 2)) < 0.1] = NAN
    ratings, posts = long(table)
    direct = cohen_kappa(table[:, 0], table[:, 1], kind, scale=SCALE)
    paired = weighted_kappa(ratings, posts, np.tile([0, 1], 40), kind, scale=SCALE)
    assert_allclose(paired.estimate, [direct.estimate], atol=1e-14)
    assert direct.n_posts == (~np.isnan(table).any(axis=1)).sum()
    assert direct.n_posts + direct.n_left_out == 40


@given(annotations(), st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(data, random):
    ratings, posts = data
    order = list(range(len(posts)))
    random.shuffle(order)
    for coefficient in COEFFICIENTS.values():
        a = coefficient(ratings, posts, "ordinal", scale=SCALE, n_posts=5)
        b = coefficient(ratings[order], posts[order], "ordinal", scale=SCALE, n_posts=5)
        assert_allclose(a.estimate, b.estimate, atol=1e-12)
        assert_allclose(a.standard_error, b.standard_error, atol=1e-12)


def test_which_rater_is_which_does_not_matter_to_the_mean_over_pairs():
    rng = np.random.default_rng(7)
    posts, raters = np.argwhere(rng.random((30, 6)) < 0.6).T
    ratings = rng.integers(0, 7, (len(posts), 1))
    renamed = rng.permutation(6)[raters]
    order = rng.permutation(len(posts))
    a = weighted_kappa(ratings, posts, raters, scale=SCALE)
    b = weighted_kappa(ratings[order], posts[order], renamed[order], scale=SCALE)
    assert a.n_pairs[0] > 5
    assert_allclose(a.estimate, b.estimate, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
def test_turning_the_scale_round_changes_nothing(kind):
    rng = np.random.default_rng(8)
    ratings, posts = rng.integers(0, 7, (60, 2)), rng.integers(0, 12, 60)
    for coefficient in COEFFICIENTS.values():
        a = coefficient(ratings, posts, kind, scale=SCALE)
        b = coefficient(6 - ratings, posts, kind, scale=SCALE)
        assert_allclose(a.estimate, b.estimate, atol=1e-14)
        assert_allclose(a.standard_error, b.standard_error, atol=1e-14)


def test_standard_error_of_percent_agreement_is_that_of_a_mean_over_posts_with_two_ratings():
    rng = np.random.default_rng(9)
    table = rng.integers(0, 3, (40, 4)).astype(float)
    agreement = [np.mean([a == b for a, b in combinations(row, 2)]) for row in table[:30]]
    table[30:, 1:] = NAN
    found = percent_agreement(*long(table))
    assert_allclose(found.standard_error, [stats.sem(agreement)], atol=1e-14)


@pytest.mark.parametrize("method", COEFFICIENTS)
def test_standard_error_is_how_far_the_coefficient_varies_from_study_to_study(method):
    rng = np.random.default_rng(10)
    estimates, standard_errors = [], []
    for _ in range(300):
        expressed = rng.random((80, 1)) < 0.4
        table = np.where(rng.random((80, 4)) < 0.85, expressed, ~expressed).astype(float)
        table[:, 2:][rng.random((80, 2)) < 0.5] = NAN
        found = COEFFICIENTS[method](*long(table))
        estimates.append(found.estimate[0])
        standard_errors.append(found.standard_error[0])
    # 300 studies tell a standard deviation to about one part in 25.
    assert np.mean(standard_errors) == pytest.approx(np.std(estimates), rel=0.15)


def test_raters_who_agree_wherever_they_overlap_score_one():
    ratings, posts = [[1], [1], [4], [4], [4], [0]], [0, 0, 1, 1, 1, 2]
    for coefficient in COEFFICIENTS.values():
        assert_allclose(coefficient(ratings, posts, scale=SCALE).estimate, [1])


def test_all_zeros_leave_kappa_undefined_but_not_agreement_or_ac():
    ratings, posts = np.zeros((4, 1)), [0, 0, 1, 1]
    kappa = fleiss_kappa(ratings, posts, "ordinal", scale=SCALE)
    assert np.isnan(kappa.estimate[0])
    assert np.isnan(kappa.standard_error[0])
    assert kappa.reasons == ("every rating is 0, so nothing can be disagreed about",)
    assert_allclose(percent_agreement(ratings, posts, "ordinal", scale=SCALE).estimate, [1])
    assert_allclose(gwet_ac(ratings, posts, "ordinal", scale=SCALE).estimate, [1])


def test_a_single_category_leaves_ac_undefined():
    found = gwet_ac(np.zeros((4, 1)), [0, 0, 1, 1])
    assert np.isnan(found.estimate[0])
    assert found.reasons == ("there is a single category, so nothing can be disagreed about",)


@pytest.mark.parametrize("coefficient", COEFFICIENTS.values(), ids=COEFFICIENTS)
def test_one_rater_has_nobody_to_agree_with(coefficient):
    found = coefficient([[0, 1], [3, NAN]], [0, 1], scale=SCALE)
    assert_array_equal(found.estimate, [NAN, NAN])
    assert found.reasons == ("no post has two ratings of this value",) * 2
    assert_array_equal(found.n_left_out, [2, 2])


@pytest.mark.parametrize("coefficient", COEFFICIENTS.values(), ids=COEFFICIENTS)
def test_one_post_with_two_ratings_has_an_estimate_and_no_standard_error(coefficient):
    for ratings, posts in [([[1], [1], [4]], [0, 0, 0]), ([[1], [1], [4], [2]], [0, 0, 0, 1])]:
        found = coefficient(ratings, posts, scale=SCALE)
        assert not np.isnan(found.estimate[0])
        assert np.isnan(found.standard_error[0])


@pytest.mark.parametrize("coefficient", COEFFICIENTS.values(), ids=COEFFICIENTS)
def test_no_rating_at_all_is_undefined(coefficient):
    found = coefficient(np.empty((0, 2)), np.empty(0, dtype=int), scale=SCALE, n_posts=3)
    assert_array_equal(found.estimate, [NAN, NAN])
    assert_array_equal(found.n_left_out, [3, 3])
    assert_array_equal(coefficient([[NAN], [NAN]], [0, 0]).estimate, [NAN])


def test_raters_who_never_leave_zero_have_no_kappa():
    found = cohen_kappa([0, 0, 0], [0, 0, 0], scale=SCALE)
    assert np.isnan(found.estimate)
    assert found.reason == "both raters gave one and the same rating throughout"
    pairs = weighted_kappa(np.zeros((6, 1)), [0, 0, 1, 1, 2, 2], [0, 1] * 3, scale=SCALE, min_shared=2)
    assert np.isnan(pairs.estimate[0])
    assert_array_equal(pairs.n_pairs_undefined, [1])
    assert pairs.reasons == ("every pair of raters gave one and the same rating throughout",)


def test_raters_who_share_too_few_posts_have_no_kappa():
    assert cohen_kappa([NAN, 1], [2, NAN]).reason == "no post was rated by both"
    found = weighted_kappa([[0], [1], [2], [3]], [0, 0, 1, 1], [0, 1, 0, 1], scale=SCALE)
    assert np.isnan(found.estimate[0])
    assert_array_equal(found.n_pairs_left_out, [1])
    assert found.reasons == ("no two raters share 5 posts rated for this value",)
    alone = weighted_kappa([[0], [1]], [0, 1], [0, 0], scale=SCALE)
    assert_array_equal([alone.n_pairs[0], alone.n_pairs_undefined[0], alone.n_pairs_left_out[0]], [0, 0, 0])


def test_a_rating_outside_the_scale_is_refused():
    for coefficient in COEFFICIENTS.values():
        with pytest.raises(ValueError, match=r"ratings\[1, 0\] is 7"):
            coefficient([[0], [7]], [0, 0], scale=SCALE)
    with pytest.raises(ValueError, match=r"ratings\[1, 0\] is 7"):
        weighted_kappa([[0], [7]], [0, 0], [0, 1], scale=SCALE)
    with pytest.raises(ValueError, match=r"ratings\[0, 1\] is 7"):
        cohen_kappa([0, 0], [7, 0], scale=SCALE)


def test_malformed_input_is_refused():
    ratings, posts, raters = [[0], [1]], [0, 0], [0, 1]
    with pytest.raises(ValueError, match="give the lowest rating first"):
        gwet_ac(ratings, posts, scale=(6, 0))
    with pytest.raises(ValueError, match="give one of identity, linear, quadratic, ordinal"):
        gwet_ac(ratings, posts, "squared")
    with pytest.raises(ValueError, match="rater 3 has two rows for post 0"):
        weighted_kappa(ratings, posts, [3, 3])
    with pytest.raises(ValueError, match="min_shared is 1"):
        weighted_kappa(ratings, posts, raters, min_shared=1)
    with pytest.raises(ValueError, match="one rater code per row"):
        weighted_kappa(ratings, posts, [0])
    with pytest.raises(ValueError, match="code the raters as integers"):
        weighted_kappa(ratings, posts, ["a", "b"])
    with pytest.raises(ValueError, match=r"raters\[1\] is 1: codes run from 0"):
        weighted_kappa(ratings, posts, raters, n_raters=1)
    with pytest.raises(ValueError, match="for the same posts"):
        cohen_kappa([0, 1], [0])
