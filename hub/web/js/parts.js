// MapLibre and uPlot. They come through npm and are built into the hub by ./scripts/install-page; a hub that was built
// without them says so in /v1/me, and the page then shows tables where maps and lines would be.

export const MISSING = "This hub was built without the map and chart libraries. Run ./scripts/install-page and build it again; until then the figures stand in tables.";

let maplibre = null;
let uplot = null;

/** MapLibre GL JS, fetched once; `null` where it is not built in or the browser has no WebGL. */
export async function loadMap(me) {
  if (!me.page_libraries || !hasWebGl()) return null;
  maplibre ??= import("/ui/vendor/maplibre-gl.mjs").then((found) => {
    found.setWorkerUrl("/ui/vendor/maplibre-gl-worker.mjs");
    return found;
  });
  return maplibre;
}

function hasWebGl() {
  try {
    return Boolean(document.createElement("canvas").getContext("webgl2"));
  } catch {
    return false;
  }
}

/** uPlot, fetched once; `null` where it is not built in. */
export async function loadChart(me) {
  if (!me.page_libraries) return null;
  uplot ??= import("/ui/vendor/uPlot.esm.js").then((found) => {
    const sheet = document.createElement("link");
    sheet.rel = "stylesheet";
    sheet.href = "/ui/vendor/uPlot.min.css";
    document.head.append(sheet);
    return found.default;
  });
  return uplot;
}
