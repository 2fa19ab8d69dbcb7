"use strict";

// A heading's button sorts its table: as numbers where its column stands right, else as words.
const number = (text) => {
  const found = text.replace(/[−]/g, "-").replace(/,/g, "").match(/[+-]?\d+\.?\d*(e[+-]?\d+)?/i);
  return found ? Number(found[0]) : NaN;
};

const sort = (head) => {
  const table = head.closest("table");
  const column = head.cellIndex;
  const down = head.getAttribute("aria-sort") === "ascending";
  const words = head.classList.contains("l");
  const key = (row) => row.cells[column].textContent.trim();
  const missing = (text) => (text === "" || text === "-" || (!words && isNaN(number(text))) ? 1 : 0);
  const rows = [...table.tBodies[0].rows].sort((one, other) => {
    const a = key(one), b = key(other);
    const order = words ? a.localeCompare(b, undefined, { numeric: true }) : number(a) - number(b);
    return missing(a) - missing(b) || (down ? -order : order);
  });
  for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  table.tBodies[0].append(...rows);
};

// A field shows the rows of the table behind it that hold all its words.
const filter = (field) => {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = field.parentNode.nextElementSibling.querySelectorAll("tbody tr");
  let shown = 0;
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
    shown += !row.hidden;
  }
  field.nextElementSibling.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
};

// A method's button brings it forward in all that is drawn and written of its board.
const press = (button) => {
  const board = button.closest("article");
  const on = button.getAttribute("aria-pressed") !== "true";
  for (const other of button.parentNode.querySelectorAll("button")) other.setAttribute("aria-pressed", "false");
  button.setAttribute("aria-pressed", String(on));
  for (const one of board.querySelectorAll("[data-m]")) {
    const mine = one.dataset.m === button.dataset.m;
    one.classList.toggle("lit", on && mine);
    one.classList.toggle("dim", on && !mine && one !== button);
  }
};

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.parentNode.matches("th")) sort(button.parentNode);
  else if (button.parentNode.matches(".legend")) press(button);
});
document.addEventListener("input", (event) => {
  if (event.target.matches("input[type=search]")) filter(event.target);
});
