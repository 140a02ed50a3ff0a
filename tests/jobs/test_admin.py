import pytest
from django.contrib import admin
from django.utils import timezone

from jobs import services
from jobs.admin import JobAdmin
from jobs.models import Job

pytestmark = pytest.mark.django_db


@pytest.fixture
def job_admin(monkeypatch):
    page = JobAdmin(Job, admin.site)
    page.said = []
    monkeypatch.setattr(page, "message_user", lambda request, text, level: page.said.append(text))
    return page


def test_staff_retry_what_failed_and_hear_what_was_left(job_admin, hints, rf):
    Job.objects.create(kind="k", key="a", state="failed", error="why", finished_at=timezone.now())
    Job.objects.create(kind="k", key="b")
    job_admin.retry_selected(rf.post("/"), Job.objects.all())
    assert Job.objects.get(key="a").state == "queued"
    assert job_admin.said == ["1 jobs queued again. 1 were in a state that does not allow it."]


def test_staff_cancel_what_is_not_finished(job_admin, hints, rf):
    services.enqueue(kind="k", key="a")
    job_admin.cancel_selected(rf.post("/"), Job.objects.all())
    assert Job.objects.get().state == "cancelled"
    assert job_admin.said == ["1 jobs cancelled."]


def test_no_row_is_written_by_hand(job_admin, rf):
    request = rf.get("/")
    assert not job_admin.has_add_permission(request)
    assert not job_admin.has_delete_permission(request)
    shown = set(job_admin.get_readonly_fields(request))
    assert shown == {field.name for field in Job._meta.fields} - {"lease_token"}


@pytest.fixture
def whole_of_two():
    now = timezone.now()
    whole = Job.objects.create(kind="k", key="w", state="waiting", rounds=1)
    Job.objects.create(kind="k", key="p1", state="done", finished_at=now, whole=whole, round=1, place=0)
    Job.objects.create(kind="k", key="p2", whole=whole, round=1, place=1)
    return whole


def test_the_list_shows_how_many_parts_are_done_and_leads_to_them(whole_of_two, admin_client):
    page = admin_client.get("/admin/jobs/job/?whole__isempty=1").content.decode()
    link = f"/admin/jobs/job/?whole__id__exact={whole_of_two.pk}"
    assert f'<a href="{link}">1 of 2 done</a>' in page
    assert ">p2<" not in page
    parts = admin_client.get(link).content.decode()
    assert parts.count(f">part of {whole_of_two.pk}</a>") == 2
    assert ">p2<" in parts


def test_a_cancelled_whole_takes_its_parts_with_it(whole_of_two, job_admin, rf):
    job_admin.cancel_selected(rf.post("/"), Job.objects.filter(pk=whole_of_two.pk))
    assert job_admin.said == ["1 jobs cancelled."]
    assert sorted(Job.objects.values_list("key", "state")) == [
        ("p1", "done"),
        ("p2", "cancelled"),
        ("w", "cancelled"),
    ]
