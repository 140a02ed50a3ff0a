"""Reports from the asking to the page's row: stored once, renewed when people leave, following a running study."""

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from annotation.models import Annotation, Enrollment, Exclusion, Outcome, Rater, Study
from annotation.services import withdraw
from jobs import services as jobs
from jobs.models import Job
from modeling import handlers
from modeling.exclusions import exclude, take_back_in
from modeling.flagging import store_flags
from modeling.inclusion import DEFAULT, InclusionRule, Raters
from modeling.models import Report, ReportDocument
from modeling.quality.measuring import Flag
from modeling.reporting import making
from modeling.reporting.requests import (
    AGREEMENT,
    DEFAULT_KEY,
    DISPUTED,
    DOCUMENT,
    LIVE_EVERY,
    REFIT,
    count_since,
    find_rule,
    get_agreement,
    get_evaluation,
    key_of,
    list_result_jobs,
    list_rules,
    refresh_live_reports,
    request_agreement,
    request_document,
    request_fit_and_report,
)
from modeling.services import prepare_fit
from tests.modeling.rated import FEW, make_rated_study

pytestmark = [pytest.mark.django_db, pytest.mark.alike]
PEOPLE = InclusionRule(raters=Raters.PEOPLE)


@pytest.fixture
def study():
    return make_rated_study(n_raters=8, n_posts=8)


def report_here(study, rule=DEFAULT):
    job = jobs.run_here(request_agreement(study, rule))
    assert job.state == Job.State.DONE, job.error
    return get_agreement(study, key_of(rule))


def do_queued(kind):
    """Do what waits, as a worker would; return the jobs."""
    found = list(Job.objects.filter(kind=kind, state=Job.State.QUEUED).order_by("pk"))
    return [jobs.run_here(job) for job in found]


def add_rater(study):
    """Someone completes the study after everyone else, answering as the first one did."""
    first = study.enrollments.first()
    late = Enrollment.objects.create(
        study=study,
        rater=Rater.objects.create(origin=Rater.Origin.PROLIFIC, external_id="late"),
        outcome=Outcome.COMPLETED,
        finished_at=timezone.now(),
    )
    for annotation in first.annotations.all():
        Annotation.objects.create(
            enrollment=late, post=annotation.post, ratings=annotation.ratings, codes=annotation.codes
        )
    return late


@pytest.mark.usefixtures("drawn")
def test_a_report_is_stored_with_its_figures_its_data_and_its_code(study):
    report = report_here(study)
    assert report.measures["human_human"]["rho"] is not None
    assert report.data_hash == report.measures["data_hash"]
    assert report.code_version == report.measures["code_version"]
    assert report.rule == DEFAULT.as_dict()
    figure = report.figures.get(key="consensus_by_size")
    assert figure.table["rows"]
    assert figure.svg.startswith("<svg")
    assert figure.spec["$schema"].startswith("https://vega.github.io/schema/vega-lite/")


def test_the_same_ratings_give_the_same_numbers(study):
    first = report_here(study).measures
    second = report_here(study).measures
    assert first | {"seconds": 0} == second | {"seconds": 0}


def test_a_refresh_takes_the_place_of_the_older_report(study):
    first = report_here(study)
    n_figures = first.figures.count()
    second = report_here(study)
    assert first.pk == second.pk
    assert second.created_at > first.created_at
    assert second.figures.count() == n_figures
    assert Report.objects.count() == 1


def test_asking_again_while_it_waits_is_one_job(study):
    assert request_agreement(study) == request_agreement(study)
    assert request_agreement(study) != request_agreement(study, PEOPLE)


def test_a_report_of_older_ratings_does_not_take_the_place_of_a_newer_one(study):
    table, measures = making.compute_agreement(study, DEFAULT, lambda *progress: None)
    newer = report_here(study)
    stored = making.store_agreement(
        study, DEFAULT, table, measures, [], read_at=newer.created_at - timedelta(seconds=1)
    )
    assert stored == newer
    assert newer.figures.exists()


def test_computing_writes_nothing_until_the_effect_is_called(study):
    store = handlers.report_agreement(jobs.claim(request_agreement(study).pk))
    assert not Report.objects.exists()
    result = store()
    assert Report.objects.get().pk == result["report"]


