// The hub's API: requests with the token, and the stream of changes.

const KEY = "tomato-hub-token";

/** A token that came with the link (`#token=...`) is kept for this tab and taken out of the address. */
export function takeToken() {
  const found = /^#token=([\w.-]+)$/.exec(location.hash);
  if (found) {
    sessionStorage.setItem(KEY, found[1]);
    history.replaceState(null, "", `${location.pathname}#/`);
  }
  return sessionStorage.getItem(KEY);
}
export const setToken = (token) => sessionStorage.setItem(KEY, token.trim());
export const dropToken = () => sessionStorage.removeItem(KEY);
export const token = () => sessionStorage.getItem(KEY);

/** A refusal, as the hub words it. */
export class Problem extends Error {
  constructor(status, body) {
    super(body?.detail ?? body?.title ?? `the hub answered ${status}`);
    this.status = status;
  }
}

async function ask(method, path, body, type, more) {
  let response;
  try {
    response = await fetch(path, {
      method, body,
      headers: { authorization: `Bearer ${token()}`, ...more, ...(body === undefined ? {} : { "content-type": type ?? "application/json" }) },
    });
  } catch {
    throw new Problem(0, { detail: "The hub cannot be reached." });
  }
  if (!response.ok) throw new Problem(response.status, await response.json().catch(() => null));
  return response;
}

export const get = async (path) => (await ask("GET", path)).json();
export const post = async (path, body) => (await ask("POST", path, typeof body === "string" ? body : JSON.stringify(body ?? {}))).json();

/** Replaces a document, unless somebody else has since `version` was read. */
export const put = async (path, body, version) => (await ask("PUT", path, JSON.stringify(body), null, { "if-match": `"${version}"` })).json();

/** Saves an answer as a file. */
export async function save(path, name) {
  const response = await ask("GET", path);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** Calls `told` with every message of the stream, and `state` with on or off; connects again by itself. */
export function live(told, state) {
  let socket;
  let wait = 500;
  let ended = false;
  const open = () => {
    if (ended) return;
    const url = `${location.origin.replace(/^http/, "ws")}/v1/live`;
    socket = new WebSocket(url, ["json", `bearer.${token()}`]);
    socket.onopen = () => { wait = 500; state("on"); };
    socket.onmessage = (message) => told(JSON.parse(message.data));
    socket.onclose = () => {
      state("off");
      setTimeout(open, wait);
      wait = Math.min(wait * 2, 15000);
    };
  };
  open();
  return () => { ended = true; socket?.close(); };
}
