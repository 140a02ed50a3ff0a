/* Figures become charts when they are scrolled to. Without this file, or when anything fails, the drawing stays. */
"use strict";

(() => {
  /* The colours of modeling/reports/figures/theme.py, and what takes their place in the dark. */
  const DARK = {
    "#1d2730": "#e8e6e1", "#55626e": "#aab3ba", "#e8e6e1": "#38414a", "#ffffff": "#1f252b",
    "#b9c0c6": "#66717b", "#8d98a3": "#97a3ad", "#d9a28f": "#a8705d", "#b34a2a": "#ff9d7a",
    "#0f5f63": "#6cc3c0", "#c08a1e": "#e0b454", "#5a6fa8": "#97a9e0", "#7d4b73": "#d09cc4",
    "#e9e6de": "#323a42",
    "#f7f3ec": "#2a3037", "#eccdb9": "#5a433c", "#d8997b": "#8f5a48", "#b85a37": "#d08061", "#7a2a12": "#ffc3a8",
    "#0d5356": "#7fd6d2", "#7db3b1": "#3f7d7c", "#f6f4ef": "#2b3138", "#d69a80": "#925d4b", "#9b3a1b": "#ff9f7d",
  };
  const OPTIONS = { ast: true, actions: false, defaultStyle: false, renderer: "svg", logLevel: 1, tooltip: { disableDefaultStyle: true } };
  const WIDEST = 640; // of what keeps its shape, so that it can be seen at once
  const NARROW = 440;
  const darkness = matchMedia("(prefers-color-scheme: dark)");
  const drawn = new Map(); // figure -> what is needed to draw it again
  let library = null;

  function loadLibrary(address) {
    library ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = address;
      script.onload = resolve;
      script.onerror = reject;
      document.head.append(script);
    });
    return library;
  }

  async function readSpec(address) {
    const answer = await fetch(address, { credentials: "same-origin", headers: { Accept: "application/json" } });
    if (!answer.ok || answer.redirected) throw new Error("no specification");
    return answer.text();
  }

  function colour(text) {
    return darkness.matches ? text.replace(/#[0-9a-f]{6}\b/g, (found) => DARK[found] ?? found) : text;
  }

  /* The page's own heading and table say what a drawing says by itself. */
  function fit(text, width) {
    const spec = JSON.parse(colour(text));
    delete spec.title;
    spec.config = { ...spec.config, background: "transparent", aria: false };
    if (width < NARROW) {
      for (const [part, size] of [["axis", 10.5], ["legend", 10.5], ["text", 9.5]]) {
        spec.config[part] = { ...spec.config[part], labelFontSize: size, fontSize: size };
      }
      spec.config.legend.layout = { top: { anchor: "end" } }; // what is wider than the chart has the room of the names
    }
    const aspect = spec.usermeta?.aspect;
    if (aspect) {
      spec.width = Math.min(width, WIDEST) - 2 * spec.padding;
      spec.height = spec.width * aspect;
      spec.autosize = "pad";
    }
    return spec;
  }

  async function show(figure, text) {
    const place = figure.querySelector("[data-chart-place]");
    const image = place.querySelector("img");
    const chart = document.createElement("div");
    chart.className = "plot-chart is-coming";
    place.append(chart);
    try {
      const width = place.clientWidth;
      const { view } = await window.vegaEmbed(chart, fit(text, width), OPTIONS);
      chart.setAttribute("role", "img"); // what is in it is read from the table
      chart.setAttribute("aria-label", image.alt);
      chart.removeAttribute("aria-roledescription");
      chart.querySelector("svg").setAttribute("aria-hidden", "true");
      const before = drawn.get(figure);
      before?.view.finalize();
      before?.chart.remove();
      drawn.set(figure, { view, chart, text, width });
      chart.classList.remove("is-coming");
      image.hidden = true;
    } catch (error) {
      chart.remove();
    }
  }

  async function begin(figure) {
    try {
      const [text] = await Promise.all([readSpec(figure.dataset.chart), loadLibrary(figure.dataset.library)]);
      await show(figure, text);
    } catch (error) {
      /* the drawing stays */
    }
  }

  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      watcher.unobserve(entry.target);
      begin(entry.target);
    }
  }, { rootMargin: "200px" });

  function watch(root) {
    if (root.matches?.("[data-chart]")) watcher.observe(root);
    root.querySelectorAll?.("[data-chart]").forEach((figure) => watcher.observe(figure));
  }

  darkness.addEventListener("change", () => drawn.forEach(({ text }, figure) => show(figure, text)));

  let waiting = 0;
  window.addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => drawn.forEach(({ text, width }, figure) => {
      const now = figure.querySelector("[data-chart-place]").clientWidth;
      if (now && now !== width) show(figure, text);
    }), 150);
  });

  document.addEventListener("htmx:load", (event) => watch(event.detail.elt));
  document.addEventListener("htmx:beforeCleanupElement", (event) => {
    const gone = drawn.get(event.target);
    if (!gone) return;
    gone.view.finalize();
    drawn.delete(event.target);
  });

  watch(document);
})();
