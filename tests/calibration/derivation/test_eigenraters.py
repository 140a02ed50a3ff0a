import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose
from sklearn.decomposition import PCA

from calibration.derivation.eigenraters import select_cells


@st.composite
def dense_studies(draw):
    shape = (draw(st.integers(4, 8)), draw(st.integers(4, 12)))
    seed = draw(st.integers(0, 2**32 - 1))
    return np.random.default_rng(seed).random(shape) * 6


def test_uncorrelated_cells_are_taken_by_variance():
    # A 2x2x2 design: the three cells are orthogonal, with variances 9, 1 and 4; the fourth is constant.
    design = np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)])
    responses = np.column_stack([design * [3, 1, 2], np.full(8, 5)])
    selection = select_cells(responses, 3)
    assert selection.cells == [0, 2, 1]
    assert_allclose(selection.explained, [9 / 14, 4 / 14, 1 / 14])
    assert selection.explained_in_all == pytest.approx(1.0)


def test_two_correlated_cells_have_the_axes_of_the_textbook():
    # Covariance [[2, 1], [1, 2]] up to scale: axes (1, 1) and (1, -1), shares 3/4 and 1/4.
    sum_, difference = np.array([[1, 1, -1, -1], [1, -1, 1, -1]]) * np.sqrt([[3], [1]])
    selection = select_cells(np.column_stack([sum_ + difference, sum_ - difference]), 2)
    assert_allclose(selection.explained, [0.75, 0.25])
    assert selection.cells == [0, 1]  # loadings are equal: the cell that stands first


def test_a_cell_taken_by_an_earlier_axis_gives_way_to_the_next_largest():
    # An orthogonal design turned onto known axes: cell 0 weighs most on the first and on the second
    # axis; once it is taken, cell 1 is the largest left on the second.
    design = np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)])
    p = 0.58
    q = np.sqrt(0.64 - p**2)  # about 0.55
    axes = np.array([[0.6, p, q], [0.8, -0.75 * p, -0.75 * q], [0, q / 0.8, -p / 0.8]])
    assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    selection = select_cells(design * [5, 3, 1] @ axes, 3)
    assert selection.cells == [0, 1, 2]
    assert_allclose(selection.explained, [25 / 35, 9 / 35, 1 / 35])


def test_an_axis_whose_cells_are_all_taken_still_takes_one_that_varies():
    # The third axis lies in cells 1 and 2 alone, which the first two have taken; cell 0 is constant.
    design = np.array([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)])
    within, across = np.zeros((2, 10))
    within[:2], across[2:] = [-0.8, 0.6], np.sqrt(1 / 8)
    third = np.zeros(10)
    third[:2] = [0.6, 0.8]
    axes = np.array([(within + across) / np.sqrt(2), (within - across) / np.sqrt(2), third])
    responses = np.column_stack([np.full(8, 6), design * [5, 3, 1] @ axes])
    assert select_cells(responses, 3).cells == [1, 2, 3]


@given(dense_studies(), st.integers(1, 3))
def test_axes_are_those_of_scikit_learn(responses, n_cells):
    pca = PCA(n_components=n_cells, svd_solver="full").fit(responses)
    selection = select_cells(responses, n_cells)
    assert_allclose(selection.explained, pca.explained_variance_ratio_, atol=1e-9)
    taken: list[int] = []
    for axis in np.abs(pca.components_):
        taken.append(next(int(c) for c in np.argsort(-axis) if c not in taken))
    assert selection.cells == taken


@given(dense_studies(), st.randoms(use_true_random=False))
def test_order_of_raters_does_not_matter(responses, random):
    order = random.sample(range(len(responses)), len(responses))
    before, after = select_cells(responses, 3), select_cells(responses[order], 3)
    assert before.cells == after.cells
    assert_allclose(before.explained, after.explained)


@given(hnp.arrays(np.float64, (7, 6), elements=st.sampled_from([0.0, 3.0, 6.0])))
def test_cells_are_distinct_and_never_constant(responses):
    n_axes = np.linalg.matrix_rank(responses - responses.mean(axis=0))
    if n_axes == 0:
        with pytest.raises(ValueError, match="vary along 0"):
            select_cells(responses, 1)
        return
    cells = select_cells(responses, int(n_axes)).cells
    assert len(set(cells)) == n_axes
    assert (np.ptp(responses[:, cells], axis=0) > 0).all()


def test_more_cells_than_axes_are_refused():
    responses = np.random.default_rng(1).random((5, 40))
    assert len(select_cells(responses, 4).cells) == 4
    with pytest.raises(ValueError, match="ask more raters"):
        select_cells(responses, 5)


@pytest.mark.parametrize(
    ("responses", "n_cells", "message"),
    [
        ([[1, 2], [3, float("nan")]], 1, "1 of 4 responses are missing, of 1 of 2 raters"),
        ([1, 2, 3], 1, "shape"),
        (np.empty((0, 3)), 1, "at least one rater"),
        ([[1, 2], [3, 4]], 0, "at least 1"),
    ],
)
def test_malformed_input_is_refused(responses, n_cells, message):
    with pytest.raises(ValueError, match=message):
        select_cells(responses, n_cells)
