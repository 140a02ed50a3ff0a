import pytest
from django.urls import reverse
from django.utils import timezone

from annotation import services
from annotation.models import (
    Annotation,
    Assignment,
    Attempt,
    Draft,
    Enrollment,
    GateDecision,
    Outcome,
    PageVisit,
    Rater,
    Withdrawal,
)
from annotation.selectors import get_current_step, get_labeling_item
from annotation.signals import answers_erased
from tests.admin_pages import page_of
from tests.factories import AnnotationFactory, EnrollmentFactory, RaterFactory, StudyFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("model", ["rater", "enrollment", "assignment", "annotation"])
def test_lists_show_pseudonyms_and_marks_but_no_id_of_prolific(admin_client, model):
    rater = RaterFactory(external_id="PROLIFICID123", origin=Rater.Origin.SIMULATED)
    enrollment = EnrollmentFactory(rater=rater, study=StudyFactory(steps=("labeling",)))
    AnnotationFactory(enrollment=enrollment)
    page = admin_client.get(reverse(f"admin:annotation_{model}_changelist")).content.decode()
    assert str(rater.pseudonym) in page
    assert '<span class="simulated">simulated</span>' in page
    assert "PROLIFICID123" not in page


@pytest.mark.parametrize("model", [Rater, Enrollment, Assignment, Annotation])
def test_what_raters_left_cannot_be_added_or_changed(admin_client, model):
    enrollment = EnrollmentFactory(study=StudyFactory(steps=("labeling",)))
    AnnotationFactory(enrollment=enrollment, rationale="As it was.")
    row = model.objects.first()
    before = model.objects.filter(pk=row.pk).values().get()
    assert admin_client.get(reverse(f"admin:annotation_{model._meta.model_name}_add")).status_code == 403
    assert admin_client.post(page_of(row), {"rationale": "Other.", "outcome": "completed"}).status_code == 403
    assert model.objects.filter(pk=row.pk).values().get() == before


def test_an_annotation_shows_each_rating_and_how_it_came_about(admin_client):
    study = StudyFactory()
    n_values = len(study.value_keys)
    annotation = AnnotationFactory(
        enrollment=EnrollmentFactory(study=study),
        ratings=(None, *[3] * (n_values - 1)),
        codes=(0, *[1] * (n_values - 1)),
    )
    page = admin_client.get(page_of(annotation)).content.decode()
    assert f'<th scope="row">{study.value_keys[0]}</th><td>–</td><td>not shown</td>' in page
    assert f'<th scope="row">{study.value_keys[1]}</th><td>3</td><td>chosen</td>' in page


def test_a_rater_who_withdraws_takes_all_answers_along(admin_client):
    enrollment = EnrollmentFactory(study=StudyFactory(steps=("labeling",)))
    AnnotationFactory(enrollment=enrollment)
    address = reverse("admin:annotation_enrollment_delete", args=[enrollment.pk])
    assert admin_client.post(address, {"post": "yes"}).status_code == 302
    assert not Annotation.objects.exists()
    assert not Assignment.objects.exists()
    address = reverse("admin:annotation_rater_delete", args=[enrollment.rater_id])
    assert admin_client.post(address, {"post": "yes"}).status_code == 302


def test_no_single_answer_is_deleted_by_hand(admin_client):
    annotation = AnnotationFactory()
    address = reverse("admin:annotation_annotation_delete", args=[annotation.pk])
    assert admin_client.post(address, {"post": "yes"}).status_code == 403


def test_a_stranger_is_sent_to_the_login(client):
    response = client.get(page_of(StudyFactory()))
    assert response.status_code == 302
    assert reverse("admin:login") in response["Location"]


EVERYTHING = [Rater, Enrollment, Assignment, Annotation, Attempt, GateDecision, PageVisit, Draft]


