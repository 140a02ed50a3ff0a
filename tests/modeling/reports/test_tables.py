import csv
import doctest
import io

import pytest

from modeling.reports import agreement_tables, evaluation, evaluation_tables, names, tables
from modeling.reports.agreement_tables import tabulate_agreement_report
from modeling.reports.evaluation_tables import name_feature, tabulate_agreement, tabulate_evaluation_report
from modeling.reports.tables import name_values, write_csv
from modeling.stats import perception
from tests.modeling.reports.samples import (
    VALUES,
    build_agreement,
    build_evaluation,
    build_questions,
    measure,
    model,
)

AGREEMENT = [
    "alpha_by_value",
    "reliability_coefficients",
    "consensus_by_size",
    "rating_distribution",
    "raters_per_post",
    "circumplex",
    "value_correlations",
    "value_projection",
    "disputed_posts",
    "planning_consensus",
    "planning_precision",
    "screening_effect",
]
EVALUATION = [
    "agreement_by_condition",
    "improvement",
    "differences",
    "crowd_error_by_value",
    "correlation_by_value",
    "variable_importance",
    "adjustment_by_value",
    "gain_by_group",
    "gain_distribution",
    "gain_regression",
    "controls",
    "values_known",
    "rater_differences",
    "cold_start",
    "values_new",
    "learning_answers",
    "learning_raters",
    "interval_coverage",
    "blend_weights",
]


def all_tables(**changes):
    agreement = tabulate_agreement_report(build_agreement(**changes))
    return agreement | tabulate_evaluation_report(build_evaluation(**changes))


@pytest.mark.parametrize(
    "module", [tables, agreement_tables, evaluation, evaluation_tables, names], ids=lambda m: m.__name__
)
def test_examples_of_the_docstrings_hold(module):
    assert doctest.testmod(module).failed == 0


def test_there_is_a_table_for_every_part_of_a_report():
    assert list(tabulate_agreement_report(build_agreement())) == AGREEMENT
    assert list(tabulate_evaluation_report(build_evaluation())) == EVALUATION


def test_every_row_has_a_cell_for_every_column_and_no_two_columns_share_a_name():
    for table in all_tables().values():
        assert table.rows
        assert all(len(row) == len(table.columns) for row in table.rows), table.key
        keys = [column.key for column in table.columns]
        assert len(set(keys)) == len(keys), table.key


def test_every_caption_says_how_many_raters_there_were_and_names_simulated_ones():
    for table in all_tables().values():
        assert " raters" in table.caption, table.key
        assert "imulated" not in table.caption
    for table in all_tables(n_simulated=1200).values():
        assert "Simulated raters." in table.caption, table.key
    for table in all_tables(n_simulated=30).values():
        assert "Simulated raters: 30 of 1,200." in table.caption, table.key


def test_captions_say_what_was_resampled_and_what_was_left_out():
    found = all_tables()
    assert (
        "Intervals (95\u202f%) are from 1,000 bootstrap resamples of posts."
        in found["alpha_by_value"].caption
    )
    assert "resamples of raters" in found["gain_by_group"].caption
    assert "Not defined: Face." in found["alpha_by_value"].caption
    assert "8 coefficients are not defined." in found["reliability_coefficients"].caption
    assert "1 pair is not defined." in found["value_correlations"].caption
    assert "Not estimated: Face." in found["value_projection"].caption
    assert "Without a place: Face." in found["circumplex"].caption
    assert "Left out: 1 rater without a defined gain." in found["gain_distribution"].caption
    assert "1 answer of groups under five raters left out." in found["gain_by_group"].caption
    assert "8 held-out posts" in found["agreement_by_condition"].caption


def test_the_most_agreed_upon_value_stands_first_and_an_undefined_one_last_with_its_reason():
    rows = all_tables()["alpha_by_value"].rows
    assert [(row[0], row[1]) for row in rows] == [("Hedonism", 0.3), ("Caring", 0.1), ("Face", None)]
    assert rows[-1][-1] == "all ratings are alike"


