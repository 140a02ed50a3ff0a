import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.assigning import choose_post

strategies = st.sampled_from(["random", "balanced", "fixed"])
counts = st.dictionaries(st.integers(1, 30), st.integers(0, 6), max_size=12)


def choose(strategy, n_live, *, taken=(), cap=None, seed=0):
    return choose_post(strategy, n_live, taken=taken, cap=cap, rng=random.Random(seed))


@given(strategies, counts, st.sets(st.integers(1, 30)), st.none() | st.integers(1, 6), st.integers())
def test_a_post_is_free_new_to_the_person_and_below_the_cap_or_there_is_none(
    strategy, n_live, taken, cap, seed
):
    free = {post for post, n in n_live.items() if post not in taken and (cap is None or n < cap)}
    chosen = choose(strategy, n_live, taken=taken, cap=cap, seed=seed)
    assert chosen in free if free else chosen is None


@given(counts, st.integers())
def test_balanced_gives_a_post_that_nobody_else_has_less_often(n_live, seed):
    chosen = choose("balanced", n_live, seed=seed)
    assert chosen is None or n_live[chosen] == min(n_live.values())


def test_balanced_breaks_ties_at_random():
    chosen = Counter(choose("balanced", {1: 2, 2: 1, 3: 1, 4: 1}, seed=seed) for seed in range(600))
    assert set(chosen) == {2, 3, 4}
    assert min(chosen.values()) > 150


def test_random_gives_every_post_as_often_whatever_was_given_before():
    chosen = Counter(choose("random", {1: 0, 2: 50, 3: 7}, seed=seed) for seed in range(900))
    assert set(chosen) == {1, 2, 3}
    assert min(chosen.values()) > 240


def test_fixed_gives_the_posts_in_their_order():
    order, taken = {8: 3, 2: 0, 5: 1}, []
    while (post := choose("fixed", order, taken=taken)) is not None:
        taken.append(post)
    assert taken == [8, 2, 5]


@pytest.mark.parametrize("strategy", ["random", "balanced", "fixed"])
def test_the_same_seed_gives_the_same_post(strategy):
    n_live = dict.fromkeys(range(50), 0)
    assert choose(strategy, n_live, seed=7) == choose(strategy, n_live, seed=7)


def test_an_unknown_strategy_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="'alphabetical'; use 'random', 'balanced' or 'fixed'"):
        choose("alphabetical", {1: 0})
