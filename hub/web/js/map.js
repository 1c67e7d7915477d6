// The map of one region: its cells by what happens in them, and when zoomed in the orders under way.

import { get } from "./api.js";
import { card, choice, fill, h, select } from "./dom.js";
import { number, span, state, tail } from "./format.js";
import { colours, drawCells, fit, screen, share, sharpen, world } from "./projection.js";

const LAYERS = [["demand", "Demand"], ["waiting", "Waiting"], ["door_p50_ms", "Delivery time"]];
const MEANING = {
  demand: "orders placed in the last 30 minutes",
  waiting: "orders that are paid and not yet with a driver",
  door_p50_ms: "median from order to door in the last hours",
};
/** At least this much has the strongest colour: one order is no rush. */
export const FULL = { demand: 8, waiting: 8, door_p50_ms: 3600000 };
/** Orders are drawn from this many times the fitted size on. */
const CLOSE = 1.6;

/** What tells the cells of a city apart: the end of the index, without its filling. */
const cellName = (id) => id.replace(/f+$/, "").slice(-6);

/** The cells of every region, read once: [{id, region, ring, centre}]. */
export async function readCells() {
  const { features } = await get("/v1/map/cells");
  return features.map((feature) => {
    const ring = feature.geometry.coordinates[0].map(world);
    const centre = [0, 1].map((axis) => ring.slice(1).reduce((sum, place) => sum + place[axis], 0) / (ring.length - 1));
    return { id: feature.id, region: feature.properties.region, restaurants: feature.properties.restaurants, ring, centre };
  });
}

