"""PURE. Which language a text is in, found offline from its letters alone."""

import re
from functools import cache
from typing import Any

UNKNOWN = "unknown"
LEAST_CHARACTERS = 20

_NO_LANGUAGE = re.compile(r"https?://\S+|www\.\S+|[@#]\w+")
_CODE = re.compile(r"([a-z]{2,3})(?:[-_][a-z0-9]{2,8})*")
_SAYS_NOTHING = frozenset({"und", "unk", "unknown", "undefined", "undetermined", "zxx", "qme", "n/a", "na"})


def detect_language(text: str) -> str:
    """Return the ISO 639 code of the text's language, or 'unknown'.

    Addresses, @names and #tags are passed over. What then is shorter than 20 characters is 'unknown': so few letters
    fit many languages. The detector (py3langid) knows some 140 languages, needs no network and says the same each
    time.
    """
    plain = _NO_LANGUAGE.sub(" ", text).strip()
    if len(plain) < LEAST_CHARACTERS:
        return UNKNOWN
    code = _load_identifier().classify(plain)[0]
    return UNKNOWN if code in _SAYS_NOTHING else str(code)


def read_code(written: str) -> str:
    """Return a language as it was written by somebody as a code: 'en' of 'en-US', 'unknown' of 'und'.

    '' when it is no code, such as 'English' or nothing at all.
    """
    plain = written.strip().lower()
    if plain in _SAYS_NOTHING:
        return UNKNOWN
    found = _CODE.fullmatch(plain)
    return found[1] if found else ""


@cache
def _load_identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE)
