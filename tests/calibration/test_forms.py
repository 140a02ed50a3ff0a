import json

import pytest
from django.http import QueryDict
from django.template.loader import render_to_string
from django.utils import translation
from hypothesis import given, settings
from hypothesis import strategies as st

from annotation.tree.nodes import UNSTORABLE
from calibration.forms import QuestionnaireForm
from calibration.instrument.items import DECLINED, Instrument
from modeling.simulation.page import Page

OPTIONS = [{"value": "a", "label": "A"}, {"value": "b", "label": "B"}, {"value": "c", "label": "C"}]
NONE = {"value": "none", "label": "None of these", "exclusive": True}
LEVELS = [{"value": 1, "label": "No"}, {"value": 2, "label": "Yes"}]
ROWS = [{"key": "calm", "label": "I am calm."}, {"key": "loud", "label": "I am loud."}]


def instrument(*items):
    return Instrument.from_dict({"key": "q", "version": 1, "title": "You", "items": list(items)})


def item(kind, key="it", **fields):
    usual = {
        "single": {"options": OPTIONS},
        "multiple": {"options": [*OPTIONS, NONE]},
        "grid": {"options": LEVELS, "rows": ROWS},
        "number": {"min": 18, "max": 120},
        "text": {"max_length": 10},
    }
    return {"key": key, "kind": kind, "label": "Question?"} | usual[kind] | fields


EVERY_KIND = instrument(
    item("single", "single", required=True),
    item("single", "choice", prefer_not_to_say=True),
    item("multiple", "multiple", required=True, min=2, max=2, prefer_not_to_say=True),
    item("multiple", "several"),
    item("grid", "grid", required=True, prefer_not_to_say=True),
    item("number", "number", required=True, prefer_not_to_say=True),
    item("number", "free", min=None, max=None),
    item("text", "text", required=True),
    item("text", "comments", prefer_not_to_say=True),
)
GOOD = "single=a&multiple=a&multiple=b&calm=1&loud=prefer_not_to_say&number=44&text=x"


def check(definition, query):
    """The answers to one item, or what is said beside its field."""
    form = QuestionnaireForm(instrument(definition), QueryDict(query))
    if form.is_valid():
        return form.answers
    return {key: errors[0] for key, errors in form.errors.items()}


@pytest.mark.parametrize(
    ("kind", "sent", "expected"),
    [
        ("single", "", "Please choose an answer."),
        ("single", "pirates", "Please choose an answer."),
        ("multiple", "", "Please choose at least one answer."),
        ("multiple", "pirates", "Please choose at least one answer."),
        ("number", "", "Please fill this in."),
        ("text", " ", "Please fill this in."),
    ],
)
def test_what_is_missing_is_asked_for_in_plain_words(kind, sent, expected):
    assert check(item(kind, required=True), f"it={sent}") == {"it": expected}
    assert check(item(kind, required=True), "") == {"it": expected}


@pytest.mark.parametrize("kind", ["single", "multiple", "grid", "number", "text"])
def test_what_may_be_left_open_is_left_out_of_the_answers(kind):
    assert check(item(kind), "it=&it-declined=") in ({}, {"it": "Please choose at least one answer."})
    assert check(item(kind), "") == {}


def test_each_kind_is_stored_as_what_it_is():
    form = QuestionnaireForm(EVERY_KIND, QueryDict(f"{GOOD}&choice=b&several=c&several=a&free=-3&comments=y"))
    assert form.is_valid(), form.errors
    assert form.answers == {
        "single": "a",
        "choice": "b",
        "multiple": ["a", "b"],
        "several": ["a", "c"],
        "calm": 1,
        "loud": DECLINED,
        "number": 44,
        "free": -3,
        "text": "x",
        "comments": "y",
    }


def test_declining_is_an_answer_of_every_kind_that_offers_it():
    declined = (
        "single=a&choice=prefer_not_to_say&multiple=prefer_not_to_say&calm=prefer_not_to_say"
        "&loud=2&number=&number-declined=prefer_not_to_say&text=x&comments-declined=prefer_not_to_say"
    )
    form = QuestionnaireForm(EVERY_KIND, QueryDict(declined))
    assert form.is_valid(), form.errors
    names = ("choice", "multiple", "calm", "number", "comments")
    assert {name: form.answers[name] for name in names} == dict.fromkeys(names, DECLINED)
    assert not any(name.endswith("-declined") for name in form.answers)


@pytest.mark.parametrize("kind", ["single", "multiple", "grid", "number", "text"])
def test_nobody_declines_where_it_is_not_offered(kind):
    keys = ("calm", "loud") if kind == "grid" else ("it",)
    query = "&".join(f"{key}=prefer_not_to_say&{key}-declined=prefer_not_to_say" for key in keys)
    said = check(item(kind, max_length=50) if kind == "text" else item(kind), query)
    assert said == ({"it": "prefer_not_to_say"} if kind == "text" else said)
    if kind != "text":
        assert all(text.startswith("Please") for text in said.values())
        assert set(said) == set(keys)


