"""What the page does in the browser, in JavaScript."""

from __future__ import annotations

MOVE_EDGE = """
element.addEventListener("input", (event) => {
    event.target.closest(".compare").style.setProperty("--edge", event.target.value + "%");
});
"""
"""The slider's, for the HTML that ``zoomsr.webapp.results.under_slider`` is in."""

DISMISS = """
const dismiss = (event) => {
    if (event.target.closest("[data-testid^=toast]")) return;
    document.querySelectorAll("[data-testid=toast-close]").forEach((button) => button.click());
};
["click", "change", "drop"].forEach((kind) => document.addEventListener(kind, dismiss, true));
"""
"""Messages vanish with the visitor's next action; for an HTML that is always there."""

SHOW_RESULTS = """() => {
    const behavior = matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
    requestAnimationFrame(() => document.getElementById("results").scrollIntoView({behavior}));
}"""
"""After an enlargement that has succeeded."""
