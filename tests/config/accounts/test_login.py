"""Coming in: one door, its throttle, its log, the session it gives."""

import logging
import re

import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.cache import caches
from django.core.management import call_command
from django.db import connection
from django.test import Client, override_settings
from django.urls import NoReverseMatch, reverse

from annotation.recruitment import build_entry_path
from tests.factories import StudyFactory

pytestmark = pytest.mark.django_db
LOGIN = reverse("account_login")
PASSWORD = "kestrel-over-nine-hills"


@pytest.fixture
def researcher():
    return get_user_model().objects.create_user(
        "maria", password=PASSWORD, is_staff=True, last_name="Vandenberghe"
    )


def log_in(client, username="maria", password=PASSWORD, **more):
    return client.post(LOGIN, {"login": username, "password": password}, **more)


def test_the_dashboard_and_the_admin_have_one_door(client, researcher):
    for address in ("/dashboard/", "/admin/", "/admin/annotation/study/"):
        response = client.get(address, follow=True)
        assert response.redirect_chain[-1][0].startswith(LOGIN)
        assert "Log in" in response.content.decode()
    response = client.post(f"{LOGIN}?next=/admin/", {"login": "maria", "password": PASSWORD})
    assert response["Location"] == "/admin/"
    assert client.get("/dashboard/").status_code == 200


def test_nobody_is_sent_elsewhere_after_logging_in(client, researcher):
    response = client.post(f"{LOGIN}?next=https://example.org/", {"login": "maria", "password": PASSWORD})
    assert response["Location"] == reverse("modeling:studies")


@pytest.mark.parametrize("name", ["account_signup", "account_email", "account_reset_password"])
def test_nobody_signs_up_and_nothing_is_sent_by_mail(name):
    with pytest.raises(NoReverseMatch):
        reverse(name)


def test_an_account_without_staff_status_opens_nothing(client, researcher):
    get_user_model().objects.update(is_staff=False)
    assert log_in(client).status_code == 302
    for address in ("/dashboard/", "/admin/"):
        response = client.get(address, follow=True)
        assert response.status_code == 403
        assert "not open to you" in response.content.decode()


def test_a_closed_account_is_told_so_and_let_in_nowhere(client, researcher):
    get_user_model().objects.update(is_active=False)
    response = client.post(LOGIN, {"login": "maria", "password": PASSWORD}, follow=True)
    assert "This account is closed" in response.content.decode()
    assert client.get("/dashboard/").status_code == 302


def test_an_account_that_is_closed_loses_its_session_at_once(client, researcher):
    log_in(client)
    get_user_model().objects.update(is_active=False)
    assert client.get("/dashboard/").status_code == 302


def test_a_wrong_password_and_an_unknown_name_read_the_same(client, researcher):
    wrong = log_in(client, password="wrong").content.decode()
    unknown = log_in(client, username="nobody").content.decode().replace("nobody", "maria")
    errors = [re.search(r'role="alert">(.*?)</div>', page, re.DOTALL)[1] for page in (wrong, unknown)]
    assert errors[0] == errors[1] != ""


def test_the_sixth_try_within_five_minutes_is_refused_even_with_the_right_password(client, researcher):
    for _ in range(5):
        log_in(client, password="wrong")
    # Another browser at another address, so that only the account is counted.
    response = log_in(Client(REMOTE_ADDR="192.0.2.9"))
    assert response.status_code == 200
    assert "Too many failed login attempts" in response.content.decode()


def test_an_account_that_others_try_to_enter_does_not_lock_out_its_colleagues(client, researcher):
    get_user_model().objects.create_user("noor", password=PASSWORD, is_staff=True)
    for _ in range(6):
        log_in(client, password="wrong")
    assert log_in(Client(), username="noor").status_code == 302


def test_many_names_from_one_address_are_refused_too(client, researcher):
    for number in range(10):
        log_in(client, username=f"guess-{number}", password="wrong")
    assert "Too many failed" in log_in(client).content.decode()
    assert log_in(Client(REMOTE_ADDR="192.0.2.9")).status_code == 302


def test_what_counts_failed_logins_is_seen_by_every_process():
    backend = caches["default"]
    assert backend._table in connection.introspection.table_names()
    assert backend.add("somebody", 1, 60)
    assert not type(backend)(backend._table, {}).add("somebody", 1, 60)


