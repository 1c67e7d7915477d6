// Drives the hub's page in a real browser against a running hub: HUB_URL and HUB_TOKEN say which, SCREENS where the
// pictures go, CALLER_PHONE and CALLER_ID who has ordered. Prints what it checked; ends with 1 if anything was wrong.

import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const { HUB_URL: hub, HUB_TOKEN: token, SCREENS: screens, CHROMIUM: program = "/usr/bin/chromium" } = process.env;
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const faults = [];
const wrong = (text) => { faults.push(text); console.error(`WRONG: ${text}`); };
mkdirSync(screens, { recursive: true });

const api = async (path) => (await fetch(hub + path, { headers: { authorization: `Bearer ${token}` } })).json();
const number = (value) => new Intl.NumberFormat("en").format(value);
/** For one step of a browser that draws without a graphics card, beside three cities, on a machine that is busy. */
const PATIENCE_MS = 90_000;
// What is pressed is pressed by key: a click waits until a page holds still, which a busy machine does not let it.

/** Answers of one path that are remembered: while the newest comes in, the page still shows the one before it. */
const REMEMBERED = 4;

/** Waits until `look` gives true; numbers move while people order. What else it gives says why not. */
async function eventually(what, look) {
  const end = Date.now() + PATIENCE_MS;
  let last;
  while (Date.now() < end) {
    last = await look().catch((error) => error.message);
    if (last === true) return;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  wrong(`${what}: ${JSON.stringify(last)}`);
}

/**
 * Listens to what an API answers a page. Numbers move between two requests, so a page is right when it shows what the
 * API told itself, and not what it tells somebody else a moment later. Gives the newest answers to a path, newest first.
 */
function listen(page, origin) {
  const heard = new Map();
  page.on("response", async (response) => {
    const path = response.url().startsWith(`${origin}/v1/`) && response.ok() ? response.url().slice(origin.length) : null;
    const body = path && await response.json().catch(() => null);
    if (body) heard.set(path, [body, ...(heard.get(path) ?? [])].slice(0, REMEMBERED));
  });
  return (wanted) => [...heard].filter(([path]) => (typeof wanted === "string" ? path === wanted : wanted.test(path))).flatMap(([, answers]) => answers);
}

/** Whether a page shows one of the values that its API told it. */
const among = (shown, told) => told.includes(shown) || `${shown} is none of ${told.join(", ") || "nothing that was told"}`;

const tile = (page, name) => page.locator(".tile", { has: page.locator("dt", { hasText: new RegExp(`^${name}$`) }) }).locator("dd").first().innerText();

/** How many colours an element shows (an empty map has two or three), and how many points have one of the page's own. */
async function coloursOf(page, element, names = []) {
  const picture = (await element.screenshot()).toString("base64");
  return page.evaluate(async ([bytes, wanted]) => {
    const binary = Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0));
    const image = await createImageBitmap(new Blob([binary], { type: "image/png" }));
    const pen = new OffscreenCanvas(image.width, image.height).getContext("2d");
    pen.drawImage(image, 0, 0);
    const { data } = pen.getImageData(0, 0, image.width, image.height);
    const styles = getComputedStyle(document.documentElement);
    const own = wanted.map((name) => parseInt(styles.getPropertyValue(name).trim().slice(1), 16)).map((rgb) => [rgb >> 16, (rgb >> 8) & 255, rgb & 255]);
    const seen = new Set();
    let points = 0;
    for (let at = 0; at < data.length; at += 4) {
      seen.add((data[at] << 16) | (data[at + 1] << 8) | data[at + 2]);
      if (own.some((rgb) => rgb.every((part, n) => Math.abs(part - data[at + n]) <= 2))) points += 1;
    }
    return { colours: seen.size, points };
  }, [picture, names]);
}

