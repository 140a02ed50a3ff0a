from dataclasses import replace

import numpy as np
import pytest

from modeling.estimators.fitting import assemble
from modeling.estimators.personalizer import Personalizer, pack_blends
from modeling.estimators.prepared import prepare
from modeling.estimators.units import do_unit, list_units
from tests.modeling.estimators.data import TINY, draw_data


def fit_to_files(settings=TINY, **known):
    """A fit, and its files by role."""
    prepared = prepare(draw_data(**known), settings)
    pieces = {unit.name: do_unit(prepared, settings, unit) for unit in list_units(prepared, settings)}
    result = assemble(prepared, settings, pieces)
    files = {role: arrays for piece in pieces.values() for role, arrays in piece.kept.items()}
    blends = pack_blends(result.blends, result.bounds, value_keys=prepared.value_keys, scale=prepared.scale)
    return prepared, result, files, blends


@pytest.fixture(scope="module", params=["vcq", "history", "panel"])
def served(request):
    known = {"vcq": {}, "history": {"has_answers": False}, "panel": {"has_text": False}}[request.param]
    prepared, result, files, blends = fit_to_files(**known)
    return prepared, result, Personalizer(files.__getitem__, blends)


def test_what_serves_predicts_the_held_out_posts_as_the_fit_did(served):
    prepared, result, personalizer = served
    low, high = result.intervals
    for place in range(0, len(result.test_rows), 3):
        row = result.test_rows[place]
        rater = personalizer.describe_known(prepared.raters[row])
        predicted = personalizer.predict(prepared.consensus[[row]], rater)
        np.testing.assert_allclose(predicted.ratings[0], result.predictions["personalized"][place], atol=1e-5)
        np.testing.assert_allclose(predicted.low[0], low[place], atol=1e-5)
        np.testing.assert_allclose(predicted.high[0], high[place], atol=1e-5)


def test_all_pairs_are_the_single_predictions(served):
    prepared, _, personalizer = served
    consensus = prepared.post_scores
    for value in range(3):
        scores = personalizer.score_all(value, consensus)
        assert scores.shape == (10, 16)
        for rater in (0, 7):
            alone = personalizer.predict(consensus, personalizer.describe_known(rater))
            np.testing.assert_allclose(scores[rater], alone.ratings[:, value], atol=1e-6)


def test_answers_alone_are_enough_and_gaps_among_them_are_allowed():
    prepared, _, files, blends = fit_to_files()
    personalizer = Personalizer(files.__getitem__, blends)
    for answers in (prepared.answers[3], np.full(3, np.nan)):
        predicted = personalizer.predict(prepared.post_scores, personalizer.describe_new(answers))
        assert predicted.ratings.shape == (16, 3)
        assert not np.isnan(predicted.ratings).any()
        assert (predicted.low <= predicted.ratings).all() and (predicted.ratings <= predicted.high).all()


def test_of_whom_nothing_is_known_the_consensus_is_foretold():
    prepared, _, files, blends = fit_to_files(has_answers=False)
    personalizer = Personalizer(files.__getitem__, blends)
    predicted = personalizer.predict(prepared.post_scores, personalizer.describe_new(np.empty(0)))
    np.testing.assert_allclose(predicted.ratings, prepared.post_scores, atol=1e-6)
    assert personalizer.weights["new"] == {"text": 1}


def test_only_the_files_that_are_needed_are_read():
    _, _, files, blends = fit_to_files(replace(TINY, method="mixed"))
    asked = []

    def load(role):
        asked.append(role)
        return files[role]

    personalizer = Personalizer(load, blends)
    assert asked == []
    personalizer.predict(np.ones((2, 3)), personalizer.describe_known(1))
    assert asked == ["mixed.known"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda blends: blends.pop("about"), "not whole"),
        (lambda blends: blends.update(known_weights=np.ones(1)), "blend of known raters is not whole"),
        (lambda blends: blends.update(new_below=np.ones(40)), "blend of new raters is not whole"),
    ],
)
def test_damaged_blends_are_refused(damage, message):
    *_, files, blends = fit_to_files()
    damage(blends)
    with pytest.raises(ValueError, match=message):
        Personalizer(files.__getitem__, blends)
