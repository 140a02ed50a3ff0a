import numpy as np
import pytest
from scipy.stats import fisher_exact, hypergeom

from modeling.stats.misattribution import (
    confusion_counts,
    confusion_distance,
    find_misattributions,
)

NAN = float("nan")
N_VALUES = 19


def draw_experts(rng, n_posts):
    """Two or three values in most posts, neighbours on the circle together; nothing in one of eight."""
    truth = np.zeros((n_posts, N_VALUES))
    commonness = rng.dirichlet(np.full(N_VALUES, 6.0))
    posts = np.flatnonzero(rng.random(n_posts) > 0.12)
    first = rng.choice(N_VALUES, len(posts), p=commonness)
    truth[posts, first] = 1
    for _ in range(2):
        near = (first + rng.choice([-2, -1, 1, 2], len(posts))) % N_VALUES
        far = rng.choice(N_VALUES, len(posts), p=commonness)
        second = np.where(rng.random(len(posts)) < 0.6, near, far)
        truth[posts, second] = 1
    return truth


def read(rng, truth, faults=(), replaces=False):
    """A model that misses 10 %, adds 3 % at random and has the faults (given, instead of, share)."""
    chances = rng.random(truth.shape)
    predicted = np.where(truth == 1, chances > 0.1, chances < 0.03).astype(float)
    for given, source, share in faults:
        concerned = truth.sum(axis=1) == 0 if source is None else truth[:, source] == 1
        hit = concerned & (truth[:, given] == 0) & (rng.random(len(truth)) < share)
        predicted[hit, given] = 1
        if replaces:
            predicted[hit, source] = 0
    return predicted


def names(found):
    return {(pair.given, pair.instead_of) for pair in found.found}


class TestPlantedFaults:
    def test_worlds_without_a_fault_seldom_show_one(self):
        rng = np.random.default_rng(1)
        alarms = 0
        for _ in range(40):
            truth = draw_experts(rng, 200)
            alarms += bool(find_misattributions(truth, read(rng, truth)).found)
        assert alarms <= 4

    def test_one_fault_at_a_fifth_is_found_and_no_other(self):
        rng = np.random.default_rng(2)
        found_in, others = 0, 0
        for _ in range(15):
            truth = draw_experts(rng, 400)
            truth[rng.random(400) < 0.2, 4] = 1
            found = names(find_misattributions(truth, read(rng, truth, [(12, 4, 0.2)])))
            found_in += (12, 4) in found
            others += bool(found - {(12, 4)})
        assert found_in >= 14
        assert others <= 2

    def test_several_faults_at_once_are_each_found(self):
        rng = np.random.default_rng(3)
        truth = draw_experts(rng, 800)
        faults = [(12, 4, 0.3), (1, 9, 0.3), (7, None, 0.3)]
        assert names(find_misattributions(truth, read(rng, truth, faults))) == {(12, 4), (1, 9), (7, None)}

    def test_a_value_said_beside_the_source_is_not_blamed(self):
        rng = np.random.default_rng(4)
        truth = draw_experts(rng, 2000)
        more = rng.random(2000) < 0.12
        truth[more, 4] = 1
        truth[more & (rng.random(2000) < 0.6), 5] = 1
        found = find_misattributions(truth, read(rng, truth, [(12, 4, 0.25)]))
        assert names(found) == {(12, 4)}
        blamed = next(pair for pair in found.pairs if (pair.given, pair.instead_of) == (12, 5))
        assert blamed.explained_by == (4,)
        marginal = fisher_exact(
            [
                [blamed.n_wrong, blamed.n_chances - blamed.n_wrong],
                _count_rest(truth, read_again(found, truth), 12, 5),
            ],
            alternative="greater",
        )
        assert marginal.pvalue * found.n_tests < 0.05

    def test_two_sources_of_one_value_are_both_found_though_they_occur_together(self):
        rng = np.random.default_rng(5)
        truth = draw_experts(rng, 1500)
        faults = [(12, 4, 0.3), (12, 5, 0.3)]
        assert names(find_misattributions(truth, read(rng, truth, faults))) == {(12, 4), (12, 5)}

    def test_sources_that_always_occur_together_cannot_be_told_apart_and_one_stands_for_both(self):
        rng = np.random.default_rng(6)
        truth = draw_experts(rng, 800)
        truth[:, 5] = truth[:, 4] = (rng.random(800) < 0.2).astype(float)
        found = find_misattributions(truth, read(rng, truth, [(12, 4, 0.4)]))
        assert len(found.found) == 1
        kept = found.found[0].instead_of
        other = next(p for p in found.pairs if p.given == 12 and p.instead_of == (9 - kept))
        assert other.explained_by == (kept,)

    def test_a_source_that_is_replaced_is_counted_as_missed(self):
        rng = np.random.default_rng(7)
        truth = draw_experts(rng, 400)
        truth[rng.random(400) < 0.2, 4] = 1
        pair = find_misattributions(truth, read(rng, truth, [(12, 4, 0.4)], replaces=True)).found[0]
        assert (pair.given, pair.instead_of) == (12, 4)
        assert pair.n_replaced > 0.8 * pair.n_wrong

    def test_a_model_that_gives_a_value_everywhere_confuses_it_with_none(self):
        rng = np.random.default_rng(8)
        truth = draw_experts(rng, 300)
        predicted = read(rng, truth)
        predicted[:, 3] = 1
        assert not [pair for pair in find_misattributions(truth, predicted).found if pair.given == 3]


