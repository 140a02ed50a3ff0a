import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.ensemble import RandomForestRegressor

from modeling.simulation.parameters import load_parameters
from modeling.simulation.population import (
    Branch,
    Population,
    answer_question,
    draw_profiles,
    profiles_from_levels,
    read_post,
    read_posts,
)
from modeling.stats.agreement import human_consensus, human_human, human_model
from modeling.stats.crowd_error import human_crowd_mae

PARAMETERS = load_parameters()
KEYS = tuple(PARAMETERS.values)
SCALE = (0, 6)
DEMO_POSTS = Path(__file__).parents[3] / "annotation" / "content" / "demo_posts.jsonl"

SCHWARTZ = Branch(
    "post",
    (
        Branch("self", (Branch("openness", KEYS[:4], True), Branch("enhancement", KEYS[4:9], True)), True),
        Branch(
            "others", (Branch("conformity", KEYS[9:13], True), Branch("compassion", KEYS[13:], True)), True
        ),
    ),
    True,
)
# Ten values: branches beside values, three levels, one node that takes a single answer.
MIXED = Branch(
    "root",
    (
        "a",
        Branch(
            "left",
            ("b", Branch("deep", ("c", "d"), True), Branch("deeper", (Branch("end", ("e",), True),), True)),
            True,
        ),
        Branch("middle", ("f", "g"), True),
        Branch("right", (Branch("one", ("h",), True), Branch("two", ("i", "j"), True)), False),
    ),
    True,
)
FLAT = Branch("root", ("joy", "anger", "fear"), True)

# Published mean ratings of posts that a first screen did and did not flag for the value, in value order
# ("Whose Values?", Table A2).
FLAGGED = [1.423, 1.322, 1.238, 2.457, 1.245, 0.472, 0.844, 1.174, 0.627, 1.389]
FLAGGED += [1.677, 1.989, 0.787, 1.426, 1.865, 2.551, 2.446, 3.076, 1.803]
UNFLAGGED = [0.719, 0.734, 0.583, 0.955, 0.517, 0.371, 0.390, 0.761, 0.208, 0.649]
UNFLAGGED += [0.683, 0.620, 0.631, 1.345, 1.235, 1.235, 0.851, 0.465, 0.754]
# The share of flagged posts is not published; the model was fitted with this one.
FLAGGED_SHARE = 0.12


def a_study(seed, *, profiles=None, n_raters=400, n_posts=2000, n_per_rater=30):
    rng = np.random.default_rng(seed)
    if profiles is None:
        profiles = draw_profiles(n_posts, KEYS, PARAMETERS, rng)
    population = Population.draw(n_raters, KEYS, PARAMETERS, rng)
    posts = np.concatenate([rng.choice(n_posts, n_per_rater, replace=False) for _ in range(n_raters)])
    raters = np.repeat(np.arange(n_raters), n_per_rater)
    return read_posts(population, raters, profiles[posts], SCHWARTZ, PARAMETERS, SCALE, rng), posts


def a_rater(keys=KEYS, seed=0, **peculiarities):
    """One rater without any, but for those stated."""
    plain = {
        "value_keys": tuple(keys),
        "leniency": np.zeros(1),
        "priorities": np.zeros((1, len(keys))),
        "gain": np.ones(1),
        "reading": np.zeros((1, len(keys), min(3, len(keys)))),
        "attentive": np.array([True]),
    }
    return Population(**plain | peculiarities)


def test_simulated_raters_agree_as_much_as_the_published_ones():
    studies = [a_study(seed, n_raters=1079, n_posts=5211) for seed in range(3)]
    pairs = [human_human(readings.ratings, posts).rho for readings, posts in studies]
    crowd = [human_consensus(readings.ratings, posts).rho for readings, posts in studies]
    errors = [human_crowd_mae(readings.ratings, posts).overall for readings, posts in studies]
    assert np.mean(pairs) == pytest.approx(0.201, abs=0.015)
    assert np.mean(crowd) == pytest.approx(0.260, abs=0.02)
    assert np.mean(errors) == pytest.approx(1.113, abs=0.08)


