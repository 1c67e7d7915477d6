// The city operator's page: orders by state, the dispatch board, drivers and restaurants, and the region's switch.
// It uses the same interface as everybody else, with the operator's token; what the node refuses it says.

const KEY = "tomato-console-token";
const LOOK_MS = 3000;
const COLUMNS = [
  ["PENDING", "Waiting for payment"], ["CONFIRMED", "Waiting for restaurant"], ["PREPARING", "Cooking"],
  ["READY_FOR_PICKUP", "Ready for pickup"], ["OUT_FOR_DELIVERY", "On the way"],
];
const CANCELLABLE = ["PENDING", "CONFIRMED", "PREPARING", "READY_FOR_PICKUP"];
const PAGES = [["orders", "Orders", orders], ["dispatch", "Dispatch", dispatch], ["drivers", "Drivers", drivers], ["restaurants", "Restaurants", restaurants]];

const byId = (id) => document.getElementById(id);
const main = byId("main");
let region = null;
let currency = "XXX";
let drawn = "";
let busy = false;

/** An element. Text goes in as text, so nothing that somebody typed becomes markup. */
function h(tag, props, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** What makes a command repeatable. Not `randomUUID`, which browsers have only under https. */
const key = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

const token = () => sessionStorage.getItem(KEY);

async function ask(method, path, body) {
  let response;
  try {
    response = await fetch(path, {
      method, body: body === undefined ? undefined : JSON.stringify(body),
      headers: {
        authorization: `Bearer ${token()}`,
        ...(body === undefined ? {} : { "content-type": "application/json", "idempotency-key": key() }),
      },
    });
  } catch {
    throw new Error("The node cannot be reached.");
  }
  const found = await response.json().catch(() => null);
  if (response.status === 401) { leave("That token is not valid, or has expired."); throw new Error("signed out"); }
  if (!response.ok) throw new Error(found?.detail ?? found?.title ?? `The node answered ${response.status}.`);
  return found;
}

const get = (path) => ask("GET", path);
const tail = (id) => `${id.slice(0, 3)}…${id.slice(-6)}`;
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const time = (at) => (at ? clock.format(new Date(at)) : "–");
function money(minor) {
  const style = new Intl.NumberFormat("en", { style: "currency", currency });
  return style.format(minor / 10 ** style.resolvedOptions().maximumFractionDigits);
}

function say(text) {
  byId("problem").textContent = text ?? "";
  byId("problem").hidden = !text;
}

/** A button that does something on the node, and then looks again. `sure`: a question to be answered first. */
function act(text, sure, run) {
  return h("button", {
    type: "button",
    click: async (event) => {
      if (sure && !confirm(sure)) return;
      event.target.disabled = true;
      try {
        await run();
        say(null);
      } catch (problem) {
        say(problem.message);
      }
      drawn = "";
      await look(true);
    },
  }, text);
}

function table(caption, columns, rows, empty) {
  if (rows.length === 0) return h("p", { class: "empty" }, empty);
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption }, h("table", {},
    h("caption", { class: "hidden" }, caption),
    h("thead", {}, h("tr", {}, columns.map(([title]) => h("th", { scope: "col" }, title)))),
    h("tbody", {}, rows.map((row) => h("tr", {}, columns.map(([, show]) => h("td", {}, show(row))))))));
}

/** Every state in a column of its own, the oldest first: what has waited longest is on top. */
async function orders() {
  const [overview, ...lists] = await Promise.all([get("/v1/overview"), ...COLUMNS.map(([state]) => get(`/v1/orders?state=${state}&limit=50`))]);
  currency = overview.currency;
  const figures = [["Under way", overview.active], ["Drivers", overview.drivers_online], ["Wait for a driver", overview.waiting_for_driver], ["Delivered", overview.delivered], ["Cancelled", overview.cancelled], ["Revenue", money(overview.revenue_minor)]];
  return [
    h("h2", {}, "Orders"),
    h("dl", { class: "figures" }, figures.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, String(value))))),
    h("div", { class: "board" }, COLUMNS.map(([state, title], n) => {
      const { data, next_cursor: more } = lists[n];
      return h("section", { "aria-label": title },
        h("h3", {}, title, h("span", { class: "count" }, more ? `${data.length}+` : String(data.length))),
        data.length ? h("ul", {}, data.reverse().map((order) => h("li", { class: "card" }, orderCard(order)))) : h("p", { class: "empty" }, "None"));
    })),
  ];
}

