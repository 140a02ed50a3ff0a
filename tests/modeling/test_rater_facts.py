import json

import numpy as np
import pytest

from annotation.models import Study
from calibration.instrument.items import DECLINED
from calibration.instrument.shipped import CONTENT, load_scoring_key
from calibration.models import QuestionnaireResponse
from modeling.models import ImportRecord
from modeling.rater_facts import LABEL_LENGTH, load_rater_facts
from tests.factories import (
    EnrollmentFactory,
    QuestionnaireFactory,
    StudyFactory,
    ValueSystemFactory,
    load_nineteen,
)

pytestmark = pytest.mark.django_db

NAN = np.nan


@pytest.fixture
def study():
    return StudyFactory(
        value_system=ValueSystemFactory(tree=load_nineteen()), steps=("questionnaire",), posts=0, questions=0
    )


@pytest.fixture
def raters(study):
    return [EnrollmentFactory(study=study) for _ in range(3)]


def add_questionnaire(study, key, **definition):
    whole = {"key": key, "version": 1, "title": key} | definition
    return QuestionnaireFactory(study=study, key=key, definition=whole)


def add_values(study):
    definition = json.loads((CONTENT / "values_19.json").read_text(encoding="utf-8"))
    return QuestionnaireFactory(study=study, key="values", definition=definition)


def respond(questionnaire, *answered):
    """One response for each (enrollment, answers)."""
    QuestionnaireResponse.objects.bulk_create(
        QuestionnaireResponse(enrollment=enrollment, questionnaire=questionnaire, version=1, answers=answers)
        for enrollment, answers in answered
    )


def load(study, raters, value_keys=None):
    return load_rater_facts(study, [rater.pk for rater in raters], value_keys or study.value_keys)


# --- own scores --------------------------------------------------------------------------------


def test_own_scores_stand_at_their_rater_and_value_centred_as_the_key_says(study, raters):
    values = add_values(study)
    flat = dict.fromkeys(values.instrument.answer_keys, 3)
    respond(values, (raters[2], flat | {"fits_face": 6, "fits_humility": DECLINED}), (raters[0], flat))
    facts = load(study, raters)
    assert facts.enrollment_ids == tuple(rater.pk for rater in raters)
    assert facts.own_scores.shape == (3, 19)
    face, humility = (study.value_keys.index(key) for key in ("face", "humility"))
    assert facts.own_scores[2, face] == pytest.approx(6 - (17 * 3 + 6) / 18)
    assert np.isnan(facts.own_scores[2, humility])
    np.testing.assert_array_equal(facts.own_scores[0], np.zeros(19))
    assert np.isnan(facts.own_scores[1]).all()
    for part in ("questionnaire 'values'", "centred", "19 of 19 values", "2 of 3 raters"):
        assert part in facts.own_scores_source
    assert facts.left_out["fits"] == "part of a scale"


def test_raw_scores_count_where_the_key_does_not_centre_and_other_values_have_none(study, raters):
    options = [{"value": number, "label": f"Level {number}"} for number in range(1, 6)]
    grid = {"key": "g", "kind": "grid", "label": "How much?", "options": options}
    scoring = {
        "key": "short",
        "instrument": "Two values",
        "answers": {"min": 1, "max": 5},
        "items": ["a", "b"],
        "scales": [
            {"key": "face", "label": "Face", "items": ["a"]},
            {"key": "calm", "label": "C", "items": ["b"]},
        ],
    }
    rows = [{"key": "a", "label": "A"}, {"key": "b", "label": "B"}]
    short = add_questionnaire(study, "short", items=[grid | {"rows": rows}], scoring=scoring)
    respond(short, (raters[1], {"a": 4, "b": 2}))
    facts = load(study, raters, ["tradition", "face"])
    np.testing.assert_array_equal(facts.own_scores, [[NAN, NAN], [NAN, 4], [NAN, NAN]])
    assert facts.own_scores_source == "Two values (questionnaire 'short'): 1 of 2 values, 1 of 3 raters"


def test_of_two_questionnaires_the_one_that_more_raters_answered_is_the_source(study, raters):
    add_values(study)
    pvq = load_scoring_key("pvq_rr")
    options = [{"value": number, "label": f"Level {number}"} for number in range(1, 7)]
    rows = [{"key": item, "label": item} for item in pvq.items]
    grid = {"key": "g", "kind": "grid", "label": "How much like you?", "options": options, "rows": rows}
    long = add_questionnaire(study, "long", items=[grid], scoring="pvq_rr")
    values = study.questionnaires.get(key="values")
    respond(values, (raters[0], dict.fromkeys(values.instrument.answer_keys, 3)))
    respond(long, *((rater, dict.fromkeys(pvq.items, 4) | {pvq.items[0]: 6}) for rater in raters))
    facts = load(study, raters)
    assert "questionnaire 'long'" in facts.own_scores_source
    assert not np.isnan(facts.own_scores).any()


def test_without_a_scoring_key_for_these_values_nobody_has_own_scores(study, raters):
    assert load(study, raters).own_scores_source == ""
    values = add_values(study)
    respond(values, (raters[0], dict.fromkeys(values.instrument.answer_keys, 3)))
    facts = load(study, raters, ["joy", "fear"])
    assert facts.own_scores.shape == (3, 2)
    assert np.isnan(facts.own_scores).all()
    assert facts.own_scores_source == ""


