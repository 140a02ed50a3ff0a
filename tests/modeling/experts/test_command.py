import io

import pytest
from django.core.management import CommandError, call_command

from modeling.models import ExpertSet, SplitOpening
from tests.factories import StudyFactory, ValueSystemFactory, load_nineteen
from tests.modeling.experts.ground import make_run, make_set

pytestmark = pytest.mark.django_db


def run(*arguments):
    out = io.StringIO()
    call_command("experts", *map(str, arguments), stdout=out)
    return out.getvalue()


def test_a_set_is_made_filled_settled_closed_and_its_test_posts_opened(tmp_path):
    system = ValueSystemFactory(tree=load_nineteen())
    study = StudyFactory(posts=4, questions=0, steps=(), value_system=system)
    said = run(study.slug, "make", "--name", "spring", "--threshold", 3, "--seed", 2)
    assert "Test: 2 posts, 2 not labeled" in said
    labels = tmp_path / "labels.csv"
    labels.write_text("post,expert,face\np1,ann,5\np1,ben,0\n")
    assert "2 labels added, of 2 experts: ann, ben." in run(study.slug, "import", "spring", labels)
    settled = tmp_path / "settled.csv"
    settled.write_text("post,face\np1,4\n")
    assert "1 posts settled" in run(study.slug, "resolve-import", "spring", settled)
    run(study.slug, "export", "spring", tmp_path / "out.csv")
    assert "resolution" in (tmp_path / "out.csv").read_text()
    with pytest.raises(CommandError, match="exists"):
        run(study.slug, "export", "spring", tmp_path / "out.csv")
    assert "closed, expressed from 3" in run(study.slug, "close", "spring")
    expert_set = ExpertSet.objects.get()
    scored = make_run(expert_set)
    said = run(study.slug, "open-test", expert_set.pk, "--runs", scored.pk, "--reason", "it is final")
    assert "by command" in said
    assert "it is final" in run(study.slug, "list")
    with pytest.raises(CommandError, match="opened once for a family"):
        run(study.slug, "open-test", expert_set.pk, "--runs", scored.pk, "--reason", "again")
    assert SplitOpening.objects.count() == 1


def test_posts_can_be_chosen_by_a_file_of_keys(tmp_path):
    study = StudyFactory(posts=3, questions=0, steps=())
    (tmp_path / "keys.txt").write_text("p2\n\np3\n")
    run(study.slug, "make", "--name", "two", "--threshold", 3, "--keys", tmp_path / "keys.txt")
    assert set(ExpertSet.objects.get().items.values_list("post__key", flat=True)) == {"p2", "p3"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["make", "--name", "x", "--threshold", "9"], "between 1 and 6"),
        (["make", "--name", "x", "--threshold", "3", "--posts", "some"], "'all' or a whole number"),
        (["close", "winter"], "no expert set 'winter'"),
        (["import", "set 1", "/nowhere.csv"], "No such file"),
        (["open-test", "set 1", "--runs", "77", "--reason", "x"], "no run 77"),
    ],
)
def test_what_cannot_be_done_is_said(arguments, says):
    study = make_set().study
    with pytest.raises(CommandError, match=says):
        run(study.slug, *arguments)


def test_a_file_with_faults_is_not_stored_and_every_fault_is_shown(tmp_path):
    study = make_set().study
    labels = tmp_path / "labels.csv"
    labels.write_text("post,expert,face\np1,ann,9\np2,,1\n")
    with pytest.raises(CommandError, match=r"Line 2: .*\nLine 3: "):
        run(study.slug, "import", "set 1", labels)


def test_a_study_that_there_is_not_is_said():
    with pytest.raises(CommandError, match="no study 'nowhere'"):
        run("nowhere", "list")
