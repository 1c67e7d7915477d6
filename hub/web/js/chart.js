// Lines over time, and bars. Plain SVG, with the same figures as a table below.

import { fill, h } from "./dom.js";

const HEIGHT = 200;
const LEFT = 56;
const BOTTOM = 22;
const TOP = 8;

/** Round numbers that an axis can be marked with. */
function marks(most) {
  if (most <= 0) return [0, 1];
  const raw = most / 4;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= raw);
  const found = [];
  for (let mark = 0; mark < most + step; mark += step) found.push(mark);
  return found;
}

/**
 * A chart of lines. `times`: labels; `series`: [{name, style: "s1".."s4", values}] with null where nothing is known;
 * `show`: a value as text; `mark`: a value on the axis.
 */
export function lines({ title, times, series, show, mark = show }) {
  const box = h("figure", { class: "chart", "aria-label": title });
  const tip = h("div", { class: "tip", hidden: true });
  const legend = h("figcaption", { class: "legend" }, series.map((one) => h("span", { class: `key ${one.style}` }, one.name)));
  const draw = () => {
    const width = box.clientWidth || 600;
    const most = Math.max(0, ...series.flatMap((one) => one.values.filter((value) => value !== null)));
    const ticks = marks(most);
    const top = ticks[ticks.length - 1];
    const x = (n) => LEFT + ((width - LEFT - 8) * (times.length > 1 ? n / (times.length - 1) : 0.5));
    const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top);
    const cross = h("svg:line", { class: "cross", y1: TOP, y2: HEIGHT - BOTTOM, visibility: "hidden" });
    const svg = h("svg:svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": `${title}. The same figures stand in the table below.` },
      ticks.map((tick) => [
        h("svg:line", { class: "axis", x1: LEFT, x2: width - 8, y1: y(tick), y2: y(tick) }),
        h("svg:text", { x: LEFT - 8, y: y(tick) + 4, "text-anchor": "end" }, document.createTextNode(mark(tick)))]).flat(),
      labels(times.length, width).map((n) => h("svg:text", { x: x(n), y: HEIGHT - 4, "text-anchor": n === 0 ? "start" : n === times.length - 1 ? "end" : "middle" }, document.createTextNode(times[n]))),
      series.map((one, order) => shape(one, x, y, order === 0 && series.length < 4)).flat(),
      cross);
    svg.addEventListener("pointermove", (event) => {
      const at = event.clientX - svg.getBoundingClientRect().left;
      const n = Math.max(0, Math.min(times.length - 1, Math.round(((at - LEFT) / (width - LEFT - 8)) * (times.length - 1))));
      if (times.length === 0) return;
      cross.setAttribute("x1", x(n));
      cross.setAttribute("x2", x(n));
      cross.setAttribute("visibility", "visible");
      tip.hidden = false;
      tip.textContent = [times[n], ...series.map((one) => `${one.name}: ${one.values[n] === null ? "–" : show(one.values[n])}`)].join("\n");
      tip.style.left = `${Math.min(x(n) + 12, width - 170)}px`;
      tip.style.top = "8px";
    });
    svg.addEventListener("pointerleave", () => { tip.hidden = true; cross.setAttribute("visibility", "hidden"); });
    fill(box, legend, svg, tip, figures());
  };
  const figures = () => h("details", {}, h("summary", {}, "Figures"),
    h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Figures of ${title}` }, h("table", {},
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Time"), series.map((one) => h("th", { scope: "col", class: "n" }, one.name)))),
      h("tbody", {}, times.map((at, n) => h("tr", {}, h("td", {}, at), series.map((one) => h("td", { class: "n" }, one.values[n] === null ? "–" : show(one.values[n])))))))));
  new ResizeObserver((_, watch) => (box.isConnected ? resize() : watch.disconnect())).observe(box);
  let width = 0;
  const resize = () => { if (box.clientWidth !== width) { width = box.clientWidth; draw(); } };
  requestAnimationFrame(resize);
  return box;
}

function labels(count, width) {
  const fits = Math.max(2, Math.floor((width - LEFT) / 110));
  if (count <= fits) return [...Array(count).keys()];
  return [...Array(fits).keys()].map((n) => Math.round((n * (count - 1)) / (fits - 1)));
}

/** A line that is broken where nothing is known. */
function shape(one, x, y, area) {
  const runs = [];
  let run = [];
  one.values.forEach((value, n) => {
    if (value === null) { if (run.length) runs.push(run); run = []; } else run.push([x(n), y(value)]);
  });
  if (run.length) runs.push(run);
  return runs.map((points) => {
    if (points.length === 1) return h("svg:circle", { class: `dot ${one.style}`, cx: points[0][0], cy: points[0][1], r: 2.5 });
    const path = `M${points.map(([a, b]) => `${a.toFixed(1)},${b.toFixed(1)}`).join("L")}`;
    const floor = y(0).toFixed(1);
    return [
      area ? h("svg:path", { class: `area ${one.style}`, d: `${path}L${points[points.length - 1][0].toFixed(1)},${floor}L${points[0][0].toFixed(1)},${floor}Z` }) : null,
      h("svg:path", { class: `line ${one.style}`, d: path })];
  }).flat();
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
