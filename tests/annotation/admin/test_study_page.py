"""The study's page as a whole: help, pay, codes, reasons, who may see it; the list of studies and the admin's home."""

import re

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.forms import HiddenInput
from django.urls import reverse

from annotation.launch import list_outcomes, list_path
from annotation.models import CompletionCode, Exclusion, Post, Study, StudyAccess, StudyEvent
from annotation.review import review_study
from annotation.services.codes import fill_codes
from annotation.versions import freeze
from tests.admin_pages import page_of, read_errors, read_form, save
from tests.every_step import ALL_CODES, build_study
from tests.factories import (
    CalibrationQuestionFactory,
    EnrollmentFactory,
    PostFactory,
    QuestionnaireFactory,
    StudyFactory,
    ValueSystemFactory,
)

pytestmark = pytest.mark.django_db
ROOMS = ("annotation", "calibration")


@pytest.fixture
def analyst(client):
    user = get_user_model().objects.create_user("ann", password="a long password", is_staff=True)
    client.force_login(user)
    return user


def list_forms(response):
    forms = [response.context["adminform"].form]
    for inline in response.context["inline_admin_formsets"]:
        forms += [*inline.formset.forms, inline.formset.empty_form]
    return forms


class TestHelp:
    def build_everything(self):
        study = build_study(
            "consent", "number", "training", "gating", "labeling", "questionnaire", state="draft"
        )
        freeze(study)
        CalibrationQuestionFactory(study=study)
        PostFactory(study=study)
        return study

    def test_stands_beside_every_field_of_what_researchers_edit(self, admin_client):
        self.build_everything()
        seen, missing = set(), []
        for model in admin.site._registry:
            row = model.objects.first()
            if model._meta.app_label not in ROOMS or row is None:
                continue
            response = admin_client.get(page_of(row))
            for form in list_forms(response):
                for name, field in form.fields.items():
                    if name in ("id", "DELETE", "study") and form is not response.context["adminform"].form:
                        continue
                    seen.add(f"{model.__name__}.{name}")
                    if not str(field.help_text).strip():
                        missing.append(f"{type(form).__name__}.{name}")
        assert {"Study.why", "Study.threshold", "Study.end_completed_text", "ValueNode.several"} <= seen
        assert {"Post.metadata", "CalibrationQuestion.value_key", "Questionnaire.definition"} <= seen
        assert not missing

    def test_stands_beside_every_field_of_a_new_study_and_of_uploaded_texts(self, admin_client):
        response = admin_client.get(reverse("admin:annotation_study_add"))
        form = response.context["adminform"].form
        assert not [name for name, field in form.fields.items() if not field.help_text]
        form = admin_client.get(reverse("admin:calibration_questionnaire_upload")).context["form"]
        assert not [name for name, field in form.fields.items() if not field.help_text]

    def test_is_on_the_page_and_not_only_in_the_form(self, admin_client):
        study = build_study("consent", "gating", state="draft")
        response = admin_client.get(page_of(study))
        page = response.content.decode()
        for form in list_forms(response)[:3]:
            for name, field in form.fields.items():
                is_shown = name not in ("id", "DELETE", "study") and not isinstance(field.widget, HiddenInput)
                if is_shown:
                    assert f'id="{form[name].id_for_label}_helptext"' in page


def test_the_page_is_read_in_the_order_of_the_work(admin_client):
    page = admin_client.get(page_of(StudyFactory())).content.decode()
    titles = re.findall(r'<h2 id="\w+-title">([^<]+)</h2>', page)
    assert titles == [
        "About",
        "Value system",
        "Posts",
        "Steps",
        "Consent",
        "Who reads what",
        "Time and pay",
        "Attention checks",
        "Completion codes",
        "Last pages",
        "Privacy",
        "Launch",
    ]


def test_each_topic_of_the_launch_checks_has_its_place_on_the_page(admin_client):
    study = StudyFactory(state="draft")
    page = admin_client.get(page_of(study)).content.decode()
    for topic in review_study(study):
        assert page.count(f'id="{topic.key}"') == 1


def test_no_page_of_the_admin_has_inline_script_or_style(admin_client):
    study = StudyFactory()
    for address in (page_of(study), reverse("admin:index"), reverse("admin:annotation_study_changelist")):
        page = admin_client.get(address).content.decode()
        assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=|javascript:", page)


class TestPay:
    def test_is_typed_in_pounds_and_kept_in_pence(self, admin_client):
        study = StudyFactory(state="draft", estimated_minutes=45)
        assert save(admin_client, page_of(study), reward="6.75").status_code == 302
        study.refresh_from_db()
        assert study.reward == 675
        response = admin_client.get(page_of(study))
        assert read_form(response)["reward"] == "6.75"
        assert "£9.00 an hour" in response.content.decode()

    @pytest.mark.parametrize("amount", ["6.755", "-1", "six"])
    def test_that_is_no_amount_is_refused(self, admin_client, amount):
        study = StudyFactory(state="draft")
        assert "reward" in read_errors(save(admin_client, page_of(study), reward=amount))

    def test_that_was_kept_comes_back_to_the_penny(self, admin_client):
        study = StudyFactory(state="draft", reward=1999)
        assert save(admin_client, page_of(study)).status_code == 302
        study.refresh_from_db()
        assert study.reward == 1999