@pytest.mark.parametrize("kind", ["number", "text"])
def test_an_answer_and_declining_it_together_are_asked_about(kind):
    both = "Please either answer or mark 'Prefer not to say', not both."
    offered = item(kind, prefer_not_to_say=True, required=True)
    assert check(offered, "it=44&it-declined=prefer_not_to_say") == {"it": both}
    assert check(offered, "it=44&it-declined=yes") in ({"it": 44}, {"it": "44"})
    assert check(offered, "it=&it-declined=") == {"it": "Please fill this in, or mark 'Prefer not to say'."}


@pytest.mark.parametrize(
    "text", ["17", "121", "-20", "44.5", "forty", "4 4", "4_4", "1e2", "9" * 5000, "\x00", "４４x"]
)
def test_a_number_that_does_not_fit_is_told_what_would(text):
    query = QueryDict(mutable=True)
    query["it"] = text
    form = QuestionnaireForm(instrument(item("number")), query)
    assert form.errors == {"it": ["Please give a whole number from 18 to 120."]}


@pytest.mark.parametrize("text", ["44", " 44 ", "+44", "044", "٤٤"])
def test_a_whole_number_may_be_written_in_any_usual_way(text):
    query = QueryDict(mutable=True)
    query["it"] = text
    form = QuestionnaireForm(instrument(item("number")), query)
    assert form.is_valid()
    assert form.answers == {"it": 44}


@pytest.mark.parametrize(
    ("bounds", "sent", "expected"),
    [
        ({"min": 1990, "max": None}, "17", "Please give a whole number of 1990 or more."),
        ({"min": None, "max": -1}, "0", "Please give a whole number of -1 or less."),
        ({"min": None, "max": None}, "x", "Please give a whole number."),
        ({"min": None, "max": None}, "9" * 16, "Please give a whole number."),
    ],
)
def test_only_bounds_that_there_are_are_named(bounds, sent, expected):
    assert check(item("number", **bounds), f"it={sent}") == {"it": expected}


@pytest.mark.parametrize(
    ("fields", "sent", "expected"),
    [
        ({"min": 2}, "ab", ["a", "b"]),
        ({"min": 2}, "a", "Please choose at least 2 answers."),
        ({"max": 2}, "abc", "Please choose at most 2 answers."),
        ({"max": 1}, "ab", "Please choose at most 1 answer."),
        ({"min": 2, "max": 2}, "abc", "Please choose exactly 2 answers."),
        ({}, "cba", ["a", "b", "c"]),
        ({}, "aab", ["a", "b"]),
    ],
)
def test_as_many_as_asked_for_may_be_chosen(fields, sent, expected):
    query = "&".join(f"it={value}" for value in sent)
    assert check(item("multiple", **fields), query) == {"it": expected}


def test_an_option_that_goes_alone_is_enough_and_takes_no_other():
    assert check(item("multiple", min=2), "it=none") == {"it": ["none"]}
    said = {"it": "Please mark either 'None of these' or other answers, not both."}
    assert check(item("multiple"), "it=a&it=none") == said


@pytest.mark.parametrize("kind", ["single", "number", "text"])
def test_two_answers_to_one_question_are_asked_about_but_the_same_one_twice_is_one(kind):
    first, second = ("a", "b") if kind == "single" else ("44", "45")
    assert check(item(kind), f"it={first}&it={second}") == {"it": "Please give one answer."}
    assert set(check(item(kind), f"it={first}&it={first}").values()) <= {"a", "44", 44}


def test_answers_to_rows_that_do_not_exist_are_ignored():
    answers = check(item("grid", required=True), "calm=1&loud=2&grid=1&silly=1&calm-declined=x&=5")
    assert answers == {"calm": 1, "loud": 2}


def test_every_row_of_a_grid_is_asked_for_on_its_own():
    assert check(item("grid", required=True), "calm=2") == {"loud": "Please choose an answer."}
    assert check(item("grid"), "calm=2&loud=3") == {"loud": "Please choose an answer."}


def test_a_text_is_measured_in_characters_with_one_for_a_line_break():
    assert check(item("text"), "it=12345%0D%0A789%F0%9F%98%80") == {"it": "12345\n789😀"}
    said = "Please shorten this to 10 characters; it has 11 now."
    assert check(item("text"), f"it={'x' * 11}") == {"it": said}


@pytest.mark.parametrize("bad", ["\x00", "\ud800"])
def test_what_cannot_be_stored_is_named_and_shown_again_without_it(bad):
    query = QueryDict(mutable=True)
    query["it"] = f"a{bad}b"
    form = QuestionnaireForm(instrument(item("text")), query)
    assert "cannot be stored" in form.errors["it"][0]
    assert form["it"].value() == "a\ufffdb"


