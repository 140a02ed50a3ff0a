"""What the callers make of the stand-in, and of each of its faults."""

import json
import time

import pytest
from openai import OpenAIError

from config.llm_providers import Provider
from modeling.providers.batches import BatchClient, write_batch
from modeling.providers.caller import Answer, Caller, CallFault, ChatRequest
from modeling.providers.faults import FaultKind, ProviderFault
from modeling.providers.tuning import TuningClient, validate_examples
from modeling.standin.script import Fault, Rule, Script
from modeling.standin.server import StandIn

VALUES = ("hedonism", "tradition")
SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "ratings",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {
                "ratings": {
                    "type": "object",
                    "properties": {key: {"type": "integer", "enum": list(range(7))} for key in VALUES},
                    "required": list(VALUES),
                    "additionalProperties": False,
                }
            },
            "required": ["ratings"],
            "additionalProperties": False,
        },
    },
}
BROKEN = {
    Fault.RATE_LIMITED: FaultKind.RATE_LIMITED,
    Fault.QUOTA: FaultKind.QUOTA,
    Fault.SERVER_ERROR: FaultKind.SERVER_ERROR,
    Fault.BAD_GATEWAY: FaultKind.SERVER_ERROR,
    Fault.RESET: FaultKind.UNREACHABLE,
    Fault.HANG: FaultKind.TIMEOUT,
    Fault.DRIP: FaultKind.TIMEOUT,
    Fault.CUT_OFF: FaultKind.CUT_OFF,
    Fault.HTML_200: FaultKind.NOT_JSON,
    Fault.MALFORMED_JSON: FaultKind.NOT_JSON,
    Fault.KEY_REVOKED: FaultKind.KEY_REFUSED,
    Fault.MODEL_GONE: FaultKind.MODEL_GONE,
    Fault.EMPTY_CHOICES: FaultKind.NO_CHOICE,
}


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("STANDIN_TEST_KEY", "some-key-of-ours")


def provide(standin, **settings):
    return Provider("standin", standin.url, "STANDIN_TEST_KEY", **{"deadline_seconds": 10.0} | settings)


def make_request(post="A day at the beach with friends", **changes):
    fields = {
        "model": "tiny",
        "messages": (
            {"role": "system", "content": "Rate the post from 0 to 6 in JSON."},
            {"role": "user", "content": json.dumps({"text": post})},
        ),
        "temperature": 0.0,
        "seed": 1,
        "max_output_tokens": 200,
        "response_format": SCHEMA,
    }
    return ChatRequest(**fields | changes)


def wait_for(look):
    until = time.monotonic() + 5
    while not (status := look()).is_finished:
        assert time.monotonic() < until
        time.sleep(0.01)
    return status


@pytest.fixture
def standin():
    with StandIn(key="some-key-of-ours") as server:
        yield server


@pytest.mark.parametrize("fault", list(Fault), ids=str)
def test_each_fault_of_the_standin_ends_as_an_answer_or_as_its_kind(fault, standin):
    seconds = 0.6 if fault in (Fault.HANG, Fault.DRIP) else 10.0
    with Caller(provide(standin), deadline_seconds=seconds) as caller:
        outcome = caller.submit(make_request(f"[[fault:{fault}]]")).result(10)

    if fault in BROKEN:
        assert isinstance(outcome, CallFault)
        assert outcome.kind is BROKEN[fault]
        if fault is Fault.RATE_LIMITED:
            assert outcome.retry_after == 1.0
    else:  # whole as a completion: what is wrong with its content is for whoever reads it
        assert isinstance(outcome, Answer)
        assert outcome.is_standin


def test_probabilities_of_tokens_come_along(standin):
    with Caller(provide(standin)) as caller:
        answer = caller.submit(make_request(logprobs=True)).result(10)

    assert set(json.loads(answer.text)["ratings"]) == set(VALUES)
    assert answer.logprobs[0].keys() >= {"token", "logprob", "top_logprobs"}


def test_a_key_that_was_revoked_is_told_once_per_call(standin, monkeypatch):
    monkeypatch.setenv("STANDIN_TEST_KEY", "some-other-key")
    with Caller(provide(standin)) as caller:
        fault = caller.submit(make_request()).result(10)

    assert fault.kind is FaultKind.KEY_REFUSED
    assert fault.stops_run
    assert "some-other-key" not in repr(fault)


def test_a_batch_brings_every_answer_and_every_fault(standin):
    posts = {"a": "A day at the beach", "b": "[[fault:server_error]]", "c": "[[fault:empty_choices]]"}
    content = write_batch((name, make_request(post)) for name, post in posts.items())

    with BatchClient(provide(standin)) as client:
        file_id = client.upload(content)
        assert client.find(file_id) is None
        batch = client.create(file_id)
        assert client.find(file_id).remote_id == batch.remote_id
        status = wait_for(lambda: client.look(batch.remote_id))
        results = dict(client.read_results(status.result_files))

    assert (status.state, status.n_total) == ("completed", 3)
    assert status.is_standin
    assert status.problem == ""
    assert set(json.loads(results["a"].text)["ratings"]) == set(VALUES)
    assert results["a"].prompt_tokens > 0
    assert results["b"].kind is FaultKind.SERVER_ERROR
    assert results["c"].kind is FaultKind.NO_CHOICE
    assert all(result.is_standin for result in results.values())


