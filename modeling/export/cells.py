"""PURE. Text cells of CSV files that no spreadsheet can take for a formula.

A text that begins as a formula would gets one apostrophe in front. So does one that already begins with
apostrophes and a formula's sign behind them: taking one apostrophe off always gives the text back.
"""

import re

# What spreadsheets read as a formula: the four signs, also as full-width characters, and what they skip before one.
SIGNS = "=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20"
FORMULA = f"^('*[{SIGNS}])"
_FORMULA = re.compile(FORMULA)
_GUARDED = re.compile(f"^'+[{SIGNS}]")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
REPLACEMENT = "\ufffd"


def guard(text: str) -> str:
    """Return the text as it stands in a CSV file.

    >>> guard("=1+1"), guard("1+1"), guard("'=1+1")
    ("'=1+1", '1+1', "''=1+1")
    """
    return _FORMULA.sub(r"'\1", text)


def unguard(text: str) -> str:
    """Return the text that `guard` was given.

    >>> unguard("'=1+1"), unguard("'tis")
    ('=1+1', "'tis")
    """
    return text[1:] if _GUARDED.match(text) else text


def clean(text: str) -> str:
    """Return the text with a replacement character for what no file can hold: NUL and halves of characters."""
    return _UNSTORABLE.sub(REPLACEMENT, text)
