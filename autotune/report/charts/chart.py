"""What the charts have in common: colours that a colour-blind reader can tell apart, axes, and Plotly's JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autotune.trees import shortened

# Okabe and Ito (2008), "Color Universal Design"; the ink is the page's.
BLUE, ORANGE, GREEN, RED, VIOLET, SKY, GREY = (
    "#0072b2", "#e69f00", "#009e73", "#d55e00", "#a2457f", "#56b4e9", "#8b95a7",
)  # fmt: skip
INK, PALE = "#1c2430", "#c9d0dc"
CYCLE = (BLUE, ORANGE, GREEN, VIOLET, SKY, RED, GREY, INK)
FONT = "system-ui, -apple-system, Segoe UI, Roboto, sans-serif"


@dataclass(frozen=True)
class Chart:
    """`figure` is Plotly's own JSON; `head` and `rows` say the same in words."""

    title: str
    caption: str
    figure: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    wide: bool = False


def figure(traces: Sequence[Mapping[str, Any]], layout: Mapping[str, Any]) -> str:
    """Checked by Plotly, which refuses what it does not know; safe inside a script element."""
    import plotly.graph_objects as go

    base = {
        "template": "none", "height": 340, "margin": {"l": 60, "r": 14, "t": 24, "b": 52},
        "font": {"family": FONT, "size": 13, "color": INK}, "hoverlabel": {"font": {"family": FONT}},
        "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "bargap": 0.25, "dragmode": False,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "xanchor": "left",
                   "traceorder": "normal", "font": {"size": 12}}, "showlegend": False,
    }  # fmt: skip
    return go.Figure(data=list(traces), layout={**base, **layout}).to_json().replace("</", "<\\/")


def axis(title: str, **more: Any) -> dict[str, Any]:
    """Hair lines behind the marks, and no line at zero, which means nothing to a factor."""
    return {"title": {"text": title, "standoff": 8, "font": {"size": 13}}, "tickfont": {"size": 12},
            "gridcolor": "#e3e7ee", "linecolor": PALE, "zeroline": False,
            "ticks": "outside", "tickcolor": PALE, "ticklen": 4, "automargin": True, **more}  # fmt: skip


def factors(title: str, **more: Any) -> dict[str, Any]:
    """An axis of factors over no speculation."""
    return axis(title, ticksuffix="x", **more)


def bars(values: Sequence[float], bounds: Sequence[Sequence[float] | None], **more: Any) -> dict[str, Any]:
    """Plotly's error bars from intervals; none where there is no interval."""
    ends = [bound or (value, value) for value, bound in zip(values, bounds, strict=True)]
    return {"type": "data", "symmetric": False, "thickness": 1.4, "width": 4,
            "array": [high - value for value, (_, high) in zip(values, ends, strict=True)],
            "arrayminus": [value - low for value, (low, _) in zip(values, ends, strict=True)], **more}  # fmt: skip


def line_at_one(on: str) -> dict[str, Any]:
    """No speculation, on the axis `on`."""
    across = "x" if on == "y" else "y"
    return {"type": "line", f"{across}ref": "paper", f"{across}0": 0, f"{across}1": 1, f"{on}0": 1, f"{on}1": 1,
            "line": {"color": INK, "width": 1, "dash": "dot"}}  # fmt: skip


def parameters(values: Mapping[str, Any]) -> str:
    """A configuration in a line of text."""
    return ", ".join(f"{name}={shortened(name, value)}" for name, value in values.items()) or "as configured"
