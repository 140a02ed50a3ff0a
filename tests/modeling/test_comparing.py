"""Comparisons of annotator models from stored rows to a stored report, and what makes them outdated."""

import math
from decimal import Decimal

import pytest
from django.utils import timezone

from annotation.models import Enrollment, Post
from annotation.services import withdraw
from jobs import services as jobs
from jobs.models import Job
from modeling.exclusions import exclude
from modeling.inclusion import DEFAULT, InclusionRule, Raters
from modeling.models import AnnotatorRun, FitRun, ModelCall, PromptVersion, Report
from modeling.presentation import write_comparison
from modeling.reporting import handlers
from modeling.reporting.readers import list_candidates, list_unseen
from modeling.reporting.requests import (
    COMPARE,
    DOCUMENT,
    find_rule,
    get_comparison,
    key_of,
    list_rules,
    request_agreement,
    request_comparison,
)
from modeling.reports.figures.render import Drawn
from tests.modeling.rated import make_rated_study
from tests.modeling.read_by_models import make_annotator, make_run

pytestmark = [pytest.mark.django_db, pytest.mark.alike]
PEOPLE = InclusionRule(raters=Raters.PEOPLE)
MOST_COMMON = "Zero, version 1"


@pytest.fixture(autouse=True)
def drawn(monkeypatch):
    """Figures are drawn by a moment's work; the room of reports tests the drawing."""
    monkeypatch.setattr(handlers, "render", lambda spec: Drawn(svg="<svg></svg>", pdf=b"%PDF", png=b"PNG"))


@pytest.fixture
def study():
    return make_rated_study(n_raters=8, n_posts=8)


@pytest.fixture
def annotator(study):
    return make_annotator(study)


def compare_here(study, rule=DEFAULT, **options):
    job = jobs.run_here(request_comparison(study, rule, **options))
    assert job.state == Job.State.DONE, job.error
    return get_comparison(study, key_of(rule), **options)


def model_of(report, name=MOST_COMMON):
    return next(model for model in report.measures["models"] if model["label"] == name)


def hold_out(study, n_posts=3):
    """A fit that set these posts aside and did nothing else."""
    ids = list(
        study.posts.filter(annotations__isnull=False).distinct().order_by("pk").values_list("pk", flat=True)
    )
    return FitRun.objects.create(
        study=study,
        key="fit",
        settings={},
        data_hash="e" * 64,
        code_version="1",
        consensus_name="text",
        holdout_post_ids=ids[:n_posts],
        feature_names=[],
        notes=[],
        n_raters=8,
        n_annotations=30,
        has_simulated=False,
        artefact="",
        artefact_sha256="",
    )


def do_queued(kind):
    return [
        jobs.run_here(job) for job in Job.objects.filter(kind=kind, state=Job.State.QUEUED).order_by("pk")
    ]


def test_a_model_that_says_what_people_say_is_compared_and_drawn(study, annotator):
    make_run(annotator)
    report = compare_here(study)
    model = model_of(report)
    assert model["rho"] > report.measures["human_human"]["rho"]
    assert model["error"]["mae"] <= 0.5  # what rounding the consensus can make of the mean
    assert report.kind == Report.Kind.COMPARISON
    assert set(report.figures.values_list("key", flat=True)) >= {"comparison_agreement", "comparison_work"}
    assert report.data_hash == report.measures["data_hash"]


def test_the_newest_finished_run_over_the_studys_posts_counts(study, annotator):
    make_run(annotator, read=lambda post, crowd: (0.0,) * len(crowd))
    newest = make_run(annotator)
    make_run(annotator, is_preview=True)
    make_run(annotator, state=AnnotatorRun.State.STOPPED)
    assert model_of(compare_here(study))["run"] == newest.pk


