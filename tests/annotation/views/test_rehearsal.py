import pytest
from django.core import signing
from django.urls import reverse

from annotation.access import build_query
from annotation.models import Enrollment, Outcome, Rater, Study
from annotation.recruitment import build_entry_path, build_rehearsal_path, read_entry, seal, unseal
from annotation.services import preview_step
from modeling.simulated_raters import Cast
from modeling.simulation.browser import walk_study
from tests.every_step import EVERY_STEP, build_study
from tests.visitor import RaterClient, Visitor, follow, read

pytestmark = pytest.mark.django_db
BAR = "Test participant: nothing you answer is data"


def press(client, study, path):
    """Open a link and press the button of its page."""
    token = read(client.get(path)).form(having="entry").controls["entry"].values[0]
    return client.post(reverse("annotation:arrival", args=[study.slug]), {"entry": token})


@pytest.mark.parametrize("state", Study.State.values)
def test_a_test_participant_walks_the_whole_study_in_every_state(state):
    study = build_study(*EVERY_STEP, posts=6, state=state)
    visitor = Visitor()
    assert walk_study(visitor, build_rehearsal_path(study), Cast(study).build_mind(1)).outcome == "completed"
    enrollment = Enrollment.objects.get()
    assert (enrollment.phase, enrollment.rater.origin) == ("rehearsal", "test")
    pages = [text for _, status, text in visitor.served if status == 200]
    assert len(pages) > len(EVERY_STEP)
    assert all(BAR in text for text in pages)


def test_the_bar_speaks_the_studys_language(client):
    study = build_study("consent", "labeling", state="draft", language="de")
    assert "Testteilnahme: Nichts, was Sie antworten, geht in die Daten ein" in (
        client.get(build_rehearsal_path(study)).content.decode()
    )


def test_nobody_else_sees_the_bar(client):
    study = build_study("consent", "labeling")
    assert BAR not in client.get(build_entry_path(study, "rater-one")).content.decode()
    response = client.get(press(client, study, build_entry_path(study, "rater-one")).url, follow=True)
    assert BAR not in response.content.decode()


def test_several_test_participants_go_on_side_by_side_in_one_browser(client):
    study = build_study("consent", "instructions", "labeling", state="draft")
    first = press(client, study, build_rehearsal_path(study)).url
    second = press(client, study, build_rehearsal_path(study)).url
    assert Enrollment.objects.count() == 2
    for address, enrollment in zip((first, second), Enrollment.objects.order_by("pk"), strict=True):
        page = read(client.get(address, follow=True))
        mark = page.form().controls["page"].values[0]
        client.post(reverse("annotation:step", args=[study.slug, 1]), {"page": mark, "consent": "yes"})
        assert enrollment.step_completions.count() == 1


def forge(path, **changes):
    parts, query = path.split("?")
    pairs = dict(pair.split("=", 1) for pair in query.split("&")) | changes
    return f"{parts}?{'&'.join(f'{name}={value}' for name, value in pairs.items())}"


class TestForging:
    """An ordinary person can neither make themselves a test participant nor get into a study that is not open."""

    @pytest.mark.parametrize(
        "mark",
        ["", "1", "abc:def:ghi", signing.dumps(["study", "rater-one"]), signing.dumps("rater-one")],
        ids=["empty", "a digit", "three parts", "signed for another use", "an id signed so"],
    )
    def test_a_mark_of_ones_own_making_is_refused(self, client, mark):
        study = build_study("consent", state="draft")
        response = client.get(forge(build_entry_path(study, "rater-one"), REHEARSAL=mark))
        assert response.status_code == 400
        assert not Rater.objects.exists()

    def test_a_mark_works_for_nobody_but_its_own(self, client):
        study = build_study("consent", state="draft")
        assert client.get(forge(build_rehearsal_path(study), PROLIFIC_PID="rater-one")).status_code == 400

    def test_a_mark_of_a_simulated_rater_is_none_of_a_test_participant(self, client):
        study = build_study("consent", state="draft")
        link = build_entry_path(study, "rater-one", simulated=True)
        mark = link.rpartition("SIMULATED=")[2]
        assert client.get(forge(build_entry_path(study, "rater-one"), REHEARSAL=mark)).status_code == 400
        assert client.get(link).status_code == 403

    def test_a_mark_of_one_study_opens_no_other(self, client):
        own, other = build_study("consent", state="draft"), build_study("consent", state="draft")
        link = build_rehearsal_path(own)
        assert client.get(link.replace(own.slug, other.slug)).status_code == 400
        token = read(client.get(link)).form(having="entry").controls["entry"].values[0]
        arrival = reverse("annotation:arrival", args=[other.slug])
        assert client.post(arrival, {"entry": token}).status_code == 400
        assert not Enrollment.objects.exists()

    def test_a_link_grows_old(self, client, monkeypatch):
        study = build_study("consent", state="draft")
        link = build_rehearsal_path(study)
        assert client.get(link).status_code == 200
        monkeypatch.setattr("annotation.recruitment.REHEARSAL_LINK_DAYS", -1)
        assert client.get(link).status_code == 400

    def test_what_is_sealed_says_the_same_when_it_is_opened(self):
        study = build_study("consent", state="draft")
        query = build_rehearsal_path(study).partition("?")[2]
        from django.http import QueryDict

        entry = read_entry(QueryDict(query))
        assert (entry.origin, entry.rehearses) == (Rater.Origin.TEST, study.slug)
        assert unseal(seal(entry)) == entry


