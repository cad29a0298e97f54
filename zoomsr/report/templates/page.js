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