export function regionMap({ me, onRegion }) {
  const canvas = h("canvas", { tabindex: "0", role: "img", "aria-label": "Map" });
  const tip = h("div", { class: "tip", hidden: true });
  const legend = h("div", { class: "legend" });
  const busiest = h("p", { class: "small soft" });
  const picker = h("span");
  const zoom = h("div", { class: "zoom" },
    h("button", { type: "button", "aria-label": "Zoom in", onclick: () => scaleBy(1.5) }, "+"),
    h("button", { type: "button", "aria-label": "Zoom out", onclick: () => scaleBy(1 / 1.5) }, "−"),
    h("button", { type: "button", "aria-label": "Show the whole region", onclick: () => { view = null; draw(); } }, "⤢"));
  const credit = me.tile_attribution ? h("div", { class: "credit" }, me.tile_attribution) : null;
  let cells = [];
  let values = new Map();
  let orders = [];
  let region = null;
  let layer = "demand";
  let view = null;
  let fitted = null;
  const tiles = new Map();

  const own = () => cells.filter((cell) => cell.region === region);
  const value = (id) => values.get(`${region} ${id}`)?.[layer] ?? 0;
  const text = (amount) => (layer === "door_p50_ms" ? span(amount) : number(amount));

  function draw() {
    const { pen, width, height } = sharpen(canvas);
    pen.clearRect(0, 0, width, height);
    const mine = own();
    if (!width || mine.length === 0) return;
    fitted = fit(mine.flatMap((cell) => cell.ring), width, height, 24);
    view ??= { ...fitted };
    const palette = colours();
    if (me.tile_url) drawTiles(pen, width, height);
    const most = Math.max(FULL[layer], ...mine.map((cell) => value(cell.id)));
    pen.globalAlpha = me.tile_url ? 0.7 : 1;
    drawCells(pen, mine, view, width, height, value, most, palette);
    pen.globalAlpha = 1;
    if (view.scale >= fitted.scale * CLOSE) drawOrders(pen, width, height, palette);
    else numbers(pen, mine, width, height, palette, most);
    explain(mine, most);
  }

  /** The value in each cell that has room for it. */
  function numbers(pen, mine, width, height, palette, most) {
    const size = (mine[0].ring[0][0] - mine[0].ring[3][0]) * view.scale;
    if (Math.abs(size) < 26) return;
    pen.font = "600 12px system-ui, sans-serif";
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    for (const cell of mine) {
      const here = value(cell.id);
      if (!here) continue;
      const [x, y] = screen(view, cell.centre, width, height);
      pen.fillStyle = share(here, most) > 0.6 ? palette.card : palette.text;
      pen.fillText(layer === "door_p50_ms" ? String(Math.round(here / 60000)) : String(here), x, y);
    }
  }

  function drawOrders(pen, width, height, palette) {
    orders.forEach((order, n) => {
      // Places are cells; a little apart, so that orders of one cell do not hide each other.
      const turn = n * 2.4;
      const apart = (place, size) => [place[0] + Math.cos(turn) * size, place[1] + Math.sin(turn) * size];
      const to = apart(screen(view, world(order.to), width, height), 9);
      const moving = order.status === "OUT_FOR_DELIVERY";
      if (order.from) {
        const from = screen(view, world(order.from), width, height);
        pen.strokeStyle = moving ? palette.way : palette.line;
        pen.lineWidth = moving ? 1.5 : 1;
        pen.beginPath();
        pen.moveTo(...from);
        pen.lineTo(...to);
        pen.stroke();
        pen.fillStyle = palette.text;
        pen.fillRect(from[0] - 3, from[1] - 3, 6, 6);
      }
      pen.beginPath();
      pen.arc(to[0], to[1], 5, 0, Math.PI * 2);
      pen.fillStyle = moving ? palette.way : palette.wait;
      pen.fill();
      pen.lineWidth = 1.5;
      pen.strokeStyle = palette.card;
      pen.stroke();
    });
  }

  function drawTiles(pen, width, height) {
    const level = Math.max(0, Math.min(19, Math.round(Math.log2(view.scale / 256))));
    const count = 2 ** level;
    const from = [view.x - width / 2 / view.scale, view.y - height / 2 / view.scale].map((edge) => Math.floor(edge * count));
    const to = [view.x + width / 2 / view.scale, view.y + height / 2 / view.scale].map((edge) => Math.floor(edge * count));
    for (let x = from[0]; x <= to[0]; x += 1) {
      for (let y = Math.max(0, from[1]); y <= Math.min(count - 1, to[1]); y += 1) {
        const url = me.tile_url.replace("{z}", level).replace("{x}", ((x % count) + count) % count).replace("{y}", y);
        if (!tiles.has(url)) {
          const image = new Image();
          image.onload = draw;
          image.src = url;
          tiles.set(url, image);
        }
        const image = tiles.get(url);
        const [left, top] = screen(view, [x / count, y / count], width, height);
        const size = view.scale / count;
        if (image.complete && image.naturalWidth) pen.drawImage(image, left, top, size, size);
      }
    }
  }

  function explain(mine, most) {
    fill(legend,
      h("span", {}, text(0), h("span", { class: "ramp" }), text(most), ` ${MEANING[layer]}`),
      view.scale >= fitted.scale * CLOSE
        ? [h("span", { class: "key s1" }, "order waits"), h("span", { class: "key s2" }, "on the way"), h("span", {}, `${number(orders.length)} under way`)]
        : h("span", {}, "Zoom in to see orders"));
    const first = mine.map((cell) => [cell.id, value(cell.id)]).filter(([, here]) => here > 0).sort((a, b) => b[1] - a[1]).slice(0, 5);
    busiest.textContent = first.length ? `Highest: ${first.map(([id, here]) => `${cellName(id)} ${text(here)}`).join(" · ")}` : "Nothing to show in this layer.";
    canvas.setAttribute("aria-label", `Map of ${region}, ${mine.length} cells, ${MEANING[layer]}. ${busiest.textContent}`);
  }

  function scaleBy(factor, at) {
    if (!view) return;
    const { clientWidth: width, clientHeight: height } = canvas;
    const [x, y] = at ?? [width / 2, height / 2];
    const scale = Math.max(fitted.scale / 4, Math.min(fitted.scale * 40, view.scale * factor));
    view.x += (x - width / 2) * (1 / view.scale - 1 / scale);
    view.y += (y - height / 2) * (1 / view.scale - 1 / scale);
    view.scale = scale;
    draw();
  }

  function pan(dx, dy) {
    if (!view) return;
    view.x -= dx / view.scale;
    view.y -= dy / view.scale;
    draw();
  }

  function point(event) {
    const box = canvas.getBoundingClientRect();
    const at = [event.clientX - box.left, event.clientY - box.top];
    const near = nearestOrder(at);
    const cell = near ? null : hit(at);
    tip.hidden = !near && !cell;
    if (near) tip.textContent = `${tail(near.id)}\n${state(near.status)[0]}\nplaced ${span(Date.now() - Date.parse(near.placed_at))} ago`;
    if (cell) {
      const here = values.get(`${region} ${cell.id}`) ?? {};
      tip.textContent = `Cell ${cellName(cell.id)}\n${number(here.demand ?? 0)} ordered in 30 min\n${number(here.waiting ?? 0)} waiting, ${number(here.moving ?? 0)} on the way\n${here.door_p50_ms ? `${span(here.door_p50_ms)} to the door` : "no deliveries yet"}${cell.restaurants ? `\n${cell.restaurants} restaurants` : ""}`;
    }
    tip.style.left = `${Math.min(at[0] + 14, canvas.clientWidth - 190)}px`;
    tip.style.top = `${Math.min(at[1] + 14, canvas.clientHeight - 110)}px`;
    return near;
  }

  function nearestOrder(at) {
    if (!view || !fitted || view.scale < fitted.scale * CLOSE) return null;
    return orders.find((order, n) => {
      const place = screen(view, world(order.to), canvas.clientWidth, canvas.clientHeight);
      return Math.hypot(place[0] + Math.cos(n * 2.4) * 9 - at[0], place[1] + Math.sin(n * 2.4) * 9 - at[1]) < 8;
    });
  }

  function hit([x, y]) {
    if (!view) return null;
    const place = [(x - canvas.clientWidth / 2) / view.scale + view.x, (y - canvas.clientHeight / 2) / view.scale + view.y];
    return own().find(({ ring }) => {
      let inside = false;
      for (let n = 1; n < ring.length; n += 1) {
        const [a, b] = [ring[n - 1], ring[n]];
        if (a[1] > place[1] !== b[1] > place[1] && place[0] < ((b[0] - a[0]) * (place[1] - a[1])) / (b[1] - a[1]) + a[0]) inside = !inside;
      }
      return inside;
    });
  }

  let held = null;
  canvas.addEventListener("pointerdown", (event) => { held = { x: event.clientX, y: event.clientY, moved: 0 }; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointermove", (event) => {
    if (!held) { point(event); return; }
    held.moved += Math.abs(event.clientX - held.x) + Math.abs(event.clientY - held.y);
    pan(event.clientX - held.x, event.clientY - held.y);
    [held.x, held.y] = [event.clientX, event.clientY];
  });
  canvas.addEventListener("pointerup", (event) => {
    const clicked = held && held.moved < 4;
    held = null;
    const order = clicked ? point(event) : null;
    if (order) location.hash = `#/orders/${order.id}`;
  });
  canvas.addEventListener("pointerleave", () => { tip.hidden = true; });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const box = canvas.getBoundingClientRect();
    scaleBy(event.deltaY < 0 ? 1.2 : 1 / 1.2, [event.clientX - box.left, event.clientY - box.top]);
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    const keys = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
    if (keys[event.key]) pan(...keys[event.key]);
    else if (event.key === "+" || event.key === "=") scaleBy(1.5);
    else if (event.key === "-") scaleBy(1 / 1.5);
    else return;
    event.preventDefault();
  });
  const watch = new ResizeObserver(() => draw());
  watch.observe(canvas);

  const element = card("Map", [picker, choice("What the colours show", LAYERS, layer, (chosen) => { layer = chosen; draw(); })],
    h("div", { class: "mapbox" }, canvas, zoom, tip, credit), legend, busiest);
  return {
    element,
    region: () => region,
    redraw: draw,
    end: () => watch.disconnect(),
    zoom: scaleBy,
    show(chosen) { region = chosen; view = null; onRegion(chosen); draw(); },
    update(next) {
      ({ cells, values, orders } = next);
      if (region === null || !next.regions.includes(region)) region = next.regions[0] ?? null;
      const known = picker.dataset.regions;
      if (known !== next.regions.join()) {
        picker.dataset.regions = next.regions.join();
        fill(picker, select("Region", next.regions.map((name) => [name, name]), region, (chosen) => { region = chosen; view = null; onRegion(chosen); draw(); }));
      } else {
        picker.querySelector("select").value = region;
      }
      draw();
    },
  };
}
