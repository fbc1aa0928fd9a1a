
// Draws plots, axis, lanes and the map of the whole run. It reads the state `s` and changes nothing of it.
const LANE = 24, GUTTER = 210, PLOT = 58;

function colours() {
  const style = getComputedStyle(document.documentElement), c = {};
  for (const name of ["ground", "panel", "ink", "soft", "line", "stripe", "accent", "select", "shade", "shade-line", "poll", "blocked", ...KINDS])
    c[name] = style.getPropertyValue("--" + name).trim();
  return c;
}

// A canvas of this size, cleared, with CSS pixels as units.
function open(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
    canvas.style.height = height + "px"; canvas.style.width = width + "px";
  }
  const g = canvas.getContext("2d");
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.clearRect(0, 0, width, height);
  g.font = "12px system-ui, sans-serif"; g.textBaseline = "middle";
  return g;
}

// What depends on the view alone is drawn once and kept: stepping from event to event only moves the mark above it.
const layers = {};
function layer(s, name, canvas, width, height, more, draw) {
  const key = [width, height, window.devicePixelRatio, s.from, s.to, s.steps, s.version, more].join();
  const kept = layers[name] || (layers[name] = { canvas: document.createElement("canvas") });
  if (kept.key !== key) { kept.key = key; draw(open(kept.canvas, width, height)); }
  const g = open(canvas, width, height);
  g.drawImage(kept.canvas, 0, 0, width, height);
  return g;
}

// Screen position of an event, and of a time.
function xOfEvent(s, i) { return xOf(s, s.steps ? i : s.m.at[i]); }
function xOfTime(s, t) { return xOf(s, s.steps ? stepOf(s.m, t) : t); }
function xOf(s, v) { return GUTTER + (v - s.from) / (s.to - s.from) * (s.width - GUTTER); }
function atX(s, x) { return s.from + (x - GUTTER) / (s.width - GUTTER) * (s.to - s.from); }
// The first event that is not left of the value.
function eventAt(s, v) { return s.steps ? Math.max(0, Math.min(s.m.n, Math.ceil(v))) : lower(s.m.at, v); }

function clipped(g, text, x, y, room) {
  if (room < 14) return;
  let shown = text;
  if (g.measureText(shown).width > room) {
    let lo = 0, hi = shown.length;
    while (lo < hi) { const mid = (lo + hi + 1) >> 1; if (g.measureText(text.slice(0, mid) + "…").width <= room) lo = mid; else hi = mid - 1; }
    shown = lo ? text.slice(0, lo) + "…" : "";
  }
  g.fillText(shown, x, y);
}

// Fault windows behind everything; `labels` where there is room for their names.
function shades(s, g, height, labels) {
  let label = -1;
  for (const w of s.m.windows) {
    const a = Math.max(GUTTER, xOfTime(s, w.from)), b = Math.min(s.width, Math.max(xOfTime(s, w.to), a + 1));
    if (b <= GUTTER || a >= s.width) continue;
    g.fillStyle = s.c.shade; g.fillRect(a, 0, b - a, height);
    g.strokeStyle = s.c["shade-line"]; g.globalAlpha = .5; g.beginPath(); g.moveTo(a + .5, 0); g.lineTo(a + .5, height); g.stroke(); g.globalAlpha = 1;
    if (labels && a > label) { g.fillStyle = s.c["shade-line"]; clipped(g, w.what, a + 4, 9, b - a - 6); label = b; }
  }
}

function drawPlots(s) {
  const rows = s.m.series.length, height = rows * PLOT;
  s.plots.style.display = rows ? "block" : "none";
  if (rows) cursor(s, layer(s, "plots", s.plots, s.width, height, "", g => { shades(s, g, height, true); s.m.series.forEach((series, row) => plot(s, g, series, row * PLOT)); }), height);
}

