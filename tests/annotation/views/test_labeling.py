import pytest
from django.urls import reverse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annotation.access import PAGE_MARK, mark_page
from annotation.models import Annotation, Assignment, Enrollment, Post
from annotation.selectors import get_open_assignment
from annotation.tree.walk import CHOSEN, IMPLIED, Reading
from tests.factories import PostFactory, StudyFactory, ValueSystemFactory, load_nineteen
from tests.visitor import RaterClient as Client
from tests.visitor import enter, form_data, freeze_rows, mark_nothing, rate_social_focus, read, step_path

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


@pytest.fixture
def study():
    return StudyFactory(steps=("labeling", "vcq"))


@pytest.fixture
def enrollment(client, study):
    return enter(client, study)


@pytest.fixture
def here(study, enrollment):
    return step_path(study, "labeling")


@pytest.fixture
def assignment(enrollment):
    return get_open_assignment(enrollment)


def test_the_page_shows_the_post_and_asks_the_trees_first_question_alone(client, here, assignment):
    page = read(client.get(here))
    assert page.find("data-post-text").text == assignment.post.text
    form = page.form(identifier="path-form")
    assert [control.name for control in form.questions()] == ["open-statement", "rationale"]
    assert form.controls["open-statement"].options == ["personal_focus", "social_focus", "none"]
    assert form.controls["open-statement"].values == []
    assert (form.method, form.action) == ("post", here)


@pytest.mark.parametrize(
    ("kind", "words"), [("reply", "The post that is replied to"), ("quote", "The post that is quoted")]
)
def test_a_context_stands_apart_from_the_post(client, kind, words):
    study = StudyFactory(steps=("labeling",), posts=0)
    PostFactory(study=study, text="The reply itself.", context_kind=kind, context_text="What came before.")
    enter(client, study)
    page = read(client.get(step_path(study, "labeling")))
    assert page.find("data-post-context").text == "What came before."
    assert page.find("data-post-text").text == "The reply itself."
    assert words in page.text


def test_a_posts_text_is_shown_as_text_and_never_run(client):
    study = StudyFactory(steps=("labeling",), posts=0)
    PostFactory(study=study, text="<script>alert(1)</script>\nline two", metadata={"secret": "never-shown"})
    enter(client, study)
    response = client.get(step_path(study, "labeling"))
    assert read(response).find("data-post-text").text == "<script>alert(1)</script> line two"
    assert b"<script>alert" not in response.content
    assert b"never-shown" not in response.content


class TestWithoutScripts:
    def test_a_marked_branch_is_opened_by_the_next_page_and_stores_nothing(self, client, here, assignment):
        before = freeze_rows()
        marked = Reading({"statement": frozenset({"personal_focus", "social_focus"})}, {})
        response = client.post(here, form_data(assignment, marked, shown=["statement"], rationale="Well,"))
        page = read(response)
        assert response.status_code == 200
        assert "questions that were added below" in page.text
        controls = page.form(identifier="path-form").controls
        assert controls["open-statement"].values == ["personal_focus", "social_focus"]
        assert controls["open-personal_focus"].kind == "radio"
        assert controls["open-personal_focus"].options == ["openness", "self_enhancement", "none"]
        assert controls["rate-security"].options == ["1", "2", "3", "4", "5"]
        assert "rate-power" not in controls
        assert controls["rationale"].values == ["Well,"]
        assert freeze_rows() == before

    def test_a_finished_reading_is_stored_and_the_next_post_is_shown(self, client, here, assignment):
        response = client.post(here, form_data(assignment, rate_social_focus(4), rationale="Because\r\nso."))
        assert (response.status_code, response.url) == (303, here)
        annotation = Annotation.objects.get()
        assert annotation.ratings == (1, 1, 1, 1, 1, 4, 4, 4, 4, 4)
        assert annotation.codes == (IMPLIED,) * 5 + (CHOSEN,) * 5
        assert annotation.rationale == "Because\nso."
        page = read(client.get(here))
        assert page.find("data-post-text").text != assignment.post.text
        assert "Post 2 of 2" in client.get(here).content.decode()
        assert page.form(identifier="path-form").controls["rationale"].values == [""]

    def test_the_lowest_rating_chosen_is_kept_apart_from_the_implied_one(self, client, here, enrollment):
        client.post(here, form_data(get_open_assignment(enrollment), rate_social_focus(1)))
        client.post(here, form_data(get_open_assignment(enrollment), mark_nothing()))
        chosen, implied = Annotation.objects.order_by("pk")
        assert chosen.ratings == implied.ratings
        assert (chosen.codes[-1], implied.codes[-1]) == (CHOSEN, IMPLIED)

    def test_what_is_missing_is_said_beside_it_and_the_rest_is_kept(self, client, here, assignment):
        before = freeze_rows()
        data = form_data(assignment, rate_social_focus(2), rationale="My <b>reason</b>\nin two lines")
        del data["rate-security"]
        response = client.post(here, data)
        page = read(response)
        controls = page.form(identifier="path-form").controls
        assert response.status_code == 422
        assert page.text.count("Please choose a number.") == 1
        assert controls["rate-security"].values == []
        assert controls["rate-tradition"].values == ["2"]
        assert controls["rationale"].values == ["My <b>reason</b>\nin two lines"]
        assert freeze_rows() == before

    def test_the_last_post_leads_to_the_next_step(self, client, study, here, enrollment):
        client.post(here, form_data(get_open_assignment(enrollment), mark_nothing()))
        response = client.post(here, form_data(get_open_assignment(enrollment), mark_nothing()))
        assert client.get(response.url).url == step_path(study, "vcq")


