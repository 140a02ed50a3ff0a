import math

import pytest
from django.db import IntegrityError, transaction

from annotation.errors import Refused
from annotation.models import Post, StudyEvent
from annotation.selectors import get_tree
from annotation.tree.walk import Reading
from modeling.annotators.runs import forget_failures
from modeling.experts import services, standing
from modeling.experts.loading import load_reference
from modeling.models import AnnotatorRun, ExpertLabel, ExpertSet, SplitOpening
from tests.factories import PostFactory
from tests.modeling.experts.ground import (
    NONE,
    item_at,
    items_of,
    label,
    make_experts,
    make_run,
    make_set,
    rate,
)

pytestmark = pytest.mark.django_db


class TestMakingASet:
    def test_posts_are_dealt_once_into_two_splits_and_it_is_logged(self):
        made = make_set(10, test_share=0.3, seed=5)
        splits = list(made.items.order_by("position").values_list("split", flat=True))
        assert (splits.count("test"), splits.count("development")) == (3, 7)
        assert StudyEvent.objects.filter(summary__contains="10 posts, 3 of them for the test").exists()

    def test_the_same_seed_deals_the_same(self):
        first = make_set(10, seed=5)
        again = make_set(study=first.study, seed=5)
        assert list(first.items.values_list("post", "split")) == list(
            again.items.values_list("post", "split")
        )

    def test_posts_for_models_alone_and_paraphrases_stay_out_unless_they_may_come_in(self):
        first = make_set(2)
        PostFactory(study=first.study, key="corpus", purpose=Post.Purpose.CORPUS)
        PostFactory(study=first.study, key="other words", purpose=Post.Purpose.PARAPHRASE)
        assert make_set(study=first.study).items.count() == 2
        assert make_set(study=first.study, with_corpus=True).items.count() == 3
        assert make_set(study=first.study, posts=["corpus", "p1"]).items.count() == 2
        with pytest.raises(Refused, match="other words"):
            make_set(study=first.study, posts=["other words", "p1"])

    @pytest.mark.parametrize(
        ("fields", "says"),
        [
            ({"threshold": 0}, "between 1 and 6"),
            ({"threshold": 7}, "between 1 and 6"),
            ({"n_experts": 0}, "From 1 to 50 experts"),
            ({"test_share": 1.5}, "between 0 and 1"),
            ({"seed": -1}, "seed is a whole number"),
            ({"name": "  "}, "name must be text"),
            ({"posts": 9}, "has 4; ask for fewer"),
            ({"posts": ["p1", "nowhere"]}, "nowhere"),
            ({"posts": []}, "at least one post"),
            ({"form": "pie"}, "flat or tree"),
        ],
    )
    def test_what_cannot_be_is_refused_and_nothing_is_made(self, fields, says):
        with pytest.raises(Refused, match=says):
            make_set(**fields)
        assert not ExpertSet.objects.exists()

    def test_a_copy_of_a_test_post_is_no_development_post(self):
        study = make_set(40).study
        posts = list(study.posts.order_by("pk"))
        for first, second in zip(posts[::2], posts[1::2], strict=True):
            study.posts.filter(pk=second.pk).update(text=first.text, context_text=first.context_text)
        made = make_set(study=study)
        texts = [{item.post.text for item in items_of(made, split)} for split in ("development", "test")]
        assert len(texts[0]) == len(texts[1]) == 10 and not texts[0] & texts[1]

    def test_a_name_is_taken_once(self):
        first = make_set(name="spring")
        with pytest.raises(Refused, match="another name"):
            make_set(study=first.study, name=" spring ")

    def test_development_posts_that_are_test_posts_elsewhere_are_counted(self):
        first = make_set(4, test_share=1)
        other = make_set(study=first.study, test_share=0.5)
        assert standing.count_dealt_otherwise(other, "development") == 2
        assert standing.count_dealt_otherwise(first, "development") == 0


