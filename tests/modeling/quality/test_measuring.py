import math
from dataclasses import replace

import pytest

from annotation.tree.walk import CHOSEN, IMPLIED
from modeling.quality.measuring import (
    Flag,
    Frame,
    Grid,
    Person,
    PostReading,
    Scored,
    compare,
    judge,
    measure,
)
from modeling.quality.rules import BY_KEY, RULES, Side, check_limits

FRAME = Frame(groups=((0, 1, 2), (3, 4, 5)), scale_width=6, can_be_closed=True, estimated_minutes=20)
CAREFUL = PostReading((1, 2, 3, 0, 5, 2), (CHOSEN,) * 6, 60.0)
CLOSED = PostReading((0,) * 6, (IMPLIED,) * 6, 5.0)
STRAIGHT = PostReading((4,) * 6, (CHOSEN,) * 6, 20.0)
HALF = PostReading((3, 3, 3, 0, 0, 0), (CHOSEN,) * 3 + (IMPLIED,) * 3, 20.0)


def numbers_of(**person):
    return measure(Person(**person), FRAME).numbers


def flags_of(people, **limits):
    measured = [measure(person, FRAME) for person in people]
    compare(measured)
    flags, summaries = judge(measured, check_limits(limits))
    return [{flag.rule for flag in own} for own in flags], summaries


def test_someone_who_left_nothing_has_no_number_and_no_flag():
    (flags,), summaries = flags_of([Person()])
    assert flags == set()
    assert {(s.n_measured, s.n_undefined, s.n_flagged) for s in summaries.values()} == {(0, 1, 0)}
    assert summaries.keys() == BY_KEY.keys()


def test_every_rule_measures_everyone():
    measured = measure(Person(), FRAME)
    compare([measured])
    assert measured.numbers.keys() == BY_KEY.keys()


def test_failed_checks_are_counted():
    assert numbers_of(checks_passed=(True, False, False))["attention_checks"] == 2
    assert numbers_of(checks_passed=(True,))["attention_checks"] == 0


def test_the_share_of_the_announced_time():
    assert numbers_of(minutes=6.0)["below_estimate"] == pytest.approx(0.3)
    assert math.isnan(numbers_of(minutes=None)["below_estimate"])


def test_straight_lining_counts_opened_groups_of_three_or_more_values():
    numbers = numbers_of(
        readings=(STRAIGHT, HALF, HALF, CLOSED, CAREFUL)
    )  # 2 + 1 + 1 straight, of 2 + 1 + 1 + 0 + 2
    assert numbers["straight_lining"] == pytest.approx(4 / 6)
    assert math.isnan(numbers_of(readings=(HALF,) * 4)["straight_lining"])


def test_values_outside_groups_of_three_make_no_line():
    frame = replace(FRAME, groups=((0, 1), (2, 3), (4, 5)))
    assert math.isnan(measure(Person(readings=(STRAIGHT,) * 9), frame).numbers["straight_lining"])


def test_a_long_string_runs_over_posts_and_skips_what_was_not_asked():
    numbers = numbers_of(readings=(HALF, CLOSED, HALF, CLOSED, CAREFUL))
    assert numbers["long_string_posts"] == pytest.approx(6 / 12)


def test_a_long_string_needs_to_know_the_order():
    numbers = numbers_of(readings=(STRAIGHT,) * 5, is_ordered=False)
    assert math.isnan(numbers["long_string_posts"])
    assert numbers["low_variance_posts"] == 0


def test_variability_is_in_widths_of_the_scale():
    reading = PostReading((0, 6, 0, 6, 0, 6), (CHOSEN,) * 6)
    n = 30
    expected = math.sqrt(n * 9 / (n - 1)) / 6
    assert numbers_of(readings=(reading,) * 5)["low_variance_posts"] == pytest.approx(expected)


def test_who_never_opens_anything():
    assert numbers_of(readings=(CLOSED,) * 5)["never_opens"] == 1
    assert numbers_of(readings=(CLOSED,) * 4 + (HALF,))["never_opens"] == 0.8
    flat = replace(FRAME, can_be_closed=False)
    assert math.isnan(measure(Person(readings=(STRAIGHT,) * 5), flat).numbers["never_opens"])


def test_a_missing_rating_is_no_chosen_one():
    reading = PostReading((None, 2, 3, 4, None, 5), (0, CHOSEN, CHOSEN, CHOSEN, 0, CHOSEN))
    numbers = numbers_of(readings=(reading,) * 5)
    assert numbers["never_opens"] == 0
    assert math.isnan(numbers["straight_lining"])
    assert numbers["low_variance_posts"] > 0.1


