// Numbers, money, times and states, as people read them.

const numbers = new Intl.NumberFormat("en");

export const number = (value) => (value === null || value === undefined ? "–" : numbers.format(value));

/** How a currency is written, in full and short, and what one of it is in minor units. Making these is slow, so they stay. */
const styles = new Map();
function styleOf(currency) {
  if (!styles.has(currency)) {
    const full = new Intl.NumberFormat("en", { style: "currency", currency });
    const short = new Intl.NumberFormat("en", { style: "currency", currency, notation: "compact", maximumFractionDigits: 1 });
    styles.set(currency, { full, short, minor: 10 ** full.resolvedOptions().maximumFractionDigits });
  }
  return styles.get(currency);
}

/** An amount in minor units. The currency's own number of digits decides where the point goes. */
export function money(minor, currency) {
  if (minor === null || minor === undefined) return "–";
  if (!currency) return numbers.format(minor);
  const style = styleOf(currency);
  return style.full.format(minor / style.minor);
}

/** Large amounts, short. */
export function moneyShort(minor, currency) {
  const style = styleOf(currency);
  return style.short.format(minor / style.minor);
}

/** A span of milliseconds. */
export function span(ms) {
  if (ms === null || ms === undefined) return "–";
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 1) return ms < 1 ? "0 s" : `${Math.round(ms)} ms`;
  if (seconds < 100) return `${seconds} s`;
  if (seconds < 6000) return `${Math.floor(seconds / 60)} min ${seconds % 60 ? `${seconds % 60} s` : ""}`.trim();
  if (seconds < 172800) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / 86400)} days`;
}

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const short = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

export const time = (at) => (at ? clock.format(new Date(at)) : "–");
export const dateTime = (at) => (at ? short.format(new Date(at)) : "–");
export const axisTime = (at, step) => (step === "day" ? day : step === "hour" ? short : clock).format(new Date(at)).replace(/:\d\d$/, (part) => (step === "minute" ? "" : part));

/** Times of an axis, seconds since 1970, `step` apart: the day stands below the first time of each. */
export function axisMarks(seconds, step) {
  let last = "";
  return seconds.map((at) => {
    const [date, hour] = [day.format(at * 1000), clock.format(at * 1000).slice(0, 5)];
    const same = date === last;
    last = date;
    return step >= 86400 ? date : same ? hour : `${hour}\n${date}`;
  });
}

/** The end of an id: enough for the eye; the whole is in the title. */
export const tail = (id) => (id ? `${id.slice(0, 3)}…${id.slice(-6)}` : "–");

const STATES = {
  PENDING: ["Waiting for payment", "none"],
  CONFIRMED: ["Waiting for restaurant", "warn"],
  PREPARING: ["Cooking", "info"],
  READY_FOR_PICKUP: ["Waiting for driver", "warn"],
  OUT_FOR_DELIVERY: ["On the way", "info"],
  DELIVERED: ["Delivered", "ok"],
  CANCELLED: ["Cancelled", "bad"],
  PAYMENT_FAILED: ["Payment failed", "bad"],
};
export const stateNames = Object.entries(STATES).map(([state, [text]]) => [state, text]);
export const state = (name) => STATES[name] ?? [name, ""];

const REASONS = {
  ledger_amount: "Books and events name different amounts",
  ledger_missing: "Paid, but nothing in the books",
  ledger_open: "Order has ended, its account has not",
  payment_missing: "Delivered, but not paid in full",
  payment_too_high: "More was taken than the order costs",
  refund_missing: "Ended without a refund",
  refund_too_high: "More went back than was taken",
  refund_failed: "The provider will not refund",
  refund_late: "Refund is taking long",
  provider_unknown: "On the statement, unknown to us",
  provider_missing: "Taken by us, not on the statement",
  provider_amount: "Statement has another amount",
  provider_currency: "Statement has another currency",
  provider_refund_missing: "Refund is not on the statement",
  provider_refund_unknown: "Refund on the statement only",
};
export const reason = (code) => REASONS[code] ?? code;

const ACCOUNTS = {
  customer_payments: "Customer payments, not yet delivered",
  provider_clearing: "Held by the payment provider",
  cash_in_hand: "Cash in drivers' hands",
  cash_office: "Cash handed in",
  restaurant_payable: "Owed to restaurants",
  driver_payable: "Owed to drivers",
  fees: "Fees earned",
  taxes: "Taxes to pass on",
  discounts: "Discounts borne",
  refunds: "Refunds borne",
};
export const account = (code) => ACCOUNTS[code] ?? code;

const RULES = {
  region_silent: "Region silent",
  sync_lag: "Events are late",
  payment_failures: "Payments fail",
  unaccepted_orders: "Restaurants do not answer",
  no_drivers: "No drivers",
  ledger_mismatch: "Money does not match",
  clock_skew: "Clock is off",
};
export const rule = (code) => RULES[code] ?? code;

const SPANS = {
  placement: "Tap to order",
  payment: "Order to payment",
  acceptance: "Restaurant's answer",
  preparation: "Cooking",
  assignment: "Finding a driver",
  pickup: "Waiting at the restaurant",
  delivery: "On the way",
  click_to_door: "Order to door",
};
export const spanName = (code) => SPANS[code] ?? code;
export const spanOrder = Object.keys(SPANS);
