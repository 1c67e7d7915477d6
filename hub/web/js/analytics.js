// What happened: over time, how far orders came, how long things took, region by region.

import { get, save } from "./api.js";
import { bars, lines } from "./chart.js";
import { card, choice, emptyState, fill, h, select, table, tiles } from "./dom.js";
import { axisTime, money, moneyShort, number, span, spanName, spanOrder } from "./format.js";

const HOUR = 3600000;
const RANGES = [["1", "Hour"], ["24", "Day"], ["168", "Week"], ["720", "Month"], ["8760", "Year"]];
const STEP_MS = { minute: 60000, hour: HOUR, day: 24 * HOUR };

export function view(root, { me }) {
  const asked = { hours: "24", region: "", range: null };
  const body = h("div", { class: "stack" });
  const regionBox = h("span");
  const back = h("button", { type: "button", hidden: true, onclick: () => { asked.range = null; load(true); } }, "Whole range");
  let exportPath = "";
  let loaded = 0;
  fill(root,
    h("div", { class: "head" }, h("h1", {}, "Analytics"),
      h("div", { class: "tools" }, regionBox,
        choice("Time range", RANGES, asked.hours, (chosen) => { asked.hours = chosen; asked.range = null; load(true); }),
        back,
        h("button", { type: "button", onclick: () => save(exportPath, "analytics.csv") }, "Export CSV"))),
    body);

  async function load(now) {
    // Charts do not jump about while they are read.
    if (now !== true && Date.now() - loaded < 10000) return;
    loaded = Date.now();
    const { regions } = await get("/v1/regions");
    if (!regionBox.hasChildNodes()) {
      fill(regionBox, select("Region", [["", "All"], ...regions.map(({ region }) => [region, region])], "", (chosen) => { asked.region = chosen; load(true); }));
    }
    // By the regions' clocks where they are ahead: a simulated city lives faster.
    const end = Math.max(Date.now(), ...regions.map((region) => Date.parse(region.applied_at ?? 0))) + 1;
    const [from, to] = asked.range ?? [end - Number(asked.hours) * HOUR, end];
    back.hidden = !asked.range;
    const query = new URLSearchParams({ from: new Date(from).toISOString(), to: new Date(to).toISOString() });
    if (asked.region) query.set("region", asked.region);
    const [overTime, byRegion, whole] = await Promise.all(["time", "region", ""].map((by) => get(`/v1/analytics?${query}&by=${by}`)));
    exportPath = `/v1/analytics?${query}&by=time,region&format=csv`;
    draw(overTime, byRegion, whole.groups[0], from, to);
  }

  function draw(overTime, byRegion, sum, from, to) {
    if (!sum) {
      fill(body, h("div", { class: "card" }, emptyState("Nothing in this range", "Choose a longer one, or wait for orders.")));
      return;
    }
    const step = STEP_MS[overTime.step];
    const starts = [];
    for (let at = Math.floor(from / step) * step; at < to; at += step) starts.push(at);
    const byStart = new Map(overTime.groups.map((group) => [Date.parse(group.start), group]));
    const groups = starts.map((at) => byStart.get(at));
    const times = starts.map((at) => axisTime(at, overTime.step));
    const chart = (given) => lines({ me, at: starts.map((start) => start / 1000), times, onRange: zoom, ...given });
    const zoom = (first, last) => {
      const least = 2 * STEP_MS.minute;
      asked.range = [Math.floor(first * 1000), Math.max(Math.ceil(last * 1000), Math.floor(first * 1000) + least)];
      load(true);
    };
    const currencies = Object.keys(sum.money);
    fill(body, figures(sum),
      h("div", { class: "grid2" },
        card(`Orders per ${overTime.step}`, null, chart({ title: "Orders", show: number, series: [
          { name: "placed", style: "s2", values: groups.map((group) => group?.created ?? 0) },
          { name: "delivered", style: "s4", values: groups.map((group) => group?.delivered ?? 0) },
          { name: "cancelled", style: "s1", values: groups.map((group) => group?.cancelled ?? 0) }] })),
        card("Order to door", null, chart({ title: "Order to door", show: (value) => `${value.toFixed(1)} min`, mark: (value) => `${value} min`, series: [
          { name: "half of the orders within", style: "s2", values: groups.map((group) => inMinutes(group?.spans.click_to_door?.p50_ms)) },
          { name: "9 of 10 within", style: "s1", values: groups.map((group) => inMinutes(group?.spans.click_to_door?.p90_ms)) }] })),
        currencies.map((currency) => card(`Revenue in ${currency}`, null, chart({ title: `Revenue in ${currency}`, show: (value) => money(value, currency), mark: (value) => moneyShort(value, currency), series: [
          { name: "delivered", style: "s4", values: groups.map((group) => group?.money[currency]?.revenue_minor ?? 0) },
          { name: "refunded", style: "s1", values: groups.map((group) => group?.money[currency]?.refunded_minor ?? 0) }] }))),
        overTime.step === "minute" ? null : card("Drivers with an order", null, chart({ title: "Share of drivers' time with an order", show: (value) => `${value.toFixed(0)} %`, series: [
          { name: "share of the time at work", style: "s2", values: groups.map((group) => (group?.online_ms ? (100 * group.busy_ms) / group.online_ms : null)) }] })),
        card("How far orders came", null, bars("Funnel", [["Placed", "created"], ["Paid", "paid"], ["Accepted", "accepted"], ["Ready", "ready"], ["Picked up", "picked_up"], ["Delivered", "delivered"]].map(([name, field]) =>
          [name, sum[field], `${number(sum[field])}${sum.created ? ` · ${Math.round((100 * sum[field]) / sum.created)} %` : ""}`]))),
        card("Why orders were cancelled", null, Object.keys(sum.cancelled_by).length
          ? bars("Reasons", Object.entries(sum.cancelled_by).sort((a, b) => b[1] - a[1]).map(([reason, count]) => [reason.replace(/_/g, " "), count, number(count)]))
          : emptyState("None", "No order was cancelled in this range."))),
      card("How long things took", null, spans(sum.spans)),
      card("Regions", null, table("Figures by region", [
        ["Region", (group) => group.region],
        ["Placed", (group) => number(group.created), "n"],
        ["Delivered", (group) => number(group.delivered), "n"],
        ["Cancelled", (group) => number(group.cancelled), "n"],
        ["Revenue", (group) => Object.entries(group.money).map(([currency, one]) => money(one.revenue_minor, currency)).join(" + ") || "–", "n"],
        ["Average order", (group) => Object.entries(group.money).map(([currency, one]) => (group.delivered ? money(Math.round(one.revenue_minor / group.delivered), currency) : "–")).join(" + ") || "–", "n"],
        ["Order to door", (group) => span(group.spans.click_to_door?.p50_ms), "n"],
        ["Drivers busy", (group) => (group.online_ms ? `${Math.round((100 * group.busy_ms) / group.online_ms)} %` : "–"), "n"],
      ], byRegion.groups, ["No regions", "None has sent events in this range."])));
  }
  return { load, redraw: () => load(true) };
}

