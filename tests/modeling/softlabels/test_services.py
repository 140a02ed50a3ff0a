from datetime import timedelta
from io import StringIO
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest
from django.core.files.storage import storages
from django.core.management import CommandError, call_command
from django.utils import timezone

from annotation.models import Annotation, Outcome, Post
from annotation.services import withdraw
from jobs.models import Job
from jobs.services import run_here
from modeling import scratch
from modeling.encoders.settings import EncoderSettings
from modeling.errors import NotEnoughData
from modeling.exclusions import exclude
from modeling.flagging import store_flags
from modeling.inclusion import InclusionRule
from modeling.models import (
    EncoderTraining,
    RuleSet,
    TransferCheck,
    Verification,
    VerificationDecision,
    VerificationItem,
)
from modeling.quality.measuring import Flag
from modeling.softlabels import handlers
from modeling.softlabels.loading import load_soft_labels
from modeling.softlabels.services import (
    SoftLabelsRefused,
    cancel_soft_labels,
    create_soft_labels,
    find_job,
    make_again,
)
from modeling.softlabels.settings import Source

from .soft import find_place, make_expert_set, make_sampled_run, make_soft, make_study

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    study = make_study()
    study.enrollments.update(finished_at=timezone.now() - timedelta(hours=1))
    return study


@pytest.fixture
def posts(study):
    return list(study.posts.order_by("pk"))


def list_files():
    folder = Path(storages["artefacts"].location)  # not there before the first file
    return {path.name for path in folder.glob("softlabels-*")}


def test_a_models_samples_become_shares_and_failed_ones_are_counted(study, posts):
    run = make_sampled_run(study, {posts[0]: [(0, 6, 2), (0, 5, 2), None, (1, 5, 2)], posts[1]: [None, None]})

    made = make_soft(study, Source("run", run.pk))
    labels = load_soft_labels(made)

    assert labels.post_ids.tolist() == [posts[0].pk]
    assert labels.mixed[0, 0] == pytest.approx([2 / 3, 1 / 3, 0, 0, 0, 0, 0], abs=1e-4)
    assert labels.mixed[0, 1] == pytest.approx([0, 0, 0, 0, 0, 2 / 3, 1 / 3], abs=1e-4)
    assert made.counts["sources"] == [{"n_posts": 1, "n_lacking": 0, "n_failed": 3}]
    assert not labels.has_people


def test_a_models_probabilities_are_read_where_it_was_asked_for_them(study, posts):
    said = [[0.1] * 6 + [0.4], None, [0, 0, 1, 0, 0, 0, 0]]
    run = make_sampled_run(study, {posts[0]: [(6, 3, 2), (6, 1, 2)]}, distributions=said)

    labels = load_soft_labels(make_soft(study, Source("run", run.pk, reads="logprobs")))

    assert labels.mixed[0, 0] == pytest.approx(said[0], abs=1e-4)
    assert np.isnan(labels.mixed[0, 1]).all()
    silent = make_sampled_run(study, {posts[0]: [(6, 3, 2)]}, name="Silent")
    with pytest.raises(SoftLabelsRefused, match="no probabilities"):
        create_soft_labels(study, "None", [Source("run", silent.pk, reads="logprobs")])


def test_every_person_who_counts_has_one_vote(study, posts):
    labels = load_soft_labels(make_soft(study, Source("people")))

    given = [row.ratings[1] for row in Annotation.objects.filter(post=posts[3])]
    place = find_place(labels, posts[3])
    assert labels.mixed[place, 1] == pytest.approx(np.bincount(given, minlength=7) / len(given), abs=1e-4)
    assert labels.has_people


def test_experts_speak_for_development_posts_and_no_test_post_has_a_label_from_anybody(study, posts):
    expert_set = make_expert_set(
        study,
        {posts[0]: [(6, 0, 0), (4, 0, 0)], posts[1]: [(1, 1, 1)]},
        {posts[2]: [(5, 5, 5), (5, 5, 5)]},
    )
    run = make_sampled_run(study, {posts[0]: [(0, 0, 0)], posts[2]: [(3, 3, 3)]})

    made = make_soft(study, Source("run", run.pk), Source("people"), Source("experts", expert_set.pk, 2.0))
    labels = load_soft_labels(made)

    assert posts[2].pk not in labels.post_ids
    assert made.counts["n_test"] == 1
    place = find_place(labels, posts[0])
    assert labels.per_source[2, place, 0] == pytest.approx([0, 0, 0, 0, 0.5, 0, 0.5], abs=1e-4)
    assert np.isnan(labels.per_source[2, find_place(labels, posts[4])]).all()


