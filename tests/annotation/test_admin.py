import json

import pytest
from django.urls import reverse

from annotation.models import (
    Annotation,
    Assignment,
    Enrollment,
    Post,
    Rater,
    Step,
    Study,
    ValueNode,
    ValueSystem,
)
from annotation.selectors import _tree, get_tree
from tests.admin_pages import read_errors, read_form
from tests.factories import (
    AnnotationFactory,
    EnrollmentFactory,
    PostFactory,
    RaterFactory,
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


def page_of(row):
    return reverse(f"admin:annotation_{row._meta.model_name}_change", args=[row.pk])


def save(client, address, **changes):
    """Send a page back with these changes; None leaves a field out."""
    sent = read_form(client.get(address)) | changes
    return client.post(address, {name: value for name, value in sent.items() if value is not None})


# --- the frame ---------------------------------------------------------------------------------


def test_the_frame_names_parallax_and_leads_to_the_dashboard(admin_client):
    page = admin_client.get(reverse("admin:index")).content.decode()
    assert '<a href="/admin/">Parallax</a>' in page
    assert f'href="{reverse("modeling:studies")}"' in page
    assert "css/admin.css" in page


# --- value systems -----------------------------------------------------------------------------


def test_a_system_shows_its_tree_depth_first_and_indented(admin_client):
    system = ValueSystemFactory(tree=load_nineteen())
    page = admin_client.get(page_of(system)).content.decode()
    places = [page.index(f"<code>{key}</code>") for key in get_tree(system).value_keys]
    assert places == sorted(places)
    assert page.count('<li class="depth-0 group">') == 1
    assert page.count('<li class="depth-3 value">') == 19


def test_new_wording_of_a_used_system_is_taken_and_reaches_raters(admin_client):
    annotation = AnnotationFactory()
    system = annotation.enrollment.study.value_system
    before = get_tree(system)
    assert save(admin_client, page_of(system), low_label="Not in the least").status_code == 302
    leaf = system.nodes.filter(is_leaf=True).first()
    assert save(admin_client, page_of(leaf), label="Another label").status_code == 302
    after = get_tree(ValueSystem.objects.get(pk=system.pk))
    assert (before.scale.low, after.scale.low) != ("Not in the least", before.scale.low)
    assert after.scale.low == "Not in the least"
    assert after.leaf(leaf.key).label == "Another label"


def test_the_scale_of_a_used_system_cannot_change(admin_client):
    system = AnnotationFactory().enrollment.study.value_system
    response = save(admin_client, page_of(system), scale_max="9")
    assert response.status_code == 200
    assert "the scale and the structure cannot" in read_errors(response)
    assert ValueSystem.objects.get(pk=system.pk).scale_max == system.scale_max


def test_a_scale_without_two_ends_is_refused_beside_its_field(admin_client):
    system = ValueSystemFactory()
    response = save(admin_client, page_of(system), scale_max=str(system.scale_min))
    assert response.context["adminform"].form.errors["scale_max"]


@pytest.mark.parametrize(("field", "value"), [("position", "77"), ("key", "renamed"), ("parent", "root")])
def test_structure_is_fixed_where_raters_are(admin_client, field, value):
    system = EnrollmentFactory().study.value_system
    leaf = system.nodes.filter(is_leaf=True).first()
    value = str(system.nodes.get(parent=None).pk) if value == "root" else value
    response = save(admin_client, page_of(leaf), **{field: value})
    assert response.status_code == 200
    assert "the scale and the structure cannot" in read_errors(response)


def test_no_node_is_added_to_or_deleted_from_a_used_system(admin_client):
    system = EnrollmentFactory().study.value_system
    leaf = system.nodes.filter(is_leaf=True).first()
    response = admin_client.post(
        reverse("admin:annotation_valuenode_add"),
        {
            "system": system.pk,
            "parent": leaf.parent_id,
            "position": 90,
            "is_leaf": "on",
            "key": "new",
            "name": "New",
            "label": "New",
            "definition": "New.",
        },
    )
    assert response.status_code == 200
    assert "the scale and the structure cannot" in read_errors(response)
    assert (
        admin_client.post(
            reverse("admin:annotation_valuenode_delete", args=[leaf.pk]), {"post": "yes"}
        ).status_code
        == 403
    )
    assert ValueNode.objects.filter(pk=leaf.pk).exists()


def test_an_unused_tree_can_be_rebuilt_and_says_what_is_missing(admin_client):
    system = ValueSystemFactory()
    leaf = system.nodes.filter(is_leaf=True).first()
    siblings = list(leaf.parent.children.all())
    for node in siblings:
        address = reverse("admin:annotation_valuenode_delete", args=[node.pk])
        assert admin_client.post(address, {"post": "yes"}).status_code == 302
    page = admin_client.get(page_of(system)).content.decode()
    assert "No study can use this tree yet" in page
    assert "children is empty" in page


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"key": "none"}, "reserved"),
        ({"definition": "  "}, "Raters read this"),
        ({"parent": ""}, "A value stands below a group"),
        ({"is_leaf": None}, "needs the question"),
    ],
)
def test_a_node_that_would_break_the_tree_is_refused(admin_client, changes, said):
    leaf = ValueSystemFactory().nodes.filter(is_leaf=True).first()
    response = save(admin_client, page_of(leaf), **changes)
    assert response.status_code == 200
    assert said in read_errors(response)


