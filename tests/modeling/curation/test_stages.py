"""Which posts are dropped where, and the account of it."""

from dataclasses import replace

import pytest

from modeling.curation import stages
from modeling.curation.settings import CurationSettings
from modeling.curation.stages import Account, Fate, FeedFacts, PlainSieve, Stage, average, judge

POST = FeedFacts("p1", "A calm morning at the harbour with my sister.", "", "", "en")
SETTINGS = CurationSettings()


def sift(*posts, settings=SETTINGS, parents=None):
    sieve = PlainSieve(settings, parents)
    return [sieve.sift(post) for post in posts]


@pytest.mark.parametrize(
    ("changes", "stage", "reason"),
    [
        ({"language": "de"}, Stage.LANGUAGE, stages.OTHER_LANGUAGE),
        ({"language": "unknown"}, Stage.LANGUAGE, stages.UNKNOWN_LANGUAGE),
        ({"text": "", "language": ""}, Stage.EMPTY, stages.EMPTY),
        ({"visibility": "private"}, Stage.VISIBILITY, stages.PRIVATE),
        ({"visibility": "deleted"}, Stage.VISIBILITY, stages.DELETED),
        ({"context_kind": "reply"}, Stage.REPLY, stages.NO_PARENT),
        ({"context_kind": "quote"}, Stage.REPLY, stages.NO_QUOTED),
    ],
    ids=["language", "unknown", "empty", "private", "deleted", "reply", "quote"],
)
def test_a_post_is_dropped_at_the_first_stage_that_it_does_not_pass(changes, stage, reason):
    (fate,) = sift(replace(POST, **changes))
    assert (fate.stage, fate.reason) == (stage, reason)


def test_a_post_with_all_that_is_asked_for_stays_in():
    assert sift(POST, replace(POST, key="p2", context_kind="reply", context_text="Where?")) == [None, None]


def test_a_reply_finds_its_parent_among_the_feeds():
    reply = replace(POST, context_kind="reply", in_reply_to="p0")
    assert sift(reply, parents={"p0": "Where were you?"}) == [None]
    assert sift(reply, parents={"p9": "Where were you?"})[0].reason == stages.NO_PARENT


def test_of_repeated_texts_the_first_that_got_so_far_is_kept_and_the_others_name_it():
    german = replace(POST, key="p0", language="de")
    again = replace(POST, key="p2", text="a calm  morning at the HARBOUR with my sister.")
    other_context = replace(POST, key="p3", context_kind="reply", context_text="Where?")
    fates = sift(german, POST, again, other_context)
    assert fates[1:] == [None, Fate(Stage.REPEATED, stages.REPEATED, "p1"), None]


def test_every_language_passes_where_none_is_named():
    settings = replace(SETTINGS, languages=())
    assert sift(replace(POST, language="xx"), settings=settings) == [None]


@pytest.mark.parametrize(
    ("stage", "ratings", "reason"),
    [
        (Stage.COMPREHENSIBILITY, (3.0,), None),
        (Stage.COMPREHENSIBILITY, (2.5,), stages.UNCLEAR),
        (Stage.NSFW, (0.0,), None),
        (Stage.NSFW, (1.0,), stages.UNSAFE),
        (Stage.SCREENING, (0.0, 4.0), None),
        (Stage.SCREENING, (3.0, 3.0), stages.NO_VALUE),
    ],
)
def test_a_models_rating_is_held_against_the_limit_of_its_stage(stage, ratings, reason):
    fate = judge(stage, ratings, SETTINGS)
    assert (fate and fate.reason) == reason


@pytest.mark.parametrize("ratings", [(), (float("nan"),)], ids=["none", "nan"])
def test_nothing_is_judged_without_a_rating(ratings):
    with pytest.raises(ValueError, match="not read"):
        judge(Stage.NSFW, ratings, SETTINGS)


def test_several_readings_of_a_post_count_by_their_mean():
    assert average([(1.0, 4.0), (2.0, 6.0)]) == (1.5, 5.0)
    assert average([]) == ()


def test_the_account_goes_from_stage_to_stage():
    account = Account(10, [Stage.LANGUAGE, Stage.EMPTY])
    for fate in (Fate(Stage.LANGUAGE, "b"), Fate(Stage.LANGUAGE, "a"), Fate(Stage.EMPTY, "empty"), None):
        account.add(fate)
    assert account.to_lines() == [
        {"stage": "language", "came": 10, "kept": 8, "dropped": {"a": 1, "b": 1}},
        {"stage": "empty", "came": 8, "kept": 7, "dropped": {"empty": 1}},
    ]
