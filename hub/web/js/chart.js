// Lines over time (uPlot), and bars. Every chart has the same figures as a table below.

import { fill, h } from "./dom.js";
import { axisMarks } from "./format.js";
import { loadChart, MISSING } from "./parts.js";

const HEIGHT = 220;

/** A colour of the page with some transparency. */
const thin = (colour) => `${colour}24`;

/**
 * A chart of lines. `at`: seconds since 1970, ascending; `times`: the same as text; `series`: [{name, style: "s1".."s4",
 * values}] with null where nothing is known; `show`: a value as text; `mark`: a value on the axis; `onRange`: called
 * with what is dragged over, in seconds.
 */
export function lines({ me, title, at, times, series, show, mark = show, onRange }) {
  const plot = h("div", { class: "plot", role: "img", "aria-label": `${title}. The same figures stand in the table below.` });
  const readout = h("p", { class: "readout soft", "aria-hidden": "true" });
  const legend = h("figcaption", { class: "legend" }, series.map((one) => h("span", { class: `key ${one.style}` }, one.name)));
  const table = figures(title, times, series, show);
  const box = h("figure", { class: "chart", "aria-label": title }, legend, plot, readout, table);
  loadChart(me).then((Plot) => {
    if (!Plot) {
      fill(plot, h("p", { class: "small soft" }, MISSING));
      plot.removeAttribute("role");
      plot.removeAttribute("aria-label");
      table.open = true;
      return;
    }
    let chart = null;
    const draw = () => {
      chart?.destroy();
      fill(plot);
      chart = new Plot(options(), [at, ...series.map((one) => one.values)], plot);
    };
    const options = () => {
      const style = getComputedStyle(document.documentElement);
      const colour = (name) => style.getPropertyValue(name).trim();
      const axis = { stroke: colour("--soft"), font: "12px system-ui, sans-serif", ticks: { show: false } };
      const grid = { stroke: colour("--line"), width: 1 };
      return {
        width: Math.max(240, plot.clientWidth), height: HEIGHT, legend: { show: false }, padding: [8, 24, 0, 0],
        scales: { x: { time: true }, y: { range: (_, __, most) => [0, most > 0 ? most * 1.08 : 1] } },
        axes: [
          { ...axis, grid: { show: false }, space: 90, values: (_, splits, __, ___, step) => axisMarks(splits, step) },
          { ...axis, grid, size: 64, values: (_, splits) => splits.map((value) => mark(value)) },
        ],
        cursor: { drag: { x: Boolean(onRange), y: false, setScale: false }, points: { size: 6 }, y: false },
        series: [{}, ...series.map((one, place) => ({
          stroke: colour(`--${one.style}`), width: 2, points: { show: at.length < 2, size: 5 },
          fill: place === 0 && series.length < 4 ? thin(colour(`--${one.style}`)) : undefined,
        }))],
        hooks: {
          setCursor: [(plotted) => {
            const n = plotted.cursor.idx;
            readout.textContent = n === null || n === undefined ? "" : [times[n], ...series.map((one) => `${one.name} ${one.values[n] === null ? "–" : show(one.values[n])}`)].join(" · ");
          }],
          setSelect: [(plotted) => {
            const { left, width } = plotted.select;
            if (onRange && width > 8) onRange(plotted.posToVal(left, "x"), plotted.posToVal(left + width, "x"));
          }],
        },
      };
    };
    let width = 0;
    new ResizeObserver((_, watch) => {
      if (!box.isConnected) { watch.disconnect(); chart?.destroy(); return; }
      if (plot.clientWidth !== width) { width = plot.clientWidth; draw(); }
    }).observe(plot);
  });
  return box;
}

function figures(title, times, series, show) {
  return h("details", {}, h("summary", {}, "Figures"),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Figures of ${title}` }, h("table", {},
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Time"), series.map((one) => h("th", { scope: "col", class: "n" }, one.name)))),
      h("tbody", {}, times.map((time, n) => h("tr", {}, h("td", {}, time), series.map((one) => h("td", { class: "n" }, one.values[n] === null ? "–" : show(one.values[n])))))))));
}

/** Bars: [name, value, text]. */
export function bars(title, rows) {
  const most = Math.max(1, ...rows.map(([, value]) => value));
  return h("div", { class: "bars", role: "list", "aria-label": title }, rows.map(([name, value, text]) => {
    const inner = h("span", { class: "fill" });
    inner.style.width = `${(100 * value) / most}%`;
    return [h("span", { role: "listitem" }, name, h("span", { class: "hidden" }, `: ${text}`)), h("span", { class: "track", "aria-hidden": "true" }, value ? inner : null), h("span", { class: "num", "aria-hidden": "true" }, text)];
  }).flat());
}
