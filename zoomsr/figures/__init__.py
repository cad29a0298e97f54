"""Pictures of results: pure functions from arrays and rows to a matplotlib Figure. The caller saves it.

Every figure is white, at most about ten inches wide, with no text below 7 points at the size it is drawn in.
"""

from matplotlib.figure import Figure

from zoomsr.figures.architecture import architecture, stages
from zoomsr.figures.charts import dots, matrix, spectrum
from zoomsr.figures.comparison import best_worst, comparison, epochs
from zoomsr.figures.curves import curves
from zoomsr.figures.data import ERROR_RANGE, Cost, Enlargement, FloatImage, History, Panel, PublishedNet, Stage
from zoomsr.figures.tradeoff import published, tradeoff

__all__ = [
    "ERROR_RANGE",
    "Cost",
    "Enlargement",
    "Figure",
    "FloatImage",
    "History",
    "Panel",
    "PublishedNet",
    "Stage",
    "architecture",
    "best_worst",
    "comparison",
    "curves",
    "dots",
    "epochs",
    "matrix",
    "published",
    "spectrum",
    "stages",
    "tradeoff",
]
