"""PURE. Rules to begin with, as they ship. A web process may import it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .reading import RulesRefused, read_rules

_FILE = Path(__file__).with_name("starters.json")


def list_starters(value_keys: Sequence[str], scale: tuple[int, int]) -> list[dict[str, Any]]:
    """Return the rules that fit a study: those about values that it does not have are left out.

    >>> [rule["key"] for rule in list_starters(["power"], (0, 6))][:2]
    ['models-disagree', 'runs-disagree']
    """
    fitting = []
    for rule in json.loads(_FILE.read_text(encoding="utf-8")):
        try:
            read_rules([rule], value_keys, scale)
        except RulesRefused:
            continue
        fitting.append(rule)
    return fitting
