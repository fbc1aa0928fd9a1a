"use strict";
// The data of the run, decoded into arrays, and questions about it. Nothing here touches the page.
const KINDS = ["call", "wait", "wake", "task", "memory", "scheduler", "world", "output", "log", "panic"];

function decode(doc) {
  const line = doc.timeline, n = line.events.lane.length;
  const m = { doc, n, lanes: line.lanes, hosts: line.hosts, texts: line.texts, windows: line.windows, series: line.series, operations: line.operations, scopes: line.scopes };
  m.at = new Float64Array(n); m.decision = new Float64Array(n);
  m.lane = Uint32Array.from(line.events.lane); m.kind = Uint8Array.from(line.events.kind);
  m.text = Uint32Array.from(line.events.text); m.place = Uint32Array.from(line.events.place);
  let at = 0, decision = 0;
  for (let i = 0; i < n; i++) {
    at += line.events.later[i]; decision += line.events.decisions[i];
    m.at[i] = at; m.decision[i] = decision;
  }
  const counts = new Uint32Array(m.lanes.length);
  for (let i = 0; i < n; i++) counts[m.lane[i]]++;
  m.byLane = Array.from(counts, c => new Uint32Array(c));
  counts.fill(0);
  for (let i = 0; i < n; i++) { const l = m.lane[i]; m.byLane[l][counts[l]++] = i; }
  m.spans = m.lanes.map(() => []);
  for (const [lane, from, to, kind] of line.spans) m.spans[lane].push([from, to, kind]);
  m.arrows = line.arrows;
  for (const series of m.series) { series.steps = Float64Array.from(series.at, t => stepOf(m, t)); series.most = series.value.reduce((a, b) => Math.max(a, b), 0); }
  m.from = new Map(); m.to = new Map();
  line.arrows.forEach((arrow, i) => {
    if (!m.from.has(arrow[1])) m.from.set(arrow[1], []);
    if (!m.to.has(arrow[2])) m.to.set(arrow[2], []);
    m.from.get(arrow[1]).push(i); m.to.get(arrow[2]).push(i);
  });
  const last = list => list.length ? list[list.length - 1] : 0;
  m.end = Math.max(n ? m.at[n - 1] : 0, 1, ...m.series.map(s => last(s.at)), ...m.windows.map(w => w.to));
  return m;
}

// The first index of a sorted array whose value is not less than x.
function lower(array, x) {
  let lo = 0, hi = array.length;
  while (lo < hi) { const mid = (lo + hi) >> 1; if (array[mid] < x) lo = mid + 1; else hi = mid; }
  return lo;
}

// Where a time lies among the events, as a fractional index.
function stepOf(m, t) {
  const i = lower(m.at, t);
  if (i === 0) return 0;
  if (i >= m.n) return m.n;
  const from = m.at[i - 1], to = m.at[i];
  return i - 1 + (to > from ? (t - from) / (to - from) : 1);
}

// Events whose text, place or lane holds the words, whatever their case.
function find(m, words) {
  const wanted = words.trim().toLowerCase();
  if (!wanted) return null;
  const texts = m.texts.map(t => t.toLowerCase().includes(wanted));
  const lanes = m.lanes.map(l => (m.hosts[l.host] + ": " + l.name).toLowerCase().includes(wanted));
  const hits = [];
  for (let i = 0; i < m.n; i++) if (texts[m.text[i]] || texts[m.place[i]] || lanes[m.lane[i]]) hits.push(i);
  return hits;
}

const UNITS = [[864e11, "d"], [36e11, "h"], [6e10, "min"], [1e9, "s"], [1e6, "ms"], [1e3, "us"]];

// A time as people read it. `step` is how fine it must be to tell neighbours apart, if that is known.
function time(ns, step) {
  if (ns === 0) return "0";
  for (const [unit, name] of UNITS) if (Math.abs(ns) >= unit) {
    const digits = step ? Math.min(9, Math.max(0, Math.ceil(-Math.log10(step / unit) - 1e-9))) : 3;
    return trim((ns / unit).toFixed(digits)) + " " + name;
  }
  return trim(ns.toFixed(0)) + " ns";
}

function trim(text) { return text.includes(".") ? text.replace(/0+$/, "").replace(/\.$/, "") : text; }

function number(value) {
  const abs = Math.abs(value);
  if (abs >= 1e6) return trim((value / 1e6).toFixed(2)) + "M";
  if (abs >= 1e4) return trim((value / 1e3).toFixed(1)) + "k";
  return trim(value.toFixed(abs < 10 ? 3 : 1));
}
