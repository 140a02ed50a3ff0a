import pytest
from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from annotation.forms import MAX_RATIONALE, ReadingForm
from annotation.tree.walk import Reading, complete
from tests.annotation.tree.strategies import finished_readings
from tests.factories import load_nineteen, load_ten
from tests.visitor import rate_social_focus

FOCUS = ("security", "conformity", "tradition", "benevolence", "universalism")
SHOWN = ["statement", "social_focus"]
MARKED = {"open-statement": ["social_focus"], "shown": SHOWN}
RATED = {f"rate-{key}": "3" for key in FOCUS}


def build(data, tree=None):
    query = QueryDict(mutable=True)
    for name, value in data.items():
        for each in value if isinstance(value, list) else [value]:
            query.appendlist(name, each)
    return ReadingForm(tree or load_ten(), query)


def test_a_finished_reading_is_read_from_the_fields():
    form = build(MARKED | RATED | {"rationale": "Two\r\nlines"})
    assert form.is_valid()
    assert form.reading == rate_social_focus(3)
    assert form.rationale == "Two\nlines"


@given(st.data())
def test_every_finished_reading_of_every_system_comes_through_the_form_unchanged(data):
    tree, reading = data.draw(finished_readings())
    fields = {f"open-{key}": sorted(marked) or ["none"] for key, marked in reading.marks.items()}
    fields |= {f"rate-{key}": str(rating) for key, rating in reading.ratings.items()}
    form = build(fields, tree)
    assert form.is_valid()
    assert complete(tree, form.reading) == complete(tree, reading)


def test_what_stands_on_the_page_unanswered_is_an_error_beside_its_field():
    form = build(MARKED | RATED | {"rate-security": []})
    assert not form.is_valid()
    assert form.errors == {"security": "Please choose a number."}
    row = next(row for section in form.sections for row in section.rows if row.leaf.key == "security")
    assert row.error == "Please choose a number."


def test_an_unanswered_question_asks_for_a_mark_or_none():
    form = build({"shown": ["statement"]})
    assert not form.is_valid()
    assert form.errors == {"statement": "Please mark at least one, or 'None of these'."}


def test_what_was_opened_only_now_is_no_error_yet():
    form = build({"open-statement": ["social_focus"], "shown": ["statement"]})
    assert not form.is_valid()
    assert form.has_opened
    assert not form.errors
    assert not form.problems


def test_none_of_these_together_with_another_answer_is_refused():
    form = build({"open-statement": ["none", "social_focus"], "shown": SHOWN} | RATED)
    assert not form.is_valid()
    assert "either 'None of these' or" in form.errors["statement"]


@pytest.mark.parametrize(
    "sent",
    ["0", "6", "-1", "99999999999999999999", "00000000039", "3.0", "3e0", "three", "", " 3", "3 ", "1_0", "٣", "³",
     "0x3", "+3", "\x00", "3\x00", "\ud800", "nan", "9" * 5000],
)  # fmt: skip
def test_a_rating_that_is_no_number_of_the_scale_is_refused(sent):
    form = build(MARKED | RATED | {"rate-security": sent})
    assert not form.is_valid()
    assert "security" not in form.reading.ratings


def test_the_rest_of_the_answers_is_kept_when_one_does_not_fit():
    form = build(MARKED | RATED | {"rate-security": "9", "rationale": "Because."})
    assert not form.is_valid()
    assert form.problems
    assert form.reading == Reading(rate_social_focus().marks, dict.fromkeys(FOCUS[1:], 3))
    assert form.rationale == "Because."


@pytest.mark.parametrize(
    "stray",
    [
        {"rate-nothing": "3"},
        {"open-openness": ["autonomy"]},
        {"open-nothing": ["autonomy"]},
        {"open-social_focus": ["security"]},
        {"open-statement": ["social_focus", "openness"]},
    ],
    ids=[
        "unknown value",
        "unopened branch",
        "unknown branch",
        "mark on values",
        "grandchild",
    ],
)
def test_an_answer_that_is_not_open_is_refused_and_named_as_such(stray):
    form = build(MARKED | RATED | stray)
    assert not form.is_valid()
    assert any("did not belong to what is open" in problem for problem in form.problems)


def test_two_answers_where_one_is_allowed_are_refused():
    form = build(
        {
            "open-statement": ["personal_focus"],
            "open-personal_focus": ["openness", "self_enhancement"],
            "open-openness": ["none"],
            "rate-achievement": "2",
            "rate-power": "2",
        }
    )
    assert not form.is_valid()
    assert "personal_focus" not in form.reading.marks


def test_revealing_keeps_what_is_open_and_complains_of_nothing():
    form = build(MARKED | {"rate-security": "2", "rate-unknown": "4", "open-openness": ["autonomy"]})
    form.reveal()
    assert form.reading == Reading(rate_social_focus().marks, {"security": 2})
    assert not form.problems
    assert not form.errors


def test_the_scale_is_shown_as_the_system_says():
    form = build(
        {"open-post": ["outcomes_for_self"], "open-outcomes_for_self": ["openness_to_change"]},
        load_nineteen(),
    )
    row = form.sections[-1].rows[0]
    assert [(level, shown) for level, shown, _ in row.levels] == [(n, n + 1) for n in range(7)]
    row = build(MARKED).sections[-1].rows[0]
    assert [(level, shown) for level, shown, _ in row.levels] == [(n, n) for n in range(1, 6)]


class TestTheRationale:
    def test_may_be_left_out(self):
        assert build(MARKED | RATED).rationale == ""

    def test_has_a_longest_length(self):
        assert build(MARKED | RATED | {"rationale": "a" * MAX_RATIONALE}).is_valid()
        form = build(MARKED | RATED | {"rationale": "a" * (MAX_RATIONALE + 1)})
        assert not form.is_valid()
        assert "5,000 characters" in form.errors["rationale"]
        assert len(form.rationale) == MAX_RATIONALE + 1

    def test_counts_a_line_break_once(self):
        assert build(MARKED | RATED | {"rationale": "a\r\n" * (MAX_RATIONALE // 2)}).is_valid()

    @pytest.mark.parametrize("character", ["\x00", "\ud800", "\udfff"])
    def test_marks_the_place_of_a_character_that_cannot_be_stored(self, character):
        form = build(MARKED | RATED | {"rationale": f"left{character}right"})
        assert not form.is_valid()
        assert "cannot be stored" in form.errors["rationale"]
        assert form.rationale == "left�right"
        form.rationale.encode()

    def test_keeps_every_other_character(self):
        text = "Ünïcödé 🧭 שלום 漢字 <b>&amp;</b>\n\ttab \u200f"
        form = build(MARKED | RATED | {"rationale": text})
        assert form.is_valid()
        assert form.rationale == text


names = (
    st.sampled_from(["open-statement", "open-personal_focus", "open-openness", "open-social_focus"])
    | st.sampled_from(["rate-security", "rate-power", "shown", "rationale"])
    | st.text(max_size=20).map(lambda text: f"rate-{text}")
    | st.text(max_size=20).map(lambda text: f"open-{text}")
)
values = st.lists(
    st.sampled_from(["none", "personal_focus", "social_focus", "openness", "autonomy", "1", "5", "6", "-1"])
    | st.text(st.characters(), max_size=30),
    max_size=3,
)


@given(st.dictionaries(names, values, max_size=8))
def test_whatever_is_sent_is_taken_whole_or_refused_with_a_reason(data):
    form = build(dict(data))
    if form.is_valid():
        complete(load_ten(), form.reading)
    else:
        assert form.errors or form.problems or form.has_opened
    form.reveal()
    assert form.sections[0].branch.key == "statement"
