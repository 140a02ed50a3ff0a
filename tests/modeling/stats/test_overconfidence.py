import numpy as np
import pytest

from modeling.stats.overconfidence import overconfidence

NAN = float("nan")


def measure(probability, presence, seed=0, **options):
    return overconfidence(probability, presence, rng=np.random.default_rng(seed), **options)


def draw_world(rng, n_posts=60, n_values=4, *, shift=0.0, shared=False):
    """Probabilities of which what is likelier holds as often as they say, less `shift`; values of a post err alike."""
    chance = rng.beta(0.6, 1.5, (n_posts, n_values))
    sure = np.maximum(chance, 1 - chance)
    drawn = rng.random((n_posts, 1 if shared else n_values))
    is_right = drawn < sure - shift
    return chance, np.where(is_right, chance > 0.5, chance <= 0.5).astype(float)


def test_it_is_what_a_loop_finds():
    rng = np.random.default_rng(4)
    chance, outcome = draw_world(rng)
    chance[3, 1], outcome[5, 2], chance[0, 0] = NAN, NAN, 0.5
    sure, right = [], []
    for post in range(60):
        for value in range(4):
            p, y = chance[post, value], outcome[post, value]
            if np.isnan(p) or np.isnan(y):
                continue
            sure.append(max(p, 1 - p))
            right.append(0.5 if p == 0.5 else float((p > 0.5) == (y == 1)))
    found = measure(chance, outcome)
    assert found.confidence == pytest.approx(np.mean(sure))
    assert found.accuracy == pytest.approx(np.mean(right))
    assert found.difference.estimate == pytest.approx(np.mean(sure) - np.mean(right))
    assert (found.n_cells, found.n_posts, found.n_left_out) == (238, 60, 2)


def test_the_interval_is_of_resampled_posts():
    chance, outcome = draw_world(np.random.default_rng(5), shared=True)
    gaps = np.maximum(chance, 1 - chance) - ((chance > 0.5) == (outcome == 1))
    rng = np.random.default_rng(6)
    drawn = [gaps[rng.integers(60, size=60)].mean() for _ in range(4000)]
    interval = measure(chance, outcome, n_resamples=4000).difference.interval
    assert [interval.low, interval.high] == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.01)


def test_planted_faults_are_found_with_their_sign_and_size():
    for seed in range(10):
        rng = np.random.default_rng(seed)
        over = measure(*draw_world(rng, 150, shift=0.15))
        under = measure(*draw_world(rng, 150, shift=-0.15))
        assert (over.verdict, under.verdict) == ("overconfident", "underconfident")
        assert over.difference.estimate == pytest.approx(0.15, abs=0.06)
        assert under.difference.estimate < -0.05
        assert over.p < 0.01


@pytest.mark.parametrize(("shared", "most"), [(False, 20), (True, 28)], ids=["apart", "together"])
def test_an_honest_model_is_seldom_called_anything_else(shared, most):
    verdicts = [
        measure(*draw_world(np.random.default_rng(seed), shared=shared), seed, n_resamples=199).verdict
        for seed in range(400)
    ]
    assert (
        len(verdicts) - verdicts.count("neither") <= most
    )  # of 400 at 5 %: more than 28 has a probability of 3 %


def test_errors_too_rare_to_resample_do_not_make_a_model_underconfident():
    alarms = 0
    for seed in range(200):
        outcome = (np.random.default_rng(seed).random(80) < 0.02).astype(float)
        found = measure(np.full(80, 0.02), outcome, seed, n_resamples=199)
        alarms += found.verdict != "neither"
    assert alarms <= 10


def test_an_even_chance_is_half_right_whatever_comes():
    found = measure(np.full(20, 0.5), np.ones(20))
    assert (found.confidence, found.accuracy, found.difference.estimate) == (0.5, 0.5, 0)
    assert (found.verdict, found.p) == ("neither", 1)


def test_too_few_posts_give_a_number_without_an_interval_or_a_verdict():
    found = measure([0.9, 0.9], [0.0, 0.0])
    assert found.difference.estimate == pytest.approx(0.9)
    assert found.verdict == ""
    assert "an interval needs 5" in found.difference.reason


def test_nothing_to_compare_gives_no_number_and_the_reason():
    for found in (measure([[NAN]], [[1.0]]), measure(np.empty((0, 2)), np.empty((0, 2)))):
        assert np.isnan([found.difference.estimate, found.confidence, found.accuracy, found.p]).all()
        assert found.difference.reason == "no pair of post and value has a probability and an outcome"
        assert found.verdict == ""


@pytest.mark.parametrize(
    ("probability", "presence", "message"),
    [([1.2], [1.0], "from 0 to 1"), ([0.5], [2.0], "threshold"), ([0.5, 0.5], [1.0], "shape")],
    ids=["probability", "presence", "shape"],
)
def test_malformed_input_is_refused(probability, presence, message):
    with pytest.raises(ValueError, match=message):
        measure(probability, presence)