class TestLabeling:
    def test_a_second_label_by_the_same_expert_is_numbered_and_the_first_is_kept(self):
        expert_set = make_set()
        (ann,) = make_experts(expert_set, "ann")
        item = item_at(expert_set)
        label(item, ann, face=2)
        label(item, ann, face=5)
        found = ExpertLabel.objects.filter(item=item).order_by("number")
        face = expert_set.study.value_keys.index("face")
        assert [(each.number, each.is_current, each.ratings[face]) for each in found] == [
            (1, False, 2),
            (2, True, 5),
        ]
        assert [(each.n_labeled, each.n_revised) for each in standing.list_experts(expert_set)] == [(1, 1)]

    def test_the_same_again_is_no_second_label(self):
        expert_set = make_set()
        (ann,) = make_experts(expert_set, "ann")
        assert label(item_at(expert_set), ann, face=2) == label(item_at(expert_set), ann, face=2)
        assert ExpertLabel.objects.count() == 1
        assert label(item_at(expert_set), ann, face=2, note="now with a note").number == 2

    def test_a_walk_through_the_tree_rates_what_was_not_opened_lowest_and_is_kept(self):
        expert_set = make_set(form="tree")
        (ann,) = make_experts(expert_set, "ann")
        tree = get_tree(expert_set.study.value_system)
        walk = Reading({tree.root.key: frozenset()}, {})
        stored = services.store_label(item_at(expert_set), expert_user=ann, walk=walk)
        assert set(stored.ratings) == {0.0}
        assert stored.walk == {"marks": {tree.root.key: []}, "ratings": {}}
        with pytest.raises(Refused, match="is missing"):
            services.store_label(item_at(expert_set), expert_user=ann, walk=Reading({}, {}))

    @pytest.mark.parametrize(
        ("ratings", "says"),
        [
            ([1.0], "has 19 values"),
            ([7.0] * 19, "not a rating"),
            ([0.5] * 19, "not a rating"),
            ([NONE] * 19, "No value"),
        ],
    )
    def test_ratings_that_do_not_fit_the_study_are_refused(self, ratings, says):
        expert_set = make_set()
        (ann,) = make_experts(expert_set, "ann")
        with pytest.raises(Refused, match=says):
            services.store_label(item_at(expert_set), expert_user=ann, ratings=ratings)

    def test_a_closed_set_takes_no_label_and_an_opened_again_one_does(self):
        expert_set = make_set(closed=True)
        (ann,) = make_experts(expert_set, "ann")
        with pytest.raises(Refused, match="is closed"):
            label(item_at(expert_set), ann)
        services.reopen_set(expert_set)
        assert label(item_at(expert_set), ann).number == 1

    def test_a_post_with_enough_labels_waits_for_nobody_else(self):
        expert_set = make_set(2, n_experts=2)
        ann, ben, cem = make_experts(expert_set, "ann", "ben", "cem")
        label(item_at(expert_set, 1), ann)
        label(item_at(expert_set, 1), ben)
        assert standing.list_waiting(expert_set, "ann") == [2]
        assert standing.list_waiting(expert_set, "cem") == [2]
        assert label(item_at(expert_set, 1), cem).number == 1  # who had the page open loses nothing


class TestResolving:
    def prepare(self, **fields):
        expert_set = make_set(**fields)
        ann, ben = make_experts(expert_set)
        item = item_at(expert_set)
        label(item, ann, face=5, humility=4)
        label(item, ben, face=1, humility=6)
        return expert_set, item

    def resolve(self, item, **ratings):
        vector = [float(ratings.get(key, NONE)) for key in item.expert_set.study.value_keys]
        return services.resolve(item, vector, "we talked", None)

    def stand(self, expert_set, item):
        (found,) = standing.list_standings(expert_set, expert_set.items.filter(pk=item.pk))
        return found

    def test_a_resolution_settles_what_was_open_and_keeps_every_label(self):
        expert_set, item = self.prepare()
        face = expert_set.study.value_keys.index("face")
        assert self.stand(expert_set, item).n_open == 1
        self.resolve(item, face=4)
        found = self.stand(expert_set, item)
        assert (found.n_open, found.settled.ratings[face], found.settled.how[face]) == (0, 4, "resolved")
        assert [each.ratings[face] for each in found.labels] == [5, 1]
        assert found.disputed == (face,)

    def test_a_later_resolution_keeps_the_earlier_one(self):
        _, item = self.prepare()
        self.resolve(item, face=4)
        self.resolve(item, face=4)
        self.resolve(item, face=0)
        assert list(item.resolutions.values_list("number", "is_current")) == [(1, False), (2, True)]

    def test_what_experts_agree_on_is_not_resolved(self):
        _, item = self.prepare()
        with pytest.raises(Refused, match="do not differ in whether these are expressed: humility"):
            self.resolve(item, face=4, humility=0)

    def test_nothing_is_resolved_before_all_have_labeled(self):
        _, item = self.prepare(n_experts=3)
        with pytest.raises(Refused, match="2 of 3 experts"):
            self.resolve(item, face=4)

    def test_whoever_resolved_has_seen_others_and_labels_no_more(self):
        expert_set, item = self.prepare()
        (cem,) = make_experts(expert_set, "cem")
        vector = [4.0 if key == "face" else NONE for key in expert_set.study.value_keys]
        services.resolve(item, vector, "", cem)
        with pytest.raises(Refused, match="have seen what others said"):
            label(item_at(expert_set, 2), cem)

    def test_who_labels_sees_others_only_when_the_set_is_closed(self):
        expert_set, _ = self.prepare()
        ann, cem = (
            expert_set.study.accesses.get(user__username="ann").user,
            make_experts(expert_set, "cem")[0],
        )
        assert not standing.may_see_labels(expert_set, ann)
        assert standing.may_see_labels(expert_set, cem)
        assert standing.may_see_labels(services.close_set(expert_set), ann)


