"""The demonstration study and the commands a researcher types."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from annotation.launch import find_faults
from annotation.models import Annotation, CompletionCode, Enrollment, Outcome, Post, Rater, Study, ValueSystem
from annotation.selectors import get_tree
from annotation.steps import KINDS
from calibration.models import CalibrationAnswer
from jobs.models import Job
from modeling import fits
from modeling.demo import ANNOTATION_CONTENT, load_default_tree, load_demo_study
from modeling.models import FitRun, Report
from modeling.selectors import get_latest_report
from tests.factories import StudyFactory, load_ten
from tests.modeling.rated import make_rated_study

pytestmark = pytest.mark.django_db
TREES = ("--n-trees", "5", "--n-consensus-folds", "3")


def call(*arguments):
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def test_the_demo_study_can_be_walked_at_once():
    study, is_new = load_demo_study()
    assert is_new
    assert study.state == Study.State.LIVE
    assert study.value_keys == list(load_default_tree().value_keys)
    assert len(study.value_keys) == 19
    assert set(study.steps.values_list("kind", flat=True)) == set(KINDS)
    assert find_faults(study) == []
    questions = study.calibration_questions.select_related("post")
    assert len(questions) == 25
    assert {question.post.purpose for question in questions} == {Post.Purpose.CALIBRATION}
    assert {question.value_key for question in questions} <= set(study.value_keys)
    posts = study.posts.filter(purpose=Post.Purpose.LABELING)
    lines = (ANNOTATION_CONTENT / "demo_posts.jsonl").read_text(encoding="utf-8").splitlines()
    assert posts.count() == len(lines) > study.posts_per_rater
    texts = list(study.posts.values_list("text", flat=True))
    assert all(text.strip() for text in texts)
    assert len(set(texts)) == len(texts)
    codes = CompletionCode.objects.filter(study=study)
    assert set(codes.values_list("outcome", flat=True)) == set(Outcome.values)
    assert len(set(codes.values_list("code", flat=True))) == len(Outcome.values)


def test_loading_the_demo_again_changes_nothing():
    assert "Loaded study 'demo' with" in call("load_demo")
    Study.objects.filter(slug="demo").update(name="Mine now")
    n_posts = Post.objects.count()
    assert "is there already" in call("load_demo")
    assert Study.objects.get().name == "Mine now"
    assert Post.objects.count() == n_posts


def test_no_two_installations_share_a_completion_code():
    study, _ = load_demo_study()
    first = set(study.completion_codes.values_list("code", flat=True))
    study.calibration_questions.all().delete()
    study.delete()
    second = set(load_demo_study()[0].completion_codes.values_list("code", flat=True))
    assert not first & second


def test_the_whole_of_a_simulated_demo_from_the_database_to_the_report():
    call("load_demo")
    Study.objects.update(posts_per_rater=6, strategy="fixed")
    said = call("simulate", "demo", "--raters", "5", "--direct")
    assert "5 simulated raters took part; they are marked as simulated for ever." in said
    assert (
        Enrollment.objects.filter(outcome=Outcome.COMPLETED, rater__origin=Rater.Origin.SIMULATED).count()
        == 5
    )
    assert (Annotation.objects.count(), CalibrationAnswer.objects.count()) == (30, 125)
    assert "All 5 simulated raters have finished already." in call(
        "simulate", "demo", "--raters", "5", "--direct"
    )
    assert "2 simulated raters took part" in call("simulate", "demo", "--raters", "7", "--direct")
    assert Annotation.objects.count() == 42
    assert "Study 'demo' is fitted." in call("fit", "demo", *TREES)
    assert "7 raters are SIMULATED." in call("evaluate", "demo")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "--raters", "1", "--direct"], "no study 'nowhere'"),
        (["here", "--raters", "0", "--direct"], "must be 1 or more"),
        (["here", "--raters", "1", "--at-once", "0"], "must be 1 or more"),
        (["closed", "--raters", "1", "--direct"], "Study 'closed' is not live"),
        (["here", "--raters", "1", "--url", "http://127.0.0.1:9"], "is the study served there"),
    ],
)
def test_simulate_says_what_is_wrong(arguments, message):
    StudyFactory(slug="here", posts=1, posts_per_rater=1)
    StudyFactory(slug="closed", posts=1, posts_per_rater=1, state=Study.State.CLOSED)
    with pytest.raises(CommandError, match=message):
        call("simulate", *arguments)
    assert not Enrollment.objects.exists()


def test_load_value_system_stores_the_shipped_values_and_renews_their_wording(tmp_path):
    assert "19 values" in call("load_value_system")
    call("load_value_system")
    system = ValueSystem.objects.get()
    changed = load_default_tree().to_dict()
    changed["root"]["question"] = "What is it about?"
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(changed), encoding="utf-8")
    call("load_value_system", str(path))
    system.refresh_from_db()
    assert get_tree(system).root.question == "What is it about?"


def test_load_value_system_reads_any_system(tmp_path):
    path = tmp_path / "ten.json"
    path.write_text(json.dumps(load_ten().to_dict()), encoding="utf-8")
    assert "10 values" in call("load_value_system", str(path))
    assert get_tree(ValueSystem.objects.get()) == load_ten()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[1, 2]", "value system"),
        (b'{"slug": "x"}', "root"),
        (None, "cannot be read: No such file"),
    ],
)
def test_load_value_system_says_what_is_wrong_and_stores_nothing(tmp_path, content, message):
    path = tmp_path / "system.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CommandError, match=message):
        call("load_value_system", str(path))
    assert not ValueSystem.objects.exists()


def test_load_value_system_does_not_change_values_that_people_have_rated(tmp_path):
    study = make_rated_study(n_posts=4, per_post=2)
    changed = get_tree(study.value_system).to_dict()
    changed["root"]["children"].pop()
    path = tmp_path / "fewer.json"
    path.write_text(json.dumps(changed), encoding="utf-8")
    with pytest.raises(CommandError, match="cannot change"):
        call("load_value_system", str(path))


def test_fit_computes_and_evaluate_prints_the_stored_report_as_text_and_as_json():
    study = make_rated_study()
    said = call("fit", study.slug, *TREES, "--holdout-share", "0.4", "--seed", "6")
    assert "(parts fitted)" in said
    assert FitRun.objects.get().settings | {"n_trees": 5, "holdout_share": 0.4, "seed": 6} == (
        FitRun.objects.get().settings
    )
    printed = json.loads(call("evaluate", study.slug, "--format", "json"), parse_constant=pytest.fail)
    assert printed == get_latest_report(study).measures
    text = call("evaluate", study.slug)
    assert f"Study {study.slug}: 80 annotations by 10 raters of 16 posts" in text
    assert f"{printed['personalized']['rho']:.3f}" in text
    call("fit", study.slug, *TREES, "--holdout-share", "0.4", "--seed", "6")
    assert Report.objects.count() == 1


def test_evaluate_shows_the_last_good_report_after_a_fit_that_failed():
    study = make_rated_study()
    call("fit", study.slug, *TREES)
    before = call("evaluate", study.slug)
    with pytest.raises(
        CommandError, match=r"Fitting failed: .*share of held-out posts must lie between 0 and 1"
    ):
        call("fit", study.slug, *TREES, "--holdout-share", "2")
    assert call("evaluate", study.slug) == before


def test_a_fit_that_failed_is_tried_again(monkeypatch):
    study = make_rated_study()
    monkeypatch.setattr(fits, "prepare", lambda *args: 1 / 0)
    monkeypatch.setenv("JOBS_RETRY_SECONDS", "0.01")
    with pytest.raises(CommandError, match="Fitting failed: ZeroDivisionError"):
        call("fit", study.slug, *TREES)
    monkeypatch.undo()
    assert "is fitted" in call("fit", study.slug, *TREES)


def test_fit_can_leave_the_work_to_a_worker_and_says_when_it_is_done_already():
    study = make_rated_study()
    assert "is with the workers" in call("fit", study.slug, *TREES, "--queue")
    job = Job.objects.get()
    assert job.state == Job.State.QUEUED
    Job.objects.update(state=Job.State.FAILED, error="It broke.", finished_at=job.created_at)
    assert "is with the workers" in call("fit", study.slug, *TREES, "--queue")
    job.refresh_from_db()
    assert job.state == Job.State.QUEUED
    call("fit", study.slug, *TREES)
    assert "has done the same fit already" in call("fit", study.slug, *TREES, "--queue")


@pytest.mark.parametrize("command", ["fit", "evaluate"])
def test_a_study_that_does_not_exist_is_named(command):
    with pytest.raises(CommandError, match="no study 'nowhere'"):
        call(command, "nowhere")


def test_a_study_without_ratings_is_told_what_it_lacks():
    StudyFactory(slug="fresh")
    with pytest.raises(CommandError, match="a fit needs at least 4 posts and 2 raters"):
        call("fit", "fresh")
    with pytest.raises(CommandError, match=r"has no report yet; make one with: manage\.py fit fresh"):
        call("evaluate", "fresh")
