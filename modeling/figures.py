"""Figures of a report, drawn once by whoever computes it; a page only shows them."""

import altair
import vl_convert

from .presentation import AgreementRow

COLOURS = {"human": "#b9c0c6", "crowd": "#8d98a3", "model": "#d9a28f", "personalized": "#b34a2a"}
KINDS = {
    "human": "Another person",
    "crowd": "A consensus of people",
    "model": "A model that does not know the rater",
    "personalized": "The personalized model",
}


def draw_agreement(rows: list[AgreementRow], *, is_simulated: bool) -> str:
    """Return an SVG of how far people agree with each condition, in the manner of the paper's Figure 5."""
    data = [
        {"condition": row.label, "kind": KINDS[row.kind], "rho": row.rho, "low": row.low, "high": row.high}
        for row in rows
        if row.rho is not None
    ]
    order = [row.label for row in rows]
    base = altair.Chart(altair.InlineData(values=data)).encode(
        y=altair.Y(
            "condition:N", sort=order, title=None, axis=altair.Axis(labelLimit=360, ticks=False, domain=False)
        )
    )
    colour = altair.Color(
        "kind:N",
        scale=altair.Scale(domain=list(KINDS.values()), range=list(COLOURS.values())),
        legend=altair.Legend(title=None, orient="bottom", columns=2, labelLimit=320),
    )
    bars = base.mark_bar(height={"band": 0.72}).encode(
        x=altair.X(
            "rho:Q", title="Mean Spearman's rho with a rater's own ratings", scale=altair.Scale(nice=True)
        ),
        color=colour,
    )
    intervals = base.mark_rule(color="#1d2730", strokeWidth=1.5).encode(x="low:Q", x2="high:Q")
    numbers = base.mark_text(align="left", dx=6, color="#1d2730").encode(
        x="high:Q", text=altair.Text("rho:Q", format=".3f")
    )
    title = altair.Title(
        "Agreement with simulated raters" if is_simulated else "Agreement with raters", anchor="start"
    )
    chart = (
        altair.layer(bars, intervals, numbers)
        .properties(width=560, height={"step": 27}, title=title, background="white")
        .configure(font="Liberation Sans, Arial, sans-serif")
        .configure_axis(labelFontSize=12, titleFontSize=12, titleFontWeight="normal", gridColor="#e8e6e1")
        .configure_legend(labelFontSize=12)
        .configure_title(fontSize=15)
        .configure_view(stroke=None)
    )
    return vl_convert.vegalite_to_svg(chart.to_dict())
