"""What rules came to: planted faults of a model that experts mend."""

import csv
import io

import pytest

from jobs.services import run_here
from modeling.models import Report
from modeling.reporting.subjects import get_report, name_subject, request_report
from modeling.verifying.exporting import write_decisions
from tests.modeling.verifying.ground import (
    RULES,
    decide,
    label_set,
    list_posts,
    make_person,
    make_run,
    make_study,
    make_verification,
)

pytestmark = pytest.mark.django_db
# The model gives care of 5 to every third post, in which experts see none; and order rightly to the others.
TRUTH = [[5, 0, 0, 0] if place % 2 else [0, 5, 0, 0] for place in range(12)]
SAID = [[*said[:2], 5 if place % 3 == 0 else 0, 0] for place, said in enumerate(TRUTH)]
RULES_HERE = RULES[1:2]  # care without a word of it


@pytest.fixture
def world():
    study = make_study(14)
    said = [*SAID, [0, 0, 6, 0], [0, 0, 6, 0]]
    expert_set = label_set(
        study, *[[*each[:2], place % 4 == 3, 0] for place, each in enumerate(TRUTH)], threshold=1
    )
    return make_verification(
        study, make_run(study, *said), rules=RULES_HERE, expert_set=expert_set, threshold=1
    )


def measure(verification):
    subject = name_subject(verification=verification.pk)
    job = run_here(request_report(verification.study, Report.Kind.VERIFICATION, subject))
    assert job.state == "done", job.error
    return get_report(verification.study, Report.Kind.VERIFICATION, subject)


def test_precision_and_effect_come_of_the_decisions(world):
    user, posts = make_person(world.study, "ann"), list_posts(world.study)
    for place in (0, 3, 6, 9):
        decide(world, user, posts[place], "corrected", [*SAID[place][:2], int(place % 4 == 3), 0])
    decide(world, user, posts[12], "confirmed")
    decide(world, user, posts[13], "unsure")
    report = measure(world)
    measures, (rule,) = report.measures, report.measures["rules"]
    # In post 3 experts see care too, so that the correction changes the strength and not the presence.
    assert (rule["n_flagged"], rule["n_decided"], rule["n_corrected"], rule["n_unsure"]) == (6, 5, 3, 1)
    assert rule["precision"] == 0.6
    assert rule["load"] == pytest.approx(1000 * 6 / 14)
    assert 0 < rule["interval"][0] < 0.6 < rule["interval"][1] < 1
    effect = rule["effect"]
    assert effect["n_decided_in_reference"] == 4
    assert effect["n_decided_without_reference"] == 1
    assert effect["after"] > effect["before"]
    assert effect["difference"] == pytest.approx(effect["after"] - effect["before"])
    assert (effect["n_better"], effect["n_worse"]) == (3, 0)
    assert measures["effect"]["difference"] == effect["difference"]
    assert measures["n_flagged_without_reference"] == 2
    assert {figure.key for figure in report.figures.all()} == {"verification_rules", "verification_effect"}
    assert measures["by_value"][2] == {"value": "care", "n_changed": 3, "n_added": 0}


def test_before_any_decision_there_is_no_number_and_a_reason(world):
    report = measure(world)
    (rule,) = report.measures["rules"]
    assert (rule["precision"], rule["precision_reason"]) == (None, "no flagged post is decided")
    assert rule["effect"]["difference"] is None
    assert rule["effect"]["reason"] == "no flagged post with a reference is decided"
    assert rule["effect"]["before"] is not None
    assert report.figures.count() == 0


def test_without_an_expert_set_the_effect_is_not_measured():
    study = make_study(6)
    made = make_verification(study, make_run(study, *[[0, 0, 6, 0]] * 6), rules=RULES_HERE)
    user = make_person(study, "ann")
    for post in list_posts(study)[:2]:
        decide(made, user, post, "corrected", [0, 0, 0, 0])
    (rule,) = measure(made).measures["rules"]
    assert (rule["precision"], rule["interval"]) == (1.0, [None, None])
    assert "fewer than 5" in rule["precision_reason"]
    assert rule["effect"]["reason"] == "no expert set was named"


def test_posts_that_the_model_was_taught_do_not_count(world):
    annotator = world.run.annotator
    annotator.trained_on = [post.pk for post in list_posts(world.study)[:5]]
    annotator.save()
    measures = measure(world).measures
    assert (measures["n_taught"], measures["n_reference"]) == (5, 7)


def test_what_could_not_be_told_is_counted_condition_by_condition():
    study = make_study(3)
    made = make_verification(study, make_run(study, *[[0, 0, 6, 0]] * 3), rules=RULES[2:])
    (rule,) = measure(made).measures["rules"]
    assert rule["n_undecided"] == 3
    assert rule["unknown"] == [
        {"place": "when", "words": "models differ on whether the value is expressed", "n": 3}
    ]


def test_the_file_holds_both_ratings_and_what_they_rest_on(world):
    user, posts = make_person(world.study, "=cmd"), list_posts(world.study)
    decide(world, user, posts[0], "corrected", [0, 5, 0, 0], "no care")
    rows = list(csv.DictReader(io.StringIO("".join(write_decisions(world)))))
    assert len(rows) == 6
    row = next(row for row in rows if row["post"] == "p1")
    assert (row["model_care"], row["expert_care"], row["verdict"], row["note"]) == (
        "5",
        "0",
        "corrected",
        "no care",
    )
    assert row["expert"] == "'=cmd"  # which no spreadsheet takes for a formula
    assert (row["rule_set"], row["corpus_sha256"]) == ("checks, version 1", world.corpus_sha256)
    assert next(row for row in rows if row["post"] == "p13")["verdict"] == ""
