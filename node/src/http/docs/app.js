// Shows /openapi.json and sends calls from it. Texts of the document and of answers are only ever set as text.

const $ = (id) => document.getElementById(id);

/** An element with properties and children; children that are null are left out. */
function el(tag, props = {}, ...children) {
  const element = Object.assign(document.createElement(tag), props);
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

let api;

/** What a reference leads to, with what stands beside it. */
function resolve(value) {
  if (!value?.$ref) return value;
  const { $ref, ...beside } = value;
  const target = $ref.split("/").slice(1).reduce((at, part) => at?.[part.replaceAll("~1", "/").replaceAll("~0", "~")], api);
  return { ...resolve(target), ...beside };
}

/** The alternatives of a schema without `null`. */
function choices(schema) {
  const all = schema.oneOf ?? schema.anyOf;
  return all?.map(resolve).filter((one) => one.type !== "null");
}

const isWord = (schema) => "const" in schema || schema.enum;

/** A schema's type and limits in a few words. */
function describe(schema) {
  const some = choices(schema);
  if (some?.length === 1) return describe(some[0]);
  if (some?.every(isWord)) return some.map((one) => JSON.stringify(one.const ?? one.enum[0])).join(" | ");
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((word) => JSON.stringify(word)).join(" | ");
  const words = [[schema.type ?? (some ? "one of" : "any")].flat().join(" or ")];
  if (schema.format && !/^u?int|double|float/.test(schema.format)) words.push(schema.format);
  if (schema.items) words.push(`of ${describe(resolve(schema.items))}`);
  const range = (from, to, unit) => {
    if (from !== undefined || to !== undefined) words.push(`${from ?? "…"} to ${to ?? "…"}${unit}`);
  };
  range(schema.minimum, schema.maximum, "");
  range(schema.minLength, schema.maxLength, " characters");
  range(schema.minItems, schema.maxItems, " entries");
  return words.join(", ");
}

/** A schema's fields as a tree, a few levels deep; deeper ones can be looked up where they are described. */
function tree(schema, depth = 0) {
  const inner = schema.items ? resolve(schema.items) : schema;
  const some = choices(inner);
  if (some && !some.every(isWord)) {
    return some.length === 1 ? tree(some[0], depth) : el("ul", { className: "schema" }, some.map((one) => el("li", {}, el("p", { textContent: one.description ?? "" }), tree(one, depth + 1))));
  }
  if (!inner.properties || depth > 5) return null;
  const rows = Object.entries(inner.properties).map(([name, value]) => {
    const field = resolve(value);
    const needed = inner.required?.includes(name);
    return el("li", {},
      el("p", {},
        el("code", { textContent: name, className: needed ? "need" : "", title: needed ? "required" : "may be left out" }), " ",
        el("span", { className: "type", textContent: describe(field) }),
        field.description ? ` ${field.description}` : null),
      tree(field, depth + 1));
  });
  return el("ul", { className: "schema" }, rows);
}

/** Something that a schema would take. */
function example(schema, depth = 0) {
  const some = choices(schema);
  if (some?.length) return example(some[0], depth);
  if ("default" in schema && schema.default !== null) return schema.default;
  if ("const" in schema) return schema.const;
  if (schema.enum) return schema.enum[0];
  const type = [schema.type].flat().find((name) => name !== "null");
  if (schema.properties) {
    const needed = Object.entries(schema.properties).filter(([name]) => schema.required?.includes(name));
    return depth > 6 ? {} : Object.fromEntries(needed.map(([name, value]) => [name, example(resolve(value), depth + 1)]));
  }
  if (type === "array") return [example(resolve(schema.items ?? {}), depth + 1)];
  if (type === "integer" || type === "number") return Math.max(schema.minimum ?? 0, 0);
  if (type === "boolean") return true;
  if (schema.format === "date-time") return new Date().toISOString();
  const id = /^\^([a-z]{3})_/.exec(schema.pattern ?? "");
  return id ? `${id[1]}_01h455vb4pex5vsknk084sn02q` : "text";
}

function parameterField(parameter) {
  const input = el("input", { name: parameter.name, autocomplete: "off", placeholder: describe(resolve(parameter.schema)) });
  input.dataset.in = parameter.in;
  input.required = Boolean(parameter.required);
  if (/^idempotency-key$/i.test(parameter.name)) input.value = crypto.randomUUID?.() ?? String(Math.random()).slice(2);
  return el("label", { className: "field" },
    el("code", { textContent: parameter.name + (parameter.required ? " *" : "") }), input,
    parameter.description ? el("small", { textContent: parameter.description }) : null);
}

/** The request that a form describes. */
function request(form, method, path) {
  const headers = {};
  const query = new URLSearchParams();
  let url = path;
  for (const input of form.querySelectorAll("input[data-in]")) {
    if (!input.value) continue;
    if (input.dataset.in === "path") url = url.replace(`{${input.name}}`, encodeURIComponent(input.value));
    else if (input.dataset.in === "query") query.set(input.name, input.value);
    else headers[input.name] = input.value;
  }
  if ($("token").value.trim()) headers.Authorization = `Bearer ${$("token").value.trim()}`;
  const body = form.querySelector("textarea")?.value;
  if (body) headers["Content-Type"] = "application/json";
  return [query.size ? `${url}?${query}` : url, { method: method.toUpperCase(), headers, body: body || undefined }];
}

async function send(form, method, path, out) {
  const [url, options] = request(form, method, path);
  out.hidden = false;
  out.textContent = "…";
  const started = performance.now();
  try {
    const answer = await fetch(url, options);
    const text = await answer.text();
    let shown = text;
    try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* Not JSON: shown as it came. */ }
    const headers = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    out.textContent = `${answer.status} ${answer.statusText} in ${Math.round(performance.now() - started)} ms\n${headers}\n\n${shown}`;
  } catch (fault) {
    out.textContent = `No answer: ${fault.message}`;
  }
}

