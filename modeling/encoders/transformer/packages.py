"""The packages that only an installation with transformers has."""

from __future__ import annotations

import importlib
from typing import Any

HINT = "run `make encoder`, or the two commands at the top of requirements-encoder.txt"


class PackageMissing(RuntimeError):
    """A package that transformers take is not installed; the text says how to mend it."""


class TorchMissing(PackageMissing):
    """torch, which only training takes, is not installed; the text says how to mend it."""


def load_package(name: str, purpose: str) -> Any:
    """Import a package of requirements-encoder.txt.

    Raises PackageMissing, for torch TorchMissing, with the purpose and how to install it.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0]:
            raise  # it is there, and lacks something itself
        kind = TorchMissing if name == "torch" else PackageMissing
        raise kind(f"{purpose} takes the package {name}, which is not installed here: {HINT}.") from error