def test_questionnaires_answered_all_the_same():
    same, mixed = Grid((4,) * 6, width=5), Grid((1, 1, 1, 2, 5, 6), width=5)
    numbers = numbers_of(grids=(same, mixed, Grid((3, 3, 3), width=5)))
    assert numbers["identical_questionnaire"] == 1
    assert numbers["long_string_questionnaire"] == 1
    assert numbers["low_variance_questionnaire"] == 0
    numbers = numbers_of(grids=(mixed,))
    assert numbers["identical_questionnaire"] == 0
    assert numbers["long_string_questionnaire"] == 0.5
    assert numbers["low_variance_questionnaire"] == pytest.approx(2.2509 / 5, abs=1e-4)


def test_a_grid_of_words_has_runs_and_no_variability():
    numbers = numbers_of(grids=(Grid(("often",) * 5),))
    assert numbers["identical_questionnaire"] == 1
    assert math.isnan(numbers["low_variance_questionnaire"])


def test_the_worst_questionnaire_gives_the_even_odd_number():
    good = Scored({}, ((1, 1), (3, 3), (6, 6)))
    bad = Scored({}, ((1, 6), (3, 3), (6, 1)))
    assert numbers_of(scored=(good, bad))["even_odd"] == -1
    assert numbers_of(scored=(good,))["even_odd"] == pytest.approx(1)


def test_tries_and_gates():
    numbers = numbers_of(training_tries=(1, 5), gates_right=(True, False, True, False))
    assert (numbers["training_tries"], numbers["gate_errors"]) == (3, 0.5)


def reader(seconds, minutes=20.0):
    return Person(
        readings=tuple(replace(CAREFUL, seconds=seconds * k) for k in (0.8, 0.9, 1, 1.1, 1.2)),
        minutes=minutes,
    )


def test_speed_is_compared_with_the_others():
    flags, summaries = flags_of([reader(50 + n, 20 + n % 3) for n in range(20)] + [reader(5, 1.0)])
    assert flags[-1] == {"fast_posts", "fast_total", "below_estimate"}
    assert set().union(*flags[:-1]) == set()
    assert summaries["fast_posts"].n_measured == 21


def test_ten_people_are_too_few_to_be_compared():
    _, summaries = flags_of([reader(50 + n) for n in range(9)] + [reader(1)])
    assert (summaries["fast_posts"].n_undefined, summaries["fast_total"].n_undefined) == (10, 10)
    _, summaries = flags_of([reader(50 + n) for n in range(10)] + [reader(1)])
    assert summaries["fast_posts"].n_measured == 11


def test_who_was_not_timed_has_no_part_in_the_comparison():
    people = [reader(50 + n) for n in range(12)]
    with_gap, _ = flags_of([Person(), *people])
    without, _ = flags_of(people)
    assert with_gap[1:] == without


def scored(seed):
    level = 1 + seed % 6
    items = {}
    for pair in range(4):
        value = 1 + (level + pair * seed) % 6
        items |= {f"a{pair}": float(value), f"b{pair}": float(value)}
    return items


def test_related_items_single_out_the_lowest_share():
    people = [Person(scored=(Scored(scored(seed), ()),)) for seed in range(1, 41)]
    odd = scored(7) | {f"b{pair}": 7 - scored(7)[f"a{pair}"] for pair in range(4)}
    odd_one = Person(scored=(Scored(odd, ()),))
    flags, summaries = flags_of([*people, odd_one], synonyms=0.0)
    assert [index for index, own in enumerate(flags) if "synonyms" in own] == [40]
    assert summaries["synonyms"].limit == pytest.approx(-1)


def test_a_limit_that_is_reached_flags():
    (flags,), _ = flags_of([Person(checks_passed=(False, False))])
    assert flags == {"attention_checks"}
    (flags,), _ = flags_of([Person(checks_passed=(False, False))], attention_checks=3)
    assert flags == set()


def test_a_flag_carries_its_number_and_limit():
    measured = [measure(Person(checks_passed=(False,) * 3), FRAME)]
    compare(measured)
    flags, _ = judge(measured, check_limits({}))
    assert flags == [[Flag("attention_checks", 3.0, 2.0)]]


def test_limits_that_make_no_sense_are_all_named():
    with pytest.raises(ValueError) as refused:
        check_limits({"nonsense": 1, "even_odd": 4, "fast_posts": float("nan")})
    assert "no rule 'nonsense'" in str(refused.value)
    assert "even_odd: the limit must lie between -1 and 1, not 4" in str(refused.value)
    assert "fast_posts: the limit must lie between -20 and 0, not nan" in str(refused.value)


def test_every_rule_is_documented_and_its_usual_limit_is_allowed():
    assert check_limits({}) == {rule.key: rule.limit for rule in RULES}
    for rule in RULES:
        assert rule.lowest <= rule.limit <= rule.highest
        assert all((rule.name, rule.number, rule.formula, rule.source, rule.limit_source, rule.undefined))
        assert len(rule.key) <= 40
        assert rule.side in Side
    assert len(BY_KEY) == len(RULES)
