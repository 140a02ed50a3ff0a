import pytest
from django.db import transaction
from django.utils import timezone

from annotation.errors import Refused
from annotation.models import StudyEvent
from jobs.models import Job
from jobs.services import run_here
from modeling.checking import computing, services
from modeling.checking.services import FOUND, SAMPLE, Purpose
from modeling.models import CheckLabel, ClassifierCheck, Curation
from tests.modeling.checking.ground import close_here, label_all, make_check, make_person, make_rated_curation

pytestmark = pytest.mark.django_db


class TestDrawing:
    def test_decisions_are_those_of_the_threshold_and_posts_without_a_rating_stay_out(self):
        check = make_check([3, 2.5, 1, None, 3])
        drawn = {item.feed_post.key: item.is_predicted for item in check.items.select_related("feed_post")}
        assert drawn == {"key-0": True, "key-1": False, "key-2": False, "key-4": True}
        assert sorted(item.position for item in check.items.all()) == [1, 2, 3, 4]

    @pytest.mark.parametrize(
        ("purpose", "settings", "threshold"),
        [
            (Purpose.COMPREHENSIBILITY, {}, 3),
            (Purpose.COMPREHENSIBILITY, {"least_comprehensibility": 2}, 2),
            (Purpose.NSFW, {}, 1),
            (Purpose.NSFW, {"most_nsfw": 1}, 2),
            (Purpose.NSFW, {"samples": 4}, 0.25),
        ],
    )
    def test_the_threshold_that_is_suggested_is_the_curations_own(self, purpose, settings, threshold):
        curation = make_rated_curation([0], purpose=purpose, **settings)
        assert services.suggest_threshold(curation, purpose) == threshold

    def test_the_same_seed_draws_the_same_posts_again(self):
        curation = make_rated_curation([3, 0] * 20)

        def draw(seed):
            check = services.create_check(
                curation, purpose="comprehensibility", threshold=3, n_each=5, seed=seed
            )
            return list(check.items.order_by("position").values_list("feed_post", flat=True))

        assert draw(4) == draw(4)
        assert draw(4) != draw(5)

    def test_how_it_was_drawn_is_kept_with_it_and_no_decision_is_logged(self):
        check = make_check([3, 0, 0], n_each=2)
        assert check.results == {
            SAMPLE: check.results[SAMPLE]
            | {"n_yes": 1, "n_no": 2, "n_yes_there": 1, "n_no_there": 2, "is_standin": False}
        }
        assert StudyEvent.objects.filter(summary__contains="made of 3 posts").count() == 1

    @pytest.mark.parametrize(
        ("fields", "says"),
        [
            ({"purpose": "values"}, "not of 'values'"),
            ({"threshold": float("nan")}, "threshold must be a number"),
            ({"n_each": 0}, "From 1 to 1,000 posts"),
            ({"seed": -1}, "seed is a whole number"),
            ({"purpose": "nsfw"}, "No model has decided this yet"),
        ],
    )
    def test_what_cannot_be_drawn_is_refused_with_the_reason(self, fields, says):
        curation = make_rated_curation([3, 0])
        with pytest.raises(Refused, match=says):
            services.create_check(curation, **{"purpose": "comprehensibility", "threshold": 3} | fields)
        assert not ClassifierCheck.objects.exists()

    def test_a_curation_under_way_is_left_alone(self, monkeypatch):
        curation = make_rated_curation([3, 0])
        monkeypatch.setattr(services, "is_busy", lambda held: True)
        with pytest.raises(Refused, match="under way"):
            services.create_check(curation, purpose="comprehensibility", threshold=3)

    def test_no_rating_no_check(self):
        with pytest.raises(Refused, match="No post has a rating"):
            make_check([None, None])


class TestLabeling:
    def test_a_label_can_be_changed_and_is_ones_own(self):
        check = make_check()
        ann, ben = (make_person(check.curation.study, name) for name in ("ann", "ben"))
        services.set_label(check, 1, ann, is_positive=True)
        services.set_label(check, 1, ben, is_positive=True)
        services.set_label(check, 1, ann, is_positive=False)
        assert dict(CheckLabel.objects.values_list("labeler", "is_positive")) == {
            ann.pk: False,
            ben.pk: True,
        }

    def test_a_post_that_the_check_does_not_have_cannot_be_labeled(self):
        check = make_check()
        with pytest.raises(Refused, match="no post 7"):
            services.set_label(check, 7, make_person(check.curation.study, "ann"), is_positive=True)


