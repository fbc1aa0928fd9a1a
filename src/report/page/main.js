
// The page: what people press, and what happens then. One state `s`; every change ends in `redraw`.
const $ = id => document.getElementById(id);
const make = (name, text, cls) => { const e = document.createElement(name); if (text !== undefined) e.textContent = text; if (cls) e.className = cls; return e; };
const ROW = 22;

const doc = JSON.parse($("data").textContent);
const s = {
  m: decode(doc), c: null, width: 0, from: 0, to: 1, steps: false, selected: null, hits: null, version: 0,
  shown: KINDS.map(k => k !== "scheduler"), list: [], plots: $("plots"), axis: $("axis"), canvas: $("canvas"), view: $("lanes"), map: $("map"),
};
s.hitsOf = lane => s.hitLanes[lane] || [];

function whole() { return s.steps ? Math.max(1, s.m.n) : s.m.end * 1.005; }

let pending = false;
function redraw() {
  if (pending) return;
  pending = true;
  requestAnimationFrame(() => { pending = false; paint(); });
}

function paint() {
  s.width = $("time").clientWidth - 2;
  drawPlots(s); drawAxis(s); drawLanes(s); drawMap(s); rows();
  if (!performance.getEntriesByName("squall-painted").length) performance.mark("squall-painted");
}

// --- the view

function look(from, to) {
  const all = whole(), least = s.steps ? 4 : 50, span = Math.min(all, Math.max(least, to - from));
  const start = Math.min(Math.max(0, (from + to - span) / 2), all - span);
  s.from = start; s.to = start + span;
  redraw();
}
function zoom(factor, x) {
  const at = x === undefined ? (s.from + s.to) / 2 : atX(s, Math.max(GUTTER, x));
  look(at - (at - s.from) * factor, at + (s.to - at) * factor);
}
function pan(share) { const by = (s.to - s.from) * share; const all = whole(); const from = Math.min(Math.max(0, s.from + by), all - (s.to - s.from)); look(from, from + s.to - s.from); }
function fit() { look(0, whole()); }
function scale(steps) {
  if (steps !== s.steps) {
    const m = s.m, turn = steps ? v => stepOf(m, v) : v => (v >= m.n ? m.end : timeAt(Object.assign({}, s, { steps: true }), v));
    const [from, to] = [turn(s.from), turn(s.to)], all = s.to - s.from >= whole() * .99;
    s.steps = steps;
    if (all) fit(); else look(from, Math.max(to, from + 1));
  }
  $("scale-time").setAttribute("aria-pressed", String(!s.steps)); $("scale-steps").setAttribute("aria-pressed", String(s.steps));
}

// --- the selected event

function select(i, show = true) {
  if (i === null || i < 0 || i >= s.m.n) return;
  s.selected = i;
  const v = s.steps ? i : s.m.at[i], span = s.to - s.from;
  if (show && (v < s.from + span * .02 || v > s.to - span * .02)) look(v - span / 2, v + span / 2);
  const y = s.m.lane[i] * LANE;
  if (show && (y < s.view.scrollTop || y + LANE > s.view.scrollTop + s.view.clientHeight)) s.view.scrollTop = y - s.view.clientHeight / 2;
  const row = lower(s.list, i), list = $("list");
  if (s.list[row] === i && (row * ROW < list.scrollTop || (row + 1) * ROW > list.scrollTop + list.clientHeight)) list.scrollTop = row * ROW - list.clientHeight / 2;
  detail(); redraw();
}
function step(by, lane) {
  const list = lane && s.selected !== null ? s.m.byLane[s.m.lane[s.selected]] : s.list;
  if (!list.length) return;
  if (s.selected === null) return select(by > 0 ? list[0] : list[list.length - 1]);
  const at = lower(list, s.selected), on = list[at] === s.selected;
  select(list[Math.min(list.length - 1, Math.max(0, by > 0 ? at + (on ? 1 : 0) : at - 1))]);
}

function laneName(l) { const lane = s.m.lanes[l]; return (s.m.hosts.length > 1 ? s.m.hosts[lane.host] + ": " : "") + lane.name; }

