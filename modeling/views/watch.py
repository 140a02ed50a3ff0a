"""Watching a running study, its people, and one person's journey."""

from uuid import UUID

from django import forms
from django.contrib.admin.views.decorators import staff_member_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from annotation.models import Outcome, Study
from annotation.permissions import Deed, get_study, may
from modeling.watching.funnel import name_kind
from modeling.watching.groups import GROUPS
from modeling.watching.journeys import find_person, tell_journey
from modeling.watching.overview import watch
from modeling.watching.people import REHEARSAL, PeopleFilter, list_people
from modeling.watching.presence import ACTIVE_MINUTES, SILENT_MINUTES

POLL_SECONDS = 5


@require_GET
@never_cache
@staff_member_required
def show_watch(request: HttpRequest, slug: str) -> HttpResponse:
    """Show what happens in a study; to htmx, the parts that change alone."""
    study = get_study(request.user, slug, Deed.SEE)
    context = {
        "study": study,
        "watch": watch(study, request.GET.get("group", "")),
        "poll_seconds": POLL_SECONDS,
        "active_minutes": ACTIVE_MINUTES,
        "silent_minutes": SILENT_MINUTES,
    }
    response = render(request, "modeling/_watch.html" if request.htmx else "modeling/watch.html", context)
    patch_vary_headers(response, ["HX-Request"])
    return response


class PeopleForm(forms.Form):
    """What the list of people is narrowed to. Whatever cannot be understood narrows it to nobody and says so."""

    group = forms.ChoiceField(label="Group", required=False)
    where = forms.ChoiceField(label="How far", required=False)
    step = forms.ModelChoiceField(
        label="Stands or left at",
        queryset=None,
        required=False,
        to_field_name="position",
        empty_label="Any step",
    )
    q = forms.CharField(
        label="Pseudonym",
        required=False,
        max_length=36,
        help_text="Its beginning is enough.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, study: Study, data) -> None:
        super().__init__(data, auto_id="filter-%s")
        groups = [(group.key, group.label) for group in GROUPS]
        self.fields["group"].choices = [("", "All but rehearsals"), *groups, (REHEARSAL, "Rehearsals")]
        self.fields["where"].choices = [
            ("", "Anywhere"),
            ("inside", "Inside"),
            ("silent", f"Inside, silent for {SILENT_MINUTES} minutes"),
            *((outcome.value, str(outcome.label)) for outcome in Outcome),
        ]
        self.fields["step"].queryset = study.steps.order_by("position")
        self.fields["step"].label_from_instance = lambda step: f"{step.position}. {name_kind(step.kind)}"

    def build_filter(self) -> PeopleFilter:
        found = self.cleaned_data
        return PeopleFilter(found["group"], found["where"], found["step"], found["q"])


@require_GET
@never_cache
@staff_member_required
def show_people(request: HttpRequest, slug: str) -> HttpResponse:
    """List a study's people by pseudonym."""
    study = get_study(request.user, slug, Deed.SEE)
    form = PeopleForm(study, request.GET)
    people = (
        list_people(study, form.build_filter(), request.GET.get("page", "1")) if form.is_valid() else None
    )
    query = request.GET.copy()
    query.pop("page", None)
    context = {"study": study, "form": form, "people": people, "query": query.urlencode()}
    return render(request, "modeling/people.html", context, status=422 if people is None else 200)


@require_GET
@never_cache
@staff_member_required
def show_person(request: HttpRequest, slug: str, pseudonym: UUID) -> HttpResponse:
    """Show one person's journey."""
    study = get_study(request.user, slug, Deed.SEE)
    person = find_person(study, pseudonym)
    if person is None:
        raise Http404("Nobody in this study has this pseudonym.")
    is_known = person.outcome != Outcome.WITHDREW and may(request.user, study, Deed.IDENTIFY)
    journey = tell_journey(person)
    context = {
        "study": study,
        "journey": journey,
        "clock": "j M, H:i:s" if journey.spans_days else "H:i:s",
        "identity": person if is_known else None,
        "may_read": may(request.user, study, Deed.EXPORT),
    }
    return render(request, "modeling/person.html", context)
