import re

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.html import escape

from annotation.models import Enrollment, Exclusion, Rater, StudyAccess, StudyEvent
from annotation.services import withdraw
from jobs.models import Job
from jobs.services import run_here
from modeling.exclusions import exclude
from modeling.export.pseudonyms import make_pseudonym
from modeling.flagging import KIND, get_limits, request_flags
from modeling.models import QualityFlag
from modeling.quality.rules import RULES
from tests.factories import StudyFactory
from tests.modeling.rated import fit_here, make_rated_study
from tests.visitor import RaterClient, freeze_rows, read

pytestmark = pytest.mark.django_db
DOORS = ("quality_compute", "quality_exclude", "quality_include")


def page_of(study, name="quality"):
    return reverse(f"modeling:{name}", args=[study.slug])


def text_of(response, status=200):
    assert response.status_code == status
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def log_in(client, study, role):
    user = get_user_model().objects.create_user(f"{role}-{study.slug}", is_staff=True)
    if role:
        StudyAccess.objects.create(study=study, user=user, role=role)
    client.force_login(user)
    return user


def limits(**changes):
    return {rule.key: str(rule.limit) for rule in RULES} | changes


def flag(enrollment, rule="never_opens", number=1.0, limit=1.0):
    return QualityFlag.objects.create(enrollment=enrollment, rule=rule, number=number, limit=limit)


@pytest.fixture
def study():
    return make_rated_study(n_posts=6, n_raters=5, per_post=3)


@pytest.fixture
def enrollment(study):
    return study.enrollments.select_related("rater").order_by("pk").first()


class TestAccess:
    @pytest.mark.parametrize(("role", "may_exclude"), [("owner", 1), ("analyst", 1), ("assistant", 0)])
    def test_whoever_may_see_the_study_sees_and_some_may_exclude(
        self, client, study, enrollment, role, may_exclude
    ):
        flag(enrollment)
        log_in(client, study, role)
        response = client.get(page_of(study))
        assert str(enrollment.rater.pseudonym) in text_of(response)
        for name in DOORS[:2]:
            assert (page_of(study, name) in response.content.decode()) == bool(may_exclude)
        sent = {"rater": str(enrollment.rater.pseudonym), "reason": "Told us so."}
        posted = client.post(page_of(study, "quality_exclude"), sent)
        assert posted.status_code == (302 if may_exclude else 404)
        assert Exclusion.objects.count() == may_exclude

    @pytest.mark.parametrize("name", DOORS)
    def test_who_has_no_access_finds_no_page_and_changes_nothing(self, client, study, enrollment, name):
        log_in(client, StudyFactory(), "owner")
        assert client.get(page_of(study)).status_code == 404
        before = freeze_rows()
        sent = limits() | {"rater": str(enrollment.rater.pseudonym), "reason": "Told us so."}
        assert client.post(page_of(study, name), sent).status_code == 404
        assert freeze_rows() == before

    @pytest.mark.parametrize("name", ["quality", *DOORS])
    def test_a_stranger_is_sent_to_the_login(self, study, name):
        client = RaterClient()
        before = freeze_rows()
        response = client.get(page_of(study)) if name == "quality" else client.post(page_of(study, name))
        assert response.status_code == 302
        assert "login" in response["Location"]
        assert freeze_rows() == before

    @pytest.mark.parametrize("name", DOORS)
    def test_looking_changes_nothing(self, client, study, name):
        log_in(client, study, "owner")
        assert client.get(page_of(study, name)).status_code == 405

    @pytest.mark.parametrize("name", DOORS)
    def test_a_forged_request_is_refused(self, study, name):
        client = RaterClient(enforce_csrf_checks=True)
        log_in(client, study, "owner")
        assert client.post(page_of(study, name), {}).status_code == 403

    def test_ids_of_the_platform_are_on_no_page_and_find_nobody_for_an_analyst(
        self, client, study, enrollment
    ):
        flag(enrollment)
        external_id = enrollment.rater.external_id
        log_in(client, study, "analyst")
        assert external_id not in client.get(page_of(study)).content.decode()
        sent = {"rater": external_id, "reason": "Told us so."}
        assert "Nobody in this study has this name" in text_of(
            client.post(page_of(study, "quality_exclude"), sent), 422
        )
        assert not Exclusion.objects.exists()
        log_in(client, study, "owner")
        assert client.post(page_of(study, "quality_exclude"), sent).status_code == 302
        assert Exclusion.objects.get().enrollment == enrollment