function detail() {
  const m = s.m, i = s.selected, box = $("detail");
  box.replaceChildren();
  if (i === null) { box.append(make("p", "Select an event: click it, or step with the arrow keys.")); return; }
  box.append(make("strong", m.texts[m.text[i]]));
  const facts = make("dl");
  const fact = (name, value) => { if (value) facts.append(make("dt", name), make("dd", value)); };
  fact("who", laneName(m.lane[i])); fact("when", time(m.at[i], 1)); fact("where", m.texts[m.place[i]]);
  fact("event", (i + 1) + " of " + m.n); fact("decisions", m.decision[i] ? String(m.decision[i]) : "");
  const faults = m.windows.filter(w => w.from <= m.at[i] && m.at[i] <= w.to).map(w => w.what);
  fact("faults", faults.join(", "));
  box.append(facts);
  const jump = (title, arrow, end) => {
    const to = m.arrows[arrow][end], b = make("button", title + ": " + laneName(m.lane[to]) + ", " + m.texts[m.text[to]] + " at " + time(m.at[to]));
    b.onclick = () => select(to); box.append(b);
  };
  for (const a of m.to.get(i) || []) jump(m.arrows[a][0] === 0 ? "comes from" : "woken by", a, 1);
  for (const a of m.from.get(i) || []) jump(m.arrows[a][0] === 0 ? "arrives at" : "wakes", a, 2);
}

// --- the list of events; only what is in sight is in the page

function relist() {
  const list = [];
  for (let i = 0; i < s.m.n; i++) if (s.shown[s.m.kind[i]]) list.push(i);
  s.version++; s.list = list; $("rows").style.height = list.length * ROW + "px"; redraw();
}
function rows() {
  const box = $("rows"), list = $("list"), m = s.m, first = Math.max(0, Math.floor(list.scrollTop / ROW) - 4), last = Math.min(s.list.length, first + Math.ceil(list.clientHeight / ROW) + 8);
  const out = [];
  for (let k = first; k < last; k++) {
    const i = s.list[k], row = make("div", undefined, "row" + (k % 2 ? " odd" : "") + (i === s.selected ? " on" : "") + (s.hitSet && s.hitSet.has(i) ? " hit" : ""));
    row.setAttribute("role", "option"); row.setAttribute("aria-selected", String(i === s.selected)); row.style.top = k * ROW + "px"; row.dataset.event = i;
    const did = make("span", m.texts[m.text[i]], "did"); did.style.color = "var(--" + (m.kind[i] >= 6 ? KINDS[m.kind[i]] : "ink") + ")";
    row.append(make("span", time(m.at[i]), "when"), make("span", laneName(m.lane[i]), "who"), did, make("span", m.texts[m.place[i]], "where"));
    out.push(row);
  }
  box.replaceChildren(...out);
}

// --- search

function search(words) {
  s.version++; s.hits = find(s.m, words); s.hitSet = s.hits && new Set(s.hits); s.hitLanes = s.m.lanes.map(() => []);
  if (s.hits) for (const i of s.hits) s.hitLanes[s.m.lane[i]].push(i);
  $("hits").textContent = s.hits ? s.hits.length + (s.hits.length === 1 ? " hit" : " hits") : "";
  redraw();
}
function hit(by) {
  if (!s.hits || !s.hits.length) return;
  const here = s.selected === null ? (by > 0 ? -1 : s.m.n) : s.selected;
  let k = by > 0 ? lower(s.hits, here + 1) : lower(s.hits, here) - 1;
  k = (k + s.hits.length) % s.hits.length;
  const kind = s.m.kind[s.hits[k]];
  if (!s.shown[kind]) { s.shown[kind] = true; kinds(); relist(); }
  select(s.hits[k]);
  $("hits").textContent = (k + 1) + " of " + s.hits.length;
}

// --- filling the page

function kinds() {
  const box = $("kinds"), have = new Set(s.m.kind);
  box.replaceChildren();
  KINDS.forEach((name, kind) => {
    if (!have.has(kind)) return;
    const label = make("label"), input = make("input"), mark = make("i");
    input.type = "checkbox"; input.checked = s.shown[kind]; mark.style.background = "var(--" + name + ")";
    input.onchange = () => { s.shown[kind] = input.checked; relist(); };
    label.append(input, mark, document.createTextNode(name)); box.append(label);
  });
}

function head() {
  document.title = doc.test + ": " + doc.headline;
  $("badge").textContent = doc.held ? "held" : "failed"; $("badge").className = doc.held ? "held" : "";
  $("test").textContent = doc.test; $("headline").textContent = doc.headline; $("message").textContent = doc.message;
  const facts = $("facts"), list = make("dl"); facts.style.display = "contents";
  list.id = "facts"; facts.replaceWith(list);
  for (const [name, value, code] of doc.facts) {
    const dd = make("dd");
    if (code) { dd.append(make("code", value)); const b = make("button", "Copy"); b.style.marginLeft = "8px"; b.onclick = () => copy(value, b); dd.append(b); } else dd.textContent = value;
    list.append(make("dt", name), dd);
  }
  $("story").textContent = doc.story; $("story-box").hidden = !doc.story;
  $("text").textContent = doc.text; $("text-box").hidden = !doc.text;
  $("legend").textContent = s.m.n
    ? "Broad bars are polls, thin ones waits; solid arrows are messages, dashed ones wakes" + (s.m.scopes.length ? "; lines above them are spans of tracing" : "") + (s.m.windows.length ? "; shaded stretches are faults." : ".") + " Drag to move, wheel to zoom, double click to look closer."
    : "The run was not recorded: it was too long, or it took its process with it.";
}

