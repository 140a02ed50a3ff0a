"""A study's page API: its owners make and revoke the tokens by which programs ask for its predictions."""

from datetime import UTC, datetime, time, timedelta

from django import forms
from django.contrib import messages
from django.contrib.admin.views.decorators import staff_member_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from annotation.models import Study
from annotation.permissions import Deed, get_study
from modeling.models import ApiToken
from modeling.tokens import DEFAULT_PER_MINUTE, LONGEST_NAME, MOST_PER_MINUTE, create_token, revoke_token

# A token is access given to whoever holds it, to predictions about single people, and it outlives the session of who
# made it. So it takes the right to give access: those who set up a study take no data away, and those who may take
# data away may not pass the right on.
DEED = Deed.GIVE_ACCESS


class TokenForm(forms.Form):
    """What a token is for, how long it lasts and how often it may ask."""

    name = forms.CharField(
        label="What it is for",
        max_length=LONGEST_NAME,
        help_text="Such as the program's name. Do not name a person: it is kept in the study's log.",
    )
    last_day = forms.DateField(
        label="Last day (empty for no end)",
        required=False,
        help_text="The end of that day by UTC. A token with an end is safer.",
        widget=forms.DateInput(attrs={"type": "date"}),
    )
    requests_per_minute = forms.IntegerField(
        label="Requests per minute",
        min_value=1,
        max_value=MOST_PER_MINUTE,
        initial=DEFAULT_PER_MINUTE,
    )

    def clean_last_day(self) -> datetime | None:
        """Return the moment at which the token ends."""
        day = self.cleaned_data["last_day"]
        if day is None:
            return None
        try:
            end = datetime.combine(day + timedelta(days=1), time(), tzinfo=UTC)
        except OverflowError:
            raise ValidationError("Choose an earlier day, or none.") from None
        if end <= timezone.now():
            raise ValidationError("This day is over. Choose a later one, or none.")
        return end


@require_safe
@staff_member_required
def show_tokens(request: HttpRequest, slug: str) -> HttpResponse:
    """Show a study's tokens, and a form for another one."""
    return _render(request, get_study(request.user, slug, DEED), TokenForm())


@require_POST
@staff_member_required
@never_cache
def make_token(request: HttpRequest, slug: str) -> HttpResponse:
    """Make a token and show it, this once: the answer holds it and nothing is redirected."""
    study = get_study(request.user, slug, DEED)
    form = TokenForm(request.POST)
    if not form.is_valid():
        return _render(request, study, form, status=422)
    token, secret = create_token(
        study,
        form.cleaned_data["name"],
        requests_per_minute=form.cleaned_data["requests_per_minute"],
        expires_at=form.cleaned_data["last_day"],
        actor=request.user,
    )
    return _render(request, study, TokenForm(), made=token, secret=secret)


@require_POST
@staff_member_required
def revoke(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Make a token worthless."""
    study = get_study(request.user, slug, DEED)
    token = get_object_or_404(ApiToken, pk=pk, study=study)
    revoke_token(token, actor=request.user)
    messages.success(request, f"The token {token.hint}… opens nothing any more.")
    return redirect("api:tokens", study.slug)


def _render(
    request: HttpRequest,
    study: Study,
    form: TokenForm,
    *,
    made: ApiToken | None = None,
    secret: str = "",
    status: int = 200,
) -> HttpResponse:
    context = {
        "study": study,
        "form": form,
        "made": made,
        "secret": secret,
        "tokens": study.api_tokens.select_related("created_by"),
        "now": timezone.now(),
    }
    return render(request, "modeling/api/tokens.html", context, status=status)
