"""The reference that people read: the OpenAPI document as tables, and programs to begin with."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .openapi import SCHEMA_PLACE, build_document
from .problems import KINDS, Kind

WIDTH = 88


@dataclass(frozen=True)
class Row:
    """A field of what is sent or told, with its place in it and how deep it lies."""

    name: str
    kind: str
    text: str
    is_required: bool
    depth: int

    @property
    def parts(self) -> list[str]:
        """The text, cut at its backticks: every second part is code."""
        return self.text.split("`")


@dataclass(frozen=True)
class Section:
    """One address, ready to be shown."""

    name: str
    method: str
    address: str
    summary: str
    description: str
    sent: tuple[Row, ...]
    sent_example: str
    told: tuple[Row, ...]
    told_example: str
    problems: tuple[Kind, ...]


def build_sections() -> list[Section]:
    """Return all addresses of the document."""
    document = build_document()
    base = document["servers"][0]["url"]
    schemas = document["components"]["schemas"]
    by_status = {str(kind.status.value): kind for kind in KINDS.values()}
    sections: list[Section] = []
    told_in: dict[str, str] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            sent = operation.get("requestBody", {}).get("content", {}).get("application/json")
            told = operation["responses"]["200"]["content"]["application/json"]
            name = operation["operationId"]
            sections.append(
                Section(
                    name=name,
                    method=method.upper(),
                    address=base + path,
                    summary=operation["summary"],
                    description=operation["description"],
                    sent=tuple(list_rows(sent["schema"], schemas, name, told_in)) if sent else (),
                    sent_example=show_json(sent["example"]) if sent else "",
                    told=tuple(list_rows(told["schema"], schemas, name, told_in)),
                    told_example=show_json(told["example"]),
                    problems=tuple(
                        by_status[status] for status in sorted(operation["responses"]) if status != "200"
                    ),
                )
            )
    return sections


def list_rows(
    schema: dict[str, Any], schemas: dict[str, Any], section: str, told_in: dict[str, str], depth: int = 0
) -> Iterator[Row]:
    """Walk the fields of an object and, the first time each is met, the fields of what is in them.

    `told_in` says of each kind of object in which section its fields were told; it grows on the way.
    """
    schema = _follow(schema, schemas)
    required = schema.get("required", ())
    for name, part in schema.get("properties", {}).items():
        inner, kind = _read_kind(part, schemas)
        text = part.get("description") or (inner or {}).get("description", "")
        if inner is None:
            kind = kind if name in required or "default" not in part else kind.removesuffix(" or null")
            yield Row(name, kind, text, name in required, depth)
            continue
        earlier = told_in.setdefault(inner["title"], section)
        more = "" if earlier == section else f" Its fields are those in {earlier}."
        yield Row(name, kind, text + more, name in required, depth)
        if earlier == section:
            yield from list_rows(inner, schemas, section, told_in, depth + 1)


def _follow(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    place = schema.get("$ref")
    return schemas[place.removeprefix(SCHEMA_PLACE)] if place else schema


def _read_kind(part: dict[str, Any], schemas: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """The object that a field holds, if it holds one or a list of them, and its kind in words."""
    found = _follow(part, schemas)
    choices = found.get("anyOf") or found.get("oneOf")
    if choices:
        read = [_read_kind(choice, schemas) for choice in choices]
        objects = [inner for inner, _ in read if inner is not None]
        return (objects[0] if objects else None), " or ".join(kind for _, kind in read)
    if "enum" in found or "const" in found:
        return None, " or ".join(f'"{word}"' for word in found.get("enum", [found.get("const")]))
    if found.get("type") == "array":
        inner, kind = _read_kind(found.get("items", {}), schemas)
        return inner, f"list of {PLURALS.get(kind, kind)}"
    if "properties" in found:
        return found, "object"
    if found.get("type") == "object":
        _, kind = _read_kind(found.get("additionalProperties", {}), schemas)
        return None, f"object of {PLURALS.get(kind, kind)}"
    return None, NAMES.get(found.get("format", "")) or NAMES.get(found.get("type", ""), "")


NAMES = {
    "string": "text",
    "number": "number",
    "integer": "whole number",
    "boolean": "true or false",
    "null": "null",
    "uuid": "UUID",
}
PLURALS = {
    "text": "texts",
    "number": "numbers",
    "object": "objects",
    "number or null": "numbers or nulls",
    "list of numbers or nulls": "lists of numbers or nulls",
}


def show_json(part: Any, margin: str = "") -> str:
    """Return indented JSON in which whatever fits on a line stands on one."""
    line = json.dumps(part, ensure_ascii=False)
    if not isinstance(part, dict | list) or len(margin + line) <= WIDTH:
        return line
    inner = margin + "  "
    if isinstance(part, dict):
        rows = [f"{inner}{json.dumps(name)}: {show_json(each, inner)}" for name, each in part.items()]
        return "{\n" + ",\n".join(rows) + f"\n{margin}}}"
    rows = [inner + show_json(each, inner) for each in part]
    return "[\n" + ",\n".join(rows) + f"\n{margin}]"
