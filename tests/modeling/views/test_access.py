"""The page on which owners give and take roles."""

import re

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from annotation.models import StudyAccess
from tests.factories import StudyFactory

pytestmark = pytest.mark.django_db
OWNER, ANALYST, ASSISTANT = StudyAccess.Role


def make(name, **fields):
    return get_user_model().objects.create_user(name, **{"is_staff": True} | fields)


@pytest.fixture
def study():
    return StudyFactory(name="Study of herons")


@pytest.fixture
def maria(study, client):
    maria = make("maria")
    study.accesses.create(user=maria, role=OWNER)
    client.force_login(maria)
    return maria


def page_of(study):
    return reverse("modeling:access", args=[study.slug])


def give(client, study, username, role):
    address = reverse("modeling:give_role", args=[study.slug])
    return client.post(address, {"username": username, "role": role}, follow=True)


def take(client, study, user):
    return client.post(reverse("modeling:take_role", args=[study.slug, user.pk]), follow=True)


def read(response):
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def list_roles(study):
    return dict(study.accesses.values_list("user__username", "role"))


def test_an_owner_gives_changes_and_takes_roles(client, study, maria):
    ben = make("ben")
    assert "ben now has this role: Analyst" in read(give(client, study, " ben ", ANALYST))
    assert "ben now has this role: Assistant" in read(give(client, study, "ben", ASSISTANT))
    assert list_roles(study) == {"maria": OWNER, "ben": ASSISTANT}
    page = read(take(client, study, ben))
    assert "ben has no access to this study any more" in page
    assert "ben, who was assistant, has no access any more, by maria" in page
    assert list_roles(study) == {"maria": OWNER}


@pytest.mark.parametrize("fields", [None, {"is_staff": False}, {"is_active": False}])
def test_a_name_that_is_no_researchers_is_refused_beside_the_field(client, study, maria, fields):
    if fields is not None:
        make("ben", **fields)
    response = give(client, study, "ben", ANALYST)
    assert response.status_code == 422
    assert "No researcher has an account named &#x27;ben&#x27;" in response.content.decode()
    assert list_roles(study) == {"maria": OWNER}


def test_a_role_that_does_not_exist_is_refused(client, study, maria):
    make("ben")
    assert give(client, study, "ben", "boss").status_code == 422
    assert list_roles(study) == {"maria": OWNER}


def test_the_last_owner_stays_and_the_page_says_how_to_mend_it(client, study, maria):
    for response in (give(client, study, "maria", ANALYST), take(client, study, maria)):
        assert "maria is the last owner of this study" in read(response)
        assert "Make somebody else an owner first" in read(response)
    assert list_roles(study) == {"maria": OWNER}


def test_whoever_gives_up_their_own_role_is_led_to_their_studies(client, study, maria):
    make("ben")
    give(client, study, "ben", OWNER)
    response = take(client, study, maria)
    assert response.redirect_chain[-1][0] == reverse("modeling:studies")
    assert list_roles(study) == {"ben": OWNER}


@pytest.mark.parametrize("role", [ANALYST, ASSISTANT, None])
def test_nobody_else_finds_the_page_or_changes_a_role(client, study, maria, role):
    ben = make("ben")
    if role:
        study.accesses.create(user=ben, role=role)
    client.force_login(ben)
    assert client.get(page_of(study)).status_code == 404
    assert give(client, study, "ben", OWNER).status_code == 404
    assert take(client, study, maria).status_code == 404
    assert list_roles(study).get("ben") == role


def test_the_way_to_the_page_is_shown_to_owners_alone(client, study, maria):
    page = client.get(reverse("modeling:study", args=[study.slug])).content.decode()
    assert page_of(study) in page
    ben = make("ben")
    study.accesses.create(user=ben, role=ANALYST)
    client.force_login(ben)
    page = client.get(reverse("modeling:study", args=[study.slug])).content.decode()
    assert page_of(study) not in page


def test_an_account_of_another_study_is_not_taken_from_here(client, study, maria):
    ben = make("ben")
    other = StudyFactory()
    other.accesses.create(user=ben, role=OWNER)
    assert take(client, study, ben).status_code == 404
    assert list_roles(other) == {"ben": OWNER}


def test_the_page_says_what_each_role_may_do(client, study, maria):
    page = read(client.get(page_of(study)))
    assert "see who its raters are yes no no" in page
    assert "take its data away, without identities yes yes no" in page
