import json
import time

import openai
import pytest

from modeling.prompts.rendering import PostText
from modeling.standin.batches import read_lines
from modeling.standin.script import CHAT_PATH, Script

from .asking import WINE, build_body, mark


def write(posts: list[PostText], **changes) -> bytes:
    lines = [
        {"custom_id": f"p{place}", "method": "POST", "url": CHAT_PATH, "body": build_body(post), **changes}
        for place, post in enumerate(posts)
    ]
    return "\n".join(json.dumps(line) for line in lines).encode()


def order(client: openai.OpenAI, content: bytes):
    file = client.files.create(file=("in.jsonl", content), purpose="batch")
    return client.batches.create(input_file_id=file.id, endpoint=CHAT_PATH, completion_window="24h")


def wait(client: openai.OpenAI, batch):
    until = time.monotonic() + 5
    while batch.status not in ("completed", "failed", "expired", "cancelled") and time.monotonic() < until:
        time.sleep(0.01)
        batch = client.batches.retrieve(batch.id)
    return batch


def read(client: openai.OpenAI, identifier: str) -> list[dict]:
    return [json.loads(line) for line in client.files.content(identifier).text.splitlines()]


def test_a_batch_answers_every_line_as_a_call_would(standin, client):
    batch = wait(client, order(client, write([WINE, mark("server_error"), mark("not_json")])))
    assert (batch.status, batch.request_counts.completed, batch.request_counts.failed) == ("completed", 2, 1)
    answered = read(client, batch.output_file_id)
    assert [line["custom_id"] for line in answered] == ["p0", "p2"]
    alone = client.chat.completions.create(**build_body(WINE)).choices[0].message.content
    assert answered[0]["response"]["body"]["choices"][0]["message"]["content"] == alone
    assert read(client, batch.error_file_id)[0]["response"]["status_code"] == 500
    assert standin.n_paid() == 3


def test_an_expired_batch_says_which_lines_were_not_answered(standin, client):
    standin.script = Script(batch_ends="expired")
    batch = wait(client, order(client, write([WINE] * 4)))
    assert (batch.status, batch.request_counts.completed, batch.request_counts.failed) == ("expired", 2, 2)
    assert [line["error"]["code"] for line in read(client, batch.error_file_id)] == ["batch_expired"] * 2


def test_a_batch_can_be_cancelled(standin, client):
    standin.script = Script(batch_seconds=60)
    batch = client.batches.cancel(order(client, write([WINE])).id)
    assert batch.status == "cancelling"
    assert wait(client, batch).status == "cancelled"


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"no json", "invalid_json_line"),
        (b"", "empty_file"),
        (write([WINE, WINE], custom_id="same"), "duplicate_custom_id"),
        (write([WINE], url="/v1/elsewhere"), "invalid_url"),
    ],
    ids=["json", "empty", "twice", "url"],
)
def test_a_file_with_faults_fails_whole(standin, client, content, code):
    batch = wait(client, order(client, content))
    assert batch.status == "failed"
    assert code in [fault.code for fault in batch.errors.data]
    assert standin.n_paid() == 0


def test_all_lines_of_a_batch_name_the_same_model():
    line = json.loads(write([WINE]))
    other = {**line, "custom_id": "other", "body": {**line["body"], "model": "other"}}
    _, faults = read_lines(f"{json.dumps(line)}\n{json.dumps(other)}".encode())
    assert [fault["code"] for fault in faults] == ["mismatched_model"]


def test_files_can_be_listed_read_and_removed(client):
    file = client.files.create(file=("a b.jsonl", b"line\r\n\r\nline"), purpose="batch")
    assert (file.bytes, file.filename) == (12, "a b.jsonl")
    assert client.files.content(file.id).content == b"line\r\n\r\nline"
    assert [one.id for one in client.files.list()] == [file.id]
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)


def test_a_batch_needs_a_file_that_is_there(client):
    with pytest.raises(openai.BadRequestError):
        client.batches.create(input_file_id="file-none", endpoint=CHAT_PATH, completion_window="24h")
