"""The settings of steps, the consent and the last pages, filled in without JSON."""

import json

import pytest

from annotation.attention.grid import read_attention_config
from annotation.models import Outcome, Step, Study
from tests.admin_pages import page_of, read_errors, read_form, save
from tests.every_step import GATING, GRID, TEXT, TRAINING, build_study
from tests.factories import EnrollmentFactory, QuestionnaireFactory, StepFactory, StudyFactory

pytestmark = pytest.mark.django_db


def build_draft(*names):
    return build_study(*names, state="draft")


def config_of(study, position=1):
    return study.steps.get(position=position).config


def add_step(client, study, position, kind, **settings):
    """Fill in another step as the page's script or its link without scripts would add it."""
    index = study.steps.count()
    blank = client.get(page_of(study)).context["inline_admin_formsets"][0].formset.empty_form
    begun = {name: str(blank[name].value() or "") for name in blank.fields if name not in ("DELETE", "study")}
    fields = begun | {"position": str(position), "kind": kind} | settings
    changes = {f"steps-{index}-{name}": text for name, text in fields.items()}
    return save(client, page_of(study), **{"steps-TOTAL_FORMS": str(index + 1)}, **changes)


def test_settings_are_shown_in_fields_and_sent_back_change_nothing(admin_client):
    study = build_draft("instructions", "number", "grid", "training", "gating", "questionnaire", "debrief")
    sent = read_form(admin_client.get(page_of(study)))
    assert (sent["steps-0-title"], sent["steps-1-check"], sent["steps-2-check"]) == (
        TEXT["title"],
        "number",
        "grid",
    )
    assert sent["steps-0-sections"] == "## Read\nRead each post.\n\n##\nRate it."
    assert (sent["steps-3-tolerance"], sent["steps-4-threshold"]) == ("1", "2")
    assert sent["steps-5-questionnaire"] == "about"
    before = list(Step.objects.values())
    assert save(admin_client, page_of(study)).status_code == 302
    assert list(Step.objects.values()) == before


def test_a_text_is_written_without_json(admin_client):
    study = build_draft("instructions")
    changes = {"steps-0-title": "How it works", "steps-0-sections": "Hello.\r\n\r\n## Now\r\nRead."}
    assert save(admin_client, page_of(study), **changes).status_code == 302
    assert config_of(study) == {
        "title": "How it works",
        "sections": [{"text": "Hello."}, {"heading": "Now", "text": "Read."}],
    }


@pytest.mark.parametrize(
    ("name", "field", "text", "expected"),
    [
        ("gating", "threshold", "3", GATING | {"threshold": 3}),
        ("gating", "intro", "Now alone.", GATING | {"intro": "Now alone."}),
        ("training", "tolerance", "0", TRAINING | {"tolerance": 0}),
        ("grid", "question", "And now?", GRID | {"question": "And now?"}),
        ("grid", "check", "number", {"kind": "number"}),
        ("labeling", "posts", "7", {"posts": 7}),
    ],
)
def test_a_number_or_text_goes_to_its_place_and_the_rest_stays(admin_client, name, field, text, expected):
    study = build_draft(name)
    assert save(admin_client, page_of(study), **{f"steps-0-{field}": text}).status_code == 302
    assert config_of(study) == expected


def test_an_emptied_number_leaves_the_studys_own(admin_client):
    study = build_draft("labeling")
    Step.objects.update(config={"posts": 7})
    assert save(admin_client, page_of(study), **{"steps-0-posts": ""}).status_code == 302
    assert config_of(study) == {}


def test_fields_of_other_kinds_are_passed_over(admin_client):
    study = build_draft("labeling")
    changes = {"steps-0-title": "Not a page", "steps-0-threshold": "9"}
    assert save(admin_client, page_of(study), **changes).status_code == 302
    assert config_of(study) == {}


def test_what_was_changed_twice_is_refused_beside_the_json(admin_client):
    study = build_draft("labeling")
    changes = {"steps-0-posts": "7", "steps-0-config": '{"posts": 8}'}
    response = save(admin_client, page_of(study), **changes)
    assert "changed here and in the fields above" in read_errors(response)
    assert config_of(study) == {}


