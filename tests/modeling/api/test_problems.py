"""What the scoring API answers when it cannot do what was asked."""

import json
import logging
from uuid import uuid4

import pytest
from django.urls import reverse

from modeling.api.schemas import MAX_BATCH, MAX_BODY_BYTES, MAX_POSTS
from modeling.tokens import create_token
from tests.factories import EnrollmentFactory, StudyFactory
from tests.modeling.api.conftest import Program

ANSWERS = {"answers": [1, 2]}
POST = {"consensus": [1, 2, 3]}


def predict(**parts):
    return {"rater": ANSWERS, "posts": [POST]} | parts


def test_what_is_another_studys_is_not_there(client, program, known, serving):
    other = StudyFactory(posts=1, questions=0)
    stranger = EnrollmentFactory(study=other)
    other.posts.update(key="theirs")
    asked = predict(rater={"pseudonym": str(stranger.rater.pseudonym)})
    nobody = predict(rater={"pseudonym": str(uuid4())})
    assert program.ask_in_vain(404, "predict", asked) == program.ask_in_vain(404, "predict", nobody)
    found = program.ask_in_vain(404, "batch", {"raters": [ANSWERS], "posts": [POST, {"key": "theirs"}]})
    assert [fault["where"] for fault in found["errors"]] == ["/posts/1/key"]
    elsewhere = Program(client, create_token(other, "Other")[1])
    assert "Fit it first" in elsewhere.ask_in_vain(409, "values")["detail"]


@pytest.mark.parametrize("kind", ["external_id", "public_id"])
def test_other_ids_of_a_person_are_not_taken(program, known, kind):
    identity = {"external_id": known.rater.external_id, "public_id": str(known.public_id)}[kind]
    status = {"external_id": 422, "public_id": 404}[kind]
    problem = program.ask_in_vain(status, "predict", predict(rater={"pseudonym": identity}))
    assert identity not in json.dumps(problem)


@pytest.mark.parametrize(
    ("asked", "where"),
    [
        ({}, ["/rater", "/posts"]),
        (predict(rater={}), ["/rater"]),
        (predict(rater=ANSWERS | {"pseudonym": str(uuid4())}), ["/rater"]),
        (predict(rater={"answers": [1]}), ["/rater/answers"]),
        (predict(rater={"answers": [1, 7]}), ["/rater/answers/1"]),
        (predict(rater={"answers": [1, "2"]}), []),
        (predict(rater={"answers": ["x", 2]}), ["/rater/answers/0"]),
        (predict(rater={"answers": {"c1 / care": -1}}), ["/rater/answers/c1 ~1 care"]),
        (predict(rater={"answers": {"~": 1}}), ["/rater/answers/~0"]),
        (predict(rater={"prolific_id": "x"}), ["/rater/prolific_id"]),
        (predict(posts=[]), ["/posts"]),
        (predict(posts=[POST] * (MAX_POSTS + 1)), ["/posts"]),
        (predict(posts=[{}]), ["/posts/0"]),
        (predict(posts=[POST | {"text": "a"}]), ["/posts/0"]),
        (predict(posts=[POST | {"context": "a"}]), ["/posts/0"]),
        (predict(posts=[{"text": ""}]), ["/posts/0/text"]),
        (predict(posts=[{"text": "a" * 10_001}]), ["/posts/0/text"]),
        (predict(posts=[{"key": "a\x00"}]), ["/posts/0/key"]),
        (predict(posts=[POST, {"consensus": [1, 2]}]), ["/posts/1/consensus"]),
        (predict(posts=[{"consensus": [1, 2, None]}]), ["/posts/0/consensus/2"]),
        (predict(posts=[{"consensus": [1, 2, 6.5]}]), ["/posts/0/consensus/2"]),
        (predict(posts=[{"consensus": {"order": 1}}]), ["/posts/0/consensus"]),
        (predict(posts=[{"consensus": {"order": 1, "fame": 1}}]), ["/posts/0/consensus/fame"]),
        (predict(posts="p1"), ["/posts"]),
        ([], [""]),
    ],
)
def test_a_fault_is_named_by_its_place(program, asked, where):
    if not where:
        program.ask_well("predict", asked)
        return
    problem = program.ask_in_vain(422, "predict", asked)
    assert [fault["where"] for fault in problem["errors"]][: len(where)] == where
    assert all(fault["what"] and fault["mend"] for fault in problem["errors"])


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({}, ""),
        ({"value": "order", "weights": {"order": 1}}, ""),
        ({"value": "fame"}, "/value"),
        ({"weights": {"fa/me": 1}}, "/weights/fa~1me"),
        ({"weights": {}}, "/weights"),
        ({"weights": {"order": 0}}, "/weights"),
        ({"value": "order", "limit": 0}, "/limit"),
    ],
)
def test_an_order_that_cannot_be_is_refused(program, more, where):
    assert program.ask_in_vain(422, "rerank", predict(**more))["errors"][0]["where"] == where


