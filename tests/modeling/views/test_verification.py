import json
import re

import pytest
from django.urls import reverse

from jobs.models import Job
from jobs.services import run_here
from modeling.models import RuleSet, Verification, VerificationDecision
from modeling.verifying import services
from tests.modeling.verifying.ground import (
    HIGH,
    RULES,
    decide,
    item_of,
    label_set,
    list_posts,
    make_person,
    make_run,
    make_study,
    make_verification,
)

pytestmark = pytest.mark.django_db


def enter(client, study, name="ann", role="assistant"):
    user = make_person(study, name, role)
    client.force_login(user)
    return user


def words_of(response, status=200):
    assert response.status_code == status
    return " ".join(re.sub(r"<[^>]+>", " ", response.content.decode()).split())


def address(study, name, *args):
    return reverse(f"modeling:{name}", args=[study.slug, *args])


@pytest.fixture
def study():
    return make_study(3)


@pytest.fixture
def made(study):
    return make_verification(
        study,
        make_run(study, [6, 0, 0, 0], [0, 6, 0, 0], [0, 0, 6, 0], why="It says so."),
        other_runs=[make_run(study, [0, 0, 0, 0], name="other")],
        threshold=2,
    )


class TestRules:
    def test_ready_made_rules_stand_in_the_editor_and_are_stored(self, client, study):
        enter(client, study)
        page = client.get(address(study, "rules_edit"))
        given = page.context["form"]["rules"].value()
        assert len(json.loads(given)) == 6  # eight values at once are more than this study has
        assert given in page.content.decode().replace("&quot;", '"').replace("&#x27;", "'")
        response = client.post(
            address(study, "rules_edit"), {"name": "checks", "rules": given, "note": "first"}
        )
        stored = RuleSet.objects.get()
        assert response.url == address(study, "rule_set", stored.pk)
        assert (stored.number, stored.note, stored.created_by.username) == (1, "first", "ann")
        assert "Models disagree" in words_of(client.get(response.url))
        assert "checks, version 1" in words_of(client.get(address(study, "rules")))

    def test_chosen_ready_made_rules_alone_can_be_begun_with(self, client, study):
        enter(client, study)
        page = client.get(address(study, "rules_edit"), {"starter": ["wide-spread"]})
        assert [rule["key"] for rule in json.loads(page.context["form"]["rules"].value())] == ["wide-spread"]

    def test_every_fault_is_told_and_what_was_typed_stays(self, client, study):
        enter(client, study)
        typed = json.dumps([HIGH | {"key": "A B", "values": ["courage"]}])
        response = client.post(address(study, "rules_edit"), {"name": "", "rules": typed, "note": "my note"})
        page = words_of(response, 422)
        assert "Rule 1 (A B), key" in page
        assert "no value" in page
        assert 'value="my note"' in response.content.decode()
        assert response.context["form"]["rules"].value() == typed
        assert not RuleSet.objects.exists()

    def test_a_preview_stores_nothing_and_counts(self, client, study):
        enter(client, study)
        run = make_run(study, [6, 0, 0, 0], [0, 0, 0, 0], [5, 0, 0, 0])
        sent = {"rules": json.dumps([HIGH]), "run": run.pk, "threshold": "2", "preview": "yes"}
        response = client.post(address(study, "rules_edit"), sent)
        assert "held against the first posts" in words_of(response)
        job = run_here(Job.objects.get(kind=services.PREVIEW))
        part = client.get(address(study, "rules_preview", job.pk), headers={"HX-Request": "true"})
        assert "2 of the first 3 posts would be flagged" in words_of(part)
        assert "<html" not in part.content.decode()
        assert "A high rating 2 0" in words_of(client.get(address(study, "rules_preview", job.pk)))
        assert not RuleSet.objects.exists()

    def test_a_preview_without_a_run_says_what_is_missing(self, client, study):
        enter(client, study)
        make_run(study, [6, 0, 0, 0])
        response = client.post(address(study, "rules_edit"), {"rules": json.dumps([HIGH]), "preview": "yes"})
        assert "This field is required" in words_of(response, 422)

    def test_a_new_version_begins_with_the_older_one(self, client, study):
        enter(client, study)
        stored = services.save_rule_set(study, name="checks", rules=RULES)
        page = client.get(address(study, "rules_edit"), {"from": stored.pk})
        assert json.loads(page.context["form"]["rules"].value()) == RULES
        response = client.post(
            address(study, "rules_edit"), {"name": "checks", "rules": json.dumps(RULES)}, follow=True
        )
        assert "no new version was made" in words_of(response)

    def test_rules_are_held_against_a_run(self, client, study):
        enter(client, study)
        stored = services.save_rule_set(study, name="checks", rules=RULES)
        run, other = make_run(study, [6, 0, 0, 0]), make_run(study, [6, 0, 0, 0], name="b")
        expert_set = label_set(study, [0] * 4, threshold=3)
        sent = {"run": run.pk, "other_runs": [other.pk, run.pk], "expert_set": expert_set.pk, "threshold": ""}
        response = client.post(address(study, "verify", stored.pk), sent)
        made = Verification.objects.get()
        assert response.url == address(study, "verification", made.pk)
        assert (made.other_run_ids, made.threshold, made.state) == ([other.pk], 3, "running")
        assert "waiting for a worker" in words_of(client.get(response.url))

    def test_a_threshold_that_is_none_is_refused_beside_its_field(self, client, study):
        enter(client, study)
        stored = services.save_rule_set(study, name="checks", rules=RULES)
        run = make_run(study, [6, 0, 0, 0])
        response = client.post(address(study, "verify", stored.pk), {"run": run.pk, "threshold": "9"})
        assert "A whole number from 1 to 6." in words_of(response, 422)
        assert 'value="9"' in response.content.decode()


