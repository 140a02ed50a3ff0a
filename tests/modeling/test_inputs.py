"""What a fit left in its file reaches the evaluation, whatever else it left out."""

import numpy as np
import pytest

from modeling.matrices import load_table
from modeling.reporting.inputs import build_evaluation_data
from tests.modeling.rated import make_rated_study
from tests.modeling.views.stored import store_evaluation

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    return make_rated_study(n_posts=8, per_post=3)


def build(study, **further):
    table = load_table(study)
    fit_run = store_evaluation(study).fit_run
    fit_run.holdout_post_ids = [table.post_ids[1], 999_999]
    fit_run.method = "blend"
    fit_run.notes = ["What the model could see: little."]
    test_rows = np.flatnonzero(table.posts == 1)
    arrays = {
        "test_rows": test_rows,
        "prediction_text": np.zeros((len(test_rows), len(table.value_keys)), dtype=np.float32),
        "consensus_scores": np.ones((len(table.post_ids), len(table.value_keys))),
    }
    return build_evaluation_data(fit_run, table, arrays | further, is_crowd=False)


def test_a_fit_that_kept_predictions_alone_is_read(study):
    data = build(study)
    assert list(data.predictions) == ["text"]
    assert (len(data.new_rows), data.new_predictions, data.intervals, data.curves) == (0, {}, {}, {})
    assert (data.member_names, data.weights, data.importances) == ((), {}, None)
    assert data.method == "blend"
    assert data.fit_notes == ("What the model could see: little.",)
    assert list(np.flatnonzero(data.is_held_out)) == [1]


def test_everything_that_a_fit_may_keep_is_read(study):
    n_values = len(study.value_keys)
    known = len(np.flatnonzero(load_table(study).posts == 1))
    new = np.zeros((4, n_values), dtype=np.float32)
    data = build(
        study,
        new_rows=np.arange(4),
        new_prediction_text=new,
        new_prediction_personalized=new + 1,
        interval_low=np.zeros((known, n_values)),
        interval_high=np.ones((known, n_values)),
        new_interval_low=new,
        new_interval_high=new + 2,
        curve_answers=np.array([0, 5]),
        curve_answers_0=new,
        curve_answers_5=new + 3,
        curve_raters=np.array([10, 20]),
        curve_raters_20=new + 4,
        member_names=np.array(["text", "forest"]),
        weights_known=np.array([0.25, 0.75]),
        weights_new=np.array([1.0, 0.0]),
    )
    assert list(data.predictions) == ["text"]
    assert {name: float(each[0, 0]) for name, each in data.new_predictions.items()} == {
        "text": 0.0,
        "personalized": 1.0,
    }
    assert {view: float(high[0, 0]) for view, (_, high) in data.intervals.items()} == {
        "known": 1.0,
        "new": 2.0,
    }
    assert {kind: sorted(curve) for kind, curve in data.curves.items()} == {"answers": [0, 5], "raters": [20]}
    assert data.member_names == ("text", "forest")
    assert list(data.weights["known"]) == [0.25, 0.75]


def test_half_an_interval_is_none(study):
    known = len(np.flatnonzero(load_table(study).posts == 1))
    assert build(study, interval_low=np.zeros((known, len(study.value_keys)))).intervals == {}
