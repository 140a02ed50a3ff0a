import doctest
import json
import re
from pathlib import Path

import numpy as np
import pytest
import vl_convert

from modeling.reports.agreement import describe_agreement
from modeling.reports.evaluation import describe_evaluation
from modeling.reports.figures import draw_agreement_figures, draw_evaluation_figures, reliability, theme
from modeling.reports.figures.drawing import AGREEMENT, EVALUATION
from modeling.reports.figures.render import PNG_SCALE, render
from tests.modeling.reports.made_up import make_agreement, make_personal, make_study
from tests.modeling.reports.samples import build_agreement, build_evaluation, measure, model

COLOUR = re.compile(r"#[0-9a-fA-F]{3,8}\b")
SCRIPT = Path(__file__).resolve().parents[3] / "static" / "js" / "charts.js"
KEYS = [*AGREEMENT, *EVALUATION]


def draw_all(**changes):
    figures = draw_agreement_figures(build_agreement(**changes))
    return {figure.key: figure for figure in figures + draw_evaluation_figures(build_evaluation(**changes))}


@pytest.fixture(scope="module")
def figures():
    return draw_all()


def values_of(figure):
    """The rows that the marks of a figure are drawn from, without those of its guides."""
    return max(figure.spec["datasets"].values(), key=lambda rows: (len(rows[0]), len(rows)))


def test_examples_of_the_docstrings_hold():
    assert doctest.testmod(reliability).failed == 0


def test_a_report_has_its_figures_in_the_order_of_its_pages(figures):
    assert list(figures) == KEYS


@pytest.mark.parametrize("key", KEYS)
def test_a_figure_is_as_wide_as_its_place_and_holds_its_words_and_numbers(figures, key):
    figure = figures[key]
    assert figure.spec["width"] == "container"
    assert figure.spec["height"] > 0
    assert " ".join(figure.spec["title"]["text"]) == figure.title
    assert len(figure.title) <= 200
    assert " raters" in figure.caption
    assert set(figure.table) == {"columns", "rows"}
    json.dumps([figure.spec, figure.table], allow_nan=False)
    assert "url" not in json.dumps(figure.spec["datasets"])


@pytest.mark.parametrize("key", KEYS)
def test_a_figure_can_be_drawn(figures, key):
    drawn = render(figures[key].spec)
    assert drawn.svg.startswith("<svg") and drawn.svg.endswith("</svg>")
    for line in figures[key].spec["title"]["text"]:
        assert line in drawn.svg
    assert not re.search(r"NaN|undefined|null", drawn.svg)
    assert drawn.pdf.startswith(b"%PDF") and b"FontFile" in drawn.pdf
    assert drawn.png.startswith(b"\x89PNG")
    assert int.from_bytes(drawn.png[16:20], "big") >= theme.WIDTH * PNG_SCALE


def test_a_drawing_has_nothing_from_elsewhere(figures):
    spec = figures["alpha_by_value"].spec
    with pytest.raises(ValueError, match="not allowed"):
        render({**spec, "layer": [{"data": {"url": "http://127.0.0.1:9/x.json"}, "mark": "point"}]})


def test_what_is_not_defined_is_not_drawn_but_named(figures):
    figure = figures["alpha_by_value"]
    assert [row["row"] for row in values_of(figure)] == ["Hedonism", "Caring"]
    assert "Not defined: Face." in figure.caption
    assert len(figure.table["rows"]) == 3


def test_simulated_raters_are_named_in_the_drawing_itself(figures):
    assert all("subtitle" not in figure.spec["title"] for figure in figures.values())
    for figure in draw_all(n_simulated=1200).values():
        assert figure.spec["title"]["subtitle"] == "Simulated raters"
        assert "Simulated raters." in figure.caption
    subtitles = {figure.spec["title"]["subtitle"] for figure in draw_all(n_simulated=3).values()}
    assert subtitles == {"Some of the raters are simulated"}


def test_the_same_measures_give_the_same_specification(figures):
    assert {key: figure.spec for key, figure in draw_all().items()} == {
        key: figure.spec for key, figure in figures.items()
    }


def test_conditions_have_the_colours_of_their_kinds(figures):
    bars = figures["agreement_by_condition"].spec["layer"][0]
    assert bars["encoding"]["color"]["scale"] == {
        "domain": [
            "Another person",
            "A consensus of people",
            "A model that does not know the rater",
            "The personalized model",
        ],
        "range": ["#b9c0c6", "#8d98a3", "#d9a28f", "#b34a2a"],
    }


def test_an_undefined_condition_has_no_bar():
    figures = draw_evaluation_figures(build_evaluation(personalized=model(None)))
    rows = [row["row"] for row in values_of(figures[0])]
    assert rows[0] == "One other person"
    assert "Personalized" not in rows


