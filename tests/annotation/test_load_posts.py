import csv
import io

import pytest
from django.core.management import CommandError, call_command

from annotation.management.commands import load_posts
from annotation.models import Post, PostUpload, Study, StudyEvent
from tests.annotation.post_files import make_study, write_csv

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    return make_study(slug="feeds")


@pytest.fixture
def run(study, tmp_path):
    """Write a file and load it; returns what was printed."""

    def run(content=None, *options, name="posts.csv"):
        path = tmp_path / name
        path.write_bytes(write_csv() if content is None else content)
        out = io.StringIO()
        call_command("load_posts", study.slug, str(path), *options, stdout=out, stderr=io.StringIO())
        return out.getvalue()

    return run


def test_a_file_is_loaded_as_it_is_guessed(run, study):
    printed = run()
    assert "posts.csv: 5 posts added of 5 rows." in printed
    assert "languages: en 5" in printed
    assert study.posts.count() == 5
    assert StudyEvent.objects.get(action="posts").actor_name == "command"


def test_options_say_what_columns_mean_and_what_is_kept(run, study, tmp_path):
    content = write_csv(2) + b"p3,Kurz,home,3\n" + write_csv(1, "de", begin=4).split(b"\n", 1)[1]
    report = tmp_path / "refused.csv"
    printed = run(
        content,
        *("--map", "author=feed", "left_out=likes", "--languages", "en", "--drop-unknown"),
        *("--source", "A feed", "--report", str(report)),
    )
    assert "2 posts added of 4 rows" in printed
    assert "refused: 1 (another language)" in printed
    post = Post.objects.first()
    assert {key: post.metadata[key] for key in ("author", "source")} == {"author": "home", "source": "A feed"}
    assert "likes" not in post.metadata
    assert [row["row"] for row in csv.DictReader(report.open(encoding="utf-8-sig"))] == ["3", "4"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--map", "nonsense=id"], "is no role"),
        (["--map", "text=nowhere"], "has no column 'nowhere', only id, text, feed, likes"),
        (["--languages", "english"], "'english' is no code"),
        (["--delimiter", "xx"], "delimiter 'xx' is unknown"),
        (["--least", "1000"], "None of its rows"),
        (["--map", "key=feed"], "has the key 'home' of row 1 and another text"),
    ],
)
def test_what_cannot_be_done_is_said_and_leaves_nothing(run, options, words):
    with pytest.raises(CommandError, match=words):
        run(None, *options)
    assert not Post.objects.exists()
    assert not PostUpload.objects.exists()
    assert "5 posts added" in run()


def test_the_same_file_is_loaded_once(run):
    run()
    with pytest.raises(CommandError, match="was loaded into this study already"):
        run()
    assert Post.objects.count() == 5


def test_a_live_study_wants_a_reason(run, study):
    Study.objects.update(state=Study.State.LIVE)
    with pytest.raises(CommandError, match="say why"):
        run()
    run(None, "--reason", "More are needed.")
    assert study.posts.count() == 5


def test_a_file_or_study_that_is_not_there_is_named(run, study):
    with pytest.raises(CommandError, match="no study 'nowhere'"):
        call_command("load_posts", "nowhere", "x.csv")
    with pytest.raises(CommandError, match="No such file"):
        call_command("load_posts", study.slug, "/nowhere/x.csv")
    with pytest.raises(CommandError, match="empty"):
        run(b"")


def test_layout_options_read_what_the_guess_would_not(run, study):
    run(
        'id|text\n1|"Łódź" is far\n'.encode("cp1250"),
        "--encoding",
        "cp1250",
        "--delimiter",
        "bar",
        "--no-quotes",
    )
    assert study.posts.get().text == '"Łódź" is far'


def test_ctrl_c_loads_nothing_and_the_same_file_can_be_loaded_afterwards(run, study, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(load_posts, "run_here", interrupt)
        with pytest.raises(CommandError, match="Nothing was loaded: cancelled"):
            run()
    assert not PostUpload.objects.exists()
    assert not study.posts.exists()
    run()
    assert study.posts.exists()


def interrupt(*arguments, **options):
    raise KeyboardInterrupt
