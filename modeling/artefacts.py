"""Files that a fit leaves behind: plain arrays, named by their hash, never code."""

import hashlib
import io

import numpy as np
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from .errors import ArtefactDamaged

PREDICTION = "prediction_"  # before the name of a model, in the file of a fit
REMEDY = "restore it from a backup, or fit the study with another seed."


def save_arrays(prefix: str, **arrays: np.ndarray) -> tuple[str, str]:
    """Write arrays into the artefact storage; return the file's name and SHA-256.

    The name holds the hash, so writing the same arrays twice leaves one file.
    """
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    content = buffer.getvalue()
    digest = hashlib.sha256(content).hexdigest()
    name = f"{prefix}-{digest[:16]}.npz"
    storage = storages["artefacts"]
    if not storage.exists(name):
        name = storage.save(name, ContentFile(content))
    return name, digest


def load_arrays(name: str, digest: str) -> dict[str, np.ndarray]:
    """Read arrays back. Raises ArtefactDamaged when the file is gone or not the one the row was written for."""
    storage = storages["artefacts"]
    if not storage.exists(name):
        raise ArtefactDamaged(f"The file {name} is not in the artefact storage; {REMEDY}")
    with storage.open(name) as file:
        content = file.read()
    if hashlib.sha256(content).hexdigest() != digest:
        raise ArtefactDamaged(f"The file {name} is not the one this fit wrote; {REMEDY}")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return {key: arrays[key] for key in arrays.files}
