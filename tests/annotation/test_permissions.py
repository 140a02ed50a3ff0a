"""What a role allows, and in which study."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.http import Http404

from annotation.models import StudyAccess
from annotation.permissions import DEEDS, Deed, filter_studies, get_study, may
from tests.factories import StudyFactory

pytestmark = pytest.mark.django_db
Role = StudyAccess.Role


@pytest.fixture
def study():
    return StudyFactory(slug="mine")


@pytest.fixture
def other():
    return StudyFactory(slug="other")


def make(name="maria", **fields):
    return get_user_model().objects.create_user(name, **{"is_staff": True} | fields)


ALLOWED = {
    Role.OWNER: {*Deed},
    Role.ANALYST: {Deed.SEE, Deed.EXCLUDE, Deed.EXPORT},
    Role.ASSISTANT: {Deed.SEE, Deed.SET_UP},
}


@pytest.mark.parametrize("role", Role)
def test_a_role_allows_its_deeds_in_its_study_and_none_in_another(role, study, other):
    user = make()
    study.accesses.create(user=user, role=role)
    assert {deed for deed in Deed if may(user, study, deed)} == ALLOWED[role]
    assert {deed for deed in Deed if may(user, other, deed)} == set()
    for deed in Deed:
        assert list(filter_studies(user, deed)) == ([study] if deed in ALLOWED[role] else [])


def test_every_role_has_its_deeds_and_every_deed_someone():
    assert set(DEEDS) == set(Role)
    assert set().union(*DEEDS.values()) == set(Deed)


def test_only_owners_know_who_the_raters_are():
    assert {role for role, deeds in DEEDS.items() if Deed.IDENTIFY in deeds} == {Role.OWNER}


def test_an_administrator_needs_no_role(study, other):
    user = make(is_superuser=True)
    assert all(may(user, each, deed) for each in (study, other) for deed in Deed)


@pytest.mark.parametrize(
    "fields",
    [
        {"is_staff": False},
        {"is_active": False},
        {"is_superuser": True, "is_active": False},
        {"is_superuser": True, "is_staff": False},
    ],
)
def test_an_account_that_cannot_come_in_may_do_nothing_whatever_its_role(fields, study):
    user = make(**fields)
    study.accesses.create(user=user, role=Role.OWNER)
    assert not any(may(user, study, deed) for deed in Deed)
    assert not filter_studies(user).exists()


def test_nobody_who_is_not_logged_in_may_do_anything(study):
    assert not any(may(AnonymousUser(), study, deed) for deed in Deed)


def test_a_study_that_is_not_theirs_is_not_there(study, other):
    user = make()
    study.accesses.create(user=user, role=Role.ANALYST)
    assert get_study(user, "mine") == study
    said = set()
    for slug, deed in (("other", Deed.SEE), ("nowhere", Deed.SEE), ("mine", Deed.IDENTIFY)):
        with pytest.raises(Http404) as refusal:
            get_study(user, slug, deed)
        said.add(str(refusal.value))
    assert len(said) == 1