class TestThePage:
    @pytest.fixture(autouse=True)
    def owner(self, client, study):
        return log_in(client, study, "owner")

    def test_every_rule_says_what_it_measures_from_where_on_and_after_whom(self, client, study):
        page = client.get(page_of(study)).content.decode()
        for rule in RULES:
            for words in (rule.name, rule.formula, rule.source, rule.undefined):
                assert escape(words) in page
        assert "Nothing was computed yet" in text_of(client.get(page_of(study)))

    def test_counts_and_people_with_their_numbers(self, client, study, enrollment):
        run_here(request_flags(study))
        QualityFlag.objects.all().delete()
        flag(enrollment)
        flag(enrollment, "fast_posts", -4.256, -3)
        text = text_of(client.get(page_of(study)))
        assert "Looked at 5 computed" in text
        assert "Flagged 1 by one rule or more" in text
        assert "Counted 5 everyone who completed the live study and is not excluded" in text
        assert f"{enrollment.rater.pseudonym}" in text
        assert "Read posts too fast : −4.26 (robust z of the seconds per post; limit: at most −3)" in text
        assert (
            "Never opens anything : 1 (share of posts in which no group was opened; limit: at least 1)"
            in text
        )

    def test_people_of_one_rule(self, client, study, enrollment):
        other = study.enrollments.select_related("rater").order_by("pk")[1]
        flag(enrollment)
        flag(other, "fast_posts", -4, -3)
        shown = text_of(client.get(page_of(study), {"rule": "fast_posts"}))
        assert str(other.rater.pseudonym) in shown
        assert str(enrollment.rater.pseudonym) not in shown
        assert "People flagged by “Read posts too fast”" in shown
        assert str(enrollment.rater.pseudonym) in text_of(client.get(page_of(study), {"rule": "nonsense"}))

    def test_the_most_flagged_come_first_and_pages_hold_25(self, client):
        study = make_rated_study(n_posts=6, n_raters=30, per_post=5)
        StudyAccess.objects.create(study=study, user=get_user_model().objects.get(), role="owner")
        for enrollment in study.enrollments.all():
            flag(enrollment)
        worst = study.enrollments.select_related("rater").last()
        flag(worst, "fast_posts", -4, -3)
        page = client.get(page_of(study), {"rule": "never_opens"})
        found = re.findall(r'<li id="([0-9a-f-]{36})"', page.content.decode())
        assert len(found) == 25
        assert found[0] == str(worst.rater.pseudonym)
        assert "?rule=never_opens&amp;page=2" in page.content.decode()

    def test_who_withdrew_is_gone(self, client, study, enrollment):
        flag(enrollment)
        pseudonym = str(enrollment.rater.pseudonym)
        assert pseudonym in text_of(client.get(page_of(study)))
        withdraw(enrollment)
        shown = text_of(client.get(page_of(study)))
        assert pseudonym not in shown
        assert str(study.enrollments.get(pk=enrollment.pk).rater.pseudonym) not in shown

    def test_the_page_costs_the_same_few_queries_however_many_are_flagged(self, client, study, enrollment):
        flag(enrollment)
        counts = []
        for _ in range(2):
            with CaptureQueriesContext(connection) as queries:
                client.get(page_of(study))
            counts.append(len(queries))
            for each in study.enrollments.exclude(pk=enrollment.pk):
                QualityFlag.objects.get_or_create(enrollment=each, rule="fast_posts", number=-4, limit=-3)
        assert counts[0] == counts[1]
        assert counts[0] <= 24

    def test_the_navigation_leads_here(self, client, study):
        assert (
            f'href="{page_of(study)}"'
            in client.get(reverse("modeling:study", args=[study.slug])).content.decode()
        )


class TestComputing:
    @pytest.fixture(autouse=True)
    def owner(self, client, study):
        return log_in(client, study, "owner")

    def test_the_button_asks_a_worker_with_these_limits(self, client, study):
        response = client.post(page_of(study, "quality_compute"), limits(fast_posts="-2.5"))
        assert response.status_code == 302
        job = Job.objects.get(kind=KIND)
        assert job.payload["limits"]["fast_posts"] == -2.5
        assert "The flags are being computed: waiting for a worker" in text_of(client.get(page_of(study)))
        assert run_here(job).state == "done"
        assert get_limits(study)["fast_posts"] == -2.5
        page = read(client.get(page_of(study)))
        assert page.form(having="fast_posts").controls["fast_posts"].values == ["-2.5"]

    @pytest.mark.parametrize("value", ["", "nonsense", "4", "nan", "inf"])
    def test_a_limit_without_sense_is_refused_at_its_field(self, client, study, value):
        response = client.post(page_of(study, "quality_compute"), limits(even_odd=value))
        assert "Give a number between -1 and 1." in text_of(response, 422)
        assert 'id="error-even_odd"' in response.content.decode()
        assert not Job.objects.exists()

    def test_the_open_page_looks_until_the_work_is_done(self, client, study):
        job = request_flags(study)
        Job.objects.filter(pk=job.pk).update(
            progress_done=2, progress_total=6, progress_note="people measured"
        )
        fragment = client.get(page_of(study), headers={"HX-Request": "true"})
        assert "2 of 6, people measured" in text_of(fragment)
        assert "<html" not in fragment.content.decode()
        run_here(job)
        assert client.get(page_of(study), headers={"HX-Request": "true"})["HX-Refresh"] == "true"

    def test_work_that_failed_says_why(self, client, study):
        job = request_flags(study)
        Job.objects.filter(pk=job.pk).update(
            state="failed", error="Out of <memory>.", finished_at=job.created_at
        )
        assert "The flags could not be computed. Out of &lt;memory&gt;." in text_of(
            client.get(page_of(study))
        )


