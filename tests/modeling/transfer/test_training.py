"""An encoder taught by soft labels, from the request to the annotator model that comes of it."""

import numpy as np
import pytest

from annotation.models import Post
from jobs.models import Job
from jobs.services import run_here
from modeling.annotators.runs import create_run, start_run
from modeling.annotators.selecting import chosen_posts
from modeling.errors import TuningRefused
from modeling.models import EncoderTraining, Paraphrase, Report
from modeling.models.encoders import Work
from modeling.reporting.subjects import get_report
from modeling.transfer import training as training_room
from modeling.transfer.services import cancel, create_training, find_job, is_under_way, name_subject, resume
from modeling.tuning.encoder import join_text, read_distributions, read_texts
from tests.modeling.transfer.ground import POINTS, SMALL, make_expert_set, make_soft_labels, make_study

pytestmark = pytest.mark.django_db


def teach(study, soft_labels, **options):
    training = create_training(study, soft_labels, SMALL, "Reader", **options)
    job = run_here(find_job(training))
    training.refresh_from_db()
    return training, job


@pytest.fixture
def ground():
    study, means = make_study()
    return study, means, make_soft_labels(study, means)


def test_it_makes_an_annotator_model_that_reads_out_of_fold_and_a_report(ground):
    study, _, soft_labels = ground
    training, job = teach(study, soft_labels, threshold=3)
    assert job.state == Job.State.DONE, job.error
    annotator = training.annotator
    assert (training.state, annotator.kind, annotator.reads_out_of_fold) == (Work.DONE, "encoder", True)
    assert annotator.trained_on == sorted(training.post_ids) and not annotator.is_standin
    measures = get_report(study, Report.Kind.ENCODER, name_subject(training)).measures
    n_judged = measures["n_posts"]
    assert n_judged == 18 and len(training.post_ids) == 90 - n_judged  # a fifth is held out
    soft, hard = measures["models"]
    assert (soft["labels"], hard["labels"]) == ("soft", "hard")
    assert soft["macro_f1"]["estimate"] > 0.6
    assert measures["differences"][0]["measures"]["rps"]["verdict"] == "better"
    assert measures["out_of_fold"]["macro_f1"]["estimate"] > 0.6
    assert measures["threshold"] == 3 and measures["annotator"] == annotator.pk


def test_its_files_under_way_are_gone_when_it_is_done(ground, settings, django_capture_on_commit_callbacks):
    from django.core.files.storage import storages

    study, _, soft_labels = ground
    with django_capture_on_commit_callbacks(execute=True):
        teach(study, soft_labels)
    left = [name for name in storages["artefacts"].listdir("")[1] if name.startswith(f"scratch-{study.slug}")]
    assert left == []


def test_a_taught_post_is_read_by_an_encoder_that_was_not_taught_it(ground):
    study, _, soft_labels = ground
    training, _ = teach(study, soft_labels)
    post = Post.objects.get(pk=training.post_ids[0])
    text = join_text(post.text, post.context_text)
    _, (as_taught, anew) = read_distributions(training.annotator, [text, f"{text} "])
    assert as_taught.shape == (3, 7)
    assert np.abs(as_taught - anew).max() > 1e-4  # a space more, and it is a post that nobody was taught
    np.testing.assert_allclose(read_texts(training.annotator, [text])[0], as_taught @ POINTS, atol=1e-6)


def test_a_run_stores_the_mean_and_the_distribution(ground):
    study, _, soft_labels = ground
    training, _ = teach(study, soft_labels)
    ids = list(study.posts.values_list("pk", flat=True)[:5])
    run = create_run(training.annotator, selection=chosen_posts(ids))
    assert run_here(start_run(run)).state == Job.State.DONE
    reading = run.readings.order_by("post").first()
    shares = np.array(reading.detail["distributions"])
    assert shares.shape == (3, 7)
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-9)
    np.testing.assert_allclose(reading.ratings, shares @ POINTS, atol=2e-3)


def test_posts_of_the_expert_set_are_judged_on_and_never_taught(ground):
    study, means, soft_labels = ground
    expert_set = make_expert_set(study, means)
    training, job = teach(study, soft_labels, expert_set=expert_set)
    assert job.state == Job.State.DONE, job.error
    assert not set(training.post_ids) & set(expert_set.items.values_list("post", flat=True))
    measures = get_report(study, Report.Kind.ENCODER, name_subject(training)).measures
    assert measures["by_experts"] and measures["n_posts"] == 12
    assert "Judged on 12 development posts" in " ".join(measures["notes"])


def test_the_same_text_and_the_same_post_in_other_words_are_not_taught_either(ground):
    study, means, soft_labels = ground
    make_expert_set(study, means)
    posts = list(study.posts.order_by("pk"))
    Post.objects.filter(pk=posts[50].pk).update(text=posts[1].text)  # as a test post of the experts
    Paraphrase.objects.create(original=posts[3], variant=posts[60], number=1)
    training, _ = teach(study, soft_labels)
    taught = set(training.post_ids)
    assert not taught & {posts[1].pk, posts[3].pk, posts[50].pk, posts[60].pk}


