"""Rules held against posts: what is flagged, what is unknown, what is told."""

import numpy as np
import pytest

from modeling.rules.matching import Matcher, add_counts
from modeling.rules.posts import Chunk
from modeling.rules.reading import read_rules

NAN = float("nan")
KEYS = ("power", "caring", "nature")
NAMES = {"power": "Power", "caring": "Caring", "nature": "Nature"}
THRESHOLD = 2


def make_matcher(*conditions, values="any"):
    rules = [
        {"key": f"r{place}", "title": "t", "why": "w", "values": values, "when": when}
        for place, when in enumerate(conditions)
    ]
    return Matcher(read_rules(rules, KEYS, (0, 6)), KEYS, NAMES, range(7), THRESHOLD)


def make_chunk(*posts, texts=None, contexts=None, distributions=None, others=()):
    """Posts as lists of samples, each sample a list of three ratings."""
    most = max(len(samples) for samples in posts)
    ratings = np.full((most, len(posts), 3), NAN)
    for row, samples in enumerate(posts):
        for sample, said in enumerate(samples):
            ratings[sample, row] = said
    return Chunk(
        texts or [""] * len(posts),
        contexts or [""] * len(posts),
        ratings,
        distributions,
        tuple(np.array(other, dtype=float) for other in others),
    )


def spread(*chances):
    """A distribution over the seven points of one value."""
    return [*chances, *[0.0] * (7 - len(chances))]


def flag(matcher, chunk):
    return {each.row: {reason.rule: reason for reason in each.reasons} for each in matcher.match(chunk)}


class TestRatings:
    def test_each_value_is_held_against_a_rule_by_itself(self):
        found = flag(make_matcher({"rating": "each", "at_least": 4}), make_chunk([[5, 1, 4]], [[3, 3, 3]]))
        assert list(found) == [0]
        assert found[0]["r0"].values == ("power", "nature")
        assert found[0]["r0"].found == "Power 5, rule asks for at least 4, Nature 4, rule asks for at least 4"

    def test_the_mean_over_samples_counts(self):
        matcher = make_matcher({"rating": "power", "between": [2.5, 3]})
        assert list(flag(matcher, make_chunk([[2, 0, 0], [3, 0, 0]], [[3, 0, 0], [4, 0, 0]]))) == [0]

    def test_only_the_values_of_the_rule_are_looked_at(self):
        matcher = make_matcher({"expressed": "each"}, values=["caring"])
        assert list(flag(matcher, make_chunk([[6, 0, 6]], [[0, 2, 0]]))) == [1]

    def test_a_rule_about_no_single_value_concerns_what_is_expressed(self):
        found = flag(
            make_matcher({"number_expressed": {"at_least": 2}}), make_chunk([[5, 0, 2]], [[5, 0, 1]])
        )
        assert found[0]["r0"].values == ("power", "nature")
        assert found[0]["r0"].found == "2 values expressed, rule asks for at least 2"
        found = flag(make_matcher({"number_expressed": {"at_most": 0}}), make_chunk([[1, 0, 0]]))
        assert found[0]["r0"].values == KEYS

    def test_conditions_are_put_together_value_by_value(self):
        both = {"all": [{"rating": "each", "at_least": 4}, {"not": {"rating": "each", "at_least": 5}}]}
        found = flag(make_matcher(both), make_chunk([[4, 5, 0]], [[5, 5, 0]]))
        assert found == {0: found[0]}
        assert found[0]["r0"].values == ("power",)