def test_declining_is_offered_in_the_readers_language():
    form = QuestionnaireForm(EVERY_KIND)
    in_english = str(form.questions[1].levels[-1])
    with translation.override("de"):
        assert str(form.questions[1].levels[-1]) != in_english


# --- what was saved half-finished ------------------------------------------------------------------


def render(form):
    html = render_to_string("calibration/_questions.html", {"form": form})
    return Page(f"<main><form>{html.encode().decode()}</form></main>")


def test_a_draft_fills_the_page_and_complains_of_nothing():
    draft = QueryDict(
        "single=b&choice=zzz&multiple=a&multiple=zzz&calm=2&loud=9&number=forty&text=too+long+for+the+item"
        "&comments-declined=prefer_not_to_say&nonsense=1"
    )
    form = QuestionnaireForm(EVERY_KIND, draft=draft)
    assert not form.is_bound
    controls = render(form).form().controls
    assert controls["single"].values == ["b"]
    assert controls["choice"].values == []
    assert controls["multiple"].values == ["a"]
    assert (controls["calm"].values, controls["loud"].values) == (["2"], [])
    assert controls["number"].values == ["forty"]
    assert controls["text"].values == ["too long for the item"]
    assert controls["comments-declined"].values == [DECLINED]
    assert "another look" not in render(form).text


def test_a_submit_goes_before_a_draft():
    form = QuestionnaireForm(EVERY_KIND, QueryDict(GOOD), draft=QueryDict("single=b&comments=Old"))
    assert form.is_valid()
    assert form.answers["single"] == "a"
    assert "comments" not in form.answers
    assert form["comments"].value() != "Old"


NAMES = [*EVERY_KIND.answer_keys, "number-declined", "comments-declined", "grid", "calm-declined"]
characters = st.characters(codec=None) | st.sampled_from(["\x00", "\ud800", "\n", "٤", "_"])
values = (
    st.sampled_from(["a", "b", "none", DECLINED, "1", "2", "44", "17", "", " ", "on", "true"])
    | st.text(characters, max_size=12)
    | st.integers().map(str)
)
junk = st.dictionaries(
    st.sampled_from(NAMES) | st.text(max_size=5), st.lists(values, max_size=3), max_size=len(NAMES)
)


def as_query(sent):
    query = QueryDict(mutable=True)
    for name, each in sent.items():
        query.setlist(name, each)
    return query


def is_right(definition, answer):
    """Whether an answer is one that the item may have, judged by the definition alone."""
    if answer == DECLINED and definition.prefer_not_to_say:
        return True
    offered = [value for value, _ in definition.options]
    if definition.kind == "multiple":
        n_chosen = len(answer)
        alone = set(answer) & set(definition.exclusive)
        within = (definition.minimum or 1) <= n_chosen <= (definition.maximum or n_chosen)
        return (
            set(answer) <= set(offered)
            and len(set(answer)) == n_chosen
            and (n_chosen == 1 if alone else within)
        )
    if definition.kind in ("single", "grid"):
        return answer in offered
    if definition.kind == "number":
        low, high = definition.minimum, definition.maximum
        return type(answer) is int and (low is None or low <= answer) and (high is None or answer <= high)
    return 0 < len(answer) <= definition.max_length and not UNSTORABLE.search(answer)


@settings(deadline=None, max_examples=300)
@given(junk)
def test_junk_never_raises_and_what_is_taken_is_always_right(sent):
    for base in ({}, dict(QueryDict(GOOD).lists())):
        form = QuestionnaireForm(EVERY_KIND, as_query(base | sent))
        if not form.is_valid():
            assert set(form.errors) <= set(EVERY_KIND.answer_keys)
            assert "another look" in render(form).text
            continue
        answers = json.loads(json.dumps(form.answers, allow_nan=False))
        assert set(answers) <= set(EVERY_KIND.answer_keys)
        for definition in EVERY_KIND.items:
            for key in definition.answer_keys:
                assert key in answers or not definition.required
                assert key not in answers or is_right(definition, answers[key])


@settings(deadline=None, max_examples=100)
@given(junk)
def test_junk_in_a_draft_is_shown_without_a_word(sent):
    page = render(QuestionnaireForm(EVERY_KIND, draft=as_query(sent)))
    assert "another look" not in page.text
    assert "Please" not in page.text


def test_answers_taken_are_shown_as_taken_when_they_come_back_as_a_draft():
    draft = QueryDict(GOOD)
    controls = render(QuestionnaireForm(EVERY_KIND, draft=draft)).form().controls
    for name, sent in draft.lists():
        assert controls[name].values == sent
