// Where money is, what does not match, what is paid out.

import { get, post, save } from "./api.js";
import { badge, card, confirm, emptyState, fill, h, select, table, tiles } from "./dom.js";
import { account, dateTime, money, number, reason, span, tail } from "./format.js";

const ORDER = ["customer_payments", "provider_clearing", "cash_in_hand", "cash_office", "restaurant_payable", "driver_payable", "taxes", "fees", "discounts", "refunds"];

export function view(root, { me }) {
  const finance = me.access === "finance" || me.access === "admin";
  const [figures, balances, unmatched, settlements, statements, books] = Array.from({ length: 6 }, () => h("div"));
  const said = h("p", { role: "status", class: "small soft" });
  const regionBox = h("span");
  let region = "";
  let found = null;
  let regionChoice = null;

  fill(root,
    h("div", { class: "head" }, h("h1", {}, "Money"), h("div", { class: "tools" }, regionBox)),
    figures,
    card("Does not match", h("button", { type: "button", onclick: () => save("/v1/money/unmatched?format=csv", "unmatched.csv") }, "Export CSV"), unmatched),
    card("Balances", null, balances),
    h("div", { class: "grid2" },
      card("Settlements", finance ? h("button", { type: "button", class: "main", onclick: settle }, "Settle up to now") : null, said, settlements),
      card("Provider statements", null, finance ? importer() : null, statements)),
    card("Books", null, books));

  async function load() {
    const [all, list, runs, imported] = await Promise.all(["/v1/money", "/v1/money/unmatched", "/v1/money/settlements", "/v1/money/statements"].map(get));
    found = { all, list: list.unmatched, runs: runs.settlements, imported: imported.statements };
    if (!regionBox.hasChildNodes()) {
      fill(regionBox, select("Region", [["", "All"], ...all.books.map((one) => [one.region, one.region])], "", (chosen) => { region = chosen; draw(); }));
      if (regionChoice) fill(regionChoice, all.books.map((one) => h("option", {}, one.region)));
    }
    draw();
  }

  const mine = (one) => !region || one.region === region;

  function draw() {
    const { all, list, runs, imported } = found;
    const kept = all.balances.filter(mine);
    fill(figures, summary(kept, list.filter(mine), all.books.filter(mine)));
    fill(unmatched, table("What does not match", [
      ["What", (one) => reason(one.reason)],
      ["Region", (one) => one.region],
      ["Order", (one) => (one.order_id ? h("a", { href: `#/orders/${one.order_id}`, class: "id", title: one.order_id }, tail(one.order_id)) : h("span", { class: "id" }, one.transaction_id || "–"))],
      ["Age", (one) => span(one.age_ms), "n"],
      ["Provider", (one) => money(one.provider_minor, one.currency), "n"],
      ["Books", (one) => money(one.ledger_minor, one.currency), "n"],
      ["Events", (one) => money(one.orders_minor, one.currency), "n"],
    ], list.filter(mine), ["Everything matches", "Provider, books and orders agree."]));
    fill(balances, table("Balances by account", [
      ["Account", (one) => account(one.account)],
      ["Currency", (one) => one.currency],
      ["Parties", (one) => number(one.parties), "n"],
      ["Debits", (one) => money(one.debit_minor, one.currency), "n"],
      ["Credits", (one) => money(one.credit_minor, one.currency), "n"],
      ["Balance", (one) => h("strong", {}, one.balance_minor === 0 ? money(0, one.currency) : `${money(Math.abs(one.balance_minor), one.currency)} ${one.balance_minor > 0 ? "debit" : "credit"}`), "n"],
    ], merged(kept), ["No postings yet", "Balances appear as soon as a region posts to its books."]));
    fill(settlements, table("Settlement runs", [
      ["Run", (run) => h("span", { class: "id", title: run.run_id }, tail(run.run_id))],
      ["When", (run) => dateTime(run.created_at)],
      ["Payouts", (run) => number(run.payouts), "n"],
      ["Amount", (run) => money(run.amount_minor, run.currency), "n"],
      ["", (run) => h("button", { type: "button", "aria-label": `Payouts of ${run.run_id} as CSV`, onclick: () => save(`/v1/money/settlements/${run.run_id}?format=csv`, `${run.run_id}.csv`) }, "CSV")],
    ], runs, ["Nothing settled yet", "A settlement pays restaurants and drivers what they are owed."]));
    fill(statements, table("Imported statements", [
      ["Provider", (one) => one.provider],
      ["Region", (one) => one.region],
      ["Covers", (one) => `${dateTime(one.from)} – ${dateTime(one.to)}`],
      ["Lines", (one) => number(one.lines), "n"],
    ], imported.filter(mine), ["No statements yet", "Import what the provider says, and it is matched against the books."]));
    fill(books, table("Books of the regions", [
      ["Region", (one) => one.region],
      ["Postings", (one) => number(one.postings), "n"],
      ["Sum of all accounts", (one) => (one.sum_minor === 0 ? badge("zero", "ok") : badge(`off by ${number(one.sum_minor)}`, "bad"))],
      ["Hash of the newest posting", (one) => (one.head ? h("code", { title: one.head }, one.head.slice(0, 16)) : "–")],
    ], all.books.filter(mine), ["No regions", "Let one in with tomato-hub region add."]));
  }

  async function settle() {
    const sure = await confirm("Settle up to now?", "Every restaurant and driver that is owed money gets a payout. A payout cannot be taken back.", "Settle");
    if (!sure) return;
    try {
      const { payouts } = await post("/v1/money/settlements", { until: new Date().toISOString(), ...(region ? { regions: [region] } : {}) });
      said.textContent = payouts.length ? `${number(payouts.length)} payouts made.` : "Nobody is owed anything new.";
    } catch (problem) {
      said.textContent = problem.message;
    }
    load();
  }

  function importer() {
    const file = h("input", { type: "file", accept: "application/json", required: true });
    const provider = select("Provider", [["stripe", "Stripe"], ["razorpay", "Razorpay"], ["simulated", "Simulated"]], "stripe", () => {});
    const where = h("select", { required: true });
    regionChoice = where;
    return h("form", { class: "tools", onsubmit: async (event) => {
      event.preventDefault();
      try {
        const query = new URLSearchParams({ provider: provider.querySelector("select").value, region: where.value });
        const done = await post(`/v1/money/statements?${query}`, await file.files[0].text());
        said.textContent = `${number(done.lines)} lines read, ${number(done.new)} of them new.`;
      } catch (problem) {
        said.textContent = problem.message;
      }
      load();
    } }, provider, h("label", {}, "Region", where), h("label", {}, "Statement (JSON)", file), h("button", {}, "Import"));
  }
  return { load };
}