# --- questions about the person ----------------------------------------------------------------


def test_single_choices_become_groups_by_label_and_numbers_stay_numbers(study, raters):
    demographics = study.questionnaires.get()
    respond(
        demographics,
        (
            raters[0],
            {"age": 44, "party": "democrat", "gender": "woman", "ethnicity": ["asian"], "comments": "!"},
        ),
        (raters[2], {"age": DECLINED, "party": DECLINED, "gender": "man"}),
    )
    facts = load(study, raters)
    np.testing.assert_array_equal(facts.numbers["age"], [44, NAN, NAN])
    assert facts.groups == {"party": ["Democrat", None, None], "gender": ["Woman", None, "Man"]}
    assert facts.n_declined == {"age": 1, "party": 1}
    assert facts.left_out["ethnicity"] == "several answers may be marked"
    assert facts.left_out["comments"] == "free text"
    assert facts.left_out["ideology"] == "nobody answered it"
    asked = {item.key for item in demographics.instrument.items}
    assert asked == facts.labels.keys() == facts.groups.keys() | facts.numbers.keys() | facts.left_out.keys()
    assert facts.labels["age"] == "How old are you?"
    assert facts.labels["party_lean"].endswith("…")
    assert max(map(len, facts.labels.values())) <= LABEL_LENGTH


def test_only_the_raters_asked_for_are_in_it_in_the_order_asked(study, raters):
    respond(study.questionnaires.get(), *((rater, {"age": 30 + n}) for n, rater in enumerate(raters)))
    stranger = EnrollmentFactory(study=StudyFactory(steps=("questionnaire",)))
    respond(stranger.study.questionnaires.get(), (stranger, {"age": 99}))
    assert list(load(study, [raters[2], raters[0]]).numbers["age"]) == [32, 30]
    nobody = load(study, [])
    assert nobody.own_scores.shape == (0, 19)
    assert set(nobody.left_out.values()) >= {"nobody answered it"}


def test_a_rater_named_twice_is_refused(study, raters):
    with pytest.raises(ValueError, match="named twice"):
        load(study, [raters[0], raters[0]])


def test_a_key_of_two_questionnaires_is_told_apart_by_theirs(study, raters):
    again = add_questionnaire(study, "again", items=[{"key": "age", "kind": "number", "label": "And now?"}])
    respond(study.questionnaires.get(key="demographics"), (raters[0], {"age": 44}))
    respond(again, (raters[0], {"age": 45}))
    facts = load(study, raters)
    assert facts.numbers["demographics.age"][0] == 44
    assert facts.numbers["again.age"][0] == 45
    assert facts.labels["again.age"] == "And now?"


def test_answers_from_before_the_question_changed_are_kept_or_the_question_is_left_out(study, raters):
    respond(
        study.questionnaires.get(),
        (raters[0], {"age": "forty", "party": "whig", "gender": ["woman"]}),
        (raters[1], {"age": 20, "party": "other"}),
    )
    facts = load(study, raters)
    assert facts.groups == {"party": ["whig", "Something else", None]}
    reason = "it was another kind of question when some answered it"
    assert facts.left_out["age"] == facts.left_out["gender"] == reason


def test_columns_of_an_imported_file_are_sorted_by_what_they_hold():
    study = StudyFactory(steps=(), posts=0, questions=0)
    ImportRecord.objects.create(study=study, digest="d", files=[])
    raters = [EnrollmentFactory(study=study) for _ in range(6)]
    columns = {
        "year": ["1970", "1980.5", None, "1990", "1990", "1971"],
        "party": ["left", "right", "left", " right ", None, "left"],
        "coded": ["0", "1", "1", "0", "0", "1"],
        "town": ["Oslo", "Rome", "Bonn", "Bern", "Graz", "Oslo"],
        "empty": [None, " ", None, None, None, None],
    }
    items = [{"key": key, "kind": "text", "label": key.title(), "max_length": 2000} for key in columns]
    about = add_questionnaire(study, "raters", items=items)
    answers = [
        {key: column[row] for key, column in columns.items() if column[row] is not None} for row in range(6)
    ]
    respond(about, *zip(raters, answers, strict=True))
    facts = load(study, raters)
    assert facts.numbers.keys() == {"year"}
    np.testing.assert_array_equal(facts.numbers["year"], [1970, 1980.5, NAN, 1990, 1990, 1971])
    assert facts.groups["party"] == ["left", "right", "left", "right", None, "left"]
    assert facts.groups["coded"] == columns["coded"]
    assert facts.left_out == {"town": "5 different texts among 6 answers", "empty": "nobody answered it"}


def test_the_queries_are_as_many_for_three_raters_as_for_one(study, raters, django_assert_num_queries):
    values = add_values(study)
    respond(values, *((rater, dict.fromkeys(values.instrument.answer_keys, 3)) for rater in raters))
    study = Study.objects.get(pk=study.pk)
    for some in (raters, raters[:1]):
        with django_assert_num_queries(3):
            load_rater_facts(study, [rater.pk for rater in some], study.value_keys)