class TestText:
    def test_words_and_patterns_are_looked_for_where_the_rule_says(self):
        matcher = make_matcher(
            {"words": ["boss", "my lord"], "in": "text"},
            {"words": ["boss"], "in": "context"},
            {"pattern": r"\bb.{2}s\b", "in": "both"},
        )
        chunk = make_chunk([[0, 0, 0]], [[0, 0, 0]], [[0, 0, 0]], texts=["The BOSS!", "embossed", "oh, My  lord"],
                           contexts=["", "a boss", ""])  # fmt: skip
        found = flag(matcher, chunk)
        assert {row: sorted(reasons) for row, reasons in found.items()} == {
            0: ["r0", "r2"],
            1: ["r1", "r2"],
            2: ["r0"],
        }
        assert found[0]["r0"].found == "text holds “boss”"
        assert found[1]["r2"].found == "text or context holds “boss”"

    def test_a_post_without_context_holds_no_words_there(self):
        matcher = make_matcher({"not": {"words": ["boss"], "in": "context"}})
        assert list(flag(matcher, make_chunk([[0, 0, 0]], texts=["boss"]))) == [0]


class TestModels:
    def test_models_differ_by_points_or_in_presence(self):
        matcher = make_matcher(
            {"models_differ": "each", "by": 3}, {"models_differ": "each", "by": "presence"}
        )
        chunk = make_chunk([[4, 1, 0]], [[2, 2, 2]], others=([[1, 2, 0], [4, 3, 2]],))
        found = flag(matcher, chunk)
        assert {row: sorted(reasons) for row, reasons in found.items()} == {0: ["r0", "r1"]}
        assert found[0]["r0"].found == "Power: models say 4 and 1"
        assert found[0]["r1"].values == ("power", "caring")

    def test_a_model_without_a_reading_leaves_open_whether_they_differ(self):
        matcher = make_matcher({"models_differ": "each", "by": 3})
        chunk = make_chunk(
            [[4, 4, 4]], [[4, 4, 4]], others=([[NAN] * 3, [0, 4, NAN]], [[4, 4, 4], [4, 4, 4]])
        )
        assert list(flag(matcher, chunk)) == [1]
        assert (matcher.n_flagged["r0"], matcher.n_undecided["r0"]) == (1, 1)

    def test_without_another_run_nothing_is_known(self):
        matcher = make_matcher(
            {"models_differ": "each", "by": 1}, {"not": {"models_differ": "each", "by": 1}}
        )
        assert flag(matcher, make_chunk([[4, 4, 4]])) == {}
        assert matcher.n_undecided == {"r0": 1, "r1": 1}


class TestProbability:
    def test_of_the_rating_is_that_of_the_nearest_point(self):
        distributions = np.array([[spread(0.1, 0, 0, 0.3, 0.6), spread(1), spread(0.4, 0.6)]])
        matcher = make_matcher({"probability": "rating", "of": "each", "below": 0.5})
        found = flag(matcher, make_chunk([[2.6, 0, 0.5]], distributions=distributions))
        assert found[0]["r0"].values == ("power",)
        assert found[0]["r0"].found == "Power 2.6 has probability 0.30, below 0.5"

    def test_of_presence_is_that_of_the_side_on_which_the_rating_is(self):
        distributions = np.array([[spread(0.45, 0, 0.55), spread(0.45, 0, 0.55), spread(0, 0, 1)]])
        matcher = make_matcher({"probability": "presence", "of": "each", "below": 0.5})
        (reason,) = flag(matcher, make_chunk([[2, 1, 2]], distributions=distributions))[0].values()
        assert reason.values == ("caring",)
        assert reason.found == "Caring: its absence has probability 0.45, below 0.5"

    def test_without_a_distribution_it_is_unknown(self):
        matcher = make_matcher({"probability": "rating", "of": "each", "below": 0.5})
        distributions = np.full((2, 3, 7), NAN)
        distributions[1] = spread(0.2, 0.8)
        assert list(flag(matcher, make_chunk([[0] * 3], [[0] * 3], distributions=distributions))) == [1]
        assert matcher.n_unknown["r0"]["when"] == 1
        assert flag(matcher, make_chunk([[0] * 3])) == {}
        assert matcher.n_undecided["r0"] == 2


