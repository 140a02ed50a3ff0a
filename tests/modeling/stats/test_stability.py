from itertools import combinations

import numpy as np
import pytest
from scipy.stats import spearmanr

from modeling.stats.stability import paraphrase_stability, run_stability

NAN = float("nan")


def repeat(samples, threshold=2, seed=0):
    return run_stability(samples, threshold, rng=np.random.default_rng(seed), n_resamples=200)


def rephrase(originals, variants, of, threshold=2, seed=0, **options):
    rng = np.random.default_rng(seed)
    return paraphrase_stability(originals, variants, of, threshold, rng=rng, n_resamples=200, **options)


class TestRuns:
    def test_the_numbers_are_those_of_a_loop(self):
        rng = np.random.default_rng(1)
        samples = rng.integers(0, 7, (4, 30, 3)).astype(float)
        samples[rng.random(samples.shape) < 0.3] = NAN
        found = repeat(samples)
        for value in range(3):
            flips, apart, sds = [], [], []
            for post in range(30):
                given = [x for x in samples[:, post, value] if not np.isnan(x)]
                if len(given) < 2:
                    continue
                present = [x >= 2 for x in given]
                flips.append(any(present) and not all(present))
                apart.append(np.mean([one != other for one, other in combinations(present, 2)]))
                sds.append(np.std(given, ddof=1))
            scores = found.per_value[value]
            assert scores.n_posts == len(flips)
            assert scores.n_left_out == 30 - len(flips)
            assert scores.flips.estimate == pytest.approx(np.mean(flips))
            assert scores.disagreement.estimate == pytest.approx(np.mean(apart))
            assert scores.spread.estimate == pytest.approx(np.mean(sds))
        assert found.flips.estimate == pytest.approx(np.nanmean(found.per_post))
        assert found.flips.interval.low <= found.flips.estimate <= found.flips.interval.high

    def test_runs_that_say_the_same_are_stable(self):
        found = repeat(np.tile(np.arange(12.0).reshape(6, 2), (3, 1, 1)))
        assert (found.flips.estimate, found.disagreement.estimate, found.spread.estimate) == (0, 0, 0)

    def test_disagreement_does_not_grow_with_the_number_of_runs_as_flips_do(self):
        samples = np.where(np.random.default_rng(2).random((8, 400, 4)) < 0.1, 0, 5)
        few, many = repeat(samples[:2]), repeat(samples)
        assert few.disagreement.estimate == few.flips.estimate == pytest.approx(0.18, abs=0.03)
        assert many.disagreement.estimate == pytest.approx(0.18, abs=0.03)
        assert many.flips.estimate > 0.5

    def test_one_run_tells_nothing_of_runs(self):
        found = repeat(np.ones((1, 10, 2)))
        assert np.isnan(found.flips.estimate)
        assert np.isnan(found.per_value[0].spread.estimate)
        assert found.reason == "1 run(s): a spread needs two runs with a reading of the same post"
        assert found.n_cells_left_out == 20

    def test_few_posts_have_no_interval(self):
        found = repeat(np.ones((2, 3, 2)))
        assert found.flips.estimate == 0
        assert np.isnan(found.flips.interval.low)
        assert "3 post(s)" in found.flips.reason

    @pytest.mark.parametrize(
        ("samples", "threshold", "message"),
        [
            (np.ones((2, 3)), 1, "n_runs, n_posts, n_values"),
            (np.full((2, 3, 1), np.inf), 1, "infinite"),
            (np.ones((2, 3, 1)), NAN, "threshold is nan"),
        ],
        ids=["shape", "infinite", "threshold"],
    )
    def test_malformed_input_is_refused(self, samples, threshold, message):
        with pytest.raises(ValueError, match=message):
            repeat(samples, threshold)


class TestParaphrases:
    def test_the_numbers_are_those_of_a_loop(self):
        rng = np.random.default_rng(3)
        originals = rng.integers(0, 7, (12, 6)).astype(float)
        of = rng.integers(0, 10, 40)
        variants = rng.integers(0, 7, (40, 6)).astype(float)
        variants[rng.random(variants.shape) < 0.2] = NAN
        found = rephrase(originals, variants, of)
        flips, apart, rhos = [], [], []
        for post in np.unique(of):
            mine = []
            for variant in np.flatnonzero(of == post):
                kept = ~np.isnan(variants[variant])
                one, other = originals[post, kept], variants[variant, kept]
                mine.append(
                    (np.mean((one >= 2) != (other >= 2)), np.mean(abs(one - other)), spearmanr(one, other)[0])
                )
            for numbers, mean in zip((flips, apart, rhos), np.nanmean(mine, axis=0), strict=True):
                numbers.append(mean)
        assert found.flips.estimate == pytest.approx(np.mean(flips))
        assert found.difference.estimate == pytest.approx(np.mean(apart))
        assert found.rho.estimate == pytest.approx(np.nanmean(rhos))
        assert found.n_originals == len(np.unique(of))

    def test_wording_that_matters_stands_out_from_the_noise_and_wording_that_does_not_stays_in_it(self):
        rng = np.random.default_rng(4)
        truth = np.where(rng.random((150, 5)) < 0.3, 4.0, 0.0)

        def read(share):
            return np.where(rng.random(truth.shape) < share, 4.0 - truth, truth)

        first = read(0.05)
        floor = repeat([first, read(0.05)]).disagreement.estimate
        steady = rephrase(first, read(0.05), np.arange(150), noise_floor=floor)
        shaky = rephrase(first, read(0.2), np.arange(150), noise_floor=floor)
        assert (steady.is_above_noise, shaky.is_above_noise) == (False, True)
        assert shaky.per_value[0].n_posts == 150

    def test_without_a_floor_nothing_is_said_of_noise(self):
        assert rephrase(np.ones((9, 2)), np.ones((9, 2)), np.arange(9)).is_above_noise is None

    def test_variants_without_a_common_reading_are_counted(self):
        found = rephrase([[1, NAN], [1, 2]], [[NAN, 3], [1, 5]], [0, 1])
        assert (found.n_variants, found.n_variants_left_out, found.n_originals) == (1, 1, 1)
        nothing = rephrase([[1, NAN]], [[NAN, 3]], [0])
        assert np.isnan(nothing.flips.estimate)
        assert nothing.reason == nothing.flips.reason != ""

    @pytest.mark.parametrize(
        ("variants", "of", "options", "message"),
        [
            ([[1, 2]], [5], {}, "rows of the originals"),
            ([[1, 2]], [0.5], {}, "whole numbers"),
            ([[1]], [0], {}, "the same values"),
            ([[1, 2]], [0], {"noise_floor": 3}, "noise_floor is 3"),
        ],
        ids=["row", "fraction", "values", "floor"],
    )
    def test_malformed_input_is_refused(self, variants, of, options, message):
        with pytest.raises(ValueError, match=message):
            rephrase([[1, 2], [3, 4]], variants, of, **options)
