"""Giving and taking roles."""

import pytest
from django.contrib.auth import get_user_model

from annotation.errors import LastOwner
from annotation.models import StudyAccess, StudyEvent
from annotation.services.access import give_access, take_access
from tests.factories import StudyFactory

pytestmark = pytest.mark.django_db
OWNER, ANALYST, ASSISTANT = StudyAccess.Role


def make(name, **fields):
    return get_user_model().objects.create_user(name, **{"is_staff": True} | fields)


@pytest.fixture
def study():
    return StudyFactory()


@pytest.fixture
def maria(study):
    maria = make("maria")
    give_access(study, maria, OWNER)
    return maria


def list_roles(study):
    return dict(study.accesses.values_list("user__username", "role"))


def list_log(study):
    events = StudyEvent.objects.filter(study=study, action=StudyEvent.Action.ACCESS).order_by("pk")
    return [(event.actor_name, event.summary) for event in events]


def test_an_account_has_one_role_in_a_study(study, maria):
    ben = make("ben")
    give_access(study, ben, ANALYST, actor=maria)
    give_access(study, ben, ASSISTANT, actor=maria)
    assert list_roles(study) == {"maria": OWNER, "ben": ASSISTANT}


def test_every_change_is_logged_with_whoever_made_it(study, maria):
    ben = make("ben")
    give_access(study, ben, ANALYST, actor=maria)
    give_access(study, ben, ASSISTANT, actor=maria)
    take_access(study, ben, actor=maria)
    assert list_log(study) == [
        ("command", "maria is now owner"),
        ("maria", "ben is now analyst"),
        ("maria", "ben is now assistant instead of analyst"),
        ("maria", "ben, who was assistant, has no access any more"),
    ]


def test_what_changes_nothing_is_not_logged(study, maria):
    give_access(study, maria, OWNER)
    take_access(study, make("ben"))
    assert len(list_log(study)) == 1


@pytest.mark.parametrize("act", [lambda *a: give_access(*a, ANALYST), take_access])
def test_the_last_owner_stays(study, maria, act):
    give_access(study, make("ben"), ANALYST)
    with pytest.raises(LastOwner, match="maria"):
        act(study, maria)
    assert list_roles(study)["maria"] == OWNER
    assert len(list_log(study)) == 2


@pytest.mark.parametrize("fields", [{"is_active": False}, {"is_staff": False}])
def test_an_owner_who_cannot_log_in_does_not_count(study, maria, fields):
    give_access(study, make("gone", **fields), OWNER)
    with pytest.raises(LastOwner):
        take_access(study, maria)


def test_one_of_two_owners_may_go(study, maria):
    give_access(study, make("ben"), OWNER)
    take_access(study, maria)
    assert list_roles(study) == {"ben": OWNER}


def test_an_owner_of_another_study_does_not_count(study, maria):
    give_access(StudyFactory(), make("ben"), OWNER)
    with pytest.raises(LastOwner):
        take_access(study, maria)


def test_there_is_no_other_role(study):
    with pytest.raises(ValueError, match="no role 'boss'.*owner, analyst, assistant"):
        give_access(study, make("ben"), "boss")
