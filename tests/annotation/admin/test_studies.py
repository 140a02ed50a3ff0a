import json

import pytest
from django.urls import reverse

from annotation.admin.studies import StudyForm
from annotation.models import CompletionCode, Enrollment, Outcome, Post, Step, Study, ValueSystem
from annotation.selectors import _tree, get_current_step, get_tree
from annotation.services import complete_step, finish, withdraw
from calibration.models import CalibrationQuestion
from tests.admin_pages import page_of, read_errors, read_form, save
from tests.every_step import ALL_CODES, GATING, TRAINING, build_study
from tests.factories import (
    AnnotationFactory,
    EnrollmentFactory,
    PostFactory,
    StepFactory,
    StudyFactory,
    ValueSystemFactory,
    load_nineteen,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh_trees():
    """Rows are rolled back after each test, and their keys come again with other trees."""
    _tree.cache_clear()
    yield
    _tree.cache_clear()


def test_a_study_page_sent_back_untouched_changes_nothing(admin_client):
    study = StudyFactory()
    before = Study.objects.filter(pk=study.pk).values().get()
    assert save(admin_client, page_of(study)).status_code == 302
    assert Study.objects.filter(pk=study.pk).values().get() == before


def test_a_study_shows_its_link_for_prolific_and_its_dashboard(admin_client):
    study = StudyFactory()
    page = admin_client.get(page_of(study)).content.decode()
    link = (
        f"https://testserver/s/{study.slug}/?PROLIFIC_PID={{{{%PROLIFIC_PID%}}}}"
        "&amp;STUDY_ID={{%STUDY_ID%}}&amp;SESSION_ID={{%SESSION_ID%}}"
    )
    assert link in page
    assert f'href="{reverse("modeling:study", args=[study.slug])}"' in page


def test_a_study_is_set_up_in_one_page(admin_client):
    system = ValueSystemFactory()
    address = reverse("admin:annotation_study_add")
    response = save(
        admin_client,
        address,
        name="New",
        slug="new",
        title="New",
        value_system=str(system.pk),
        consent="",
        outcome_texts="",
        **{
            "steps-TOTAL_FORMS": "1",
            "steps-0-position": "1",
            "steps-0-kind": "labeling",
            "steps-0-config": "",
            "completion_codes-TOTAL_FORMS": "1",
            "completion_codes-0-outcome": "completed",
            "completion_codes-0-code": "DONE1",
        },
    )
    assert response.status_code == 302
    study = Study.objects.get(slug="new")
    assert study.value_keys == list(get_tree(system).value_keys)
    assert (study.consent, study.outcome_texts, study.steps.get().config) == ({}, {}, {})
    assert study.completion_codes.get().code == "DONE1"


def test_another_value_system_renews_the_order_until_somebody_has_entered(admin_client):
    study = StudyFactory(steps=("consent", "labeling"))
    other = ValueSystemFactory(tree=load_nineteen())
    assert save(admin_client, page_of(study), value_system=str(other.pk)).status_code == 302
    study.refresh_from_db()
    assert study.value_keys == list(load_nineteen().value_keys)


def test_the_value_system_and_the_link_are_read_only_once_somebody_has_entered(admin_client):
    study = EnrollmentFactory().study
    form = admin_client.get(page_of(study)).context["adminform"].form
    assert {"value_system", "slug"}.isdisjoint(form.fields)
    other = ValueSystemFactory(tree=load_nineteen())
    save(admin_client, page_of(study), value_system=str(other.pk), slug="elsewhere")
    stored = Study.objects.get(pk=study.pk)
    assert (stored.value_system_id, stored.slug) == (study.value_system_id, study.slug)


def test_an_incomplete_value_system_is_refused(admin_client):
    study = StudyFactory(state="draft")
    empty = ValueSystem.objects.create(slug="empty", name="Empty", low_label="low", high_label="high")
    response = save(admin_client, page_of(study), value_system=str(empty.pk))
    assert response.status_code == 200
    assert "not complete" in read_errors(response)


def test_steps_change_places_in_one_go(admin_client):
    study = StudyFactory(steps=("consent", "labeling"), state="draft")
    first, second = study.steps.all()
    changes = {"steps-0-position": "2", "steps-1-position": "1"}
    assert save(admin_client, page_of(study), **changes).status_code == 302
    assert list(study.steps.values_list("pk", "position")) == [(second.pk, 1), (first.pk, 2)]


def test_a_step_takes_the_place_of_a_deleted_one(admin_client):
    study = StudyFactory(steps=("consent", "labeling"), state="draft")
    changes = {"steps-0-position": "2", "steps-1-DELETE": "on"}
    assert save(admin_client, page_of(study), **changes).status_code == 302
    assert list(study.steps.values_list("kind", "position")) == [("consent", 2)]


def test_two_steps_in_one_place_are_refused(admin_client):
    study = StudyFactory(steps=("consent", "labeling"))
    response = save(admin_client, page_of(study), **{"steps-0-position": "2"})
    assert response.status_code == 200
    assert Step.objects.filter(study=study, position=1).exists()


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("consent", "[1]"),
        ("consent", "no json"),
        ("consent", '{"version": "two"}'),
        ("consent", '{"sections": "text"}'),
        ("consent", '{"title": NaN}'),
        ("consent", '{"title": "\\u0000"}'),
        ("outcome_texts", '{"finished": {}}'),
        ("outcome_texts", '{"completed": "Thanks"}'),
        ("redundancy_cap", "0"),
        ("posts_per_rater", "0"),
        ("steps-0-config", "[]"),
    ],
)
def test_what_would_break_a_page_of_the_study_is_a_form_error(admin_client, field, text):
    response = save(admin_client, page_of(StudyFactory()), **{field: text})
    assert response.status_code == 200
    assert read_errors(response).strip()


