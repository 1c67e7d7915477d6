// The map: the cells of every region by what happens in them, and when zoomed in the orders and drivers of one.

import { get } from "./api.js";
import { card, choice, fill, h, select } from "./dom.js";
import { number, span, state, tail } from "./format.js";
import { loadMap, MISSING } from "./parts.js";
import { colours, share } from "./projection.js";

const LAYERS = [["demand", "Demand"], ["waiting", "Waiting"], ["door_p50_ms", "Delivery time"]];
const MEANING = {
  demand: "orders placed in the last 30 minutes",
  waiting: "orders that are paid and not yet with a driver",
  door_p50_ms: "median from order to door in the last hours",
};
/** At least this much has the strongest colour: one order is no rush. */
export const FULL = { demand: 8, waiting: 8, door_p50_ms: 3600000 };
/** Orders and drivers are shown from this many zoom levels above the whole region on. */
const CLOSE = 0.7;
/** How often drivers are asked for while they are shown, and how long they take to their next place. */
const DRIVERS_MS = 2000;
const STEP_MS = 100;

/** What tells the cells of a city apart: the end of the index, without its filling. */
const cellName = (id) => id.replace(/f+$/, "").slice(-6);
const collection = (features) => ({ type: "FeatureCollection", features });
const point = (coordinates, properties) => ({ type: "Feature", properties, geometry: { type: "Point", coordinates } });

/** The cells of every region, read once: [{key, id, region, restaurants, coordinates, centre}]. */
export async function readCells() {
  const { features } = await get("/v1/map/cells");
  return features.map((feature) => {
    const ring = feature.geometry.coordinates[0];
    const centre = [0, 1].map((axis) => ring.slice(1).reduce((sum, place) => sum + place[axis], 0) / (ring.length - 1));
    const { region, restaurants } = feature.properties;
    return { key: `${region} ${feature.id}`, id: feature.id, region, restaurants, ring, centre };
  });
}

