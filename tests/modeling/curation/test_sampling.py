"""The stratified sample: every draw is allowed, nothing depends on the order of the rows, and the chances are equal."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from modeling.curation.sampling import Appearance, draw_sample

VALUES = ("care", "power", "joy")
OWNERS = ("ann", "ben", "cem", "dua")
SOURCES = ("following", "for_you")
GROUPS = {"ann": "old", "ben": "old", "cem": "young", "dua": ""}

posts = st.dictionaries(
    st.sampled_from([f"p{number}" for number in range(12)]), st.sets(st.sampled_from(VALUES)).map(sorted)
)
places = st.lists(
    st.builds(
        Appearance,
        st.sampled_from(OWNERS),
        st.sampled_from(SOURCES),
        st.sampled_from([f"p{number}" for number in range(14)]),
    ),
    max_size=60,
)
seeds = st.integers(0, 2**32 - 1)


def draw(expressed, appearances, seed=1, groups=GROUPS, quotas=None):
    return draw_sample(
        expressed,
        appearances,
        value_keys=VALUES,
        groups=groups,
        quotas=quotas,
        rng=np.random.default_rng(seed),
    )


@settings(max_examples=60, deadline=None)
@given(posts, places, seeds, st.integers(0, 3))
def test_every_draw_is_allowed_and_none_is_left_out(expressed, appearances, seed, wanted):
    sample = draw(expressed, appearances, seed, quotas={"old": wanted} if wanted else {})
    there = set(appearances)
    for each in sample.draws:
        assert Appearance(each.owner, each.source, each.post) in there
        assert each.value in expressed[each.post]
    assert len({(each.owner, each.value, each.post) for each in sample.draws}) == len(sample.draws)
    strata = {(place.owner, value) for place in there for value in expressed.get(place.post, ())}
    first = [each for each in sample.draws if not each.is_extra]
    assert Counter((each.owner, each.value) for each in first) == Counter(strata)
    assert sum(sample.empty.values()) == len(OWNERS) * len(VALUES) - len(strata)
    assert len(sample.again) == min(wanted, 2) == len(set(sample.again))
    assert {GROUPS[owner] for owner in sample.again} <= {"old"}
    assert dict(sample.short) == ({"old": 1} if wanted == 3 else {})


@settings(max_examples=40, deadline=None)
@given(posts, places, seeds, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter_and_the_same_seed_gives_the_same_sample(
    expressed, appearances, seed, shuffler
):
    shuffled = list(appearances)
    shuffler.shuffle(shuffled)
    turned = dict(reversed(list(expressed.items())))
    groups = dict(reversed(list(GROUPS.items())))
    assert draw(expressed, appearances, seed, quotas={"old": 1}) == draw(
        turned, [*shuffled, *shuffled], seed, groups, quotas={"old": 1}
    )


def test_both_sources_are_equally_likely_however_many_posts_each_has():
    expressed = {post: ["care"] for post in ("a", *(f"b{number}" for number in range(9)))}
    places_of_ann = [Appearance("ann", "following", "a")]
    places_of_ann += [Appearance("ann", "for_you", f"b{number}") for number in range(9)]
    found = Counter(
        draw(expressed, places_of_ann, seed, {"ann": ""}).draws[0].source for seed in range(2_000)
    )
    assert chisquare([found[source] for source in SOURCES]).pvalue > 0.001
    posts_drawn = Counter(
        draw(expressed, places_of_ann[1:], seed, {"ann": ""}).draws[0].post for seed in range(1_800)
    )
    assert len(posts_drawn) == 9
    assert chisquare(list(posts_drawn.values())).pvalue > 0.001


def test_where_one_source_has_no_such_post_the_other_is_taken():
    expressed = {"a": ["care"], "b": ["joy"]}
    there = [Appearance("ann", "following", "a"), Appearance("ann", "for_you", "b")]
    drawn = {each.value: each.source for each in draw(expressed, there).draws}
    assert drawn == {"care": "following", "joy": "for_you"}


def test_a_second_drawing_gives_other_posts_and_none_where_none_is_left():
    expressed = {"a": ["care"], "b": ["care"], "c": ["joy"]}
    there = [Appearance("ann", "following", post) for post in expressed]
    sample = draw(expressed, there, groups={"ann": "old"}, quotas={"old": 1})
    extra = [each for each in sample.draws if each.is_extra]
    assert [each.value for each in extra] == ["care"]
    assert {each.post for each in sample.draws if each.value == "care"} == {"a", "b"}


def test_owners_drawn_again_are_each_as_likely():
    groups = {f"o{number}": "old" for number in range(5)}
    again = Counter(
        owner for seed in range(600) for owner in draw({}, [], seed, groups, quotas={"old": 2}).again
    )
    assert sum(again.values()) == 1_200
    assert chisquare(list(again.values())).pvalue > 0.001


@pytest.mark.parametrize(
    ("expressed", "places_there", "word"),
    [({"a": ["sloth"]}, [], "sloth"), ({}, [Appearance("zoe", "following", "a")], "zoe")],
    ids=["value", "owner"],
)
def test_what_nobody_knows_is_refused(expressed, places_there, word):
    with pytest.raises(ValueError, match=word):
        draw(expressed, places_there)
