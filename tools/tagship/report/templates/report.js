// Draws every chart of the page. vegaEmbed is in the script above; nothing is loaded.
(() => {
  "use strict";
  const specs = JSON.parse(document.getElementById("specs").textContent);
  const text = { labelColor: "var(--muted)", titleColor: "var(--muted)" };
  const sizes = { labelFontSize: 11, titleFontSize: 11, titleFontWeight: 500 };
  const lines = { domainColor: "var(--line)", gridColor: "var(--line)", tickColor: "var(--line)" };
  const config = {
    background: "transparent",
    font: "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Noto Sans', sans-serif",
    view: { stroke: null },
    axisX: { grid: false },
    axis: { ...text, ...sizes, ...lines, labelLimit: 110 },
    header: { ...text, ...sizes, labelFontWeight: 600, labelColor: "var(--ink)" },
    legend: { ...text, ...sizes, orient: "top", direction: "horizontal", offset: 8,
      gradientLength: 120, gradientThickness: 8, symbolSize: 60, labelLimit: 160 },
    title: { color: "var(--ink)", fontSize: 13 },
    text: { color: "var(--ink)" },
    mark: { color: "var(--live)" },
    line: { strokeWidth: 1.75 },
    range: {
      category: ["var(--live)", "var(--before)", "var(--good)", "var(--bad)", "var(--past)"],
      // see-through at the low end, so that it fits light and dark paper
      heatmap: ["rgba(60, 130, 215, 0.05)", "rgba(25, 95, 180, 0.95)"],
      ramp: ["rgba(60, 130, 215, 0.05)", "rgba(25, 95, 180, 0.95)"],
    },
  };
  const options = {
    actions: false,
    ast: true, // expressions are interpreted: the page's policy forbids eval
    config,
    defaultStyle: false,
    logLevel: 1,
    mode: "vega-lite",
    renderer: "svg",
    tooltip: { disableDefaultStyle: true },
  };

  // A chart is as wide as its place. Panes side by side share it, or stand in a column on a phone.
  const fitted = (spec, width) => {
    if (spec.facet && spec.spec) {
      const facet = { ...spec.facet };
      const narrow = width < 560;
      if (narrow && facet.column && !facet.row) {
        const header = { labelOrient: "top", labelAnchor: "start", labelAngle: 0, title: null };
        facet.row = { ...facet.column, header };
        delete facet.column;
      } else if (facet.column) {
        facet.column = { ...facet.column, header: { title: null } };
      }
      const panes = narrow ? 1 : Math.max(1, facet.column ? distinct(spec, facet.column.field).length : 1);
      const side = Math.min(360, Math.floor((width - 90) / panes) - 24);
      const pane = { ...spec.spec, width: side, height: Math.round(side * 0.75) };
      const x = spec.spec.encoding && spec.spec.encoding.x;
      const names = x ? distinct(spec, x.field) : [];
      const lying = names.reduce((sum, name) => sum + 8 * String(name).length + 8, 0) < side;
      const own = lying ? { axisX: { grid: false, labelAngle: 0 } } : {};
      return { ...spec, facet, spacing: 20, spec: pane, config: own };
    }
    if (spec.mark || spec.layer) {
      const autosize = { type: "fit-x", contains: "padding" };
      return { autosize, height: 220, ...spec, width: "container" };
    }
    return spec;
  };
  const distinct = (spec, field) => [...new Set((spec.data.values || []).map((row) => row[field]))];

  const draw = async (place) => {
    const width = place.clientWidth;
    place.dataset.width = width;
    try {
      const pane = document.createElement("div"); // vegaEmbed gives its place a name of its own
      place.replaceChildren(pane);
      await vegaEmbed(pane, fitted(specs[place.id], width), options);
    } catch (error) {
      place.textContent = `This chart cannot be drawn: ${error.message}`;
    }
    place.dataset.drawn = width;
  };
  const places = [...document.querySelectorAll(".chart")];
  const drawn = places.reduce((before, place) => before.then(() => draw(place)), Promise.resolve());
  drawn.then(() => document.documentElement.setAttribute("data-drawn", ""));

  // Vega follows the window with all other charts itself.
  let waiting = 0;
  addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      for (const place of places.filter((one) => specs[one.id].facet)) {
        if (place.clientWidth && String(place.clientWidth) !== place.dataset.width) draw(place);
      }
    }, 150);
  });
})();
