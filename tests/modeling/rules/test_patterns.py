"""Patterns that cannot run away, and whole words."""

import time

import pytest

from modeling.rules.patterns import PatternRefused, compile_pattern, prepare
from modeling.rules.words import find_words, space_out


@pytest.mark.parametrize(
    ("pattern", "text", "holds"),
    [
        (r"\bunfair\w*", "So Unfairly done", True),
        (r"\bfair\b", "unfair", False),
        (r"not .{0,5}fair", "not at all, it is fair", False),
        (r"(?:no|never) (?:more|again)", "Never again!", True),
        (r"colou?r", "color", True),
        (r"[^a-z\]]3", "x]3 43", True),
        (r"50\%", "50% off", True),
        (r"(very )?angry", "angry", True),
        (r"ﬁne", "fine", True),
        (r"a{3}", "aa", False),
    ],
    ids=[
        "start",
        "whole",
        "gap",
        "groups",
        "optional",
        "class",
        "escaped",
        "optional-group",
        "form",
        "count",
    ],
)
def test_what_is_taken_means_what_it_means_elsewhere(pattern, text, holds):
    assert bool(compile_pattern(pattern).search(prepare(text))) is holds


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+b",
        "(a|a)*b",
        "(a){2,5}",
        r"(a)\1",
        "a**",
        "a*?b",
        "a++",
        "(?=a)",
        "(?i)a",
        "(a",
        "a)",
        "[a",
        "*a",
        "a{5,2}",
        "a{1,200}",
        "a{x}",
        "\\",
        r"\Z",
        "a*",
        "(a?)",
        "",
        "   ",
        ".*.*.*x",
        "(" * 20 + "a" + ")" * 20,
        "a" * 201,
        "[[:alpha:]]",
    ],
)
def test_what_might_take_long_or_cannot_be_read_is_refused(pattern):
    with pytest.raises(PatternRefused):
        compile_pattern(pattern)


@pytest.mark.parametrize("pattern", ["a*a*b", ".*.*x", "a?" * 13 + "b", "(a|a|a)?(a|a|a)?(a|a|a)?(a|a|a)?b"])
def test_the_worst_that_is_taken_ends_soon_on_the_longest_text(pattern):
    began = time.process_time()
    assert compile_pattern(pattern).search(prepare("a" * 100_000)) is None
    assert time.process_time() - began < 5


def test_words_are_whole_whatever_their_case_and_form():
    words = [space_out(word) for word in ("FAIR", "don't", "right to", "किताब", "straße", "übel", "١٢")]
    found = find_words(space_out("Fairness? I don’t think. Right\nto live; STRASSE, u\u0308bel: ١٢."), words)
    assert found == (1, 2, 4, 5, 6)
    assert find_words(space_out("कि"), words) == ()
