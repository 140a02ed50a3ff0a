"""Giving people a role in a study, and taking it away."""

from typing import Any

from django.db import transaction

from annotation.errors import LastOwner
from annotation.models import Study, StudyAccess, StudyEvent

from .audit import log_event

Role = StudyAccess.Role


@transaction.atomic
def give_access(study: Study, user: Any, role: str, actor: Any = None) -> StudyAccess:
    """Give an account a role in a study, instead of the one it had; the same role again changes nothing.

    Parameters
    ----------
    study : in which
    user : to whom
    role : one of `StudyAccess.Role`
    actor : the account that gives it; None for a command

    Raises
    ------
    ValueError
        If there is no such role.
    LastOwner
        If nobody would be left to give access to the study.
    """
    if role not in Role.values:
        raise ValueError(f"There is no role {role!r}; there are {', '.join(Role.values)}.")
    _hold(study)
    access = StudyAccess.objects.filter(study=study, user=user).first()
    before = access.role if access else None
    if before == role:
        return access
    if before == Role.OWNER:
        _keep_an_owner(study, user)
    access, _ = StudyAccess.objects.update_or_create(study=study, user=user, defaults={"role": role})
    name = user.get_username()
    log_event(
        study,
        StudyEvent.Action.ACCESS,
        f"{name} is now {role}" + (f" instead of {before}" if before else ""),
        actor=actor,
        detail={"account": name, "role": role, "before": before},
    )
    return access


@transaction.atomic
def take_access(study: Study, user: Any, actor: Any = None) -> None:
    """Take an account's role in a study away; without one, nothing happens. Raises LastOwner as `give_access`."""
    _hold(study)
    access = StudyAccess.objects.filter(study=study, user=user).first()
    if access is None:
        return
    if access.role == Role.OWNER:
        _keep_an_owner(study, user)
    access.delete()
    name = user.get_username()
    log_event(
        study,
        StudyEvent.Action.ACCESS,
        f"{name}, who was {access.role}, has no access any more",
        actor=actor,
        detail={"account": name, "role": None, "before": access.role},
    )


def _hold(study: Study) -> None:
    """Let nobody else change the study's access meanwhile: two owners must not remove each other."""
    Study.objects.select_for_update().values("pk").get(pk=study.pk)


def _keep_an_owner(study: Study, leaving: Any) -> None:
    """Raise LastOwner unless another owner can still log in."""
    owners = StudyAccess.objects.filter(
        study=study, role=Role.OWNER, user__is_active=True, user__is_staff=True
    ).exclude(user=leaving)
    if not owners.exists():
        raise LastOwner(leaving.get_username())