def test_a_live_study_without_a_code_is_saved_with_a_warning(admin_client):
    study = StudyFactory(codes={"completed": "DONE1111"})
    response = admin_client.post(page_of(study), read_form(admin_client.get(page_of(study))), follow=True)
    assert "No consent, Timed out, Withdrew" in response.content.decode()


def test_a_study_with_raters_is_not_deleted(admin_client):
    study = EnrollmentFactory().study
    address = reverse("admin:annotation_study_delete", args=[study.pk])
    assert admin_client.post(address, {"post": "yes"}).context["protected"]
    assert Study.objects.filter(pk=study.pk).exists()


def test_a_study_that_nobody_entered_is_deleted_with_all_that_is_its_own(admin_client):
    study = build_study("consent", "training", "vcq", "questionnaire")
    address = reverse("admin:annotation_study_delete", args=[study.pk])
    assert not admin_client.get(address).context["protected"]
    assert admin_client.post(address, {"post": "yes"}).status_code == 302
    for model in (Study, Step, Post, CompletionCode, CalibrationQuestion):
        assert not model.objects.exists()


def messages_of(response):
    return [str(message) for message in response.context["messages"]]


class TestTheState:
    def test_is_not_changed_by_the_form(self, admin_client):
        study = StudyFactory(state="draft", codes=ALL_CODES)
        assert "state" not in admin_client.get(page_of(study)).context["adminform"].form.fields
        save(admin_client, page_of(study), state="live", name="Typed anew")
        assert Study.objects.values_list("state", "name").get() == ("draft", "Typed anew")

    def test_that_somebody_changed_meanwhile_stays(self, admin_client, monkeypatch):
        study = StudyFactory(state="draft", steps=("consent",))

        def pause_meanwhile(form):
            Study.objects.update(state="paused")
            return ""

        monkeypatch.setattr(StudyForm, "clean_welcome", pause_meanwhile, raising=False)
        save(admin_client, page_of(study), name="Typed anew")
        assert Study.objects.values_list("state", "name").get() == ("paused", "Typed anew")

    def test_and_the_way_to_the_launch_stand_on_the_page(self, admin_client):
        study = StudyFactory(state="paused")
        page = admin_client.get(page_of(study)).content.decode()
        assert "This study is <strong>paused</strong>" in page
        assert f'href="{reverse("modeling:launch", args=[study.slug])}"' in page

    def test_of_a_new_study_is_draft_and_it_may_have_faults(self, admin_client):
        address = reverse("admin:annotation_study_add")
        sent = {"name": "New", "slug": "new", "title": "New", "value_system": str(ValueSystemFactory().pk)}
        assert save(admin_client, address, **sent).status_code == 302
        assert Study.objects.values_list("slug", "state").get() == ("new", "draft")


