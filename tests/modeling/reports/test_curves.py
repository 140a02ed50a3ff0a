"""Learning curves rise when answers matter, and lie flat when they do not."""

from dataclasses import replace

import numpy as np
import pytest

from modeling.reports.curves import describe_curves
from tests.modeling.reports.made_up import make_evaluation, make_personal


def test_a_curve_rises_when_answers_matter():
    curve = describe_curves(make_personal(), seed=1)["answers"]
    assert [point["count"] for point in curve["points"]] == [0, 5, 10, 25]
    gains = [point["rho"]["difference"] for point in curve["points"]]
    changes = [point["mae"]["difference"] for point in curve["points"]]
    assert gains == sorted(gains)
    assert changes == sorted(changes, reverse=True)
    assert gains[0] == 0
    assert curve["rise"]["rho"]["direction"] == curve["rise"]["mae"]["direction"] == "better"
    assert curve["rise"]["rho"]["difference"] == pytest.approx(gains[-1] - gains[0])
    assert (curve["n_raters"], curve["n_rows"], curve["reason"]) == (20, 240, "")


def test_a_curve_lies_flat_when_answers_do_not_matter():
    data = make_personal(matters=0.0)
    rng = np.random.default_rng(2)
    noisy = {m: each + rng.normal(0, 0.05, each.shape) for m, each in data.curves["answers"].items()}
    curve = describe_curves(replace(data, curves={"answers": noisy}), seed=1)["answers"]
    assert curve["rise"]["rho"]["direction"] == "unclear"
    assert all(abs(point["rho"]["difference"]) < 0.02 for point in curve["points"])


def test_counts_stand_in_order_however_they_came():
    data = make_personal()
    backwards = dict(reversed(data.curves["raters"].items()))
    curve = describe_curves(replace(data, curves={"raters": backwards}), seed=1)
    assert [point["count"] for point in curve["raters"]["points"]] == [8, 16, 40]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (make_evaluation(), "no raters were set apart"),
        (replace(make_personal(), curves={}), "some of their answers"),
        (replace(make_personal(), new_predictions={}), "consensus of the new raters' posts is missing"),
    ],
    ids=["no new raters", "no curve", "no consensus"],
)
def test_a_curve_that_is_not_there_has_a_reason(data, words):
    curves = describe_curves(data, seed=1)
    assert words in curves["answers"]["reason"]
    assert curves["raters"]["reason"]
    assert (curves["answers"]["points"], curves["answers"]["rise"]) == ([], None)
