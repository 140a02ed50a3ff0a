"""A view of the database with one row per rating, for whoever asks it in SQL.

It is no migration: it stands on tables of another room, and while it stands PostgreSQL refuses to change their
columns and SQLite to make them anew. So it is dropped before any migration and created after the last one.
"""

from typing import Any

from django.db import connections

NAME = "annotation_rating_long"
COLUMNS = {
    "annotation_annotation": {"enrollment_id", "post_id", "ratings", "codes", "submitted_at"},
    "annotation_enrollment": {"id", "study_id", "phase", "outcome"},
    "annotation_post": {"id", "key"},
    "annotation_study": {"id", "slug", "value_keys"},
}
_SELECT = """
SELECT s.slug AS study, e.id AS enrollment_id, e.phase, e.outcome, p.key AS post, v.value AS value,
       v.place + 1 AS position,
       CASE WHEN {rating} <> -32768 THEN {rating} END AS rating,
       CASE WHEN {rating} = -32768 THEN 'not_shown' WHEN {code} = 1 THEN 'chosen' WHEN {code} = 2 THEN 'implied'
            ELSE 'not_shown' END AS status,
       a.submitted_at
FROM annotation_annotation a
JOIN annotation_enrollment e ON e.id = a.enrollment_id
JOIN annotation_study s ON s.id = e.study_id
JOIN annotation_post p ON p.id = a.post_id
CROSS JOIN {values}
"""
_VALUES = {
    "postgresql": (
        "LATERAL (SELECT value, (number - 1)::int AS place"
        " FROM jsonb_array_elements_text(s.value_keys) WITH ORDINALITY AS t(value, number)) v"
    ),
    "sqlite": "(SELECT study.id, t.value, t.key AS place FROM annotation_study study, json_each(study.value_keys) t) v",
}


def build_select(vendor: str) -> str:
    """Return the view's query for a kind of database. A vector is little-endian integers of 16 bits."""

    def number(column: str) -> str:
        low, high = (
            (f"get_byte({column}, 2 * v.place)", f"get_byte({column}, 2 * v.place + 1)")
            if vendor == "postgresql"
            else (_byte(column, 1), _byte(column, 2))
        )
        return f"({low} + 256 * {high} - CASE WHEN {high} > 127 THEN 65536 ELSE 0 END)"

    select = _SELECT.format(rating=number("a.ratings"), code=number("a.codes"), values=_VALUES[vendor])
    return select if vendor == "postgresql" else f"{select} WHERE v.id = s.id"


def _byte(column: str, offset: int) -> str:
    """One byte of a vector in SQLite, which has no function for it: by its two hexadecimal digits."""
    digits = f"hex(substr({column}, 2 * v.place + {offset}, 1))"
    high, low = (f"instr('123456789ABCDEF', substr({digits}, {place}, 1))" for place in (1, 2))
    return f"(16 * {high} + {low})"


def drop(using: str, **_: Any) -> None:
    """Make room for migrations."""
    with connections[using].cursor() as cursor:
        cursor.execute(f"DROP VIEW IF EXISTS {NAME}")


def create(using: str, **_: Any) -> None:
    """Create the view once the tables have what it shows."""
    connection = connections[using]
    with connection.cursor() as cursor:
        tables = set(connection.introspection.table_names(cursor))
        for table, columns in COLUMNS.items():
            if table not in tables:
                return
            described = connection.introspection.get_table_description(cursor, table)
            if not columns <= {column.name for column in described}:
                return
        cursor.execute(f"DROP VIEW IF EXISTS {NAME}")
        cursor.execute(f"CREATE VIEW {NAME} AS {build_select(connection.vendor)}")
