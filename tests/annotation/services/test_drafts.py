from datetime import UTC, datetime

import pytest

from annotation import services
from annotation.models import Draft, Outcome, PageVisit
from annotation.selectors import get_current_step, get_labeling_item
from annotation.services.drafts import MAX_DRAFT
from tests.factories import EnrollmentFactory
from tests.visitor import freeze_rows

pytestmark = pytest.mark.django_db


@pytest.fixture
def enrollment():
    return EnrollmentFactory(study__steps=("labeling", "vcq"))


@pytest.fixture
def step(enrollment):
    return get_current_step(enrollment)


@pytest.fixture
def item(enrollment, step):
    return get_labeling_item(enrollment, step)


class TestADraft:
    def save(self, enrollment, step, item, fields="rate-power=3", *, page="page-a", number=1):
        return services.save_draft(enrollment, step, item, fields, page=page, number=number)

    def test_is_what_was_saved_last(self, enrollment, step, item):
        assert self.save(enrollment, step, item, "rate-power=1", number=1)
        assert self.save(enrollment, step, item, "rate-power=2", number=2)
        assert Draft.objects.get().fields == "rate-power=2"

    @pytest.mark.parametrize("number", [1, 2])
    def test_a_save_that_was_overtaken_is_left_out(self, enrollment, step, item, number):
        self.save(enrollment, step, item, "rate-power=2", number=2)
        before = freeze_rows()
        assert not self.save(enrollment, step, item, "rate-power=1", number=number)
        assert freeze_rows() == before

    def test_another_page_counts_its_own_saves(self, enrollment, step, item):
        self.save(enrollment, step, item, "rate-power=2", number=7)
        assert self.save(enrollment, step, item, "rate-power=4", page="page-b", number=1)
        assert Draft.objects.get().fields == "rate-power=4"

    @pytest.mark.parametrize(("n_characters", "is_kept"), [(MAX_DRAFT, True), (MAX_DRAFT + 1, False)])
    def test_is_no_longer_than_any_page(self, enrollment, step, item, n_characters, is_kept):
        assert self.save(enrollment, step, item, "x" * n_characters) is is_kept
        assert Draft.objects.exists() is is_kept

    def test_is_not_kept_of_another_step(self, enrollment, item):
        assert not self.save(enrollment, enrollment.study.steps.get(kind="vcq"), "1")
        assert not Draft.objects.exists()

    @pytest.mark.parametrize("item", ["", "0", "p1"])
    def test_is_not_kept_of_a_post_that_is_not_open(self, enrollment, step, item):
        assert not self.save(enrollment, step, item)
        assert not Draft.objects.exists()

    @pytest.mark.parametrize("outcome", [Outcome.TIMED_OUT, Outcome.COMPLETED])
    def test_is_not_kept_of_someone_who_is_out(self, enrollment, step, item, outcome):
        services.finish(enrollment, outcome)
        assert not self.save(enrollment, step, item)
        assert not Draft.objects.exists()

    def test_is_not_kept_of_someone_who_withdrew(self, enrollment, step, item):
        services.withdraw(enrollment)
        before = freeze_rows()
        assert not self.save(enrollment, step, item)
        assert freeze_rows() == before


class TestAVisit:
    SHOWN = datetime(2026, 11, 1, 12, tzinfo=UTC)

    def test_is_noted_apart_from_the_answers(self, enrollment, step):
        services.record_visit(enrollment, step, "7", shown_at=self.SHOWN, client={"away": 2})
        visit = PageVisit.objects.get()
        assert (visit.step, visit.item, visit.shown_at, visit.client) == (step, "7", self.SHOWN, {"away": 2})

    def test_is_not_noted_of_someone_who_withdrew_meanwhile(self, enrollment, step):
        services.withdraw(enrollment)
        services.record_visit(enrollment, step, "7", shown_at=self.SHOWN, client={})
        assert not PageVisit.objects.exists()

    def test_leaves_out_an_item_that_no_database_takes(self, enrollment, step):
        services.record_visit(enrollment, step, "7\0", shown_at=self.SHOWN, client={})
        assert PageVisit.objects.get().item == ""