def read_again(found, truth):
    """The readings of value 12, put together from the wrong posts of all its pairs."""
    predicted = np.zeros(len(truth))
    for pair in found.pairs:
        if pair.given == 12:
            predicted[pair.posts] = 1
    return predicted


def _count_rest(truth, given, value, source):
    rest = (truth[:, value] == 0) & (truth[:, source] == 0)
    return [int(given[rest].sum()), int((given[rest] == 0).sum())]


class TestNumbers:
    def test_p_is_fishers_and_the_counts_are_those_of_a_loop(self):
        rng = np.random.default_rng(9)
        truth = (rng.random((120, 4)) < 0.3).astype(float)
        predicted = np.where(rng.random(truth.shape) < 0.8, truth, 1 - truth)
        truth[rng.random(truth.shape) < 0.05] = NAN
        predicted[rng.random(truth.shape) < 0.05] = NAN
        found = find_misattributions(truth, predicted)
        assert found.n_tests == len(found.pairs) > 10
        for pair in found.pairs:
            table = np.zeros((2, 2), int)
            n_replaced = 0
            for post in range(120):
                if pair.instead_of is None:
                    says = (
                        None
                        if np.isnan(truth[post]).any() and not (truth[post] == 1).any()
                        else not (truth[post] == 1).any()
                    )
                else:
                    says = (
                        None if np.isnan(truth[post, pair.instead_of]) else truth[post, pair.instead_of] == 1
                    )
                if truth[post, pair.given] != 0 or np.isnan(predicted[post, pair.given]) or says is None:
                    continue
                table[0 if says else 1, 0 if predicted[post, pair.given] == 1 else 1] += 1
                if says and predicted[post, pair.given] == 1 and pair.instead_of is not None:
                    n_replaced += predicted[post, pair.instead_of] == 0
            assert (pair.n_wrong, pair.n_chances) == (table[0, 0], table[0].sum())
            assert pair.p == pytest.approx(fisher_exact(table, alternative="greater").pvalue, rel=1e-9)
            assert pair.expected == pytest.approx(table[1, 0] / table[1].sum())
            assert pair.rate == pytest.approx(table[0, 0] / table[0].sum())
            assert pair.n_replaced == (None if pair.instead_of is None else n_replaced)
            assert len(pair.posts) == pair.n_wrong

    def test_within_groups_p_is_that_of_all_sums_of_their_tables(self):
        # Two sources of value 0: posts by (source 1, source 2), how many and how many of them wrong.
        cells = {(0, 0): (60, 2), (1, 0): (25, 12), (0, 1): (20, 12), (1, 1): (45, 36)}
        truth, predicted = [], []
        for (first, second), (n, n_wrong) in cells.items():
            truth += [[0, first, second]] * n
            predicted += [[1, first, second]] * n_wrong + [[0, first, second]] * (n - n_wrong)
        found = find_misattributions(np.array(truth), np.array(predicted))
        assert names(found) == {(0, 1), (0, 2)}
        pair = next(each for each in found.found if each.instead_of == 1)
        without, beside = hypergeom(85, 14, 25), hypergeom(65, 48, 45)
        expected = sum(without.pmf(x) * beside.sf(48 - x - 1) for x in range(15))
        assert pair.p == pytest.approx(expected, rel=1e-9)
        assert pair.p > fisher_exact([[48, 22], [14, 66]], alternative="greater").pvalue
        assert pair.expected == pytest.approx(2 / 60)

    def test_too_few_chances_are_no_test_and_named(self):
        truth = np.zeros((50, 2))
        truth[:9, 1] = 1
        found = find_misattributions(truth, np.zeros((50, 2)))
        assert (0, 1, "9 post(s) with the source and without the value, below 10") in found.untested
        assert len(found.untested) + found.n_tests == 4

    def test_without_any_test_there_is_a_reason(self):
        found = find_misattributions(np.full((3, 2), NAN), np.zeros((3, 2)))
        assert (found.pairs, found.n_tests, found.n_posts, found.n_left_out) == ((), 0, 0, 3)
        assert found.reason

    def test_an_open_value_keeps_a_post_from_counting_as_silent(self):
        truth = np.zeros((30, 2))
        truth[:20, 1] = NAN
        assert find_misattributions(truth, truth * 0).n_silent == 10

    @pytest.mark.parametrize(
        ("options", "message"), [({"level": 0}, "level is 0"), ({"fewest_chances": 0}, "fewest_chances is 0")]
    )
    def test_malformed_options_are_refused(self, options, message):
        with pytest.raises(ValueError, match=message):
            find_misattributions([[1, 0]], [[1, 0]], **options)