function plot(s, g, series, top) {
  const low = top + PLOT - 6, tall = PLOT - 18, where = s.steps ? series.steps : series.at;
  const lo = Math.max(0, lower(where, s.from) - 1), hi = Math.min(where.length, lower(where, s.to) + 1);
  const y = v => low - tall * (series.most ? Math.max(0, v) / series.most : 0);
  g.fillStyle = s.c.ink; clipped(g, series.name, 10, top + 16, GUTTER - 70);
  g.fillStyle = s.c.soft; g.textAlign = "right"; g.fillText(number(series.most), GUTTER - 8, top + 14); g.fillText("0", GUTTER - 8, low); g.textAlign = "left";
  g.strokeStyle = s.c.line; g.beginPath(); g.moveTo(0, top + PLOT - .5); g.lineTo(s.width, top + PLOT - .5); g.moveTo(GUTTER, low + .5); g.lineTo(s.width, low + .5); g.stroke();
  g.save(); g.beginPath(); g.rect(GUTTER, top, s.width - GUTTER, PLOT); g.clip();
  g.strokeStyle = s.c.accent; g.lineWidth = 1.5; g.beginPath();
  // Of many samples in one column: the first, the least, the most and the last.
  let column = NaN, min = 0, max = 0, last = 0, begun = false;
  const close = () => { if (begun) { g.lineTo(column, y(min)); g.lineTo(column, y(max)); g.lineTo(column, y(last)); } };
  for (let i = lo; i < hi; i++) {
    const x = Math.round(xOf(s, where[i])), v = series.value[i];
    if (x !== column) {
      close();
      if (begun) g.lineTo(x, y(last)); else g.moveTo(x, y(v));
      begun = true; column = x; min = max = v;
    }
    if (v < min) min = v; else if (v > max) max = v;
    last = v;
  }
  close();
  g.stroke(); g.restore(); g.lineWidth = 1;
}

// The time that an axis value stands for.
function timeAt(s, v) {
  if (!s.steps) return v;
  const i = Math.max(0, Math.min(s.m.n - 1, Math.floor(v)));
  return s.m.n ? s.m.at[i] : 0;
}

// Distances that read well: 1, 2 or 5 times a power of ten, or of a unit of time.
function ticks(from, to, most) {
  const rough = (to - from) / most;
  let step = Math.pow(10, Math.floor(Math.log10(rough)));
  for (const f of [1, 2, 5, 10]) if (step * f >= rough) { step *= f; break; }
  if (step >= 1e10) for (const s of [10e9, 15e9, 30e9, 60e9, 120e9, 300e9, 600e9, 900e9, 1800e9, 3600e9, 7200e9, 21600e9, 43200e9, 86400e9]) if (s >= rough) { step = s; break; }
  const out = [];
  for (let t = Math.ceil(from / step) * step; t <= to; t += step) out.push(t);
  return [out, step];
}

function drawAxis(s) {
  const g = open(s.axis, s.width, 24), many = Math.max(2, Math.floor((s.width - GUTTER) / 110));
  g.fillStyle = s.c.soft; g.fillText(s.steps ? "event, and its time" : "virtual time", 10, 12);
  const [marks, step] = ticks(s.from, s.to, many);
  for (const v of marks) {
    const x = xOf(s, v);
    if (x < GUTTER) continue;
    g.strokeStyle = s.c.line; g.beginPath(); g.moveTo(x + .5, 16); g.lineTo(x + .5, 24); g.stroke();
    const text = s.steps ? Math.round(v) + "  " + time(timeAt(s, v)) : time(v, step);
    if (x + 4 + g.measureText(text).width < s.width) g.fillText(text, x + 4, 11);
  }
}

function drawLanes(s) {
  const height = s.view.clientHeight, top = s.view.scrollTop;
  const g = layer(s, "lanes", s.canvas, s.width, height, top, g => {
    const first = Math.floor(top / LANE), last = Math.min(s.m.lanes.length, Math.ceil((top + height) / LANE));
    const lo = Math.max(0, eventAt(s, s.from) - 1), hi = Math.min(s.m.n, eventAt(s, s.to) + 1);
    for (let l = first; l < last; l++) if (l % 2) { g.fillStyle = s.c.stripe; g.fillRect(0, l * LANE - top, s.width, LANE); }
    shades(s, g, height, false);
    g.save(); g.beginPath(); g.rect(GUTTER, 0, s.width - GUTTER, height); g.clip();
    for (let l = first; l < last; l++) { drawSpans(s, g, l, l * LANE - top, lo, hi); drawEvents(s, g, l, l * LANE - top, lo, hi); }
    drawArrows(s, g, top, height, lo, hi);
    g.restore();
    for (let l = first; l < last; l++) {
      const y = l * LANE - top, lane = s.m.lanes[l], head = l === 0 || s.m.lanes[l - 1].host !== lane.host;
      if (head && l) { g.strokeStyle = s.c.line; g.beginPath(); g.moveTo(0, y + .5); g.lineTo(s.width, y + .5); g.stroke(); }
      g.fillStyle = s.c.soft; g.font = "11px system-ui, sans-serif"; clipped(g, head || l === first ? s.m.hosts[lane.host] || "" : "", 8, y + LANE / 2, 56);
      g.fillStyle = s.c.ink; g.font = "12px system-ui, sans-serif"; clipped(g, lane.name, 68, y + LANE / 2, GUTTER - 76);
    }
    g.strokeStyle = s.c.line; g.beginPath(); g.moveTo(GUTTER + .5, 0); g.lineTo(GUTTER + .5, height); g.stroke();
  });
  cursor(s, g, height);
  if (s.selected === null) return;
  const l = s.m.lane[s.selected], x = xOfEvent(s, s.selected), y = l * LANE - top;
  g.strokeStyle = s.c.select; g.lineWidth = 2; g.strokeRect(1, y + 1, GUTTER - 2, LANE - 2); g.lineWidth = 1;
  if (x >= GUTTER) { g.beginPath(); g.arc(x, y + LANE / 2, 7, 0, 7); g.stroke(); }
  g.save(); g.beginPath(); g.rect(GUTTER, 0, s.width - GUTTER, height); g.clip();
  for (const a of (s.m.to.get(s.selected) || []).concat(s.m.from.get(s.selected) || [])) arrow(s, g, s.m.arrows[a], top, 2, 1);
  g.restore();
}

