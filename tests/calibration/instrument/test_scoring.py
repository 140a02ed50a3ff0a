import copy
import doctest
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.instrument import scoring
from calibration.instrument.scoring import ScaleScore, ScoringKey, ScoringKeyError, score
from calibration.instrument.shipped import load_scoring_key

KEY = {
    "key": "mood",
    "instrument": "Moods",
    "answers": {"min": 0, "max": 4, "low": "never", "high": "always"},
    "items": ["a", "b", "c", "d"],
    "scales": [
        {"key": "calm", "label": "Calm", "items": ["a", "b"], "reversed": ["b"]},
        {"key": "glad", "label": "Glad", "items": ["c", "d"], "method": "sum"},
        {"key": "well", "label": "Well", "scales": ["calm", "glad"]},
    ],
}
CENTRED = KEY | {
    "ipsatise": {"share": 0.5},
    "scales": [
        {"key": "ab", "label": "AB", "items": ["a", "b"]},
        {"key": "c", "label": "C", "items": ["c"]},
        {"key": "all", "label": "All", "scales": ["ab", "c"]},
    ],
}


def scores_of(data, **answers):
    return score(ScoringKey.from_dict(data), answers)


def with_scale(change, **key):
    return KEY | {"scales": [KEY["scales"][0] | change]} | key


def faults_of(data):
    with pytest.raises(ScoringKeyError) as refusal:
        ScoringKey.from_dict(data)
    return refusal.value.faults


def test_the_examples_in_the_docstrings_hold():
    result = doctest.testmod(scoring)
    assert (result.failed, result.attempted > 2) == (0, True)


def test_a_scale_is_the_mean_or_sum_of_its_items_and_reversed_ones_count_from_the_other_end():
    scores = scores_of(KEY, a=3, b=1, c=2, d=4)
    assert scores == {
        "calm": ScaleScore(3.0, 2),  # 3 and 0 + 4 - 1
        "glad": ScaleScore(6.0, 2),
        "well": ScaleScore(4.5, 4),
    }


def test_a_scale_with_too_few_answers_has_no_score_and_says_why():
    scores = scores_of(KEY, a=3, c=2, d="prefer_not_to_say")
    assert math.isnan(scores["calm"].value)
    assert (scores["calm"].n_answered, scores["calm"].reason) == (
        1,
        "1 of 2 items answered; at least 2 needed",
    )
    assert (scores["well"].n_answered, scores["well"].reason) == (
        2,
        "0 of 2 scales scored; at least 2 needed",
    )


@pytest.mark.parametrize(
    ("needs", "n_given", "is_scored"),
    [
        ({"items": 1}, 1, True),
        ({"items": 2}, 1, False),
        ({"share": 0.5}, 2, True),
        ({"share": 0.51}, 2, False),
        ({"items": 3, "share": 0.5}, 2, False),
        ({"items": 9}, 4, True),
        ({"share": 0}, 0, False),
        ({}, 3, False),
    ],
)
def test_the_rule_for_missing_answers_is_a_number_a_share_or_both(needs, n_given, is_scored):
    data = with_scale({"items": ["a", "b", "c", "d"], "reversed": []}, needs=needs)
    answers = dict.fromkeys("abcd"[:n_given], 2)
    assert math.isnan(scores_of(data, **answers)["calm"].value) is not is_scored


def test_a_scales_own_rule_goes_before_the_keys():
    data = with_scale({"needs": {"items": 2}}, needs={"items": 1})
    assert math.isnan(scores_of(data, a=1)["calm"].value)


def test_a_sum_counts_a_missing_answer_as_the_mean_of_the_others():
    data = with_scale({"items": ["a", "b", "c"], "reversed": [], "method": "sum", "needs": {"items": 2}})
    assert scores_of(data, a=1, c=4)["calm"] == ScaleScore(7.5, 2)


