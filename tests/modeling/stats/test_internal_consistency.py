import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from modeling.stats.internal_consistency import cronbach_alpha

NAN = float("nan")

# Bock and Lieberman (1970), Psychometrika 35, 179-197: answers of 1,000 people to five items of the Law School
# Admission Test, Section 6, by pattern from 00000 to 11111. The R package ltm gives alpha 0.295 for them.
LSAT_COUNTS = [
    *[3, 6, 2, 11, 1, 1, 3, 4, 1, 8, 0, 16, 0, 3, 2, 15],
    *[10, 29, 14, 81, 3, 28, 15, 80, 16, 56, 21, 173, 11, 61, 28, 298],
]


def lsat():
    patterns = [[int(answer) for answer in f"{pattern:05b}"] for pattern in range(32)]
    return np.repeat(patterns, LSAT_COUNTS, axis=0).astype(float)


def test_law_school_admission_test_gives_the_published_alpha():
    found = cronbach_alpha(lsat())
    assert found.cronbach_alpha == pytest.approx(0.295, abs=5e-4)
    assert (found.n_people, found.n_items, found.n_left_out, found.reason) == (1000, 5, 0, "")


@given(hnp.arrays(np.float64, (9, 4), elements=st.sampled_from([NAN, 1.0, 2.0, 3.0, 4.0, 5.0, 5.0])))
def test_alpha_equals_the_formula_of_mean_covariances(items):
    found = cronbach_alpha(items)
    complete = items[~np.isnan(items).any(axis=1)]
    assert found.n_people == len(complete)
    assert found.n_left_out == 9 - len(complete)
    if len(complete) < 2 or len(set(complete.sum(axis=1))) == 1:
        assert math.isnan(found.cronbach_alpha)
        assert found.reason
        return
    covariances = np.cov(complete.T)
    between = covariances[~np.eye(4, dtype=bool)].mean()
    expected = 4 * between / (np.diag(covariances).mean() + 3 * between)
    assert found.cronbach_alpha == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert found.low <= found.cronbach_alpha <= found.high


def test_order_of_people_and_items_does_not_matter():
    rng = np.random.default_rng(0)
    items = rng.normal(size=(30, 1)) + rng.normal(size=(30, 5))
    shuffled = items[rng.permutation(30)][:, rng.permutation(5)]
    assert cronbach_alpha(shuffled).cronbach_alpha == pytest.approx(cronbach_alpha(items).cronbach_alpha)


def test_a_person_with_a_gap_is_left_out_whole_and_counted():
    items = lsat()
    with_gap = np.concatenate([items, [[1, 1, 1, 1, NAN]]])
    found = cronbach_alpha(with_gap)
    assert found.cronbach_alpha == cronbach_alpha(items).cronbach_alpha
    assert found.n_left_out == 1


def test_interval_covers_the_alpha_that_the_answers_were_drawn_with():
    rng = np.random.default_rng(1)
    n_covered = 0
    for _ in range(1000):
        items = rng.normal(size=(40, 1)) + rng.normal(size=(40, 4))  # variances 2, covariances 1
        found = cronbach_alpha(items, ci_level=0.9)
        n_covered += found.low < 0.8 < found.high
    assert n_covered / 1000 == pytest.approx(0.9, abs=0.03)  # three standard errors of a share in 1,000


@pytest.mark.parametrize(
    ("items", "reason"),
    [
        ([[1], [2], [3]], "a scale of one item has no internal consistency"),
        ([[1, 2], [NAN, 3]], "fewer than two people answered every item"),
        ([[0, 0], [0, 0], [0, 0]], "everyone has the same total"),
        ([[0.1, 0.2], [0.3, 0.0], [0.2, 0.1]], "everyone has the same total"),
    ],
    ids=["one item", "one person", "all zeros", "opposite items"],
)
def test_what_is_undefined_says_why(items, reason):
    found = cronbach_alpha(items)
    assert math.isnan(found.cronbach_alpha)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert found.reason == reason


def test_malformed_input_is_refused():
    with pytest.raises(ValueError, match="items has shape"):
        cronbach_alpha([1, 2, 3])
    with pytest.raises(ValueError, match="ci_level is 0"):
        cronbach_alpha([[1, 2], [2, 3]], ci_level=0)
