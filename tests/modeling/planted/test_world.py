"""What was planted is found, and nothing else: the whole way from a file of labels to a report."""

import numpy as np
import pytest

from modeling.models import Report
from modeling.reports.misattribution_tables import NOTHING
from modeling.simulation.planted import invent_world
from modeling.standin.planting import Plant

from .ground import NOISE, PLANTED, find_errors, have_read, measure, save_repaired_prompt, settle_world

pytestmark = [pytest.mark.django_db, pytest.mark.alike]


def test_each_planted_error_is_found_no_other_is_and_a_repaired_prompt_shows_its_gain():
    world = invent_world(480, np.random.default_rng(11))
    expert_set = settle_world(world)
    known = world.known()
    planted = Plant(known=known, misattributions=PLANTED, **NOISE)
    before = have_read(expert_set, planted, name="Planted")
    after = have_read(expert_set, planted, name="Planted", prompt=save_repaired_prompt(expert_set.study))

    assert find_errors(expert_set, before) == {
        (error.given, error.instead_of or NOTHING) for error in PLANTED
    }
    assert find_errors(expert_set, after) == set()

    measures = measure(expert_set, Report.Kind.CALIBRATION)
    first, second = measures["runs"]
    gain = second["before"]
    assert (first["run"], second["run"], measures["newest"]) == (before.pk, after.pk, after.pk)
    assert second["f1"]["estimate"] - first["f1"]["estimate"] == pytest.approx(gain["difference"])
    assert gain["interval"][0] > 0
    assert gain["p"] < 0.05
    assert not gain["is_within_noise"]
    assert gain["n_better"] > 10
    assert gain["n_worse"] == 0
