// Orders: search and list; one order with its timeline and its money.

import { get, post } from "./api.js";
import { badge, card, emptyState, fill, h, select, table } from "./dom.js";
import { account, dateTime, money, number, reason, span, state, stateNames, tail, time } from "./format.js";

export function view(root, { rest }) {
  return rest[0] ? one(root, rest[0]) : list(root);
}

const PARTIES = { usr: "customer", rst: "restaurant", drv: "driver" };
/** Orders of one page. */
const ROWS = 50;
/** What somebody types who was called: with + or 00 and the country code. */
const TELEPHONE = /^(\+|00)[\d\s().\/-]+$/;

function list(root) {
  const filter = { region: "", status: "", text: "", phone: "" };
  const head = h("div", { class: "head" }, h("h1", {}, "Orders"));
  const rows = h("div");
  const newer = h("button", { type: "button", onclick: () => page(false) }, "Newer");
  const older = h("button", { type: "button", onclick: () => page(true) }, "Older");
  const pager = h("div", { class: "tools pager", role: "group", "aria-label": "Pages" }, newer, older);
  const said = h("p", { class: "small soft", role: "status" });
  const regionBox = h("span");
  let shown = [];
  let drawn = "";
  /** Where the pages up to the one that is shown begin, and the next one; the first begins at null. */
  let begins = [null];
  let next = null;
  /** The same of the page that is asked for; another one only until its answer is there. */
  let wanted = begins;
  /** Counts what was asked, so that an answer that comes late does not take the place of a newer one. */
  let asked = 0;

  const search = h("input", { type: "search", placeholder: "ord_… or +91 98450 12345", size: "40", spellcheck: "false", autocomplete: "off" });
  const form = h("form", { class: "tools", role: "search", onsubmit: (event) => { event.preventDefault(); find(search.value.trim()); } },
    h("label", {}, "Id of an order, customer, restaurant or driver, or a telephone number", search),
    regionBox,
    select("State", [["", "Any"], ...stateNames], "", (chosen) => { filter.status = chosen; first(); }),
    h("button", { class: "main" }, "Search"));
  fill(root, head, h("section", { class: "card stack", "aria-label": "Search" }, form, said), h("section", { class: "card", "aria-label": "Orders found" }, rows, pager));

  async function find(text) {
    if (/^ord_/.test(text)) { location.hash = `#/orders/${text}`; return; }
    const called = TELEPHONE.test(text);
    if (text && !called && !PARTIES[text.slice(0, 3)]) {
      said.textContent = "Ids begin with ord_, usr_, rst_ or drv_, telephone numbers with + and the country code.";
      return;
    }
    try {
      // Only a hash of the number is in events, and in the address of what is asked.
      filter.phone = called ? (await post("/v1/phone-hashes", { phone: text })).phone_hash : "";
    } catch (problem) {
      said.textContent = problem.message;
      return;
    }
    filter.text = text;
    first();
  }
  const first = () => turn([null]);

  function path(cursor) {
    const query = new URLSearchParams();
    if (filter.region) query.set("region", filter.region);
    if (filter.status) query.set("status", filter.status);
    const party = PARTIES[filter.text.slice(0, 3)];
    if (party) query.set(party, filter.text);
    if (filter.phone) query.set("phone_hash", filter.phone);
    if (cursor) query.set("cursor", cursor);
    query.set("limit", String(ROWS));
    return `/v1/orders?${query}`;
  }

  /** One page at a time, however far somebody goes back. */
  function page(back) {
    if (wanted !== begins || (back ? !next : begins.length === 1)) return;
    turn(back ? [...begins, next] : begins.slice(0, -1));
  }

  async function turn(to) {
    wanted = to;
    try {
      await read();
    } catch (problem) {
      if (wanted !== to) return;
      wanted = begins;
      said.textContent = problem.message;
    }
  }

  async function read() {
    asked += 1;
    const [mine, to] = [asked, wanted];
    const found = await get(path(to.at(-1)));
    if (mine !== asked) return;
    begins = to;
    shown = found.orders;
    next = found.next_cursor;
    draw();
  }

  async function load() {
    if (!regionBox.hasChildNodes()) {
      const { regions } = await get("/v1/regions");
      fill(regionBox, select("Region", [["", "All"], ...regions.map(({ region }) => [region, region])], "", (chosen) => { filter.region = chosen; first(); }));
    }
    // Who has gone back reads in peace: only the first page is read again by itself.
    if (wanted.length === 1) await read();
  }

  function draw() {
    const before = (begins.length - 1) * ROWS;
    said.textContent = before ? `Orders ${number(before + 1)} to ${number(before + shown.length)}${next ? ", and more" : ""}`
      : `${number(shown.length)}${next ? " newest" : ""} order${shown.length === 1 ? "" : "s"}${next ? ", and more" : ""}`;
    pager.hidden = !next && !before;
    newer.disabled = !before;
    older.disabled = !next;
    // What is the same stays, and with it what somebody is about to press.
    const now = JSON.stringify([filter, shown]);
    if (now === drawn) return;
    drawn = now;
    const held = rows.contains(document.activeElement) ? document.activeElement.title : "";
    fill(rows, table("Orders, newest first", [
      ["Order", (order) => h("a", { href: `#/orders/${order.id}`, class: "id", title: order.id }, tail(order.id))],
      ["State", (order) => badge(...state(order.status))],
      ["Region", (order) => order.region],
      ["Placed", (order) => dateTime(order.placed_at)],
      ["Took", (order) => (order.final_at ? span(Date.parse(order.final_at) - Date.parse(order.placed_at)) : "under way"), "n"],
      ["Total", (order) => money(order.total_minor, order.currency), "n"],
      ["Paid by", (order) => order.payment_method],
      ["Restaurant", (order) => who("restaurant", order.restaurant_id)],
      ["Driver", (order) => who("driver", order.driver_id)],
      ["Customer", (order) => who("customer", order.customer_id)],
    ], shown, ["No orders", filter.text || filter.region || filter.status ? "None match what you asked for." : "The hub has heard of none yet."]));
    if (held) [...rows.querySelectorAll("[title]")].find((one) => one.title === held)?.focus();
  }

  function who(kind, id) {
    if (!id) return "–";
    return h("button", { type: "button", class: "who id", title: `All orders of this ${kind}: ${id}`, onclick: () => { search.value = id; find(id); } }, tail(id));
  }
  return { load };
}