def test_both_losses_are_tried_where_they_are_asked_for(ground):
    study, _, soft_labels = ground
    training, _ = teach(study, soft_labels, both_losses=True)
    measures = get_report(study, Report.Kind.ENCODER, name_subject(training)).measures
    assert [(model["labels"], model["loss"]) for model in measures["models"]] == [
        ("soft", "ordinal"),
        ("hard", "ordinal"),
        ("soft", "cross_entropy"),
        ("hard", "cross_entropy"),
    ]
    assert len(measures["differences"]) == 3


def test_what_comes_of_stand_ins_is_marked(ground):
    study, means, _ = ground
    training, _ = teach(study, make_soft_labels(study, means, is_standin=True))
    report = get_report(study, Report.Kind.ENCODER, name_subject(training))
    assert training.is_standin and training.annotator.is_standin
    assert report.measures["n_standin"] == 2
    assert all("Stand-in" in figure.caption for figure in report.figures.all())


def test_too_few_posts_are_told_and_nothing_is_taught():
    study, means = make_study(n_posts=20)
    training, job = teach(study, make_soft_labels(study, means))
    assert (job.state, training.state) == (Job.State.FAILED, Work.FAILED)
    assert "different texts with soft labels are left to teach by" in training.problem


def test_a_missing_torch_is_told_with_the_way_to_mend_it(ground, monkeypatch):
    from modeling.encoders.settings import TRANSFORMER, EncoderSettings

    monkeypatch.setattr(training_room, "has_torch", lambda: False)
    study, _, soft_labels = ground
    training = create_training(study, soft_labels, EncoderSettings(kind=TRANSFORMER), "Deep")
    run_here(find_job(training))
    training.refresh_from_db()
    assert training.state == Work.FAILED and "requirements-encoder.txt" in training.problem


def test_what_was_cancelled_goes_on_and_keeps_what_is_taught(ground, monkeypatch):
    study, _, soft_labels = ground
    training = create_training(study, soft_labels, SMALL, "Reader")
    taught = []
    do = training_room.do

    def cancel_after_two(asked, place, part, report):
        taught.append(part)
        if len(taught) == 3:
            assert cancel(asked)
        return do(asked, place, part, report)

    monkeypatch.setattr(training_room, "do", cancel_after_two)
    assert run_here(find_job(training)).state == Job.State.CANCELLED
    training.refresh_from_db()
    assert training.state == Work.CANCELLED and not is_under_way(training)
    run_here(resume(training))
    training.refresh_from_db()
    assert training.state == Work.DONE
    assert len(taught) == 5 + 1  # five parts; only the one that was cancelled is taught twice


def test_labels_taken_back_while_it_is_under_way_leave_no_encoder(ground, monkeypatch):
    from modeling.softlabels.services import mark_soft_labels_outdated

    study, _, soft_labels = ground
    finish = training_room.finish

    def take_back(asked, *rest):
        finished = finish(asked, *rest)
        mark_soft_labels_outdated(study.soft_label_sets.all())
        return finished

    monkeypatch.setattr(training_room, "finish", take_back)
    training, _ = teach(study, soft_labels)
    assert training.state == Work.FAILED and training.annotator is None
    assert not study.annotators.exists()


def test_labels_of_another_study_and_a_threshold_off_the_scale_are_refused(ground):
    _, _, soft_labels = ground
    other, _ = make_study(n_posts=2)
    with pytest.raises(TuningRefused) as refused:
        create_training(other, soft_labels, SMALL, "", threshold=7)
    assert set(refused.value.faults) == {"soft_labels", "threshold", "name"}
    assert not EncoderTraining.objects.exists()


def test_what_had_begun_and_is_gone_is_begun_anew(ground, monkeypatch):
    from modeling.artefacts import delete_file

    study, _, soft_labels = ground
    training = create_training(study, soft_labels, SMALL, "Reader")
    do = training_room.do

    def fail(*given):
        raise ValueError("no room left")

    monkeypatch.setattr(training_room, "do", fail)
    assert run_here(find_job(training)).state == Job.State.FAILED
    training.refresh_from_db()
    assert (training.state, training.problem) == (Work.FAILED, "no room left")
    delete_file(find_job(training).parts.first().payload["begun"]["name"])
    monkeypatch.setattr(training_room, "do", do)
    run_here(resume(training))
    training.refresh_from_db()
    assert (training.state, training.problem) == (Work.DONE, "")


def test_what_is_done_or_under_way_is_not_begun_again(ground):
    study, _, soft_labels = ground
    training = create_training(study, soft_labels, SMALL, "Reader")
    with pytest.raises(TuningRefused, match="under way"):
        resume(training)
    run_here(find_job(training))
    with pytest.raises(TuningRefused, match="done already"):
        resume(training)
    assert not cancel(training)
