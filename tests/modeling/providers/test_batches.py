import json

import pytest

from modeling.providers import batches
from modeling.providers.batches import BatchClient, write_batch
from modeling.providers.caller import Answer, ChatRequest
from modeling.providers.faults import FaultKind

from .odd_server import COMPLETION, OddServer


def make_request(model="tiny"):
    return ChatRequest(
        model=model,
        messages=({"role": "user", "content": "x\ny"},),
        temperature=0.0,
        seed=None,
        max_output_tokens=9,
        response_format=None,
    )


def test_each_request_is_a_line_of_its_own():
    lines = write_batch([("a", make_request()), ("b", make_request())]).splitlines()

    assert [json.loads(line)["custom_id"] for line in lines] == ["a", "b"]
    assert json.loads(lines[0])["body"] == make_request().to_body()
    assert json.loads(lines[0])["url"] == "/v1/chat/completions"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "same model"),
        ([("a", make_request()), ("a", make_request())], "repeated"),
        ([("", make_request())], "empty"),
        ([("x" * 513, make_request())], "long"),
        ([("a", make_request()), ("b", make_request("other"))], "same model"),
    ],
    ids=["none", "twice", "empty", "long", "two models"],
)
def test_a_batch_that_would_be_refused_is_not_written(lines, message):
    with pytest.raises(ValueError, match=message):
        write_batch(lines)


@pytest.mark.parametrize("limit", ["MOST_LINES", "MOST_FILE_BYTES"])
def test_a_batch_above_the_limits_is_not_written(monkeypatch, limit):
    monkeypatch.setattr(batches, limit, 2)
    with pytest.raises(ValueError, match="make it two"):
        write_batch((str(n), make_request()) for n in range(3))


def read(content):
    with (
        OddServer(lambda request: request.answer(body=content)) as server,
        BatchClient(server.provide()) as client,
    ):
        return list(client.read_results(["file-1"]))


def write_line(custom_id, response=None, error=None):
    return json.dumps({"custom_id": custom_id, "response": response, "error": error}).encode()


LINES = {
    "answered": ({"status_code": 200, "body": COMPLETION}, None, None),
    "no credit": (
        {"status_code": 429, "body": {"error": {"code": "insufficient_quota"}}},
        None,
        FaultKind.QUOTA,
    ),
    "too long": (
        {"status_code": 400, "body": {"error": {"message": "too long"}}},
        None,
        FaultKind.BAD_REQUEST,
    ),
    "expired": (None, {"code": "batch_expired", "message": "Late."}, FaultKind.TIMEOUT),
    "nothing": (None, None, FaultKind.TIMEOUT),
    "no body": ({"status_code": 200}, None, FaultKind.NOT_JSON),
    "no status": ({}, None, FaultKind.NOT_JSON),
}


@pytest.mark.parametrize("name", LINES)
def test_each_line_is_an_answer_or_a_fault(name):
    response, error, kind = LINES[name]

    ((custom_id, outcome),) = read(write_line("a", response, error))

    assert custom_id == "a"
    if kind is None:
        assert isinstance(outcome, Answer)
        assert outcome.text == '{"a": 1}'
    else:
        assert outcome.kind is kind


def test_lines_that_are_none_are_told_and_the_rest_is_read(monkeypatch):
    monkeypatch.setattr(batches, "MOST_BYTES", 200)  # lines of up to 1,000 bytes
    good = write_line("a", {"status_code": 200, "body": COMPLETION})

    outcomes = read(b"\n".join([b"no json", b"[1]", b"x" * 2_500, b"", good]))

    assert [custom_id for custom_id, _ in outcomes] == ["", "", "", "a"]
    assert {outcome.kind for _, outcome in outcomes[:3]} == {FaultKind.NOT_JSON}


def test_results_above_the_limit_of_an_answer_are_read():
    body = COMPLETION | {"choices": [{"message": {"content": "x" * 3_000}}]}
    lines = [write_line(str(n), {"status_code": 200, "body": body}) for n in range(500)]

    assert len(read(b"\n".join(lines))) == 500
