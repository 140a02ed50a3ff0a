"""Files that a fit leaves behind: plain arrays and bytes, named by their hash, never code."""

import contextlib
import hashlib
import io
import os
import re
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.storage import Storage, storages
from django.utils import timezone

from .errors import ArtefactDamaged

PREDICTION = "prediction_"  # before the name of a model, in the file of a fit
REMEDY = "restore it from a backup, or fit the study with another seed."
N_DIGITS = 16  # of the hash, in a file's name
BYTES_AT_ONCE = 1 << 20
CACHE_DAYS = 7  # for which a copy is kept that nobody asks for
FRESH_HOURS = 12  # within which a file in a bucket need not be written again
PARTIAL = "part-"  # before the name of a copy under way

# The files this process has hashed, and what they looked like: their hash, inode, size and time of change.
_checked: dict[Path, tuple[str, int, int, int]] = {}


def save_arrays(prefix: str, **arrays: np.ndarray) -> tuple[str, str]:
    """Write arrays into the artefact storage; return the file's name and SHA-256.

    The name holds the hash, so writing the same arrays twice leaves one file.
    """
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return save_bytes(prefix, buffer.getvalue(), ".npz")


def save_bytes(prefix: str, content: bytes, suffix: str) -> tuple[str, str]:
    """Write bytes into the artefact storage; return the file's name, which ends in `suffix`, and SHA-256."""
    digest = hashlib.sha256(content).hexdigest()
    return _save(prefix, digest, suffix, ContentFile(content)), digest


def save_file(prefix: str, path: Path, suffix: str) -> tuple[str, str]:
    """Copy a file into the artefact storage, piece by piece; return its name there and SHA-256."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        return _save(prefix, digest, suffix, File(file)), digest


def load_arrays(name: str, digest: str) -> dict[str, np.ndarray]:
    """Read arrays back. Raises ArtefactDamaged when the file is gone or not the one the row was written for."""
    try:
        with storages["artefacts"].open(name) as file:
            content = file.read()
    except FileNotFoundError as error:
        raise _missing(name) from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise _changed(name)
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return {key: arrays[key] for key in arrays.files}


def load_bytes(name: str, digest: str) -> bytes:
    """Read a file's bytes, of a bucket by way of this machine's cache. Raises ArtefactDamaged as `load_arrays`."""
    return locate(name, digest).read_bytes()


def locate(name: str, digest: str) -> Path:
    """Return a file on this machine that holds the artefact: itself where it lies in a folder, else a copy.

    The hash is checked when a copy is made, and once in each process. The path is good for opening now: a copy may
    be removed later to make room, which harms nobody who has it open or mapped. Raises as `load_arrays`.
    """
    storage = storages["artefacts"]
    try:
        path = Path(storage.path(name))
    except NotImplementedError:
        return _copy_here(storage, name, digest)
    try:
        _check(path, name, digest)
    except FileNotFoundError as error:
        raise _missing(name) from error
    return path


@contextlib.contextmanager
def scratch_file() -> Iterator[Path]:
    """An empty file on this machine to fill and save; it is removed at the end, or by a later `prune_cache`."""
    _cache_folder().mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=PARTIAL, dir=_cache_folder())
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def delete_file(name: str) -> None:
    """Delete a file from the artefact storage and from this machine's cache. Safe to run twice."""
    storages["artefacts"].delete(name)
    if digits := re.search(rf"-([0-9a-f]{{{N_DIGITS}}})[_.]", name):
        for path in _cache_folder().glob(f"{digits[1]}*"):
            path.unlink(missing_ok=True)


def prune_cache(*, keep: Path | None = None) -> int:
    """Remove copies that nobody asked for in a week, and the least recently used ones above the bound.

    `keep` stays in any case. Returns how many files went.
    """
    found = []
    for path in _cache_folder().glob("*"):
        with contextlib.suppress(FileNotFoundError):  # another process tidies up too
            status = path.stat()
            found.append((status.st_atime, status.st_size, path))
    room = settings.ARTEFACT_CACHE_MB * 2**20
    now = time.time()
    n_removed = 0
    for used_at, n_bytes, path in sorted(found, reverse=True):
        days = (now - used_at) / 86_400
        if path.name.startswith(PARTIAL):
            must_go = days > 1  # whoever wrote it has died
        else:
            room -= n_bytes
            must_go = path != keep and (room < 0 or days > CACHE_DAYS)
        if must_go:
            path.unlink(missing_ok=True)
            n_removed += 1
    return n_removed


def _save(prefix: str, digest: str, suffix: str, content: File) -> str:
    storage = storages["artefacts"]
    name = f"{prefix}-{digest[:N_DIGITS]}{suffix}"
    if storage.exists(name):
        if _hash_stored(storage, name) == digest and _is_fresh(storage, name):
            return name
        storage.delete(name)  # what somebody left half written who died meanwhile
    return storage.save(name, content)


def _is_fresh(storage: Storage, name: str) -> bool:
    """Whether the file will not be tidied up as something left behind before its new row is written."""
    try:
        os.utime(storage.path(name))
    except NotImplementedError:
        return storage.get_modified_time(name) > timezone.now() - timedelta(hours=FRESH_HOURS)
    return True


def _hash_stored(storage: Storage, name: str) -> str:
    with storage.open(name) as file:
        hasher = hashlib.sha256()
        for chunk in file.chunks(BYTES_AT_ONCE):
            hasher.update(chunk)
    return hasher.hexdigest()


def _check(path: Path, name: str, digest: str) -> None:
    """Raise ArtefactDamaged unless the file has this hash; one that this process has hashed is not read again."""
    status = path.stat()
    looks = (digest, status.st_ino, status.st_size, status.st_mtime_ns)
    if _checked.get(path) == looks:
        return
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != digest:
            raise _changed(name)
    _checked[path] = looks


def _copy_here(storage: Storage, name: str, digest: str) -> Path:
    path = _cache_folder() / digest
    with contextlib.suppress(FileNotFoundError, ArtefactDamaged):  # a damaged copy is replaced
        _check(path, name, digest)
        os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))
        return path
    with scratch_file() as partial:
        hasher = hashlib.sha256()
        try:
            with partial.open("wb") as target, storage.open(name) as source:
                for chunk in source.chunks(BYTES_AT_ONCE):
                    hasher.update(chunk)
                    target.write(chunk)
        except FileNotFoundError as error:
            raise _missing(name) from error
        if hasher.hexdigest() != digest:
            raise _changed(name)
        partial.replace(path)
    status = path.stat()
    _checked[path] = (digest, status.st_ino, status.st_size, status.st_mtime_ns)
    prune_cache(keep=path)
    return path


def _cache_folder() -> Path:
    return Path(settings.VAR_DIR) / "cache" / "artefacts"


def _missing(name: str) -> ArtefactDamaged:
    return ArtefactDamaged(f"The file {name} is not in the artefact storage; {REMEDY}")


def _changed(name: str) -> ArtefactDamaged:
    return ArtefactDamaged(f"The file {name} is not the one this fit wrote; {REMEDY}")
