"""What staff may do in a study, by their role in it."""

from enum import StrEnum
from typing import Any

from django.db.models import QuerySet
from django.http import Http404

from .models import Study, StudyAccess

Role = StudyAccess.Role


class Deed(StrEnum):
    """Something one does with a study."""

    SEE = "see its pages"
    SET_UP = "set it up and rehearse it"
    LAUNCH = "launch, pause and close it"
    EXCLUDE = "exclude raters from its analyses"
    EXPORT = "take its data away, without identities"
    IDENTIFY = "see who its raters are"
    ERASE = "erase raters"
    GIVE_ACCESS = "give others access"


DEEDS = {
    Role.OWNER: frozenset(Deed),
    Role.ANALYST: frozenset({Deed.SEE, Deed.EXCLUDE, Deed.EXPORT}),
    Role.ASSISTANT: frozenset({Deed.SEE, Deed.SET_UP}),
}


def is_researcher(user: Any) -> bool:
    """Return whether this account may come in at all; its roles say into which studies."""
    return user.is_active and user.is_staff


def is_administrator(user: Any) -> bool:
    """Return whether this account may do everything in every study."""
    return is_researcher(user) and user.is_superuser


def filter_studies(user: Any, deed: Deed = Deed.SEE) -> QuerySet[Study]:
    """Return the studies in which this account may do this."""
    if not is_researcher(user):
        return Study.objects.none()
    if is_administrator(user):
        return Study.objects.all()
    roles = [role for role, deeds in DEEDS.items() if deed in deeds]
    return Study.objects.filter(
        pk__in=StudyAccess.objects.filter(user=user, role__in=roles).values("study_id")
    )


def list_deeds(user: Any, study: Study) -> frozenset[Deed]:
    """Return everything that this account may do in this study."""
    if is_administrator(user):
        return frozenset(Deed)
    if not is_researcher(user):
        return frozenset()
    role = StudyAccess.objects.filter(user=user, study=study).values_list("role", flat=True).first()
    return DEEDS.get(role, frozenset())


def may(user: Any, study: Study, deed: Deed) -> bool:
    """Return whether this account may do this in this study."""
    return deed in list_deeds(user, study)


def get_study(user: Any, slug: str, deed: Deed = Deed.SEE) -> Study:
    """Return a study in which this account may do this. Raises Http404 otherwise, as for one that is not there."""
    study = filter_studies(user, deed).select_related("value_system").filter(slug=slug).first()
    if study is None:
        raise Http404("There is no such study, or you have no access to it.")
    return study