class TestOpeningTheTest:
    def test_it_is_opened_once_for_a_family_and_the_log_says_by_whom_when_and_why(self):
        expert_set = make_set(closed=True)
        (ann,) = make_experts(expert_set, "ann")
        run, later = make_run(expert_set), make_run(expert_set, name="later")
        opening = services.open_test(expert_set, "prompt: main", [run], reason="version 6 is final", user=ann)
        assert opening.run_ids == [run.pk]
        with pytest.raises(Refused) as refusal:
            services.open_test(expert_set, "prompt: main", [later], reason="again", user=ann)
        day = f"{opening.opened_at:%Y-%m-%d %H:%M}"
        assert all(
            word in str(refusal.value) for word in (day, "by ann", f"run {run.pk}", "version 6 is final")
        )
        event = StudyEvent.objects.get(summary__startswith="Test posts")
        assert (event.reason, event.actor_name, event.detail["runs"]) == (
            "version 6 is final",
            "ann",
            [run.pk],
        )

    def test_another_family_is_opened_on_its_own(self):
        expert_set = make_set(closed=True)
        services.open_test(expert_set, "prompt: main", [make_run(expert_set)], reason="done")
        other = make_run(expert_set, family="new wording")
        assert services.list_openable_runs(expert_set) == [other]
        services.open_test(expert_set, "prompt: new wording", [other], reason="done")
        assert expert_set.openings.count() == 2
        assert services.list_openable_runs(expert_set) == []

    def test_the_database_itself_takes_no_second_opening_of_a_family(self):
        expert_set = make_set(closed=True)
        opening = services.open_test(expert_set, "prompt: main", [make_run(expert_set)], reason="done")
        with pytest.raises(IntegrityError), transaction.atomic():
            SplitOpening.objects.create(expert_set=expert_set, family=opening.family, opener="x")

    @pytest.mark.parametrize(
        ("fields", "arguments", "says"),
        [
            ({}, {"reason": " "}, "Say why"),
            ({}, {"family": "prompt: other"}, "is of prompt: main, not of prompt: other"),
            ({"state": AnnotatorRun.State.RUNNING}, {}, "no finished run"),
            ({"is_preview": True}, {}, "no finished run"),
            ({"split": "development"}, {}, "read none of the test posts"),
        ],
    )
    def test_what_would_waste_it_is_refused(self, fields, arguments, says):
        expert_set = make_set(closed=True)
        run = make_run(expert_set, **fields)
        with pytest.raises(Refused, match=says):
            services.open_test(
                expert_set, **{"family": "prompt: main", "runs": [run], "reason": "done"} | arguments
            )
        assert not SplitOpening.objects.exists()

    def test_an_open_set_and_one_without_runs_or_test_posts_are_refused(self):
        expert_set = make_set(test_share=0)
        with pytest.raises(Refused) as refusal:
            services.open_test(expert_set, "prompt: main", [], reason="done")
        assert all(
            word in str(refusal.value) for word in ("close it first", "Name the runs", "no test posts")
        )

    def test_after_it_the_reference_of_the_test_posts_stays_as_it_was(self):
        expert_set = make_set()
        ann, ben = make_experts(expert_set)
        for item in expert_set.items.all():
            label(item, ann, face=5)
            label(item, ben, face=0)
        services.close_set(expert_set)
        services.open_test(expert_set, "prompt: main", [make_run(expert_set)], reason="done")
        with pytest.raises(Refused, match="stays closed"):
            services.reopen_set(expert_set)
        vector = [4.0 if key == "face" else NONE for key in expert_set.study.value_keys]
        with pytest.raises(Refused, match="stays as it was then"):
            services.resolve(items_of(expert_set, "test")[0], vector, "", None)
        assert services.resolve(items_of(expert_set, "development")[0], vector, "", None).number == 1