def test_experts_decisions_are_their_own_ratings_or_the_models_where_it_is_right(study, posts):
    run = make_sampled_run(study, {post: [(0, 0, 0)] for post in posts[:3]})
    rules = RuleSet.objects.create(study=study, name="Rules", number=1, rules=[], digest="d")
    verification = Verification.objects.create(study=study, rule_set=rules, run=run, threshold=3)
    for position, (post, verdicts) in enumerate(
        [
            (posts[0], [("corrected", (6, 5, 0)), ("confirmed", None)]),
            (posts[1], [("unsure", None)]),
            (posts[2], [("confirmed", None)]),
        ]
    ):
        item = VerificationItem.objects.create(
            verification=verification, post=post, position=position, reasons=[], ratings=(1.5, 0, 0)
        )
        for number, (verdict, ratings) in enumerate(verdicts):
            VerificationDecision.objects.create(
                item=item, name=f"expert {number}", verdict=verdict, ratings=ratings
            )

    labels = load_soft_labels(make_soft(study, Source("verified", verification.pk)))

    assert labels.post_ids.tolist() == [posts[0].pk, posts[2].pk]
    assert labels.mixed[0, 0] == pytest.approx([0, 0.25, 0.25, 0, 0, 0, 0.5], abs=1e-4)
    assert labels.mixed[1, 0] == pytest.approx([0, 0.5, 0.5, 0, 0, 0, 0], abs=1e-4)


def test_weights_say_whose_and_stay_beside_what_each_source_says(study, posts):
    first = make_sampled_run(study, {posts[0]: [(0, 0, 0)], posts[1]: [(6, 6, 6)]})
    second = make_sampled_run(study, {posts[0]: [(6, 6, 6)]}, name="Other")

    made = make_soft(study, Source("run", first.pk, 3.0), Source("run", second.pk, 1.0))
    labels = load_soft_labels(made)

    assert labels.weights.tolist() == [3, 1]
    assert labels.per_source.shape == (2, 2, 3, 7)
    assert labels.mixed[0, 0] == pytest.approx([0.75, 0, 0, 0, 0, 0, 0.25], abs=1e-4)
    assert labels.mixed[1, 0, 6] == pytest.approx(1)
    with storages["artefacts"].open(made.counts["table"]) as file:
        table = pyarrow.parquet.read_table(file).to_pylist()
    rows = {(row["post_key"], row["value"], row["source"]): row for row in table}
    assert len(table) == 3 * (2 + 2 + 1)
    mixed = rows[posts[0].key, study.value_keys[0], "mixed"]
    assert (mixed["weight"], round(mixed["p0"], 3), round(mixed["p6"], 3)) == (4.0, 0.75, 0.25)
    assert rows[posts[1].key, study.value_keys[0], "mixed"]["weight"] == 3.0


def test_paraphrases_have_no_labels_of_their_own(study, posts):
    other = Post.objects.create(study=study, key="again", text="In other words", purpose="paraphrase")
    run = make_sampled_run(study, {posts[0]: [(0, 0, 0)], other: [(3, 3, 3)]})

    labels = load_soft_labels(make_soft(study, Source("run", run.pk)))

    assert labels.post_ids.tolist() == [posts[0].pk]


def test_a_stand_in_and_a_model_that_was_taught_these_posts_are_told(study, posts):
    run = make_sampled_run(
        study, {posts[0]: [(0, 0, 0)]}, is_standin=True, trained_on=[posts[0].pk, posts[1].pk]
    )

    labels = load_soft_labels(make_soft(study, Source("run", run.pk)))

    assert labels.notes[0] == "Stand-in: not from a real model."
    assert "taught by 1 of these posts" in labels.notes[1]


def test_the_same_name_makes_the_next_version_with_the_same_hash_for_the_same_data(study, posts):
    run = make_sampled_run(study, {posts[0]: [(0, 0, 0)]})

    first, second = (make_soft(study, Source("run", run.pk)) for _ in range(2))

    assert (first.number, second.number) == (1, 2)
    assert first.data_hash == second.data_hash
    assert first.artefact != second.artefact


def test_every_fault_is_named_by_its_source(study):
    with pytest.raises(SoftLabelsRefused) as refusal:
        create_soft_labels(
            study, " ", [Source("run", 999), Source("experts", 5, -1.0), Source("verified", 8)]
        )

    assert refusal.value.faults.keys() == {"name", "0.number", "1.weight", "1.number", "2.number"}


def test_sources_without_any_post_fail_with_the_reason_and_can_be_tried_again(study, posts):
    run = make_sampled_run(study, {posts[0]: [None]})

    made = make_soft(study, Source("run", run.pk))

    assert made.state == "failed"
    assert "None of the sources has ratings" in made.problem
    with pytest.raises(NotEnoughData, match="is not made"):
        load_soft_labels(made)
    run.readings.update(ratings=(1, 2, 3), fault="")
    run_here(make_again(made))
    made.refresh_from_db()
    assert made.state == "done"
    with pytest.raises(SoftLabelsRefused, match="They are made"):
        make_again(made)


def test_an_expert_set_of_other_values_than_the_study_has_now_fails_with_the_reason(study, posts):
    gold = make_expert_set(study, {posts[0]: [(5, 1, 2, 4)]})
    made = make_soft(study, Source("experts", gold.pk))
    assert made.state == "failed"
    assert "has 3 now" in made.problem and find_job(made).attempts == 1