class TestClosing:
    def test_it_takes_two_people_who_labeled_everything(self):
        check = make_check()
        ann, ben = (make_person(check.curation.study, name) for name in ("ann", "ben"))
        label_all(check, ann)
        services.set_label(check, 1, ben, is_positive=True)
        with pytest.raises(Refused, match="At least 2 people must have labeled every post; 1 has"):
            services.close_check(check)
        check.refresh_from_db()
        assert check.closed_at is None
        assert not Job.objects.filter(kind=services.KIND).exists()

    def test_nothing_changes_after_that(self):
        check = make_check()
        people = [make_person(check.curation.study, name) for name in ("ann", "ben")]
        for user in people:
            label_all(check, user)
        found = close_here(check)
        with pytest.raises(Refused, match="closed"):
            services.set_label(check, 1, people[0], is_positive=False)
        assert close_here(check) == found
        assert Job.objects.filter(kind=services.KIND).count() == 1

    def test_a_failed_computation_is_tried_again(self, monkeypatch):
        check = make_check()
        for name in ("ann", "ben"):
            label_all(check, make_person(check.curation.study, name))
        job = services.close_check(check)
        Job.objects.filter(pk=job.pk).update(
            state="failed", error="The disk was full.", finished_at=timezone.now()
        )
        assert close_here(check)["n_posts"] == 6

    def test_an_open_check_is_not_computed(self):
        check = make_check()
        with transaction.atomic():
            job = services.jobs.enqueue(kind=services.KIND, key="too early", payload={"check": check.pk})
        assert run_here(job, poll_seconds=0.01).state == "failed"
        check.refresh_from_db()
        assert FOUND not in check.results


class TestResults:
    def test_they_are_the_numbers_of_the_labels(self):
        check = make_check([3] * 4 + [0] * 4)
        ann, ben, cem = (make_person(check.curation.study, name) for name in ("ann", "ben", "cem"))
        yes = [item.position for item in check.items.filter(is_predicted=True)]
        label_all(check, ann)
        label_all(check, ben, differing=yes[:1])
        label_all(check, cem, differing=yes[:2])
        found = close_here(check)
        assert found["labelers"] == ["ann", "ben", "cem"]
        by_pair = {tuple(pair["names"]): pair["accuracy"]["estimate"] for pair in found["pairs"]}
        assert by_pair == {("ann", "ben"): 7 / 8, ("ann", "cem"): 6 / 8, ("ben", "cem"): 7 / 8}
        with_model = {row["name"]: row for row in found["with_model"]}
        assert with_model["ann"]["kappa"]["estimate"] == 1
        assert with_model["cem"]["accuracy"]["estimate"] == 6 / 8
        majority, unanimous = found["against"]["majority"], found["against"]["unanimous"]
        assert (majority["n_yes"], majority["n_no"], majority["n_apart"], majority["n_posts"]) == (3, 5, 0, 6)
        assert (unanimous["n_yes"], unanimous["n_no"], unanimous["n_apart"]) == (2, 4, 2)
        assert sum(majority["confusion"].values()) == 6
        assert majority["scores"]["recall"]["estimate"] == 1

    def test_they_are_the_same_whenever_they_are_computed(self):
        check = make_check([3] * 8 + [0] * 8, seed=9)
        for name in ("ann", "ben", "cem"):
            label_all(
                check, make_person(check.curation.study, name), differing=range(1, 1 + len(name + name))
            )
        found = close_here(check)
        assert computing.compute(check) == found

    def test_people_who_did_not_finish_are_left_out_and_named(self):
        check = make_check()
        ann, ben, cem = (make_person(check.curation.study, name) for name in ("ann", "ben", "cem"))
        label_all(check, ann)
        label_all(check, ben)
        services.set_label(check, 2, cem, is_positive=True)
        found = close_here(check)
        assert found["labelers"] == ["ann", "ben"]
        assert found["left_out"] == [["cem", 1]]

    def test_what_does_not_exist_is_none_with_a_reason(self):
        check = make_check([3, 3, 3])
        for name in ("ann", "ben"):
            label_all(check, make_person(check.curation.study, name))
        found = close_here(check)
        (pair,) = found["pairs"]
        assert pair["kappa"] == {
            "estimate": None,
            "interval": [None, None],
            "reason": "both give every post one and the same label",
        }
        assert found["against"]["majority"]["scores"]["recall"]["reason"] == "no post has both labels"
        assert found["against"]["majority"]["n_posts"] == 0

    def test_reasons_are_frozen_where_majority_and_classifier_differ_and_only_there(self):
        check = make_check()
        people = [make_person(check.curation.study, name) for name in ("ann", "ben", "cem")]
        for user in people[:2]:
            label_all(check, user, differing=[4])
        label_all(check, people[2])
        posts = {post["position"]: post for post in close_here(check)["posts"]}
        assert [position for position, post in posts.items() if post["reasons"]] == [4]
        (reasons,) = posts[4]["reasons"]
        assert "quixotic" in reasons["why"]
        assert reasons["concepts"][0][1] == 1
        Curation.objects.update(comprehensibility=None)
        check.curation.runs.all().delete()
        check.refresh_from_db()
        assert check.results[FOUND]["posts"][3]["reasons"] == [reasons]
