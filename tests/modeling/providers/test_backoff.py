import numpy as np
import pytest

from modeling.providers.backoff import LONGEST_PAUSE, compute_pause


def draw(n_sent, retry_after=None, n=400):
    rng = np.random.default_rng(1)
    return [compute_pause(n_sent, retry_after=retry_after, rng=rng) for _ in range(n)]


@pytest.mark.parametrize(("n_sent", "ceiling"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (500, 60)])
def test_pauses_spread_evenly_below_a_ceiling_that_doubles(n_sent, ceiling):
    pauses = draw(n_sent)

    assert 0 <= min(pauses) < 0.1 * ceiling
    assert 0.9 * ceiling < max(pauses) <= min(ceiling, LONGEST_PAUSE)
    assert np.mean(pauses) == pytest.approx(ceiling / 2, rel=0.15)


@pytest.mark.parametrize("retry_after", [0.0, 3.0, 600.0])
def test_what_the_provider_asks_for_is_never_fallen_short_of(retry_after):
    pauses = draw(1, retry_after)

    assert min(pauses) >= retry_after
    assert len(set(pauses)) > 300  # those who were told the same do not come back together


def test_pauses_can_begin_lower():
    rng = np.random.default_rng(2)

    assert max(compute_pause(1, retry_after=None, rng=rng, first_pause=0.01) for _ in range(50)) <= 0.01


def test_the_same_seed_pauses_the_same():
    assert draw(3) == draw(3)


def test_a_call_never_sent_has_no_pause():
    with pytest.raises(ValueError, match="0 times"):
        draw(0)
