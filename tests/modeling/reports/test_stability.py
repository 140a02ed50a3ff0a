"""Stability reports from arrays: planted instability is found, and one sample tells nothing."""

import json

import numpy as np
import pytest

from modeling.reports.figures.stability import draw_stability_figures
from modeling.reports.stability import StabilityData, describe_stability
from modeling.reports.stability_tables import say_wordings, tabulate_stability

N_POSTS, N_VALUES, THRESHOLD = 120, 4, 3


def flip(presences, rate, rng):
    return np.where(rng.random(presences.shape) < rate, 5.0 - presences, presences)


def make_data(*, rate=0.1, wording_rate=0.1, n_samples=4, n_variants=N_POSTS, is_standin=False, seed=1):
    rng = np.random.default_rng(seed)
    base = np.where(rng.random((N_POSTS, N_VALUES)) < 0.4, 5.0, 0.0)
    of = np.arange(n_variants) % N_POSTS
    return StabilityData(
        values=[(f"v{value}", f"Value {value}") for value in range(N_VALUES)],
        samples=np.stack([flip(base, rate, rng) for _ in range(n_samples)]),
        variants=flip(base[of], wording_rate, rng).reshape(n_variants, N_VALUES),
        of=of.astype(np.int64),
        threshold=THRESHOLD,
        scale=(0, 6),
        run=3,
        label="Reader, version 1",
        line="small",
        is_standin=is_standin,
        n_paraphrases=n_variants,
    )


def test_planted_instability_is_found():
    found = describe_stability(make_data(rate=0.1), seed=1)
    low, high = found["repeats"]["disagreement"]["interval"]
    assert low < 2 * 0.1 * 0.9 < high
    assert found["repeats"]["n_runs"] == 4
    steady = describe_stability(make_data(rate=0.0, wording_rate=0.0), seed=1)
    assert steady["repeats"]["flips"]["estimate"] == 0
    assert steady["wordings"]["flips"]["estimate"] == 0


def test_other_words_that_change_more_than_repeating_are_told_from_those_that_do_not():
    more = describe_stability(make_data(rate=0.02, wording_rate=0.2), seed=1)
    assert more["wordings"]["is_above_noise"] is True
    assert "more than repeating alone explains" in say_wordings(more)
    same = describe_stability(make_data(rate=0.1, wording_rate=0.1), seed=1)
    assert same["wordings"]["is_above_noise"] is False
    assert "no more than repeating" in say_wordings(same)


def test_one_sample_has_no_spread_and_says_so_and_the_noise_floor_is_unknown():
    found = describe_stability(make_data(n_samples=1), seed=1)
    assert found["repeats"]["flips"]["estimate"] is None
    assert found["repeats"]["reason"]
    assert found["wordings"]["noise_floor"] is None
    assert "not known" in say_wordings(found)
    assert set(tabulate_stability(found)) == {"stability_wordings"}
    json.dumps(found, allow_nan=False)


def test_without_paraphrases_nothing_is_said_of_other_words():
    found = describe_stability(make_data(n_variants=0), seed=1)
    assert found["wordings"]["flips"]["estimate"] is None
    assert found["wordings"]["reason"]
    assert say_wordings(found) == ""
    assert set(tabulate_stability(found)) == {"stability_repeats"}


def test_figures_carry_the_stand_in_and_the_threshold():
    found = describe_stability(make_data(is_standin=True), seed=1)
    figures = draw_stability_figures(found)
    assert [figure.key for figure in figures] == ["stability_repeats", "stability_wordings"]
    for figure in figures:
        assert "Stand-in: not from a real model." in figure.caption
        assert "from 3 on the scale from 0 to 6" in figure.caption
        assert figure.spec["title"]["subtitle"] == "Stand-in: not from a real model"


def test_the_same_seed_gives_the_same_report():
    assert describe_stability(make_data(), seed=1) == describe_stability(make_data(), seed=1)


def test_a_paraphrase_of_a_post_that_is_not_there_is_refused():
    data = make_data(n_variants=2)
    data.of[0] = N_POSTS
    with pytest.raises(ValueError, match="rows of the originals"):
        describe_stability(data, seed=1)
