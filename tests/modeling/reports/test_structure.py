"""Structure reports of made-up readings: measures, tables and figures."""

import json

import numpy as np
import pytest

from modeling.reports import structure
from modeling.reports.data import ValueInfo
from modeling.reports.figures.render import render
from modeling.reports.figures.structure import draw_structure_figures
from modeling.reports.structure import Source, describe_structure
from modeling.reports.structure_tables import name_of, say_reason, tabulate_structure

V = 8
VALUES = tuple(ValueInfo(f"v{place}", f"Value {place}", f"V{place}", f"G{place // 4}") for place in range(V))


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(structure, "N_RESAMPLES", 20)
    monkeypatch.setattr(structure, "N_PERMUTATIONS", 99)


def on_circle(n_posts=120, *, seed=0, order=None):
    """Ratings of posts that point somewhere on the circle."""
    rng = np.random.default_rng(seed)
    places = np.radians(np.arange(V) * 360 / V)[order if order is not None else slice(None)]
    return 3 + 3 * np.cos(rng.uniform(0, 2 * np.pi, (n_posts, 1)) - places) + rng.normal(0, 0.5, (n_posts, V))


def make_source(ratings, key="m", **fields):
    return Source(key, key.title(), "model", "development posts", ratings, np.arange(len(ratings)), **fields)


def describe(*sources, **more):
    measures = describe_structure(sources, VALUES, seed=1)
    models = [{} for source in measures["sources"] if source["kind"] == "model"]
    return measures | {"models": models, "n_standin": 0, "n_raters": 0, "n_simulated": 0} | more


def test_a_reader_of_the_circle_is_told_from_one_of_another_order():
    scrambled = [0, 4, 1, 5, 2, 6, 3, 7]
    good, bad = describe(make_source(on_circle()), make_source(on_circle(order=scrambled), "n"))["sources"]
    assert good["congruence"] > 0.95 > good["chance"][1]
    assert good["p"] <= 0.02
    assert good["interval"][0] > 0.9
    assert good["order_correlation"] > 0.9
    assert bad["congruence"] < 0.6
    assert bad["p"] > 0.05


def test_a_value_that_does_not_vary_has_no_place_and_a_reason():
    ratings = on_circle()
    ratings[:, 2] = 0
    (source,) = describe(make_source(ratings))["sources"]
    assert source["n_values"] == V - 1
    assert source["points"][2]["x"] is None
    assert source["points"][2]["reason"] == "every rating of this value is the same"
    assert "1 value has no place" in say_reason(source)


def test_too_few_posts_have_no_interval_and_a_reason():
    (source,) = describe(make_source(on_circle(3)))["sources"]
    assert source["interval"] == [None, None]
    assert "an interval needs 5" in source["interval_reason"]


@pytest.mark.parametrize("ratings", [np.zeros((20, V)), np.empty((0, V)), np.full((20, V), np.nan)])
def test_nothing_to_correlate_is_stated_and_plain_json(ratings):
    measures = describe(make_source(ratings))
    (source,) = json.loads(json.dumps(measures, allow_nan=False))["sources"]
    assert source["congruence"] is None
    assert source["reason"]
    assert "structure_places" not in tabulate_structure(measures)
    assert draw_structure_figures(measures) == []


def test_many_posts_are_drawn_from(monkeypatch):
    monkeypatch.setattr(structure, "MOST_POSTS", 50)
    (source,) = describe(make_source(on_circle()))["sources"]
    assert (source["n_posts"], source["n_posts_drawn_from"]) == (50, 120)
    assert "a sample of 120 posts" in say_reason(source)


def test_the_same_seed_gives_the_same_report():
    assert describe(make_source(on_circle())) == describe(make_source(on_circle()))


def test_a_source_needs_a_post_for_each_row():
    with pytest.raises(ValueError, match="one post for each row"):
        Source("m", "M", "model", "posts", on_circle(5), np.arange(4))


def test_figures_draw_every_source_with_places():
    measures = describe(
        make_source(on_circle()), make_source(on_circle(seed=1), "n"), make_source(np.empty((0, V)), "o")
    )
    fit, places = draw_structure_figures(measures)
    drawn = render(places.spec).svg
    assert drawn.count("congruence 1.00") == 2
    assert "1 Value 0, 2 Value 1" in places.caption
    assert render(fit.spec).svg.startswith("<svg")


def test_a_stand_in_is_named_wherever_it_stands():
    measures = describe(make_source(on_circle(), is_standin=True), n_standin=1)
    assert name_of(measures["sources"][0]) == "M (stand-in), development posts"
    assert tabulate_structure(measures)["structure_fit"].rows[0][-1] == "Stand-in: not from a real model"
    assert draw_structure_figures(measures)[0].spec["title"]["subtitle"] == "Stand-in: not from a real model"