def test_each_rule_has_its_own_report_and_can_be_found_by_its_short_name(study):
    report_here(study)
    by_people = report_here(study, PEOPLE)
    assert [choice.key for choice in list_rules(study)] == [DEFAULT_KEY, key_of(PEOPLE)]
    assert "no simulated rater" in list_rules(study)[1].phrase
    assert find_rule(study, key_of(PEOPLE)) == PEOPLE
    assert find_rule(study, DEFAULT_KEY) == DEFAULT
    assert get_agreement(study, key_of(PEOPLE)) == by_people
    assert by_people.measures["inclusion"].startswith("every person")
    with pytest.raises(LookupError, match="no report by the rule 'unheard'"):
        find_rule(study, "unheard")


def test_a_study_nobody_has_finished_says_so_and_has_no_report():
    study = make_rated_study(n_raters=3, n_posts=4)
    study.enrollments.update(outcome=Outcome.SCREENED_OUT)
    job = jobs.run_here(request_agreement(study))
    assert (job.state, job.attempts) == (Job.State.FAILED, 1)
    assert "has no rating by anyone who counts" in job.error
    assert list_result_jobs(study) == [job]


def test_a_withdrawal_has_the_report_and_its_document_made_without_the_person(study):
    before = report_here(study)
    do_queued(DOCUMENT)
    assert before.measures["disputed"]
    assert study.documents.exists()
    withdraw(study.enrollments.first())
    before.refresh_from_db()
    assert before.outdated_at is not None
    assert before.measures["disputed"] == []  # single ratings do not wait for a worker
    assert not before.figures.filter(key=DISPUTED).exists()
    assert before.figures.exists()
    assert not study.documents.exists()
    do_queued(AGREEMENT)
    after = get_agreement(study)
    assert after.outdated_at is None
    assert after.measures["n_raters"] == before.measures["n_raters"] - 1
    assert [job.state for job in do_queued(DOCUMENT)] == [Job.State.DONE]
    assert study.documents.get().sources[0]["data_hash"] == after.data_hash


def test_when_everyone_has_withdrawn_no_report_is_left(study):
    report_here(study)
    do_queued(DOCUMENT)
    for enrollment in study.enrollments.all():
        withdraw(enrollment)
    assert [job.state for job in do_queued(AGREEMENT)] == [Job.State.DONE]
    assert not study.reports.exists()
    assert not ReportDocument.objects.exists()


def test_a_report_that_was_overtaken_by_a_withdrawal_is_asked_for_again(study):
    claim = jobs.claim(request_agreement(study).pk)
    store = handlers.report_agreement(claim)
    withdraw(study.enrollments.first())
    store()
    assert get_agreement(study).outdated_at is not None
    do_queued(AGREEMENT)
    assert get_agreement(study).outdated_at is None


def test_exclusions_renew_the_reports_of_the_rules_by_which_the_person_counts(study):
    mine = report_here(study, PEOPLE)
    enrollment = study.enrollments.first()
    exclude(enrollment, reason="Answered at random.")
    mine.refresh_from_db()
    assert mine.outdated_at is not None
    do_queued(AGREEMENT)
    assert get_agreement(study, key_of(PEOPLE)).measures["n_excluded"] == 1
    take_back_in(enrollment, reason="They had not.")
    do_queued(AGREEMENT)
    assert get_agreement(study, key_of(PEOPLE)).measures["n_excluded"] == 0
    assert not Exclusion.objects.exists()


def test_new_flags_renew_the_reports_that_leave_out_the_flagged(study):
    rule = InclusionRule(without_flags=("fast_posts",))
    plain, by_flags = report_here(study), report_here(study, rule)
    first = study.enrollments.first()
    flags = {enrollment.pk: [] for enrollment in study.enrollments.all()}
    store_flags(study, flags | {first.pk: [Flag("fast_posts", 1.0, 2.0)]})
    plain.refresh_from_db()
    by_flags.refresh_from_db()
    assert plain.outdated_at is None
    assert by_flags.outdated_at is not None
    do_queued(AGREEMENT)
    assert get_agreement(study, key_of(rule)).measures["n_raters"] == plain.measures["n_raters"] - 1