function orderCard(order) {
  const kitchen = `/v1/restaurants/${order.restaurant.id}/orders/${order.id}`;
  const late = order.state === "CONFIRMED" && order.accept_by ? `answer by ${time(order.accept_by)}` : order.state === "PREPARING" ? `ready ${time(order.ready_at)}` : `expected ${time(order.estimated_delivery_at)}`;
  return [
    h("p", {}, h("code", { title: order.id }, tail(order.id)), ` ${order.restaurant.name}`),
    h("p", { class: "soft" }, `${order.lines.reduce((sum, line) => sum + line.quantity, 0)} items · ${money(order.price.total_minor)} · placed ${time(order.placed_at)} · ${late}`),
    order.delivery.driver ? h("p", { class: "soft" }, `driver ${order.delivery.driver.name}`) : null,
    h("p", { class: "acts" },
      order.state === "CONFIRMED" ? act("Accept", null, () => ask("POST", `${kitchen}/accept`, { ready_in_min: 15 })) : null,
      order.state === "PREPARING" ? act("Ready", null, () => ask("POST", `${kitchen}/ready`, {})) : null,
      CANCELLABLE.includes(order.state) ? act("Cancel", `Cancel ${tail(order.id)}? What was paid goes back.`, () => ask("POST", `/v1/orders/${order.id}/cancel`, {})) : null),
  ];
}

/** Who waits for a driver, and who could come. */
async function dispatch() {
  const board = await get("/v1/dispatch");
  const names = new Map(board.drivers.map(({ driver }) => [driver.id, driver.name]));
  const free = board.drivers.filter(({ driver }) => driver.delivering_order_ids.length + driver.offered_order_ids.length === 0).length;
  const under = board.drivers.flatMap(({ driver }) => driver.delivering_order_ids.map((order) => ({ driver, order })));
  return [
    h("h2", {}, "Dispatch"),
    h("p", { class: "soft" }, `${board.waiting.length} orders wait for a driver. ${board.drivers.length} drivers are signed on, ${free} of them free.`),
    table("Orders that wait for a driver", [
      ["Order", ({ order }) => h("code", { title: order.id }, tail(order.id))],
      ["Restaurant", ({ order }) => order.restaurant.name],
      ["Waits", ({ waiting_ms: ms }) => `${Math.floor(ms / 60000)} min ${Math.floor((ms % 60000) / 1000)} s`],
      ["Nearest free drivers", ({ order, nearest }) => (nearest.length ? nearest.slice(0, 3).map((one) => act(`${names.get(one.driver_id) ?? tail(one.driver_id)}, ${Math.round(one.distance_m)} m`, null, () => ask("POST", `/v1/orders/${order.id}/assign`, { driver_id: one.driver_id }))) : "none near")],
    ], board.waiting, "No order waits for a driver."),
    h("h3", {}, "Drivers with an order"),
    table("Drivers with an order", [
      ["Driver", ({ driver }) => driver.name],
      ["Order", ({ order }) => h("code", { title: order }, tail(order))],
      ["", ({ driver, order }) => act("Take it back", `Take the delivery from ${driver.name}?`, () => ask("POST", `/v1/orders/${order}/unassign`, {}))],
    ], under, "No driver has an order."),
  ];
}

async function drivers() {
  const { data, next_cursor: more } = await get("/v1/drivers?limit=100");
  const doing = (driver) => (driver.delivering_order_ids.length ? "with an order" : driver.offered_order_ids.length ? "has an offer" : driver.online ? "free" : "signed off");
  data.sort((a, b) => Number(b.online) - Number(a.online) || a.name.localeCompare(b.name));
  return [
    h("h2", {}, "Drivers"),
    table("Drivers", [
      ["Name", (driver) => driver.name], ["Telephone", (driver) => driver.phone], ["Doing", doing],
      ["Cash in hand", (driver) => money(driver.cash_minor)],
      ["", (driver) => act(driver.online ? "Sign off" : "Sign on", driver.online ? `Sign ${driver.name} off?` : null, () => ask("PUT", `/v1/drivers/${driver.id}/status`, { online: !driver.online }))],
    ], data, "No drivers yet."),
    more ? h("p", { class: "soft" }, "These are the first 100.") : null,
  ];
}