function tables() {
  const box = $("windows"), m = s.m;
  $("windows-box").hidden = !m.windows.length && !m.operations.length && !m.scopes.length;
  const table = (title, names, lines) => {
    if (!lines.length) return;
    const t = make("table"), h = make("tr"); names.forEach(n => h.append(make("th", n))); t.append(h);
    for (const line of lines.slice(0, 2000)) { const r = make("tr"); line.forEach(v => r.append(make("td", v))); t.append(r); }
    box.append(make("h2", title), t);
    if (lines.length > 2000) box.append(make("p", "and " + (lines.length - 2000) + " more"));
  };
  table("Faults", ["from", "to", "what", "hosts"], m.windows.map(w => [time(w.from), time(w.to), w.what, w.hosts.join(", ")]));
  table("Operations", ["client", "operation", "from", "took", "outcome"], m.operations.map(o => [o.client, o.op, time(o.from), time(o.to - o.from), o.outcome || "never ended"]));
  table("Spans", ["span", "target", "from", "took"], m.scopes.map(p => [p.span, p.target, time(p.from), time(p.to - p.from)]));
}

async function copy(text, button) {
  try { await navigator.clipboard.writeText(text); } catch {
    // Pages from a disk may not write to the clipboard.
    const area = make("textarea", text); document.body.append(area); area.select(); document.execCommand("copy"); area.remove();
  }
  button.textContent = "Copied"; setTimeout(() => { button.textContent = "Copy"; }, 1200);
}

function theme() {
  const root = document.documentElement, dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark"; s.c = colours(); redraw();
}

// --- hands

const KEYS = [
  [["ArrowRight", "j"], "next event", () => step(1)], [["ArrowLeft", "k"], "event before", () => step(-1)],
  [["ArrowDown"], "next event of this lane", () => step(1, true)], [["ArrowUp"], "event before of this lane", () => step(-1, true)],
  [["Home"], "first event", () => select(s.list[0])], [["End"], "last event", () => select(s.list[s.list.length - 1])],
  [["+", "="], "zoom in", () => zoom(.5)], [["-"], "zoom out", () => zoom(2)], [["f"], "the whole run", fit],
  [["h"], "move left", () => pan(-.3)], [["l"], "move right", () => pan(.3)], [["t"], "time or steps", () => scale(!s.steps)],
  [["/"], "search", () => $("search").focus()], [["n"], "next hit", () => hit(1)], [["N"], "hit before", () => hit(-1)],
  [["d"], "light or dark", theme], [["?"], "this table", () => $("help").showModal()],
];
for (const [keys, what] of KEYS) { const r = make("tr"), c = make("td"); keys.forEach(k => c.append(make("kbd", k), document.createTextNode(" "))); r.append(c, make("td", what)); $("keys").append(r); }

addEventListener("keydown", e => {
  if (e.ctrlKey || e.metaKey || e.altKey || $("help").open) return;
  if (e.target === $("search")) {
    if (e.key === "Enter") { hit(e.shiftKey ? -1 : 1); e.preventDefault(); } else if (e.key === "Escape") { $("search").value = ""; search(""); $("search").blur(); }
    return;
  }
  const key = KEYS.find(([keys]) => keys.includes(e.key));
  if (key) { e.preventDefault(); key[2](); }
});
const press = (id, what) => { $(id).onclick = what; };
press("theme", theme); press("help-open", () => $("help").showModal()); press("help-close", () => $("help").close());
press("scale-time", () => scale(false)); press("scale-steps", () => scale(true)); press("in", () => zoom(.5)); press("out", () => zoom(2)); press("fit", fit);
press("prev", () => step(-1)); press("next", () => step(1)); press("last", () => select(s.list[s.list.length - 1]));
$("search").oninput = e => search(e.target.value);
$("rows").onclick = e => { const row = e.target.closest(".row"); if (row) select(Number(row.dataset.event)); };
$("list").onscroll = redraw; s.view.onscroll = redraw; new ResizeObserver(redraw).observe($("time"));

