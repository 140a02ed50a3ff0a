"""What the next study costs and can show."""

from dataclasses import replace

import numpy as np
import pytest

from modeling.reports.people import measure_people
from modeling.reports.planning import describe_planning
from modeling.stats.planning import alpha_precision, expected_consensus
from tests.modeling.reports.made_up import make_agreement, make_study


def describe(study):
    *_, by_size = measure_people(study.ratings, study.posts, study.n_posts, seed=1)
    return *describe_planning(study, by_size, seed=1), by_size


@pytest.fixture(scope="module")
def study():
    return make_agreement(n_raters=30, n_posts=12)


@pytest.fixture(scope="module")
def planning(study):
    return describe(study)


def test_every_design_is_listed_with_its_raters_and_cost(planning):
    rows = planning[0]["rows"]
    assert [(row["posts"], row["raters_per_post"]) for row in rows] == [
        (posts, raters) for posts in (6, 12, 24) for raters in range(2, 21)
    ]
    row = rows[19 + 3]
    assert (row["posts"], row["raters_per_post"], row["raters"]) == (12, 5, 10)
    assert row["cost"] == 10 * 800  # the reward of 600 and a third of it


def test_what_is_foreseen_is_what_the_statistics_say(study, planning):
    described, _, by_size = planning
    sizes = [size for size, measure in by_size.items() if measure.n_posts]
    curve = expected_consensus(
        sizes, [by_size[size].rho for size in sizes], [by_size[size].n_posts for size in sizes], range(1, 20)
    )
    assert [each["rho"] for each in described["curve"]] == pytest.approx(
        [each.rho for each in curve.expected]
    )
    assert [each["size"] for each in described["curve"] if each["observed"]] == sizes
    assert all(each["low"] <= each["rho"] <= each["high"] for each in described["curve"])
    row = described["rows"][19 + 4 - 2]
    widths = alpha_precision(study.ratings, study.posts, raters_per_post=4, n_posts=12).half_width
    assert row["half_width_median"] == pytest.approx(np.median(widths))
    assert (row["half_width_worst"], row["worst_value"]) == (
        pytest.approx(widths.max()),
        f"value_{widths.argmax()}",
    )
    assert row["rho"] == pytest.approx(curve.expected[2].rho)


def test_the_cost_says_whose_fee_it_has(study, planning):
    assert any("Prolific" in note and "33.3%" in note for note in planning[1])
    own = describe(replace(study, fee=0.25))
    assert own[0]["rows"][19 + 3]["cost"] == 10 * 750
    assert any("25.0%" in note and "Prolific" not in note for note in own[1])


def test_without_a_reward_the_cost_is_open_and_unmentioned(study):
    described, notes, _ = describe(replace(study, reward=None))
    assert {row["cost"] for row in described["rows"]} == {None}
    assert not any("reward" in note for note in notes)


def test_a_rater_reads_what_raters_read_where_the_study_does_not_say(study):
    assert describe(replace(study, posts_per_rater=None))[0]["posts_per_rater"] == 6


def test_one_post_is_no_pilot():
    described, notes, _ = describe(make_study([[1, 2, 3], [2, 1, 3]], [0, 1], [0, 0]))
    assert (described["curve"], described["rows"], notes) == ([], [], [])
    assert described["reason"] == "a plan needs ratings of at least two posts"


def test_two_raters_a_post_give_costs_and_precision_but_no_curve():
    ratings = np.random.default_rng(2).integers(0, 7, (10, 4))
    described, *_ = describe(make_study(ratings, np.tile([0, 1], 5), np.repeat(range(5), 2)))
    assert described["curve"] == []
    assert "needs two" in described["reason"]
    assert described["rows"][0]["rho"] is None
    assert described["rows"][0]["half_width_median"] > 0