const EVENTS = {
  "order.created": "Order placed", "inventory.reserved": "Stock held", "inventory.released": "Stock released",
  "payment.completed": "Payment authorised", "payment.captured": "Payment taken", "payment.failed": "Payment declined", "payment.refunded": "Money went back",
  "payment.refund.requested": "Refund requested", "payment.refund.failed": "Refund failed", "ledger.posted": "Booked",
  "order.confirmed": "Confirmed", "order.scheduled": "Scheduled", "restaurant.assigned": "Restaurant asked", "restaurant.declined": "Restaurant declined",
  "restaurant.assignment.failed": "No restaurant found", "order.preparing": "Restaurant cooks", "order.ready": "Ready for pickup", "order.overdue": "Late",
  "order.delayed": "Restaurant needs longer", "order.changed": "Order changed", "order.change.proposed": "Change proposed", "order.change.ended": "Change came to nothing",
  "driver.offered": "Offered to a driver", "driver.offer.ended": "Offer ended", "driver.assigned": "Driver assigned", "driver.arrived": "Driver at the restaurant",
  "driver.cancelled": "Driver gave it back", "driver.unassigned": "Taken from the driver", "order.picked_up": "Picked up", "order.delivered": "Delivered",
  "delivery.failed": "Could not be handed over", "delivery.returned": "Back at the restaurant", "order.cancelled": "Cancelled",
  "order.rating.requested": "Rating asked for", "order.rated": "Rated", "order.tipped": "Tip", "order.tip.failed": "Tip failed",
};
const STEPS = new Set(["order.created", "order.confirmed", "order.preparing", "order.ready", "order.picked_up", "order.delivered", "order.cancelled", "payment.failed"]);

/** What of an event's data says something at a glance. */
function gist(moment, currency) {
  const data = moment.data ?? {};
  const parts = [];
  if (data.cause) parts.push(data.cause.replace(/_/g, " "));
  if (data.restaurant_name) parts.push(data.restaurant_name);
  if (data.reason) parts.push(String(data.reason).replace(/_/g, " "));
  if (data.amount_minor) parts.push(money(data.amount_minor, currency));
  if (data.price) parts.push(money(data.price.total_minor, currency));
  if (data.lines?.length) parts.push(data.lines.map((line) => `${line.quantity} × ${line.name}`).join(", "));
  if (data.driver_id) parts.push(tail(data.driver_id));
  if (data.distance_m) parts.push(`${data.distance_m} m away`);
  if (data.stage) parts.push(data.stage);
  return parts.join(" · ");
}

