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
