// What is going wrong, who has seen it, and what the hub stumbled over.

import { get, post } from "./api.js";
import { badge, card, fill, h, table } from "./dom.js";
import { dateTime, number, rule, span, tail } from "./format.js";

export function view(root, { me }) {
  const may = me.access === "operator" || me.access === "admin";
  const [open, over, odd] = [h("div"), h("div"), h("div")];
  const said = h("p", { role: "status", class: "small soft" });
  fill(root, h("div", { class: "head" }, h("h1", {}, "Alerts")), card("Open", null, said, open), card("Over", null, over), card("Contradictions in the events", null, odd));

  async function load() {
    const [{ alerts }, { anomalies }] = await Promise.all([get("/v1/alerts"), get("/v1/anomalies")]);
    fill(open, table("Open alerts", [
      ["What", (alert) => h("strong", {}, rule(alert.rule))],
      ["Region", (alert) => alert.region],
      ["Detail", (alert) => alert.detail, "wrap"],
      ["For", (alert) => span(Date.now() - Date.parse(alert.opened_at)), "n"],
      ["Seen by", (alert) => (alert.acked_by ? `${tail(alert.acked_by)}, ${dateTime(alert.acked_at)}` : may
        ? h("button", { type: "button", "aria-label": `Acknowledge: ${rule(alert.rule)} in ${alert.region}`, onclick: () => acknowledge(alert.id) }, "Acknowledge")
        : badge("nobody", "warn"))],
    ], alerts.filter((alert) => !alert.closed_at), ["Nothing is going wrong", "No rule fires in any region."]));
    fill(over, table("Alerts that are over", [
      ["What", (alert) => rule(alert.rule)],
      ["Region", (alert) => alert.region],
      ["Detail", (alert) => alert.detail, "wrap"],
      ["Began", (alert) => dateTime(alert.opened_at)],
      ["Lasted", (alert) => span(Date.parse(alert.seen_at) - Date.parse(alert.opened_at)), "n"],
    ], alerts.filter((alert) => alert.closed_at).slice(0, 100), ["None yet", "Alerts that are over are kept here."]));
    fill(odd, table("Contradictions", [
      ["What", (one) => badge(one.kind.replace(/_/g, " "), "warn")],
      ["Region", (one) => one.region],
      ["Event", (one) => number(one.seq), "n"],
      ["When", (one) => dateTime(one.at)],
      ["Order", (one) => (one.order_id ? h("a", { href: `#/orders/${one.order_id}`, class: "id" }, tail(one.order_id)) : "–")],
      ["Detail", (one) => one.detail, "wrap"],
    ], anomalies, ["None", "Every event fits what came before it."]));
  }

  async function acknowledge(id) {
    try {
      await post(`/v1/alerts/${id}/ack`);
      said.textContent = "";
    } catch (problem) {
      said.textContent = problem.message;
    }
    load();
  }
  return { load };
}
