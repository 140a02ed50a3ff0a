"""Where the researchers' dashboard begins: the studies that an account may see."""

from django.contrib.admin.views.decorators import staff_member_required
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from annotation.models import Enrollment, Outcome, Rater
from annotation.permissions import filter_studies


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
