from modeling.presentation import tabulate_differences, write_text
from modeling.reports.evaluation import describe_evaluation
from modeling.templatetags.figures import fixed, interval, percent, signed
from tests.modeling.reports.made_up import make_evaluation
from tests.modeling.reports.samples import build_questions


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


def test_differences_have_their_names_written_out():
    assert [row["label"] for row in tabulate_differences(build_measures())] == [
        "Personalized − Consensus from text",
        "Consensus from text − One other person",
    ]


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


def test_the_text_answers_both_questions_with_their_controls():
    lines = write_text(build_measures() | build_questions()).splitlines()
    for begins, rest in [
        ("The personalized model is nowhere worse.", ""),
        ("Shuffled raters gain nothing.", ""),
        ("What the model could see: Ratings of 22 posts", ""),
        ("Known raters, new posts (40 raters, 8 posts, 90 annotations", ""),
        ("New raters, known posts (40 raters", ""),
        ("New raters, new posts (40 raters", ""),
        ("  Control: raters shuffled over rows", "0.500  [0.400, 0.600]  1.200  [1.100, 1.300]"),
        ("  Personalized − The paper’s forest", "rho +0.100 [0.050, 0.150] better; distance -0.200"),
        ("      25 answers", "rho +0.250 [0.200, 0.300] better; distance -0.250"),
        ("  Known raters   0.810", "[0.780, 0.840]  2.500 scale points wide, 90 ratings"),
        ("  The paper’s forest  ", "0.700  0.000"),
    ]:
        assert any(line.startswith(begins) and rest in line for line in lines), begins


def test_the_text_says_what_a_fit_did_not_compute():
    data = describe_evaluation(make_evaluation(), seed=1)
    text = write_text(build_measures() | {key: data[key] for key in build_questions()})
    assert "New raters: this fit set no raters apart" in text
    assert "None: no raters were set apart to be new ones." in text
    assert "Known raters   none: this fit kept no prediction intervals" in text
    assert "None: the personalized model of this fit is no blend" in text
    assert "did not compute: Consensus from text, refitted without the person; The person alone" in text


def test_the_text_marks_simulated_raters():
    assert "1,100 raters are SIMULATED." in write_text(build_measures(n_simulated=1100))


def test_the_text_has_dashes_where_numbers_do_not_exist():
    nothing = {"human_crowd": None, "human_crowd_se": None, "model_crowd": None, "model_crowd_se": None}
    text = write_text(build_measures(personalized=model(None, None), mae_overall=nothing))
    assert "None" not in text and "nan" not in text
    assert "[  -  ,   -  ]" in text


def test_numbers_on_a_page_are_rounded_once_and_dashed_where_they_do_not_exist():
    assert (fixed(0.12349), fixed(-0.5), fixed(None), fixed("")) == ("0.123", "−0.500", "–", "–")
    assert (signed(0.1), signed(-0.1), signed(None)) == ("+0.100", "−0.100", "–")
    assert (percent(0.254), percent(-0.5), percent(None)) == ("+25\u202f%", "−50\u202f%", "")
    assert (interval([0.1, None]), interval(None)) == ("0.100 to –", "–")
