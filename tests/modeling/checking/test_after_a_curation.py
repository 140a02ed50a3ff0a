"""A check of what a curation's classifiers really decided, by way of the stand-in."""

import pytest

from modeling.checking import services
from modeling.checking.services import SAMPLE, Purpose
from modeling.curation.account import list_funnel
from modeling.curation.stages import Stage
from modeling.providers import backoff
from tests.modeling.annotators.ground import KEY_VARIABLE, ask_standin
from tests.modeling.checking.ground import close_here, label_all, make_person
from tests.modeling.curation.ground import curate, make_curation

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def curation(monkeypatch):
    monkeypatch.setattr(backoff, "FIRST_PAUSE", 0.01)
    monkeypatch.setenv(KEY_VARIABLE, "key-of-the-stand-in")
    with ask_standin():
        return curate(make_curation())


def list_examples(curation):
    """Keys of the posts that the curation's page shows with what became of them."""
    dropped = [each for line in list_funnel(curation, n_examples=1000) for each in line.dropped]
    return {post.key for each in dropped for post in each.examples}


def test_decisions_and_reasons_are_those_that_the_classifiers_gave(curation):
    people = [make_person(curation.study, name) for name in ("ann", "ben")]
    for purpose in (Purpose.COMPREHENSIBILITY, Purpose.NSFW):
        rated = dict(curation.feed_posts.exclude(**{purpose: None}).values_list("key", purpose))
        check = services.create_check(curation, purpose=purpose, threshold=2)
        drawn = dict(check.items.values_list("feed_post__key", "is_predicted"))
        assert drawn == {key: rating >= 2 for key, rating in rated.items()}
        assert drawn
        assert check.results[SAMPLE]["is_standin"]
        for user in people:
            label_all(check, user, differing=range(1, 1 + len(drawn)))
        found = close_here(check)
        assert found["with_model"][0]["accuracy"]["estimate"] == 0
        concepts = [each["label"] for each in getattr(curation, purpose).prompt.content["concepts"]]
        for post, item in zip(found["posts"], check.items.select_related("feed_post"), strict=True):
            (reasons,) = post["reasons"]
            assert post["rating"] == reasons["rating"] == rated[item.feed_post.key]
            assert reasons["why"]
            assert [label for label, _, _ in reasons["concepts"]] == concepts
            assert all(why for _, _, why in reasons["concepts"])


def test_posts_of_an_open_check_are_no_examples_of_what_was_dropped(curation):
    curation.feed_posts.filter(key="p1").update(dropped_at=Stage.COMPREHENSIBILITY, reason="unclear")
    curation.funnel[0] |= {"stage": Stage.COMPREHENSIBILITY, "dropped": {"unclear": 1}}
    assert "p1" in list_examples(curation)
    check = services.create_check(curation, purpose=Purpose.COMPREHENSIBILITY, threshold=2)
    assert check.items.filter(feed_post__key="p1").exists()
    assert "p1" not in list_examples(curation)
    for name in ("ann", "ben"):
        label_all(check, make_person(curation.study, name), differing=[1])
    close_here(check)
    assert "p1" in list_examples(curation)