class TestCodes:
    def test_are_drawn_in_one_click_for_what_can_happen_and_has_none(self, admin_client):
        study = build_study("consent", "gating", "labeling", state="draft", codes={"completed": "MINE1111"})
        response = save(admin_client, page_of(study), _fill_codes="1")
        assert response["Location"] == page_of(study)
        codes = dict(study.completion_codes.values_list("outcome", "code"))
        assert set(codes) == {str(outcome) for outcome in list_outcomes(study, list_path(study))}
        assert codes["completed"] == "MINE1111"
        assert len({code.casefold() for code in codes.values()}) == len(codes)
        for code in study.completion_codes.all():
            code.full_clean()

    def test_are_drawn_for_the_steps_as_they_are_saved_with_them(self, admin_client):
        study = build_study("consent", "labeling", state="draft", codes={})
        changes = {"steps-1-kind": "gating", "_fill_codes": "1"}
        assert save(admin_client, page_of(study), **changes).status_code == 302
        assert study.completion_codes.filter(outcome="screened_out").exists()

    def test_that_are_there_stay_when_they_are_drawn_again(self):
        study = StudyFactory(state="draft")
        fill_codes(study)
        before = set(study.completion_codes.values_list("code"))
        assert fill_codes(study) == []
        assert set(study.completion_codes.values_list("code")) == before

    def test_have_a_row_for_each_way_out_in_the_usual_order(self, admin_client):
        study = StudyFactory(state="draft", codes={"withdrew": "GONE1111"})
        formset = admin_client.get(page_of(study)).context["inline_admin_formsets"][1].formset
        assert [form["outcome"].value() for _, _, form in formset.rows] == list(ALL_CODES)
        assert {label for label, is_possible, _ in formset.rows if not is_possible} == {
            "Failed attention checks",
            "Screened out",
            "Study full",
        }

    def test_are_typed_beside_their_way_out(self, admin_client):
        study = StudyFactory(state="draft", codes={"completed": "DONE1111"})
        page = admin_client.get(page_of(study))
        formset = page.context["inline_admin_formsets"][1].formset
        row = next(form for _, _, form in formset.rows if form["outcome"].value() == "timed_out")
        assert save(admin_client, page_of(study), **{f"{row.prefix}-code": "LATE1111"}).status_code == 302
        assert CompletionCode.objects.get(outcome="timed_out").code == "LATE1111"
        assert study.completion_codes.count() == 2

    def test_that_tell_prolific_of_two_ways_out_are_refused(self, admin_client):
        study = StudyFactory(state="draft", codes={"completed": "SAME1111"})
        formset = admin_client.get(page_of(study)).context["inline_admin_formsets"][1].formset
        row = next(form for _, _, form in formset.rows if form["outcome"].value() == "timed_out")
        response = save(admin_client, page_of(study), **{f"{row.prefix}-code": "SAME1111"})
        assert response.status_code == 200
        assert study.completion_codes.count() == 1


class TestWhy:
    def test_is_asked_only_of_what_was_launched(self, admin_client):
        draft, launched = StudyFactory(state="draft"), StudyFactory(state="paused")
        for study, is_asked in ((draft, False), (launched, True)):
            sections = admin_client.get(page_of(study)).context["sections"]
            assert (sections[-1].fieldset is not None) is is_asked

    def test_stands_beside_the_version_that_the_change_makes(self, admin_client):
        study = build_study("consent", "labeling", state="live")
        first = freeze(study)
        save(admin_client, page_of(study), title="Better", why="A typo.")
        version = study.versions.get(number=first.number + 1)
        assert (version.reason, version.made_by) == ("A typo.", "admin")
        assert version.content != first.content

    def test_alone_is_no_change(self, admin_client):
        study = build_study("consent", "labeling", state="live")
        freeze(study)
        save(admin_client, page_of(study), why="Nothing.")
        assert study.versions.count() == 1

    def test_a_change_of_a_draft_stands_in_the_log(self, admin_client):
        study = StudyFactory(state="draft")
        save(admin_client, page_of(study), title="Better")
        event = StudyEvent.objects.get(study=study)
        assert (event.action, event.actor_name) == ("changed", "admin")

    def test_a_new_study_stands_in_the_log(self, admin_client):
        sent = {"name": "New", "slug": "new", "title": "New", "value_system": str(ValueSystemFactory().pk)}
        assert save(admin_client, reverse("admin:annotation_study_add"), **sent).status_code == 302
        assert StudyEvent.objects.filter(study_slug="new", action="created").count() == 1


