"""From a dense pre-study to another study's questionnaire: by command, by a worker and in the admin."""

import csv
import json
from io import StringIO

import numpy as np
import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from annotation.errors import Refused
from annotation.models import (
    Annotation,
    Enrollment,
    Exclusion,
    Outcome,
    Post,
    Rater,
    Study,
    StudyAccess,
    StudyEvent,
)
from annotation.selectors import _tree
from annotation.tree.walk import CHOSEN
from calibration import services
from calibration.deriving import DerivationSettings, request_derivation, select_raters
from calibration.models import CalibrationAnswer, CalibrationQuestion
from calibration.prestudy import derive_questions, read_pre_study
from jobs.models import Job
from jobs.services import run_here
from modeling.inclusion import select
from tests.calibration.derivation.raters import draw_factor_raters
from tests.factories import AnnotationFactory, EnrollmentFactory, PostFactory, RaterFactory, StudyFactory

pytestmark = [pytest.mark.django_db, pytest.mark.alike]

N_RATERS, N_POSTS = 14, 4


@pytest.fixture(autouse=True)
def fresh_trees():
    """Rows are rolled back after each test, and their keys come again with other trees."""
    _tree.cache_clear()
    yield
    _tree.cache_clear()


@pytest.fixture
def pre_study():
    """Everyone rated every value of four posts, on the scale from 1 to 5."""
    study = StudyFactory(slug="pre-study", name="The pre-study", posts=0, steps=("labeling",), questions=0)
    posts = [
        PostFactory(study=study, key=f"d{n}", text=f"Dense post {n}.", metadata={"n": n})
        for n in range(N_POSTS)
    ]
    posts[1].context_kind, posts[1].context_text = "reply", "What it answers."
    posts[1].save()
    ratings = draw_factor_raters(N_RATERS, N_POSTS, len(study.value_keys), noise=0.8, seed=4)
    ratings = np.clip(np.round(ratings), 1, 5).astype(int)
    raters = Rater.objects.bulk_create(
        Rater(origin=Rater.Origin.IMPORTED, external_id=f"pre-{number}") for number in range(N_RATERS)
    )
    completed = {"outcome": Outcome.COMPLETED, "finished_at": timezone.now()}
    enrollments = Enrollment.objects.bulk_create(
        Enrollment(study=study, rater=rater, **completed) for rater in raters
    )
    Annotation.objects.bulk_create(
        Annotation(enrollment=enrollment, post=post, ratings=vector, codes=[CHOSEN] * len(vector))
        for enrollment, of_rater in zip(enrollments, ratings.tolist(), strict=True)
        for post, vector in zip(posts, of_rater, strict=True)
    )
    study.ratings = ratings
    return study


@pytest.fixture
def target():
    """A draft that shares its value system's keys, with a questionnaire that nobody has answered."""
    return StudyFactory(slug="main", name="The main study", state=Study.State.DRAFT)


def complete(enrollment):
    enrollment.outcome, enrollment.finished_at = Outcome.COMPLETED, timezone.now()
    enrollment.save()


def run(*args):
    out = StringIO()
    call_command("derive_vcq", *args, stdout=out)
    return out.getvalue()


def list_asked(study):
    return list(
        study.calibration_questions.order_by("position").values_list("position", "post__key", "value_key")
    )


# --- reading -----------------------------------------------------------------------------------


def test_the_pre_study_is_read_as_it_was_rated(pre_study):
    data = read_pre_study(pre_study)
    assert (data.responses == pre_study.ratings).all()
    assert data.post_keys == ("d0", "d1", "d2", "d3")
    assert data.value_keys == tuple(pre_study.value_keys)


def test_those_count_who_count_in_analyses_by_default(pre_study):
    posts = list(pre_study.posts.order_by("pk"))
    for external_id, origin in (("going-on", "prolific"), ("tester", "test"), ("out", "prolific")):
        rater = RaterFactory(external_id=external_id, origin=origin)
        enrollment = EnrollmentFactory(study=pre_study, rater=rater)
        AnnotationFactory(enrollment=enrollment, post=posts[0])
        if external_id != "going-on":
            complete(enrollment)
        if external_id == "out":
            Exclusion.objects.create(enrollment=enrollment, reason="clicked through")
    assert select_raters(pre_study).count() == N_RATERS
    assert set(select_raters(pre_study)) == set(select(pre_study))
    assert len(read_pre_study(pre_study).responses) == N_RATERS


