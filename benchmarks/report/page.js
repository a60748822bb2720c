// Click a heading to sort by it; what has no number stays last.
document.querySelectorAll("table.sortable").forEach((table) => {
  const body = table.tBodies[0];
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      const key = (row) => {
        const cell = row.cells[column];
        return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent;
      };
      const last = (value) => typeof value === "number" && Number.isNaN(value);
      const compare = (a, b) =>
        last(a) - last(b) || (last(a) ? 0 : (up ? 1 : -1) * (a < b ? -1 : a > b ? 1 : 0));
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      body.append(...[...body.rows].sort((a, b) => compare(key(a), key(b))));
    });
  });
});