const inMinutes = (ms) => (ms === null || ms === undefined ? null : ms / 60000);

function figures(sum) {
  const each = (show) => Object.entries(sum.money).map(([currency, one]) => show(one, currency)).join(" + ") || "–";
  const share = (part, whole) => (whole ? `${((100 * part) / whole).toFixed(1)} %` : "–");
  return tiles([
    ["Placed", number(sum.created)],
    ["Delivered", number(sum.delivered), `${share(sum.delivered, sum.created)} of placed`],
    ["Cancelled", number(sum.cancelled), `${share(sum.cancelled, sum.created)} of placed`],
    ["Revenue", each((one, currency) => moneyShort(one.revenue_minor, currency)), each((one, currency) => `${money(one.refunded_minor, currency)} refunded`)],
    ["Average order", sum.delivered ? each((one, currency) => money(Math.round(one.revenue_minor / sum.delivered), currency)) : "–"],
    ["Drivers busy", share(sum.busy_ms, sum.online_ms), "of their time at work, counted as it ends"],
  ]);
}

function spans(found) {
  const rows = spanOrder.filter((code) => found[code]).map((code) => ({ code, ...found[code] }));
  return table("Time of each step", [
    ["What", (row) => spanName(row.code)],
    ["Counted", (row) => number(row.count), "n"],
    ["Half within", (row) => span(row.p50_ms), "n"],
    ["9 of 10 within", (row) => span(row.p90_ms), "n"],
    ["99 of 100 within", (row) => span(row.p99_ms), "n"],
  ], rows, ["Nothing yet", "No order has come that far in this range."]);
}