class TestFaults:
    def test_stand_in_the_section_that_they_belong_to(self, admin_client):
        study = StudyFactory(
            state="draft", steps=("labeling",), attention_consequence="end", attention_limit=3
        )
        StepFactory(study=study, position=2, kind="attention_check", config={"kind": "number"})
        found = {each.key: each.faults for each in admin_client.get(page_of(study)).context["sections"]}
        assert "The first step must be the consent" in found["steps"][0]
        assert "has only 1" in found["attention"][0]
        assert not found["about"]

    def test_stand_beside_their_step(self, admin_client):
        study = StudyFactory(state="draft", steps=("consent", "labeling"), posts=1)
        StepFactory(study=study, position=3, kind="juggling")
        steps = next(s for s in admin_client.get(page_of(study)).context["sections"] if s.key == "steps")
        consent, labeling, juggling = steps.inline.formset.forms
        assert not consent.faults
        assert "asks for 2 posts" in labeling.faults[0]
        assert "no kind of step" in juggling.faults[0]
        assert not any(fault in steps.faults for fault in labeling.faults + juggling.faults)
        assert steps.n_faults == 2

    def test_do_not_keep_a_draft_from_being_saved(self, admin_client):
        study = StudyFactory(state="draft", steps=("labeling",))
        assert save(admin_client, page_of(study), **{"steps-0-config": '{"posts": 8}'}).status_code == 302
        assert study.steps.get().config == {"posts": 8}

    def test_of_a_kind_that_is_gone_let_it_be_shown_and_saved(self, admin_client):
        study = StudyFactory(state="draft", steps=("consent",))
        StepFactory(study=study, position=2, kind="juggling")
        assert "juggling (unknown)" in admin_client.get(page_of(study)).content.decode()
        assert save(admin_client, page_of(study), name="Renamed").status_code == 302

    def test_warnings_follow_every_save_of_a_live_study(self, admin_client):
        study = StudyFactory(codes=ALL_CODES, redundancy_cap=2, strategy="fixed", language="tt")
        for _ in range(2):
            sent = read_form(admin_client.get(page_of(study)))
            shown = messages_of(admin_client.post(page_of(study), sent, follow=True))
            assert any("not translated into" in message for message in shown)
            assert any("the cap gives other posts" in message for message in shown)


