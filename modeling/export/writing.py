"""Tables to files, piece by piece: CSV that no spreadsheet runs, and Parquet as it is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from . import tables
from .cells import FORMULA
from .tables import Column, Table

ARROW = {
    tables.TEXT: pa.string(),
    tables.CODE: pa.string(),
    tables.INTEGER: pa.int64(),
    tables.NUMBER: pa.float64(),
    tables.YES_NO: pa.bool_(),
    tables.TIME: pa.timestamp("us", tz="UTC"),
    tables.JSON: pa.string(),
}
ROW_GROUP = 500_000  # rows of a Parquet file that are compressed together
MOST_BYTES = 32_000_000  # of one row group before compression: texts can be long


def build_schema(columns: Iterable[Column]) -> pa.Schema:
    """Return the columns with their types; each carries its meaning into the Parquet file."""
    return pa.schema(
        [
            pa.field(
                column.name,
                ARROW[column.kind],
                nullable=column.empty != tables.NEVER,
                metadata={"meaning": column.meaning},
            )
            for column in columns
        ]
    )


def guard_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the batch with an apostrophe in front of every text that could be taken for a formula."""
    columns = [
        pc.replace_substring_regex(column, FORMULA, r"'\1")
        if pa.types.is_string(column.type) and pc.any(pc.match_substring_regex(column, FORMULA)).as_py()
        else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def write_table(
    table: Table, batches: Iterable[pa.RecordBatch], csv_file: IO[bytes], parquet_file: IO[bytes] | None
) -> int:
    """Write a table's batches into both files as they come; return the number of rows.

    A text is always between quotation marks in CSV, so that a missing one (nothing at all) and an empty one differ.
    """
    schema = build_schema(table.columns)
    n_rows = 0
    with _Parquet(parquet_file, schema) as parquet, pyarrow.csv.CSVWriter(csv_file, schema) as writer:
        for batch in batches:
            writer.write_batch(guard_batch(batch))
            parquet.add(batch)
            n_rows += batch.num_rows
    return n_rows


class _Parquet:
    """A Parquet file with row groups of a good size, whatever the size of the batches; none without a file."""

    def __init__(self, file: IO[bytes] | None, schema: pa.Schema) -> None:
        self.schema = schema
        self.writer = file and pyarrow.parquet.ParquetWriter(file, schema, compression="zstd")
        self.waiting: list[pa.RecordBatch] = []

    def __enter__(self) -> _Parquet:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()
        if self.writer:
            self.writer.close()

    def add(self, batch: pa.RecordBatch) -> None:
        if not self.writer:
            return
        self.waiting.append(batch)
        n_rows = sum(each.num_rows for each in self.waiting)
        if n_rows >= ROW_GROUP or sum(each.nbytes for each in self.waiting) >= MOST_BYTES:
            self.flush()

    def flush(self) -> None:
        if self.writer and self.waiting:
            self.writer.write_table(pa.Table.from_batches(self.waiting, self.schema))
        self.waiting = []