def test_models_without_a_finished_run_are_named_with_the_reason(study, annotator):
    make_run(annotator)
    make_annotator(study, "Idle")
    make_run(make_annotator(study, "Halted"), state=AnnotatorRun.State.STOPPED)
    found = {row["label"]: row["reason"] for row in compare_here(study).measures["absent"]}
    assert found == {
        "Idle, version 1": "it has no run over the study's posts yet",
        "Halted, version 1": "no run over the study's posts is done; the newest is stopped",
    }


def test_retired_models_and_those_that_read_no_values_are_left_out(study, annotator):
    make_annotator(study, "Old", retired_at=timezone.now())
    make_annotator(study, "Safety", purpose=PromptVersion.Purpose.NSFW)
    make_annotator(study, "Local", kind="encoder")
    assert [candidate.name for candidate in list_candidates(study)] == [MOST_COMMON, "Local, version 1"]


def test_posts_that_a_model_was_trained_on_are_not_used(study):
    seen = list(study.posts.order_by("pk").values_list("pk", flat=True)[:3])
    make_run(make_annotator(study, trained_on=seen))
    report = compare_here(study)
    n_rated = report.measures["common"]["n_among"]
    assert report.measures["common"]["n_posts"] == n_rated - 3
    assert model_of(report)["n_trained_on"] == 3


def test_cost_time_and_failures_come_from_the_calls_behind_the_readings(study, annotator):
    run = make_run(annotator, faults=("refused",))
    reading = run.readings.exclude(call=None).first()
    ModelCall.objects.create(  # a repair that the reading rests on too
        study=study,
        request_hash="r" * 64,
        provider="campus",
        model_name="small",
        state=ModelCall.State.ANSWERED,
        repairs=reading.call,
        cost=Decimal("0.5"),
        latency_seconds=1000,
    )
    work = model_of(compare_here(study))["work"]
    n_posts = run.readings.count()
    assert work["cost"] == pytest.approx(0.1 * n_posts + 0.5)
    assert work["cost_per_thousand"] == pytest.approx(1000 * work["cost"] / n_posts)
    assert work["latency_calls"] == n_posts + 1
    assert work["latency_median"] == (n_posts + 2) / 2
    assert work["failures"] == {"refused": 1}
    assert (work["asked"], work["read"]) == (n_posts, n_posts - 1)


def test_a_repair_that_gave_the_ratings_counts_with_the_call_it_repairs(study, annotator):
    run = make_run(annotator)
    reading = run.readings.first()
    reading.call = ModelCall.objects.create(
        study=study,
        request_hash="r" * 64,
        provider="campus",
        model_name="small",
        state=ModelCall.State.ANSWERED,
        repairs=reading.call,
        cost=Decimal("0.5"),
        latency_seconds=1,
    )
    reading.save()
    assert model_of(compare_here(study))["work"]["cost"] == pytest.approx(0.1 * run.readings.count() + 0.5)


def test_a_model_without_prices_has_no_cost_and_a_local_one_none_to_pay(study):
    make_run(make_annotator(study, "Free", input_price=0))
    make_run(make_annotator(study, "Local", kind="encoder"))
    report = compare_here(study)
    free, local = (model_of(report, f"{name}, version 1")["work"] for name in ("Free", "Local"))
    assert (free["cost_per_thousand"], free["cost_reason"]) == (None, "no price is entered for it")
    assert local["cost_per_thousand"] == 0
    assert local["latency_reason"] == "it runs on this machine and makes no calls"


def test_what_came_through_the_stand_in_is_marked_even_if_only_the_run_says_so(study, annotator):
    make_run(annotator, is_standin=True)
    report = compare_here(study)
    assert report.measures["n_standin"] == 1
    assert "Stand-in: not from a real model" in report.figures.get(key="comparison_agreement").caption
    assert "Stand-in: not from a real model." in write_comparison(report.measures)


def test_held_out_posts_are_those_of_the_newest_fit_and_stored_beside_the_others(study, annotator):
    make_run(annotator)
    fit_run = hold_out(study)
    everything, held_out = compare_here(study), compare_here(study, holdout_only=True)
    assert held_out.pk != everything.pk
    assert held_out.measures["common"]["n_among"] == len(fit_run.holdout_post_ids)
    assert get_comparison(study) == everything