/** Zoomed in, the map shows the orders and drivers that the API knows of. */
async function closeUp(page, theme, width) {
  const legend = page.locator(".legend", { hasText: "free driver" });
  while ((await legend.count()) === 0) {
    await page.getByRole("button", { name: "Zoom in" }).press("Enter");
    await legend.waitFor({ timeout: 3_000 }).catch(() => {});
    if (faults.length) return;
  }
  const region = await page.locator(".card select").first().inputValue();
  await eventually(`drivers of ${region} are known`, async () => (await api(`/v1/map/drivers?region=${region}`)).drivers.length > 0);
  // The colours of free and of busy drivers.
  await eventually("drivers are drawn", async () => (await coloursOf(page, page.locator(".mapbox"), ["--s3", "--s4"])).points > 20);
  await page.locator("section.card", { has: page.locator(".mapbox") }).screenshot({ path: `${screens}/hub-map-${theme}-${width}.png` });
  await page.getByRole("button", { name: "Show the whole region" }).press("Enter");
}

const CHECKS = {
  now: async (page, told) => {
    for (const [name, field] of [["Placed", "placed"], ["Delivered", "delivered"]]) {
      const before = (await api("/v1/overview")).sum[field];
      await eventually(`tile ${name} says what the API says, and not what it said before`, async () => {
        const shown = await tile(page, name);
        return among(shown, told("/v1/overview").map(({ sum }) => sum[field]).filter((value) => value >= before).map(number));
      });
    }
    const { regions } = await api("/v1/regions");
    await eventually("a card per region", async () => (await page.locator(".region").count()) === regions.length);
    await page.locator(".maplibregl-canvas").waitFor();
    await eventually("cells are drawn", async () => (await coloursOf(page, page.locator(".mapbox"))).colours > 12);
  },
  orders: async (page, told) => {
    await page.locator("tbody tr").first().waitFor();
    await eventually("a row per order", async () => {
      const rows = await page.locator("tbody a.id").evaluateAll((all) => all.map((one) => one.title).join());
      return among(rows, told("/v1/orders?limit=50").map(({ orders }) => orders.map(({ id }) => id).join()));
    });
  },
  money: async (page, told) => {
    await eventually("unmatched as the API counts", async () =>
      among(await tile(page, "Unmatched"), told("/v1/money/unmatched").map(({ unmatched }) => number(unmatched.length))));
  },
  analytics: async (page, told) => {
    await page.locator(".chart .u-over").first().waitFor();
    const before = (await api("/v1/overview")).sum.placed;
    await eventually("analytics count what the overview counts", async () => {
      const created = told(/^\/v1\/analytics\?.*&by=$/).map(({ groups }) => groups[0]?.created ?? 0);
      return among(await tile(page, "Placed"), created.filter((value) => value >= before).map(number));
    });
  },
  alerts: async (page) => {
    await page.locator("section.card").first().waitFor();
  },
  order: async (page) => {
    const id = (await page.evaluate(() => location.hash)).split("/").at(-1);
    await eventually("the whole timeline", async () => {
      const { timeline } = await api(`/v1/orders/${id}`);
      const shown = await page.locator(".timeline li").count();
      return shown === timeline.length || `${shown} of ${timeline.length} steps`;
    });
  },
};

/** A window of its own, signed out, that waits as patiently as this test does; by night for somebody who wants no motion. */
async function window(browser, { theme = "light", width = 1440 } = {}) {
  const context = await browser.newContext({ viewport: { width, height: width < 600 ? 844 : 900 }, colorScheme: theme, reducedMotion: theme === "dark" ? "reduce" : "no-preference", deviceScaleFactor: 1 });
  context.setDefaultTimeout(PATIENCE_MS);
  return { context, page: await context.newPage() };
}

