"use strict";
// Sorts a table by the column whose heading is pressed: numbers the larger first, then the other way round.
const valueOf = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent;
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const heading = button.closest("th");
    const body = heading.closest("table").tBodies[0];
    const words = heading.dataset.words !== undefined;
    const now = heading.getAttribute("aria-sort");
    const order = now === null ? (words ? "ascending" : "descending") : now === "ascending" ? "descending" : "ascending";
    for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const rows = [...body.rows].map((row) => [valueOf(row, heading.cellIndex), row]);
    rows.sort(([a], [b]) => {
      if (a === "" || b === "") return (a === "") - (b === ""); // what is not known comes last either way
      return sign * (words ? a.localeCompare(b, "en", { numeric: true }) : Number(a) - Number(b));
    });
    body.append(...rows.map(([, row]) => row));
  });
}

// A figure that is clicked fills the window; a click or Esc closes it. Without a dialog its link opens the file.
const dialog = document.querySelector("dialog");
for (const link of document.querySelectorAll(".enlarge")) {
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a new tab
    event.preventDefault();
    const [large, small] = [dialog.querySelector("img"), link.querySelector("img")];
    [large.src, large.alt] = [small.src, small.alt];
    dialog.showModal();
    dialog.scrollTo(0, 0);
  });
}
dialog.addEventListener("click", () => dialog.close());

// Two pictures in one place: left and right of an edge, which is dragged, or moved by the slider below.
for (const slider of document.querySelectorAll(".slider")) {
  const [stack, range] = [slider.querySelector(".stack"), slider.querySelector("input")];
  const sides = slider.querySelectorAll("select");
  const show = () => {
    slider.style.setProperty("--edge", `${range.value}%`);
    stack.querySelectorAll("img").forEach((image, number) => {
      ["left", "right"].forEach((side, index) => image.classList.toggle(side, Number(sides[index].value) === number));
    });
  };
  const drag = (event) => {
    if (!(event.buttons & 1)) return;
    const box = stack.getBoundingClientRect();
    range.value = (100 * (event.clientX - box.left)) / box.width;
    show();
  };
  stack.addEventListener("pointerdown", (event) => {
    event.preventDefault(); // no dragging of the picture itself
    stack.setPointerCapture(event.pointerId);
    drag(event);
  });
  stack.addEventListener("pointermove", drag);
  slider.addEventListener("input", show);
  show();
}
