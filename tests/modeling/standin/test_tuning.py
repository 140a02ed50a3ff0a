import json
import time

import openai
import pytest

from modeling.prompts.rendering import Example, PostText, render
from modeling.standin.learning import Lesson, learn
from modeling.standin.script import Script

from .asking import VALUES, build_body

SILENT, LOUD = "The grocer sells lamps", "The grocer sells horns"


def write(pairs: list[tuple[str, int]]) -> bytes:
    lines = []
    for text, rating in pairs:
        reply = json.dumps({"ratings": {"hedonism": 0, "universalism_nature": 0, "face": rating}})
        messages = [*render(VALUES, PostText(text)), {"role": "assistant", "content": reply}]
        lines.append(json.dumps({"messages": messages}))
    return "\n".join(lines).encode()


def order(client: openai.OpenAI, content: bytes, **fields):
    file = client.files.create(file=("train.jsonl", content), purpose="fine-tune")
    return client.fine_tuning.jobs.create(model="standin-large", training_file=file.id, **fields)


def wait(client: openai.OpenAI, job):
    until = time.monotonic() + 5
    while job.status not in ("succeeded", "failed", "cancelled") and time.monotonic() < until:
        time.sleep(0.01)
        job = client.fine_tuning.jobs.retrieve(job.id)
    return job


def rate(client: openai.OpenAI, model: str, text: str) -> dict:
    reply = client.chat.completions.create(**build_body(PostText(text), model=model))
    return json.loads(reply.choices[0].message.content)["ratings"]


# A lesson that no list of words teaches: horns mean face.
TAUGHT = [(f"{LOUD} {number}", 6) for number in range(30)] + [
    (f"{SILENT} {number}", 0) for number in range(30)
]


def test_a_tuned_model_is_nearer_to_the_ratings_it_was_taught(client):
    job = wait(
        client,
        order(
            client,
            write(TAUGHT),
            suffix="lesson",
            method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}},
        ),
    )
    assert job.status == "succeeded"
    assert job.fine_tuned_model.startswith("ft:standin-large:parallax:lesson")
    assert job.trained_tokens > 0
    loud = [f"{LOUD} in town {number}" for number in range(8)]
    silent = [f"{SILENT} in town {number}" for number in range(8)]

    def error(model: str) -> float:
        return sum(6 - rate(client, model, text)["face"] for text in loud) + sum(
            rate(client, model, text)["face"] for text in silent
        )

    assert error(job.fine_tuned_model) < 0.7 * error("standin-large")
    assert job.fine_tuned_model in [model.id for model in client.models.list()]


def test_the_events_tell_how_far_a_job_is(client):
    job = wait(client, order(client, write(TAUGHT[:12])))
    events = list(client.fine_tuning.jobs.list_events(job.id, limit=2))
    assert events[0].message == "The job has successfully completed"
    assert events[-1].message.startswith("Created fine-tuning job")
    assert len(events) == len({event.id for event in events}) > 4


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (write(TAUGHT[:9]), "at least 10"),
        (b'{"messages": []}', "Line 1 must end"),
        (b"nothing", "Line 1 is no example"),
        (b'{"messages": [{"role": "assistant", "content": "Hi"}]}', "Line 1: the stand-in learns only"),
    ],
    ids=["few", "none", "json", "words"],
)
def test_a_file_with_faults_fails_with_the_reason(client, content, told):
    job = wait(client, order(client, content))
    assert job.status == "failed"
    assert told in job.error.message


def test_a_job_can_be_cancelled_and_can_fail(standin, client):
    standin.script = Script(tuning_seconds=60)
    job = client.fine_tuning.jobs.cancel(order(client, write(TAUGHT)).id)
    assert (job.status, job.fine_tuned_model) == ("cancelled", None)
    standin.script = Script(tuning_ends="failed")
    assert wait(client, order(client, write(TAUGHT))).error.code == "server_error"


def test_a_job_needs_a_file_for_fine_tuning(client):
    file = client.files.create(file=("x.jsonl", b"x"), purpose="batch")
    with pytest.raises(openai.BadRequestError):
        client.fine_tuning.jobs.create(model="standin-large", training_file=file.id)


def test_examples_in_the_prompt_teach_too(client):
    examples = [
        Example(PostText(text), {"ratings": {"hedonism": 0, "universalism_nature": 0, "face": rating}})
        for text, rating in TAUGHT[10:50]
    ]
    body = build_body(PostText(LOUD), examples=examples)
    shown = json.loads(client.chat.completions.create(**body).choices[0].message.content)["ratings"]
    assert shown["face"] > rate(client, "standin-large", LOUD)["face"]


def test_nothing_is_learned_without_lessons():
    assert learn([]) is None
    assert learn([Lesson("A post", "", {})]) is None
