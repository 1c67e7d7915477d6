// Making and filling elements. Text goes in as text, so nothing that an event says becomes markup.

/** An element. `props`: attributes; functions become listeners, `class` and `data-*` as they are written. */
export function h(tag, props, ...children) {
  const element = tag.startsWith("svg:")
    ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4))
    : document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.replace(/^on/, ""), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Replaces what an element holds. */
export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A card with a heading, and tools at its right. */
export function card(title, tools, ...children) {
  const id = `h-${title.toLowerCase().replace(/[^a-z]+/g, "-")}`;
  return h("section", { class: "card", "aria-labelledby": id },
    h("div", { class: "head" }, h("h2", { id }, title), tools ? h("div", { class: "tools" }, tools) : null),
    children);
}

/** A table. `columns`: [title, how to show a row, "n" for numbers or "wrap"]. */
export function table(caption, columns, rows, empty) {
  if (rows.length === 0) return emptyState(empty[0], empty[1]);
  // On a narrow screen the cells stand below each other, with their column's name; the roles say that it is a table still.
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    h("table", { class: "rows", role: "table" },
      h("caption", { class: "hidden" }, caption),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, columns.map(([title, , kind]) => h("th", { scope: "col", role: "columnheader", class: kind }, title)))),
      h("tbody", { role: "rowgroup" }, rows.map((row) => h("tr", { role: "row" }, columns.map(([title, show, kind]) => h("td", { class: kind, role: "cell", "data-title": title }, show(row))))))));
}

export function emptyState(title, text) {
  return h("div", { class: "empty" }, h("strong", {}, title), text);
}

export function badge(text, kind) {
  return h("span", { class: `badge ${kind ?? ""}` }, text);
}

/** Figures in a row: [name, value, note]. */
export function tiles(list) {
  return h("dl", { class: "tiles" }, list.map(([name, value, note]) =>
    h("div", { class: "tile" }, h("dt", {}, name), h("dd", {}, value), note ? h("dd", { class: "note" }, note) : null)));
}

/** A group of buttons of which one is pressed. */
export function choice(label, options, chosen, onChoose) {
  const group = h("div", { class: "choice", role: "group", "aria-label": label });
  const draw = (now) => fill(group, options.map(([value, text]) =>
    h("button", { type: "button", "aria-pressed": String(value === now), onclick: () => { draw(value); onChoose(value); } }, text)));
  draw(chosen);
  return group;
}

export function select(label, options, chosen, onChange) {
  const box = h("select", { onchange: (event) => onChange(event.target.value) },
    options.map(([value, text]) => h("option", { value, selected: value === chosen }, text)));
  box.value = chosen;
  return h("label", {}, label, box);
}

/** Asks for a line of text; null where none is given. */
export function askText(title, label, action) {
  return new Promise((resolve) => {
    const box = h("input", { type: "text", required: true, maxlength: "200", autocomplete: "off" });
    const form = h("form", { method: "dialog", class: "stack" },
      h("h2", { id: "ask" }, title), h("label", {}, label, box),
      h("div", { class: "tools" },
        h("button", { type: "button", onclick: () => dialog.close("no") }, "Cancel"),
        h("button", { class: "main", value: "yes" }, action)));
    const dialog = h("dialog", { "aria-labelledby": "ask" }, form);
    dialog.addEventListener("close", () => { dialog.remove(); resolve(dialog.returnValue === "yes" ? box.value.trim() || null : null); });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Asks before something is done that cannot be undone. */
export function confirm(title, text, action) {
  return new Promise((resolve) => {
    const dialog = h("dialog", { "aria-labelledby": "ask" },
      h("h2", { id: "ask" }, title), h("p", { class: "soft" }, text),
      h("div", { class: "tools" },
        h("button", { type: "button", onclick: () => dialog.close("no") }, "Cancel"),
        h("button", { type: "button", class: "main", onclick: () => dialog.close("yes") }, action)));
    dialog.addEventListener("close", () => { dialog.remove(); resolve(dialog.returnValue === "yes"); });
    document.body.append(dialog);
    dialog.showModal();
  });
}