class TestDeciding:
    @pytest.fixture(autouse=True)
    def owner(self, client, study):
        return log_in(client, study, "owner")

    def decide(self, client, study, rater, reason="Told us so.", what="exclude"):
        return client.post(page_of(study, f"quality_{what}"), {"rater": str(rater), "reason": reason})

    def test_somebody_is_excluded_and_taken_back_in(self, client, study, enrollment, owner):
        fit_run = fit_here(make_rated_study())
        pseudonym = enrollment.rater.pseudonym
        assert self.decide(client, study, pseudonym).status_code == 302
        assert Exclusion.objects.get().excluded_by == owner.username
        text = text_of(client.get(page_of(study), {"show": "excluded"}))
        assert f"{pseudonym} excluded" in text
        assert f"by {owner.username}: Told us so." in text
        assert "Excluded 1 by a researcher Counted 4" in text
        assert self.decide(client, study, pseudonym, "A mistake.", "include").status_code == 302
        assert not Exclusion.objects.exists()
        assert [event.actor for event in StudyEvent.objects.filter(action="exclusion")] == [owner] * 2
        fit_run.refresh_from_db()
        assert fit_run.outdated_at is None

    def test_an_excluded_person_who_is_flagged_is_marked(self, client, study, enrollment):
        flag(enrollment)
        exclude(enrollment, reason="Told us so.")
        page = client.get(page_of(study)).content.decode()
        assert page.count("Take back in") == 2  # the fold and its button
        assert "tag-fault" in page

    @pytest.mark.parametrize("what", ["exclude", "include"])
    def test_without_a_reason_the_form_is_shown_again_beside_the_person(
        self, client, study, enrollment, what
    ):
        flag(enrollment)
        if what == "include":
            exclude(enrollment, reason="Told us so.")
        before = freeze_rows()
        response = self.decide(client, study, enrollment.rater.pseudonym, "", what)
        assert "Say why: the reason is kept with the decision." in text_of(response, 422)
        assert "<details open>" in response.content.decode()
        assert freeze_rows() == before

    def test_somebody_is_found_by_the_pseudonym_of_an_export(self, client, study, enrollment):
        assert self.decide(client, study, make_pseudonym(enrollment.public_id)).status_code == 302
        assert Exclusion.objects.get().enrollment == enrollment

    @pytest.mark.parametrize("name", ["nobody", "", "0" * 32])
    def test_nobody_is_found_by_another_name(self, client, study, name):
        response = self.decide(client, study, name)
        assert response.status_code == 422
        assert 'id="error-rater"' in response.content.decode()
        assert not Exclusion.objects.exists()

    def test_a_rater_of_another_study_is_nobody(self, client, study):
        other = make_rated_study(n_posts=4, n_raters=3, per_post=2)
        rater = Rater.objects.filter(enrollments__study=other).first()
        assert self.decide(client, study, rater.pseudonym).status_code == 422
        assert not Exclusion.objects.exists()

    def test_a_double_click_is_told_so(self, client, study, enrollment):
        self.decide(client, study, enrollment.rater.pseudonym)
        assert "This rater is excluded already." in text_of(
            self.decide(client, study, enrollment.rater.pseudonym), 422
        )

    def test_what_a_reason_says_is_text(self, client, study, enrollment):
        self.decide(client, study, enrollment.rater.pseudonym, "<script>alert(1)</script>")
        page = client.get(page_of(study), {"show": "excluded"}).content.decode()
        assert "<script>alert(1)" not in page
        assert "&lt;script&gt;alert(1)" in page

    def test_the_report_page_counts_the_excluded(self, client, study, enrollment):
        self.decide(client, study, enrollment.rater.pseudonym)
        text = text_of(client.get(reverse("modeling:study", args=[study.slug])))
        assert "of 5 who began; 1 excluded" in text
        assert Enrollment.objects.filter(study=study).count() == 5