class TestWhatDoesNotFit:
    @pytest.mark.parametrize(
        "change",
        [
            {"rate-security": "0"},
            {"rate-security": "6"},
            {"rate-security": "many"},
            {"rate-unknown": "3"},
            {"open-statement": ["social_focus", "unknown"]},
            {"open-statement": ["none", "social_focus"]},
            {"open-openness": ["autonomy"]},
            {"rationale": "x" * 5001},
            {"rationale": "a\x00b"},
        ],
        ids=str,
    )
    def test_is_refused_on_a_clear_page_and_nothing_is_stored(self, client, here, assignment, change):
        before = freeze_rows()
        data = form_data(assignment, rate_social_focus(), rationale="Kept words") | change
        response = client.post(here, data)
        page = read(response)
        assert response.status_code == 422
        assert next(each for each in page.elements if each.attributes.get("role") == "alert").text
        kept = page.form(identifier="path-form").controls["rationale"].values[0]
        assert kept == data["rationale"].replace("\x00", "�")
        assert page.find("data-post-text").text == assignment.post.text
        assert freeze_rows() == before

    def test_a_lone_surrogate_smuggled_in_by_an_odd_encoding_is_refused_too(self, client, here, assignment):
        before = freeze_rows()
        parts = form_data(assignment, mark_nothing()) | {"shown": "statement", "open-statement": "none"}
        parts[PAGE_MARK] = mark_page(assignment.enrollment)
        lines = [
            f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in (parts | {"rationale": "left\\ud800right"}).items()
        ]
        response = client.generic(
            "POST",
            here,
            ("".join(lines) + "--edge--\r\n").encode(),
            content_type="multipart/form-data; boundary=edge; charset=unicode_escape",
        )
        assert response.status_code == 422
        assert "cannot be stored" in read(response).text
        assert freeze_rows() == before

    @pytest.mark.parametrize(
        "number", ["", "0", "abc", "-1", "1.5", "٣", "²", "9" * 18, "9" * 30, "\x00", "1 "]
    )
    def test_an_assignment_that_does_not_exist_is_refused(self, client, here, number):
        before = freeze_rows()
        for headers in ({}, HTMX):
            response = client.post(here, {"item": number, "open-statement": "none"}, headers=headers)
            assert response.status_code == 409
            assert "not yours. Nothing was saved" in read(response).text
        assert freeze_rows() == before

    def test_another_persons_assignment_is_refused_and_stays_theirs(self, client, study, here):
        theirs = get_open_assignment(enter(Client(), study, "rater-two"))
        before = freeze_rows()
        response = client.post(here, form_data(theirs, mark_nothing()))
        page = read(response)
        assert response.status_code == 409
        way_back = next(link.href for link in page.links if "where you are" in link.text)
        assert client.get(way_back).url == here
        assert freeze_rows() == before
        assert theirs.post.text not in page.text

    def test_another_persons_assignment_is_not_even_shown_by_htmx(self, client, study, here):
        theirs = get_open_assignment(enter(Client(), study, "rater-two"))
        assert client.post(here, form_data(theirs), headers=HTMX).status_code == 409


