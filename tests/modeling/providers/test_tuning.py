import json

import pytest

from modeling.providers.tuning import TuningClient, validate_examples

from .odd_server import OddServer

USER = {"role": "user", "content": "post"}
REPLY = {"role": "assistant", "content": "{}"}
GOOD = json.dumps({"messages": [USER, REPLY]})

BAD = {
    "no JSON": ("{", "no JSON"),
    "nested": ("[" * 100_000, "no JSON"),
    "a list": ("[]", "list of messages"),
    "no messages": ('{"messages": []}', "list of messages"),
    "reply missing": (json.dumps({"messages": [REPLY, USER]}), "last message"),
    "unknown role": (json.dumps({"messages": [{"role": "bot", "content": "x"}, REPLY]}), "role"),
    "empty text": (json.dumps({"messages": [USER, {"role": "assistant", "content": " "}]}), "content"),
    "no text": (json.dumps({"messages": [USER, {"role": "assistant", "content": None}]}), "content"),
    "message no object": (json.dumps({"messages": ["x", REPLY]}), "no object"),
    "unknown field": (json.dumps({"messages": [USER | {"mood": 1}, REPLY]}), "mood"),
    "weight of a user": (json.dumps({"messages": [USER | {"weight": 1}, REPLY]}), "weight"),
    "unknown part": (json.dumps({"messages": [USER, REPLY], "rater": 1}), "rater"),
    "too long": (json.dumps({"messages": [USER | {"content": "word " * 60_000}, REPLY]}), "tokens"),
}


def test_a_good_file_has_no_faults():
    assert validate_examples([GOOD] * 10) == []


@pytest.mark.parametrize("name", BAD)
def test_each_fault_is_told_with_its_line(name):
    line, words = BAD[name]

    (fault,) = validate_examples([GOOD] * 10 + [line])

    assert fault.startswith("Line 11: ")
    assert words in fault


@pytest.mark.parametrize("n", [0, 9])
def test_too_few_examples_are_refused(n):
    (fault,) = validate_examples([GOOD] * n)

    assert f"{n} examples" in fault


def test_many_faults_are_counted_rather_than_told():
    faults = validate_examples(["{"] * 80)

    assert len(faults) == 51
    assert faults[-1] == "And 30 more."


def test_events_are_read_over_all_pages():
    def behave(request):
        number = int(request.path.rpartition("after=")[2]) if "after=" in request.path else 250
        data = [{"id": str(n), "message": f"step {n}"} for n in range(number - 1, max(number - 101, -1), -1)]
        request.answer(body={"data": data, "has_more": number > 100})

    with OddServer(behave) as server, TuningClient(server.provide()) as client:
        events = client.events("job-1")
        late = client.events("job-1", after="240")

    assert [event.remote_id for event in events] == [str(n) for n in range(250)]
    assert [event.remote_id for event in late] == [str(n) for n in range(241, 250)]
    assert len(server.asked) == 4


def test_a_list_that_never_ends_is_given_up():
    page = {"data": [{"id": "1"}], "has_more": True}

    with (
        OddServer(lambda request: request.answer(body=page)) as server,
        TuningClient(server.provide()) as client,
    ):
        assert len(client.events("job-1")) == 2
