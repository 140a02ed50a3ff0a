"""Erasing one person, and what names everyone: asked for on one page, confirmed on the next."""

from django import forms
from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_POST

from annotation.models import Study
from annotation.permissions import Deed, filter_studies, get_study
from modeling.erasure import NOTHING_FOUND, erase_person, find_person
from modeling.errors import ErasureRefused
from modeling.retention import erase_identities, get_note, select_identifiable

THIS, ALL = "this", "all"


class PersonForm(forms.Form):
    """Who is to be erased, from where, and why."""

    who = forms.CharField(
        max_length=200, error_messages={"required": "Give a pseudonym or the id that Prolific gave them."}
    )
    scope = forms.ChoiceField(choices=[(THIS, "this study"), (ALL, "all")], initial=THIS)
    reason = forms.CharField(
        max_length=300, error_messages={"required": "Say why, without naming the person: the log keeps it."}
    )


class IdentitiesForm(forms.Form):
    """Whether free texts go too, and why."""

    with_texts = forms.BooleanField(required=False, initial=True)
    reason = forms.CharField(max_length=300, error_messages={"required": "Say why: the log keeps it."})


@require_GET
@staff_member_required
def show_erasing(request: HttpRequest, slug: str) -> HttpResponse:
    """Show both forms."""
    return _show(request, get_study(request.user, slug, Deed.ERASE))


@require_POST
@staff_member_required
def erase(request: HttpRequest, slug: str) -> HttpResponse:
    """Look for a person; erase them once that is confirmed."""
    study = get_study(request.user, slug, Deed.ERASE)
    form = PersonForm(request.POST)
    if not form.is_valid():
        return _show(request, study, person=form, status=422)
    who, reason = form.cleaned_data["who"], form.cleaned_data["reason"]
    studies = _select_studies(request, study, form.cleaned_data["scope"])
    if "confirmed" not in request.POST:
        found = find_person(who, studies)
        if found:
            return render(
                request,
                "modeling/erase_person.html",
                {
                    "study": study,
                    "form": form,
                    "found": found,
                    "names": sorted({e.study.name for e in found}),
                },
            )
        form.add_error("who", NOTHING_FOUND)
        return _show(request, study, person=form, status=422)
    try:
        erasure = erase_person(who, studies, reason=reason, actor=request.user)
    except ErasureRefused as refusal:
        form.add_error("who", str(refusal))
        return _show(request, study, person=form, status=422)
    messages.success(
        request, f"The person is erased: {erasure.n_rows} rows. The log keeps the number, not the name."
    )
    return redirect("modeling:erase", study.slug)


@require_POST
@staff_member_required
def anonymize(request: HttpRequest, slug: str) -> HttpResponse:
    """Erase what names the study's raters, once that is confirmed."""
    study = get_study(request.user, slug, Deed.ERASE)
    form = IdentitiesForm(request.POST)
    if not form.is_valid():
        return _show(request, study, identities=form, status=422)
    if "confirmed" not in request.POST:
        context = {"study": study, "form": form, "n_people": select_identifiable(study).count()}
        return render(request, "modeling/erase_identities.html", context)
    try:
        done = erase_identities(
            study,
            with_texts=form.cleaned_data["with_texts"],
            reason=form.cleaned_data["reason"],
            actor=request.user,
        )
    except ErasureRefused as refusal:
        form.add_error(None, str(refusal))
        return _show(request, study, identities=form, status=422)
    messages.success(
        request, f"What names {done.n_people} people is erased. Their ratings stay, of nobody in particular."
    )
    return redirect("modeling:erase", study.slug)


def _select_studies(request: HttpRequest, study: Study, scope: str) -> QuerySet[Study]:
    """This study, or all in which this account may erase: of others it learns nothing."""
    mine = filter_studies(request.user, Deed.ERASE)
    return mine if scope == ALL else mine.filter(pk=study.pk)


def _show(
    request: HttpRequest,
    study: Study,
    *,
    person: PersonForm | None = None,
    identities: IdentitiesForm | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "study": study,
        "person": person or PersonForm(),
        "identities": identities or IdentitiesForm(),
        "n_people": select_identifiable(study).count(),
        "n_inside": study.enrollments.filter(outcome="").count(),
        "note": get_note(study),
    }
    return render(request, "modeling/erase.html", context, status=status)