def test_gaps_are_refused_with_their_number_or_left_out_when_asked_to(pre_study):
    first, second = pre_study.enrollments.order_by("pk")[:2]
    first.annotations.first().delete()
    hidden = second.annotations.first()
    hidden.ratings = (None, *hidden.ratings[1:])
    hidden.save()
    with pytest.raises(ValueError, match="2 of 14 raters .* did not rate all 4 posts .* 11 of 560 ratings"):
        read_pre_study(pre_study)
    data = read_pre_study(pre_study, leave_out_incomplete=True)
    assert (data.responses == pre_study.ratings[2:]).all()
    assert data.n_left_out == 2


def test_a_study_in_which_nobody_rated_everything_is_no_pre_study(pre_study):
    for number, enrollment in enumerate(pre_study.enrollments.all()):
        enrollment.annotations.filter(post__key=f"d{number % 4}").delete()
    with pytest.raises(ValueError, match="no dense pre-study"):
        read_pre_study(pre_study, leave_out_incomplete=True)
    with pytest.raises(ValueError, match="nobody who counts has rated anything"):
        read_pre_study(StudyFactory())


# --- writing -----------------------------------------------------------------------------------


def replace(target, pre_study, questions=(("d1", 0), ("d0", 1), ("d1", 2)), **options):
    keys = target.value_keys
    asked = [(post, keys[value]) for post, value in questions]
    return services.replace_vcq(target, pre_study, asked, origin="Because.", **options)


def test_a_study_asks_the_new_questions_about_copies_of_the_posts(pre_study, target):
    keys = target.value_keys
    actor = User.objects.create_user("ada")
    assert replace(target, pre_study, actor=actor) == 2
    assert list_asked(target) == [(1, "d1", keys[0]), (2, "d0", keys[1]), (3, "d1", keys[2])]
    copy, original = target.posts.get(key="d1"), pre_study.posts.get(key="d1")
    assert copy.purpose == Post.Purpose.CALIBRATION
    for name in ("text", "context_kind", "context_text", "metadata"):
        assert getattr(copy, name) == getattr(original, name)
    event = StudyEvent.objects.get(study=target, summary__startswith="The calibration questionnaire")
    assert (event.actor, event.detail["before"], event.detail["posts_copied"]) == (actor, 2, 2)
    assert target.posts.filter(key__in=["c1", "c2"]).count() == 2


def test_doing_it_again_copies_nothing_again(pre_study, target):
    replace(target, pre_study)
    assert replace(target, pre_study) == 0
    assert replace(target, pre_study, [("d3", 0)]) == 1
    assert list_asked(target) == [(1, "d3", target.value_keys[0])]


def test_a_key_that_is_another_posts_gives_way(pre_study, target):
    PostFactory(study=target, key="d1", text="Something else.")
    replace(target, pre_study)
    assert {post for _, post, _ in list_asked(target)} == {"d0", "d1-vcq1"}
    assert target.posts.get(key="d1").text == "Something else."


def test_a_study_that_was_launched_gets_a_new_version_with_the_questions(pre_study):
    target = StudyFactory(slug="launched", state=Study.State.PAUSED)
    replace(target, pre_study)
    target.refresh_from_db()
    assert target.current_version.reason == "Because."
    assert len(target.current_version.content["vcq"]["questions"]) == 3


def answer_one(target):
    enrollment = EnrollmentFactory(study=target)
    CalibrationAnswer.objects.create(
        enrollment=enrollment, question=target.calibration_questions.first(), rating=2
    )


def pause(target):
    Study.objects.filter(pk=target.pk).update(state=Study.State.PAUSED)


def label_one(target):
    post = Post.objects.get(key="d1", study__slug="pre-study")
    PostFactory(
        study=target,
        key="theirs",
        text=post.text,
        context_kind=post.context_kind,
        context_text=post.context_text,
    )