function tryForm(method, path, operation) {
  const parameters = (operation.parameters ?? []).map(resolve);
  const shape = operation.requestBody?.content?.["application/json"]?.schema;
  const body = shape ? el("textarea", { spellcheck: false, ariaLabel: "Body", value: JSON.stringify(example(resolve(shape)), null, 2) }) : null;
  const out = el("pre", { hidden: true, tabIndex: 0 });
  const form = el("form", {}, parameters.map(parameterField), body, el("p", {}, el("button", { textContent: "Send" })));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form, method, path, out);
  });
  return [form, out];
}

function answers(operation) {
  const rows = Object.entries(operation.responses).map(([status, value]) => {
    const response = resolve(value);
    const schema = Object.values(response.content ?? {})[0]?.schema;
    const codes = schema?.allOf?.find((one) => one.properties?.code)?.properties.code.enum;
    if (codes) return el("li", {}, el("code", { textContent: status }), ` ${codes.join(", ") || response.description}`);
    return el("li", {}, el("code", { textContent: status }), ` ${response.description}`, schema ? tree(resolve(schema)) : null);
  });
  return el("ul", { className: "schema" }, rows);
}

function fill(details, method, path, operation) {
  const shape = operation.requestBody?.content?.["application/json"]?.schema;
  const roles = operation["x-roles"]?.join(", ") ?? "anybody";
  details.append(el("div", {},
    el("p", { className: "roles", textContent: `For ${roles}. Load class ${operation["x-load-class"]}.` }),
    shape && resolve(shape).properties ? [el("h3", { textContent: "Body" }), tree(resolve(shape))] : null,
    el("h3", { textContent: "Try it" }), tryForm(method, path, operation),
    el("h3", { textContent: "Answers" }), answers(operation)));
}

function card(method, path, operation) {
  const details = el("details", { className: "operation", id: operation.operationId },
    el("summary", {},
      el("span", { className: `method ${method}`, textContent: method.toUpperCase() }),
      el("span", { className: "path", textContent: path }),
      el("span", { className: "about", textContent: operation.summary })));
  details.dataset.text = `${method} ${path} ${operation.summary} ${operation["x-roles"] ?? ""}`.toLowerCase();
  // Filled when it is first opened: the page stays quick however many operations there are.
  details.addEventListener("toggle", () => fill(details, method, path, operation), { once: true });
  return details;
}

function show() {
  $("version").textContent = api.info.version;
  const sections = new Map(api.tags.map((tag) => [tag.name, el("section", {}, el("h2", { textContent: tag.name }))]));
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      sections.get(operation.tags[0])?.append(card(method, path, operation));
    }
  }
  $("main").replaceChildren(el("p", { textContent: api.info.description }), ...sections.values());
}

function filter() {
  const words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const section of document.querySelectorAll("section")) {
    const cards = [...section.querySelectorAll("details.operation")];
    for (const one of cards) one.hidden = !words.every((word) => one.dataset.text.includes(word));
    section.hidden = cards.every((one) => one.hidden);
  }
}

try {
  const answer = await fetch("/openapi.json");
  if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
  api = await answer.json();
  show();
  $("filter").addEventListener("input", filter);
  const linked = location.hash && document.getElementById(location.hash.slice(1));
  if (linked) {
    linked.open = true;
    linked.scrollIntoView();
  }
} catch (fault) {
  $("main").replaceChildren(el("p", { textContent: `/openapi.json cannot be read: ${fault.message}` }));
}