function one(root, id) {
  const body = h("div", { class: "stack" });
  fill(root, h("div", { class: "head" }, h("h1", {}, "Order"), h("a", { href: "#/orders" }, "All orders")), body);
  async function load() {
    let order;
    try {
      order = await get(`/v1/orders/${encodeURIComponent(id)}`);
    } catch (problem) {
      if (problem.status !== 404) throw problem;
      fill(body, h("div", { class: "card" }, emptyState("No such order", "Or it is not in your regions, or the hub has not heard of it yet.")));
      return;
    }
    fill(body,
      h("div", { class: "split" },
        card("Timeline", null, timeline(order)),
        h("div", { class: "stack" }, facts(order), payments(order))),
      card("In the books", order.money.mismatch ? badge(reason(order.money.mismatch), "bad") : null, entries(order)));
  }
  return { load };
}

function timeline(order) {
  const start = Date.parse(order.placed_at);
  return h("ol", { class: "timeline" }, order.timeline.map((moment) => h("li", { class: STEPS.has(moment.type) ? "step" : "" },
    h("time", { datetime: moment.at, title: moment.at }, time(moment.at)),
    h("div", {},
      h("strong", {}, EVENTS[moment.type] ?? moment.type), " ",
      h("span", { class: "soft small" }, [Date.parse(moment.at) > start && `after ${span(Date.parse(moment.at) - start)}`, moment.by && moment.by !== "system" && `by ${moment.by}`].filter(Boolean).join(", ")),
      h("br"), h("span", { class: "small soft" }, gist(moment, order.currency))))));
}

function facts(order) {
  const rows = [
    ["Order", h("span", { class: "id" }, order.id)],
    ["Region", order.region],
    ["Placed", dateTime(order.placed_at)],
    ["Took", order.final_at ? span(Date.parse(order.final_at) - Date.parse(order.placed_at)) : "under way"],
    ["Total", `${money(order.total_minor, order.currency)}, ${order.payment_method}`],
    ["Customer", h("span", { class: "id" }, order.customer_id)],
    ["Restaurant", h("span", { class: "id" }, order.restaurant_id)],
    ["Driver", order.driver_id ? h("span", { class: "id" }, order.driver_id) : "–"],
    ["Goes to cell", h("span", { class: "id" }, order.cell)],
  ];
  if (order.cancel_reason) rows.push(["Cancelled by", order.cancel_reason.replace(/_/g, " ")]);
  return card("Facts", badge(...state(order.status)), h("dl", { class: "facts-list" }, rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])));
}

function payments(order) {
  return card("Payments", null, table("Payments of the order", [
    ["Payment", (payment) => h("span", { class: "id", title: `${payment.payment_id} ${payment.transaction_id}` }, payment.tip ? "tip" : tail(payment.payment_id))],
    ["State", (payment) => badge(payment.state, { captured: "ok", failed: "bad", refunded: "warn" }[payment.state])],
    ["Taken", (payment) => money(payment.captured_minor, order.currency), "n"],
    ["Back", (payment) => money(payment.refunded_minor, order.currency), "n"],
  ], order.payments, ["No payments", order.payment_method === "cash" ? "It is paid in cash." : "Nobody has tried to pay yet."]));
}

function entries(order) {
  return table("Entries of the order", [
    ["Time", (entry) => time(entry.at)],
    ["Cause", (entry) => entry.cause.replace(/_/g, " ")],
    ["Account", (entry) => account(entry.account)],
    ["Of", (entry) => (entry.party ? h("span", { class: "id", title: entry.party }, tail(entry.party)) : "")],
    ["Debit", (entry) => (entry.amount_minor > 0 ? money(entry.amount_minor, entry.currency) : ""), "n"],
    ["Credit", (entry) => (entry.amount_minor < 0 ? money(-entry.amount_minor, entry.currency) : ""), "n"],
  ], order.entries, ["Nothing booked", "The region has posted nothing for this order."]);
}