def test_knowing_a_raters_direct_answers_helps_to_predict_the_rater():
    n_raters, n_posts, n_fit = 400, 2000, 1200
    rng = np.random.default_rng(0)
    profiles = draw_profiles(n_posts, KEYS, PARAMETERS, rng)
    raters_here = Population.draw(n_raters, KEYS, PARAMETERS, rng)
    posts = np.concatenate([rng.choice(n_posts, 30, replace=False) for _ in range(n_raters)])
    raters = np.repeat(np.arange(n_raters), 30)
    ratings = read_posts(raters_here, raters, profiles[posts], SCHWARTZ, PARAMETERS, SCALE, rng).ratings

    # A crowd of others, blurred until it knows a post about as well as the published consensus model.
    others = Population.draw(300, KEYS, PARAMETERS, rng)
    readings = [
        read_posts(others, rng.integers(300, size=n_posts), profiles, SCHWARTZ, PARAMETERS, SCALE, rng)
        for _ in range(30)
    ]
    crowd = np.mean([reading.ratings for reading in readings], axis=0)
    consensus = crowd + crowd.std(axis=0) * rng.standard_normal(crowd.shape)

    every_value = Branch("questions", KEYS, True)
    asked = np.append(np.arange(19), rng.choice(19, 6, replace=False))
    answers = np.empty((n_raters, len(asked)))
    for question, profile in enumerate(draw_profiles(len(asked), KEYS, PARAMETERS, rng)):
        rows = np.tile(profile, (n_raters, 1))
        said = read_posts(raters_here, np.arange(n_raters), rows, every_value, PARAMETERS, SCALE, rng)
        answers[:, question] = said.ratings[:, asked[question]]

    to_fit, held_out = posts < n_fit, posts >= n_fit

    def rho_of_a_forest(features):
        forest = RandomForestRegressor(
            20, max_features=1 / 3, min_samples_leaf=5, max_samples=0.3, random_state=0
        )
        predictions = forest.fit(features[to_fit], ratings[to_fit]).predict(features[held_out])
        return human_model(ratings[held_out], posts[held_out], predictions).rho

    without_answers = rho_of_a_forest(consensus[posts])
    # So few posts leave little of the gain; with hardly any priorities the answers do harm.
    assert rho_of_a_forest(np.hstack([consensus[posts], answers[raters]])) - without_answers > 0.002


def test_mean_ratings_are_near_the_published_ones_for_every_value():
    readings, _ = a_study(2)
    published = FLAGGED_SHARE * np.array(FLAGGED) + (1 - FLAGGED_SHARE) * np.array(UNFLAGGED)
    np.testing.assert_allclose(readings.ratings.mean(axis=0), published, atol=0.15)


def test_agreement_stays_as_calibrated_on_the_demonstration_posts():
    posts_told = [json.loads(line) for line in DEMO_POSTS.read_text(encoding="utf-8").splitlines()]
    levels = [[post["expresses"].get(key, 0) for key in KEYS] for post in posts_told]
    found = []
    for seed in range(5):
        profiles = profiles_from_levels(levels, PARAMETERS, np.random.default_rng(seed))
        # Seven raters for each post.
        n_raters = round(len(levels) * 7 / 30)
        readings, posts = a_study(seed, profiles=profiles, n_raters=n_raters, n_posts=len(levels))
        found.append(human_human(readings.ratings, posts).rho)
    assert np.mean(found) == pytest.approx(0.2, abs=0.025)


def test_a_seed_repeats_every_number():
    first, _ = a_study(7, n_raters=20)
    again, _ = a_study(7, n_raters=20)
    other, _ = a_study(8, n_raters=20)
    np.testing.assert_array_equal(first.ratings, again.ratings)
    np.testing.assert_array_equal(first.opened, again.opened)
    assert (first.ratings != other.ratings).any()


def test_profiles_are_standard_normal_and_neighbours_on_the_circle_go_together():
    profiles = draw_profiles(40_000, KEYS, PARAMETERS, np.random.default_rng(0))
    correlation = np.corrcoef(profiles.T)
    np.testing.assert_allclose(profiles.mean(axis=0), 0, atol=0.03)
    np.testing.assert_allclose(profiles.std(axis=0), 1, atol=0.03)
    assert correlation[0, 1] == pytest.approx(PARAMETERS.circle_correlation, abs=0.03)
    assert correlation[0, 18] == pytest.approx(PARAMETERS.circle_correlation, abs=0.03)
    assert correlation[0, 2] == pytest.approx(PARAMETERS.circle_correlation**2, abs=0.03)


