"""Who has which role in a study: given, changed and taken away by its owners."""

from django import forms
from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from annotation.errors import LastOwner
from annotation.models import Study, StudyAccess, StudyEvent
from annotation.permissions import DEEDS, Deed, get_study, may
from annotation.services.access import give_access, take_access

N_EVENTS = 20
LAST_OWNER = (
    "{} is the last owner of this study, so this role stays. Make somebody else an owner first, "
    "and then it can change."
)


class GiveAccessForm(forms.Form):
    """An account, by its name, and the role it gets."""

    username = forms.CharField(
        label="Account name", max_length=150, help_text="As its holder types it to log in."
    )
    role = forms.ChoiceField(
        label="Role", choices=StudyAccess.Role.choices, initial=StudyAccess.Role.ASSISTANT
    )

    def clean_username(self) -> str:
        name = self.cleaned_data["username"].strip()
        users = get_user_model().objects.filter(is_active=True, is_staff=True)
        self.user = users.filter(username=name).first() or users.filter(username__iexact=name).first()
        if self.user is None:
            raise ValidationError(
                f"No researcher has an account named '{name}'. Check the spelling, or ask an administrator to make one."
            )
        return self.user.get_username()


@require_safe
@staff_member_required
def show_access(request: HttpRequest, slug: str) -> HttpResponse:
    """Show who has access to a study, and what changed lately."""
    return _render(request, get_study(request.user, slug, Deed.GIVE_ACCESS), GiveAccessForm())


@require_POST
@staff_member_required
def give_role(request: HttpRequest, slug: str) -> HttpResponse:
    """Give an account a role in the study, or another one than it had."""
    study = get_study(request.user, slug, Deed.GIVE_ACCESS)
    form = GiveAccessForm(request.POST)
    if not form.is_valid():
        return _render(request, study, form, status=422)
    try:
        access = give_access(study, form.user, form.cleaned_data["role"], actor=request.user)
    except LastOwner as last:
        messages.error(request, LAST_OWNER.format(last))
    else:
        messages.success(request, f"{form.user} now has this role: {access.get_role_display()}.")
    return _go_on(request, study)


@require_POST
@staff_member_required
def take_role(request: HttpRequest, slug: str, user_id: int) -> HttpResponse:
    """Take an account's access to the study away."""
    study = get_study(request.user, slug, Deed.GIVE_ACCESS)
    user = get_object_or_404(get_user_model(), pk=user_id, study_accesses__study=study)
    try:
        take_access(study, user, actor=request.user)
    except LastOwner as last:
        messages.error(request, LAST_OWNER.format(last))
    else:
        messages.success(request, f"{user} has no access to this study any more.")
    return _go_on(request, study)


def _go_on(request: HttpRequest, study: Study) -> HttpResponse:
    """Lead back to the page, unless its reader has just given up the right to see it."""
    if may(request.user, study, Deed.GIVE_ACCESS):
        return redirect("modeling:access", study.slug)
    return redirect("modeling:studies")


def _render(request: HttpRequest, study: Study, form: GiveAccessForm, status: int = 200) -> HttpResponse:
    context = {
        "study": study,
        "form": form,
        "accesses": study.accesses.select_related("user").order_by("user__username"),
        "roles": StudyAccess.Role.choices,
        "deeds": [(deed, *(deed in DEEDS[role] for role in StudyAccess.Role)) for deed in Deed],
        "events": study.events.filter(action=StudyEvent.Action.ACCESS)[:N_EVENTS],
    }
    return render(request, "modeling/access.html", context, status=status)