async function restaurants() {
  const { data, next_cursor: more } = await get("/v1/restaurants?limit=100");
  return [
    h("h2", {}, "Restaurants"),
    table("Restaurants", [
      ["Name", (one) => one.name],
      ["Takes orders", (one) => (one.open_now ? "yes" : one.opens_at ? `no, from ${time(one.opens_at)}` : "no")],
      ["Cooks for", (one) => `${one.preparation_min} min`],
      ["Stars", (one) => (one.stars ? `${one.stars.toFixed(1)} of ${one.ratings}` : "–")],
      ["", (one) => [
        act("Pause 30 min", null, () => ask("PUT", `/v1/restaurants/${one.id}/status`, { pause_min: 30 })),
        act("End pause", null, () => ask("PUT", `/v1/restaurants/${one.id}/status`, { pause_min: 0 })),
        act(one.open ? "Close" : "Open", one.open ? `Close ${one.name}?` : null, () => ask("PUT", `/v1/restaurants/${one.id}/status`, { open: !one.open }))]],
    ], data, "No restaurants yet."),
    more ? h("p", { class: "soft" }, "These are the first 100.") : null,
  ];
}

async function drawRegion() {
  const status = await get("/v1/region");
  byId("taking").textContent = status.paused ? `Takes no orders: ${status.reason || "no reason given"}` : status.cards_down ? "Takes orders; cards cannot be charged" : "Takes orders";
  byId("taking").dataset.state = status.paused ? "off" : "on";
  const next = act(status.paused ? "Take orders again" : "Take no orders", null, async () => {
    const reason = status.paused ? "" : prompt("Why? Customers see this.", "We are very busy.");
    if (reason !== null) await ask("PUT", "/v1/region", { paused: !status.paused, reason });
  });
  next.id = "pause";
  if (byId("pause").textContent !== next.textContent || byId("pause").hidden) byId("pause").replaceWith(next);
}

function page() {
  return PAGES.find(([name]) => location.hash === `#${name}`) ?? PAGES[0];
}

/** Reads what the page shows. It is drawn anew only if it is different, so that focus and scrolling stay. */
async function look(now) {
  if (!token() || busy || (document.hidden && !now)) return;
  busy = true;
  const [name, title, view] = page();
  try {
    await drawRegion();
    const parts = (await view()).filter(Boolean);
    if (name !== page()[0]) return;
    const html = parts.map((part) => part.outerHTML).join("");
    if (html !== drawn) {
      drawn = html;
      const held = main.contains(document.activeElement) ? meant(document.activeElement) : null;
      main.replaceChildren(...parts);
      if (held) [...main.querySelectorAll("button")].find((button) => meant(button) === held)?.focus();
    }
    document.title = `${title} – ${region}`;
    if (byId("problem").dataset.kind === "look") say(null);
    byId("problem").dataset.kind = "";
  } catch (problem) {
    if (token()) { say(problem.message); byId("problem").dataset.kind = "look"; }
  } finally {
    busy = false;
  }
}

/** What a button is for: its text and the row that it stands in. */
function meant(element) {
  const row = element.closest("tr, li");
  return `${element.textContent} ${row?.querySelector("[title]")?.title ?? row?.firstChild?.textContent ?? ""}`;
}

function nav() {
  const [open] = page();
  byId("nav").replaceChildren(...PAGES.map(([name, title]) => h("a", { href: `#${name}`, "aria-current": name === open ? "page" : null }, title)));
}

function leave(text) {
  sessionStorage.removeItem(KEY);
  byId("nav").replaceChildren();
  for (const id of ["pause", "leave"]) byId(id).hidden = true;
  byId("taking").textContent = "";
  const box = h("textarea", { required: true, autocomplete: "off", spellcheck: "false", rows: "4" });
  main.replaceChildren(h("form", { class: "card", submit: (event) => { event.preventDefault(); start(box.value.trim()); } },
    h("h2", {}, "Sign in"), h("label", {}, "An operator's token; it stays in this tab", box), h("p", { class: "acts" }, h("button", {}, "Sign in"))));
  say(text);
}

async function start(given) {
  if (given) sessionStorage.setItem(KEY, given);
  say(null);
  byId("leave").hidden = false;
  drawn = "";
  nav();
  const version = await get("/version").catch(() => null);
  region = version?.region ?? "region";
  byId("region").textContent = region;
  await look(true);
}

/** A token that comes with the link, as from the hub's page, goes out of the address at once. */
function linked() {
  const found = /^#token=([\w.-]+)$/.exec(location.hash);
  if (found) history.replaceState(null, "", "/console");
  return found?.[1];
}

byId("leave").addEventListener("click", () => leave());
addEventListener("hashchange", () => {
  const given = linked();
  if (given) { start(given); return; }
  if (location.hash === "#main") { main.focus(); return; }
  if (!token()) return;
  drawn = "";
  nav();
  look(true).then(() => main.focus());
});
setInterval(look, LOOK_MS);
const given = linked();
if (given || token()) start(given); else leave();
