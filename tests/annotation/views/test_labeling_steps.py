"""Several labeling steps, steps put in where someone stands, and how long it still takes."""

from datetime import timedelta

import pytest
from django.core.cache import caches
from django.utils import timezone

from annotation.models import Annotation, Assignment, Outcome, Step
from annotation.selectors import get_current_step, get_open_assignment
from tests.every_step import build_study
from tests.factories import EnrollmentFactory, PostFactory, StepFactory
from tests.visitor import enter, form_data, mark_nothing, read, step_path

pytestmark = pytest.mark.django_db


def address(study, position):
    return f"/s/{study.slug}/step/{position}/"


def read_one(client, enrollment):
    """Read the open post to the end; return where that led."""
    step = get_current_step(enrollment)
    data = form_data(get_open_assignment(enrollment), mark_nothing())
    following = client.post(address(enrollment.study, step.position), data)
    return getattr(client.get(following.url), "url", following.url)


@pytest.fixture
def study():
    study = build_study("labeling", "vcq", "labeling", "debrief", posts=5)
    for position, n_posts in ((1, 2), (3, 3)):
        study.steps.filter(position=position).update(config={"posts": n_posts})
    return study


def test_each_step_gives_as_many_posts_as_it_says_and_none_twice(client, study):
    enrollment = enter(client, study)
    assert "Post 1 of 2" in client.get(address(study, 1)).content.decode()
    assert [read_one(client, enrollment) for _ in range(2)] == [address(study, 1), address(study, 2)]
    for position in ("1", "2"):
        response = client.post(address(study, 2), {"item": position, "rating": "3"})
    assert response.url == address(study, 3)
    assert "Post 1 of 3" in client.get(address(study, 3)).content.decode()
    ends = [read_one(client, enrollment) for _ in range(3)]
    assert ends == [address(study, 3), address(study, 3), address(study, 4)]
    assert Annotation.objects.values("post").distinct().count() == 5
    by_step = [
        list(Assignment.objects.filter(step__position=position).values_list("position", flat=True))
        for position in (1, 3)
    ]
    assert by_step == [[1, 2], [3, 4, 5]]


def test_a_labeling_step_put_in_before_where_someone_stands_is_done_first_and_nothing_is_lost(client):
    study = build_study("labeling", "vcq", posts=4, posts_per_rater=2)
    enrollment = enter(client, study)
    read_one(client, enrollment)
    for step in Step.objects.order_by("-position"):
        Step.objects.filter(pk=step.pk).update(position=step.position + 1)
    StepFactory(study=study, position=1, kind="labeling", config={"posts": 1})
    assert client.get(address(study, 2)).url == address(study, 1)
    waiting = get_open_assignment(enrollment)
    assert read(client.get(address(study, 1))).find("data-post-text").text == waiting.post.text
    while get_current_step(enrollment).kind == "labeling":
        read_one(client, enrollment)
    assert get_current_step(enrollment).kind == "vcq"
    assert Annotation.objects.count() == Annotation.objects.values("post").distinct().count() >= 3
    assert not Assignment.objects.filter(status=Assignment.Status.OPEN).exists()


def test_what_was_kept_of_a_post_stands_there_also_when_a_step_was_put_in_before(client):
    study = build_study("labeling", "vcq", posts=4)
    assignment = get_open_assignment(enter(client, study))
    for rationale in ("before", "after"):
        position = study.steps.filter(kind="labeling").order_by("position").first().position
        data = form_data(assignment, mark_nothing(), rationale=rationale)
        assert client.post(address(study, position) + "draft/", data).status_code == 204
        if rationale == "before":
            for step in Step.objects.order_by("-position"):
                Step.objects.filter(pk=step.pk).update(position=step.position + 1)
            StepFactory(study=study, position=1, kind="labeling", config={"posts": 1})
        form = read(client.get(address(study, 1))).form(identifier="path-form")
        assert form.controls["rationale"].values == [rationale]


def test_a_labeling_step_put_in_where_nothing_was_given_gives_a_post_at_the_next_visit(client):
    study = build_study("vcq", posts=3)
    enrollment = enter(client, study)
    Step.objects.update(position=2)
    StepFactory(study=study, position=1, kind="labeling")
    assert client.get(address(study, 1), follow=True).status_code == 200
    assert get_open_assignment(enrollment)


def test_a_step_put_in_where_no_post_is_left_does_not_hold_anyone(client):
    study = build_study("vcq", posts=0)
    enrollment = enter(client, study)
    Step.objects.update(position=2)
    StepFactory(study=study, position=1, kind="labeling")
    page = read(client.get(address(study, 1), follow=True))
    enrollment.refresh_from_db()
    assert enrollment.outcome == Outcome.STUDY_FULL
    assert page.find("data-outcome")


class TestTheTimeLeft:
    @pytest.fixture(autouse=True)
    def _forget(self):
        caches["process"].clear()
        yield
        caches["process"].clear()

    def let_others_read(self, study, *, n, seconds):
        other = EnrollmentFactory(study=study)
        step = study.steps.get(kind="labeling")
        now = timezone.now()
        other.assignments.all().delete()
        for number in range(n):
            post = PostFactory(study=study)
            assignment = Assignment.objects.create(
                enrollment=other, step=step, post=post, position=number + 1, status="submitted",
                submitted_at=now,
            )  # fmt: skip
            Assignment.objects.filter(pk=assignment.pk).update(assigned_at=now - timedelta(seconds=seconds))

    def test_is_said_from_the_studys_own_median(self, client):
        study = build_study("labeling", "vcq", posts_per_rater=10, posts=12)
        self.let_others_read(study, n=21, seconds=60)
        enter(client, study)
        body = client.get(step_path(study, "labeling")).content.decode()
        assert "Post 1 of 10" in body
        assert "about 10 minutes left" in body

    def test_is_not_guessed_from_too_few(self, client):
        study = build_study("labeling", "vcq")
        self.let_others_read(study, n=5, seconds=60)
        enter(client, study)
        assert "left" not in read(client.get(step_path(study, "labeling"))).text
        assert "minutes left" not in client.get(step_path(study, "labeling")).content.decode()
