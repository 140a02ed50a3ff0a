import numpy as np
import pandas as pd
import pytest

from modeling.stats.agreement import human_human
from modeling.stats.krippendorff import krippendorff_alpha
from modeling.stats.ratings import Ratings

LONG = pd.DataFrame(
    [
        ("ann", "p1", "care", 0),
        ("ann", "p1", "fame", 3),
        ("ann", "p2", "care", 6),
        ("ben", "p1", "fame", 5),
        ("ben", "p1", "care", 1),
        ("cem", "p2", "fame", 2),
        ("cem", "p2", "care", 4),
        ("ann", "p2", "fame", 2),
    ],
    columns=["rater", "post", "value", "rating"],
)


def draw_long(seed=0, n_raters=12, n_posts=9, n_values=5):
    """Seeded ratings in long form, sparse, in no order."""
    rng = np.random.default_rng(seed)
    lines = [
        (f"r{rater}", f"p{post}", f"v{value}", int(rng.choice(7)))
        for rater in range(n_raters)
        for post in rng.choice(n_posts, 4, replace=False)
        for value in range(n_values)
    ]
    return pd.DataFrame(lines, columns=["rater", "post", "value", "rating"]).sample(frac=1, random_state=seed)


def test_a_long_table_becomes_one_row_per_rater_and_post():
    read = Ratings.from_long(LONG, scale=(0, 6))
    assert read.rater_ids == ("ann", "ben", "cem")
    assert read.post_ids == ("p1", "p2")
    assert read.value_keys == ("care", "fame")
    cells = {
        (read.rater_ids[rater], read.post_ids[post]): row.tolist()
        for rater, post, row in zip(read.raters, read.posts, read.ratings, strict=True)
    }
    assert cells == {
        ("ann", "p1"): [0, 3],
        ("ann", "p2"): [6, 2],
        ("ben", "p1"): [1, 5],
        ("cem", "p2"): [4, 2],
    }


def test_the_order_of_the_lines_changes_no_number():
    one, other = draw_long(), draw_long().iloc[::-1]
    values = [f"v{number}" for number in range(5)]
    first = pd.DataFrame(Ratings.from_long(one, values=values).summarize(seed=3))
    second = pd.DataFrame(Ratings.from_long(other, values=values).summarize(seed=3))
    np.testing.assert_allclose(first["estimate"], second["estimate"], atol=1e-12)
    assert first["n_posts"].tolist() == second["n_posts"].tolist()


def test_the_methods_give_what_the_functions_give():
    read = Ratings.from_long(draw_long(), scale=(0, 6))
    assert read.human_human().rho == human_human(read.ratings, read.posts, len(read.post_ids)).rho
    np.testing.assert_array_equal(
        read.krippendorff_alpha("interval").krippendorff_alpha,
        krippendorff_alpha(read.ratings, read.posts, "interval", len(read.post_ids)).krippendorff_alpha,
    )
    assert set(read.human_consensus_by_size([1, 2], seed=1)) == {1, 2}
    assert np.isfinite(read.human_crowd_mae().overall)


def test_the_summary_has_a_row_per_measure_and_value_with_its_interval():
    table = pd.DataFrame(Ratings.from_long(draw_long(), scale=(0, 6)).summarize())
    assert table["measure"].tolist() == ["human-human", "human-consensus"] + ["ordinal alpha"] * 5
    assert (table["low"] <= table["estimate"]).all()
    assert (table["estimate"] <= table["high"]).all()


def test_what_does_not_exist_is_nan_with_a_reason():
    alone = LONG[LONG["rater"] == "ann"]
    table = pd.DataFrame(Ratings.from_long(alone).summarize())
    assert table["estimate"].isna().all()
    assert (table["reason"] != "").all()


def test_a_rating_that_is_not_there_is_a_gap():
    read = Ratings.from_long(LONG.iloc[:-1])
    assert np.isnan(read.ratings).sum() == 1


def test_the_order_of_the_values_can_be_given():
    read = Ratings.from_long(LONG, values=["fame", "play", "care"])
    assert read.value_keys == ("fame", "play", "care")
    assert np.isnan(read.ratings[:, 1]).all()
    assert not np.isnan(read.ratings[:, [0, 2]]).any()


def test_columns_may_have_other_names_and_be_plain_lists():
    table = {"who": ["a", "b"], "what": [7, 7], "which": ["x", "x"], "n": [1, 2]}
    read = Ratings.from_long(table, rater="who", post="what", value="which", rating="n")
    assert read.post_ids == (7,)
    assert read.ratings.tolist() == [[1.0], [2.0]]


FAULTS = {
    "a missing column": (LONG.drop(columns="post"), {}, "no column 'post', only rater, value, rating"),
    "no line": (LONG.iloc[:0], {}, "the table has no line"),
    "a repeated rating": (
        pd.concat([LONG, LONG.iloc[[2]]]),
        {},
        r"1 line\(s\) rate .* first line 8 .*'ann'.*'p2'.*'care'",
    ),
    "above the scale": (
        LONG.replace({"rating": {6: 7}}),
        {"scale": (0, 6)},
        r"leaves the scale from 0 to 6, 1 time\(s\): line 2",
    ),
    "a word": (
        LONG.astype(object).replace({"rating": {5: "five"}}),
        {},
        r"no number, 1 time\(s\): line 3 \('five'\)",
    ),
    "an empty rating": (LONG.astype(object).replace({"rating": {5: None}}), {}, "empty or infinite, 1 time"),
    "an empty name": (LONG.replace({"rater": {"ben": ""}}), {}, "column 'rater' is empty, 2 time"),
    "a missing name": (
        LONG.astype(object).replace({"post": {"p2": None}}),
        {},
        "column 'post' is empty, 4 time",
    ),
    "an unknown value": (LONG, {"values": ["care"]}, "column 'value' names 1 that are not known: 'fame'"),
    "an unknown post": (LONG, {"known_posts": {"p1"}}, "column 'post' names 1 that are not known: 'p2'"),
    "an unknown rater": (LONG, {"known_raters": ["ann", "ben"]}, "names 1 that are not known: 'cem'"),
    "uneven columns": (
        {"rater": ["a"], "post": [1], "value": ["x"], "rating": [1, 2]},
        {},
        "differ in length",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_table_is_refused_with_the_place_of_the_fault(fault):
    table, options, message = FAULTS[fault]
    with pytest.raises(ValueError, match=message):
        Ratings.from_long(table, **options)