def test_a_fault_of_a_field_stands_beside_it_and_nothing_is_saved(admin_client):
    study = build_draft("instructions", "labeling")
    changes = {"steps-0-sections": "## Alone", "steps-1-posts": "none"}
    response = save(admin_client, page_of(study), name="Typed anew", **changes)
    first, second = response.context["inline_admin_formsets"][0].formset.forms
    assert list(first.errors) == ["sections"]
    assert list(second.errors) == ["posts"]
    assert config_of(study) == TEXT
    assert not Study.objects.filter(name="Typed anew").exists()


def test_what_no_field_can_hold_is_left_to_the_json(admin_client):
    study = build_draft("instructions")
    odd = {"title": "Odd", "sections": [{"text": "One.\n## not a heading"}]}
    Step.objects.update(config=odd)
    response = admin_client.get(page_of(study))
    form = response.context["inline_admin_formsets"][0].formset.forms[0]
    assert "sections" not in form.fields
    assert form.unshown == ["Text"]
    assert "Changed as JSON only" in response.content.decode()
    assert save(admin_client, page_of(study), **{"steps-0-title": "Less odd"}).status_code == 302
    assert config_of(study) == odd | {"title": "Less odd"}


class TestANewStep:
    def test_takes_what_its_fields_say(self, admin_client):
        study = build_draft("consent")
        assert (
            add_step(admin_client, study, 2, "debrief", title="Why", sections="Because.").status_code == 302
        )
        assert config_of(study, 2) == {"title": "Why", "sections": [{"text": "Because."}]}

    @pytest.mark.parametrize(
        ("kind", "expected"),
        [
            ("attention_check", {"kind": "number"}),
            ("gating", {"threshold": 2}),
            ("training", {"tolerance": 1}),
            ("labeling", {}),
            ("vcq", {}),
        ],
    )
    def test_begins_with_the_usual(self, admin_client, kind, expected):
        study = build_draft("consent")
        assert add_step(admin_client, study, 2, kind).status_code == 302
        assert config_of(study, 2) == expected

    def test_with_a_grid_begins_with_one_that_works(self, admin_client):
        study = build_draft("consent")
        assert add_step(admin_client, study, 2, "attention_check", check="grid").status_code == 302
        assert read_attention_config(config_of(study, 2)).instructed_row.instructed == "slightly_disagree"

    def test_that_was_deleted_before_it_was_saved_leaves_nothing(self, admin_client):
        study = build_draft("consent")
        assert add_step(admin_client, study, 2, "debrief", DELETE="on").status_code == 302
        assert study.steps.count() == 1

    def test_can_be_asked_for_without_scripts(self, admin_client):
        study = build_draft("consent")
        formset = admin_client.get(page_of(study), {"more": "1"}).context["inline_admin_formsets"][0].formset
        assert len(formset.forms) == 2
        assert len(admin_client.get(page_of(study)).context["inline_admin_formsets"][0].formset.forms) == 1

    def test_that_was_left_blank_is_none(self, admin_client):
        study = build_draft("consent")
        sent = read_form(admin_client.get(page_of(study), {"more": "1"}))
        assert admin_client.post(page_of(study), sent).status_code == 302
        assert study.steps.count() == 1


def test_another_kind_keeps_what_both_know(admin_client):
    study = build_draft("instructions", "gating")
    changes = {"steps-0-kind": "debrief", "steps-1-kind": "training"}
    assert save(admin_client, page_of(study), **changes).status_code == 302
    assert config_of(study) == TEXT
    assert config_of(study, 2) == {"tolerance": 1}