@pytest.mark.parametrize(
    ("state", "prepare", "message"),
    [
        (Study.State.LIVE, lambda target: None, "takes people: pause it"),
        (Study.State.LIVE, lambda target: (answer_one(target), pause(target)), "Somebody has answered"),
        (Study.State.DRAFT, label_one, "to label too.*: d1"),
        (
            Study.State.DRAFT,
            lambda target: Study.objects.filter(pk=target.pk).update(value_keys=["other"]),
            "lacks",
        ),
        (Study.State.DRAFT, lambda target: Post.objects.filter(key="d1").update(key="x"), "no longer.*d1"),
        (Study.State.DRAFT, lambda target: Post.objects.filter(key="d1").update(text=" "), "without a text"),
    ],
    ids=["live", "answered", "labeled", "values", "gone", "textless"],
)
def test_what_must_not_change_is_refused_and_stays(pre_study, state, prepare, message):
    target = StudyFactory(slug="main", state=state)
    keys = target.value_keys
    before = list_asked(target)
    prepare(target)
    with pytest.raises(Refused, match=message):
        services.replace_vcq(target, pre_study, [("d1", keys[0]), ("d0", keys[1])], origin="Because.")
    assert list_asked(target) == before


def test_a_pre_study_asks_its_own_people_nothing_again(pre_study):
    Study.objects.filter(pk=pre_study.pk).update(state=Study.State.CLOSED)
    with pytest.raises(Refused, match="have rated its posts already"):
        replace(pre_study, pre_study)


def test_a_question_stands_once(pre_study, target):
    with pytest.raises(Refused, match="each of them once"):
        replace(target, pre_study, [("d1", 0), ("d1", 0)])


# --- the command -------------------------------------------------------------------------------


def test_the_command_shows_and_writes_what_another_study_then_asks(pre_study, target, tmp_path):
    file = tmp_path / "vcq.csv"
    said = run("pre-study", "--method", "greedy", "--questions", "5", "--into", "main", "--csv", str(file))
    asked = list_asked(target)
    assert len(asked) == 5
    rows = list(csv.DictReader(file.open(encoding="utf-8")))
    assert [(int(row["position"]), row["post"], row["value"]) for row in rows] == asked
    assert "14 raters, 4 posts, 10 values." in said
    assert "#" * 40 in said
    assert "asks these 5 questions now" in said
    assert all(f"{post} / {value}" in said for _, post, value in asked)


def test_a_dry_run_changes_nothing(pre_study, target):
    before = list_asked(target)
    said = run("pre-study", "--questions", "3", "--into", "main", "--dry-run")
    assert "Nothing was changed" in said
    assert list_asked(target) == before


def test_the_comparison_says_whether_adapting_wins(pre_study):
    said = run("pre-study", "--questions", "3", "--compare")
    assert "an adaptive" not in said
    assert "With 3 questions, a questionnaire that adapts to the answers" in said
    assert "The consensus alone: rho" in said
    for method in ("eigenrater", "greedy", "qr", "random", "adaptive"):
        assert f"{method:>10}   3  gain " in said


def test_the_command_spreads_the_questions(pre_study):
    said = run("pre-study", "--questions", "12", "--every-value", "--most-per-post", "3")
    asked = [line.split()[3::2] for line in said.splitlines() if " / " in line]
    assert {value for _, value in asked} == set(pre_study.value_keys)
    assert max(sum(post == f"d{n}" for post, _ in asked) for n in range(4)) == 3


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nowhere"], "no study 'nowhere'"),
        (["pre-study", "--into", "nowhere"], "no study 'nowhere'"),
        (["pre-study", "--questions", "14"], "14 rater.* vary along 13"),
        (["pre-study", "--questions", "9", "--most-per-post", "2"], "4 post.*2 per post offer 8"),
        (["pre-study", "--questions", "2", "--into", "pre-study"], "have rated its posts already"),
    ],
    ids=["source", "target", "axes", "room", "itself"],
)
def test_the_command_refuses_in_words(pre_study, args, message):
    with pytest.raises(CommandError, match=message):
        run(*args)


# --- worker and admin --------------------------------------------------------------------------

DERIVE = "admin:calibration_calibrationquestion_derive"


def ask(client, pre_study, **changes):
    sent = {"study": pre_study.pk, "method": "qr", "n_questions": 4} | changes
    return client.post(reverse(DERIVE), sent)


