"""What the scoring API answers when it is asked well."""

import jsonschema
import pytest
from django.utils import timezone

from annotation.models import Enrollment, Withdrawal
from modeling.api import openapi
from modeling.models import FitRun
from tests.factories import EnrollmentFactory

CONSENSUS = [1, 2, 3]


def name(enrollment):
    return {"pseudonym": str(enrollment.rater.pseudonym)}


def check_shape(answer, schema):
    document = openapi.build_document()
    jsonschema.validate(
        answer, {"$ref": f"#/components/schemas/{schema}"} | {"components": document["components"]}
    )


def test_values_tell_what_the_study_asks_and_what_serves(program, serving):
    told = program.ask_well("values")
    check_shape(told, "ValuesOut")
    assert told["study"] == "Study of herons"
    assert [value["key"] for value in told["values"]] == ["order", "play", "care"]
    assert told["scale"] == {"lowest": 0, "highest": 6, "low_label": "Not at all", "high_label": "Very much"}
    assert [(each["name"], each["post"], each["value"]) for each in told["questions"]] == [
        ("c1 / care", "c1", "care"),
        ("c2 / play", "c2", "play"),
    ]
    assert told["questions"][0]["text"] == "The words of c1."
    assert told["reads_text"] is True
    assert told["model"]["fit"] == serving.fit_run.pk
    assert told["model"]["data_hash"] == "abc"
    assert told["model"]["outdated"] is False


def test_a_fit_whose_ratings_were_taken_back_says_so(program, serving):
    FitRun.objects.filter(pk=serving.fit_run.pk).update(outdated_at=timezone.now())
    assert program.ask_well("values")["model"]["outdated"] is True


def test_a_question_that_the_study_asks_no_more_keeps_its_place(program, study):
    study.calibration_questions.first().delete()
    asked = program.ask_well("values")["questions"]
    assert [(each["name"], each["text"]) for each in asked] == [
        ("c1 / care", ""),
        ("c2 / play", "The words of c2."),
    ]


def test_posts_come_as_text_as_consensus_and_by_key(program, known, serving):
    posts = [
        {"text": "1 heron", "id": "mine"},
        {"consensus": CONSENSUS},
        {"consensus": {"care": 3, "order": 1, "play": 2}},
        {"key": "p1"},
    ]
    told = program.ask_well("predict", {"rater": name(known), "posts": posts})
    check_shape(told, "PredictOut")
    assert told["values"] == ["order", "play", "care"]
    assert [(post["id"], post["key"]) for post in told["posts"]] == [
        ("mine", None),
        (None, None),
        (None, None),
        (None, "p1"),
    ]
    for post in told["posts"][:3]:
        assert post["consensus"] == [1, 2, 3]
        assert (post["ratings"], post["low"], post["high"]) == (
            [1.5, 2.5, 2.5],
            [0.5, 1.5, 1.5],
            [2.5, 3.5, 3.5],
        )
    assert told["posts"][3]["consensus"] == [1, 2.5, 4]
    assert told["rater"]["view"] == "known"
    assert told["model"]["fit"] == serving.fit_run.pk


def test_a_post_that_the_fit_has_not_stored_is_read_with_its_context(program, study, known, serving):
    study.posts.filter(key="p2").update(text="4 herons", context_kind="reply", context_text="5 larks")
    told = program.ask_well(
        "predict",
        {"rater": name(known), "posts": [{"key": "p2"}, {"text": "4 herons", "context": "5 larks"}]},
    )
    assert serving.texts == ["5 larks\n4 herons", "5 larks\n4 herons"]
    assert told["posts"][0]["consensus"] == told["posts"][1]["consensus"] == [5, 2, 3]


def test_a_number_that_does_not_exist_is_null(program, known, serving):
    serving.read_texts = lambda texts: [[float("nan"), 2.0, 3.0]]
    (post,) = program.ask_well("predict", {"rater": name(known), "posts": [{"text": "1"}]})["posts"]
    assert post["consensus"] == [None, 2, 3]
    assert post["ratings"] == [None, 2.5, 2.5]


@pytest.mark.parametrize(
    ("answers", "shift", "n_missing"),
    [
        ([4, 2], 0.6, 0),
        ([4, None], 0.4, 1),
        ({"c2 / play": 2}, 0.2, 1),
        ({"c1 / care": None, "c2 / play": 2}, 0.2, 1),
    ],
    ids=["all", "null", "left out", "null by name"],
)
def test_a_new_person_is_known_by_answers_and_told_how_many_are_missing(program, answers, shift, n_missing):
    told = program.ask_well("predict", {"rater": {"answers": answers}, "posts": [{"consensus": CONSENSUS}]})
    assert told["posts"][0]["ratings"] == pytest.approx([1 + shift, 2 + shift, 3 - shift])
    rater = told["rater"]
    assert (rater["pseudonym"], rater["view"], rater["fallback"]) == (None, "new", None)
    assert (rater["n_questions"], rater["n_missing"]) == (2, n_missing)
    assert ("1 of 2 answers are missing." in " ".join(rater["notes"])) is (n_missing == 1)


