from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeling.watching.coverage import MOST_BARS, draw_bars

histograms = st.dictionaries(st.integers(0, 400), st.integers(1, 50), min_size=1, max_size=30)
targets = st.one_of(st.none(), st.integers(1, 500), st.floats(0.1, 500))


@given(histograms, targets)
def test_bars_cover_every_number_once_and_keep_every_post(posts, target):
    bars = draw_bars(posts, target)
    assert sum(bar.n_posts for bar in bars) == sum(posts.values())
    assert bars[0].low == 0
    assert all(left.high + 1 == right.low for left, right in pairwise(bars))
    assert bars[-1].high >= max(posts)
    assert len(bars) <= MOST_BARS + 2


@given(histograms, targets)
def test_no_bar_stands_across_the_target(posts, target):
    for bar in draw_bars(posts, target):
        if target is not None:
            assert bar.is_short == (bar.low < target)
        else:
            assert not bar.is_short


def test_few_ratings_have_a_bar_each():
    bars = draw_bars({0: 4, 2: 8}, 3)
    assert [(bar.low, bar.high, bar.n_posts, bar.share) for bar in bars] == [
        (0, 0, 4, 500),
        (1, 1, 0, 0),
        (2, 2, 8, 1000),
        (3, 3, 0, 0),
    ]


@pytest.mark.parametrize("target", [None, 5])
def test_without_posts_there_is_nothing_to_draw(target):
    assert draw_bars({}, target) == []
