"""Error reports of made-up labels and readings: measures, tables and figures."""

import json
import math

import numpy as np
import pytest

from modeling.reports.data import ValueInfo
from modeling.reports.figures.misattributions import draw_error_figures
from modeling.reports.figures.render import render
from modeling.reports.misattribution_tables import (
    GONE,
    NEW,
    NOTHING,
    STAYS,
    compare_recurrent,
    list_recurrent,
    list_seen,
    tabulate_misattributions,
)
from modeling.reports.misattributions import ErrorData, describe_misattributions, express

V = 6
NAN = float("nan")
VALUES = tuple(ValueInfo(f"v{place}", f"Value {place}", f"V{place}") for place in range(V))


def make_data(n_posts=300, *, rate=0.6, given=0, seen=3, seed=0, whys=True):
    """Posts that express one value or none; the model gives `given` for `seen` at a rate."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((n_posts, V))
    which = rng.integers(0, V + 1, n_posts)
    truth[np.flatnonzero(which < V), which[which < V]] = 5
    predicted = truth.copy()
    predicted[(truth[:, seen] > 0) & (rng.random(n_posts) < rate), given] = 4
    return ErrorData(
        values=VALUES,
        truth=truth,
        predicted=predicted,
        threshold=3,
        post_ids=np.arange(100, 100 + n_posts),
        experts=("ann", "ben"),
        labels=np.stack([truth, truth]),
        whys=["Because." if whys else ""] * n_posts,
    )


def describe(data, **run):
    measures = describe_misattributions(data, seed=1)
    return measures | {"n_standin": 0, "models": [{}]} | run


def test_a_presence_begins_at_the_threshold():
    assert express(np.array([[2.9, 3.0, NAN]]), 3).tolist()[0][:2] == [0, 1]
    assert math.isnan(express(np.array([NAN]), 3)[0])


def test_the_pair_is_described_with_rate_chance_and_examples():
    (pair,) = list_recurrent(describe(make_data()))
    assert (pair["given"], pair["instead_of"]) == ("v0", "v3")
    assert pair["rate"] == pair["wrong"] / pair["chances"]
    assert pair["rate"] == pytest.approx(0.6, abs=0.15)
    assert pair["expected"] == 0
    assert pair["replaced"] == 0
    assert len(pair["examples"]) == 5
    assert all(example["model"]["v0"] == 4 for example in pair["examples"])


def test_the_matrix_counts_chances_and_errors_and_hits():
    data = make_data()
    rows = {row["seen"]: {cell["given"]: cell for cell in row["cells"]} for row in describe(data)["matrix"]}
    assert list(rows) == [*(value.key for value in VALUES), NOTHING]
    n_seen = int(np.count_nonzero(data.truth[:, 3]))
    n_wrong = int(np.count_nonzero((data.truth[:, 3] > 0) & (data.predicted[:, 0] > 0)))
    assert (rows["v3"]["v0"]["n"], rows["v3"]["v0"]["n_given"]) == (n_seen, n_wrong)
    assert rows["v3"]["v3"]["rate"] == 1
    assert rows[NOTHING]["v0"]["n"] == int(np.count_nonzero((data.truth == 0).all(axis=1)))


def test_measures_are_plain_json_whatever_is_missing():
    data = make_data(30)
    data.truth[:] = NAN
    measures = describe(data)
    assert json.loads(json.dumps(measures, allow_nan=False))["n_posts"] == 0
    assert measures["n_without_reference"] == 30
    assert measures["reason"]
    assert measures["distance"]["mean"] is None
    assert measures["distance"]["reason"]
    assert tabulate_misattributions(measures) == {}
    assert draw_error_figures(measures) == []


def test_a_value_absent_from_the_reference_is_in_no_pair_and_counted():
    data = make_data()
    data.truth[:, 5] = NAN
    measures = describe(data)
    assert not any("v5" in (pair["given"], pair["instead_of"]) for pair in measures["pairs"])
    assert measures["n_left_out"] == 300
    assert measures["n_untested"] > 0


def test_the_same_seed_gives_the_same_report():
    assert describe(make_data()) == describe(make_data())


@pytest.mark.parametrize("name", ["truth", "predicted", "labels", "whys"])
def test_arrays_that_do_not_fit_are_refused(name):
    data = make_data(20)
    fields = {each: getattr(data, each) for each in data.__dataclass_fields__}
    with pytest.raises(ValueError, match=name):
        ErrorData(**fields | {name: fields[name][:1] if name != "whys" else ["one"]})


def test_tables_state_the_threshold_and_that_test_posts_were_not_looked_at():
    for table in tabulate_misattributions(describe(make_data())).values():
        assert "from a rating of 3 on" in table.caption
        assert "Test posts were not looked at" in table.caption


def test_a_stand_in_is_named_in_tables_and_drawings():
    measures = describe(make_data(), n_standin=1)
    for table in tabulate_misattributions(measures).values():
        assert "Stand-in: not from a real model." in table.caption
    for figure in draw_error_figures(measures):
        assert figure.spec["title"]["subtitle"] == "Stand-in: not from a real model"


def test_figures_are_drawn_and_bear_the_number_of_what_recurs():
    pairs, matrix = draw_error_figures(describe(make_data()))
    (rate,) = [
        row["text"]
        for layer in matrix.spec["layer"][:1]
        for row in matrix.spec.get("datasets", {}).values() or [layer["data"]["values"]]
        for row in row
        if row["text"]
    ]
    assert 45 < int(rate) < 75
    assert render(pairs.spec).svg.startswith("<svg")
    assert render(matrix.spec).svg.startswith("<svg")


def test_a_value_that_experts_hardly_see_keeps_its_row():
    data = make_data()
    data.truth[np.flatnonzero(data.truth[:, 5])[3:]] = 0
    matrix = draw_error_figures(describe(data))[-1]
    assert render(matrix.spec).svg.count(">Value 5<") == 2


def test_without_a_recurrent_pair_only_the_matrix_is_drawn():
    assert [figure.key for figure in draw_error_figures(describe(make_data(rate=0.0)))] == ["confusions"]


def test_what_is_gone_stays_or_is_new_is_told_with_both_sides():
    before, now = describe(make_data()), describe(make_data(rate=0.0))
    (gone,) = compare_recurrent(before, now)
    assert (gone["state"], gone["given"], gone["instead_of"]) == (GONE, "v0", "v3")
    assert gone["now"]["rate"] == 0 < gone["before"]["rate"]
    assert [each["state"] for each in compare_recurrent(now, before)] == [NEW]
    assert [each["state"] for each in compare_recurrent(before, before)] == [STAYS]
    assert compare_recurrent(now, now) == []


def test_the_values_shown_of_an_example_are_the_pairs_then_those_that_anybody_sees():
    measures = describe(make_data())
    (pair,) = list_recurrent(measures)
    example = pair["examples"][0]
    example["experts"][1]["ratings"]["v5"] = 3
    assert list_seen(measures, example, pair) == ["v0", "v3", "v5"]
