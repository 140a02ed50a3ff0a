import numpy as np
import pytest

from modeling.simulation.planted import (
    SEEN_BY,
    THRESHOLD,
    ExpertRule,
    draw_ratings,
    invent_world,
    label,
    paraphrase,
)


@pytest.fixture
def world():
    return invent_world(300, np.random.default_rng(1))


def test_each_post_has_a_text_of_its_own_and_at_most_three_values(world):
    assert len(set(world.texts)) == 300
    counts = (world.truth >= THRESHOLD).sum(axis=1)
    assert set(counts) == {0, 1, 2, 3}


def test_values_beside_one_another_stand_together_more_often(world):
    expressed = world.truth >= THRESHOLD
    beside = sum((expressed & np.roll(expressed, 1, axis=1)).sum(axis=1))
    across = sum((expressed & np.roll(expressed, 9, axis=1)).sum(axis=1))
    assert beside > 2 * across


def test_the_same_seed_invents_the_same_world(world):
    again = invent_world(300, np.random.default_rng(1))
    assert again.texts == world.texts
    assert np.array_equal(again.truth, world.truth)


def test_a_paraphrase_says_the_same_in_other_words(world):
    other = paraphrase(world, np.random.default_rng(2))
    assert not set(other.texts) & set(world.texts)
    assert np.array_equal(other.truth, world.truth)


def test_a_stern_expert_rates_lower_and_a_blind_one_misses_the_value(world):
    rng = np.random.default_rng(3)
    expressed = world.truth >= THRESHOLD
    assert np.array_equal(label(world, ExpertRule(), rng), world.truth)
    assert (label(world, ExpertRule(shift=-1), rng)[expressed] == world.truth[expressed] - 1).all()
    value = world.value_keys[4]
    assert not label(world, ExpertRule(blind_to=value), rng)[:, 4].any()


def test_people_differ_only_where_posts_are_ambiguous(world):
    rng = np.random.default_rng(4)
    assert (draw_ratings(world, 3, rng) == world.truth).all()
    doubtful = invent_world(300, rng, ambiguous=True)
    seen = (draw_ratings(doubtful, 400, rng) >= THRESHOLD).mean(axis=0)
    assert np.abs(seen - doubtful.seen_by).max() < 0.12
    assert set(np.unique(doubtful.seen_by)) == {0.0, *SEEN_BY}


def test_a_planted_model_is_told_the_ratings_above_the_lowest(world):
    known = world.known()
    assert len(known) == 300
    assert all(rating >= THRESHOLD for ratings in known.values() for rating in ratings.values())


def test_a_world_without_posts_is_refused():
    with pytest.raises(ValueError, match="at least 1 post"):
        invent_world(0, np.random.default_rng(1))