async function look(browser, theme, width) {
  const { context, page } = await window(browser, { theme, width });
  const told = listen(page, hub);
  page.on("console", (message) => { if (["error", "warning"].includes(message.type()) && !message.text().includes("GL Driver")) wrong(`console: ${message.text()}`); });
  page.on("pageerror", (error) => wrong(`page: ${error.message}`));
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(hub) && !url.startsWith(hub.replace(/^http/, "ws")) && !url.startsWith("blob:") && !url.startsWith("data:")) wrong(`foreign request: ${url}`);
  });
  await page.goto(`${hub}/ui/#token=${token}`);
  const { orders } = await api("/v1/orders?status=DELIVERED&limit=1");
  const pages = [["now", "#/"], ["orders", "#/orders"], ["order", `#/orders/${orders[0]?.id}`], ["money", "#/money"], ["analytics", "#/analytics"], ["alerts", "#/alerts"]];
  for (const [name, hash] of pages) {
    await page.evaluate((to) => { location.hash = to; }, hash);
    await page.locator("main h1").waitFor();
    await CHECKS[name](page, told);
    await page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
    await page.screenshot({ path: `${screens}/hub-${name}-${theme}-${width}.png`, fullPage: true });
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (name === "now") await closeUp(page, theme, width);
    if (overflow > 0) wrong(`${name} at ${width} is ${overflow} px too wide`);
    const found = await page.evaluate(`${axe}; axe.run(document, { resultTypes: ["violations"] })`);
    for (const violation of found.violations.filter((one) => ["serious", "critical"].includes(one.impact))) {
      wrong(`axe ${name} ${theme} ${width}: ${violation.id}: ${violation.nodes.slice(0, 3).map((node) => node.target.join(" ")).join("; ")}`);
    }
    const notes = found.violations.map(({ id, impact, nodes }) => `${id} (${impact}): ${nodes.slice(0, 2).map((node) => node.target.join(" ")).join("; ")}`);
    console.log(`${name} ${theme} ${width}: ${notes.length} notes of axe${notes.map((note) => `\n  ${note}`).join("")}`);
  }
  await context.close();
}

/** From the hub to the page of a region's own node, without signing in again. */
async function consoleOfNode(browser, theme, width) {
  const { context, page } = await window(browser, { theme, width });
  await page.goto(`${hub}/ui/#token=${token}`);
  const link = page.getByRole("link", { name: /^Open node of/ }).first();
  await link.waitFor();
  let node = null;
  // The card may be drawn anew between the focus and the key.
  for (const end = Date.now() + PATIENCE_MS; !node && Date.now() < end;) {
    [node] = await Promise.all([context.waitForEvent("page", { timeout: 10_000 }).catch(() => null), link.press("Enter")]);
  }
  if (!node) { wrong("the link to the node opens nothing"); return; }
  // Two pages at once are one too many for a machine that draws the hub's map by itself.
  await page.close();
  const own = new URL(node.url()).origin;
  const told = listen(node, own);
  node.on("console", (message) => { if (message.type() === "error") wrong(`console of the node: ${message.text()}`); });
  node.on("pageerror", (error) => wrong(`page of the node: ${error.message}`));
  node.on("request", (request) => { if (!request.url().startsWith(own) && !request.url().startsWith("data:")) wrong(`foreign request of the node's page: ${request.url()}`); });
  await node.reload();
  await node.locator(".board").waitFor();
  if (node.url().includes("token=")) wrong("the token stays in the address of the node's page");
  for (const name of ["Orders", "Dispatch", "Drivers", "Restaurants"]) {
    await node.locator("nav a", { hasText: name }).press("Enter");
    await eventually(`${name} of the node`, async () => (await node.locator("main h2").first().innerText()) === name);
    if (name === "Dispatch") {
      await eventually("the node's drivers with an order", async () => {
        const bound = told("/v1/dispatch").map(({ drivers }) => drivers.flatMap(({ driver }) => driver.delivering_order_ids).sort().join());
        const shown = await node.locator("table", { hasText: "Take it back" }).locator("code").evaluateAll((all) => all.map((one) => one.title).sort().join());
        return shown === "" ? "nobody is shown with an order" : among(shown, bound);
      });
    }
    await node.screenshot({ path: `${screens}/node-${name.toLowerCase()}-${theme}-${width}.png`, fullPage: true });
    const found = await node.evaluate(`${axe}; axe.run(document, { resultTypes: ["violations"] })`);
    for (const violation of found.violations.filter((one) => ["serious", "critical"].includes(one.impact))) {
      wrong(`axe node ${name} ${theme} ${width}: ${violation.id}: ${violation.nodes.slice(0, 3).map((one) => one.target.join(" ")).join("; ")}`);
    }
    const overflow = await node.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (overflow > 0) wrong(`the node's ${name} at ${width} is ${overflow} px too wide`);
  }
  // The region's switch: off, told so to everybody, and on again.
  if (theme === "light" && width === 1440) {
    node.on("dialog", (dialog) => dialog.accept("The kitchen is closed."));
    await node.getByRole("button", { name: "Take no orders" }).press("Enter");
    const paused = async (wanted) => (await (await fetch(`${own}/v1/region`)).json()).paused === wanted;
    await eventually("the region is paused", () => paused(true));
    await node.getByRole("button", { name: "Take orders again" }).press("Enter");
    await eventually("the region takes orders again", () => paused(false));
  }
  console.log(`node ${theme} ${width}`);
  await context.close();
}