class TestVerification:
    def test_work_is_shown_cancelled_and_gone_on_with(self, client, study):
        enter(client, study)
        made = make_verification(study, make_run(study, [6, 0, 0, 0]), start=False)
        services.start_verification(made)
        page = address(study, "verification", made.pk)
        part = client.get(page, headers={"HX-Request": "true"})
        assert 'hx-trigger="every' in part.content.decode()
        client.post(address(study, "verification_cancel", made.pk))
        assert "Cancelled" in words_of(client.get(page))
        client.post(address(study, "verification_resume", made.pk))
        run_here(services.find_job(made))
        assert client.get(page, headers={"HX-Request": "true"}).headers["HX-Refresh"] == "true"
        assert "Begin the review" in words_of(client.get(page))

    def test_a_stand_in_is_named_on_every_page(self, client, study):
        enter(client, study)
        made = make_verification(study, make_run(study, [6, 0, 0, 0], is_standin=True))
        for name in ("verification", "review"):
            assert "Stand-in: not from a real model." in words_of(client.get(address(study, name, made.pk)))

    def test_the_report_is_asked_for_made_and_shown(self, client, made):
        study = made.study
        user = enter(client, study, role="analyst")
        decide(made, user, list_posts(study)[0], "corrected", [0, 0, 0, 0])
        page = address(study, "verification", made.pk)
        assert "Not measured yet" in words_of(client.get(page))
        client.post(address(study, "verification_report", made.pk))
        assert "being measured" in words_of(client.get(page))
        run_here(Job.objects.get(kind="report_verification"))
        shown = words_of(client.get(page))
        assert "1 of 3 flagged posts were decided when this was measured" in shown
        assert "How often each rule is right" in shown
        assert "since this was measured" not in shown
        decide(made, user, list_posts(study)[1], "confirmed")
        assert "1 decision was given since this was measured" in words_of(client.get(page))

    def test_decisions_are_downloaded_by_whoever_may_export(self, client, made):
        enter(client, made.study, role="assistant")
        file = address(made.study, "verification_file", made.pk)
        assert client.get(file).status_code == 404
        enter(client, made.study, "ben", role="analyst")
        response = client.get(file)
        assert b"".join(response).count(b"\r\n") == 4
        assert made.study.events.filter(action="export").exists()