def test_a_derivation_is_asked_for_done_looked_at_and_used(admin_client, pre_study, target):
    listed = admin_client.get(reverse("admin:calibration_calibrationquestion_changelist")).content.decode()
    assert reverse(DERIVE) in listed
    assert "The pre-study" in admin_client.get(reverse(DERIVE)).content.decode()
    address = ask(admin_client, pre_study).url
    waiting = admin_client.get(address).content.decode()
    assert "Waits for a worker" in waiting
    assert 'http-equiv="refresh"' in waiting
    run_here(Job.objects.get())
    shown = admin_client.get(address).content.decode()
    assert "style=" not in shown.split('id="content-main"')[1]
    assert "Scree plot" in shown
    assert shown.count("<rect ") == 13  # the axes along which 14 raters vary
    result = Job.objects.get().result
    for question in result["questions"]:
        assert f"<td>{question['post']}</td><td>{question['value']}</td>" in shown
    response = admin_client.post(address, {"target": target.pk})
    assert response.status_code == 302
    assert [row[1:] for row in list_asked(target)] == [(q["post"], q["value"]) for q in result["questions"]]
    event = StudyEvent.objects.get(study=target, summary__startswith="The calibration questionnaire")
    assert event.actor_name == "admin"
    assert "pre-study 'pre-study' (14 raters, 4 posts; method 'qr')" in event.summary


def test_the_comparison_stands_on_the_page(admin_client, pre_study):
    address = ask(admin_client, pre_study, compare="on").url
    run_here(Job.objects.get())
    shown = admin_client.get(address).content.decode()
    assert "a questionnaire that adapts to the answers" in shown
    assert "<td>random</td><td>4</td>" in shown


def test_a_derivation_that_cannot_be_says_why_and_can_be_asked_again(admin_client, pre_study):
    gap = Annotation.objects.first()
    vector = gap.ratings
    Annotation.objects.filter(pk=gap.pk).update(ratings=(None, *vector[1:]))
    address = ask(admin_client, pre_study).url
    run_here(Job.objects.get())
    assert "1 of 560 ratings are missing" in admin_client.get(address).content.decode()
    Annotation.objects.filter(pk=gap.pk).update(ratings=vector)
    assert ask(admin_client, pre_study).url == address
    run_here(Job.objects.get())
    assert Job.objects.get().state == Job.State.DONE


def test_a_study_that_must_not_change_is_refused_on_the_page(admin_client, pre_study):
    live = StudyFactory(slug="live", name="The live one")
    address = ask(admin_client, pre_study).url
    run_here(Job.objects.get())
    response = admin_client.post(address, {"target": live.pk})
    assert response.status_code == 200
    assert "takes people: pause it" in response.content.decode()
    assert CalibrationQuestion.objects.filter(study=live).count() == 2
    assert "No study was changed" in admin_client.post(address, {"target": pre_study.pk}).content.decode()


@pytest.mark.parametrize(
    "wrong", [{"n_questions": 0}, {"method": "best"}, {"study": 0}, {"most_per_post": "-1"}], ids=str
)
def test_what_cannot_be_asked_for_is_a_form_error(admin_client, pre_study, wrong):
    assert "mend what is marked" in ask(admin_client, pre_study, **wrong).content.decode()
    assert not Job.objects.exists()


def test_only_who_sets_a_study_up_derives_from_it_and_into_it(client, pre_study, target):
    user = User.objects.create_user("ada", is_staff=True)
    client.force_login(user)
    assert client.get(reverse(DERIVE)).status_code == 403
    access = StudyAccess.objects.create(user=user, study=pre_study, role=StudyAccess.Role.ANALYST)
    job = request_derivation(pre_study, DerivationSettings(method="qr", n_questions=4))
    address = reverse("admin:calibration_calibrationquestion_derived", args=[job.pk])
    run_here(job)
    assert client.get(address).status_code == 404
    access.role = StudyAccess.Role.ASSISTANT
    access.save()
    assert client.get(address).status_code == 200
    before = list_asked(target)
    assert "Select a valid choice" in client.post(address, {"target": target.pk}).content.decode()
    assert list_asked(target) == before
    foreign = Job.objects.create(kind="fit", key="another kind of job")
    address = reverse("admin:calibration_calibrationquestion_derived", args=[foreign.pk])
    assert client.get(address).status_code == 404


def test_the_same_request_is_one_job_until_the_ratings_change(pre_study):
    settings = DerivationSettings(n_questions=3)
    job = request_derivation(pre_study, settings)
    assert request_derivation(pre_study, settings) == job
    assert request_derivation(pre_study, DerivationSettings(n_questions=4)) != job
    Exclusion.objects.create(enrollment=pre_study.enrollments.first(), reason="clicked through")
    assert request_derivation(pre_study, settings) != job


def test_what_is_chosen_is_plain_data(pre_study):
    result = derive_questions(pre_study, DerivationSettings(n_questions=3, compare=True))
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert result["comparison"]["longest"] == 3