NOTHING = {
    "circumplex": {"circumplex": {"points": [], "correlations": []}},
    "value_correlations": {"circumplex": {"points": [], "correlations": [[1.0, None], [None, 1.0]]}},
    "value_projection": {"projection": {"by_value": [], "source": "", "covariates": []}},
    "disputed_posts": {"disputed": []},
    "screening_effect": {"screening": []},
    "planning_consensus": {"planning": {"curve": [], "rows": [], "currency": ""}},
    "consensus_by_size": {"human_consensus_by_size": [], "human_consensus": measure(None)},
    "alpha_by_value": {"by_value": []},
}


@pytest.mark.parametrize("key", sorted(NOTHING))
def test_a_part_without_any_number_has_no_table(key):
    found = tabulate_agreement_report(build_agreement(**NOTHING[key]))
    assert key not in found
    assert "raters_per_post" in found


def test_an_evaluation_without_models_still_tells_of_people():
    gain = build_evaluation()["gain"] | {
        "by_group": [],
        "histogram": [],
        "regression": {"terms": [], "n_raters": 0, "r_squared": None},
    }
    found = tabulate_evaluation_report(
        build_evaluation(
            models={},
            personalized=None,
            differences=[],
            correlation_by_value=[],
            importance={"reason": "none", "features": [], "rows": []},
            adjustment={"by_value": [], "rank_correlation_with_human_crowd": None},
            gain=gain,
            **{key: None for key in build_questions() if key != "method"},
        )
    )
    assert list(found) == ["agreement_by_condition", "improvement", "crowd_error_by_value"]


def test_conditions_stand_with_people_first_and_improve_on_one_other_person():
    rows = tabulate_agreement(build_evaluation())
    assert [(row.label, row.kind, row.rho) for row in rows] == [
        ("One other person", "human", 0.2),
        ("Consensus of 2 others", "crowd", 0.25),
        ("Consensus of 4 others", "crowd", 0.28),
        ("Consensus of all others", "crowd", 0.3),
        ("Consensus from text", "model", 0.28),
        ("gpt", "model", 0.15),
        ("Personalized", "personalized", 0.5),
    ]
    assert [row.improvement for row in rows] == pytest.approx([None, 0.25, 0.4, 0.5, 0.4, -0.25, 1.5])
    assert (rows[0].low, rows[0].high, rows[0].n_posts, rows[0].n_undefined) == (
        0.1,
        pytest.approx(0.3),
        7,
        2,
    )


@pytest.mark.parametrize("baseline", [None, 0])
def test_there_is_no_improvement_on_a_baseline_that_does_not_exist(baseline):
    people = build_evaluation()["holdout"] | {"human_human": measure(None) | {"rho": baseline}}
    measures = build_evaluation(holdout=people)
    assert {row.improvement for row in tabulate_agreement(measures)} == {None}
    assert "improvement" not in tabulate_evaluation_report(measures)


def test_a_rho_that_does_not_exist_keeps_its_row_and_its_counts():
    row = tabulate_agreement(build_evaluation(personalized=model(None)))[-1]
    assert (row.rho, row.low, row.improvement, row.n_undefined) == (None, None, None, 2)
    table = tabulate_evaluation_report(build_evaluation(personalized=model(None)))["agreement_by_condition"]
    assert table.caption.endswith("Not defined: Personalized.")


def test_the_largest_distance_from_the_crowd_stands_first_and_the_mean_of_all_last():
    rows = all_tables()["crowd_error_by_value"].rows
    assert [row[0] for row in rows] == ["Hedonism", "Caring", "Face", "All values"]


def test_a_consensus_made_of_the_crowd_has_no_distance_and_says_why():
    measures = build_evaluation()
    for row in [*measures["mae_by_value"], measures["mae_overall"]]:
        row["model_crowd"] = row["model_crowd_se"] = None
    table = tabulate_evaluation_report(measures)["crowd_error_by_value"]
    assert {row[3] for row in table.rows} == {None}
    assert "made of the crowd itself" in table.caption


def test_costs_are_in_whole_units_of_the_currency():
    table = all_tables()["planning_precision"]
    assert [column.label for column in table.columns][3] == "Cost (GBP)"
    assert {row[3] for row in table.rows} == {1600}
    unpaid = build_agreement()["planning"] | {"currency": ""}
    unpaid["rows"] = [row | {"cost": None} for row in unpaid["rows"]]
    table = tabulate_agreement_report(build_agreement(planning=unpaid))["planning_precision"]
    assert "Costs" not in table.caption
    assert {row[3] for row in table.rows} == {None}