class TestReview:
    def test_one_post_after_the_other_until_all_are_decided(self, client, made):
        user = enter(client, made.study, role="analyst")
        page = address(made.study, "review", made.pk)
        for number, item in enumerate(made.items.all(), start=1):
            shown = words_of(client.get(page))
            assert item.post.text in shown
            assert f"{number - 1} of 3 decided by you" in shown
            assert "It says so." in shown
            response = client.post(page, {"item": item.pk, "verdict": "confirmed"})
        assert response.url == address(made.study, "verification", made.pk)
        assert VerificationDecision.objects.filter(name=user.username, verdict="confirmed").count() == 3
        assert "You have decided every post." in words_of(client.get(response.url))

    def test_the_flagged_values_come_first_with_what_models_say_and_the_rules_reason(self, client, made):
        enter(client, made.study)
        item = item_of(made, list_posts(made.study)[1])
        response = client.get(address(made.study, "review", made.pk), {"item": item.pk})
        lines = response.context["lines"]
        assert [(line.key, line.is_concerned, line.own) for line in lines][:2] == [
            ("play", True, "6"),
            ("order", False, "0"),
        ]
        shown = words_of(response)
        assert "Play 6, rule asks for at least 5" in shown
        assert "It weighs most." in shown

    def test_a_correction_is_stored_and_can_be_changed(self, client, made):
        enter(client, made.study)
        page, item = address(made.study, "review", made.pk), made.items.first()
        sent = {f"rate-{key}": "0" for key in made.study.value_keys}
        response = client.post(page, {"item": item.pk, "verdict": "corrected", "note": "no", **sent})
        assert response.status_code == 302
        again = client.get(page, {"item": item.pk})
        assert "You said: the model is wrong" in words_of(again)
        assert [line.own for line in again.context["lines"]] == ["0"] * 4
        assert again.context["note"] == "no"
        client.post(page, {"item": item.pk, "verdict": "unsure"})
        assert list(item.decisions.values_list("number", "verdict", "is_current")) == [
            (1, "corrected", False),
            (2, "unsure", True),
        ]

    def test_what_was_typed_stays_beside_what_is_wrong_with_it(self, client, made):
        enter(client, made.study)
        page, item = address(made.study, "review", made.pk), made.items.first()
        sent = {"item": item.pk, "verdict": "corrected", "note": "why", "rate-order": "9", "rate-play": "x"}
        response = client.post(page, sent)
        shown = words_of(response, 422)
        assert shown.count("A whole number from 0 to 6") == 2
        content = response.content.decode()
        assert all(f'value="{typed}"' in content for typed in ("9", "x"))
        assert ">why</textarea>" in content
        assert not VerificationDecision.objects.exists()

    def test_a_correction_that_changes_nothing_is_refused(self, client, made):
        enter(client, made.study)
        item = item_of(made, list_posts(made.study)[0])
        sent = dict(zip([f"rate-{key}" for key in made.study.value_keys], "6000", strict=True))
        response = client.post(
            address(made.study, "review", made.pk), {"item": item.pk, "verdict": "corrected", **sent}
        )
        assert "Nothing is changed" in words_of(response, 422)

    def test_what_others_decided_is_not_shown(self, client, made):
        decide(made, make_person(made.study, "ben"), list_posts(made.study)[0], "unsure", note="quixotic")
        enter(client, made.study)
        item = item_of(made, list_posts(made.study)[0])
        response = client.get(address(made.study, "review", made.pk), {"item": item.pk})
        assert "quixotic" not in response.content.decode()
        assert "You said" not in words_of(response)

    @pytest.mark.parametrize("number", ["x", "-1", "9" * 12])
    def test_a_number_that_is_none_is_a_bad_request(self, client, made, number):
        enter(client, made.study)
        assert client.get(address(made.study, "review", made.pk), {"item": number}).status_code == 400

    def test_a_post_of_another_queue_is_not_there(self, client, made):
        enter(client, made.study)
        other = make_verification(made.study, made.run)
        page = address(made.study, "review", made.pk)
        assert client.get(page, {"item": other.items.first().pk}).status_code == 404

    def test_the_page_names_every_key_and_each_presses_something(self, client, made):
        enter(client, made.study)
        second = made.items.all()[1]
        content = client.get(address(made.study, "review", made.pk), {"item": second.pk}).content.decode()
        assert sorted(re.findall(r'data-key="(.)"', content)) == ["1", "2", "3", "j", "k"]