def test_centring_takes_the_mean_over_all_answered_items_from_every_scale():
    scores = scores_of(CENTRED, a=4, b=2, c=0, d=2)  # the mean rating of four answers is 2
    assert (scores["ab"].value, scores["ab_centred"].value) == (3, 1)
    assert (scores["c"].value, scores["c_centred"].value) == (0, -2)
    assert scores["all_centred"].value == -0.5
    assert tuple(scores) == ScoringKey.from_dict(CENTRED).score_keys


def test_centring_needs_enough_answers_but_the_scales_themselves_do_not():
    scores = scores_of(CENTRED | {"ipsatise": {"items": 3}}, a=4, b=2)
    assert scores["ab"].value == 3
    assert math.isnan(scores["ab_centred"].value)
    assert scores["ab_centred"].reason == "2 of all 4 items answered; at least 3 needed for centring"
    assert scores["c_centred"].reason == "0 of 1 items answered; at least 1 needed"


def test_nobody_answering_is_no_score_anywhere():
    for each in scores_of(CENTRED).values():
        assert math.isnan(each.value)
        assert each.reason


@pytest.mark.parametrize("answer", [-1, 5, 2.5, True, [1], math.nan])
def test_an_answer_that_is_no_number_of_the_scale_is_refused_by_name(answer):
    with pytest.raises(
        ValueError, match="answer to a is .* scoring key mood takes whole numbers from 0 to 4"
    ):
        scores_of(KEY, a=answer, b=1)


def test_what_the_key_does_not_name_does_not_count():
    assert scores_of(KEY, a=3, b=1, zodiac=99)["calm"].value == 3


# --- the keys that ship, with every number worked out by hand --------------------------------------


def test_the_bfi_10_is_scored_as_published():
    answers = dict(zip((f"bfi{n}" for n in range(1, 11)), [2, 4, 1, 5, 3, 5, 2, 4, 3, 4], strict=True))
    assert {key: each.value for key, each in score(load_scoring_key("bfi_10"), answers).items()} == {
        "extraversion": 4.5,  # 6 - 2 and 5
        "agreeableness": 4.0,  # 4 and 6 - 2
        "conscientiousness": 4.5,  # 6 - 1 and 4
        "neuroticism": 2.0,  # 6 - 5 and 3
        "openness": 3.5,  # 6 - 3 and 4
    }


PVQ_21 = [5, 2, 6, 3, 4, 1, 3, 5, 4, 2, 6, 5, 4, 3, 2, 4, 1, 6, 5, 3, 3]  # the sum is 77


def test_the_pvq_21_is_scored_as_published():
    answers = {f"pvq{n}": answer for n, answer in enumerate(PVQ_21, start=1)}
    scores = score(load_scoring_key("pvq_21"), answers)
    by_hand = {
        "self_direction": 5.5,
        "stimulation": 1.5,
        "hedonism": 2.5,
        "achievement": 3.5,
        "power": 1.5,
        "security": 3.5,
        "conformity": 3.5,
        "tradition": 3.5,
        "benevolence": 5.5,
        "universalism": 16 / 3,
        "openness_to_change": 9.5 / 3,
        "self_enhancement": 2.5,
        "conservation": 3.5,
        "self_transcendence": (5.5 + 16 / 3) / 2,
    }
    by_hand |= {f"{key}_centred": value - 77 / 21 for key, value in by_hand.items()}
    assert {key: each.value for key, each in scores.items()} == pytest.approx(by_hand)


def test_the_pvq_21_allows_for_an_answer_that_was_not_given():
    answers = {f"pvq{n}": answer for n, answer in enumerate(PVQ_21, start=1)} | {"pvq19": "prefer_not_to_say"}
    scores = score(load_scoring_key("pvq_21"), answers)
    assert scores["universalism"] == ScaleScore(5.5, 2)
    assert scores["universalism_centred"].value == pytest.approx(5.5 - 72 / 20)
    for n in range(1, 6):
        answers[f"pvq{n}"] = None
    scores = score(load_scoring_key("pvq_21"), answers)
    assert scores["universalism"].reason == "1 of 3 items answered; at least 2 needed"
    assert (
        scores["conformity_centred"].reason == "15 of all 21 items answered; at least 16 needed for centring"
    )