class TestEverythingSomeoneLeft:
    @pytest.fixture
    def enrollment(self):
        study = StudyFactory(steps=("labeling", "vcq"))
        enrollment = EnrollmentFactory(rater=RaterFactory(external_id="PROLIFICID123"), study=study)
        step = get_current_step(enrollment)
        AnnotationFactory(enrollment=enrollment)
        answers = {"marks": {"statement": ["ünusual"]}}
        Attempt.objects.create(enrollment=enrollment, step=step, item="x", answers=answers, is_right=False)
        GateDecision.objects.create(enrollment=enrollment, step=step, passed=False, reason="1 of 4 right")
        now = timezone.now()
        services.record_visit(enrollment, step, "x", shown_at=now, client={"away": 41})
        item = get_labeling_item(enrollment, step)
        services.save_draft(enrollment, step, item, "rate-power=3&open-root=a", page="p", number=1)
        return enrollment

    @pytest.mark.parametrize("model", EVERYTHING)
    def test_is_listed_and_shown_without_the_prolific_id_and_can_only_be_read(
        self, admin_client, enrollment, model
    ):
        row = model.objects.first()
        name = model._meta.model_name
        listed = admin_client.get(reverse(f"admin:annotation_{name}_changelist"))
        assert str(enrollment.rater.pseudonym) in listed.content.decode()
        assert "PROLIFICID123" not in listed.content.decode()
        response = admin_client.get(page_of(row))
        assert response.status_code == 200
        assert not response.context["adminform"].form.fields
        before = model.objects.filter(pk=row.pk).values().get()
        assert admin_client.post(page_of(row), {"item": "other", "passed": "on"}).status_code == 403
        assert admin_client.get(reverse(f"admin:annotation_{name}_add")).status_code == 403
        assert model.objects.filter(pk=row.pk).values().get() == before

    @pytest.mark.parametrize("model", [model for model in EVERYTHING if model not in (Rater, Enrollment)])
    def test_is_not_deleted_row_by_row(self, admin_client, enrollment, model):
        address = reverse(
            f"admin:annotation_{model._meta.model_name}_delete", args=[model.objects.first().pk]
        )
        assert admin_client.post(address, {"post": "yes"}).status_code == 403

    @pytest.mark.parametrize(
        ("model", "said"),
        [
            (Attempt, "ünusual"),
            (GateDecision, "1 of 4 right"),
            (PageVisit, "&quot;away&quot;: 41"),
            (Draft, "&quot;rate-power&quot;"),
        ],
    )
    def test_shows_what_it_holds(self, admin_client, enrollment, model, said):
        assert said in admin_client.get(page_of(model.objects.get())).content.decode()

    def test_is_shown_on_the_page_of_the_enrollment(self, admin_client, enrollment):
        services.time_out_overdue(timezone.now() + timezone.timedelta(days=1))
        page = admin_client.get(page_of(enrollment)).content.decode()
        assert "1 of 4 right" in page
        assert "Timed out at" in page

    def test_those_who_completed_after_their_time_can_be_found(self, admin_client, enrollment):
        Enrollment.objects.update(timed_out_at=timezone.now())
        EnrollmentFactory()
        address = reverse("admin:annotation_enrollment_changelist")
        found = admin_client.get(address, {"timed_out_at__isempty": "0"}).context["cl"].result_list
        assert list(found) == [enrollment]


class TestAWithdrawal:
    @pytest.fixture
    def withdrawn(self):
        enrollment = EnrollmentFactory(study=StudyFactory(steps=("labeling",)))
        AnnotationFactory(enrollment=enrollment)
        return services.withdraw(enrollment)

    def test_is_shown_with_what_was_erased(self, admin_client, withdrawn):
        page = admin_client.get(page_of(Withdrawal.objects.get())).content.decode()
        assert "&quot;annotation&quot;: 1" in page
        assert admin_client.get(reverse("admin:annotation_withdrawal_changelist")).status_code == 200

    def test_is_a_proof_that_stays(self, admin_client, withdrawn):
        for model, row in (("enrollment", withdrawn), ("withdrawal", Withdrawal.objects.get())):
            address = reverse(f"admin:annotation_{model}_delete", args=[row.pk])
            assert admin_client.post(address, {"post": "yes"}).status_code == 403
        assert Withdrawal.objects.exists()


@pytest.mark.parametrize("outcome", [Outcome.COMPLETED, Outcome.SCREENED_OUT])
def test_someone_deleted_by_hand_is_announced_as_one_who_withdrew(admin_client, outcome):
    enrollment = services.finish(EnrollmentFactory(), outcome)
    heard = []

    def listen(sender, study, completed_at, **kwargs):
        heard.append((study, completed_at))

    answers_erased.connect(listen)
    address = reverse("admin:annotation_enrollment_delete", args=[enrollment.pk])
    assert admin_client.post(address, {"post": "yes"}).status_code == 302
    answers_erased.disconnect(listen)
    assert heard == [(enrollment.study, enrollment.finished_at if outcome == Outcome.COMPLETED else None)]
