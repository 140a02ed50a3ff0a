import pytest

from annotation.timing import allowed_minutes


@pytest.mark.parametrize(("estimate", "allowed"), [(1, 6), (4, 14), (5, 17), (20, 51), (45, 106), (60, 138)])
def test_people_may_take_what_prolific_gives_them_rounded_up(estimate, allowed):
    # 2 + 2 t + 2 sqrt(t): 20 minutes give 50.94, as in Prolific's own example of about 51
    assert allowed_minutes(estimate) == allowed


def test_a_longer_study_never_gets_less_time():
    limits = [allowed_minutes(minutes) for minutes in range(1, 500)]
    assert limits == sorted(limits)
    assert all(limit > 2 * minutes for minutes, limit in enumerate(limits, start=1))


@pytest.mark.parametrize("estimate", [0, -1])
def test_less_than_a_minute_is_refused(estimate):
    with pytest.raises(ValueError, match=f"at least a minute, not {estimate}"):
        allowed_minutes(estimate)
