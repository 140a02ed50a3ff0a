"""The researchers' dashboard: stored reports, shown as they are."""

from django.contrib.admin.views.decorators import staff_member_required
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from annotation.models import Enrollment, Outcome, Rater
from annotation.permissions import filter_studies, get_study
from modeling.presentation import tabulate_agreement, tabulate_crowd_errors, tabulate_differences
from modeling.selectors import count_study, get_latest_report, list_jobs


@require_GET
@staff_member_required
def list_studies(request: HttpRequest) -> HttpResponse:
    """Show the account's studies with how many came and how many finished; rehearsals are not counted."""
    came = ~Q(enrollments__phase=Enrollment.Phase.REHEARSAL)
    studies = filter_studies(request.user).annotate(
        n_enrolled=Count("enrollments", filter=came),
        n_completed=Count("enrollments", filter=came & Q(enrollments__outcome=Outcome.COMPLETED)),
        n_simulated=Count("enrollments", filter=came & Q(enrollments__rater__origin=Rater.Origin.SIMULATED)),
    )
    return render(request, "modeling/studies.html", {"studies": studies})


@require_GET
@staff_member_required
def show_study(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a study's counts and its stored report."""
    study = get_study(request.user, slug)
    report = get_latest_report(study)
    measures = report.measures if report else {}
    return render(
        request,
        "modeling/study.html",
        {
            "study": study,
            "counts": count_study(study),
            "report": report,
            "measures": measures,
            "agreement": tabulate_agreement(measures) if report else [],
            "differences": tabulate_differences(measures) if report else [],
            "crowd_errors": tabulate_crowd_errors(measures, study) if report else [],
            "jobs": list_jobs(study),
        },
    )


@require_GET
@staff_member_required
def draw_agreement(request: HttpRequest, slug: str) -> HttpResponse:
    """Return the stored figure of the study's latest report."""
    report = get_latest_report(get_study(request.user, slug))
    if report is None:
        raise Http404("This study has no report yet.")
    response = HttpResponse(report.figure_svg, content_type="image/svg+xml")
    response["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
    return response