def test_a_figure_of_people_alone_can_be_drawn():
    people = {"human_human": measure(None), "human_consensus": measure(0.1), "human_consensus_by_size": []}
    nothing = build_evaluation(models={}, personalized=None, differences=[], holdout=people | {"n_posts": 2})
    figure = draw_evaluation_figures(nothing)[0]
    assert [row["row"] for row in values_of(figure)] == ["Consensus of all others"]
    assert render(figure.spec).svg


def test_a_study_of_one_value_and_a_long_scale_can_be_drawn():
    measures = build_agreement()
    measures["values"] = measures["values"][:1]
    measures["by_value"] = [measures["by_value"][0] | {"shares": []}]
    measures["scale"] = [0, 100]
    measures["circumplex"] |= {"points": [], "correlations": [[1.0]]}
    for part in ("projection", "planning"):
        rows = "by_value" if part == "projection" else "rows"
        measures[part] = measures[part] | {rows: []}
    measures["disputed"] = []
    figures = {figure.key: figure for figure in draw_agreement_figures(measures)}
    assert "value_correlations" not in figures
    assert "one standard deviation" in figures["rating_distribution"].caption
    assert all(render(figure.spec).svg for figure in figures.values())


def test_a_coefficient_of_a_number_is_drawn_for_ten_units_and_says_so(figures):
    figure = figures["value_projection"]
    of_age = [row for row in values_of(figure) if row["series"] == "age, per 10"]
    assert [row["x"] for row in of_age] == pytest.approx([3.0, -0.2])
    assert "ten times that of the table" in figure.caption


def test_an_intercept_is_in_no_figure(figures):
    assert {row["row"] for row in values_of(figures["gain_regression"])} == {
        "own score",
        "age",
        "party: B (not A)",
    }
    assert "intercept" not in json.dumps(figures["value_projection"].spec)


def test_the_circle_keeps_its_shape_and_its_values_inside_the_ring(figures):
    figure = figures["circumplex"]
    assert figure.spec["usermeta"] == {"aspect": pytest.approx(1.3 / 1.75)}
    values = [row for row in values_of(figure) if "ring_x" in row]
    assert all(row["x"] ** 2 + row["y"] ** 2 < 1 for row in values)
    assert (values[0]["ring_x"], values[0]["ring_y"]) == (1.0, 0.0)


def test_every_colour_has_its_counterpart_in_the_dark(figures):
    script = SCRIPT.read_text(encoding="utf-8")
    block = re.search(r"const DARK = \{(.*?)\};", script, re.DOTALL)[1]
    dark = dict(re.findall(r'"(#[0-9a-f]{6})": "(#[0-9a-f]{6})"', block))
    used = {colour for figure in figures.values() for colour in COLOUR.findall(json.dumps(figure.spec))}
    assert used == used & set(dark)
    palette = set(COLOUR.findall(Path(theme.__file__).read_text(encoding="utf-8")))
    assert palette == set(dark)


def test_every_letter_of_a_drawing_is_of_one_family(figures):
    families = set(re.findall(r'font-family="([^"]+)"', render(figures["agreement_by_condition"].spec).svg))
    assert families == {theme.FONT}


def test_a_value_without_a_place_is_named_and_not_drawn():
    measures = build_agreement()
    nowhere = {"value": "fame", "x": None, "y": None, "angle": None, "theory_angle": 240.0, "error": None}
    measures["circumplex"]["points"].append(nowhere)
    figure = next(figure for figure in draw_agreement_figures(measures) if figure.key == "circumplex")
    assert {row["row"] for row in values_of(figure) if "ring_x" in row} == {"Caring", "Hedonism"}
    assert "Without a place: Face." in figure.caption
    measures["circumplex"]["points"] = [nowhere]
    assert "circumplex" not in {figure.key for figure in draw_agreement_figures(measures)}


def test_computed_measures_have_all_that_the_figures_are_drawn_from():
    agreement = draw_agreement_figures(describe_agreement(make_agreement(), seed=1))
    evaluation = draw_evaluation_figures(describe_evaluation(make_personal(), seed=1))
    assert [figure.key for figure in agreement + evaluation] == KEYS
    json.dumps([figure.spec for figure in agreement + evaluation], allow_nan=False)


def test_a_study_that_nobody_rated_has_no_figure():
    nobody = make_study(np.empty((0, 2)), [], [])
    assert draw_agreement_figures(describe_agreement(nobody, seed=1)) == []


def test_a_legend_shows_and_hides_what_it_names(figures):
    for key in ("value_projection", "agreement_by_condition", "planning_precision", "circumplex"):
        legends = vl_convert.vegalite_to_vega(figures[key].spec)["legends"]
        assert any("_legend" in json.dumps(legend) for legend in legends), key
