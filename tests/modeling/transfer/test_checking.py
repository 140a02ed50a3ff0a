"""What an encoder loses on the posts of another source."""

from io import StringIO

import numpy as np
import pytest
from django.core.management import CommandError, call_command

from annotation.models import Post
from jobs.models import Job
from jobs.services import run_here
from modeling.models import EncoderTraining, Report, TransferCheck
from modeling.models.encoders import Work
from modeling.reporting.subjects import get_report
from modeling.transfer import checking, lessons, training
from modeling.transfer.checking import tell_sources
from modeling.transfer.services import create_check, find_job, list_columns, name_subject
from modeling.transfer.settings import CheckSettings
from tests.modeling.transfer.ground import SMALL, make_soft_labels, make_study

pytestmark = pytest.mark.django_db


def check(study, soft_labels, **options):
    settings = CheckSettings(
        **{"by": "source", "threshold": 3, "fewest_posts": 30, "encoder": SMALL} | options
    )
    asked = create_check(study, soft_labels, settings)
    job = run_here(find_job(asked))
    asked.refresh_from_db()
    return asked, job


def read(study, asked):
    return get_report(study, Report.Kind.TRANSFER, name_subject(asked)).measures


def test_a_source_that_says_it_in_other_words_is_lost_and_one_with_the_same_words_is_not():
    study, means = make_study(n_posts=240, sources=("forum", "board", "abroad"), foreign=("abroad",))
    asked, job = check(study, make_soft_labels(study, means))
    assert job.state == Job.State.DONE, job.error
    measures = read(study, asked)
    losses = {(cell["train"], cell["test"]): cell["loss"] for cell in measures["cells"] if cell["loss"]}
    assert len(losses) == 6
    for pair in (("forum", "abroad"), ("board", "abroad"), ("abroad", "forum")):
        assert losses[pair]["rps"]["verdict"] == losses[pair]["macro_f1"]["verdict"] == "better"
        assert losses[pair]["macro_f1"]["estimate"] > 0.15
    for pair in (("forum", "board"), ("board", "forum")):
        assert abs(losses[pair]["macro_f1"]["estimate"]) < 0.15
    sizes = {each["n_taught"] for each in measures["sources"]}
    assert len(sizes) == 1  # no source is taught more than another


def test_one_pair_is_checked_where_it_is_named():
    study, means = make_study(n_posts=120, sources=("forum", "board", "abroad"))
    asked, _ = check(study, make_soft_labels(study, means), train_on="forum", test_on="board")
    cells = [(cell["train"], cell["test"]) for cell in read(study, asked)["cells"]]
    assert cells == [("board", "board"), ("forum", "board")]


def test_sources_with_too_few_posts_are_named_and_left_out():
    study, means = make_study(n_posts=80, sources=("forum", "board"))
    for post in study.posts.order_by("pk")[:5]:
        Post.objects.filter(pk=post.pk).update(metadata={"source": "rare"})
    Post.objects.filter(pk=study.posts.last().pk).update(metadata={})
    asked, _ = check(study, make_soft_labels(study, means))
    measures = read(study, asked)
    assert measures["left_out"] == [["rare", 5]]
    assert any("rare (5)" in note for note in measures["notes"])
    assert any(note.startswith("1 posts do not say") for note in measures["notes"])


def test_one_source_alone_and_an_unknown_one_are_told():
    study, means = make_study(n_posts=60)
    soft_labels = make_soft_labels(study, means)
    asked, job = check(study, soft_labels)
    assert (job.state, asked.state) == (Job.State.FAILED, Work.FAILED)
    assert "Two sources with at least 30 posts are needed" in asked.problem and "forum 60" in asked.problem
    asked, _ = check(study, soft_labels, train_on="forum", test_on="moon")
    assert "“moon”" in asked.problem


def test_no_text_is_taught_that_another_source_is_judged_on():
    study, means = make_study(n_posts=80, sources=("forum", "board"))
    posts = list(study.posts.order_by("pk"))
    for forum, board in zip(posts[::2], posts[1::2], strict=True):
        Post.objects.filter(pk=board.pk).update(text=forum.text)  # every post stands in both
    asked, job = check(study, make_soft_labels(study, means))
    assert job.state == Job.State.DONE, job.error
    sources = read(study, asked)["sources"]
    # 12 of 40 are held out of each; what either holds out is taught to neither
    assert all(each["n_judged"] == 12 and each["n_taught"] <= 28 for each in sources)


def test_language_is_detected_where_posts_do_not_say_it():
    study, means = make_study(n_posts=2)
    english, german = study.posts.order_by("pk")
    texts = (
        "This is a long sentence about the weather today.",
        "Das ist ein langer Satz über das Wetter heute.",
    )
    for post, text in zip((english, german), texts, strict=True):
        Post.objects.filter(pk=post.pk).update(text=text)
    labeled = lessons.load_labeled(make_soft_labels(study, means))
    found, how = tell_sources(labeled, "language")
    assert found.tolist() == ["en", "de"] and "detected" in how
    Post.objects.filter(pk=german.pk).update(metadata={"language": "de-AT"})
    found, how = tell_sources(labeled, "language")
    assert found.tolist() == ["", "de-AT"] and "detected" not in how