class TestSubmittingAgain:
    def test_the_same_answer_twice_is_one_annotation_and_says_nothing(self, client, here, assignment):
        data = form_data(assignment, rate_social_focus(4), rationale="Why")
        client.post(here, data)
        before = freeze_rows()
        response = client.post(here, data, follow=True)
        assert response.status_code == 200
        assert "already submitted" not in response.content.decode()
        assert freeze_rows() == before

    @pytest.mark.parametrize(
        "second",
        [
            {"reading": rate_social_focus(2)},
            {"reading": mark_nothing()},
            {"reading": Reading({}, {})},
            {"rationale": "Other words"},
        ],
        ids=["other ratings", "other branches", "unfinished", "other rationale"],
    )
    def test_another_answer_changes_nothing_and_the_person_is_told(self, client, here, assignment, second):
        first = {"reading": rate_social_focus(1), "rationale": "Why"}
        client.post(here, form_data(assignment, **first))
        before = freeze_rows()
        response = client.post(here, form_data(assignment, **first | second), follow=True)
        assert response.status_code == 200
        assert "Your first answer stands" in response.content.decode()
        assert read(response).find("data-post-text").text != assignment.post.text
        assert freeze_rows() == before

    def test_the_last_answer_twice_leads_on(self, client, study, here, enrollment):
        client.post(here, form_data(get_open_assignment(enrollment), mark_nothing()))
        data = form_data(get_open_assignment(enrollment), mark_nothing())
        client.post(here, data)
        assert client.post(here, data, follow=True).redirect_chain[-1][0] == step_path(study, "vcq")
        assert Annotation.objects.count() == 2

    def test_a_post_that_went_back_to_the_pool_takes_no_answer(self, client, here, assignment, enrollment):
        Assignment.objects.update(status=Assignment.Status.RELEASED)
        before = freeze_rows()
        response = client.post(here, form_data(assignment, mark_nothing()))
        assert response.status_code == 409
        assert "Nothing was saved" in read(response).text
        assert freeze_rows() == before


def test_a_study_without_any_post_left_says_so_on_its_own_page(client):
    study = StudyFactory(steps=("labeling",), posts=1, redundancy_cap=1)
    enter(Client(), study, "rater-one")
    enter(client, study, "rater-two")
    page = read(client.get(reverse("annotation:current_step", args=[study.slug]), follow=True))
    assert page.find("data-outcome").attributes["data-outcome"] == "study_full"
    assert page.find("data-completion-code").text == "FULL3333"


def test_the_system_that_ships_is_shown_from_one_to_seven_and_stored_from_zero_to_six(client):
    study = StudyFactory(value_system=ValueSystemFactory(tree=load_nineteen()), steps=("labeling",))
    assignment = get_open_assignment(enter(client, study))
    here = step_path(study, "labeling")
    marks = {
        "post": frozenset({"outcomes_for_self"}),
        "outcomes_for_self": frozenset({"openness_to_change"}),
    }
    page = read(client.post(here, form_data(assignment, Reading(marks, {}), shown=["post"])))
    rating = page.form(identifier="path-form").controls["rate-hedonism"]
    assert rating.options == ["0", "1", "2", "3", "4", "5", "6"]
    assert "Pleasure" in page.text
    keys = ("self_direction_thought", "self_direction_action", "stimulation", "hedonism")
    client.post(here, form_data(assignment, Reading(marks, dict.fromkeys(keys, 6))))
    annotation = Annotation.objects.get()
    assert annotation.ratings == (6,) * 4 + (0,) * 15
    assert annotation.codes == (CHOSEN,) * 4 + (IMPLIED,) * 15


NAMES = (
    st.sampled_from(["item", "shown", "close", "keep", "rationale", "open-statement", "open-openness"])
    | st.sampled_from(
        ["rate-security", "rate-power", "rate-", "open-", "instead-social_focus", "instead-", "\x00"]
    )
    | st.text(max_size=12)
)
TEXTS = (
    st.sampled_from(["none", "social_focus", "personal_focus", "1", "6", "-1", "9" * 30, "\x00", "a\x00b"])
    | st.text(max_size=40)
    | st.sampled_from(["x" * 5001, "é" * 20_000])
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=st.dictionaries(NAMES, st.lists(TEXTS, max_size=3), max_size=6), with_htmx=st.booleans())
def test_whatever_is_sent_is_answered_with_a_page_and_never_a_fault_of_ours(
    client, here, enrollment, sent, with_htmx
):
    assignment = get_open_assignment(enrollment)
    number = {"item": str(assignment.pk)} if assignment else {}
    before = freeze_rows()
    response = client.post(here, number | sent, headers=HTMX if with_htmx else {})
    assert response.status_code in (200, 303, 409, 422)
    if response.status_code != 303:
        assert freeze_rows() == before
    assert Enrollment.objects.count() == 1
    assert Post.objects.filter(purpose=Post.Purpose.LABELING).count() == 3
