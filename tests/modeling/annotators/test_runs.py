"""Making, starting, cancelling and resuming runs, and what they come to in numbers."""

from decimal import Decimal

import numpy as np
import pytest

from annotation.errors import Refused
from annotation.models import StudyEvent
from jobs import services as jobs
from jobs.errors import PermanentError
from modeling.annotators import handlers
from modeling.annotators.configs import retire
from modeling.annotators.facts import count_progress, summarize_run
from modeling.annotators.runs import (
    cancel_run,
    create_run,
    forget_failures,
    list_payload,
    reopen_run,
    resume_run,
    start_run,
)
from modeling.annotators.selecting import (
    chosen_posts,
    count_posts,
    first_posts,
    iterate_posts,
    iterate_unread,
    study_posts,
)
from modeling.annotators.vectors import load_vectors
from modeling.models import AnnotatorRun, Curation, FeedPost, ModelCall, ModelReading
from modeling.prompts.rendering import PostText
from tests.factories import AnnotatorModelFactory, AnnotatorRunFactory, PostFactory, StudyFactory
from tests.modeling.annotators.ground import make_run, read_all

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    return StudyFactory(posts=0, questions=0, steps=())


@pytest.fixture
def annotator(standin, study):
    return AnnotatorModelFactory(study=study)


def test_a_run_reads_the_posts_people_label_and_no_others(annotator, study):
    PostFactory(study=study, text="One.")
    PostFactory(study=study, text="A question.", purpose="calibration")
    PostFactory(study=study, text="")
    PostFactory(text="Another study's.")
    reply = PostFactory(study=study, text="Two.", context_kind="reply", context_text="Asked.")
    run = AnnotatorRunFactory(annotator=annotator)
    assert count_posts(run) == 2
    assert [post for _, post in iterate_posts(run)] == [PostText("One."), PostText("Two.", "reply", "Asked.")]
    chosen = AnnotatorRunFactory(annotator=annotator, selection=chosen_posts([reply.pk]))
    assert [post_id for post_id, _ in iterate_posts(chosen)] == [reply.pk]
    assert count_posts(AnnotatorRunFactory(annotator=annotator, selection=first_posts(study, 1))) == 1


def test_a_run_of_a_curation_reads_the_feed_posts_still_in(annotator, study):
    curation = Curation.objects.create(study=study, name="Feeds")
    for key, dropped in (("a", ""), ("b", "language"), ("c", "")):
        FeedPost.objects.create(
            curation=curation,
            key=key,
            text=key,
            dropped_at=dropped,
            reason=dropped and "other",
            context_kind="reply",
        )
    run = read_all(AnnotatorRunFactory(annotator=annotator, curation=curation))
    keys = ModelReading.objects.filter(run=run, fault="").values_list("feed_post__key", flat=True)
    assert sorted(keys) == ["a", "c"]
    ids, ratings = load_vectors(run)
    assert list(ids) == list(
        FeedPost.objects.filter(dropped_at="").order_by("pk").values_list("pk", flat=True)
    )
    assert ratings.shape == (2, 10)