class TestALiveStudy:
    @pytest.mark.parametrize(
        "changes",
        [
            {"steps-1-DELETE": "on"},
            {"steps-0-position": "2", "steps-1-position": "1"},
            {"steps-1-kind": "training"},
            {"steps-1-config": '{"posts": 40}'},
            {"posts_per_rater": "40"},
            {"consent": '{"title": "Only this"}'},
        ],
        ids=str,
    )
    def test_is_never_edited_into_a_faulty_one(self, admin_client, changes):
        study = StudyFactory(steps=("consent", "labeling"))
        response = self.refused(admin_client, study, name="Typed anew", **changes)
        form = response.context["adminform"].form
        assert form["name"].value() == "Typed anew"

    def refused(self, admin_client, study, **changes):
        before = [*Study.objects.values_list(), *Step.objects.order_by("pk").values_list()]
        response = save(admin_client, page_of(study), **changes)
        assert response.status_code == 200
        assert "Nothing was saved: people are in this study" in read_errors(response)
        assert [*Study.objects.values_list(), *Step.objects.order_by("pk").values_list()] == before
        return response

    def test_says_every_reason(self, admin_client):
        study = StudyFactory(steps=("consent", "labeling", "vcq"))
        response = self.refused(
            admin_client,
            study,
            posts_per_rater="9",
            max_minutes=None,
            redundancy_cap="4",
            **{"steps-2-DELETE": "on", "steps-0-DELETE": "on"},
        )
        errors = read_errors(response)
        assert "first step must be the consent" in errors
        assert "asks for 9 posts" in errors

    def test_can_be_edited_where_that_breaks_nothing(self, admin_client):
        study = StudyFactory(steps=("consent", "labeling"))
        assert save(admin_client, page_of(study), posts_per_rater="3", title="Better").status_code == 302
        study.refresh_from_db()
        assert (study.posts_per_rater, study.title, study.state) == (3, "Better", "live")

    def test_with_faults_from_before_can_be_edited_and_says_them(self, admin_client):
        study = StudyFactory(steps=("labeling",))
        sent = read_form(admin_client.get(page_of(study))) | {"title": "Better"}
        response = admin_client.post(page_of(study), sent, follow=True)
        assert any("it has faults" in message for message in messages_of(response))
        assert Study.objects.get().title == "Better"

    @pytest.mark.parametrize("outcome", ["", Outcome.TIMED_OUT])
    @pytest.mark.parametrize("state", ["draft", "closed"])
    def test_that_someone_is_in_is_kept_whole_whatever_its_state(self, admin_client, outcome, state):
        enrollment = EnrollmentFactory(study__steps=("consent", "labeling"))
        if outcome:
            finish(enrollment, outcome)
        Study.objects.update(state=state)
        response = save(admin_client, page_of(enrollment.study), consent="")
        assert "missing in 'consent'" in read_errors(response)
        assert Study.objects.get().consent

    def test_that_is_closed_and_all_have_left_may_be_changed(self, admin_client):
        enrollment = finish(EnrollmentFactory(study__steps=("consent", "labeling")), Outcome.NO_CONSENT)
        Study.objects.update(state="closed")
        assert save(admin_client, page_of(enrollment.study), consent="").status_code == 302
        assert Study.objects.get().consent == {}


class TestStepsThatPeopleHaveFinished:
    @pytest.fixture
    def study(self):
        study = build_study("consent", "training", "gating", "labeling", "vcq", "debrief", codes=ALL_CODES)
        enrollment = EnrollmentFactory(study=study)
        complete_step(enrollment, get_current_step(enrollment))
        return study

    def changed(self, config, **changes):
        posts = [dict(post) for post in config["posts"]]
        posts[0] |= changes
        return json.dumps(config | {"posts": posts})

    @pytest.mark.parametrize("state", ["live", "closed"])
    @pytest.mark.parametrize(
        "changes",
        [
            {"steps-4-DELETE": "on"},
            {"steps-0-DELETE": "on"},
            {"steps-5-position": "9"},
            {"steps-3-position": "5", "steps-4-position": "4"},
            {"steps-4-kind": "labeling"},
            {
                "steps-TOTAL_FORMS": "7",
                "steps-6-position": "7",
                "steps-6-kind": "instructions",
                "steps-6-config": "{}",
            },
        ],
        ids=["delete one ahead", "delete one behind", "leave a gap", "swap", "another kind", "add"],
    )
    def test_stay_in_number_order_and_kind(self, admin_client, study, state, changes):
        Study.objects.update(state=state)
        before = list(study.steps.values_list())
        response = save(admin_client, page_of(study), **changes)
        assert response.status_code == 200
        assert "Steps can no longer be added, deleted, moved or changed in kind" in read_errors(response)
        assert list(study.steps.values_list()) == before

    @pytest.mark.parametrize(
        ("place", "config"),
        [(1, TRAINING), (2, GATING)],
    )
    def test_keep_the_posts_that_people_stand_at(self, admin_client, study, place, config):
        for posts in (
            self.changed(config, key="new"),
            json.dumps(config | {"posts": config["posts"][1:]}),
            json.dumps(config | {"posts": config["posts"][::-1]}),
        ):
            response = save(admin_client, page_of(study), **{f"steps-{place}-config": posts})
            assert "the keys of the posts of a training or a gate" in read_errors(response)
        assert study.steps.all()[place].config == config

    def test_take_other_words_and_numbers(self, admin_client, study):
        changes = {
            "steps-1-config": self.changed(TRAINING, text="Other words."),
            "steps-2-config": json.dumps(GATING | {"threshold": 1}),
            "steps-3-config": '{"posts": 1}',
        }
        assert save(admin_client, page_of(study), **changes).status_code == 302
        training, gating, labeling = study.steps.all()[1:4]
        assert training.config["posts"][0]["text"] == "Other words."
        assert (gating.config["threshold"], labeling.config) == (1, {"posts": 1})

    def test_are_free_again_when_those_people_are_gone(self, admin_client, study):
        withdraw(Enrollment.objects.get())
        changes = {"steps-4-DELETE": "on", "steps-5-position": "5"}
        assert save(admin_client, page_of(study), **changes).status_code == 302
        assert study.steps.count() == 5


