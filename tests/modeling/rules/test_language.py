"""Rules as they are read, with their faults, and as they are put into words."""

import json

import pytest

from modeling.rules.language import say_condition
from modeling.rules.reading import RulesRefused, digest_rules, load_json, read_rules
from modeling.rules.starters import list_starters
from tests.factories import load_nineteen

KEYS = ("power", "caring", "nature")
SCALE = (0, 6)


def rule(**fields):
    return {
        "key": "one",
        "title": "A rule",
        "why": "It may be wrong.",
        "values": ["power"],
        "when": {"expressed": "each"},
    } | fields


def faults_of(*rules):
    with pytest.raises(RulesRefused) as refused:
        read_rules(list(rules), KEYS, SCALE)
    return refused.value.faults


class TestReading:
    def test_any_stands_for_all_values_of_the_study(self):
        (read,) = read_rules([rule(values="any")], KEYS, SCALE)
        assert (read.values, read.is_any, read.looks_at_each) == (KEYS, True, True)

    def test_between_is_both_ends(self):
        (read,) = read_rules([rule(when={"rating": "caring", "between": [2, 4]})], KEYS, SCALE)
        assert (read.when.low, read.when.high, read.when.value) == (2, 4, "caring")

    def test_places_tell_where_a_condition_stands(self):
        when = {"all": [{"expressed": "each"}, {"not": {"words": ["a"]}}]}
        (read,) = read_rules([rule(when=when)], KEYS, SCALE)
        assert [leaf.place for leaf in read.when.list_leaves()] == ["when.all[0]", "when.all[1].not"]

    def test_every_fault_is_named_with_its_place(self):
        when = {
            "any": [
                {"rating": "each", "at_least": 9},
                {"expressed": "courage"},
                {"words": ["!!"], "in": "title"},
                {"pattern": "(a+)+"},
                {"probability": "rating", "of": "each", "below": 0},
                {"rating": "each", "at_least": 5, "at_most": 2},
                {"expressed": "each", "spread": "each"},
            ]
        }
        faults = faults_of(rule(when=when, extra=1), rule(title=""), "three")
        assert [fault.split(": ")[0] for fault in faults] == [
            "Rule 1 (one)",
            "Rule 1 (one), when.any[0].at_least",
            "Rule 1 (one), when.any[1].expressed",
            "Rule 1 (one), when.any[2].in",
            "Rule 1 (one), when.any[2].words[0]",
            "Rule 1 (one), when.any[3].pattern",
            "Rule 1 (one), when.any[4].below",
            "Rule 1 (one), when.any[5]",
            "Rule 1 (one), when.any[6]",
            "Rule 2 (one), title",
            "Rule 2 (one), key",
            "Rule 3",
        ]
        assert "from 0 to 6, not 9" in faults[1]
        assert "power, caring, nature" in faults[2]

    @pytest.mark.parametrize(
        "given",
        [None, {}, [], "rules", [rule()] * 101],
        ids=["nothing", "object", "empty", "text", "too-many"],
    )
    def test_what_is_no_list_of_rules_is_refused(self, given):
        with pytest.raises(RulesRefused):
            read_rules(given, KEYS, SCALE)

    @pytest.mark.parametrize(
        "when",
        [
            [],
            {},
            {"all": []},
            {"not": []},
            {"rating": "each"},
            {"rating": "each", "at_least": True},
            {"rating": "each", "at_least": float("nan")},
            {"rating": "each", "between": [1]},
            {"number_expressed": 3},
            {"number_expressed": {"at_least": 4}},
            {"words": []},
            {"words": "fair"},
            {"words": [3]},
            {"pattern": 3},
            {"models_differ": "each"},
            {"models_differ": "each", "by": 7},
            {"probability": "value", "of": "each", "below": 0.5},
            {"probability": "rating", "below": 0.5},
            {"spread": "each", "above": -1},
            {"presence_varies": ["each"]},
            {"expressed": "each", "at_least": 2},
        ],
        ids=str,
    )
    def test_a_condition_that_cannot_be_used_is_refused(self, when):
        assert all(fault.startswith("Rule 1 (one), when") for fault in faults_of(rule(when=when)))

    def test_depth_and_number_of_conditions_are_bounded(self):
        deep = {"expressed": "each"}
        for _ in range(2000):
            deep = {"not": deep}
        assert "deep" in faults_of(rule(when=deep))[0]
        wide = {"any": [{"expressed": "each"}] * 60}
        assert "at most 50 conditions" in faults_of(rule(when=wide))[0]

    def test_text_that_is_no_json_is_refused_with_its_line(self):
        with pytest.raises(RulesRefused, match="Line 2, column 1"):
            load_json("[\n}")
        with pytest.raises(RulesRefused, match="'key' twice"):
            load_json('[{"key": "a", "key": "b"}]')
        with pytest.raises(RulesRefused, match="cannot be read"):
            load_json("[" * 100_000)

    @pytest.mark.parametrize("character", ["\x00", "\ud800"])
    def test_what_a_database_cannot_store_is_refused_where_it_stands(self, character):
        when = {"any": [{"words": [f"fair{character}"]}, {"pattern": f"fair{character}?"}]}
        first, second = faults_of(rule(when=when))
        assert "words[0]" in first and "cannot be stored" in first
        assert "pattern" in second and "cannot be stored" in second

    def test_the_digest_does_not_depend_on_layout(self):
        turned = json.loads(json.dumps(dict(reversed(list(rule().items())))))
        assert digest_rules([turned]) == digest_rules([rule()])
        assert digest_rules([rule(title="Another")]) != digest_rules([rule()])


class TestWords:
    def test_a_condition_is_said_in_words(self):
        when = {
            "all": [
                {"rating": "power", "at_least": 4},
                {"not": {"words": ["boss"], "in": "both"}},
                {
                    "any": [
                        {"probability": "presence", "of": "each", "below": 0.6},
                        {"presence_varies": "each"},
                    ]
                },
            ]
        }
        (read,) = read_rules([rule(when=when)], KEYS, SCALE)
        assert say_condition(read.when, {"power": "Power"}) == (
            "(rating of Power at least 4 and not text or context holds “boss” and (probability of the presence of the "
            "value below 0.6 or runs differ on whether the value is expressed))"
        )


class TestStarters:
    def test_all_of_them_fit_the_system_that_ships(self):
        keys = [leaf.key for leaf in load_nineteen().leaves]
        starters = list_starters(keys, SCALE)
        assert len(starters) == 10
        assert len({starter["key"] for starter in starters}) == 10

    def test_those_about_values_that_a_study_lacks_are_left_out(self):
        assert {starter["values"] for starter in list_starters(KEYS, SCALE)} == {"any"}