export function regionMap({ me, onRegion }) {
  const holder = h("div", { class: "maphold" });
  const tip = h("div", { class: "tip", hidden: true });
  const legend = h("div", { class: "legend" });
  const busiest = h("p", { class: "small soft" });
  const picker = h("span");
  const box = h("div", { class: "mapbox" }, holder, tip,
    h("div", { class: "zoom" },
      h("button", { type: "button", "aria-label": "Zoom in", onclick: () => map?.zoomIn() }, "+"),
      h("button", { type: "button", "aria-label": "Zoom out", onclick: () => map?.zoomOut() }, "−"),
      h("button", { type: "button", "aria-label": "Show the whole region", onclick: () => whole(true) }, "⤢")),
    me.tile_attribution ? h("div", { class: "credit" }, me.tile_attribution) : null);
  let map = null;
  let ready = false;
  let ended = false;
  let cells = [];
  let drawn = "";
  /** As the cells are drawn, by key: with many regions few change at a time. */
  const looks = new Map();
  let values = new Map();
  let orders = [];
  let drivers = [];
  let region = null;
  let layer = "demand";
  let close = Infinity;
  let fitted = null;
  let motion = null;

  const own = () => cells.filter((cell) => cell.region === region);
  const value = (cell) => values.get(cell.key)?.[layer] ?? 0;
  const text = (amount) => (layer === "door_p50_ms" ? span(amount) : number(amount));
  const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

  loadMap(me).then((library) => {
    if (ended) return;
    if (!library) {
      fill(holder, h("p", { class: "empty" }, me.page_libraries ? "This browser has no WebGL, which the map needs. The busiest cells are named below." : MISSING));
      return;
    }
    map = new library.Map({
      container: holder, style: style(me), attributionControl: false, dragRotate: false, pitchWithRotate: false,
      touchPitch: false, renderWorldCopies: false, fadeDuration: 0, maxZoom: 18, minZoom: 1,
      transformRequest: (url) => (url.startsWith(location.origin) || url.startsWith("blob:") || (me.tile_url && url.startsWith(new URL(me.tile_url).origin)) ? { url } : { url: "" }),
    });
    map.touchZoomRotate.disableRotation();
    map.setMissingStyleImageResolver((id) => addNumber(map, id));
    map.on("load", () => { ready = true; paint(); draw(); });
    map.on("zoomend", explain);
    map.on("mousemove", hover);
    map.on("mouseout", () => { tip.hidden = true; });
    map.on("click", (event) => {
      const order = map.queryRenderedFeatures(near(event.point), { layers: ["orders"] })[0];
      if (order) location.hash = `#/orders/${order.properties.id}`;
    });
  });
  const timer = setInterval(readDrivers, DRIVERS_MS);

  /** Colours of the theme; set again when it changes. */
  function paint() {
    if (!ready) return;
    const palette = colours();
    const filled = me.tile_url ? 0.65 : 1;
    map.setPaintProperty("ground", "background-color", palette.ground);
    map.setPaintProperty("cells", "fill-color", ["case", [">", ["coalesce", ["feature-state", "share"], 0], 0],
      ["interpolate", ["linear"], ["feature-state", "share"], 0, palette.low, 1, palette.high], palette.zero]);
    map.setPaintProperty("cells", "fill-opacity", ["case", ["boolean", ["feature-state", "own"], false], filled, filled * 0.45]);
    map.setPaintProperty("edges", "line-color", palette.line);
    map.setPaintProperty("ways", "line-color", ["case", ["get", "moving"], palette.way, palette.line]);
    map.setPaintProperty("kitchens", "circle-color", palette.text);
    map.setPaintProperty("orders", "circle-color", ["case", ["get", "moving"], palette.way, palette.wait]);
    for (const name of ["orders", "drivers", "kitchens"]) map.setPaintProperty(name, "circle-stroke-color", palette.card);
    map.setPaintProperty("drivers", "circle-color", ["case", ["get", "busy"], palette.ok, palette.idle]);
  }

  function draw() {
    if (!ready) { explain(); return; }
    const now = cells.map((cell) => cell.key).join();
    if (now !== drawn) {
      drawn = now;
      map.getSource("cells").setData(collection(cells.map((cell) => ({ type: "Feature", properties: { key: cell.key }, geometry: { type: "Polygon", coordinates: [cell.ring] } }))));
    }
    const mine = own();
    const most = Math.max(FULL[layer], ...mine.map(value));
    for (const cell of cells) {
      const look = { share: share(value(cell), most), own: cell.region === region };
      const before = looks.get(cell.key);
      if (before?.share === look.share && before.own === look.own) continue;
      looks.set(cell.key, look);
      map.setFeatureState({ source: "cells", id: cell.key }, look);
    }
    map.getSource("numbers").setData(collection(mine.filter(value).map((cell) => {
      const here = value(cell);
      const dark = share(here, most) > 0.6 ? "card" : "text";
      return point(cell.centre, { icon: `${dark}:${document.documentElement.dataset.theme ?? ""}:${layer === "door_p50_ms" ? Math.round(here / 60000) : here}` });
    })));
    if (fitted !== region && mine.length) whole(false);
    drawOrders();
    explain();
  }

  function drawOrders() {
    const at = new Map(drivers.map((driver) => [driver.id, driver.place]));
    const shown = orders.map((order, n) => ({ ...order, moving: order.status === "OUT_FOR_DELIVERY", to: apart(order.to, n) }));
    map.getSource("orders").setData(collection(shown.map((order) => point(order.to, { id: order.id, moving: order.moving }))));
    map.getSource("kitchens").setData(collection(shown.filter((order) => order.from).map((order) => point(order.from, {}))));
    map.getSource("ways").setData(collection(shown.filter((order) => order.from).map((order) => ({
      type: "Feature", properties: { moving: order.moving },
      geometry: { type: "LineString", coordinates: [(order.moving && at.get(order.driver_id)) || order.from, order.to] },
    }))));
  }

  /** Places are those of cells; a little apart, so that orders of one cell do not hide each other. */
  function apart([lng, lat], n) {
    const size = 0.0012;
    return [lng + Math.cos(n * 2.4) * size, lat + Math.sin(n * 2.4) * size];
  }

  async function readDrivers() {
    if (!ready || !region || document.hidden || map.getZoom() < close) return;
    const asked = region;
    const found = await get(`/v1/map/drivers?region=${asked}`).catch(() => null);
    if (found && asked === region && !ended) move(found.drivers);
  }

  /** Drivers go to where they are now, and do not jump. */
  function move(next) {
    const from = new Map(drivers.map((driver) => [driver.id, driver.place]));
    clearInterval(motion);
    const began = Date.now();
    const step = () => {
      const part = calm() ? 1 : Math.min(1, (Date.now() - began) / DRIVERS_MS);
      drivers = next.map((driver) => {
        const old = from.get(driver.id) ?? driver.place;
        return { ...driver, place: old.map((axis, n) => axis + (driver.place[n] - axis) * part) };
      });
      if (ended) return;
      map.getSource("drivers").setData(collection(drivers.map((driver) => point(driver.place, { id: driver.id, busy: driver.order_ids.length > 0 }))));
      drawOrders();
      if (part === 1) clearInterval(motion);
    };
    motion = setInterval(step, STEP_MS);
    step();
    explain();
  }

  function explain() {
    const mine = own();
    const most = Math.max(FULL[layer], ...mine.map(value));
    const closer = ready && map.getZoom() >= close;
    fill(legend,
      h("span", {}, text(0), h("span", { class: "ramp" }), text(most), ` ${MEANING[layer]}`),
      !ready ? null : closer
        ? [h("span", { class: "key s1" }, "order waits"), h("span", { class: "key s2" }, "on the way"), h("span", { class: "key s4" }, "driver with an order"), h("span", { class: "key s3" }, "free driver"), h("span", {}, `${number(orders.length)} under way`)]
        : h("span", {}, "Zoom in to see orders and drivers"));
    const first = mine.map((cell) => [cell.id, value(cell)]).filter(([, here]) => here > 0).sort((a, b) => b[1] - a[1]).slice(0, 5);
    busiest.textContent = first.length ? `Highest: ${first.map(([id, here]) => `${cellName(id)} ${text(here)}`).join(" · ")}` : "Nothing to show in this layer.";
    if (map) map.getCanvas().setAttribute("aria-label", `Map of ${region}, ${mine.length} cells, ${MEANING[layer]}. Arrow keys move it, plus and minus zoom. ${busiest.textContent}`);
  }

  /** The whole region in view. */
  function whole(slowly) {
    const places = own().flatMap((cell) => cell.ring);
    if (!ready || places.length === 0) return;
    fitted = region;
    const sides = [Math.min, Math.max].map((most) => [0, 1].map((axis) => places.reduce((all, place) => most(all, place[axis]), places[0][axis])));
    const camera = map.cameraForBounds(sides, { padding: 28 });
    close = camera.zoom + CLOSE;
    for (const name of ["ways", "kitchens", "orders", "drivers"]) map.setLayerZoomRange(name, close, 24);
    map.setLayerZoomRange("numbers", 0, close);
    if (slowly && !calm()) map.easeTo({ ...camera, duration: 400 }); else map.jumpTo(camera);
  }

  const near = ({ x, y }) => [[x - 5, y - 5], [x + 5, y + 5]];

  function hover(event) {
    if (!ready) return;
    const order = map.queryRenderedFeatures(near(event.point), { layers: ["orders"] })[0];
    const driver = order ? null : map.queryRenderedFeatures(near(event.point), { layers: ["drivers"] })[0];
    const found = order || driver ? null : map.queryRenderedFeatures(event.point, { layers: ["cells"] })[0];
    tip.hidden = !order && !driver && !found;
    map.getCanvas().style.cursor = order ? "pointer" : "";
    if (order) {
      const one = orders.find((each) => each.id === order.properties.id);
      if (one) tip.textContent = `${tail(one.id)}\n${state(one.status)[0]}\nplaced ${span(Date.now() - Date.parse(one.placed_at))} ago`;
    }
    if (driver) tip.textContent = `Driver ${tail(driver.properties.id)}\n${driver.properties.busy ? "with an order" : "free"}`;
    if (found) {
      const cell = cells.find((each) => each.key === found.properties.key);
      const here = values.get(cell.key) ?? {};
      tip.textContent = `${cell.region}, cell ${cellName(cell.id)}\n${number(here.demand ?? 0)} ordered in 30 min\n${number(here.waiting ?? 0)} waiting, ${number(here.moving ?? 0)} on the way\n${here.door_p50_ms ? `${span(here.door_p50_ms)} to the door` : "no deliveries yet"}${cell.restaurants ? `\n${cell.restaurants} restaurants` : ""}`;
    }
    tip.style.left = `${Math.min(event.point.x + 14, box.clientWidth - 190)}px`;
    tip.style.top = `${Math.min(event.point.y + 14, box.clientHeight - 110)}px`;
  }

  const element = card("Map", [picker, choice("What the colours show", LAYERS, layer, (chosen) => { layer = chosen; draw(); })], box, legend, busiest);
  return {
    element,
    region: () => region,
    redraw: () => { paint(); draw(); },
    end: () => { ended = true; clearInterval(timer); clearInterval(motion); map?.remove(); },
    show(chosen) { region = chosen; drivers = []; onRegion(chosen); draw(); },
    update(next) {
      ({ cells, values, orders } = next);
      if (region === null || !next.regions.includes(region)) region = next.regions[0] ?? null;
      const known = picker.dataset.regions;
      if (known !== next.regions.join()) {
        picker.dataset.regions = next.regions.join();
        fill(picker, select("Region", next.regions.map((name) => [name, name]), region, (chosen) => { region = chosen; drivers = []; onRegion(chosen); draw(); }));
      } else {
        picker.querySelector("select").value = region;
      }
      draw();
    },
  };
}