class TestLoadingTheReference:
    def test_posts_come_in_order_of_their_ids_with_everybodys_labels(self):
        expert_set = make_set(6, test_share=0.5)
        ann, ben = make_experts(expert_set)
        items = items_of(expert_set, "development")
        label(items[0], ann, face=5)
        label(items[0], ben, face=4)
        label(items[1], ben, face=6)
        found = load_reference(expert_set)
        assert found.post_ids.tolist() == sorted(item.post_id for item in items)
        assert (found.labels.shape, found.experts) == ((2, 3, 19), ("ann", "ben"))
        face = expert_set.study.value_keys.index("face")
        by_post = dict(zip(found.post_ids.tolist(), found.ratings[:, face].tolist(), strict=True))
        assert by_post[items[0].post_id] == 4
        assert by_post[items[1].post_id] == 6
        assert math.isnan(by_post[items[2].post_id])
        assert (found.n_unlabeled, found.n_open, found.threshold) == (1, 0, 3)
        assert any("1 of 3 posts have no label" in note for note in found.notes)
        assert any("fewer than 2 experts" in note for note in found.notes)

    def test_open_values_are_left_out_and_told(self):
        expert_set = make_set(2, test_share=0)
        ann, ben = make_experts(expert_set)
        label(item_at(expert_set), ann, face=5)
        label(item_at(expert_set), ben, face=0)
        found = load_reference(expert_set)
        assert (found.n_open, int(found.is_open.sum())) == (1, 1)
        assert any("1 values in 1 posts are left out" in note for note in found.notes)

    def test_a_value_that_nobody_rated_is_named(self):
        expert_set = make_set(2, test_share=0)
        (ann,) = make_experts(expert_set, "ann")
        ratings = rate(expert_set)
        ratings[expert_set.study.value_keys.index("face")] = NONE
        services.store_label(item_at(expert_set), expert_user=ann, ratings=ratings)
        assert "Absent from the reference: face." in load_reference(expert_set).notes

    def test_test_posts_need_an_opening_of_this_set(self):
        expert_set = make_set(closed=True)
        other = make_set(study=expert_set.study, closed=True)
        opening = services.open_test(expert_set, "prompt: main", [make_run(expert_set)], reason="done")
        for given in (None, SplitOpening(pk=0)):
            with pytest.raises(Refused, match="opened once for each family"):
                load_reference(expert_set, split="test", opening=given)
        with pytest.raises(Refused, match="opened once for each family"):
            load_reference(other, split="test", opening=opening)
        assert len(load_reference(expert_set, split="test", opening=opening).post_ids) == 2

    def test_posts_that_another_set_deals_otherwise_are_told_with_every_number(self):
        made = make_set(8, closed=True)
        everything = [item.post.key for item in items_of(made, "test")]
        other = make_set(study=made.study, posts=everything, test_share=0.0, closed=True)
        opening = services.open_test(made, "prompt: main", [make_run(made)], reason="final")
        (note,) = [
            each for each in load_reference(made, split="test", opening=opening).notes if "another" in each
        ]
        assert (
            note
            == "4 of these test posts are development posts of another set: they can have been seen before."
        )
        (note,) = [each for each in load_reference(other).notes if "another" in each]
        assert note == "4 of these development posts are test posts of another set, which they spoil."

    def test_a_split_that_there_is_not_is_refused(self):
        with pytest.raises(ValueError, match="development or test"):
            load_reference(make_set(), split="train")

    def test_values_that_were_changed_after_labeling_are_refused(self):
        expert_set = make_set(test_share=0)
        (ann,) = make_experts(expert_set, "ann")
        stored = label(item_at(expert_set), ann)
        ExpertLabel.objects.filter(pk=stored.pk).update(ratings=(1.0, 2.0))
        with pytest.raises(Refused, match="of 2 values and the study has 19 now"):
            load_reference(expert_set)


def test_a_run_scored_on_test_posts_is_not_tried_again():
    expert_set = make_set(closed=True)
    run = make_run(expert_set)
    services.open_test(expert_set, "prompt: main", [run], reason="The last look.")
    with pytest.raises(Refused, match="scored on test posts"):
        forget_failures(run)
