import hashlib
import stat

import pytest
from django.core.management import CommandError, call_command

from annotation.models import StudyEvent
from tests.modeling.export.studies import Opened, make_full_study

pytestmark = pytest.mark.django_db


@pytest.fixture
def study():
    return make_full_study()


def test_it_writes_the_archive_says_what_is_in_it_and_logs_it(study, tmp_path, capsys):
    out = tmp_path / "data.zip"
    call_command("export_study", study.slug, out=out)
    said = capsys.readouterr().out
    digest = hashlib.sha256(out.read_bytes()).hexdigest()
    assert digest in said and "ratings_long: 10 rows" in said and "3 people, 1 included" in said
    assert len(Opened(out.read_bytes()).csv("participants")) == 3
    event = StudyEvent.objects.get(study=study)
    assert event.detail["sha256"] == digest and event.actor_name == "command"
    assert [path.name for path in tmp_path.iterdir()] == ["data.zip"]


def test_it_can_leave_out_whoever_does_not_count(study, tmp_path):
    call_command("export_study", study.slug, out=tmp_path / "data.zip", include="included")
    assert len(Opened((tmp_path / "data.zip").read_bytes()).csv("participants")) == 1


def test_the_key_table_is_a_file_apart_that_nobody_else_can_read(study, tmp_path):
    keys = tmp_path / "keys.csv"
    call_command("export_study", study.slug, out=tmp_path / "data.zip", with_keys=keys)
    assert "5f0000000000000000000001" in keys.read_text()
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    assert StudyEvent.objects.filter(study=study, summary__contains="key table").count() == 1


@pytest.mark.parametrize("taken", ["data.zip", "keys.csv"])
def test_nothing_is_written_over(study, tmp_path, taken):
    (tmp_path / taken).write_text("mine")
    with pytest.raises(CommandError, match="exists"):
        call_command("export_study", study.slug, out=tmp_path / "data.zip", with_keys=tmp_path / "keys.csv")
    assert [path.name for path in tmp_path.iterdir()] == [taken]
    assert not StudyEvent.objects.exists()


def test_a_study_or_folder_that_is_not_there_is_refused(study, tmp_path):
    with pytest.raises(CommandError, match="There is no study 'nowhere'"):
        call_command("export_study", "nowhere")
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("export_study", study.slug, out=tmp_path / "no" / "data.zip")