def test_values_of_one_name_are_told_apart_by_their_keys():
    twins = [VALUES[0], VALUES[1] | {"name": "Caring"}, VALUES[2]]
    assert list(name_values({"values": twins}).values()) == ["Caring (care)", "Caring (play)", "Face"]


def test_features_are_named_by_the_values_names():
    names = name_values({"values": VALUES})
    assert name_feature("text: fame", names) == "Consensus: Face"
    assert name_feature("calibration: p1 / play", names) == "Answer: Hedonism (p1)"
    assert name_feature("panel: something", names) == "panel: something"


def test_a_csv_has_two_columns_for_an_interval_and_no_formula():
    table = all_tables()["disputed_posts"].as_json()
    header, row = csv.reader(io.StringIO(write_csv(table)))
    assert header[:3] == ["post", "n_raters", "difference"]
    assert row[:4] == ["'=post-7", "4", "2.5", ""]
    alpha = list(csv.DictReader(io.StringIO(write_csv(all_tables()["alpha_by_value"].as_json()))))
    assert float(alpha[0]["interval_low"]) == pytest.approx(0.25)
    assert alpha[-1]["interval_low"] == alpha[-1]["interval_high"] == alpha[-1]["alpha"] == ""


def test_the_own_score_is_not_named_beside_itself():
    assert agreement_tables.OWN_SCORE == perception.OWN_SCORE
    caption = all_tables()["value_projection"].caption
    assert "own score for that value beside age, party;" in caption


def test_conditions_stand_in_one_order_whatever_order_they_were_stored_in():
    measures = build_evaluation()
    measures["controls"]["conditions"].reverse()
    rows = tabulate_evaluation_report(measures)["controls"].rows
    assert [row[:2] for row in rows] == [
        ["Consensus from text", "the post"],
        ["Consensus from text, refitted without the person", "the post"],
        ["The person alone, without the post", "the rater"],
        ["Control: raters shuffled over rows", "the post, and a rater drawn by lot"],
        ["The paper’s forest", "the post and the rater"],
        ["Boosting pooled over values", "the post and the rater"],
        ["Personalized", "the post and the rater"],
    ]


def test_a_control_improves_on_nobody():
    models = {"text": model(0.28), "permuted": model(0.28)}
    found = tabulate_evaluation_report(build_evaluation(models=models))
    assert "Control: raters shuffled over rows" in [row[0] for row in found["agreement_by_condition"].rows]
    assert "Control: raters shuffled over rows" not in [row[0] for row in found["improvement"].rows]


def test_known_and_new_posts_of_new_raters_stand_in_rows_of_their_own():
    rows = tabulate_evaluation_report(build_evaluation())["cold_start"].rows
    assert [row[1] for row in rows] == ["Known"] * 4 + ["New"] * 4


def test_a_difference_is_read_for_who_does_not_read_intervals():
    measures = build_evaluation()
    measures["rater_differences"][0]["rho"]["direction"] = "unclear"
    row = tabulate_evaluation_report(measures)["rater_differences"].rows[0]
    assert row[0] == "Known raters, new posts"
    assert (row[4], row[7]) == ("not told apart", "better")


def test_captions_of_raters_say_how_many_and_that_they_were_resampled():
    found = tabulate_evaluation_report(build_evaluation())
    for key in ("controls", "cold_start", "rater_differences", "learning_answers", "interval_coverage"):
        assert "resamples of raters" in found[key].caption, key
    assert "40 raters, 8 held-out posts, 90 annotations" in found["controls"].caption
    assert "on known posts: 40 raters, 8 posts, 90 annotations; on new posts" in found["cold_start"].caption
    assert "Rho not always defined: Face." in found["values_new"].caption


def test_weights_of_a_view_that_was_not_blended_are_dashes():
    weights = {"reason": "", "members": ["text", "forest"], "known": [0.3, 0.7], "new": None}
    rows = tabulate_evaluation_report(build_evaluation(weights=weights))["blend_weights"].rows
    assert rows == [["Consensus from text", 0.3, None], ["The paper’s forest", 0.7, None]]