def test_what_is_cancelled_leaves_nothing_behind(study, posts, monkeypatch):
    run = make_sampled_run(study, {posts[0]: [(1, 1, 1)]})
    before = list_files()
    made = create_soft_labels(study, "Mixed", [Source("run", run.pk)])
    make = handlers.make_soft_labels

    def cancel_midway(soft_set, report):
        done = make(soft_set, report)
        soft_set.__class__.objects.filter(pk=soft_set.pk).update(state="cancelled")
        return done

    monkeypatch.setattr(handlers, "make_soft_labels", cancel_midway)
    run_here(find_job(made))

    made.refresh_from_db()
    assert (made.state, made.artefact) == ("cancelled", "")
    assert list_files() == before
    assert not cancel_soft_labels(made)


def test_a_cancelled_set_can_be_begun_anew(study):
    made = create_soft_labels(study, "Mixed", [Source("people")])

    assert cancel_soft_labels(made)
    assert find_job(made).state == Job.State.CANCELLED
    run_here(make_again(made))

    made.refresh_from_db()
    assert made.state == "done"


def outdate_by_withdrawal(study):
    withdraw(study.enrollments.filter(outcome=Outcome.COMPLETED).first())


def outdate_by_exclusion(study):
    exclude(study.enrollments.first(), reason="slept")


@pytest.mark.parametrize("outdate", [outdate_by_withdrawal, outdate_by_exclusion])
def test_ratings_that_do_not_count_any_more_take_their_labels_with_them(study, posts, outdate):
    run = make_sampled_run(study, {posts[0]: [(1, 1, 1)]})
    of_people = make_soft(study, Source("people"), Source("run", run.pk))
    of_models = make_soft(study, Source("run", run.pk), name="Models")
    training, check = (
        kind.objects.create(study=study, soft_labels=of_people, settings=EncoderSettings().to_dict(), **more)
        for kind, more in ((EncoderTraining, {"name": "Encoder"}), (TransferCheck, {}))
    )
    files = {of_people.artefact, of_people.counts["table"]}
    assert files <= list_files()

    outdate(study)
    for job in Job.objects.filter(kind="erase_predictions"):
        run_here(job)

    for row in (of_people, of_models, training, check):
        row.refresh_from_db()
    assert of_people.outdated_at and training.outdated_at and check.outdated_at
    assert "examples" not in of_people.counts
    assert not files & list_files()
    with pytest.raises(NotEnoughData, match="do not count any more"):
        load_soft_labels(of_people)
    assert of_models.outdated_at is None
    assert load_soft_labels(of_models).mixed[0, 0, 1] == pytest.approx(1)


def test_labels_that_a_withdrawal_overtook_are_outdated_from_the_start(study, monkeypatch):
    made = create_soft_labels(study, "Mixed", [Source("people")])
    make = handlers.make_soft_labels

    def leave_midway(soft_set, report):
        done = make(soft_set, report)
        outdate_by_withdrawal(study)
        return done

    monkeypatch.setattr(handlers, "make_soft_labels", leave_midway)
    run_here(find_job(made))

    made.refresh_from_db()
    assert made.outdated_at
    assert made.artefact == ""


def test_new_flags_outdate_labels_that_leave_flagged_people_out(study):
    rule = InclusionRule(without_flags=("fast_posts",))
    by_flags = make_soft(study, Source("people"), rule=rule)
    by_none = make_soft(study, Source("people"), name="All")

    store_flags(study, {study.enrollments.first().pk: [Flag("fast_posts", 0.5, 0.2)]})

    by_flags.refresh_from_db()
    by_none.refresh_from_db()
    assert by_flags.outdated_at
    assert by_none.outdated_at is None


def test_files_that_no_row_tells_of_are_cleared_and_others_stay(study):
    made = make_soft(study, Source("people"))
    later = timezone.now() + timedelta(days=5)
    stray = storages["artefacts"].open("softlabels-stray.npz", "wb")
    stray.write(b"x")
    stray.close()

    scratch.clear_scratch(later)

    assert "softlabels-stray.npz" not in list_files()
    assert {made.artefact, made.counts["table"]} <= list_files()


def test_the_command_can_be_interrupted_and_begun_anew(study, monkeypatch):
    told = StringIO()
    with monkeypatch.context() as patch, pytest.raises(CommandError, match="begin anew with --resume"):
        patch.setattr(handlers, "make_soft_labels", interrupt)
        call_command("soft_labels", study.slug, name="Mixed", people="1", stdout=told)
    made = study.soft_label_sets.get()
    assert (made.state, made.artefact, find_job(made).state) == ("cancelled", "", "cancelled")

    call_command("soft_labels", study.slug, resume=made.pk, stdout=told)
    made.refresh_from_db()
    assert (made.state, made.number) == ("done", 1)
    assert "has labels of 12 posts" in told.getvalue()
    with pytest.raises(CommandError, match="They are made"):
        call_command("soft_labels", study.slug, resume=made.pk, stdout=told)
    with pytest.raises(CommandError, match="no soft labels with the number 999"):
        call_command("soft_labels", study.slug, resume=999, stdout=told)


def interrupt(soft_set, report):
    raise KeyboardInterrupt
