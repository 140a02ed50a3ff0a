import re

import pytest

from modeling.strips import GROUND, MOST_NUMBERED, draw_strip


def tops(strip):
    """Where each bar's top is, from the left."""
    return [float(part.split("h")[0].split(" ")[1]) for part in strip.bars.split(" M")]


def test_bars_are_as_high_as_their_counts():
    strip = draw_strip([0, 0, 0, 0, 3, 3, 6], (0, 6))
    heights = [GROUND - top for top in tops(strip)]
    assert heights == pytest.approx([heights[0], heights[0] / 2, heights[0] / 4])
    assert re.findall(r'"strip-count"[^>]*>(\d+)<', strip.numbers) == ["4", "2", "1"]
    assert re.findall(r"<text x[^>]*>(\d+)<", strip.numbers) == list("0123456")


def test_the_words_say_every_count_and_what_was_implied():
    assert draw_strip([0, 0, 0, 5], (0, 6), 2).text == "Raters by rating: 0: 3 (2 implied), 5: 1"
    assert draw_strip([1, 5], (1, 7)).text == "Raters by rating: 1: 1, 5: 1"


def test_the_implied_part_is_a_part_of_the_lowest_bar():
    strip = draw_strip([0, 0, 0, 5], (0, 6), 3)
    assert strip.implied == strip.bars.split(" M")[0]
    assert draw_strip([0, 5], (0, 6)).implied == ""


def test_nothing_rated_is_a_ground_without_bars():
    strip = draw_strip([None, None], (0, 6))
    assert (strip.bars, strip.implied, strip.text) == ("", "", "No ratings")


def test_a_long_scale_names_its_ends_alone():
    strip = draw_strip([0, 50, 100], (0, 100))
    assert re.findall(r">(\d+)<", strip.numbers) == ["0", "100"]
    assert strip.width == draw_strip([], (1, MOST_NUMBERED)).width
    assert len(tops(strip)) == 3
