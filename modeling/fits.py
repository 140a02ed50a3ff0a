"""A fit as workers do it: prepared once, done in units by whoever is free, assembled and stored.

What one step leaves for the next lies in the artefact storage, which all workers reach.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from django.core.files.storage import storages

from annotation.models import Study
from annotation.versions import get_code_version

from .artefacts import load_arrays, save_arrays
from .errors import NotEnoughData
from .estimators import prepared as preparing
from .estimators.data import FitSettings
from .estimators.fitting import FitResult, assemble
from .estimators.personalizer import pack_blends
from .estimators.prepared import Prepared, prepare
from .estimators.units import ProgressReport, do_unit, list_units, unpack_piece
from .in_use import READS, SERVES
from .inclusion import DEFAULT, InclusionRule
from .matrices import load_table
from .models import AnnotatorRun
from .scratch import name_scratch
from .tuning.given import load_given

LIBRARIES = ("numpy", "scipy", "scikit-learn", "numba")


@dataclass(frozen=True)
class StoredFile:
    """A file of a fit, as `FittedFile` holds it."""

    role: str
    name: str
    sha256: str
    n_bytes: int
    feature_names: tuple[str, ...] = ()

    def as_row(self) -> dict[str, Any]:
        return asdict(self) | {"feature_names": list(self.feature_names), "versions": list_versions()}


def list_versions() -> dict[str, str]:
    """Return what a fit is computed with."""
    return {name: version(name) for name in LIBRARIES} | {"parallax": get_code_version()}


def begin(
    study: Study,
    settings: FitSettings,
    rule: InclusionRule = DEFAULT,
    annotator_run: AnnotatorRun | None = None,
) -> dict[str, Any]:
    """Prepare a study for a fit and store what all units need; no row is touched.

    Returns what tells a worker where it lies. Raises NotEnoughData when the data is too small in a way that only
    the fit can see, or when the annotator model whose readings are to be the consensus cannot speak for it.
    """
    table = load_table(study, rule)
    given = None if annotator_run is None else load_given(annotator_run, table.post_ids)
    try:
        prepared = prepare(table.as_fit_data(given), settings)
    except ValueError as error:
        raise NotEnoughData(f"Study '{study.slug}' cannot be fitted: {error}") from error
    name, digest = save_arrays(
        f"{name_scratch(study.slug)}study",
        **prepared.pack(),
        study_enrollment_ids=np.array(table.enrollment_ids),
        study_post_ids=np.array(table.post_ids),
        study_counts=np.array([table.n_simulated, len(table.posts)]),
        study_data_hash=np.array(table.data_hash),
    )
    return {"name": name, "sha256": digest, "units": [unit.name for unit in list_units(prepared, settings)]}


@dataclass(frozen=True, eq=False)
class Begun:
    """A fit that was begun: what is fitted, and what the rows behind the codes are."""

    prepared: Prepared
    enrollment_ids: tuple[int, ...]
    post_ids: tuple[int, ...]
    n_simulated: int
    n_annotations: int
    data_hash: str


def load_begun(place: Mapping[str, Any]) -> Begun:
    """Read back what `begin` stored."""
    arrays = load_arrays(place["name"], place["sha256"])
    about = {name: arrays.pop(name) for name in list(arrays) if name.startswith("study_")}
    n_simulated, n_annotations = (int(count) for count in about["study_counts"])
    return Begun(
        prepared=preparing.unpack(arrays),
        enrollment_ids=tuple(about["study_enrollment_ids"].tolist()),
        post_ids=tuple(about["study_post_ids"].tolist()),
        n_simulated=n_simulated,
        n_annotations=n_annotations,
        data_hash=str(about["study_data_hash"]),
    )


def do(
    study: Study, settings: FitSettings, place: Mapping[str, Any], name: str, report: ProgressReport
) -> dict[str, Any]:
    """Do one unit of a fit that was begun and store what it leaves; returns where that lies."""
    prepared = load_begun(place).prepared
    (unit,) = [each for each in list_units(prepared, settings) if each.name == name]
    piece = do_unit(prepared, settings, unit, report=report, n_threads=count_threads())
    stored, digest = save_arrays(f"{name_scratch(study.slug)}piece", **piece.pack())
    kept = {role: save_file_of_fit(study, role, arrays) for role, arrays in piece.kept.items()}
    return {
        "unit": name,
        "name": stored,
        "sha256": digest,
        "kept": [asdict(file) for file in kept.values()],
    }


def count_threads() -> int:
    """Return how many threads one unit may use: all processors of this machine that the process may."""
    return len(os.sched_getaffinity(0))


def save_file_of_fit(
    study: Study, role: str, arrays: Mapping[str, np.ndarray], feature_names: Sequence[str] = ()
) -> StoredFile:
    """Store one file that serves later."""
    name, digest = save_arrays(f"fit-{study.slug}-{role}", **arrays)
    return StoredFile(role, name, digest, storages["artefacts"].size(name), tuple(feature_names))


@dataclass(frozen=True, eq=False)
class Finished:
    """A fit that was computed, with where its files lie; nothing of it is in the database yet."""

    begun: Begun
    result: FitResult
    artefact: str
    digest: str
    files: tuple[StoredFile, ...]
    scratch: tuple[str, ...]


def finish(
    study: Study, settings: FitSettings, place: Mapping[str, Any], done: Sequence[Mapping[str, Any]]
) -> Finished:
    """Assemble a fit from what its units left and store its files; no row is touched."""
    begun = load_begun(place)
    pieces = {each["unit"]: unpack_piece(load_arrays(each["name"], each["sha256"])) for each in done}
    result = assemble(begun.prepared, settings, pieces)
    name, digest = save_arrays(
        f"fit-{study.slug}", **result.pack(), enrollment_ids=np.array(begun.enrollment_ids)
    )
    files = [
        StoredFile(**file | {"feature_names": _features_of(file["role"], result)})
        for each in done
        for file in each["kept"]
    ]
    files.append(
        save_file_of_fit(
            study,
            SERVES,
            pack_blends(
                result.blends,
                result.bounds,
                value_keys=begun.prepared.value_keys,
                scale=begun.prepared.scale,
            )
            | {
                "enrollment_ids": np.array(begun.enrollment_ids),
                "data_hash": np.array(begun.data_hash),
            },
            begun.prepared.question_names,
        )
    )
    if begun.prepared.reader:
        files.append(save_file_of_fit(study, READS, begun.prepared.reader))
    scratch = (place["name"], *(each["name"] for each in done))
    return Finished(begun, result, name, digest, tuple(files), scratch)


def _features_of(role: str, result: FitResult) -> tuple[str, ...]:
    return result.feature_names if role.startswith("forest.") else ()