class TestTheQuestionnaireOfAStep:
    def test_is_chosen_from_those_of_the_study(self, admin_client):
        study = build_draft("questionnaire")
        QuestionnaireFactory(study=study, key="values")
        QuestionnaireFactory(study=StudyFactory(steps=()), key="elsewhere")
        form = admin_client.get(page_of(study)).context["inline_admin_formsets"][0].formset.forms[0]
        assert [key for key, _ in form.fields["questionnaire"].choices] == ["", "about", "values"]
        assert save(admin_client, page_of(study), **{"steps-0-questionnaire": "values"}).status_code == 302
        assert config_of(study) == {"questionnaire": "values"}

    def test_that_is_gone_can_be_replaced(self, admin_client):
        study = build_draft("questionnaire")
        Step.objects.update(config={"questionnaire": "gone"})
        assert save(admin_client, page_of(study)).status_code == 302
        assert config_of(study) == {"questionnaire": "gone"}
        assert save(admin_client, page_of(study), **{"steps-0-questionnaire": "about"}).status_code == 302
        assert config_of(study) == {"questionnaire": "about"}


class TestConsentAndLastPages:
    def test_are_written_without_json(self, admin_client):
        study = StudyFactory(state="draft", steps=("consent",), consent={}, outcome_texts={})
        changes = {
            "consent_title": "Before you begin",
            "consent_sections": "## What\nYou read.",
            "consent_agree": "Yes",
            "consent_decline": "No",
            "end_completed_title": "Done",
            "end_screened_out_text": "Thank you.",
        }
        assert save(admin_client, page_of(study), **changes).status_code == 302
        study.refresh_from_db()
        assert study.consent == {
            "title": "Before you begin",
            "sections": [{"heading": "What", "text": "You read."}],
            "agree": "Yes",
            "decline": "No",
        }
        assert study.outcome_texts == {"completed": {"title": "Done"}, "screened_out": {"text": "Thank you."}}

    def test_keep_what_was_not_touched(self, admin_client):
        study = StudyFactory(state="draft")
        assert save(admin_client, page_of(study), consent_version="4").status_code == 302
        before = study.consent
        study.refresh_from_db()
        assert study.consent == before | {"version": 4}

    def test_are_refused_when_they_were_changed_twice(self, admin_client):
        study = StudyFactory(state="draft")
        response = save(admin_client, page_of(study), consent_title="One", consent='{"title": "Two"}')
        assert "changed here and in the fields above" in read_errors(response)

    def test_have_a_field_for_every_way_out(self, admin_client):
        form = admin_client.get(page_of(StudyFactory())).context["form_of_study"]
        assert {f"end_{outcome}_title" for outcome in Outcome.values} <= set(form.fields)


def test_a_step_that_people_stand_on_takes_new_words_in_its_fields_but_no_new_place(admin_client):
    study = build_study("consent", "instructions", "labeling")
    enrollment = EnrollmentFactory(study=study)
    enrollment.step_completions.create(step=study.steps.first())
    page = admin_client.get(page_of(study)).content.decode()
    assert "data-fixed" in page
    assert "data-move" not in page
    assert save(admin_client, page_of(study), **{"steps-1-title": "Better words"}).status_code == 302
    assert config_of(study, 2)["title"] == "Better words"
    response = save(admin_client, page_of(study), **{"steps-1-position": "3", "steps-2-position": "2"})
    assert "can no longer be added, deleted, moved" in read_errors(response)


def test_steps_that_come_back_with_a_fault_stand_where_they_were_put(admin_client):
    study = build_draft("consent", "instructions", "labeling")
    places = {"steps-1-position": "3", "steps-2-position": "2"}
    response = save(admin_client, page_of(study), name="", **places)
    formset = response.context["inline_admin_formsets"][0].formset
    assert [form.label for form in formset.in_order] == ["Consent", "Labeling", "Instructions"]


def test_each_step_says_in_short_what_it_is(admin_client):
    study = build_draft("instructions", "number", "labeling", "questionnaire")
    Step.objects.filter(kind="labeling").update(config={"posts": 7})
    StepFactory(study=study, position=9, kind="juggling", config={"title": "Balls"})
    forms = admin_client.get(page_of(study)).context["inline_admin_formsets"][0].formset.forms
    assert [form.brief for form in forms] == [
        TEXT["title"],
        "A number to be read off an image",
        "7 posts",
        "About you (about)",
        "",
    ]
    assert json.loads(forms[-1].config_text) == {"title": "Balls"}