class TestSomeoneWhoMayOnlyLook:
    def test_reads_the_page_without_a_field_to_fill_in(self, client, analyst):
        study = build_study("consent", "gating", "labeling", reward=500)
        StudyAccess.objects.create(study=study, user=analyst, role=StudyAccess.Role.ANALYST)
        page = client.get(page_of(study)).content.decode()
        assert "Gating" in page
        assert "CODE1XYZ" in page
        assert 'name="_save"' not in page
        assert "_fill_codes" not in page
        fields = re.findall(r"<(?:input|select|textarea)[^>]*>", page)
        typed_in = [field for field in fields if 'type="hidden"' not in field and "name=" in field]
        assert not typed_in

    def test_cannot_save_it(self, client, analyst):
        study = build_study("consent", "labeling")
        StudyAccess.objects.create(study=study, user=analyst, role=StudyAccess.Role.ANALYST)
        assert client.post(page_of(study), {"name": "Mine", "_fill_codes": "1"}).status_code == 403
        assert Study.objects.get().name != "Mine"


class TestTheList:
    def test_shows_state_people_and_the_way_to_each_page(self, admin_client):
        study = EnrollmentFactory(study__target_participants=40).study
        page = admin_client.get(reverse("admin:annotation_study_changelist")).content.decode()
        assert '<span class="state state-live">Live</span>' in page
        assert "0 of 40 completed, 1 came" in page
        for name in ("watch", "launch", "data", "study"):
            assert f'href="{reverse(f"modeling:{name}", args=[study.slug])}"' in page
        for name in ("from_paper", "upload"):
            assert f'href="{reverse(f"admin:annotation_study_{name}")}"' in page
        assert f'href="{reverse("admin:annotation_study_duplicate", args=[study.pk])}"' in page

    def test_asks_the_database_as_often_for_many_studies_as_for_two(
        self, admin_client, django_assert_max_num_queries
    ):
        for _ in range(8):
            StudyFactory()
        with django_assert_max_num_queries(14):
            admin_client.get(reverse("admin:annotation_study_changelist"))


class TestTheHome:
    def test_groups_lists_by_what_one_does(self, admin_client):
        study = StudyFactory(name="My newest study")
        page = admin_client.get(reverse("admin:index")).content.decode()
        titles = re.findall(r'<h2 id="group-\d">([^<]+)</h2>', page)
        assert titles == [
            "Studies",
            "People and answers",
            "Value systems and questionnaires",
            "Figures and data",
            "Jobs and log",
            "Accounts and the rest",
        ]
        assert "My newest study" in page
        assert f'href="{page_of(study)}"' in page

    def test_leaves_no_list_out(self, admin_client):
        page = admin_client.get(reverse("admin:index")).content.decode()
        for model in admin.site._registry:
            name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
            assert f'href="{reverse(name)}"' in page

    def test_shows_an_account_its_own_studies(self, client, analyst):
        own, other = StudyFactory(name="Own study"), StudyFactory(name="Other study")
        StudyAccess.objects.create(study=own, user=analyst, role=StudyAccess.Role.ANALYST)
        page = client.get(reverse("admin:index")).content.decode()
        assert own.name in page
        assert other.name not in page


@pytest.mark.parametrize("model", ["studyversion", "studyevent", "studyaccess", "postupload", "exclusion"])
def test_history_is_only_read(admin_client, model):
    study = StudyFactory()
    freeze(study)
    study.accesses.create(user=get_user_model().objects.get(), role="owner")
    study.post_uploads.create(name="posts.csv", stored_as="x", sha256="0" * 64, counts={"rows_read": 7})
    Exclusion.objects.create(enrollment=EnrollmentFactory(study=study), reason="Answered in a minute")
    page = admin_client.get(reverse(f"admin:annotation_{model}_changelist"))
    (row,) = page.context["cl"].result_list
    address = reverse(f"admin:annotation_{model}_change", args=[row.pk])
    assert admin_client.get(address).status_code == 200
    assert admin_client.post(address, {"reason": "Other"}).status_code == 403
    assert admin_client.get(reverse(f"admin:annotation_{model}_add")).status_code == 403
    assert admin_client.post(reverse(f"admin:annotation_{model}_delete", args=[row.pk])).status_code == 403


def test_the_number_of_posts_stands_on_the_page_with_the_way_to_upload_more(admin_client):
    study = StudyFactory(posts=3)
    PostFactory(study=study, purpose=Post.Purpose.CALIBRATION)
    QuestionnaireFactory.build(study=study)
    page = admin_client.get(page_of(study)).content.decode()
    assert "<dt>Posts to label</dt><dd>3</dd>" in page
    assert f'href="{reverse("posts:uploads", args=[study.slug])}"' in page
