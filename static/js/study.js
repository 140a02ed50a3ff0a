/* The study's page in the admin: steps in order, settings of the chosen kind, pay by the hour.
   Without this script the page works all the same, with the numbers of the steps. */
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const group = document.querySelector("[data-steps]");
  const reward = document.getElementById("id_reward");

  if (group && group.querySelector(".step-list [data-step] select")) prepareSteps(group);
  if (reward) preparePay(reward);
  showWhatIsLinked();

  function prepareSteps(group) {
    const list = group.querySelector(".step-list");
    const announcer = group.querySelector("[data-announce]");
    const isFixed = group.hasAttribute("data-fixed");
    const total = document.getElementById(`id_${group.dataset.prefix}-TOTAL_FORMS`);

    list.querySelectorAll("[data-step]").forEach(equip);
    list.addEventListener("change", (event) => {
      const step = event.target.closest("[data-step]");
      if (event.target.name.endsWith("-kind")) showKind(step);
      else if (event.target.name.endsWith("-DELETE")) markDeleted(step);
      else if (event.target.name.endsWith("-position")) placeByNumber(step);
    });
    list.addEventListener("click", (event) => {
      const button = event.target.closest("[data-move]");
      if (button) moveBy(button, Number(button.dataset.move));
    });
    list.addEventListener("pointerdown", startDrag);
    group.querySelectorAll(":scope > [data-with-script]").forEach((each) => { each.hidden = false; });
    group.querySelector("[data-add-step]")?.addEventListener("click", addStep);

    function equip(step) {
      step.querySelectorAll("[data-with-script], [data-grip]").forEach((each) => { each.hidden = false; });
    }

    function getSteps() {
      return [...list.querySelectorAll("[data-step]")];
    }

    function getLabel(step) {
      return step.querySelector("[data-step-label]").textContent;
    }

    function number() {
      const steps = getSteps().filter((step) => !isDeleted(step));
      steps.forEach((step, index) => { step.querySelector('input[name$="-position"]').value = index + 1; });
      return steps;
    }

    function isDeleted(step) {
      return step.querySelector('input[name$="-DELETE"]')?.checked ?? false;
    }

    function settle(step) {
      const steps = number();
      announcer.textContent = `${getLabel(step)} is now step ${steps.indexOf(step) + 1} of ${steps.length}.`;
      step.classList.add("moved");
      setTimeout(() => step.classList.remove("moved"), 800);
    }

    function moveBy(button, by) {
      const step = button.closest("[data-step]");
      const neighbour = by < 0 ? step.previousElementSibling : step.nextElementSibling;
      if (!neighbour) {
        announcer.textContent = `${getLabel(step)} is already ${by < 0 ? "first" : "last"}.`;
        return;
      }
      if (by < 0) neighbour.before(step);
      else neighbour.after(step);
      settle(step);
      button.focus();
    }

    function placeByNumber(step) {
      if (isFixed) return;
      const wanted = Number(step.querySelector('input[name$="-position"]').value);
      const others = getSteps().filter((each) => each !== step);
      if (!Number.isInteger(wanted) || wanted < 1) return;
      if (wanted > others.length) list.append(step);
      else others[wanted - 1].before(step);
      settle(step);
    }

    function startDrag(event) {
      const grip = event.target.closest("[data-grip]");
      if (!grip || event.button) return;
      event.preventDefault();
      const step = grip.closest("[data-step]");
      list.classList.add("sorting");
      step.classList.add("dragged");
      const drag = (move) => {
        const under = getSteps().find((each) => {
          const box = each.getBoundingClientRect();
          return each !== step && move.clientY >= box.top && move.clientY <= box.bottom;
        });
        if (!under) return;
        const box = under.getBoundingClientRect();
        if (move.clientY < box.top + box.height / 2) under.before(step);
        else under.after(step);
      };
      const drop = () => {
        document.removeEventListener("pointermove", drag);
        document.removeEventListener("pointerup", drop);
        document.removeEventListener("pointercancel", drop);
        list.classList.remove("sorting");
        step.classList.remove("dragged");
        settle(step);
        step.scrollIntoView({ block: "nearest" });
      };
      // The grip itself changes places on the way, so it cannot be what listens.
      document.addEventListener("pointermove", drag);
      document.addEventListener("pointerup", drop);
      document.addEventListener("pointercancel", drop);
    }

    function addStep() {
      const index = Number(total.value);
      const holder = document.createElement("ol");
      holder.append(group.querySelector("[data-new-step]").content.cloneNode(true));
      holder.querySelectorAll("[id], [name], [for], [aria-describedby]").forEach((each) => {
        for (const name of ["id", "name", "for", "aria-describedby"]) {
          if (each.hasAttribute(name)) each.setAttribute(name, each.getAttribute(name).replaceAll("__prefix__", index));
        }
      });
      const step = holder.querySelector("[data-step]");
      list.append(step);
      total.value = index + 1;
      equip(step);
      number();
      step.querySelector('select[name$="-kind"]').focus();
    }

    function showKind(step) {
      const select = step.querySelector('select[name$="-kind"]');
      step.querySelectorAll("[data-kinds]").forEach((each) => {
        each.hidden = !each.dataset.kinds.split(" ").includes(select.value);
      });
      const label = select.value ? select.selectedOptions[0].text : "New step";
      step.querySelector("[data-step-label]").textContent = label;
      step.querySelectorAll("[data-move]").forEach((button) => {
        button.setAttribute("aria-label", `Move ${button.dataset.move < 0 ? "up" : "down"}: ${label}`);
      });
    }

    function markDeleted(step) {
      step.classList.toggle("deleted", isDeleted(step));
      number();
    }
  }

  function preparePay(reward) {
    const minutes = document.getElementById("id_estimated_minutes");
    const currency = document.getElementById("id_currency");
    const shown = document.querySelector("[data-hourly-pay]");
    if (!minutes || !currency || !shown) return;
    const show = () => {
      const hourly = (Number(reward.value) * 60) / Number(minutes.value);
      const sign = currency.selectedOptions[0].text;
      const canTell = reward.value !== "" && Number.isFinite(hourly) && hourly >= 0;
      shown.textContent = canTell ? `${sign}${hourly.toFixed(2)} an hour` : "Enter the reward and the estimated time.";
    };
    [reward, minutes, currency].forEach((field) => field.addEventListener("input", show));
  }

  /* A link to a field inside something folded opens it. */
  function showWhatIsLinked() {
    document.querySelectorAll(".errors input, .errors select, .errors textarea").forEach((field) => {
      for (let at = field.closest("details"); at; at = at.parentElement.closest("details")) at.open = true;
    });
  }
});
