"""`manage.py annotate`."""

import io

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from modeling.annotators import lanes
from modeling.models import AnnotatorModel, AnnotatorRun, ModelCall, ModelReading
from tests.factories import PostFactory, StudyFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    study = StudyFactory(slug="walks", posts=0, questions=0, steps=())
    for n in range(6):
        PostFactory(study=study, key=f"p{n}", text=f"Post {n} about the river.")
    return study


def annotate(*arguments):
    out = io.StringIO()
    call_command(
        "annotate", "walks", "--provider", "standin", "--model", "plain-reader", *arguments, stdout=out
    )
    return out.getvalue()


def test_it_shows_the_cost_reads_and_tells_what_came_of_it(standin, study):
    PostFactory(study=study, text="A bad one. [[fault:refusal]]")
    said = annotate("--yes", "--input-price", "10", "--output-price", "30")
    assert "7 posts, 7 calls, 0 of them answered before; about $" in said
    assert "6 readings of 7 posts" in said
    assert "1 refused: The model refused to answer" in said
    assert "Stand-in: not from a real model." in said
    run = AnnotatorRun.objects.get()
    assert (run.state, run.annotator.name) == ("done", "plain-reader")
    assert f"${run.spent:.4f} spent" in said


def test_an_estimate_alone_asks_nobody_and_leaves_no_run(standin, study):
    assert "6 posts" in annotate("--estimate-only")
    assert not AnnotatorRun.objects.exists()
    assert standin.requests.read() == []


def test_the_same_again_is_the_same_model_and_costs_nothing(standin, study):
    annotate("--yes", "--posts", "4")
    said = annotate("--yes", "--batch")
    assert "6 calls, 4 of them answered before" in said
    assert AnnotatorModel.objects.count() == 1
    assert standin.n_paid() == 6
    assert ModelReading.objects.filter(run__mode="batch", fault="").count() == 6


@pytest.mark.parametrize("answer", ["no", ""])
def test_it_starts_only_when_told_yes(standin, study, monkeypatch, answer):
    monkeypatch.setattr("builtins.input", lambda _: answer)
    with pytest.raises(CommandError, match="Nothing was asked"):
        annotate()
    assert standin.requests.read() == []
    run = AnnotatorRun.objects.get()
    said = annotate("--yes", "--resume", str(run.pk))
    assert "6 readings of 6 posts" in said


def test_a_run_that_stopped_says_why_and_goes_on(standin, study):
    prices = ("--input-price", "1000", "--output-price", "1000")
    with pytest.raises(CommandError, match=r"is stopped\. The budget of"):
        annotate("--yes", "--budget", "3.5", *prices)
    run = AnnotatorRun.objects.get()
    assert 0 < run.spent <= run.budget
    assert "6 readings of 6 posts" in annotate("--yes", "--resume", str(run.pk), "--budget", "100")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--posts", "many"), "--posts"),
        (("--posts", "0"), "--posts"),
        (("--budget", "much"), "--budget"),
        (("--budget", "-1"), "above 0"),
        (("--few-shot", "p99"), "no post p99"),
        (("--few-shot", "p1"), "nobody rated"),
        (("--provider", "nobody"), "knows no provider"),
        (("--resume", "77"), "no run 77"),
        (("--concurrency", "0"), "Calls at once"),
        (("--samples", "3"), "temperature"),
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_is_refused_with_a_sentence(standin, study, arguments, told):
    with pytest.raises(CommandError, match=told):
        annotate("--yes", *arguments)
    assert standin.requests.read() == []


def test_chosen_posts_are_read_by_their_keys(standin, study, tmp_path):
    PostFactory(study=study, key="of-corpus", text="A post for models alone.", purpose="corpus")
    keys = tmp_path / "keys.txt"
    keys.write_text("p1\n\nof-corpus\n")
    assert "2 readings of 2 posts" in annotate("--yes", "--keys", str(keys))
    read = ModelReading.objects.values_list("post__key", flat=True)
    assert sorted(read) == ["of-corpus", "p1"]
    keys.write_text("\n".join(f"gone-{n:02d}" for n in range(12)))
    with pytest.raises(CommandError, match="no post gone-00, .*, gone-09 and 2 more"):
        annotate("--yes", "--keys", str(keys))


def test_ctrl_c_keeps_what_was_answered_and_leaves_nothing_taken(standin, study, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(CommandError, match="go on with --resume"):
        patch.setattr(lanes._Lane, "_time_to_next", _interrupt)
        annotate("--yes")
    n_answered = ModelCall.objects.filter(state="answered").count()
    assert n_answered == standin.n_paid() > 0
    assert not ModelCall.objects.filter(state="claimed", claimed_until__gt=timezone.now()).exists()
    call_command(
        "annotate", "walks", "--resume", str(AnnotatorRun.objects.get().pk), "--yes", stdout=io.StringIO()
    )
    assert ModelReading.objects.filter(fault="").count() == standin.n_paid() == 6


def _interrupt(lane, now):
    raise KeyboardInterrupt