# Item numbers as Schwartz's instructions of June 2021 list them, typed apart from the key that ships.
PVQ_RR = {
    "self_direction_thought": (1, 23, 39), "self_direction_action": (16, 30, 56), "stimulation": (10, 28, 43),
    "hedonism": (3, 36, 46), "achievement": (17, 32, 48), "power_dominance": (6, 29, 41),
    "power_resources": (12, 20, 44), "face": (9, 24, 49), "security_personal": (13, 26, 53),
    "security_societal": (2, 35, 50), "tradition": (18, 33, 40), "conformity_rules": (15, 31, 42),
    "conformity_interpersonal": (4, 22, 51), "humility": (7, 38, 54), "universalism_nature": (8, 21, 45),
    "universalism_concern": (5, 37, 52), "universalism_tolerance": (14, 34, 57),
    "benevolence_caring": (11, 25, 47), "benevolence_dependability": (19, 27, 55),
    "self_direction": (1, 23, 39, 16, 30, 56), "power": (6, 29, 41, 12, 20, 44),
    "security": (13, 26, 53, 2, 35, 50), "conformity": (15, 31, 42, 4, 22, 51),
    "tradition_and_humility": (18, 33, 40, 7, 38, 54), "benevolence": (11, 25, 47, 19, 27, 55),
    "universalism": (8, 21, 45, 5, 37, 52, 14, 34, 57),
    "openness_to_change": (1, 23, 39, 16, 30, 56, 10, 28, 43, 3, 36, 46),
    "self_enhancement": (17, 32, 48, 6, 29, 41, 12, 20, 44),
    "conservation": (13, 26, 53, 2, 35, 50, 18, 33, 40, 15, 31, 42, 4, 22, 51),
    "self_transcendence": (8, 21, 45, 5, 37, 52, 14, 34, 57, 11, 25, 47, 19, 27, 55),
}  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
def test_the_pvq_rr_is_scored_as_matrix_arithmetic_has_it(seed):
    """With complete answers and three items each, a mean of value means is the mean over their items."""
    key = load_scoring_key("pvq_rr")
    given = np.random.default_rng(seed).integers(1, 7, 57)
    weights = np.array([[(n in numbers) / len(numbers) for n in range(1, 58)] for numbers in PVQ_RR.values()])
    expected = dict(zip(PVQ_RR, weights @ given, strict=True))
    expected |= {f"{name}_centred": value - given.mean() for name, value in expected.items()}
    scores = score(key, {f"pvq{n}": int(answer) for n, answer in enumerate(given, start=1)})
    assert {name: each.value for name, each in scores.items()} == pytest.approx(expected)


@given(st.lists(st.integers(1, 6), min_size=19, max_size=19))
def test_centred_scores_of_the_19_values_sum_to_zero_and_ignore_a_shift_of_all_answers(answers):
    key = load_scoring_key("values_19")
    scores = score(key, dict(zip(key.items, answers, strict=True)))
    centred = [scores[f"{scale.key}_centred"].value for scale in key.scales[:19]]
    assert sum(centred) == pytest.approx(0)
    if max(answers) < 6:
        raised = score(key, {item: answer + 1 for item, answer in zip(key.items, answers, strict=True)})
        assert [raised[f"{scale.key}_centred"].value for scale in key.scales[:19]] == pytest.approx(centred)


# --- reading a key ---------------------------------------------------------------------------------