def test_a_group_cannot_stand_below_itself_nor_become_a_value(admin_client):
    system = ValueSystemFactory()
    group = system.nodes.filter(is_leaf=False, parent__isnull=False).first()
    assert "below itself" in read_errors(save(admin_client, page_of(group), parent=str(group.pk)))
    assert "has children" in read_errors(save(admin_client, page_of(group), is_leaf="on"))


def test_a_system_that_studies_use_is_not_deleted_and_says_why(admin_client):
    system = StudyFactory().value_system
    address = reverse("admin:annotation_valuesystem_delete", args=[system.pk])
    response = admin_client.post(address, {"post": "yes"})
    assert response.status_code == 200
    assert response.context["protected"]
    assert ValueSystem.objects.filter(pk=system.pk).exists()


def test_an_unused_system_is_deleted_with_its_tree(admin_client):
    system = ValueSystemFactory()
    address = reverse("admin:annotation_valuesystem_delete", args=[system.pk])
    assert admin_client.post(address, {"post": "yes"}).status_code == 302
    assert not ValueNode.objects.exists()


# --- studies -----------------------------------------------------------------------------------


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
        state="draft",
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


def test_another_value_system_renews_the_order_until_answers_exist(admin_client):
    study = StudyFactory()
    other = ValueSystemFactory(tree=load_nineteen())
    assert save(admin_client, page_of(study), value_system=str(other.pk)).status_code == 302
    study.refresh_from_db()
    assert study.value_keys == list(load_nineteen().value_keys)


def test_the_value_system_is_read_only_once_annotations_exist(admin_client):
    study = AnnotationFactory().enrollment.study
    form = admin_client.get(page_of(study)).context["adminform"].form
    assert "value_system" not in form.fields
    other = ValueSystemFactory(tree=load_nineteen())
    save(admin_client, page_of(study), value_system=str(other.pk))
    assert Study.objects.get(pk=study.pk).value_system_id == study.value_system_id


def test_an_incomplete_value_system_is_refused(admin_client):
    study = StudyFactory(state="draft")
    empty = ValueSystem.objects.create(slug="empty", name="Empty", low_label="low", high_label="high")
    response = save(admin_client, page_of(study), value_system=str(empty.pk))
    assert response.status_code == 200
    assert "not complete" in read_errors(response)


def test_a_study_without_steps_cannot_be_live(admin_client):
    study = StudyFactory(state="draft", steps=())
    response = save(admin_client, page_of(study), state="live")
    assert response.status_code == 200
    assert "without steps" in read_errors(response)
    assert Study.objects.get(pk=study.pk).state == "draft"


def test_a_study_whose_only_step_is_deleted_cannot_be_live(admin_client):
    study = StudyFactory(state="draft", steps=("labeling",))
    response = save(admin_client, page_of(study), state="live", **{"steps-0-DELETE": "on"})
    assert "without steps" in read_errors(response)


def test_a_step_of_unknown_kind_is_shown_and_keeps_a_study_from_being_live(admin_client):
    study = StudyFactory(state="draft", steps=("labeling",))
    StepFactory(study=study, position=2, kind="juggling")
    assert "juggling (unknown)" in admin_client.get(page_of(study)).content.decode()
    assert save(admin_client, page_of(study), name="Renamed").status_code == 302
    response = save(admin_client, page_of(study), state="live")
    assert response.status_code == 200
    assert "unknown: juggling" in read_errors(response)


def test_a_consent_step_needs_its_texts(admin_client):
    study = StudyFactory(state="draft", steps=("consent", "labeling"))
    response = save(admin_client, page_of(study), state="live", consent='{"title": "Hello"}')
    assert "missing in 'consent': sections, agree, decline" in read_errors(response)


