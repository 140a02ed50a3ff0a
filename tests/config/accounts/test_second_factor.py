"""The second factor: set up, asked for, lost, taken off."""

import re
import time

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP
from django.contrib.auth import get_user_model
from django.core.cache import cache
from django.core.checks import Tags, run_checks
from django.test import Client
from django.urls import reverse

from tests.config.accounts.test_login import PASSWORD, log_in
from tests.config.accounts.totp import PERIOD_SECONDS, read_code
from tests.factories import StudyFactory

pytestmark = pytest.mark.django_db
SET_UP, ASK = reverse("mfa_activate_totp"), reverse("mfa_authenticate")
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@pytest.fixture
def researcher():
    return get_user_model().objects.create_user("maria", password=PASSWORD, is_staff=True)


@pytest.fixture(autouse=True)
def early_in_a_period():
    """A code is read and sent within one period, however slow the machine: the clock stands."""
    with time_machine.travel(time.time() // PERIOD_SECONDS * PERIOD_SECONDS + 1, tick=False):
        yield


@pytest.fixture
def with_app(researcher):
    TOTP.activate(researcher, SECRET)
    return researcher


@pytest.fixture
def required(settings):
    settings.REQUIRE_MFA = True


@pytest.fixture
def committing(transactional_db):
    """What is remembered of an app that was set up is remembered at the commit."""
    yield
    cache.clear()  # lies in a table that no model stands for


def set_up_app(client):
    """Set an app up as its holder does; return the answer to the last form, and the app's secret."""
    page = client.get(SET_UP).content.decode()
    secret = re.search(r'class="secret">(\w+)<', page)[1]
    return client.post(SET_UP, {"code": read_code(secret)}), secret


def test_without_one_every_staff_page_leads_to_setting_it_up(client, researcher, required):
    log_in(client)
    study = StudyFactory()
    for address in (
        "/dashboard/",
        f"/dashboard/{study.slug}/",
        "/admin/",
        reverse("account_change_password"),
    ):
        response = client.get(address)
        assert response.status_code == 302
        assert response["Location"].startswith(SET_UP), address
    assert client.post("/admin/annotation/study/add/", {})["Location"].startswith(SET_UP)


def test_without_the_demand_a_password_is_enough(client, researcher):
    log_in(client)
    assert client.get("/dashboard/").status_code == 200


def test_it_is_set_up_with_the_password_given_once(committing, client, researcher, required):
    log_in(client)
    assert client.get(SET_UP).status_code == 200
    response, _ = set_up_app(client)
    assert response["Location"] == reverse("mfa_view_recovery_codes")
    codes = re.findall(r"<li><code>(\d{8})</code>", client.get(response["Location"]).content.decode())
    assert len(codes) == 10
    assert client.get("/dashboard/").status_code == 200
    assert client.get("/admin/").status_code == 200


def test_a_wrong_code_sets_nothing_up(client, researcher, required):
    log_in(client)
    client.get(SET_UP)
    assert "Incorrect code" in client.post(SET_UP, {"code": "000000"}).content.decode()
    assert not Authenticator.objects.exists()
    assert client.get("/dashboard/").status_code == 302


def test_the_picture_and_the_key_obey_the_strict_policy(client, researcher):
    log_in(client)
    response = client.get(SET_UP)
    page = response.content.decode()
    assert "data:" in response["Content-Security-Policy"].split("img-src")[1].split(";")[0]
    assert 'src="data:image/svg+xml;base64,' in page
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script", page)
    assert "no-store" in response["Cache-Control"]


def test_with_one_the_password_alone_opens_nothing(client, with_app):
    assert log_in(client)["Location"].startswith(ASK)
    assert client.get("/dashboard/").status_code == 302
    response = client.post(ASK, {"code": read_code(SECRET)})
    assert response["Location"] == "/dashboard/"
    assert client.get("/dashboard/").status_code == 200


def test_the_way_one_came_for_is_kept_over_the_second_factor(client, with_app):
    client.post(f"{reverse('account_login')}?next=/admin/", {"login": "maria", "password": PASSWORD})
    assert client.post(ASK, {"code": read_code(SECRET)})["Location"] == "/admin/"


def test_a_code_is_good_for_one_login(client, with_app):
    code = read_code(SECRET)
    log_in(client)
    assert client.post(ASK, {"code": code}).status_code == 302
    other = Client()
    log_in(other)
    answer = other.post(ASK, {"code": code})
    assert answer.status_code == 200


def test_guessing_codes_is_throttled_for_the_account(client, with_app):
    for number in range(6):
        fresh = Client(REMOTE_ADDR=f"192.0.2.{number + 1}")
        log_in(fresh)
        page = fresh.post(ASK, {"code": "000000"}).content.decode()
    assert "Too many failed login attempts" in page


def test_a_recovery_code_lets_in_once(client, with_app, caplog):
    log_in(client)
    client.post(ASK, {"code": read_code(SECRET)})
    generate = reverse("mfa_generate_recovery_codes")
    assert client.post(generate).status_code == 302
    page = client.get(reverse("mfa_view_recovery_codes")).content.decode()
    code = re.search(r"<li><code>(\d{8})</code>", page)[1]
    statuses = []
    for number in range(2):
        other = Client(REMOTE_ADDR=f"192.0.2.{number + 1}")
        log_in(other)
        statuses.append(other.post(ASK, {"code": code}).status_code)
    assert statuses == [302, 200]
    assert "account maria used a recovery code" in caplog.messages


def test_a_session_from_before_the_app_was_set_up_is_asked_for_it(committing, client, researcher, settings):
    older = Client()
    log_in(older)
    log_in(client)
    _, secret = set_up_app(client)
    settings.REQUIRE_MFA = True
    assert client.get("/dashboard/").status_code == 200
    response = older.get("/dashboard/")
    assert response["Location"] == f"{reverse('mfa_reauthenticate')}?next=%2Fdashboard%2F"
    # It cannot take the app off either, nor read the recovery codes.
    for name in ("mfa_deactivate_totp", "mfa_view_recovery_codes", "mfa_index"):
        assert older.get(reverse(name))["Location"].startswith(reverse("mfa_reauthenticate"))
    page = older.post(reverse("mfa_reauthenticate"), {"code": "000000"}).content.decode()
    assert "Incorrect code" in page
    older.post(reverse("mfa_reauthenticate"), {"code": read_code(secret)})
    assert older.get("/dashboard/").status_code == 200


def test_taking_the_app_off_leads_to_a_new_one(client, with_app, required):
    log_in(client)
    client.post(ASK, {"code": read_code(SECRET)})
    assert client.post(reverse("mfa_deactivate_totp")).status_code == 302
    assert not Authenticator.objects.exists()
    assert client.get("/dashboard/")["Location"].startswith(SET_UP)


def test_long_after_the_login_the_password_is_asked_for_before_the_app_is_changed(client, with_app, settings):
    log_in(client)
    client.post(ASK, {"code": read_code(SECRET)})
    settings.ACCOUNT_REAUTHENTICATION_TIMEOUT = 0
    response = client.get(reverse("mfa_deactivate_totp"))
    assert response["Location"].startswith(reverse("account_reauthenticate"))
    assert "Use a code of your app instead" in client.get(response["Location"]).content.decode()


def test_an_administrator_takes_off_a_lost_one(admin_client, with_app, caplog):
    address = reverse("admin:auth_user_changelist")
    sent = {"action": "remove_second_factor", "_selected_action": [with_app.pk]}
    assert admin_client.post(address, sent).status_code == 302
    assert not Authenticator.objects.exists()
    assert "admin removed the second factor of account maria" in caplog.messages


def test_every_page_of_ones_own_account_opens(client, with_app):
    log_in(client)
    client.post(ASK, {"code": read_code(SECRET)})
    client.post(reverse("mfa_generate_recovery_codes"))
    for name in (
        "mfa_index",
        "account_change_password",
        "mfa_deactivate_totp",
        "mfa_view_recovery_codes",
        "mfa_generate_recovery_codes",
        "mfa_download_recovery_codes",
        "account_reauthenticate",
        "mfa_reauthenticate",
        "account_logout",
    ):
        response = client.get(reverse(name))
        assert response.status_code == 200, name
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script", response.content.decode()), name


def test_the_deployment_check_says_where_it_is_off(settings):
    def warnings():
        found = run_checks(tags=[Tags.security], include_deployment_checks=True)
        return [warning.id for warning in found if warning.id.startswith("accounts.")]

    settings.REQUIRE_MFA = True
    assert warnings() == []
    settings.REQUIRE_MFA = False
    assert warnings() == ["accounts.W001"]