/** Nothing but cells and what moves over them; tiles only where somebody configured them. No fonts, no icons. */
function style(me) {
  const empty = { type: "geojson", data: collection([]) };
  const dots = (source, size) => ({ id: source, type: "circle", source, paint: { "circle-radius": size, "circle-stroke-width": 1.5 } });
  const tiles = me.tile_url ? { tiles: { type: "raster", tiles: [me.tile_url], tileSize: 256, maxzoom: 19 } } : {};
  return {
    version: 8,
    sources: { ...tiles, cells: { ...empty, promoteId: "key" }, numbers: empty, ways: empty, kitchens: empty, orders: empty, drivers: empty },
    layers: [
      { id: "ground", type: "background" },
      ...(me.tile_url ? [{ id: "tiles", type: "raster", source: "tiles" }] : []),
      { id: "cells", type: "fill", source: "cells" },
      { id: "edges", type: "line", source: "cells", paint: { "line-width": ["interpolate", ["linear"], ["zoom"], 8, 0.3, 12, 1] } },
      { id: "numbers", type: "symbol", source: "numbers", layout: { "icon-image": ["get", "icon"], "icon-allow-overlap": false, "icon-padding": 0 } },
      { id: "ways", type: "line", source: "ways", paint: { "line-width": 1.5, "line-opacity": 0.8 } },
      dots("kitchens", 3), dots("orders", 5), dots("drivers", 4),
    ],
  };
}

/** A number as an image, because the page has no font files for the map. `id`: colour, theme, number. */
function addNumber(map, id) {
  const [colour, , amount] = id.split(":");
  const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const font = "600 24px system-ui, sans-serif";
  pen.font = font;
  pen.canvas.width = Math.ceil(pen.measureText(amount).width) + 4;
  pen.canvas.height = 28;
  pen.font = font;
  pen.textBaseline = "middle";
  pen.fillStyle = colours()[colour];
  pen.fillText(amount, 2, 15);
  map.addImage(id, pen.getImageData(0, 0, pen.canvas.width, pen.canvas.height), { pixelRatio: 2 });
}