def test_a_step_that_is_not_finished_says_what_it_lacks_instead_of_breaking(client):
    study = build_study("consent", "instructions", "training", state="draft")
    enrollment = preview_step(study, study.steps.get(position=1))
    study.steps.filter(position=2).update(config={})
    response = client.get(
        reverse("annotation:current_step", args=[study.slug]) + build_query(enrollment), follow=True
    )
    assert response.status_code == 409
    assert "Step 2 (Instructions): &#x27;title&#x27; is missing." in response.content.decode()


def test_a_value_system_that_is_not_finished_keeps_test_participants_out_with_the_reason(client):
    study = build_study("labeling", state="draft")
    study.value_system.nodes.filter(is_leaf=True).delete()
    study.value_system.save()
    response = press(client, study, build_rehearsal_path(study))
    assert response.status_code == 409
    assert "The value system is not complete" in response.content.decode()
    assert not Enrollment.objects.exists()


class TestPaused:
    def test_someone_new_reads_that_the_study_pauses_and_nothing_is_stored(self, client):
        study = build_study("consent", state="paused")
        response = client.get(build_entry_path(study, "rater-one"))
        assert response.status_code == 403
        assert "This study pauses at the moment" in response.content.decode()
        assert not Rater.objects.exists()

    def test_those_inside_go_on_and_finish(self, client):
        study = build_study("consent", "instructions")
        press(client, study, build_entry_path(study, "rater-one"))
        Study.objects.update(state="paused")
        client.post(reverse("annotation:step", args=[study.slug, 1]), {"consent": "yes"})
        client.post(reverse("annotation:step", args=[study.slug, 2]))
        assert Enrollment.objects.get().outcome == Outcome.COMPLETED

    @pytest.mark.parametrize("state", ["draft", "pilot", "live", "paused"])
    def test_answers_can_be_taken_back_until_the_study_is_closed(self, client, state):
        study = build_study("consent", "instructions")
        press(client, study, build_entry_path(study, "rater-one"))
        Study.objects.update(state=state)
        leave = reverse("annotation:withdraw", args=[study.slug])
        assert follow(client, client.post(leave)) == reverse("annotation:done", args=[study.slug])
        assert Enrollment.objects.get().outcome == Outcome.WITHDREW

    def test_a_closed_study_keeps_them(self, client):
        study = build_study("consent", "instructions")
        press(client, study, build_entry_path(study, "rater-one"))
        Study.objects.update(state="closed")
        assert client.post(reverse("annotation:withdraw", args=[study.slug])).status_code == 409


def test_a_person_with_the_id_of_a_test_participant_is_another_one():
    study = build_study("consent")
    link = build_rehearsal_path(study)
    press(RaterClient(), study, link)
    rater_id = Rater.objects.get().external_id
    press(RaterClient(), study, build_entry_path(study, rater_id))
    assert sorted(Enrollment.objects.values_list("rater__origin", "phase")) == [
        ("prolific", "live"),
        ("test", "rehearsal"),
    ]