def test_steps_change_places_in_one_go(admin_client):
    study = StudyFactory(steps=("consent", "labeling"))
    first, second = study.steps.all()
    changes = {"steps-0-position": "2", "steps-1-position": "1"}
    assert save(admin_client, page_of(study), **changes).status_code == 302
    assert list(study.steps.values_list("pk", "position")) == [(second.pk, 1), (first.pk, 2)]


def test_a_step_takes_the_place_of_a_deleted_one(admin_client):
    study = StudyFactory(steps=("consent", "labeling"))
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
    assert "No consent, Study full" in response.content.decode()


def test_a_study_with_raters_is_not_deleted(admin_client):
    study = EnrollmentFactory().study
    address = reverse("admin:annotation_study_delete", args=[study.pk])
    assert admin_client.post(address, {"post": "yes"}).context["protected"]
    assert Study.objects.filter(pk=study.pk).exists()


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


# --- raters and what they left -----------------------------------------------------------------


@pytest.mark.parametrize("model", ["rater", "enrollment", "assignment", "annotation"])
def test_lists_show_pseudonyms_and_marks_but_no_id_of_prolific(admin_client, model):
    rater = RaterFactory(external_id="PROLIFICID123", origin=Rater.Origin.SIMULATED)
    enrollment = EnrollmentFactory(rater=rater, study=StudyFactory(steps=("labeling",)))
    AnnotationFactory(enrollment=enrollment)
    page = admin_client.get(reverse(f"admin:annotation_{model}_changelist")).content.decode()
    assert str(rater.pseudonym) in page
    assert '<span class="simulated">simulated</span>' in page
    assert "PROLIFICID123" not in page


@pytest.mark.parametrize("model", [Rater, Enrollment, Assignment, Annotation])
def test_what_raters_left_cannot_be_added_or_changed(admin_client, model):
    enrollment = EnrollmentFactory(study=StudyFactory(steps=("labeling",)))
    AnnotationFactory(enrollment=enrollment, rationale="As it was.")
    row = model.objects.first()
    before = model.objects.filter(pk=row.pk).values().get()
    assert admin_client.get(reverse(f"admin:annotation_{model._meta.model_name}_add")).status_code == 403
    assert admin_client.post(page_of(row), {"rationale": "Other.", "outcome": "completed"}).status_code == 403
    assert model.objects.filter(pk=row.pk).values().get() == before


def test_an_annotation_shows_each_rating_and_how_it_came_about(admin_client):
    study = StudyFactory()
    n_values = len(study.value_keys)
    annotation = AnnotationFactory(
        enrollment=EnrollmentFactory(study=study),
        ratings=(None, *[3] * (n_values - 1)),
        codes=(0, *[1] * (n_values - 1)),
    )
    page = admin_client.get(page_of(annotation)).content.decode()
    assert f'<th scope="row">{study.value_keys[0]}</th><td>–</td><td>not shown</td>' in page
    assert f'<th scope="row">{study.value_keys[1]}</th><td>3</td><td>chosen</td>' in page


def test_a_rater_who_withdraws_takes_all_answers_along(admin_client):
    enrollment = EnrollmentFactory(study=StudyFactory(steps=("labeling",)))
    AnnotationFactory(enrollment=enrollment)
    address = reverse("admin:annotation_enrollment_delete", args=[enrollment.pk])
    assert admin_client.post(address, {"post": "yes"}).status_code == 302
    assert not Annotation.objects.exists()
    assert not Assignment.objects.exists()
    address = reverse("admin:annotation_rater_delete", args=[enrollment.rater_id])
    assert admin_client.post(address, {"post": "yes"}).status_code == 302


def test_no_single_answer_is_deleted_by_hand(admin_client):
    annotation = AnnotationFactory()
    address = reverse("admin:annotation_annotation_delete", args=[annotation.pk])
    assert admin_client.post(address, {"post": "yes"}).status_code == 403


def test_a_stranger_is_sent_to_the_login(client):
    response = client.get(page_of(StudyFactory()))
    assert response.status_code == 302
    assert reverse("admin:login") in response["Location"]


def test_texts_are_shown_as_json_that_reads_well(admin_client):
    study = StudyFactory()
    shown = read_form(admin_client.get(page_of(study)))["consent"]
    assert json.loads(shown) == study.consent
    assert shown.count("\n") > 5
