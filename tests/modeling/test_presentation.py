import pytest

from modeling.presentation import tabulate_agreement, tabulate_crowd_errors, tabulate_differences, write_text
from modeling.templatetags.figures import fixed, interval, percent, signed
from tests.factories import StudyFactory


def measure(rho, low=None, high=None, **more):
    return {"rho": rho, "interval": [low, high], "posts": 7, "undefined": 2, "compared": 40} | more


def model(rho, mae=1.25, **more):
    return measure(
        rho, rho and rho - 0.1, rho and rho + 0.1, mae={"mae": mae, "interval": [1.0, 1.5]}, **more
    )


def people(human_human=0.2):
    return {
        "human_human": measure(human_human, 0.1, 0.3),
        "human_consensus": measure(0.3, 0.2, 0.4),
        "human_consensus_by_size": [measure(0.21, size=1), measure(0.25, size=2)],
    }


def build_measures(**changes):
    row = {"human_crowd": 1.0, "human_crowd_se": 0.1, "model_crowd": 0.5, "model_crowd_se": 0.05, "posts": 7}
    return {
        "study": "moods",
        "inclusion": "everyone",
        "n_raters": 1200,
        "n_posts": 30,
        "n_annotations": 3600,
        "n_values": 2,
        "n_simulated": 0,
        **people(0.9),
        "holdout": people() | {"n_posts": 8},
        "models": {"text": model(0.28), "text_forest": model(0.26)},
        "personalized": model(0.5),
        "differences": [
            {"of": "personalized", "from": "text", "rho": 0.22, "interval": [0.1, 0.3], "posts": 7},
            {"of": "text", "from": "human_human", "rho": -0.02, "interval": [-0.1, 0.1], "posts": 7},
        ],
        "mae_by_value": [row | {"value": "power"}, row | {"value": "hedonism", "human_crowd": 2.0}],
        "mae_overall": {key: number for key, number in row.items() if key != "posts"},
        "notes": ["A first note.", "A second note."],
    } | changes


def test_the_table_holds_every_condition_on_the_held_out_posts_people_first():
    rows = tabulate_agreement(build_measures())
    assert [(row.label, row.kind, row.rho) for row in rows] == [
        ("One other person", "human", 0.2),
        ("Consensus of 2 others", "crowd", 0.25),
        ("Consensus of all others", "crowd", 0.3),
        ("Consensus from text", "model", 0.28),
        ("Consensus from text, refitted without the person", "model", 0.26),
        ("Personalized", "personalized", 0.5),
    ]
    assert (rows[0].low, rows[0].high, rows[0].n_posts, rows[0].n_undefined) == (0.1, 0.3, 7, 2)


def test_the_improvement_is_relative_to_one_other_person_on_the_same_posts():
    rows = tabulate_agreement(build_measures())
    assert [row.improvement for row in rows] == pytest.approx([None, 0.25, 0.5, 0.4, 0.3, 1.5])


@pytest.mark.parametrize("baseline", [None, 0])
def test_there_is_no_improvement_on_a_baseline_that_does_not_exist(baseline):
    rows = tabulate_agreement(build_measures(holdout=people(baseline)))
    assert {row.improvement for row in rows} == {None}


def test_a_rho_that_does_not_exist_keeps_its_row_and_its_counts():
    row = tabulate_agreement(build_measures(personalized=model(None)))[-1]
    assert (row.rho, row.low, row.improvement, row.n_undefined) == (None, None, None, 2)


def test_without_models_the_people_remain():
    rows = tabulate_agreement(build_measures(models={}, personalized=None))
    assert [row.label for row in rows] == [
        "One other person", "Consensus of 2 others", "Consensus of all others"
    ]  # fmt: skip


def test_a_model_of_another_name_is_shown_by_that_name():
    assert tabulate_agreement(build_measures(models={"gpt": model(0.1)}))[3].label == "gpt"


def test_differences_have_their_names_written_out():
    assert [row["label"] for row in tabulate_differences(build_measures())] == [
        "Personalized − Consensus from text",
        "Consensus from text − One other person",
    ]


@pytest.mark.django_db
def test_the_values_people_are_farthest_apart_on_stand_first_under_their_names():
    rows = tabulate_crowd_errors(build_measures(), StudyFactory())
    assert [(row["label"], row["human_crowd"]) for row in rows] == [("Hedonism", 2.0), ("Power", 1.0)]
    unknown = build_measures()["mae_by_value"]
    unknown[0]["human_crowd"] = None
    rows = tabulate_crowd_errors(build_measures(mae_by_value=unknown), StudyFactory())
    assert [row["value"] for row in rows] == ["hedonism", "power"]


def test_the_text_names_every_figure_and_every_note():
    lines = write_text(build_measures()).splitlines()
    assert lines[0] == "Study moods: 3,600 annotations by 1,200 raters of 30 posts, 2 values."
    assert lines[1] == "Included: everyone."
    text = "\n".join(lines)
    for label, number, rest in [
        ("human-human", "0.900", "[0.100, 0.300]  7 posts, 2 undefined"),
        ("One other person", "0.200", "[0.100, 0.300]"),
        ("Personalized", "0.500", "[0.400, 0.600]"),
        ("Personalized", "1.250", "[1.000, 1.500]"),
        ("Personalized − Consensus from text", "+0.220", "[0.100, 0.300]"),
        ("Consensus from text − One other person", "-0.020", "[-0.100, 0.100]"),
        ("hedonism", "human 2.000 (0.100)", "model 0.500 (0.050)"),
        ("overall", "human 1.000 (0.100)", "model 0.500 (0.050)"),
    ]:
        assert any(
            line.split("  ")[1] == label and number in line and rest in line
            for line in lines
            if line[:2] == "  "
        ), (label, number)
    assert text.endswith("A first note.\nA second note.")


def test_the_text_marks_simulated_raters():
    assert "1,100 raters are SIMULATED." in write_text(build_measures(n_simulated=1100))


def test_the_text_has_dashes_where_numbers_do_not_exist():
    nothing = {"human_crowd": None, "human_crowd_se": None, "model_crowd": None, "model_crowd_se": None}
    text = write_text(build_measures(personalized=model(None, None), mae_overall=nothing))
    assert "None" not in text and "nan" not in text
    assert "[  -  ,   -  ]" in text


def test_numbers_on_a_page_are_rounded_once_and_dashed_where_they_do_not_exist():
    assert (fixed(0.12349), fixed(-0.5), fixed(None), fixed("")) == ("0.123", "-0.500", "–", "–")
    assert (signed(0.1), signed(-0.1), signed(None)) == ("+0.100", "−0.100", "–")
    assert (percent(0.254), percent(-0.5), percent(None)) == ("+25\u202f%", "−50\u202f%", "")
    assert (interval([0.1, None]), interval(None)) == ("0.100 to –", "–")