def test_what_a_batch_left_unanswered_may_be_asked_again(standin):
    standin.script = Script(batch_ends="expired")
    with BatchClient(provide(standin)) as client:
        batch = client.create(
            client.upload(write_batch((str(n), make_request(f"post {n}")) for n in range(4)))
        )
        status = wait_for(lambda: client.look(batch.remote_id))
        results = dict(client.read_results(status.result_files))

    assert status.state == "expired"
    assert sum(isinstance(result, Answer) for result in results.values()) == 2
    assert {result.kind for result in results.values() if isinstance(result, CallFault)} == {
        FaultKind.TIMEOUT
    }


def test_a_batch_that_is_refused_says_why(standin):
    with BatchClient(provide(standin)) as client:
        batch = client.create(client.upload(b"no json\n"))
        status = wait_for(lambda: client.look(batch.remote_id))

    assert status.state == "failed"
    assert status.problem
    assert status.result_files == []


def test_files_can_be_deleted_at_the_provider(standin):
    with BatchClient(provide(standin)) as client:
        file_id = client.upload(b"{}\n")
        client.delete_file(file_id)
        client.delete_file(file_id)

        with pytest.raises(ProviderFault):
            list(client.read_results([file_id]))
    assert standin.files.all() == []


def test_a_batch_can_be_cancelled(standin):
    standin.script = Script(batch_seconds=5)
    with BatchClient(provide(standin)) as client:
        batch = client.create(client.upload(write_batch([("a", make_request())])))
        client.cancel(batch.remote_id)
        status = wait_for(lambda: client.look(batch.remote_id))

    assert status.state == "cancelled"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault.HTML_200, FaultKind.NOT_JSON),
        (Fault.HANG, FaultKind.TIMEOUT),
        (Fault.SERVER_ERROR, FaultKind.SERVER_ERROR),
        (Fault.KEY_REVOKED, FaultKind.KEY_REFUSED),
        (Fault.CUT_OFF, FaultKind.CUT_OFF),
    ],
)
def test_looking_after_a_batch_fails_as_calls_do(standin, fault, kind):
    standin.script = Script(rules=(Rule(fault, path="*"),))
    with (
        BatchClient(provide(standin), deadline_seconds=0.5 if fault is Fault.HANG else 10.0) as client,
        pytest.raises(ProviderFault) as caught,
    ):
        client.look("batch_1")

    assert caught.value.kind is kind
    assert caught.value.message
    assert not isinstance(caught.value.__context__, OpenAIError)  # it holds the request, and that the key


def test_a_batch_nobody_knows_is_gone(standin):
    with BatchClient(provide(standin)) as client, pytest.raises(ProviderFault) as caught:
        client.look("../../files")

    assert caught.value.kind is FaultKind.MODEL_GONE


def make_examples(n=12):
    return [
        json.dumps(
            {
                "messages": [
                    *make_request(f"A day at the beach, the {n}th").messages,
                    {
                        "role": "assistant",
                        "content": json.dumps({"ratings": {"hedonism": n % 7, "tradition": 0}}),
                    },
                ]
            }
        )
        for n in range(n)
    ]


def test_a_job_makes_a_model_that_answers(standin):
    lines = make_examples()
    assert validate_examples(lines) == []

    with TuningClient(provide(standin)) as client:
        file_id = client.upload("\n".join(lines).encode())
        assert client.find(file_id) is None
        job = client.create("tiny", file_id, seed=3, n_epochs=2, suffix="ours")
        assert client.find(file_id).remote_id == job.remote_id
        status = wait_for(lambda: client.look(job.remote_id))
        events = client.events(job.remote_id)
        later = client.events(job.remote_id, after=events[1].remote_id)
    with Caller(provide(standin)) as caller:
        answer = caller.submit(make_request(model=status.model)).result(10)

    assert status.state == "succeeded"
    assert status.is_standin
    assert status.trained_tokens > 0
    assert events[0].message.startswith("Created")
    assert later == events[2:]
    assert isinstance(answer, Answer)


def test_a_job_that_fails_says_why(standin):
    with TuningClient(provide(standin)) as client:
        job = client.create(
            "tiny", client.upload(make_examples(2)[0].encode()), seed=None, n_epochs=None, suffix=""
        )
        status = wait_for(lambda: client.look(job.remote_id))

    assert status.state == "failed"
    assert "10" in status.error


def test_a_job_can_be_cancelled(standin):
    standin.script = Script(tuning_seconds=5)
    with TuningClient(provide(standin)) as client:
        file_id = client.upload("\n".join(make_examples()).encode())
        job = client.create("tiny", file_id, seed=1, n_epochs=1, suffix="")

        assert client.cancel(job.remote_id).state == "cancelled"


def test_a_file_nobody_uploaded_is_refused(standin):
    with TuningClient(provide(standin)) as client, pytest.raises(ProviderFault) as caught:
        client.create("tiny", "file-none", seed=1, n_epochs=1, suffix="")

    assert caught.value.kind is FaultKind.BAD_REQUEST
