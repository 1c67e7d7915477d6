// A card per region: what goes on there, and what the hub does not have of it.

import { askText, badge, confirm, h } from "./dom.js";
import { number, span } from "./format.js";
import { get, put, token } from "./api.js";
import { FULL } from "./map.js";
import { colours, drawCells, fit, sharpen, world } from "./projection.js";

const LINKS = { up: ["connected", "ok"], down: ["silent", "bad"], never: ["not heard yet", ""] };

/** What the hub knows that it lacks, in a sentence. */
export function syncText(region) {
  if (region.missing_events === 0) return `all ${number(region.applied_seq)} events are in`;
  const age = region.oldest_unsynced_age_ms === null ? "" : `, oldest ${span(region.oldest_unsynced_age_ms)}`;
  return `the hub is missing ${number(region.missing_events)} event${region.missing_events === 1 ? "" : "s"}${age}`;
}

/** How far the region goes by what the hub tells it, in a sentence; empty where it does, or is told nothing. */
function toldText(region) {
  if (region.control_fault) return `does not take in what it is told: ${region.control_fault}`;
  return region.control_version && region.control_version !== region.control_applied_version ? "does not know yet what it is told" : "";
}

/** Stops the taking of orders in a region, or lets it go on; says what came of it. */
async function pause(region) {
  const path = `/v1/regions/${region.region}/control`;
  const { version, control } = await get(path);
  if (control.paused !== null) {
    const unheard = region.paused === null;
    if (unheard && !await confirm(`${region.region} is told already to take no orders`, "It has not heard of it yet.", "Take that back")) return "";
    await put(path, { note: "taken back on the hub's page", control: { ...control, paused: null } }, version);
    return "will take orders again";
  }
  if (region.paused !== null) return "paused by its own operators, who can end that";
  const paused = await askText(`Take no orders in ${region.region}?`, "Why? Customers see this.", "Take no orders");
  if (paused === null) return "";
  await put(path, { note: `paused on the hub's page: ${paused}`, control: { ...control, paused } }, version);
  return "will take no orders";
}

function pauseButton(region, said) {
  const press = async () => { said.textContent = await pause(region).catch((problem) => problem.message); };
  const text = region.paused === null ? "Take no orders" : "Take orders again";
  return h("button", { type: "button", "aria-label": `${text}: ${region.region}`, onclick: press }, text);
}

export function regionCard(region, totals, may, onPick) {
  const [link, kind] = LINKS[region.link];
  const canvas = h("canvas", { "aria-hidden": "true" });
  const said = h("span", { role: "status" });
  const facts = [["Under way", number(totals?.active ?? 0)], ["Drivers", number(region.drivers_online)], ["Delivered", number(totals?.delivered ?? 0)]];
  const element = h("article", { class: "card region", "aria-label": `Region ${region.region}` },
    h("div", { class: "head" }, h("h3", {}, h("button", { class: "plain", type: "button", onclick: () => onPick(region.region) }, region.region, h("span", { class: "hidden" }, ": show on the map"))), badge(link, kind)),
    h("dl", { class: "facts" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    region.paused === null ? null : h("p", { class: "sync behind" }, `takes no orders: ${region.paused}`),
    toldText(region) ? h("p", { class: "sync behind" }, toldText(region)) : null,
    h("p", { class: "small soft" }, region.link === "down" ? `last heard ${span(region.heartbeat_age_ms)} ago` : region.node_version ? `node ${region.node_version}` : ""),
    canvas,
    h("p", { class: `sync ${region.missing_events ? "behind" : ""}` },
      h("span", {}, syncText(region), region.gap?.problem ? `: ${region.gap.problem}` : ""),
      region.public_url ? h("a", { href: `${region.public_url}/console#token=${token()}`, rel: "noreferrer", target: "_blank", "aria-label": `Open node of ${region.region}` }, "Open node") : null),
    may ? h("p", { class: "sync" }, said, pauseButton(region, said)) : null);
  return { element, canvas };
}

/** The small map of a card. */
export function drawSmall(canvas, cells, value) {
  const { pen, width, height } = sharpen(canvas);
  pen.clearRect(0, 0, width, height);
  if (!width || cells.length === 0) return;
  const placed = cells.map((cell) => ({ id: cell.id, ring: cell.ring.map(world) }));
  const view = fit(placed.flatMap((cell) => cell.ring), width, height, 8);
  const most = Math.max(FULL.demand, ...cells.map((cell) => value(cell.id)));
  drawCells(pen, placed, view, width, height, value, most, colours());
}