def test_a_running_study_is_followed_every_few_minutes_and_only_when_people_came(study):
    Study.objects.filter(pk=study.pk).update(state=Study.State.CLOSED)
    assert refresh_live_reports() == []  # nobody can come any more
    Study.objects.filter(pk=study.pk).update(state=Study.State.LIVE)
    study.refresh_from_db()
    assert [job.kind for job in refresh_live_reports()] == [AGREEMENT]
    do_queued(AGREEMENT)
    later = timezone.now() + LIVE_EVERY + timedelta(seconds=1)
    assert refresh_live_reports(later) == []  # nobody came
    add_rater(study)
    assert count_since(study, get_agreement(study)) == 1
    assert refresh_live_reports() == []  # too soon
    assert len(refresh_live_reports(later)) == len(refresh_live_reports(later)) == 1
    assert Job.objects.filter(kind=AGREEMENT, state=Job.State.QUEUED).count() == 1


def test_fit_and_report_on_request_leads_to_an_evaluation(study, monkeypatch):
    monkeypatch.setattr("modeling.services.FitSettings", lambda **options: FEW)
    job = jobs.run_here(request_fit_and_report(study))
    assert job.state == Job.State.DONE, job.error
    for kind in ("fit", "evaluate", AGREEMENT, DOCUMENT):
        assert {job.state for job in do_queued(kind)} == {Job.State.DONE}
    report = get_evaluation(study)
    assert report.measures["personalized"]["rho"] is not None
    assert report.measures["importance"]["rows"]
    again = jobs.run_here(request_fit_and_report(study))
    assert again.result["job"] == Job.objects.get(kind="fit").pk  # what is there is not made again
    report.delete()
    jobs.run_here(request_fit_and_report(study))
    do_queued("evaluate")
    assert get_evaluation(study) is not None


def test_a_study_too_small_to_fit_says_so(study):
    Annotation.objects.exclude(post=study.posts.first()).delete()
    job = jobs.run_here(request_fit_and_report(study))
    assert job.state == Job.State.FAILED
    assert "a fit needs at least" in job.error
    with pytest.raises(Exception, match="a fit needs at least"):
        prepare_fit(study)


def test_a_document_without_any_report_is_not_written(study):
    assert jobs.run_here(request_document(study)).state == Job.State.DONE
    assert not ReportDocument.objects.exists()


def test_result_jobs_are_those_under_way_and_the_last_failure_of_each_kind(study):
    done = jobs.run_here(request_agreement(study))
    assert done.state == Job.State.DONE
    waiting = Job.objects.get(kind=DOCUMENT)
    assert list_result_jobs(study) == [waiting]
    failed = request_fit_and_report(study)
    Job.objects.filter(pk=failed.pk).update(state=Job.State.FAILED, finished_at=timezone.now(), error="No.")
    assert {job.kind for job in list_result_jobs(study)} == {DOCUMENT, REFIT}


def test_the_report_command_writes_both_files(study, tmp_path, capsys):
    call_command("report", study.slug, out=tmp_path)
    html = (tmp_path / f"{study.slug}-report.html").read_text()
    assert f"{get_agreement(study).measures['human_human']['rho']:.3f}" in html
    assert (tmp_path / f"{study.slug}-report.pdf").read_bytes().startswith(b"%PDF-")
    said = capsys.readouterr().out
    assert "It is about people alone" in said
    made = get_agreement(study).created_at
    call_command("report", study.slug, out=tmp_path)
    assert get_agreement(study).created_at == made  # nothing has changed since
    call_command("report", study.slug, out=tmp_path, refresh=True)
    assert get_agreement(study).created_at > made


@pytest.mark.parametrize(
    ("slug", "folder", "message"),
    [("nowhere", ".", "There is no study 'nowhere'"), ("", "not-there", "There is no folder")],
    ids=["study", "folder"],
)
def test_the_report_command_says_what_is_wrong(study, tmp_path, slug, folder, message):
    with pytest.raises(CommandError, match=message):
        call_command("report", slug or study.slug, out=tmp_path / folder)
