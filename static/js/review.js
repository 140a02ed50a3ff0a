/* The keys of the review page; every one of them presses something that is on the page. */
"use strict";

const page = document.querySelector("[data-review]");
const fields = [...page.querySelectorAll("input[data-model]")];

const mark = (field) => field.closest("tr").classList.toggle("is-changed", field.value.trim() !== field.dataset.model);
fields.forEach((field) => {
  mark(field);
  field.addEventListener("input", () => mark(field));
  field.addEventListener("focus", () => field.select());
});

function correct(event) {
  event.preventDefault();
  const first = page.querySelector("tr.is-concerned input") || fields[0];
  if (first) first.focus();
}

page.querySelector('a[data-key="2"]').addEventListener("click", correct);

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (event.target.matches("input, textarea, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const pressed = page.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!pressed) return;
  event.preventDefault();
  pressed.click();
});

const problem = page.querySelector("[data-focus]");
if (problem) problem.focus();
