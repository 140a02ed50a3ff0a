"""Replies that are wrong in the ways in which models' replies are wrong."""

import json
from collections.abc import Callable
from typing import Any

from .script import Fault

LONG_CHARACTERS = 200_000


def _change_first(reply: Any, change: Callable[[dict[str, Any], str], None]) -> bool:
    """Apply a change to the first object that holds a number, at that number; whether there was one."""
    if not isinstance(reply, dict):
        return False
    for name, inner in reply.items():
        if isinstance(inner, int):
            change(reply, name)
            return True
        if _change_first(inner, change):
            return True
    return False


def _replace_number(reply: dict[str, Any], number: Any) -> str:
    def change(holder: dict[str, Any], name: str) -> None:
        holder[name] = number

    _change_first(reply, change)
    return json.dumps(reply)


def _rename(reply: dict[str, Any]) -> str:
    def change(holder: dict[str, Any], name: str) -> None:
        holder["something_else"] = holder.pop(name)

    _change_first(reply, change)
    return json.dumps(reply)


def _leave_out(reply: dict[str, Any]) -> str:
    def change(holder: dict[str, Any], name: str) -> None:
        del holder[name]

    _change_first(reply, change)
    return json.dumps(reply)


def _say_twice(reply: dict[str, Any]) -> str:
    doubled: list[str] = []

    def change(holder: dict[str, Any], name: str) -> None:
        doubled.append(f'"{name}": {holder[name]}')

    _change_first(reply, change)
    text = json.dumps(reply)
    return text.replace(doubled[0], f"{doubled[0]}, {doubled[0]}", 1) if doubled else text


BAD_CONTENT: dict[Fault | None, Callable[[dict[str, Any]], str]] = {
    Fault.EMPTY: lambda reply: "",
    Fault.NOT_JSON: lambda reply: "The post mostly speaks of pleasure, I would say a strong 5.",
    Fault.EXTRA_TEXT: lambda reply: (
        f"Here are my ratings:\n{json.dumps(reply)}\nLet me know if you need more."
    ),
    Fault.CODE_FENCE: lambda reply: f"```json\n{json.dumps(reply, indent=1)}\n```",
    Fault.ARRAY: lambda reply: json.dumps([reply]),
    Fault.WRONG_KEYS: _rename,
    Fault.MISSING_VALUE: _leave_out,
    Fault.DUPLICATE_KEYS: _say_twice,
    Fault.OUT_OF_SCALE: lambda reply: _replace_number(reply, 70),
    Fault.FRACTION: lambda reply: _replace_number(reply, 2.5),
    Fault.WORDS: lambda reply: _replace_number(reply, "three"),
    Fault.NAN: lambda reply: _replace_number(reply, float("nan")),
    Fault.TOO_LONG: lambda reply: json.dumps(reply) + " " + "and so on " * (LONG_CHARACTERS // 10),
}


def spoil(reply: dict[str, Any], fault: Fault | None) -> str:
    """Return a reply's text with a fault of `BAD_CONTENT`."""
    return BAD_CONTENT[fault](json.loads(json.dumps(reply)))