// The event nearest to a place of the lanes, if one is near.
function nearest(e) {
  const box = s.canvas.getBoundingClientRect(), x = e.clientX - box.left, l = Math.floor((e.clientY - box.top + s.view.scrollTop) / LANE);
  if (x < GUTTER || !s.m.byLane[l]) return null;
  const list = s.m.byLane[l], k = lower(list, eventAt(s, atX(s, x)));
  let best = null, far = 9;
  for (let j = Math.max(0, k - 6); j < Math.min(list.length, k + 6); j++) {
    const d = Math.abs(xOfEvent(s, list[j]) - x);
    if (s.shown[s.m.kind[list[j]]] && d < far) { far = d; best = list[j]; }
  }
  return best;
}
let drag = null;
s.view.onpointerdown = e => { if (e.button === 0) { drag = { x: e.clientX, from: s.from, to: s.to, moved: false }; } };
addEventListener("pointermove", e => {
  if (drag && Math.abs(e.clientX - drag.x) > 3) {
    drag.moved = true; s.view.classList.add("drag"); $("tip").hidden = true;
    const by = (drag.x - e.clientX) / (s.width - GUTTER) * (drag.to - drag.from), from = Math.min(Math.max(0, drag.from + by), whole() - (drag.to - drag.from));
    look(from, from + drag.to - drag.from);
  }
});
addEventListener("pointerup", e => {
  if (drag && !drag.moved && s.view.contains(e.target)) { const i = nearest(e); if (i !== null) select(i, false); }
  drag = null; s.view.classList.remove("drag");
});
s.view.onpointermove = e => {
  const i = drag && drag.moved ? null : nearest(e), tip = $("tip");
  tip.hidden = i === null;
  if (i === null) return;
  tip.textContent = time(s.m.at[i]) + "  " + s.m.texts[s.m.text[i]] + (s.m.place[i] ? "  " + s.m.texts[s.m.place[i]] : "");
  tip.style.left = Math.min(e.clientX + 12, innerWidth - tip.offsetWidth - 8) + "px"; tip.style.top = e.clientY + 16 + "px";
};
s.view.onpointerleave = () => { $("tip").hidden = true; };
s.view.ondblclick = e => zoom(.35, e.clientX - s.canvas.getBoundingClientRect().left);
const wheel = e => {
  // Where lanes can be scrolled the wheel does that, and zooms with a key held.
  if (Math.abs(e.deltaX) > Math.abs(e.deltaY) || e.shiftKey) { e.preventDefault(); return pan((e.deltaX || e.deltaY) / 800); }
  if (s.view.scrollHeight > s.view.clientHeight && !e.ctrlKey && e.currentTarget === s.view) return;
  e.preventDefault(); zoom(Math.pow(1.0018, e.deltaY), e.clientX - s.canvas.getBoundingClientRect().left);
};
for (const canvas of [s.view, s.plots, s.axis]) canvas.addEventListener("wheel", wheel, { passive: false });
const onMap = e => { if (e.buttons & 1) { const v = (e.offsetX - GUTTER) / (s.width - GUTTER) * whole(), half = (s.to - s.from) / 2; look(v - half, v + half); } };
s.map.onpointerdown = onMap; s.map.onpointermove = onMap;
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { s.c = colours(); s.version++; redraw(); });

head(); tables(); kinds();
s.c = colours();
$("room").style.height = s.m.lanes.length * LANE + "px";
s.view.style.height = Math.min(Math.max(s.m.lanes.length, 2) * LANE + 2, 420) + "px";
$("time").hidden = !s.m.n; $("bottom").hidden = !s.m.n;
relist();
// Where most of the run is silence, time says little.
scale(s.m.n > 1 && crowded()); fit(); detail();
if (s.m.n) select(failed());
paint();

// The event that the run failed with, as far as one can tell: its last panic or broken property, else its end.
function failed() {
  for (let i = s.m.n - 1; i >= 0; i--) if (s.m.kind[i] === 8 || s.m.texts[s.m.text[i]].startsWith("violated: ")) return i;
  return s.list.length ? s.list[s.list.length - 1] : s.m.n - 1;
}

// Whether more than half of the events share a hundredth of the run.
function crowded() {
  const bins = new Uint32Array(100);
  for (let i = 0; i < s.m.n; i++) bins[Math.min(99, Math.floor(s.m.at[i] / s.m.end * 100))]++;
  return Math.max(...bins) > s.m.n / 2 || bins.filter(b => b).length < 25;
}
