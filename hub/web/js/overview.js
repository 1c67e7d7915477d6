// What is happening now: figures, the map, the regions, and what is going wrong.

import { get } from "./api.js";
import { badge, card, emptyState, fill, h, tiles } from "./dom.js";
import { money, moneyShort, number, rule, span, state, tail, time } from "./format.js";
import { readCells, regionMap } from "./map.js";
import { drawSmall, regionCard, syncText } from "./regions.js";

/** Cells come with new places; they are read again now and then. */
const CELLS_MS = 60000;

export function view(root, { me }) {
  const may = me.access === "operator" || me.access === "admin";
  const figures = h("div");
  const alarms = h("div");
  const newest = h("div");
  const grid = h("div", { class: "regions" });
  let picked = null;
  const map = regionMap({ me, onRegion: (name) => { picked = name; load(); } });
  let cells = null;
  let cellsAt = 0;
  let small = [];

  fill(root,
    h("div", { class: "head" }, h("h1", {}, "Now")),
    figures,
    h("div", { class: "split" }, map.element, h("div", { class: "stack" },
      card("Going wrong", h("a", { href: "#/alerts" }, "All alerts"), alarms),
      card("Newest orders", h("a", { href: "#/orders" }, "All orders"), newest))),
    h("section", { class: "stack", "aria-labelledby": "regions" }, h("h2", { id: "regions" }, "Regions"), grid));

  async function load() {
    if (!cells || Date.now() - cellsAt > CELLS_MS) {
      cells = await readCells();
      cellsAt = Date.now();
    }
    const [overview, regions, values, alerts, latest] = await Promise.all(["/v1/overview", "/v1/regions", "/v1/map/values", "/v1/alerts", "/v1/orders?limit=8"].map(get));
    const totals = new Map(overview.regions.map((region) => [region.region, region]));
    const byActivity = regions.regions.map((region) => region.region).sort((a, b) => (totals.get(b)?.placed ?? 0) - (totals.get(a)?.placed ?? 0) || (a < b ? -1 : 1));
    const region = picked ?? map.region() ?? byActivity[0];
    const { orders } = region ? await get(`/v1/map/orders?region=${region}`) : { orders: [] };
    fill(figures, summary(overview.sum, regions.regions));
    drawAlarms(alerts.alerts.filter((alert) => !alert.closed_at), regions.regions);
    drawNewest(latest.orders);
    const byCell = new Map(values.cells.map((cell) => [`${cell.region} ${cell.cell}`, cell]));
    map.update({ cells, values: byCell, orders, regions: byActivity });
    drawRegions(regions.regions, totals, byCell);
  }

  function drawAlarms(open, regions) {
    if (open.length === 0) {
      fill(alarms, emptyState("Nothing", regions.length ? "No rule fires in any region." : "No region is registered yet."));
      return;
    }
    fill(alarms, h("ul", { class: "list" }, open.slice(0, 8).map((alert) => h("li", {},
      h("span", {}, h("strong", {}, `${rule(alert.rule)} · ${alert.region}`), h("br"), h("span", { class: "soft small" }, alert.detail)),
      badge(alert.acked_by ? "seen" : span(Date.now() - Date.parse(alert.opened_at)), alert.acked_by ? "" : "bad")))),
      open.length > 8 ? h("p", { class: "small soft" }, `and ${open.length - 8} more`) : null);
  }

  function drawNewest(orders) {
    if (orders.length === 0) {
      fill(newest, emptyState("None yet", "Orders appear here as they are placed."));
      return;
    }
    fill(newest, h("ul", { class: "list" }, orders.map((order) => h("li", {},
      h("span", {}, h("a", { href: `#/orders/${order.id}`, class: "id", title: order.id }, tail(order.id)), h("span", { class: "soft small" }, ` ${order.region} · ${time(order.placed_at)} · ${money(order.total_minor, order.currency)}`)),
      badge(...state(order.status))))));
  }

  function drawRegions(regions, totals, byCell) {
    if (regions.length === 0) {
      fill(grid, h("div", { class: "card" }, emptyState("No regions yet", "Let one in with tomato-hub region add.")));
      return;
    }
    const article = document.activeElement?.closest?.("article");
    const held = article?.getAttribute("aria-label");
    const nth = article ? [...article.querySelectorAll("a, button")].indexOf(document.activeElement) : -1;
    small = regions.map((region) => {
      const made = regionCard(region, totals.get(region.region), may, (name) => { map.show(name); map.element.scrollIntoView({ block: "nearest" }); });
      return { ...made, cells: cells.filter((cell) => cell.region === region.region), value: (id) => byCell.get(`${region.region} ${id}`)?.demand ?? 0 };
    });
    fill(grid, small.map(({ element }) => element));
    if (held) grid.querySelectorAll(`article[aria-label="${held}"] :is(a, button)`)[Math.max(nth, 0)]?.focus();
    redrawSmall();
  }

  const redrawSmall = () => small.forEach((one) => drawSmall(one.canvas, one.cells, one.value));
  return { load, redraw: () => { map.redraw(); redrawSmall(); }, end: () => map.end() };
}

function summary(sum, regions) {
  const missing = regions.reduce((all, region) => all + region.missing_events, 0);
  const behind = regions.filter((region) => region.missing_events > 0);
  const revenue = sum.money.length ? sum.money.map((one) => moneyShort(one.revenue_minor, one.currency)).join(" + ") : "–";
  const refunded = sum.money.map((one) => money(one.refunded_minor, one.currency)).join(" + ");
  return tiles([
    ["Under way", number(sum.active), `${regions.filter((region) => region.link === "up").length} of ${regions.length} regions connected`],
    ["Placed", number(sum.placed), `${number(sum.payment_failed)} not paid`],
    ["Delivered", number(sum.delivered), `${number(sum.cancelled)} cancelled`],
    ["Revenue", revenue, refunded ? `${refunded} refunded` : ""],
    ["Order to door", span(sum.click_to_door.p50_ms), `9 of 10 within ${span(sum.click_to_door.p90_ms)}`],
    ["Not yet known", number(missing), behind.length ? `${behind[0].region}: ${syncText(behind[0]).replace("the hub is missing ", "")}` : "the hub has every event"],
  ]);
}
