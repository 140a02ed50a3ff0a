"""A sample in the study: by the rules of every post, with what it was screened by and without whose feed it was in."""

import json

import pytest

from annotation.errors import Refused
from annotation.models import Study, StudyEvent
from modeling.curation.loading import load_sample
from modeling.models import Curation, CurationDraw, FeedAppearance, FeedPost
from tests.factories import PostFactory, StudyFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def curation():
    """A curation whose sample is drawn: two posts of one owner's feeds, and one that nobody drew."""
    study = StudyFactory(posts=0, questions=0, steps=(), state=Study.State.DRAFT)
    curation = Curation.objects.create(
        study=study, name="spring", state=Curation.State.SAMPLED, is_standin=True
    )
    screening = [4.0] + [0.0] * (len(study.value_keys) - 1)
    for number, (key, dropped_at) in enumerate((("p1", ""), ("p2", ""), ("p3", "sample")), start=1):
        post = FeedPost.objects.create(
            curation=curation,
            key=key,
            text=f"The words of feed post {key}.",
            language="en",
            screening=screening,
            dropped_at=dropped_at,
            reason=dropped_at and "not_drawn",
        )
        FeedAppearance.objects.create(curation=curation, feed_post=post, owner="a1b2c3", source="following")
        if not dropped_at:
            CurationDraw.objects.create(
                curation=curation,
                number=number,
                owner="a1b2c3",
                value_key=study.value_keys[0],
                source="following",
                feed_post=post,
            )
    return curation


def test_the_drawn_posts_become_posts_with_their_screening_and_without_their_owner(curation):
    loaded = load_sample(curation)
    assert (loaded.n_added, loaded.n_known) == (2, 0)
    study = curation.study
    post = study.posts.get(key="p1")
    assert (post.text, post.purpose) == ("The words of feed post p1.", "labeling")
    assert post.metadata == {
        "screening": {key: 4.0 if key == study.value_keys[0] else 0.0 for key in study.value_keys},
        "source": "following",
        "feed": "spring",
        "language": "en",
        "screening_is_standin": True,
    }
    assert "a1b2c3" not in json.dumps(list(study.posts.values("key", "text", "metadata")))
    assert curation.state == Curation.State.LOADED
    assert FeedPost.objects.get(key="p1").post == post
    assert FeedPost.objects.get(key="p3").post is None
    assert study.events.filter(action=StudyEvent.Action.POSTS).count() == 1


def test_a_post_whose_text_the_study_has_stays_as_it_is_there(curation):
    there = PostFactory(study=curation.study, key="known", text="The words of FEED post p1.")
    loaded = load_sample(curation)
    assert (loaded.n_added, loaded.n_known) == (1, 1)
    there.refresh_from_db()
    assert there.metadata == {}
    assert FeedPost.objects.get(key="p1").post == there


def test_another_post_under_one_of_the_keys_keeps_the_whole_sample_out(curation):
    PostFactory(study=curation.study, key="p2", text="Something else.")
    with pytest.raises(Refused, match="'p2'"):
        load_sample(curation)
    assert curation.study.posts.count() == 1
    curation.refresh_from_db()
    assert curation.state == Curation.State.SAMPLED


def test_a_running_study_gets_its_posts_for_a_reason_only_and_a_closed_one_none(curation):
    Study.objects.update(state=Study.State.LIVE)
    with pytest.raises(Refused, match="say why"):
        load_sample(curation)
    Study.objects.update(state=Study.State.CLOSED)
    with pytest.raises(Refused, match="closed"):
        load_sample(curation, reason="More posts were needed.")
    Study.objects.update(state=Study.State.LIVE)
    load_sample(curation, reason="More posts were needed.")
    assert curation.study.versions.latest("number").reason == "More posts were needed."
    assert curation.study.events.get(action=StudyEvent.Action.POSTS).reason == "More posts were needed."


@pytest.mark.parametrize("state", [Curation.State.DRAFT, Curation.State.RUNNING, Curation.State.LOADED])
def test_only_a_sample_that_is_drawn_and_not_yet_there_is_put_into_the_study(curation, state):
    Curation.objects.update(state=state)
    with pytest.raises(Refused):
        load_sample(curation)
    assert not curation.study.posts.exists()
