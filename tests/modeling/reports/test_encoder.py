"""What is measured of encoders, and what tables, words and figures make of it."""

import json

import numpy as np
import pytest

from modeling.reports.encoder import (
    EncoderData,
    Reader,
    compare_readings,
    describe_encoder,
    measure_reading,
    spread_labels,
)
from modeling.reports.encoder_tables import (
    MEASURES,
    group_findings,
    say_findings,
    say_transfer,
    tabulate_encoder,
    tabulate_transfer,
)
from modeling.reports.encoder_view import Truth, read_presence
from modeling.reports.figures.encoder import draw_encoder_figures, draw_transfer_figures
from modeling.reports.figures.render import render
from modeling.reports.transfer import SourcePosts, TransferData, describe_transfer

POINTS = np.arange(7.0)


def spread(means, sd):
    shares = np.exp(-0.5 * ((POINTS - means[..., None]) / sd) ** 2)
    return shares / shares.sum(axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def latent():
    return np.random.default_rng(3).uniform(0, 6, (150, 3))


@pytest.fixture(scope="module")
def truth(latent):
    distributions = spread(latent, 1.2)
    return Truth(distributions @ POINTS, distributions)


@pytest.fixture(scope="module")
def soft(latent):
    return spread(latent + np.random.default_rng(4).normal(0, 0.4, latent.shape), 1.2)


@pytest.fixture(scope="module")
def sure(latent):
    """As far off in the mean, and much too sure of it."""
    return spread(latent + np.random.default_rng(4).normal(0, 0.4, latent.shape), 0.3)


@pytest.fixture(scope="module")
def data(truth, soft, sure):
    return EncoderData(
        values=(("order", "Order"), ("play", "Play"), ("care", "Care")),
        points=POINTS,
        threshold=4,
        truth=truth,
        by_experts=False,
        readers=(
            Reader("soft_cross_entropy", "Soft labels", "soft", "cross_entropy", soft),
            Reader("hard_cross_entropy", "Hard labels", "hard", "cross_entropy", sure),
        ),
        truth_taught=truth,
        said_taught=soft,
        notes=("A note.",),
        about={"n_taught": 150, "n_folds": 5, "n_shown": 150},
    )


@pytest.fixture(scope="module")
def measures(data):
    return describe_encoder(data, seed=1, n_resamples=200)


def test_measures_are_json_without_a_number_that_does_not_exist(measures):
    json.dumps(measures, allow_nan=False)


def test_the_same_seed_gives_the_same_measures(data, measures):
    assert describe_encoder(data, seed=1, n_resamples=200) == measures


def test_an_encoder_that_is_too_sure_is_worse_where_distributions_are_measured(measures):
    (difference,) = measures["differences"]
    assert difference["measures"]["rps"]["verdict"] == "better"
    assert difference["measures"]["rps"]["interval"][1] < 0
    found = " ".join(say_findings(measures))
    assert "Better, beyond chance: " in found and "ranked probability score \u2212" in found
    assert "7 differences are looked at" in found


def test_the_right_distribution_is_calibrated_where_posts_are_ambiguous_and_its_likeliest_rating_is_not(
    truth,
):
    mode = (truth.distributions.argmax(axis=2)[..., None] == POINTS).astype(float)
    options = {"n_resamples": 200}
    right = measure_reading(truth, truth.distributions, POINTS, 4, rng=np.random.default_rng(0), **options)
    assert right["ece"]["estimate"] == pytest.approx(0, abs=1e-9)
    assert right["rps"]["estimate"] == pytest.approx(0, abs=1e-9)
    found = compare_readings(
        truth, truth.distributions, mode, POINTS, 4, rng=np.random.default_rng(0), **options
    )
    assert {name: found[name]["verdict"] for name in ("rps", "brier", "ece")} == {
        "rps": "better",
        "brier": "better",
        "ece": "better",
    }


def test_two_readings_alike_differ_in_nothing(truth, soft):
    found = compare_readings(truth, soft, soft, POINTS, 4, rng=np.random.default_rng(0), n_resamples=50)
    assert {one["estimate"] for one in found.values()} == {0.0}
    assert {one["verdict"] for one in found.values()} == {"noise"}


def test_swapping_two_readings_turns_every_difference_round(truth, soft, sure):
    rng = np.random.default_rng
    there = compare_readings(truth, soft, sure, POINTS, 4, rng=rng(0), n_resamples=50)
    back = compare_readings(truth, sure, soft, POINTS, 4, rng=rng(0), n_resamples=50)
    for name in MEASURES:
        assert there[name]["estimate"] == pytest.approx(-back[name]["estimate"], abs=1e-12)
    assert back["rps"]["verdict"] == "worse"


def test_a_perfect_reading_has_no_error_and_one_value_never_expressed_is_left_out(truth):
    ratings = np.where(truth.ratings >= 4, 6.0, 0.0)
    ratings[:, 2] = 0.0
    known = Truth(ratings, (ratings[..., None] == POINTS).astype(float))
    found = measure_reading(
        known, known.distributions, POINTS, 4, rng=np.random.default_rng(0), n_resamples=50
    )
    assert found["macro_f1"]["estimate"] == 1 and found["n_values"] == 2
    assert [found[name]["estimate"] for name in ("mae", "rps", "brier", "ece")] == [0, 0, 0, 0]
    assert found["left_out"][0][0] == 2
    assert found["error_uncertainty"]["estimate"] is None and found["error_uncertainty"]["reason"]


def test_pairs_without_a_reference_count_for_nothing(truth, soft):
    half = Truth(truth.ratings.copy(), truth.distributions.copy())
    half.ratings[75:] = np.nan
    half.distributions[75:] = np.nan
    spoilt = soft.copy()
    spoilt[75:] = 1 / 7
    options = {"n_resamples": 50}
    found = measure_reading(half, soft, POINTS, 4, rng=np.random.default_rng(0), **options)
    same = measure_reading(half, spoilt, POINTS, 4, rng=np.random.default_rng(0), **options)
    assert found == same and found["n_left_out"] == 75


def test_no_reference_at_all_gives_reasons_and_no_numbers(soft):
    nothing = Truth(np.full((4, 3), np.nan), np.full((4, 3, 7), np.nan))
    found = measure_reading(nothing, soft[:4], POINTS, 4, rng=np.random.default_rng(0), n_resamples=10)
    for name in MEASURES:
        assert found[name]["estimate"] is None and found[name]["reason"], name
    compared = compare_readings(
        nothing, soft[:4], soft[:4], POINTS, 4, rng=np.random.default_rng(0), n_resamples=10
    )
    assert {one["verdict"] for one in compared.values()} == {""}
    assert all(one["reason"] for one in compared.values())


def test_three_posts_are_too_few_for_an_interval_and_say_so(truth, soft):
    few = Truth(truth.ratings[:3], truth.distributions[:3])
    found = measure_reading(few, soft[:3], POINTS, 4, rng=np.random.default_rng(0), n_resamples=10)
    assert found["mae"]["interval"] == [None, None] and "needs 5" in found["mae"]["reason"]


def test_labels_are_spread_over_the_scale_by_how_often_they_were_given():
    labels = np.array([[[2.0, np.nan]], [[2.0, np.nan]], [[5.0, np.nan]]])
    found = spread_labels(labels, POINTS)
    assert found[0, 0].tolist() == pytest.approx([0, 0, 2 / 3, 0, 0, 1 / 3, 0])
    assert np.isnan(found[0, 1]).all()
    assert np.isnan(spread_labels(np.empty((0, 1, 2)), POINTS)).all()


def test_a_mean_that_misses_the_threshold_by_rounding_reaches_it():
    assert read_presence(np.array([4 - 1e-9, 3.99, np.nan]), 4).tolist()[:2] == [1.0, 0.0]


def test_tables_have_one_cell_for_each_column_and_are_marked_where_they_come_of_stand_ins(measures):
    marked = measures | {"n_standin": 2}
    for table in tabulate_encoder(marked).values():
        assert all(len(row) == len(table.columns) for row in table.rows), table.key
        assert "Stand-in" in table.caption, table.key
    assert set(tabulate_encoder(measures)) == {
        "encoder_scores",
        "encoder_differences",
        "encoder_reliability",
        "encoder_by_value",
        "encoder_out_of_fold",
    }
    assert [group["label"] for group in group_findings(measures)] == ["Soft labels compared with hard labels"]


def test_its_figures_can_be_drawn(measures):
    figures = draw_encoder_figures(measures)
    assert [figure.key for figure in figures] == ["encoder_reliability", "encoder_by_value"]
    assert all(render(figure.spec).svg.startswith("<svg") for figure in figures)


def test_what_is_lost_on_another_source_is_measured_on_the_same_posts(truth, soft):
    flat = np.full_like(soft, 1 / 7)
    data = TransferData(
        values=(("order", "Order"), ("play", "Play"), ("care", "Care")),
        points=POINTS,
        threshold=4,
        sources=(SourcePosts("forum", 200, 50, 150), SourcePosts("board", 210, 50, 150)),
        truth={"forum": truth, "board": truth},
        said={(a, b): soft if a == b else flat for a in ("forum", "board") for b in ("forum", "board")},
        pairs=(("board", "forum"), ("forum", "board")),
        left_out=(("rare", 3),),
        about={"by": "source"},
    )
    found = describe_transfer(data, seed=1, n_resamples=100)
    json.dumps(found, allow_nan=False)
    assert all(cell["loss"]["macro_f1"]["verdict"] == "better" for cell in found["cells"] if cell["loss"])
    assert "own less other +" in say_transfer(found)[0] and "beyond chance" in say_transfer(found)[0]
    tables = tabulate_transfer(found)
    assert tables["transfer_sources"].rows[-1] == ["rare", 3, 0, 0, "too few posts"]
    for table in tables.values():
        assert all(len(row) == len(table.columns) for row in table.rows), table.key
    figures = draw_transfer_figures(found)
    assert [figure.key for figure in figures] == ["transfer_losses", "transfer_scores"]
    assert all(render(figure.spec).svg.startswith("<svg") for figure in figures)
