import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from modeling.artefacts import load_arrays, save_arrays
from modeling.errors import ArtefactDamaged

ARRAYS = {"rows": np.arange(5), "scores": np.full((2, 3), np.nan, np.float32), "none": np.empty((0, 4))}


@pytest.fixture(autouse=True)
def storage(settings, tmp_path):
    settings.STORAGES = settings.STORAGES | {
        "artefacts": {
            "BACKEND": "django.core.files.storage.FileSystemStorage",
            "OPTIONS": {"location": str(tmp_path)},
        }
    }
    return storages["artefacts"]


def test_arrays_come_back_as_they_were_and_nothing_else():
    loaded = load_arrays(*save_arrays("fit-x", **ARRAYS))
    assert loaded.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert loaded[name].dtype == array.dtype
        np.testing.assert_array_equal(loaded[name], array)


def test_the_same_arrays_are_one_file_and_others_another(tmp_path):
    first = save_arrays("fit-x", **ARRAYS)
    assert save_arrays("fit-x", **ARRAYS) == first
    assert len(list(tmp_path.iterdir())) == 1
    assert save_arrays("fit-x", rows=np.arange(6)) != first
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[:-1], lambda raw: b"", lambda raw: raw[:40] + b"\0" + raw[41:]]
)
def test_a_file_that_was_changed_is_refused(storage, damage):
    name, digest = save_arrays("fit-x", **ARRAYS)
    raw = storage.open(name).read()
    storage.delete(name)
    storage.save(name, ContentFile(damage(raw)))
    with pytest.raises(ArtefactDamaged, match="is not the one this fit wrote; restore it from a backup"):
        load_arrays(name, digest)


def test_a_file_that_is_gone_is_named(storage):
    name, digest = save_arrays("fit-x", **ARRAYS)
    storage.delete(name)
    with pytest.raises(ArtefactDamaged, match=f"{name} is not in the artefact storage"):
        load_arrays(name, digest)


def test_objects_that_would_run_code_when_read_are_never_written(tmp_path):
    with pytest.raises(ValueError, match="pickle"):
        save_arrays("fit-x", rows=np.array([{}], dtype=object))
    assert not list(tmp_path.iterdir())
