from modeling.softlabels.drawing import draw_shares


def test_bars_are_as_high_as_shares_and_said_in_words():
    bars = draw_shares([0.5, 0.0, 0.5, 0.001], 0)

    assert bars.path.count("M") == 3
    assert "v15h" in bars.path
    assert bars.text == "0: 50%, 2: 50%"
    assert round(bars.mean, 3) == 1.003


def test_ratings_are_counted_from_the_lowest_and_nothing_is_drawn_of_nothing():
    assert draw_shares([0.0, 1.0], 3).text == "4: 100%"
    assert draw_shares([0.0, 1.0], 3).mean == 4
    assert draw_shares(None, 0) is None
