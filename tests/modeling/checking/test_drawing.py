import pytest

from modeling.checking.drawing import draw_balanced

DECISIONS = {f"post {n}": n % 3 == 0 for n in range(90)}  # 30 yes, 60 no


def test_as_many_of_one_decision_as_of_the_other():
    drawn = draw_balanced(DECISIONS, 20, "1")
    assert sum(DECISIONS[key] for key in drawn.keys) == 20
    assert len(set(drawn.keys)) == 40
    assert (drawn.n_yes, drawn.n_no, drawn.n_yes_there, drawn.n_no_there) == (20, 20, 30, 60)


def test_where_there_are_fewer_all_are_taken_and_counted():
    drawn = draw_balanced(DECISIONS, 40, "1")
    assert (drawn.n_yes, drawn.n_no, len(drawn.keys)) == (30, 40, 70)


def test_the_seed_decides_whatever_the_order_in_which_posts_come():
    turned = dict(reversed(DECISIONS.items()))
    assert draw_balanced(DECISIONS, 20, "1") == draw_balanced(turned, 20, "1")
    assert set(draw_balanced(DECISIONS, 20, "1").keys) != set(draw_balanced(DECISIONS, 20, "2").keys)


def test_the_order_shown_tells_nothing_of_the_decision():
    """Over many seeds a yes stands as early as a no."""
    places = [
        place
        for seed in range(60)
        for place, key in enumerate(draw_balanced(DECISIONS, 20, str(seed)).keys)
        if DECISIONS[key]
    ]
    assert sum(places) / len(places) == pytest.approx(19.5, abs=0.8)


def test_every_post_can_be_drawn():
    drawn = {key for seed in range(40) for key in draw_balanced(DECISIONS, 10, str(seed)).keys}
    assert drawn == set(DECISIONS)


def test_none_of_either_is_refused():
    with pytest.raises(ValueError, match="n_each is 0"):
        draw_balanced(DECISIONS, 0, "1")
