"""Tokens: made once, stored as a hash, withdrawn for good, by owners and by a command."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from annotation.models import StudyAccess, StudyEvent
from modeling.models import ApiToken
from modeling.tokens import MARK, create_token, hash_secret, revoke_token, select_usable
from tests.factories import StudyFactory

OWNER, ANALYST, ASSISTANT = StudyAccess.Role


@pytest.fixture
def owner(study, client):
    user = get_user_model().objects.create_user("maria", is_staff=True)
    study.accesses.create(user=user, role=OWNER)
    client.force_login(user)
    return user


def address(study, page="tokens", *more):
    return reverse(f"api:{page}", args=[study.slug, *more])


def read(response):
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def test_only_the_hash_and_the_beginning_of_a_token_are_stored(study):
    token, secret = create_token(study, " A feed ")
    assert secret.startswith(MARK)
    assert len(secret) == len(MARK) + 43
    stored = ApiToken.objects.values().get(pk=token.pk)
    assert (stored["digest"], stored["hint"], stored["name"]) == (hash_secret(secret), secret[:8], "A feed")
    assert all(secret[8:] not in str(column) for column in stored.values())


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        (" ", {}),
        ("a" * 101, {}),
        ("a", {"requests_per_minute": 0}),
        ("a", {"requests_per_minute": 60_001}),
        ("a", {"expires_at": timezone.now() - timedelta(seconds=1)}),
    ],
    ids=["blank", "long", "none", "many", "over"],
)
def test_a_token_that_cannot_be_used_is_not_made(study, name, settings):
    with pytest.raises(ValueError, match=r"\."):
        create_token(study, name, **settings)
    assert not study.api_tokens.exists()


def test_making_and_revoking_stand_in_the_log_without_the_token(study, owner):
    token, secret = create_token(study, "A feed", actor=owner)
    assert revoke_token(token, actor=owner)
    assert not revoke_token(token, actor=owner)
    events = study.events.filter(action=StudyEvent.Action.ACCESS).order_by("pk")
    assert [(event.summary, event.actor_name) for event in events] == [
        (f"made the API token {token.hint}…", "maria"),
        (f"revoked the API token {token.hint}…", "maria"),
    ]
    assert secret not in str(list(events.values()))
    assert not select_usable().exists()


def test_the_page_shows_a_token_once(study, owner, client):
    response = client.post(address(study, "token_make"), {"name": "A feed", "requests_per_minute": "30"})
    (secret,) = re.findall(rf"{MARK}[\w-]{{43}}", response.content.decode())
    token = study.api_tokens.get()
    assert (token.digest, token.requests_per_minute, token.created_by) == (hash_secret(secret), 30, owner)
    assert "no-store" in response["Cache-Control"]
    page = client.get(address(study)).content.decode()
    assert secret not in page
    assert token.hint in page


def test_a_token_ends_with_its_last_day(study, owner, client):
    today = timezone.now().date()
    asked = {"name": "A feed", "requests_per_minute": "30", "last_day": today.isoformat()}
    client.post(address(study, "token_make"), asked)
    assert study.api_tokens.get().expires_at.date() == today + timedelta(days=1)
    for day in ((today - timedelta(days=1)).isoformat(), "9999-12-31", "soon"):
        response = client.post(address(study, "token_make"), asked | {"last_day": day})
        assert response.status_code == 422
    assert study.api_tokens.count() == 1


def test_the_page_revokes_a_token(study, owner, client):
    token, _ = create_token(study, "A feed")
    page = read(client.post(address(study, "token_revoke", token.pk), follow=True))
    assert "opens nothing any more" in page
    assert "revoked" in page
    assert not select_usable().exists()


def test_another_studys_token_cannot_be_revoked(study, owner, client):
    token, _ = create_token(StudyFactory(), "Theirs")
    assert client.post(address(study, "token_revoke", token.pk)).status_code == 404
    assert select_usable().exists()


@pytest.mark.parametrize("role", [ANALYST, ASSISTANT])
def test_who_may_not_give_access_sees_and_makes_no_token(study, client, role):
    user = get_user_model().objects.create_user("ben", is_staff=True)
    study.accesses.create(user=user, role=role)
    client.force_login(user)
    token, _ = create_token(study, "A feed")
    assert client.get(address(study)).status_code == 404
    assert (
        client.post(address(study, "token_make"), {"name": "x", "requests_per_minute": 1}).status_code == 404
    )
    assert client.post(address(study, "token_revoke", token.pk)).status_code == 404


def test_the_pages_forms_are_protected_against_forgery(study, owner):
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    response = client.post(address(study, "token_make"), {"name": "A feed", "requests_per_minute": "30"})
    assert response.status_code == 403
    assert not study.api_tokens.exists()


def test_the_command_makes_lists_and_revokes(study, capsys):
    call_command("api_token", study.slug, name="A feed", days=30)
    told = capsys.readouterr()
    token = study.api_tokens.get()
    assert hash_secret(told.out.strip()) == token.digest
    assert "cannot be shown again" in told.err
    assert timedelta(days=29) < token.expires_at - timezone.now() < timedelta(days=30)
    call_command("api_token", study.slug, revoke=token.hint + "…")
    assert not select_usable().exists()
    call_command("api_token", study.slug, list=True)
    assert "A feed  (revoked; last used: never)" in capsys.readouterr().out


def test_the_command_refuses_what_it_cannot_tell_apart(study):
    create_token(study, "One")
    create_token(study, "Two")
    for asked, why in (
        ({"revoke": MARK}, "More than one"),
        ({"revoke": ""}, "More than one"),
        ({"revoke": "zzz"}, "No token"),
        ({"name": " "}, "what the token is for"),
        ({"name": "a", "days": 10**12}, "Days|days|int"),
        ({"name": "a", "days": -1}, "expired already"),
    ):
        with pytest.raises(CommandError, match=why):
            call_command("api_token", study.slug, **asked)
    with pytest.raises(CommandError, match="no study"):
        call_command("api_token", "nowhere", list=True)
    assert select_usable().count() == 2