def test_reading_leaves_the_data_as_it_was():
    data = copy.deepcopy(CENTRED)
    ScoringKey.from_dict(data)
    assert data == CENTRED


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        ([], "scoring key: must be an object"),
        (KEY | {"key": "A"}, "scoring key: key must begin with a letter and consist of a-z, 0-9 and _"),
        (KEY | {"instrument": ""}, "scoring key: instrument is missing"),
        (KEY | {"source": 5}, "scoring key: source must be text"),
        (KEY | {"answers": {"min": 1}}, "scoring key: answers must be an object with the whole numbers min and max"),
        (KEY | {"answers": {"min": 4, "max": 4}}, "scoring key: answers: max must be above min"),
        (
            KEY | {"answers": {"min": 1, "max": 4, "mid": 2}},
            "scoring key: answers: unknown field 'mid'; the fields are min, max, low, high",
        ),
        (KEY | {"items": ["a", "B"]}, "scoring key: items must be a list of answer keys; each must begin with a"),
        (KEY | {"items": ["a", "b", "c", "d", "a"]}, "scoring key: items: key 'a' is used 2 times"),
        (KEY | {"scales": None}, "scoring key: needs a list of scales"),
        (KEY | {"scales": ["calm"]}, "scale 1: must be an object"),
        (KEY | {"scales": [KEY["scales"][0]] * 2}, "key 'calm' is used 2 times"),
        (KEY | {"needs": 3}, "scoring key: needs must be an object with items, share or both"),
        (KEY | {"needs": {"items": 0}}, "scoring key: needs: items must be a whole number of at least 1"),
        (KEY | {"ipsatise": {"share": 2}}, "scoring key: ipsatise: share must be a number from 0 to 1"),
        (KEY | {"needs": {"most": 1}}, "scoring key: needs: unknown field 'most'; the fields are items, share"),
        (KEY | {"scale": []}, "scoring key: unknown field 'scale'"),
        (with_scale({"label": " "}), "scale 1: label is missing"),
        (with_scale({"scales": ["calm"]}), "scale 1: must have either items or scales"),
        (with_scale({"items": []}), "scale 1: items must be a list of keys"),
        (with_scale({"items": ["a", "z"], "reversed": []}), "scale 1: items: 'z' is not in the key's items"),
        (with_scale({"items": ["a", "a"], "reversed": []}), "scale 1: items: key 'a' is used 2 times"),
        (with_scale({"reversed": ["c"]}), "scale 1: reversed: 'c' is not in the scale's items"),
        (with_scale({"reversed": [["a"]]}), "scale 1: reversed: \"['a']\" is not in the scale's items"),
        (with_scale({"method": "median"}), "scale 1: method must be one of mean, sum, not 'median'"),
        (with_scale({"needs": {"share": "all"}}), "scale 1: needs: share must be a number from 0 to 1"),
        (KEY | {"scales": KEY["scales"][::-1]}, "scale 1: scales: 'calm' is not a scale above this one"),
        (KEY | {"ipsatise": {}}, "scale 1: a mean rating can only be taken from means of items that are not"),
        (
            CENTRED | {"scales": [{"key": "a_centred", "label": "A", "items": ["a"]}]},
            "scale 1: key ends in _centred, which names the centred scores",
        ),
    ],
    ids=str,
)  # fmt: skip
def test_a_fault_is_named_with_its_place(data, fault):
    assert faults_of(data)[0].startswith(fault)


def test_all_faults_are_named_at_once():
    faults = faults_of({"scales": [{}], "needs": 1})
    assert len(faults) == 8


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from("ab"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
scale_of_any_shape = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("key", "label", "items", "reversed", "scales", "method", "needs"), anything)
)


@settings(deadline=None)
@given(
    st.fixed_dictionaries({}, optional=dict.fromkeys(KEY, anything)),
    st.lists(scale_of_any_shape, max_size=3),
)
def test_a_key_of_any_shape_is_read_or_refused_with_reasons(changes, scales):
    for data in (changes, KEY | changes, KEY | {"scales": scales}):
        try:
            ScoringKey.from_dict(data)
        except ScoringKeyError as refusal:
            assert refusal.faults