class TestThePage:
    def test_offers_languages_by_name_those_with_a_translation_first(self, admin_client):
        field = admin_client.get(page_of(StudyFactory())).context["adminform"].form.fields["language"]
        names = dict(field.choices)
        assert names["en"] == "English"
        assert names["tt"] == "Tatar (buttons and messages in English)"
        assert list(names).index("en") < list(names).index("af")

    def test_refuses_a_language_without_a_name(self, admin_client):
        response = save(admin_client, page_of(StudyFactory()), language="tlh")
        assert "tlh" in read_errors(response)

    def test_says_how_long_people_may_take(self, admin_client):
        study = StudyFactory(estimated_minutes=20)
        assert "51 minutes" in admin_client.get(page_of(study)).content.decode()
        response = save(admin_client, page_of(study), max_minutes="50")
        assert "not less here" in response.context["adminform"].form.errors["max_minutes"][0]

    @pytest.mark.parametrize("address", ["add", "change"])
    def test_explains_the_settings_of_each_kind_of_step(self, admin_client, address):
        path = page_of(StudyFactory()) if address == "change" else reverse("admin:annotation_study_add")
        page = admin_client.get(path).content.decode()
        for said in ("Attention check", "&quot;threshold&quot;: 2", "&quot;tolerance&quot;: 1", "Debrief"):
            assert said in page


# --- posts -------------------------------------------------------------------------------------


def test_posts_are_searched_and_filtered(admin_client):
    study = StudyFactory(posts=0, questions=1)
    PostFactory(study=study, key="wanted", text="A rare word: quokka.")
    PostFactory(study=StudyFactory(posts=0, questions=0), key="elsewhere")
    address = reverse("admin:annotation_post_changelist")

    def keys(**query):
        return [post.key for post in admin_client.get(address, query).context["cl"].result_list]

    assert keys(q="quokka") == ["wanted"]
    assert keys(purpose__exact="calibration") == ["c1"]
    assert sorted(keys(study__id__exact=study.pk)) == ["c1", "wanted"]


def test_a_context_needs_kind_and_text(admin_client):
    response = save(admin_client, page_of(PostFactory()), context_kind="reply")
    assert "both its kind and its text" in read_errors(response)


def test_a_post_that_someone_read_stays_as_it_was(admin_client):
    post = AnnotationFactory().post
    save(admin_client, page_of(post), text="Other words.", metadata='{"note": 1}')
    stored = Post.objects.get(pk=post.pk)
    assert (stored.text, stored.metadata) == (post.text, {"note": 1})


def test_texts_are_shown_as_json_that_reads_well(admin_client):
    study = StudyFactory()
    shown = read_form(admin_client.get(page_of(study)))["consent"]
    assert json.loads(shown) == study.consent
    assert shown.count("\n") > 5