def test_columns_that_tell_posts_apart_are_offered():
    study, _ = make_study(n_posts=12, sources=("forum", "board"))
    Post.objects.filter(study=study).update(metadata={"source": "forum", "all": "alike"})
    assert list_columns(study) == []
    Post.objects.filter(pk=study.posts.first().pk).update(metadata={"source": "board"})
    assert list_columns(study) == ["source"]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"by": ""}, "by"),
        ({"threshold": 2.5}, "threshold"),
        ({"fewest_posts": 3}, "fewest_posts"),
        ({"test_share": 1.5}, "test_share"),
        ({"train_on": "forum"}, "test_on"),
        ({"train_on": "forum", "test_on": "forum"}, "test_on"),
    ],
    ids=["no-column", "half-threshold", "few-posts", "share", "one-source", "same-source"],
)
def test_settings_that_make_no_sense_are_told_by_field(changed, field):
    given = {
        "by": "source",
        "threshold": 4,
        "train_on": "",
        "test_on": "",
        "fewest_posts": 50,
        "test_share": 0.3,
    }
    assert list(CheckSettings.find_faults(given | changed)) == [field]
    with pytest.raises(ValueError):
        CheckSettings(**given | changed)


def test_texts_come_back_from_one_array_as_they_were():
    texts = ["", "a\nb", "grüße 🙂", "x" * 5, ""]
    assert lessons.unpack_texts(lessons.pack_texts(texts)) == texts


def test_posts_with_the_same_text_are_drawn_together():
    kinds = np.array([0, 0, 1, 2, 2, 2, 3, 4])
    drawn = lessons.draw_kinds(kinds, 0.4, np.random.default_rng(0))
    assert len(set(kinds[drawn])) == 2
    assert set(kinds[drawn]).isdisjoint(kinds[~drawn])
    assert not lessons.draw_kinds(np.zeros(3, dtype=int), 0.5, np.random.default_rng(0)).any()


def test_both_commands_do_it_and_tell_what_came_of_it():
    study, means = make_study(n_posts=90, sources=("forum", "board"))
    make_soft_labels(study, means, is_standin=True)
    told = StringIO()
    options = {"soft_labels": "From a run", "epochs": 3, "stdout": told}
    call_command("train_encoder", study.slug, folds=3, threshold=3, **options)
    call_command("check_transfer", study.slug, by="source", fewest=20, threshold=3, **options)
    said = told.getvalue()
    assert "Macro F1" in said and "From a run, version 1" in said
    assert "judged on “board”: macro F1 " in said
    assert said.count("Stand-in: not from a real model.") == 3  # each command, and the notes of the report
    with pytest.raises(CommandError, match="there are: 'From a run'"):
        call_command("train_encoder", study.slug, soft_labels="Nothing", stdout=told)
    with pytest.raises(CommandError, match="no expert set 'Nobody'"):
        call_command("train_encoder", study.slug, soft_labels="From a run", set="Nobody", stdout=told)


def test_an_interrupted_training_and_check_go_on_by_command(monkeypatch):
    study, means = make_study(n_posts=90, sources=("forum", "board"))
    make_soft_labels(study, means)
    told = StringIO()
    options = {"soft_labels": "From a run", "epochs": 3, "threshold": 3, "stdout": told}
    with pytest.raises(CommandError, match="What is taught stays taught; go on with --resume"):
        interrupt_second_part(monkeypatch, training)
        call_command("train_encoder", study.slug, folds=3, **options)
    stopped = EncoderTraining.objects.get()
    assert stopped.state == "cancelled"
    taught = Job.objects.get(kind="train_encoder_part", state="done")

    call_command("train_encoder", study.slug, resume=stopped.pk, stdout=told)
    stopped.refresh_from_db()
    assert (stopped.state, stopped.annotator.name) == ("done", "From a run")
    assert Job.objects.get(pk=taught.pk).finished_at == taught.finished_at
    with pytest.raises(CommandError, match="It is done already"):
        call_command("train_encoder", study.slug, resume=stopped.pk, stdout=told)

    with pytest.raises(CommandError, match="go on with --resume"):
        interrupt_second_part(monkeypatch, checking)
        call_command("check_transfer", study.slug, by="source", fewest=20, **options)
    check = TransferCheck.objects.get()
    call_command("check_transfer", study.slug, resume=check.pk, stdout=told)
    check.refresh_from_db()
    assert check.state == "done"
    with pytest.raises(CommandError, match="nothing with the number 999"):
        call_command("check_transfer", study.slug, resume=999, stdout=told)
    with pytest.raises(CommandError, match="Say by --by"):
        call_command("check_transfer", study.slug, **options)


def interrupt_second_part(monkeypatch, module):
    """Let the second part be interrupted by Ctrl-C, once."""
    do, calls = module.do, []

    def once(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return do(*arguments)

    monkeypatch.setattr(module, "do", once)
