import numpy as np
import pytest

from modeling.tuning.consensus_set import draw_consensus_set
from modeling.tuning.settings import SetSettings, Teaching

SETTINGS = SetSettings(more_raters_than=2, n_drawn=12, n_kept=5, seed=3)


def rate(n_posts=20, n_raters=4, n_values=5, noise=None, seed=0):
    """Ratings in which post k is rated with more noise than post k - 1."""
    rng = np.random.default_rng(seed)
    posts = np.repeat(np.arange(n_posts), n_raters)
    noise = np.linspace(0, 3, n_posts) if noise is None else noise
    said = rng.permuted(np.tile(np.arange(n_values), (n_posts, 1)), axis=1)
    ratings = said[posts] + rng.normal(0, 1, (len(posts), n_values)) * noise[posts][:, None]
    return np.clip(np.round(ratings), 0, 6), posts


def none_of(n_posts):
    return np.zeros(n_posts, dtype=bool)


def draw(ratings, posts, settings=SETTINGS, held_out=None, blank=None):
    n_posts = posts.max() + 1
    return draw_consensus_set(
        ratings,
        posts,
        none_of(n_posts) if held_out is None else held_out,
        none_of(n_posts) if blank is None else blank,
        settings,
    )


def pairwise_rho(ratings):
    """Mean Spearman correlation over pairs, by hand: ranks, then Pearson."""
    from scipy.stats import spearmanr

    n = len(ratings)
    found = [spearmanr(ratings[i], ratings[j]).statistic for i in range(n) for j in range(i)]
    return np.nanmean(found)


def test_the_posts_with_the_highest_mean_pairwise_rho_are_kept_best_first():
    ratings, posts = rate()
    found = draw(ratings, posts, SetSettings(more_raters_than=2, n_drawn=20, n_kept=6))
    by_hand = np.array([pairwise_rho(ratings[posts == post]) for post in range(20)])
    assert found.posts.tolist() == np.argsort(-by_hand, kind="stable")[:6].tolist()
    np.testing.assert_allclose(found.rho, by_hand[found.posts])


def test_the_consensus_is_the_mean_of_all_raters_rounded_half_up():
    ratings = np.array([[0, 2, 6], [1, 3, 6], [0, 2, 5], [1, 3, 6]])
    found = draw(ratings, np.zeros(4, dtype=int), SetSettings(more_raters_than=2, n_drawn=1, n_kept=1))
    assert found.consensus.tolist() == [[1, 3, 6]]


def test_a_draw_is_repeated_by_its_seed_and_differs_by_another():
    ratings, posts = rate(n_posts=60)
    first, again = draw(ratings, posts), draw(ratings, posts)
    other = draw(ratings, posts, SetSettings(more_raters_than=2, n_drawn=12, n_kept=5, seed=4))
    np.testing.assert_array_equal(first.posts, again.posts)
    assert set(first.posts.tolist()) != set(other.posts.tolist())


def test_the_order_of_rows_does_not_matter():
    ratings, posts = rate()
    order = np.random.default_rng(1).permutation(len(posts))
    np.testing.assert_array_equal(draw(ratings, posts).posts, draw(ratings[order], posts[order]).posts)


def test_posts_with_too_few_raters_held_out_or_without_text_are_never_drawn():
    ratings, posts = rate(n_posts=40)
    few = (posts < 10) & (np.arange(len(posts)) % 4 > 1)  # two raters each
    held_out, blank = none_of(40), none_of(40)
    held_out[10:20], blank[20:25] = True, True
    everything = SetSettings(more_raters_than=2, n_drawn=15, n_kept=15)
    found = draw(ratings[~few], posts[~few], everything, held_out, blank)
    assert sorted(found.posts.tolist()) == list(range(25, 40))
    assert (found.n_with_raters, found.n_held_out, found.n_blank, found.n_eligible) == (30, 10, 5, 15)


def test_exactly_the_stated_number_of_raters_is_not_enough():
    ratings, posts = rate(n_posts=10, n_raters=6)
    with pytest.raises(ValueError, match="0 posts have more than 6 raters"):
        draw(ratings, posts, SetSettings(n_drawn=1, n_kept=1))


def test_posts_without_a_correlation_or_with_a_gap_are_left_out_and_counted():
    ratings, posts = rate(n_posts=12, noise=np.full(12, 0.3))
    ratings[posts == 0] = 2
    ratings[posts == 1, 3] = np.nan
    found = draw(ratings, posts, SetSettings(more_raters_than=2, n_drawn=12, n_kept=10))
    assert (found.n_undefined, found.n_gaps, len(found.posts)) == (1, 1, 10)
    assert not {0, 1} & set(found.posts.tolist())


def test_too_few_posts_to_draw_are_refused_with_how_many_there_are():
    ratings, posts = rate(n_posts=8)
    with pytest.raises(ValueError, match="12 posts are to be drawn, and 8 can be"):
        draw(ratings, posts)


def test_too_few_posts_to_keep_are_refused_with_how_many_there_are():
    ratings, posts = rate(n_posts=12)
    ratings[posts < 8] = 0
    with pytest.raises(ValueError, match="5 posts are to be kept, and 4 can be: of 12 drawn, 8 have no pair"):
        draw(ratings, posts)


def test_what_a_page_tells_of_a_set_is_plain_numbers():
    counts = draw(*rate()).count()
    assert counts["n_kept"] == 5 and counts["n_drawn"] == 12
    assert {type(number) for number in counts.values()} == {int, float}
    assert counts["lowest_rho"] <= counts["mean_rho"]


@pytest.mark.parametrize(
    ("field", "number"),
    [
        ("n_kept", 0),
        ("n_kept", 1001),
        ("n_drawn", 0),
        ("more_raters_than", 0),
        ("holdout_share", 1.0),
        ("seed", -1),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_field(field, number):
    whole = Teaching(SetSettings()).to_dict() | {field: number}
    given = {name: whole[name] for name in ("seed", "more_raters_than", "n_drawn", "n_kept", "holdout_share")}
    assert set(SetSettings.find_faults(given)) == {field}
    with pytest.raises(ValueError):
        SetSettings(**{field: number})


def test_settings_come_back_as_they_were_stored():
    teaching = Teaching(SETTINGS, n_epochs=2)
    assert Teaching.from_dict(teaching.to_dict()) == teaching