class TestSamples:
    def test_spread_is_the_standard_deviation_over_samples(self):
        matcher = make_matcher({"spread": "each", "above": 1.4})
        found = flag(matcher, make_chunk([[1, 0, 3], [3, 1, 3]]))
        assert found[0]["r0"].values == ("power",)
        assert "1.41" in found[0]["r0"].found

    def test_presence_varies_where_not_all_samples_are_on_one_side(self):
        matcher = make_matcher({"presence_varies": "each"})
        found = flag(matcher, make_chunk([[1, 0, 3], [2, 1, 6]]))
        assert found[0]["r0"].values == ("power",)
        assert found[0]["r0"].found == "Power: runs say 1, 2"

    def test_a_single_sample_is_unknown(self):
        matcher = make_matcher({"presence_varies": "each"}, {"not": {"spread": "each", "above": 1}})
        assert flag(matcher, make_chunk([[1, 0, 3]])) == {}
        assert matcher.n_undecided == {"r0": 1, "r1": 1}


class TestUnknown:
    def test_any_needs_one_and_all_falls_by_one_whatever_is_unknown(self):
        unknown = {"models_differ": "each", "by": 1}
        matcher = make_matcher(
            {"any": [unknown, {"expressed": "power"}]},
            {"all": [unknown, {"expressed": "power"}]},
            {"all": [unknown, {"not_expressed": "power"}]},
        )
        found = flag(matcher, make_chunk([[6, 0, 0]]))
        assert list(found[0]) == ["r0"]
        assert matcher.n_undecided == {"r0": 0, "r1": 1, "r2": 0}
        assert matcher.n_unknown["r2"]["when.all[0]"] == 1

    def test_a_missing_value_may_or_may_not_be_one_of_those_expressed(self):
        matcher = make_matcher(
            {"number_expressed": {"at_least": 2}},
            {"number_expressed": {"at_least": 1}},
            {"number_expressed": {"at_most": 0}},
            {"number_expressed": {"at_least": 3}},
        )
        found = flag(matcher, make_chunk([[6, NAN, 0]]))
        assert list(found[0]) == ["r1"]
        assert matcher.n_undecided == {"r0": 1, "r1": 0, "r2": 0, "r3": 0}

    def test_a_post_without_a_reading_is_counted_and_never_flagged(self):
        matcher = make_matcher({"words": ["boss"]}, {"expressed": "each"})
        assert list(flag(matcher, make_chunk([[NAN] * 3], [[0] * 3], texts=["boss", "boss"]))) == [1]
        assert (matcher.n_posts, matcher.n_unread, matcher.n_flagged["r0"]) == (2, 1, 1)
        assert matcher.n_undecided["r1"] == 0


def test_chunks_add_up_to_the_whole():
    rng = np.random.default_rng(3)
    samples = rng.integers(0, 7, (2, 60, 3)).astype(float)
    samples[rng.random(samples.shape) < 0.1] = NAN
    conditions = ({"rating": "each", "at_least": 5}, {"presence_varies": "each"})
    whole, parts = make_matcher(*conditions), [make_matcher(*conditions) for _ in range(3)]
    found = [each.row for each in whole.match(Chunk([""] * 60, [""] * 60, samples))]
    pieces = [
        begin * 20 + each.row
        for begin, part in enumerate(parts)
        for each in part.match(Chunk([""] * 20, [""] * 20, samples[:, begin * 20 : begin * 20 + 20]))
    ]
    assert pieces == found
    assert add_counts([part.describe_counts() for part in parts]) == whole.describe_counts()


def test_a_chunk_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="samples as"):
        Chunk(["a"], ["b"], np.zeros((1, 2, 3)))
    with pytest.raises(ValueError, match="another shape"):
        Chunk(["a"], ["b"], np.zeros((1, 1, 3)), None, (np.zeros((1, 2)),))
    with pytest.raises(ValueError, match="2 values, the rules are for 3"):
        make_matcher({"expressed": "each"}).match(Chunk(["a"], ["b"], np.zeros((1, 1, 2))))
    with pytest.raises(ValueError, match="over 5 points"):
        make_matcher({"expressed": "each"}).match(
            Chunk(["a"], ["b"], np.zeros((1, 1, 3)), np.zeros((1, 3, 5)))
        )