/** The same account of several regions, added up. */
function merged(balances) {
  const sums = new Map();
  for (const one of balances) {
    const key = `${one.currency} ${one.account}`;
    const sum = sums.get(key) ?? { ...one, parties: 0, debit_minor: 0, credit_minor: 0, balance_minor: 0 };
    for (const field of ["parties", "debit_minor", "credit_minor", "balance_minor"]) sum[field] += one[field];
    sums.set(key, sum);
  }
  return [...sums.values()].sort((a, b) => (a.currency < b.currency ? -1 : a.currency > b.currency ? 1 : ORDER.indexOf(a.account) - ORDER.indexOf(b.account)));
}

function summary(balances, unmatched, books) {
  const sum = (...accounts) => {
    const byCurrency = {};
    for (const one of balances) if (accounts.includes(one.account)) byCurrency[one.currency] = (byCurrency[one.currency] ?? 0) + one.balance_minor;
    return Object.entries(byCurrency).map(([currency, minor]) => money(Math.abs(minor), currency)).join(" + ") || "–";
  };
  const whole = books.every((one) => one.sum_minor === 0);
  const postings = books.reduce((all, one) => all + one.postings, 0);
  return tiles([
    ["Held by the provider", sum("provider_clearing")],
    ["Cash with drivers", sum("cash_in_hand"), sum("cash_office") === "–" ? "" : `${sum("cash_office")} handed in`],
    ["Owed to restaurants", sum("restaurant_payable")],
    ["Owed to drivers", sum("driver_payable")],
    ["Unmatched", number(unmatched.length), unmatched.length ? `oldest ${span(Math.max(...unmatched.map((one) => one.age_ms)))}` : postings ? "all sides agree" : "events only: no books yet"],
    ["Books", postings === 0 ? "empty" : whole ? "in balance" : "off", `${number(postings)} postings`],
  ]);
}