/** Without a mouse: the skip link, the pages, the map. */
async function keyboard(browser) {
  const { page } = await window(browser);
  await page.goto(`${hub}/ui/#token=${token}`);
  await page.locator(".tile").first().waitFor();
  await page.keyboard.press("Tab");
  const first = await page.evaluate(() => document.activeElement.textContent);
  if (first !== "Skip to content") wrong(`the first stop of the Tab key is ${first}`);
  await page.locator("nav a", { hasText: "Orders" }).focus();
  await page.keyboard.press("Enter");
  await eventually("Enter opens a page", async () => (await page.locator("main h1").innerText()) === "Orders");
  const address = await page.evaluate(() => location.href);
  if (address.includes("token=")) wrong("the token stays in the address");
}

/** Somebody calls: typed as people do, the number finds the caller's orders, and stands in the address of no request. */
async function caller(browser) {
  const { CALLER_PHONE: phone, CALLER_ID: customer } = process.env;
  const { page } = await window(browser);
  page.on("request", (request) => { if (request.url().includes(phone.slice(-8))) wrong(`the number is in ${request.url()}`); });
  await page.goto(`${hub}/ui/#token=${token}`);
  await page.locator(".tile").first().waitFor();
  await page.evaluate(() => { location.hash = "#/orders"; });
  await page.locator("input[type=search]").fill(`${phone.slice(0, 3)} ${phone.slice(3, 8)}-${phone.slice(8)}`);
  await page.keyboard.press("Enter");
  await eventually("the caller's orders", async () => {
    const { orders } = await api(`/v1/orders?customer=${customer}&limit=50`);
    const shown = await page.locator("tbody a.id").evaluateAll((all) => all.map((one) => one.title).join());
    return (orders.length > 0 && shown === orders.map(({ id }) => id).join()) || `${shown || "none"} for ${orders.length} of ${customer}`;
  });
}

/** What stands there without a token, and with a wrong one. */
async function strangers(browser) {
  const { page } = await window(browser);
  await page.goto(`${hub}/ui/`);
  await page.locator("textarea").fill("no.such.token");
  await page.locator("button.main").press("Enter");
  await eventually("a wrong token is refused", async () => (await page.locator("[role=alert]").innerText()).includes("not valid"));
}

const browser = await chromium.launch({ executablePath: program, args: ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"] });
for (const theme of ["light", "dark"]) for (const width of [1440, 390]) {
  await look(browser, theme, width);
  await consoleOfNode(browser, theme, width);
}
await keyboard(browser);
await caller(browser);
await strangers(browser);
await browser.close();
console.log(faults.length ? `${faults.length} faults` : "no faults");
process.exit(faults.length ? 1 : 0);