def test_a_batch_has_bounds(program):
    assert program.ask_well("batch", {"raters": [ANSWERS] * MAX_BATCH, "posts": [POST]})
    for part in ("raters", "posts"):
        asked = {"raters": [ANSWERS], "posts": [POST]}
        asked[part] *= MAX_BATCH + 1
        assert program.ask_in_vain(422, "batch", asked)["errors"][0]["where"] == f"/{part}"


def test_all_faults_are_counted_and_the_first_named(program):
    problem = program.ask_in_vain(422, "predict", predict(posts=[{"consensus": [9, 9, 9]}] * 10))
    assert problem["detail"] == "30 things are wrong. The first 20 are named."
    assert len(problem["errors"]) == 20


def test_text_needs_a_fit_that_reads_it(program, serving, study):
    serving.reads_text = False
    problem = program.ask_in_vain(422, "predict", predict(posts=[POST, {"text": "Hello"}, {"key": "p2"}]))
    assert [fault["where"] for fault in problem["errors"]] == ["/posts/2/key", "/posts/1/text"]
    assert program.ask_well("predict", predict(posts=[{"key": "p1"}]))


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b'{"rater": NaN}{', b'{"posts": [{"text": "\\ud800"}]}', b"[" * 100_000]
)
def test_what_is_no_json_is_refused(client, program, secret, body):
    response = client.post(
        reverse("api:predict"),
        body,
        "application/json",
        headers={"Authorization": f"Bearer {secret}", "Content-Type": "application/json"},
    )
    assert response.status_code == 400, response.content
    assert response.json()["type"] == "/api/#not-json"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_numbers_are_finite(client, program, secret, number):
    body = json.dumps(predict(posts=[{"consensus": [1, 2, 777]}])).replace("777", number)
    response = client.post(
        reverse("api:predict"), body, "application/json", headers={"Authorization": f"Bearer {secret}"}
    )
    assert response.status_code == 422
    assert response.json()["errors"][0]["where"] == "/posts/0/consensus/2"


def test_a_form_is_refused(client, program, secret):
    response = client.post(reverse("api:predict"), {"a": "b"}, headers={"Authorization": f"Bearer {secret}"})
    assert (response.status_code, response.json()["type"]) == (415, "/api/#not-json-type")


def test_a_large_body_is_refused_before_it_is_read(client, program, secret):
    response = client.post(
        reverse("api:predict"),
        b" " * (MAX_BODY_BYTES + 1),
        "application/json",
        headers={"Authorization": f"Bearer {secret}"},
    )
    assert (response.status_code, response.json()["type"]) == (413, "/api/#too-large")


def test_another_method_or_address_is_answered_in_the_apis_own_way(client, program, secret):
    program.ask_in_vain(405, "values", {})
    response = client.get(reverse("api:predict"))
    assert (response.status_code, response["Allow"]) == (405, "POST")
    for address in ("/api/v1/", "/api/v1/predicts", "/api/v2/predict", "/api/v1/predict/"):
        response = client.post(address)
        assert (response.status_code, response["Content-Type"]) == (404, "application/problem+json")


def test_a_failure_is_logged_and_not_shown(program, serving, caplog):
    serving.new_rater = lambda answers: 1 / 0
    with caplog.at_level(logging.ERROR, "modeling.api"):
        problem = program.ask_in_vain(500, "predict", predict())
    assert "division" not in json.dumps(problem)
    assert "ZeroDivisionError" in caplog.text


def test_a_server_may_leave_the_api_to_another(program, settings):
    settings.SCORING_API = False
    assert program.ask_in_vain(503, "values")["type"] == "/api/#switched-off"
