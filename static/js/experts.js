/* Digits rate the value that has the focus and go on to the next one without a rating; everything works without. */
"use strict";

const form = document.querySelector("[data-ratings]");
const values = form ? [...form.querySelectorAll("[data-value]")] : [];

function enter(value) {
  const field = value.querySelector("input:checked") || value.querySelector("input");
  field.focus({ preventScroll: true });
  value.scrollIntoView({ block: "nearest" });
}

function goOn(from) {
  const later = [...values.slice(values.indexOf(from) + 1), ...values];
  const next = later.find((value) => !value.querySelector("input:checked"));
  if (next) enter(next);
  else form.querySelector("button.primary").focus();
}

form?.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  const value = event.target.closest("[data-value]");
  if (!value || !/^[0-9]$/.test(event.key)) return;
  const field = value.querySelector(`input[value="${event.key}"]`);
  if (!field) return;
  event.preventDefault();
  field.checked = true;
  goOn(value);
});

const told = document.querySelector("[data-focus]");
if (told) told.focus();
else if (values.length && !form.querySelector("[data-value] input:checked")) values[0].querySelector("input").focus({ preventScroll: true });