// Stretches of equal values in `columns`, which begin at the gutter; 0 is nothing.
function runs(columns, draw) {
  for (let x = 0; x < columns.length;) {
    const value = columns[x], from = x;
    while (x < columns.length && columns[x] === value) x++;
    if (value) draw(GUTTER + from, x - from, value);
  }
}

function columns(s) { return new Uint8Array(Math.max(1, Math.ceil(s.width - GUTTER))); }

function drawSpans(s, g, l, y, lo, hi) {
  const polls = columns(s), waits = columns(s), scopes = columns(s), last = polls.length - 1;
  for (const [from, to, kind] of s.m.spans[l]) {
    if (from > hi) break;
    if (to < lo) continue;
    const a = Math.max(0, Math.floor(xOfEvent(s, from) - GUTTER)), b = Math.min(last, Math.floor(xOfEvent(s, to) - GUTTER));
    if (a <= b) [polls, waits, scopes][kind].fill(1, a, b + 1);
  }
  g.fillStyle = s.c.blocked; runs(waits, (x, w) => g.fillRect(x, y + LANE / 2 - 2, w, 4));
  g.fillStyle = s.c.poll; runs(polls, (x, w) => g.fillRect(x, y + 4, w, LANE - 8));
  g.fillStyle = s.c.log; runs(scopes, (x, w) => g.fillRect(x, y + 1, w, 2));
}

function drawEvents(s, g, l, y, lo, hi) {
  const m = s.m, list = m.byLane[l], mid = y + LANE / 2, a = lower(list, lo), b = lower(list, hi), seen = columns(s);
  // Of several events in one column the weightiest is seen.
  for (let k = a; k < b; k++) {
    const i = list[k], kind = m.kind[i], x = Math.floor(xOfEvent(s, i) - GUTTER);
    if (s.shown[kind] && x >= 0 && x < seen.length && kind + 1 > seen[x]) seen[x] = kind + 1;
  }
  runs(seen, (x, w, value) => {
    const kind = value - 1, tall = kind === 9 ? LANE - 4 : kind >= 6 ? LANE - 8 : kind === 5 ? 6 : LANE - 12;
    g.fillStyle = s.c[KINDS[kind]]; g.fillRect(x - 1, mid - tall / 2, w + (kind === 9 ? 3 : 1.5), tall);
  });
  if (b - a < seen.length) {
    g.fillStyle = s.c.ink;
    for (let k = a; k < b; k++) {
      const i = list[k], x = xOfEvent(s, i);
      if (!s.shown[m.kind[i]]) continue;
      let next = k + 1;
      while (next < list.length && !s.shown[m.kind[list[next]]]) next++;
      const room = (next < list.length ? xOfEvent(s, list[next]) : s.width) - x - 10;
      if (room > 44) clipped(g, m.texts[m.text[i]], x + 5, mid, Math.min(room, 420));
    }
  }
  if (s.hits) {
    const marks = columns(s);
    for (const i of s.hitsOf(l)) { const x = Math.floor(xOfEvent(s, i) - GUTTER); if (x >= 0 && x < marks.length) marks[x] = 1; }
    g.fillStyle = s.c.world; runs(marks, (x, w) => g.fillRect(x - 1, y + LANE - 4, w + 2, 3));
  }
}