def test_pages_of_unread_posts_skip_none_and_repeat_none(annotator, study, monkeypatch):
    monkeypatch.setattr("modeling.annotators.selecting.AT_ONCE", 3)
    posts = [PostFactory(study=study, text=f"{n}") for n in range(10)]
    run = AnnotatorRunFactory(annotator=annotator)
    ModelReading.objects.create(run=run, post=posts[4], fault="empty")
    unread = [post_id for post_id, _ in iterate_unread(run, posts[1].pk, posts[8].pk)]
    assert unread == [posts[n].pk for n in (1, 2, 3, 5, 6, 7, 8)]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"mode": "pigeon"}, "calls or batch"),
        ({"concurrency": 0}, "from 1 to 64"),
        ({"concurrency": 65}, "from 1 to 64"),
        ({"concurrency": True}, "from 1 to 64"),
        ({"budget": Decimal(0)}, "above 0"),
        ({"budget": Decimal("NaN")}, "above 0"),
        ({"selection": {"posts": "every"}}, "no selection"),
        ({"selection": {"posts": "chosen", "ids": []}}, "no post to read"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_run_that_makes_no_sense_is_refused(annotator, study, changes, told):
    PostFactory(study=study)
    with pytest.raises(Refused, match=told):
        create_run(annotator, **changes)
    assert not AnnotatorRun.objects.exists()


def test_a_retired_model_starts_no_run(annotator, study):
    PostFactory(study=study)
    retire(annotator)
    with pytest.raises(Refused, match="retired"):
        create_run(annotator)


def test_starting_twice_is_one_job_and_each_start_is_logged(annotator, study):
    PostFactory(study=study)
    run = AnnotatorRunFactory(annotator=annotator)
    job = start_run(run)
    assert start_run(run) == job
    assert job.payload == list_payload(run) == {"run": run.pk, "study": study.pk}
    assert cancel_run(run)
    assert not cancel_run(run)
    job.refresh_from_db()
    assert (run.state, job.state) == ("cancelled", "cancelled")
    with pytest.raises(Refused, match="resume it"):
        start_run(run)
    again = resume_run(run, budget=Decimal(3))
    assert again != job
    assert resume_run(run) == again
    run.refresh_from_db()
    assert (run.state, run.budget, run.n_starts) == ("running", 3, 2)
    said = list(
        StudyEvent.objects.filter(study=study, summary__contains="run").values_list("summary", flat=True)
    )
    assert [summary.split()[0] for summary in said] == ["Resumed", "Cancelled", "Started"]


def test_a_run_that_is_done_cannot_be_resumed(standin):
    run = read_all(make_run(["One."]))
    with pytest.raises(Refused, match="done"):
        resume_run(run)


def test_a_run_whose_job_failed_can_be_resumed(standin, monkeypatch):
    def fail(*_):
        raise PermanentError("a fault of ours")

    run = make_run(["One."])
    monkeypatch.setattr(handlers, "work_lane", fail)
    job = jobs.run_here(start_run(run), poll_seconds=0.01)
    monkeypatch.undo()
    assert job.state == "failed"
    job = jobs.run_here(resume_run(run), poll_seconds=0.01)
    run.refresh_from_db()
    assert (job.state, run.state) == ("done", "done")


def test_a_run_as_a_part_of_another_job_tells_its_state(standin):
    run = make_run(["One."])
    job = jobs.run_here(
        jobs.enqueue(kind="annotate", key="a part", payload=list_payload(run)), poll_seconds=0.01
    )
    assert job.result == {"state": "done", "problem": ""}
    cancelled = make_run(["Two."])
    cancel_run(cancelled)
    job = jobs.enqueue(kind="annotate", key="another part", payload=list_payload(cancelled))
    assert jobs.run_here(job, poll_seconds=0.01).result == {"state": "cancelled", "problem": ""}
    reopen_run(cancelled)
    job = jobs.enqueue(kind="annotate", key="a third part", payload=list_payload(cancelled))
    assert jobs.run_here(job, poll_seconds=0.01).result["state"] == "done"


def test_failures_without_a_reply_are_tried_again_on_request_and_bad_replies_are_not(standin):
    run = read_all(make_run(["A. [[fault:server_error*6]]", "B. [[fault:refusal]]", "C."]))
    assert forget_failures(run) == 1
    assert run.state == "stopped"
    jobs.run_here(resume_run(run), poll_seconds=0.01)
    facts = summarize_run(AnnotatorRun.objects.get(pk=run.pk))
    assert (facts.n_read, [each.fault for each in facts.failures]) == (2, ["refused"])


# --- numbers ----------------------------------------------------------------------------------------


def test_what_a_run_came_to_counts_repairs_and_failures(standin):
    run = read_all(
        make_run(
            ["Good.", "Mended. [[fault:words*1]]", "Refused. [[fault:refusal]]", "Bad. [[fault:array]]"],
            input_price=Decimal(10),
            output_price=Decimal(20),
        )
    )
    facts = summarize_run(run)
    assert (facts.n_posts, facts.n_read, facts.n_failed, facts.n_repaired) == (4, 2, 2, 1)
    assert (facts.n_calls, facts.n_own) == (6, 6)
    assert {failure.fault: failure.number for failure in facts.failures} == {"refused": 1, "wrong_shape": 1}
    assert facts.cost == facts.spent == run.spent > 0
    assert facts.cost_per_1000 == facts.cost * 250
    assert facts.is_standin
    assert count_progress(run) == {"n_done": 4, "n_failed": 2, "n_posts": 4}
    calls = ModelCall.objects.all()
    assert facts.prompt_tokens == sum(call.prompt_tokens for call in calls)
    latencies = sorted(call.latency_seconds for call in calls)
    assert facts.latency_median == latencies[2]
    assert facts.latency_p95 == latencies[-1]


def test_before_the_first_reading_there_are_no_rates(annotator, study):
    PostFactory(study=study)
    facts = summarize_run(AnnotatorRunFactory(annotator=annotator))
    assert (facts.cost_per_1000, facts.latency_median, facts.latency_p95) == (None, None, None)


def test_vectors_are_means_over_good_samples_and_nan_where_none_is(annotator, study):
    posts = [PostFactory(study=study) for _ in range(3)]
    run = AnnotatorRunFactory(annotator=annotator)
    ModelReading.objects.create(run=run, post=posts[0], sample=0, ratings=(1.0,) * 10)
    ModelReading.objects.create(run=run, post=posts[0], sample=1, ratings=(2.0,) * 10)
    ModelReading.objects.create(run=run, post=posts[0], sample=2, fault="empty")
    ModelReading.objects.create(run=run, post=posts[2], sample=0, fault="empty")
    ids, ratings = load_vectors(run)
    assert list(ids) == [posts[0].pk, posts[2].pk]
    assert np.array_equal(ratings, [[1.5] * 10, [np.nan] * 10], equal_nan=True)
    empty = AnnotatorRunFactory(annotator=annotator)
    assert load_vectors(empty)[1].shape == (0, 10)


def test_a_selection_of_the_study_is_what_the_study_has_when_the_run_comes_to_it(annotator, study):
    PostFactory(study=study)
    run = AnnotatorRunFactory(annotator=annotator, selection=study_posts(study))
    PostFactory(study=study)
    assert count_posts(run) == 2
    assert run.estimate["n_posts"] == 1