def test_profiles_are_standardised_and_follow_the_authored_levels_at_the_stated_share():
    rng = np.random.default_rng(1)
    levels = np.where(rng.random((5000, 19)) < 0.15, rng.integers(1, 7, (5000, 19)), 0)
    profiles = profiles_from_levels(levels, PARAMETERS, np.random.default_rng(2))
    np.testing.assert_allclose(profiles.mean(axis=0), 0, atol=0.03)
    np.testing.assert_allclose(profiles.std(axis=0), 1, atol=0.03)
    for value in range(19):
        correlation = np.corrcoef(profiles[:, value], levels[:, value])[0, 1]
        assert correlation == pytest.approx(PARAMETERS.authored_share, abs=0.01)


def test_with_nothing_left_to_chance_profiles_are_the_standardised_levels():
    wholly_authored = dataclasses.replace(PARAMETERS, authored_share=1.0)
    profiles = profiles_from_levels([[0, 3], [0, 5], [6, 4]], wholly_authored, np.random.default_rng(0))
    np.testing.assert_allclose(profiles[:, 0], np.array([-1, -1, 2]) / np.sqrt(2))
    np.testing.assert_allclose(profiles[:, 1], np.array([-1, 1, 0]) / np.sqrt(2 / 3))


def test_a_seed_repeats_the_profiles_of_authored_posts():
    levels = [[0, 3, 0], [0, 0, 1], [6, 0, 0]]
    first, again, other = (
        profiles_from_levels(levels, PARAMETERS, np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()


def test_a_value_nobody_authored_still_varies_over_posts():
    levels = np.zeros((5000, 4))
    levels[:500, 0] = 6
    levels[:, 1] = 0.1
    profiles = profiles_from_levels(levels, PARAMETERS, np.random.default_rng(0))
    np.testing.assert_allclose(profiles.mean(axis=0), 0, atol=0.05)
    np.testing.assert_allclose(profiles.std(axis=0), 1, atol=0.05)
    assert abs(np.corrcoef(profiles[:, 2], levels[:, 0])[0, 1]) < 0.05


@pytest.mark.parametrize("n_posts", [0, 1])
def test_too_few_posts_to_compare_are_drawn(n_posts):
    profiles = profiles_from_levels(np.full((n_posts, 3), 6), PARAMETERS, np.random.default_rng(0))
    assert profiles.shape == (n_posts, 3)
    assert np.isfinite(profiles).all()


@pytest.mark.parametrize("levels", [[1, 2, 3], np.zeros((3, 0)), [[0.0, float("nan")]]])
def test_levels_that_are_no_finite_table_are_refused(levels):
    with pytest.raises(ValueError, match="levels"):
        profiles_from_levels(levels, PARAMETERS, np.random.default_rng(0))


def test_an_inattentive_rater_carries_no_post_signal():
    rng = np.random.default_rng(0)
    all_inattentive = dataclasses.replace(PARAMETERS, inattentive_share=1.0)
    population = Population.draw(2, KEYS, all_inattentive, rng)
    extreme = np.full((4000, 19), 3.0)

    def mean_rating(profiles):
        raters = np.arange(len(profiles)) % 2
        return read_posts(population, raters, profiles, SCHWARTZ, all_inattentive, SCALE, rng).ratings.mean()

    assert mean_rating(extreme) == pytest.approx(mean_rating(-extreme), abs=0.05)


def test_an_attentive_rater_rates_a_post_that_expresses_more_higher():
    rng = np.random.default_rng(0)
    profiles = np.repeat([[-1.5] * 19, [1.5] * 19], 200, axis=0)
    ratings = read_posts(a_rater(), [0] * 400, profiles, SCHWARTZ, PARAMETERS, SCALE, rng).ratings
    assert ratings[200:].mean() > ratings[:200].mean() + 0.5


def test_the_share_of_inattentive_raters_is_the_stated_one():
    population = Population.draw(20_000, KEYS, PARAMETERS, np.random.default_rng(0))
    assert len(population) == 20_000
    assert 1 - population.attentive.mean() == pytest.approx(PARAMETERS.inattentive_share, abs=0.01)


def test_values_under_unopened_branches_are_implied_and_the_rest_is_rated():
    readings, _ = a_study(3, n_raters=50)
    opened = dict(zip(readings.branch_keys, readings.opened.T, strict=True))
    np.testing.assert_array_equal(readings.rated[:, 0], opened["openness"])
    np.testing.assert_array_equal(readings.rated[:, 18], opened["compassion"])
    assert not (opened["openness"] & ~opened["self"]).any()
    assert (readings.ratings[~readings.rated] == 0).all()
    assert (readings.ratings[readings.rated] > 0).any()
    assert set(np.unique(readings.ratings)) == set(range(7))


def test_a_rater_who_sees_nothing_opens_nothing():
    numb = a_rater(leniency=np.array([-100.0]))
    reading = read_post(numb, 0, np.zeros(19), SCHWARTZ, PARAMETERS, SCALE, np.random.default_rng(0))
    assert reading.opened == frozenset()
    assert reading.ratings == {}


def test_all_branches_open_at_once_only_in_the_stated_share_and_where_several_are_allowed():
    rng = np.random.default_rng(0)
    eager = a_rater(leniency=np.array([3.0]))
    one_answer = Branch(
        "post", tuple(dataclasses.replace(c, several=False) for c in SCHWARTZ.children), False
    )
    profiles = np.zeros((4000, 19))
    several = read_posts(eager, [0] * 4000, profiles, SCHWARTZ, PARAMETERS, SCALE, rng)
    single = read_posts(eager, [0] * 4000, profiles, one_answer, PARAMETERS, SCALE, rng)
    assert set(np.unique(several.opened.sum(axis=1))) == {2, 6}
    assert several.opened.all(axis=1).mean() == pytest.approx(PARAMETERS.open_all_share, abs=0.03)
    assert set(np.unique(single.opened.sum(axis=1))) == {2}


def test_two_branches_are_chosen_between_by_a_logistic_comparison():
    tree = Branch("root", (Branch("left", ("a",), False), Branch("right", ("b",), False)), False)
    quiet = dataclasses.replace(PARAMETERS, mood_spread=0.0, rating_noise=0.0, branch_noise=(0.5,))
    rater = a_rater(("a", "b"), leniency=np.array([2.0]), priorities=np.array([[0.4, 0.0]]))
    readings = read_posts(
        rater, [0] * 20_000, np.zeros((20_000, 2)), tree, quiet, SCALE, np.random.default_rng(0)
    )
    expected = 1 / (1 + np.exp(-0.4 / 0.5))
    assert readings.opened[:, 0].mean() == pytest.approx(expected, abs=0.01)


def test_a_group_counts_as_the_best_below_it():
    tree = Branch(
        "root",
        (
            Branch("mild", ("a", "b"), False),
            Branch("sharp", (Branch("low", ("c",), False), Branch("high", ("d",), False)), False),
        ),
        False,
    )
    quiet = dataclasses.replace(PARAMETERS, mood_spread=0.0, rating_noise=0.0, branch_noise=(0.01,))
    rater = a_rater(
        ("a", "b", "c", "d"), leniency=np.array([2.0]), priorities=np.array([[1.0, 1.0, -9.0, 2.0]])
    )
    reading = read_post(rater, 0, np.zeros(4), tree, quiet, SCALE, np.random.default_rng(0))
    assert reading.opened == {"sharp", "high"}
    assert reading.ratings == {"d": int(PARAMETERS.default_value.level + 4.0)}


def test_a_mixed_tree_of_three_levels_rates_values_beside_branches():
    rng = np.random.default_rng(0)
    keys = MIXED.value_keys()
    assert keys == tuple("abcdefghij")
    population = Population.draw(50, keys, PARAMETERS, rng)
    profiles = draw_profiles(50, keys, PARAMETERS, rng)
    readings = read_posts(population, np.arange(50), profiles, MIXED, PARAMETERS, SCALE, rng)
    opened = dict(zip(readings.branch_keys, readings.opened.T, strict=True))
    rated = dict(zip(keys, readings.rated.T, strict=True))
    assert readings.branch_keys == ("left", "deep", "deeper", "end", "middle", "right", "one", "two")
    assert rated["a"].all()
    for value, branch in {"b": "left", "d": "deep", "e": "end", "g": "middle", "j": "two"}.items():
        np.testing.assert_array_equal(rated[value], opened[branch])
    assert not (opened["one"] & opened["two"]).any()
    assert opened["left"].any()
    assert not opened["left"].all()


def test_in_a_flat_system_every_value_is_rated():
    population = Population.draw(5, FLAT.value_keys(), PARAMETERS, np.random.default_rng(0))
    reading = read_post(population, 4, [0.0, 1.0, -1.0], FLAT, PARAMETERS, SCALE, np.random.default_rng(1))
    assert reading.opened == frozenset()
    assert set(reading.ratings) == {"joy", "anger", "fear"}


@pytest.mark.parametrize("scale", [(1, 5), (0, 1), (0, 100), (-3, 3)])
def test_ratings_fill_the_scale_of_the_study(scale):
    rng = np.random.default_rng(0)
    population = Population.draw(300, FLAT.value_keys(), PARAMETERS, rng)
    profiles = draw_profiles(300, FLAT.value_keys(), PARAMETERS, rng)
    ratings = read_posts(population, np.arange(300), profiles, FLAT, PARAMETERS, scale, rng).ratings
    assert (ratings.min(), ratings.max()) == scale


def test_a_direct_question_needs_no_branch_to_be_open():
    tree = Branch("root", (Branch("strong", ("a",), False), Branch("weak", ("b",), False)), False)
    quiet = dataclasses.replace(PARAMETERS, mood_spread=0.0, rating_noise=0.0)
    rater = a_rater(("a", "b"), priorities=np.array([[50.0, 4.5]]))
    rng = np.random.default_rng(0)
    level = int(PARAMETERS.default_value.level + 4.5)
    assert answer_question(rater, 0, np.zeros(2), 1, quiet, SCALE, rng) == level
    assert read_post(rater, 0, np.zeros(2), tree, quiet, SCALE, rng).ratings == {"a": 6}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rater_idx": [1]}, "there are 1 raters"),
        ({"rater_idx": [-1]}, "there are 1 raters"),
        ({"profiles_rows": [[0.0] * 18]}, "do not fit"),
        ({"profiles_rows": [[0.0] * 19] * 2}, "do not fit"),
        ({"scale": (6, 6)}, "scale"),
        ({"tree": Branch("post", KEYS[::-1], True)}, "draw it with the tree"),
        ({"tree": Branch("post", (Branch("post", KEYS, True),), True)}, "more than once: post"),
        ({"tree": Branch("post", (*KEYS, "face"), True)}, "more than once: face"),
    ],
)
def test_input_that_does_not_fit_is_refused(change, message):
    fitting = {
        "population": a_rater(),
        "rater_idx": [0],
        "profiles_rows": [[0.0] * 19],
        "tree": SCHWARTZ,
        "parameters": PARAMETERS,
        "scale": SCALE,
        "rng": np.random.default_rng(0),
    }
    assert len(read_posts(**fitting).ratings) == 1
    with pytest.raises(ValueError, match=message):
        read_posts(**fitting | change)


def test_a_question_about_a_value_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="value_index"):
        answer_question(a_rater(), 0, np.zeros(19), 19, PARAMETERS, SCALE, np.random.default_rng(0))


def test_a_branch_without_children_is_refused():
    with pytest.raises(ValueError, match="'empty' has no children"):
        Branch("empty", (), True)


@pytest.mark.parametrize("n_raters", [0, 3])
def test_no_readings_are_an_empty_table(n_raters):
    population = Population.draw(n_raters, KEYS, PARAMETERS, np.random.default_rng(0))
    readings = read_posts(
        population, [], np.zeros((0, 19)), SCHWARTZ, PARAMETERS, SCALE, np.random.default_rng(0)
    )
    assert readings.ratings.shape == (0, 19)
    assert readings.opened.shape == (0, 6)
