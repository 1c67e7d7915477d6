// The small maps of the region cards: where places lie (Web Mercator), and which colour a value has.

/** World coordinates, 0 to 1. */
export function world([lng, lat]) {
  const sin = Math.sin((Math.max(-85, Math.min(85, lat)) * Math.PI) / 180);
  return [(lng + 180) / 360, 0.5 - Math.log((1 + sin) / (1 - sin)) / (4 * Math.PI)];
}

/** A view that shows all of `places` (world coordinates) in a box of `width` by `height` pixels. */
export function fit(places, width, height, margin) {
  const xs = places.map(([x]) => x);
  const ys = places.map(([, y]) => y);
  const box = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
  const scale = Math.min((width - 2 * margin) / (box[2] - box[0] || 1e-5), (height - 2 * margin) / (box[3] - box[1] || 1e-5));
  return { x: (box[0] + box[2]) / 2, y: (box[1] + box[3]) / 2, scale };
}

export const screen = (view, [x, y], width, height) => [(x - view.x) * view.scale + width / 2, (y - view.y) * view.scale + height / 2];

/** Canvas of the size that the page gives it, sharp on every screen. */
export function sharpen(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { pen, width, height };
}

/** Colours of the page's theme, read once per drawing. */
export function colours() {
  const style = getComputedStyle(document.documentElement);
  const one = (name) => style.getPropertyValue(name).trim();
  const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  const [low, high] = [rgb(one("--low")), rgb(one("--high"))];
  return {
    ground: one("--map-bg"), low: one("--low"), high: one("--high"), idle: one("--s3"),
    zero: one("--map-zero"), line: one("--map-line"), card: one("--card"), text: one("--text"), ok: one("--s4"), way: one("--s2"), wait: one("--s1"),
    ramp: (share) => `rgb(${low.map((part, n) => Math.round(part + (high[n] - part) * share)).join(" ")})`,
  };
}

/** How strong a value shows: square root, so that quiet cells differ, too. */
export const share = (value, most) => (most > 0 ? Math.sqrt(Math.min(1, value / most)) : 0);

/** Draws the cells of a region. `value`: of a cell's id; null or 0 shows the empty colour. */
export function drawCells(pen, cells, view, width, height, value, most, palette) {
  pen.lineWidth = view.scale > 60000 ? 1 : 0.5;
  pen.strokeStyle = palette.line;
  for (const cell of cells) {
    pen.beginPath();
    cell.ring.forEach((place, n) => {
      const [x, y] = screen(view, place, width, height);
      if (n === 0) pen.moveTo(x, y); else pen.lineTo(x, y);
    });
    pen.closePath();
    const here = value(cell.id);
    pen.fillStyle = here ? palette.ramp(share(here, most)) : palette.zero;
    pen.fill();
    pen.stroke();
  }
}
