from io import StringIO

import pytest
from django.core.management.base import OutputWrapper

from modeling import progress
from modeling.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

    monkeypatch.setattr(progress.time, "monotonic", lambda: Clock.now)
    return Clock


class Terminal(StringIO):
    def isatty(self):
        return True


def test_a_log_gets_a_line_every_few_seconds_with_the_time_that_is_left(clock):
    stream = StringIO()
    show = Progress(OutputWrapper(stream), "raters")
    for done in range(1, 11):
        clock.now += 2
        show(done, 1000, "walking")
    assert stream.getvalue().splitlines() == [
        "  raters: 3 of 1,000 (walking), 6 s, about 1994 s left",
        "  raters: 6 of 1,000 (walking), 12 s, about 1988 s left",
        "  raters: 9 of 1,000 (walking), 18 s, about 1982 s left",
    ]


def test_the_last_line_comes_at_once_and_only_once(clock):
    stream = StringIO()
    show = Progress(OutputWrapper(stream), "raters")
    for _ in range(3):
        show(5, 5)
    assert stream.getvalue() == "  raters: 5 of 5, 0 s\n"


def test_another_round_is_counted_anew_after_the_last_line_of_the_one_before(clock):
    stream = StringIO()
    show = Progress(OutputWrapper(stream), "scores")
    for done, total in [(0, 1), (1, 1), (1, 1), (0, 4), (1, 4), (2, 4), (4, 4), (4, 4)]:
        clock.now += 3
        show(done, total)
    assert stream.getvalue().splitlines() == [
        "  scores: 1 of 1, 6 s",
        "  scores: 0 of 4, 0 s",
        "  scores: 2 of 4, 6 s, about 6 s left",
        "  scores: 4 of 4, 9 s",
    ]


def test_nothing_done_yet_promises_no_end(clock):
    stream = StringIO()
    show = Progress(OutputWrapper(stream), "fit")
    clock.now += 6
    show(0, 7, "reading posts")
    assert stream.getvalue() == "  fit: 0 of 7 (reading posts), 6 s\n"


def test_a_terminal_has_one_line_that_is_renewed(clock):
    stream = Terminal()
    show = Progress(OutputWrapper(stream), "fit")
    for done in (1, 2, 2, 3):
        clock.now += 0.25
        show(done, 3)
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().endswith("\n")
    assert [line.split(",")[0] for line in stream.getvalue().split("\r")[1:]] == [
        "  fit: 1 of 3", "  fit: 2 of 3", "  fit: 2 of 3", "  fit: 3 of 3"
    ]  # fmt: skip
