"""A document as PDF, set by Typst: drawings stay vectors, and no text of a study is ever read as markup."""

from __future__ import annotations

import json
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import typst

from .blocks import Block, Document, Facts, Grid, Heading, Paragraph, Picture, Points

_SIZE = re.compile(r'<svg[^>]* width="([0-9.]+)"[^>]* height="([0-9.]+)"')
LAYOUT = Path(__file__).with_name("layout.typ")


def write_pdf(document: Document) -> bytes:
    """Return the document as PDF.

    The layout reads everything from a JSON file beside it, so a text is set as it is, whatever it holds.
    """
    with TemporaryDirectory(prefix="parallax-document-") as name:
        folder = Path(name)
        content = {
            "title": document.title,
            "subtitle": document.subtitle,
            "blocks": [_describe(block, number, folder) for number, block in enumerate(document.blocks)],
        }
        (folder / "content.json").write_text(json.dumps(content), encoding="utf-8")
        (folder / "layout.typ").write_text(LAYOUT.read_text(encoding="utf-8"), encoding="utf-8")
        pdf: bytes = typst.compile(str(folder / "layout.typ"), root=str(folder))
    return pdf


def _measure(svg: str) -> float:
    """Return a drawing's height over its width."""
    size = _SIZE.search(svg)
    return float(size[2]) / float(size[1]) if size else 1.0


def _describe(block: Block, number: int, folder: Path) -> dict[str, Any]:
    match block:
        case Heading():
            return {"kind": "heading", "text": block.text, "level": block.level}
        case Paragraph():
            return {"kind": "paragraph", "text": block.text, "is_warning": block.is_warning}
        case Points():
            return {"kind": "points", "items": block.items}
        case Facts():
            return {"kind": "facts", "pairs": block.pairs}
        case Picture():
            file = f"drawing-{number}.svg"
            (folder / file).write_text(block.svg, encoding="utf-8")
            return {
                "kind": "picture",
                "file": file,
                "proportion": _measure(block.svg),
                "caption": block.caption,
                "alternative": block.alternative,
            }
        case Grid():
            return {
                "kind": "grid",
                "title": block.title,
                "headings": block.headings,
                "is_numeric": block.is_numeric,
                "rows": block.rows,
            }