def test_the_throttle_needs_no_command_but_migrate(transactional_db):
    with connection.schema_editor() as editor:
        editor.execute("DROP TABLE accounts_throttle")
    call_command("migrate", "accounts", "zero", "--fake", verbosity=0)
    call_command("migrate", "accounts", verbosity=0)
    assert caches["default"].add("somebody", 1, 60)
    caches["default"].clear()


def test_the_log_says_who_came_and_never_what_was_typed(client, researcher, caplog):
    caplog.set_level(logging.INFO, "accounts")
    log_in(client, password="not-my-password")
    log_in(client, username="typed-a-password-here", password="x")
    log_in(client)
    client.post(reverse("account_logout"))
    assert [record.getMessage() for record in caplog.records if record.name == "accounts"] == [
        "a login failed: account maria",
        "a login failed: no such account",
        "account maria logged in",
        "account maria logged out",
    ]


def test_the_log_says_when_the_throttle_refuses(client, researcher, caplog):
    for _ in range(6):
        log_in(client, password="wrong")
    assert "a login was refused: too many have failed" in caplog.messages


def test_the_session_is_another_one_after_logging_in(client, researcher):
    session = client.session
    session["before"] = 1
    session.save()
    client.cookies[settings.SESSION_COOKIE_NAME] = old = session.session_key
    log_in(client)
    assert client.cookies[settings.SESSION_COOKIE_NAME].value not in ("", old)
    assert not type(session)().exists(old)


def test_the_session_ends_with_the_browser_and_after_some_hours(client, researcher):
    cookie = log_in(client).cookies[settings.SESSION_COOKIE_NAME]
    assert cookie["max-age"] == cookie["expires"] == ""
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
    assert client.session.get_expiry_age() == settings.SESSION_HOURS * 3600


@override_settings(SESSION_EXPIRE_AT_BROWSER_CLOSE=False, ACCOUNT_SESSION_REMEMBER=True)
def test_where_it_may_outlive_the_browser_it_still_ends_after_some_hours(client, researcher):
    cookie = log_in(client).cookies[settings.SESSION_COOKIE_NAME]
    assert cookie["max-age"] == settings.SESSION_HOURS * 3600


def test_logging_out_takes_a_button_and_ends_the_session(client, researcher):
    log_in(client)
    assert client.get(reverse("account_logout")).status_code == 200
    assert client.get("/dashboard/").status_code == 200
    assert client.post(reverse("account_logout"))["Location"] == "/"
    assert client.get("/dashboard/").status_code == 302


@pytest.mark.parametrize(
    ("password", "said"),
    [("short-one", "12 characters"), ("password1234", "too common"), ("vandenberghe-1", "too similar")],
)
def test_a_weak_password_is_refused_with_its_reason(client, researcher, password, said):
    log_in(client)
    sent = {"oldpassword": PASSWORD, "password1": password, "password2": password}
    page = client.post(reverse("account_change_password"), sent).content.decode()
    assert said in page
    researcher.refresh_from_db()
    assert researcher.check_password(PASSWORD)


def test_a_changed_password_ends_the_other_sessions(client, researcher):
    other = Client()
    log_in(client)
    log_in(other)
    new = "seven-quiet-otters-swim"
    client.post(
        reverse("account_change_password"), {"oldpassword": PASSWORD, "password1": new, "password2": new}
    )
    assert client.get("/dashboard/").status_code == 200
    assert other.get("/dashboard/").status_code == 302


def test_an_account_made_on_the_command_line_comes_in(client, monkeypatch):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command("createsuperuser", "--no-input", "--username", "root", "--email", "", verbosity=0)
    log_in(client, username="root")
    assert client.get("/admin/").status_code == 200


def test_a_participant_gets_no_session_and_their_page_reads_none(client):
    study = StudyFactory()
    client.cookies[settings.SESSION_COOKIE_NAME] = "somebody"
    with override_settings(REQUIRE_MFA=True):
        response = client.get(build_entry_path(study, "5f1a2b3c4d5e6f7a8b9c0d1e"))
    assert response.status_code == 200
    assert settings.SESSION_COOKIE_NAME not in response.cookies
    assert "session" not in response.wsgi_request.session.__dict__
    assert not response.wsgi_request.session.accessed


@pytest.mark.parametrize("name", ["account_login", "account_inactive"])
def test_the_pages_of_the_door_obey_the_strict_policy(client, name):
    response = client.get(reverse(name))
    assert "unsafe" not in response["Content-Security-Policy"]
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script", response.content.decode())
