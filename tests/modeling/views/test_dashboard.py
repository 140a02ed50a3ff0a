import re

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotation.models import Enrollment, Rater, StudyAccess
from tests.modeling.rated import make_rated_study

pytestmark = pytest.mark.django_db
STUDIES = reverse("modeling:studies")


def text_of(response):
    assert response.status_code == 200
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def test_a_stranger_is_sent_to_the_login_and_learns_nothing(client):
    response = client.get(STUDIES)
    assert response.status_code == 302
    assert response["Location"] == f"/admin/login/?next={STUDIES}"


def test_somebody_who_is_no_member_of_staff_is_a_stranger_too(client):
    client.force_login(get_user_model().objects.create_user("rater"))
    response = client.get(STUDIES, follow=True)
    assert response.redirect_chain[0][0].startswith("/admin/login/")
    assert response.status_code == 403


def test_staff_see_the_studies_in_which_they_have_a_role(client):
    study = make_rated_study(n_posts=4, per_post=2)
    colleague = get_user_model().objects.create_user("colleague", is_staff=True)
    client.force_login(colleague)
    assert study.name not in client.get(STUDIES).content.decode()
    study.accesses.create(user=colleague, role=StudyAccess.Role.ASSISTANT)
    assert study.name in client.get(STUDIES).content.decode()


def test_nothing_can_be_sent_to_the_list(admin_client):
    assert admin_client.post(STUDIES).status_code == 405


def test_the_list_counts_people_and_marks_the_simulated(admin_client):
    study = make_rated_study(n_posts=4, per_post=2)
    Enrollment.objects.filter(pk__in=Enrollment.objects.values("pk")[:3]).update(outcome="", finished_at=None)
    text = text_of(admin_client.get(STUDIES))
    assert "Live · 7 of 10 people completed" in text
    assert "simulated" not in text
    make_rated_study(n_posts=4, per_post=2, origin=Rater.Origin.SIMULATED)
    assert "10 simulated" in text_of(admin_client.get(STUDIES))
    assert reverse("modeling:study", args=[study.slug]) in admin_client.get(STUDIES).content.decode()


def test_an_empty_installation_says_how_to_begin(admin_client):
    assert "There is no study yet." in text_of(admin_client.get(STUDIES))


def test_the_list_takes_the_same_few_queries_however_many_studies_there_are(
    admin_client, django_assert_max_num_queries
):
    make_rated_study(n_posts=4, per_post=2)
    with CaptureQueriesContext(connection) as few:
        admin_client.get(STUDIES)
    for _ in range(4):
        make_rated_study(n_posts=4, per_post=2)
    with django_assert_max_num_queries(len(few)):
        admin_client.get(STUDIES)