def test_held_out_posts_alone_need_a_fit(study, annotator):
    make_run(annotator)
    job = jobs.run_here(request_comparison(study, holdout_only=True))
    assert job.state == Job.State.FAILED
    assert "Fit a model first" in job.error


def test_without_a_finished_run_nothing_is_stored_and_the_reason_is_told(study, annotator):
    job = jobs.run_here(request_comparison(study))
    assert job.state == Job.State.FAILED
    assert "No annotator model" in job.error
    assert get_comparison(study) is None


def test_a_comparison_is_renewed_in_place(study, annotator):
    make_run(annotator)
    first = compare_here(study)
    second = compare_here(study)
    assert second.pk == first.pk
    assert second.created_at > first.created_at
    assert study.reports.filter(kind=Report.Kind.COMPARISON).count() == 1


def test_a_withdrawal_or_an_exclusion_makes_it_outdated_and_made_anew(study, annotator):
    make_run(annotator)
    report = compare_here(study)
    n_raters = report.measures["n_raters"]
    enrollments = list(Enrollment.objects.filter(study=study).order_by("pk")[:2])
    for done, leave in enumerate(
        (lambda each: withdraw(each), lambda each: exclude(each, reason="careless")), 1
    ):
        leave(enrollments[done - 1])
        report.refresh_from_db()
        assert report.outdated_at is not None
        assert do_queued(COMPARE)[0].state == Job.State.DONE
        report.refresh_from_db()
        assert report.outdated_at is None
        assert report.measures["n_raters"] == n_raters - done


def test_the_renewal_of_a_comparison_keeps_to_its_posts_and_rule(study, annotator):
    make_run(annotator)
    hold_out(study)
    compare_here(study, holdout_only=True)
    withdraw(Enrollment.objects.filter(study=study).first())
    job = Job.objects.get(kind=COMPARE, state=Job.State.QUEUED)
    assert job.payload == {"study": study.pk, "rule": DEFAULT.as_dict(), "holdout_only": True}


def test_one_that_nobody_can_be_counted_for_any_more_is_removed(study, annotator):
    make_run(annotator)
    compare_here(study, PEOPLE)
    for enrollment in Enrollment.objects.filter(study=study):
        exclude(enrollment, reason="all of them")
    assert {job.state for job in do_queued(COMPARE)} == {Job.State.DONE}
    assert get_comparison(study, key_of(PEOPLE)) is None


def test_comparisons_do_not_offer_rules_that_other_pages_have_no_report_by(study, annotator):
    make_run(annotator)
    compare_here(study, PEOPLE)
    assert list_rules(study) == []
    with pytest.raises(LookupError):
        find_rule(study, key_of(PEOPLE))


def test_a_run_finished_since_is_told(study, annotator):
    make_run(annotator)
    report = compare_here(study)
    assert list_unseen(study, report) == []
    make_run(annotator)
    make_run(make_annotator(study, "New"))
    assert list_unseen(study, report) == [MOST_COMMON, "New, version 1"]


def test_the_document_shows_the_comparison(study, annotator):
    make_run(annotator, is_standin=True)
    jobs.run_here(request_agreement(study))
    compare_here(study)
    do_queued(DOCUMENT)
    html = study.documents.get().html
    assert "Annotator models side by side" in html
    assert "Stand-in: not from a real model." in html


def test_posts_of_the_feed_or_the_questionnaire_that_were_read_do_not_disturb(study, annotator):
    other = Post.objects.create(study=study, key="unrated", text="Nobody rated this.")
    rated = list(study.posts.filter(annotations__isnull=False).distinct())
    make_run(annotator, posts=[other, *rated], read=lambda post, crowd: crowd or (1.0,) * 4)
    model = model_of(compare_here(study))
    assert model["n_usable"] == len(rated)
    assert math.isfinite(model["rho"])
