"""Rules stored and held against runs, the queue that comes of it, and decisions."""

import pytest

from annotation.errors import Refused
from jobs.models import Job
from jobs.services import run_here
from modeling.models import ModelReading, RuleSet, Verification, VerificationItem
from modeling.rules.reading import RulesRefused
from modeling.verifying import queue, services
from modeling.verifying.loading import load_verified
from tests.modeling.verifying.ground import (
    CARE,
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
NAN = float("nan")


class TestRules:
    def test_a_change_is_the_next_version_and_the_older_one_stays(self):
        study = make_study()
        first = services.save_rule_set(study, name="checks", rules=[HIGH])
        second = services.save_rule_set(study, name=" checks ", rules=[HIGH, CARE], note="care")
        assert (str(first), str(second)) == ("checks, version 1", "checks, version 2")
        first.refresh_from_db()
        assert first.rules == [HIGH]
        assert study.events.filter(summary__contains="version 2").count() == 1

    def test_the_same_rules_again_are_no_version(self):
        study = make_study()
        first = services.save_rule_set(study, name="checks", rules=[HIGH])
        assert services.save_rule_set(study, name="checks", rules=[dict(reversed(HIGH.items()))]) == first

    def test_what_is_wrong_is_refused_and_nothing_stored(self):
        study = make_study()
        with pytest.raises(RulesRefused):
            services.save_rule_set(study, name="checks", rules=[HIGH | {"values": ["courage"]}])
        with pytest.raises(Refused, match="name"):
            services.save_rule_set(study, name=" ", rules=[HIGH])
        assert not RuleSet.objects.exists()

    def test_a_note_that_a_database_cannot_store_is_refused(self):
        with pytest.raises(Refused, match="cannot be stored"):
            services.save_rule_set(make_study(), name="checks", rules=[HIGH], note="why\x00")


class TestQueue:
    def test_flagged_posts_wait_with_their_reasons_those_of_most_rules_first(self):
        study = make_study(5)
        posts = list_posts(study)
        run = make_run(study, [0, 0, 0, 0], [6, 0, 0, 0], [0, 0, 5, 0], [0, 0, 3, 0], None)
        other = make_run(
            study, [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 5, 0], [0, 0, 3, 0], [6, 6, 6, 6], name="b"
        )
        made = make_verification(study, run, other_runs=[other], threshold=2)
        assert (made.state, made.n_posts, made.counts["n_unread"], made.counts["n_any"]) == ("done", 5, 1, 3)
        order = list(made.items.values_list("post_id", flat=True))
        assert set(order[:2]) == {posts[1].pk, posts[2].pk}
        assert order[2] == posts[3].pk
        assert [reason["rule"] for reason in item_of(made, posts[1]).reasons] == ["high", "differ"]
        assert item_of(made, posts[2]).reasons[1] == {
            "rule": "care",
            "values": ["care"],
            "found": "Care 5, expressed",
        }
        assert item_of(made, posts[1]).ratings == (6, 0, 0, 0)
        assert made.counts["rules"]["high"]["n_flagged"] == 2

    def test_parts_of_the_corpus_make_the_same_queue_as_the_whole(self, monkeypatch):
        study = make_study(7)
        run = make_run(study, *[[place, 6 - place, 0, place % 3] for place in range(7)])
        whole = make_verification(study, run, threshold=2)
        monkeypatch.setattr("modeling.verifying.handlers.PART_POSTS", 3)
        parted = make_verification(study, run, threshold=2)
        for each in (whole, parted):
            each.found = {item.post_id: item.reasons for item in each.items.all()}
        assert parted.found == whole.found
        assert parted.counts == whole.counts
        assert Job.objects.filter(kind=services.VERIFY_POSTS).count() == 4

    def test_the_same_corpus_and_rules_are_told(self):
        study = make_study(3)
        run = make_run(study, [6, 0, 0, 0], [0, 0, 0, 0], [0, 6, 0, 0])
        first = make_verification(study, run)
        again = make_verification(study, run)
        assert services.find_twin(again) == first
        assert services.find_twin(first) == again
        ModelReading.objects.filter(run=run, post=list_posts(study)[1]).update(ratings=(1, 0, 0, 0))
        changed = make_verification(study, run)
        assert changed.corpus_sha256 != first.corpus_sha256
        assert services.find_twin(changed) is None

    def test_the_corpus_hash_is_over_texts_and_every_run(self):
        study = make_study(2)
        run = make_run(study, [6, 0, 0, 0], [0, 0, 0, 0])
        other = make_run(study, [6, 0, 0, 0], [0, 0, 0, 0], name="b")
        alone, beside = make_verification(study, run), make_verification(study, run, other_runs=[other])
        assert alone.corpus_sha256 != beside.corpus_sha256
        study.posts.filter(pk=list_posts(study)[0].pk).update(text="Other words.")
        assert make_verification(study, run).corpus_sha256 != alone.corpus_sha256

    def test_test_posts_of_expert_sets_are_left_out_and_counted(self):
        study = make_study(4)
        label_set(study, *[[0, 0, 0, 0]] * 4, test_share=0.5)
        made = make_verification(study, make_run(study, *[[6, 6, 6, 6]] * 4))
        assert (made.n_posts, made.counts["n_test"], made.items.count()) == (2, 2, 2)

    def test_a_cancelled_one_goes_on(self):
        study = make_study(2)
        made = make_verification(study, make_run(study, [6, 0, 0, 0], [0] * 4), start=False)
        services.start_verification(made)
        assert services.cancel_verification(made)
        assert (made.state, services.find_job(made).state) == ("cancelled", "cancelled")
        assert not services.cancel_verification(made)
        run_here(services.start_verification(made))
        made.refresh_from_db()
        assert (made.state, made.items.count()) == ("done", 1)
        with pytest.raises(Refused, match="another verification"):
            services.start_verification(made)

    def test_a_failure_is_noted_and_can_be_tried_again(self):
        study = make_study(2)
        other = make_run(study, [0] * 4, name="b")
        made = make_verification(study, make_run(study, [6, 0, 0, 0]), other_runs=[other], start=False)
        other.delete()
        run_here(services.start_verification(made))
        assert services.note_failure(made).state == Verification.State.FAILED
        assert "is gone" in made.problem

    def test_runs_that_cannot_be_verified_are_refused(self):
        study = make_study(2)
        rule_set = services.save_rule_set(study, name="checks", rules=RULES)
        good = make_run(study, [0] * 4)
        under_way = make_run(study, [0] * 4, name="b", state="running")
        stranger = make_run(make_study(1), [0] * 4)
        for run, others in ((under_way, []), (stranger, []), (good, [under_way])):
            with pytest.raises(Refused, match="cannot be verified"):
                services.create_verification(rule_set, run, other_runs=others)
        for threshold in (0, 7, True):
            with pytest.raises(Refused, match="from 1 to 6"):
                services.create_verification(rule_set, good, threshold=threshold)
        with pytest.raises(Refused, match="another study"):
            services.create_verification(rule_set, good, expert_set=label_set(make_study(1), [0] * 4))

    def test_the_threshold_is_that_of_the_expert_set(self):
        study = make_study(1)
        rule_set = services.save_rule_set(study, name="checks", rules=RULES)
        run, expert_set = make_run(study, [0] * 4), label_set(study, [0] * 4, threshold=4)
        assert services.create_verification(rule_set, run, expert_set=expert_set).threshold == 4
        assert services.create_verification(rule_set, run).threshold == 1

    def test_a_stand_in_is_carried_on(self):
        study = make_study(1)
        run, other = make_run(study, [6] * 4), make_run(study, [6] * 4, name="b", is_standin=True)
        assert not make_verification(study, run).is_standin
        assert make_verification(study, run, other_runs=[other]).is_standin

    def test_a_preview_counts_and_stores_nothing(self):
        study = make_study(3)
        run = make_run(study, [6, 0, 0, 0], [0, 0, 3, 0], [0, 0, 0, 0])
        job = run_here(services.request_preview(study, rules=RULES, run=run, other_runs=[], threshold=2))
        assert job.result["n_any"] == 2
        assert job.result["rules"]["differ"] == {
            "n_flagged": 0,
            "n_undecided": 3,
            "unknown": {"when": 3},
        }
        assert not VerificationItem.objects.exists()


class TestDecisions:
    @pytest.fixture
    def made(self):
        study = make_study(3)
        return make_verification(study, make_run(study, [6, 0, 0, 0], [0, 6, 0, 0], [0, 0, 6, 0]))

    def test_a_decision_stands_beside_the_models_ratings(self, made):
        post, user = list_posts(made.study)[0], make_person(made.study, "ann")
        given = decide(made, user, post, "corrected", [0, 0, 2, 0], " not order ")
        assert (given.ratings, given.note, given.name) == ((0, 0, 2, 0), "not order", "ann")
        assert item_of(made, post).ratings == (6, 0, 0, 0)
        assert ModelReading.objects.get(run=made.run, post=post).ratings == (6, 0, 0, 0)

    def test_a_later_decision_counts_and_the_earlier_one_is_kept(self, made):
        post, user = list_posts(made.study)[0], make_person(made.study, "ann")
        first = decide(made, user, post, "confirmed")
        assert decide(made, user, post, "confirmed") == first
        second = decide(made, user, post, "unsure")
        first.refresh_from_db()
        assert (first.is_current, second.is_current, second.number) == (False, True, 2)
        assert decide(made, user, post, "confirmed").number == 3

    def test_several_experts_decide_for_themselves(self, made):
        post = list_posts(made.study)[0]
        for name, verdict, ratings in (("ann", "corrected", [0] * 4), ("ben", "confirmed", None)):
            decide(made, make_person(made.study, name), post, verdict, ratings)
        assert item_of(made, post).decisions.filter(is_current=True).count() == 2
        assert [each["name"] for each in queue.list_experts(made)] == ["ann", "ben"]

    @pytest.mark.parametrize(
        ("verdict", "ratings", "why"),
        [
            ("right", None, "A decision is"),
            ("corrected", None, "4 ratings"),
            ("corrected", [0, 0, 0], "4 ratings"),
            ("corrected", [7, 0, 0, 0], "Order: 7"),
            ("corrected", [1.5, 0, 0, 0], "Order: 1.5"),
            ("corrected", [0, NAN, 0, 0], "Play has no rating"),
            ("corrected", [6, 0, 0, 0], "Nothing is changed"),
            ("confirmed", [0, 0, 0, 0], "with a correction only"),
        ],
    )
    def test_what_is_no_decision_is_refused(self, made, verdict, ratings, why):
        user = make_person(made.study, "ann")
        with pytest.raises(Refused, match=why):
            decide(made, user, list_posts(made.study)[0], verdict, ratings)

    def test_a_note_that_a_database_cannot_store_is_refused(self, made):
        with pytest.raises(Refused, match="cannot be stored"):
            decide(
                made, make_person(made.study, "ann"), list_posts(made.study)[0], "confirmed", note="so\x00"
            )

    def test_nothing_is_decided_before_the_queue_is_made(self, made):
        Verification.objects.filter(pk=made.pk).update(state="running")
        with pytest.raises(Refused, match="not made yet"):
            decide(made, make_person(made.study, "ann"), list_posts(made.study)[0], "confirmed")

    def test_verified_readings_have_experts_ratings_where_they_decided(self, made):
        posts, user = list_posts(made.study), make_person(made.study, "ann")
        decide(made, user, posts[0], "corrected", [0, 0, 0, 1])
        decide(made, user, posts[1], "unsure")
        decide(made, user, posts[2], "confirmed")
        ids, ratings, whose = load_verified(made)
        assert ids.tolist() == [post.pk for post in posts]
        assert ratings.tolist() == [[0, 0, 0, 1], [0, 6, 0, 0], [0, 0, 6, 0]]
        assert whose.tolist() == ["expert", "model", "expert"]


class TestBlindness:
    def test_a_post_that_an_expert_still_has_to_label_waits_for_them(self):
        study = make_study(2)
        posts = list_posts(study)
        open_set = label_set(study, [0] * 4, close=False)
        made = make_verification(study, make_run(study, [6] * 4, [6] * 4))
        ann = make_person(study, "ann").get_username()
        assert list(queue.list_open(made, ann).values_list("post_id", flat=True)) == [posts[1].pk]
        assert queue.count_progress(made, ann) == (0, 1, 1)
        labeler = f"labeler of {open_set.name}"
        assert queue.count_blind(made, labeler) == 0
        open_set.closed_at = made.created_at
        open_set.save()
        assert queue.count_blind(made, ann) == 0