class TestConfusions:
    def test_a_wrong_value_counts_once_shared_among_what_was_missed(self):
        truth = np.array([[1, 1, 1, 0, 0], [1, 1, 0, 0, 0], [0, 0, 0, 0, 0], [NAN, 0, 0, 0, 0]])
        predicted = np.array([[1, 0, 0, 1, 0], [1, 1, 0, 0, 1], [0, 0, 1, 1, 0], [0, 1, 0, 0, 0]])
        counts = confusion_counts(truth, predicted)
        expected = np.zeros((6, 5))
        expected[1, 3] = expected[2, 3] = 0.5
        expected[0, 4] = expected[1, 4] = 0.5
        expected[5, 2] = expected[5, 3] = 1
        assert counts.tolist() == expected.tolist()

    def test_the_mean_distance_is_that_of_a_loop(self):
        counts = np.random.default_rng(1).integers(0, 4, (8, 7)).astype(float)
        total = weight = 0.0
        for source in range(7):
            for given in range(7):
                if source != given:
                    steps = min(abs(source - given), 7 - abs(source - given))
                    total += counts[source, given] * steps * 360 / 7
                    weight += counts[source, given]
        found = confusion_distance(counts, 7, rng=np.random.default_rng(0))
        assert found.mean_deg == pytest.approx(total / weight)
        assert found.n_confusions == weight
        assert found.n_without_source == counts[-1].sum()

    def test_confusions_at_random_are_neither_near_nor_far(self):
        rng = np.random.default_rng(2)
        p = [
            confusion_distance(rng.poisson(0.3, (20, 19)), 19, rng=rng, n_permutations=199).p
            for _ in range(200)
        ]
        assert np.mean(np.array(p) <= 0.05) <= 0.1
        assert 0.4 < np.mean(p) < 0.6

    def test_pairs_weigh_as_many_posts_as_they_have(self):
        rng = np.random.default_rng(7)
        truth = draw_experts(rng, 600)
        pairs = find_misattributions(truth, read(rng, truth, [(5, 4, 0.4), (7, None, 0.5)])).found
        found = confusion_distance(pairs, N_VALUES, rng=rng)
        assert found.mean_deg == pytest.approx(360 / 19)
        assert found.n_without_source == pairs[[p.instead_of for p in pairs].index(None)].n_wrong

    def test_no_confusion_has_no_distance(self):
        found = confusion_distance((), 5, rng=np.random.default_rng(0))
        assert np.isnan(found.mean_deg)
        assert found.reason == "no confusion of two values"

    def test_counts_of_another_shape_are_refused(self):
        with pytest.raises(ValueError, match="one row per value and one for none"):
            confusion_distance(np.zeros((5, 5)), 5, rng=np.random.default_rng(0))