@pytest.mark.parametrize("answers", [[None, None], {}], ids=["nulls", "none"])
def test_of_whom_nothing_is_known_gets_the_consensus_and_is_told_so(program, answers):
    told = program.ask_well("predict", {"rater": {"answers": answers}, "posts": [{"consensus": CONSENSUS}]})
    assert told["posts"][0]["ratings"] == [1, 2, 3]
    assert (told["rater"]["view"], told["rater"]["fallback"]) == ("nothing", "consensus")
    assert "Nothing is known of this person" in told["rater"]["notes"][0]


def test_who_came_after_the_fit_is_known_by_stored_answers(program, answered):
    told = program.ask_well("predict", {"rater": name(answered(4)), "posts": [{"consensus": CONSENSUS}]})
    assert told["posts"][0]["ratings"] == [1.4, 2.4, 2.6]
    assert (told["rater"]["view"], told["rater"]["n_answered"], told["rater"]["n_missing"]) == ("new", 1, 1)
    assert len(told["rater"]["notes"]) == 2


def test_posts_are_ordered_by_how_strongly_this_person_sees_a_value(program, known):
    posts = [{"consensus": [0, 0, care], "id": str(care)} for care in (2, 5, 3, 5)]
    told = program.ask_well("rerank", {"rater": name(known), "value": "care", "posts": posts})
    check_shape(told, "RerankOut")
    assert [(post["rank"], post["index"], post["id"]) for post in told["posts"]] == [
        (1, 1, "5"),
        (2, 3, "5"),
        (3, 2, "3"),
        (4, 0, "2"),
    ]
    first = told["posts"][0]
    assert (first["score"], first["low"], first["high"], first["consensus"]) == (4.5, 3.5, 5.5, 5)


def test_posts_are_ordered_by_weighted_values_and_cut_where_asked(program, known):
    posts = [{"consensus": [1, 1, 3]}, {"consensus": [4, 1, 3]}, {"consensus": [4, 1, 6]}]
    asked = {"rater": name(known), "weights": {"order": 2, "care": -1}, "posts": posts, "limit": 2}
    told = program.ask_well("rerank", asked)["posts"]
    assert [post["index"] for post in told] == [1, 2]
    assert told[0]["score"] == pytest.approx((2 * 4.5 - 2.5) / 3, abs=1e-4)
    assert told[0]["consensus"] == pytest.approx((2 * 4 - 3) / 3, abs=1e-4)
    assert (told[0]["low"], told[0]["high"]) == (None, None)


def test_equal_scores_go_by_the_consensus(program, known, serving):
    predict = serving.predict
    serving.predict = lambda consensus, rater: predict(consensus * 0 + 2, rater)
    asked = {
        "rater": name(known),
        "value": "care",
        "posts": [{"consensus": [1, 1, care]} for care in (2, 4, 3)],
    }
    assert [post["index"] for post in program.ask_well("rerank", asked)["posts"]] == [1, 2, 0]


def test_only_the_proportions_of_weights_count(program, known):
    asked = {"rater": name(known), "posts": [{"consensus": [1, 1, 3]}, {"consensus": [0, 5, 1]}]}
    told = [
        program.ask_well("rerank", asked | {"weights": {"order": size, "care": size}})["posts"]
        for size in (1, 1e-300, 1e308)
    ]
    assert told[0] == told[1] == told[2]
    assert told[0][0]["score"] == 2


def test_a_post_without_a_score_goes_last(program, known, serving):
    serving.read_texts = lambda texts: [[1.0, 1.0, float("nan")], [1.0, 1.0, 0.0]]
    asked = {"rater": name(known), "value": "care", "posts": [{"text": "a"}, {"text": "b"}]}
    told = program.ask_well("rerank", asked)["posts"]
    assert [(post["index"], post["score"]) for post in told] == [(1, -0.5), (0, None)]


def test_a_batch_answers_every_pair_as_single_requests_do(program, known, answered):
    raters = [name(known), {"answers": [4, 2]}, name(answered(1))]
    posts = [{"key": "p1"}, {"text": "6 herons"}]
    told = program.ask_well("batch", {"raters": raters, "posts": posts})
    check_shape(told, "BatchOut")
    for rater, person in zip(raters, told["raters"], strict=True):
        alone = program.ask_well("predict", {"rater": rater, "posts": posts})
        assert person["rater"] == alone["rater"]
        for part in ("ratings", "low", "high"):
            assert person[part] == [post[part] for post in alone["posts"]]
        assert [post["consensus"] for post in told["posts"]] == [post["consensus"] for post in alone["posts"]]


@pytest.mark.parametrize("what", ["rehearsed", "withdrew"])
def test_who_only_rehearsed_or_withdrew_is_not_there(program, study, what):
    gone = EnrollmentFactory(study=study)
    if what == "rehearsed":
        Enrollment.objects.filter(pk=gone.pk).update(phase=Enrollment.Phase.REHEARSAL)
    else:
        Withdrawal.objects.create(enrollment=gone, erased={})
    problem = program.ask_in_vain(404, "predict", {"rater": name(gone), "posts": [{"key": "p1"}]})
    assert problem["errors"][0]["where"] == "/rater/pseudonym"


def test_answers_hold_no_platform_id_and_are_not_kept_on_the_way(program, known):
    response = program.ask("predict", {"rater": name(known), "posts": [{"key": "p1"}]})
    assert known.rater.external_id not in response.content.decode()
    assert response["Cache-Control"] == "no-store"
