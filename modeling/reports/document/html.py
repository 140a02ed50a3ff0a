"""A document as one HTML file that needs nothing else."""

from __future__ import annotations

from base64 import b64encode
from html import escape

from .blocks import Block, Document, Facts, Grid, Heading, Paragraph, Picture, Points

STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.55 "Liberation Sans", Arial, sans-serif; color: #1d2730; background: #fff; margin: 0; }
main { max-width: 46rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0; }
.subtitle { color: #55606b; margin: .4rem 0 2rem; }
h2 { font-size: 1.35rem; margin: 2.5rem 0 .75rem; padding-top: .75rem; border-top: 1px solid #dcdfe2; }
h3 { font-size: 1.05rem; margin: 1.75rem 0 .5rem; }
p, li { max-width: 42rem; }
.warning { border-left: 4px solid #b34a2a; background: #fbf1ed; padding: .75rem 1rem; }
figure { margin: 1rem 0; }
figure img { max-width: 100%; height: auto; }
figcaption { color: #55606b; font-size: .88rem; }
.table { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: .85rem; }
caption { text-align: left; color: #55606b; padding-bottom: .35rem; }
th, td { text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #e8e6e1; vertical-align: top; }
th { font-weight: 600; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .25rem 1rem; font-size: .9rem; }
dd { margin: 0; overflow-wrap: anywhere; }
@media print { main { max-width: none; padding: 0; } figure, tr { break-inside: avoid; } }
"""


def write_html(document: Document) -> str:
    """Return the document as HTML: styles and drawings inside, no script, nothing from elsewhere."""
    body = "\n".join(_write(block) for block in document.blocks)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(document.title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f'<h1>{escape(document.title)}</h1>\n<p class="subtitle">{escape(document.subtitle)}</p>\n'
        f"{body}\n</main>\n</body>\n</html>\n"
    )


def _write(block: Block) -> str:
    match block:
        case Heading():
            return f"<h{block.level}>{escape(block.text)}</h{block.level}>"
        case Paragraph():
            opening = '<p class="warning">' if block.is_warning else "<p>"
            return f"{opening}{escape(block.text)}</p>"
        case Points():
            return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in block.items) + "</ul>"
        case Facts():
            pairs = "".join(f"<dt>{escape(name)}</dt><dd>{escape(fact)}</dd>" for name, fact in block.pairs)
            return f"<dl>{pairs}</dl>"
        case Picture():
            drawing = b64encode(block.svg.encode()).decode(
                "ascii"
            )  # apart, so that ids of drawings do not clash
            return (
                f'<figure><img src="data:image/svg+xml;base64,{drawing}" alt="{escape(block.alternative)}">'
                f"<figcaption>{escape(block.caption)}</figcaption></figure>"
            )
        case Grid():
            return _write_grid(block)


def _write_grid(grid: Grid) -> str:
    style = [' class="number"' if numeric else "" for numeric in grid.is_numeric]
    heads = "".join(
        f'<th scope="col"{css}>{escape(text)}</th>' for text, css in zip(grid.headings, style, strict=True)
    )
    rows = "".join(
        "<tr>"
        + "".join(
            f'<th scope="row"{css}>{escape(cell)}</th>' if place == 0 else f"<td{css}>{escape(cell)}</td>"
            for place, (cell, css) in enumerate(zip(row, style, strict=True))
        )
        + "</tr>"
        for row in grid.rows
    )
    return (
        f'<div class="table" tabindex="0" role="region" aria-label="{escape(grid.title)}"><table>'
        f"<caption>{escape(grid.title)}</caption><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