// As many arrows as can be told apart.
function drawArrows(s, g, top, height, lo, hi) {
  for (const [kind, most] of [[0, 1200], [1, 250]]) {
    if (kind === 1 && !s.shown[2]) continue;
    const near = [];
    for (const a of s.m.arrows) {
      if (a[0] !== kind || a[2] < lo || a[1] > hi) continue;
      near.push(a);
      if (near.length > most) break;
    }
    if (near.length <= most) for (const a of near) arrow(s, g, a, top, 1, kind === 0 ? .75 : .4);
  }
  g.lineWidth = 1;
}

function arrow(s, g, [kind, from, to], top, width, alpha) {
  const x1 = xOfEvent(s, from), x2 = xOfEvent(s, to), y1 = s.m.lane[from] * LANE + LANE / 2 - top, y2 = s.m.lane[to] * LANE + LANE / 2 - top;
  if (kind === 1 && y1 === y2) return;
  g.strokeStyle = g.fillStyle = kind === 0 ? s.c.accent : s.c.wake; g.globalAlpha = alpha; g.lineWidth = width;
  g.setLineDash(kind === 0 ? [] : [3, 3]);
  const bend = Math.min(60, Math.abs(x2 - x1) / 2 + 6);
  g.beginPath(); g.moveTo(x1, y1); g.bezierCurveTo(x1 + bend, y1, x2 - bend, y2, x2, y2); g.stroke(); g.setLineDash([]);
  g.beginPath(); g.moveTo(x2, y2); g.lineTo(x2 - 6, y2 - 3); g.lineTo(x2 - 6, y2 + 3); g.fill();
  g.globalAlpha = 1;
}

function cursor(s, g, height) {
  if (s.selected === null) return;
  const x = xOfEvent(s, s.selected);
  if (x < GUTTER || x > s.width) return;
  g.strokeStyle = s.c.select; g.lineWidth = 2; g.beginPath(); g.moveTo(x, 0); g.lineTo(x, height); g.stroke(); g.lineWidth = 1;
}

function drawMap(s) {
  const height = 30, span = s.width - GUTTER, m = s.m, whole = s.steps ? m.n : m.end;
  const x = v => GUTTER + v / whole * span, key = [s.width, s.steps, s.version].join();
  if (layers.map === undefined || layers.map.key !== key) {
    const canvas = document.createElement("canvas"), g = open(canvas, s.width, height), bins = new Uint32Array(Math.max(1, Math.ceil(span)));
    layers.map = { key, canvas };
    g.fillStyle = s.c.soft; g.fillText("whole run", 10, height / 2);
    g.fillStyle = s.c.shade;
    for (const w of m.windows) { const a = x(s.steps ? stepOf(m, w.from) : w.from), b = x(s.steps ? stepOf(m, w.to) : w.to); g.fillRect(a, 0, Math.max(1, b - a), height); }
    for (let i = 0; i < m.n; i++) bins[Math.min(bins.length - 1, Math.floor((s.steps ? i : m.at[i]) / whole * span))]++;
    let most = 1;
    for (const b of bins) if (b > most) most = b;
    g.fillStyle = s.c.wait;
    bins.forEach((b, i) => { if (b) { const tall = 3 + 19 * Math.log1p(b) / Math.log1p(most); g.fillRect(GUTTER + i, height - tall, 1, tall); } });
    if (s.hits) {
      const marks = columns(s);
      for (const i of s.hits) marks[Math.min(marks.length - 1, Math.floor(x(s.steps ? i : m.at[i]) - GUTTER))] = 1;
      g.fillStyle = s.c.world; runs(marks, (x, w) => g.fillRect(x, 0, w + 1, 5));
    }
  }
  const g = open(s.map, s.width, height);
  g.drawImage(layers.map.canvas, 0, 0, s.width, height);
  const a = x(s.from), b = x(s.to);
  g.fillStyle = s.c.accent; g.globalAlpha = .15; g.fillRect(a, 0, Math.max(3, b - a), height); g.globalAlpha = 1;
  g.strokeStyle = s.c.accent; g.strokeRect(a + .5, .5, Math.max(3, b - a) - 1, height - 1);
  if (s.selected !== null) { g.fillStyle = s.c.select; g.fillRect(x(s.steps ? s.selected : m.at[s.selected]) - 1, 0, 2, height); }
}
