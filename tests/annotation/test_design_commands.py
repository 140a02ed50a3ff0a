import json

import pytest
from django.core.management import CommandError, call_command

from annotation.models import Study
from annotation.studyfile import dump
from tests.factories import StudyFactory

pytestmark = pytest.mark.django_db


def test_a_study_goes_into_a_file_and_comes_back(tmp_path, capsys):
    study = StudyFactory(slug="wave", name="Wäve")
    call_command("save_design", "wave", str(tmp_path / "wave.json"))
    call_command("load_design", str(tmp_path / "wave.json"), slug="again", name="Again")
    copy = Study.objects.get(slug="again")
    assert dump(copy) == dump(study) | {"about": dump(study)["about"] | {"slug": "again", "name": "Again"}}
    assert capsys.readouterr().out.splitlines() == [
        f"Wrote study 'wave' to {tmp_path / 'wave.json'}.",
        "Made study 'again', a draft with 5 posts.",
    ]


def test_codes_and_posts_are_left_out_on_request(tmp_path):
    StudyFactory(slug="wave")
    call_command("save_design", "wave", str(tmp_path / "bare.json"), "--no-codes", "--no-posts")
    data = json.loads((tmp_path / "bare.json").read_text(encoding="utf-8"))
    assert {"codes", "posts"}.isdisjoint(data)


def test_a_file_that_is_there_is_not_replaced(tmp_path):
    StudyFactory(slug="wave")
    file = tmp_path / "wave.json"
    file.write_text("mine", encoding="utf-8")
    with pytest.raises(CommandError, match="is there already"):
        call_command("save_design", "wave", str(file))
    assert file.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["save_design", "nope", "x.json"], "There is no study 'nope'; there are: wave."),
        (["save_design", "wave", "/nowhere/at/all.json"], "cannot be written: No such file"),
        (["load_design", "/nowhere/at/all.json"], "cannot be read: No such file"),
    ],
)
def test_a_command_that_cannot_be_done_says_why(arguments, reason):
    StudyFactory(slug="wave")
    with pytest.raises(CommandError, match=reason):
        call_command(*arguments)


def test_a_file_with_faults_is_refused_with_all_of_them(tmp_path):
    StudyFactory(slug="wave")
    file = tmp_path / "wave.json"
    file.write_text('{"parallax_study": 1, "about": {"slug": "wave"}}', encoding="utf-8")
    with pytest.raises(CommandError) as error:
        call_command("load_design", str(file))
    for place in ("about.slug", "about.name", "about.title", "values"):
        assert f"- {place}: " in str(error.value)
