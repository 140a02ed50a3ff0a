"""The scoring keys that ship with the code, by name."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from calibration.instrument.scoring import ScoringKey, ScoringKeyError

CONTENT = Path(__file__).resolve().parents[1] / "content"


@cache
def load_scoring_keys() -> dict[str, ScoringKey]:
    """Return every shipped scoring key by its name, in the names' order."""
    files = sorted((CONTENT / "keys").glob("*.json"))
    return {file.stem: ScoringKey.from_dict(json.loads(file.read_text(encoding="utf-8"))) for file in files}


def load_scoring_key(name: str) -> ScoringKey:
    """Return one shipped scoring key.

    Raises
    ------
    ScoringKeyError
        If no key of this name ships.
    """
    keys = load_scoring_keys()
    if name not in keys:
        raise ScoringKeyError([f"no scoring key is called {name!r:.80}; there are {', '.join(keys)}"])
    return keys[name]
