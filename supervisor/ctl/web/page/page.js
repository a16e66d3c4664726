// Page: draws what /live sends. Nothing from the daemon becomes markup: all of it is set as text.

import { follow } from "./live.js";

const TOKEN = document.querySelector("meta[name=token]").content;
const KEPT = 300; // looks, and seconds of a chart at most
const SHORT = 60; // seconds of a chart, or of the timeline, at least
const EVENTS = 500;
const SHOWN = 60; // events in the table
const SPAN = 600; // seconds of the timeline at most
const LANES = 12;

const $ = (id) => document.getElementById(id);
const state = { rows: [], chosen: "", events: [], letters: [], daemon: null, at: 0, skew: 0, note: "", lost: "" };
const past = new Map(); // of each path: looks of [at, waiting, p50, p99]

function make(tag, properties = {}, ...inside) {
  const found = Object.assign(document.createElement(tag), properties);
  found.append(...inside);
  return found;
}

function draw(tag, attributes, text) {
  const found = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) found.setAttribute(name, value);
  if (text !== undefined) found.textContent = text;
  return found;
}

function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function duration(value) {
  if (value === null || value === undefined) return "";
  if (value > 0 && value < 0.001) return `${Math.round(value * 1e6)} µs`;
  if (value > 0 && value < 0.1) return `${+(value * 1000).toPrecision(2)} ms`;
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
    if (value >= 2 * size) return `${Math.round(value / size)} ${unit}`;
  }
  return value >= 10 ? `${Math.round(value)} s` : `${+value.toFixed(1)} s`;
}

function bytes(value) {
  if (value === null) return "";
  return value >= 2 ** 30 ? `${(value / 2 ** 30).toFixed(1)} GiB` : `${Math.round(value / 2 ** 20)} MiB`;
}

const number = (value) => (value === null || value === undefined ? "" : value.toLocaleString("en"));
const clock = (at) => new Date(at * 1000).toLocaleTimeString("en-GB");
const now = () => Date.now() / 1000 + state.skew; // the clock of the daemon's machine

// ---- what is live

const hears = {
  open: () => { state.events = []; state.lost = ""; },
  lost: () => lose("no connection to actorctl web; trying again"),
  over: () => lose("actorctl web has ended or has a new token: open the URL that it prints"),
  daemon: (daemon) => {
    state.daemon = daemon;
    if (daemon.trouble) keepGap();
    drawDaemon();
  },
  note: (note) => { state.note = note; },
  tree: (tree) => {
    state.skew = tree.at - Date.now() / 1000;
    state.at = tree.at;
    state.rows = tree.rows;
    keep();
    drawTree();
  },
  events: (events) => { state.events = [...state.events, ...events].slice(-EVENTS); drawEvents(); },
  dead: (dead) => { state.letters = dead.letters; drawLetters(dead.lost); },
};

function listen() {
  const hear = (kind, text) => hears[kind](text && JSON.parse(text));
  if (!window.SharedWorker) {
    follow(TOKEN, hear);
    return;
  }
  const { port } = new SharedWorker(`live.js?token=${encodeURIComponent(TOKEN)}`, { type: "module" });
  port.onmessage = ({ data }) => hear(...data);
  addEventListener("pagehide", () => port.postMessage("closed"));
}

function lose(why) {
  state.lost = why;
  keepGap();
  drawDaemon();
}

function keep() {
  const seen = new Set();
  for (const row of state.rows) {
    seen.add(row.path);
    const below = row.kind === "supervisor" ? state.rows.filter((one) => one.path.startsWith(`${row.path}/`)) : [row];
    const most = (name) => below.reduce((top, one) => (one[name] === null ? top : Math.max(top ?? 0, one[name])), null);
    const looks = past.get(row.path) ?? [];
    looks.push([state.at, below.reduce((sum, one) => sum + (one.waiting ?? 0), 0), most("p50"), most("p99")]);
    past.set(row.path, looks.slice(-KEPT));
  }
  for (const path of past.keys()) if (!seen.has(path)) past.delete(path);
}

// Nothing is seen from now on: no curve goes over it.
function keepGap() {
  for (const looks of past.values()) if (looks.at(-1)[1] !== null) looks.push([state.at, null, null, null]);
}

// ---- the daemon

function drawDaemon() {
  drawStatus();
  drawChosen(); // what can be done with it depends on the daemon
}

function drawStatus() {
  const { daemon } = state;
  const trouble = state.lost || (daemon ? daemon.trouble : "");
  document.querySelector("main").classList.toggle("stale", Boolean(trouble));
  if (daemon) {
    document.title = `${trouble ? "✕ " : ""}${daemon.tree} (${daemon.health})`;
    say($("title"), daemon.tree);
    const up = `up ${duration(Math.max(0, now() - daemon.started))}, ${daemon.running} of ${daemon.children} run`;
    say($("about"), `pid ${daemon.pid}${trouble ? "" : `, ${up}`}: ${daemon.command}`);
  }
  say($("status"), trouble ? `Lost: ${trouble}` : daemon ? daemon.health : "connecting");
  $("status").className = trouble ? "bad" : daemon && daemon.health === "healthy" ? "" : "warn";
}

// ---- the tree

const rowNodes = new Map(); // of each path: its row, and the cells that change

function rowNode(path) {
  const pick = make("button", { type: "button", className: "pick", onclick: () => choose(path) });
  const cell = (className) => make("td", { className });
  const cells = {
    state: cell("state"), life: cell("number more"), up: cell("number more"), waiting: cell("number"),
    spark: cell("most"), rate: cell("number"), cpu: cell("number more"), memory: cell("number more"),
    doing: cell("more doing"),
  };
  const head = make("th", { scope: "row" }, pick);
  return { row: make("tr", {}, head, ...Object.values(cells)), head, pick, cells };
}

function drawTree() {
  const wanted = $("filter").value.toLowerCase();
  const shown = state.rows.filter((row) => row.path.toLowerCase().includes(wanted));
  if (!state.rows.some((row) => row.path === state.chosen) && state.rows.length) choose(state.rows[0].path);
  let place = $("rows").firstElementChild;
  const seen = new Set();
  for (const row of shown) {
    seen.add(row.path);
    if (!rowNodes.has(row.path)) rowNodes.set(row.path, rowNode(row.path));
    const node = rowNodes.get(row.path);
    if (node.row === place) place = place.nextElementSibling;
    else $("rows").insertBefore(node.row, place);
    fill(node, row, wanted);
  }
  for (const [path, node] of rowNodes) {
    if (!seen.has(path)) {
      node.row.remove();
      rowNodes.delete(path);
    }
  }
  drawChosen();
}

function fill(node, row, wanted) {
  const { cells, pick } = node;
  say(pick, wanted ? row.path : row.name);
  node.head.style.paddingLeft = wanted ? "" : `${0.5 + row.level * 0.9}rem`;
  node.row.classList.toggle("on", row.path === state.chosen);
  pick.setAttribute("aria-pressed", String(row.path === state.chosen));
  say(cells.state, `${row.well ? "●" : "▲"} ${row.state}`);
  cells.state.className = `state ${tone(row)}`;
  say(cells.life, number(row.life));
  say(cells.up, duration(row.up));
  say(cells.waiting, number(row.waiting));
  say(cells.rate, row.rate === null ? "" : number(row.rate < 10 ? row.rate : Math.round(row.rate)));
  say(cells.cpu, row.cpu === null ? "" : `${Math.round(row.cpu)}%`);
  say(cells.memory, bytes(row.memory));
  const exit = row.last_exit && !row.doing.includes(row.last_exit) ? `last exit: ${row.last_exit}` : "";
  say(cells.doing, [row.doing, exit].filter(Boolean).join("; "));
  cells.doing.title = cells.doing.textContent;
  if (row.waiting !== null) spark(cells.spark, past.get(row.path) ?? []);
}

const tone = (row) => (row.well ? "good" : ["starting", "stopping", "backoff"].includes(row.state) ? "warn" : "bad");

function spark(cell, looks) {
  const svg = cell.firstElementChild ?? cell.appendChild(draw("svg", { viewBox: "0 0 110 20", "aria-hidden": "true" }));
  svg.replaceChildren(draw("path", { class: "curve", d: curve(looks, 1, 110, 18, highest(looks, [1]), 1) }));
}

// ---- the chosen child

let asked = 0; // when why was asked last
let askedOf = ""; // in which state the child was then
let turn = 0; // which question is the newest

function choose(path) {
  state.chosen = path;
  asked = 0;
  say($("why"), "");
  drawTree();
}

function drawChosen() {
  const row = state.rows.find((one) => one.path === state.chosen);
  if (!row) return;
  say($("path"), row.path);
  const facts = {
    Kind: row.kind, State: row.state, Life: number(row.life), Pid: row.pid === null ? "" : String(row.pid),
    Up: duration(row.up), Waiting: number(row.waiting), "Per second": number(row.rate), Memory: bytes(row.memory),
    CPU: row.cpu === null ? "" : `${Math.round(row.cpu)}%`,
  };
  const there = Object.entries(facts).filter(([, value]) => value !== "");
  $("facts").replaceChildren(...there.map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
  const gone = Boolean(state.lost || state.daemon?.trouble);
  const root = row.level === 0;
  $("stacks").disabled = gone || row.kind === "supervisor" || row.kind === "command" || row.down;
  $("restart").hidden = row.down;
  $("restart").disabled = gone || root;
  $("stop").hidden = row.down;
  $("stop").disabled = gone || root;
  $("start").hidden = !row.down;
  $("start").disabled = gone;
  const looks = past.get(row.path) ?? [];
  const last = looks.at(-1) ?? [0, 0, null, null];
  chart($("depth"), looks, [[1, "curve"]], number, "Messages waiting");
  say($("depth-now"), number(last[1]));
  chart($("latency"), looks, [[2, "curve"], [3, "second"]], duration, "Time to answer an ask");
  say($("latency-now"), last[3] === null ? "" : `p50 ${duration(last[2])}, p99 ${duration(last[3])}`);
  say($("note"), state.note || (last[3] === null ? "no asks in the last seconds" : ""));
  const is = `${row.path} ${row.life} ${row.state}`;
  if (!gone && (Date.now() - asked > 3000 || is !== askedOf)) askWhy(row.path);
  askedOf = is;
}

async function askWhy(path) {
  asked = Date.now();
  turn += 1;
  const mine = turn;
  const { text } = await get("why", { name: path });
  if (mine === turn) say($("why"), text);
}

function highest(looks, columns) {
  return Math.max(...looks.flatMap((look) => columns.map((column) => look[column] ?? 0)), 0);
}

function spanOf(looks) {
  return looks.length ? Math.min(KEPT, Math.max(SHORT, looks.at(-1)[0] - looks[0][0])) : KEPT;
}

// A line through one column of the looks; the newest is at the right edge.
function curve(looks, column, width, height, most, above) {
  const end = looks.at(-1)?.[0] ?? 0;
  const span = spanOf(looks);
  let path = "";
  let open = false;
  for (const look of looks) {
    if (look[column] === null) { open = false; continue; }
    const x = width * (1 - (end - look[0]) / span);
    const y = above + height * (1 - look[column] / (most || 1));
    path += `${open ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
    open = true;
  }
  return path;
}

function chart(svg, looks, columns, worded, name) {
  const width = svg.clientWidth || 300;
  const [height, above] = [82, 14];
  const most = highest(looks, columns.map(([column]) => column));
  svg.setAttribute("viewBox", `0 0 ${width} 110`);
  const base = above + height;
  const parts = [draw("path", { class: "axis", d: `M0 ${base}H${width}M0 ${above}H${width}` })];
  for (const [column, className] of columns) {
    parts.push(draw("path", { class: className, d: curve(looks, column, width, height, most, above) }));
  }
  parts.push(draw("text", { x: 0, y: 10 }, most ? worded(most) : ""), draw("text", { x: 0, y: 108 }, `${duration(spanOf(looks))} ago`));
  parts.push(draw("text", { x: width, y: 108, "text-anchor": "end" }, "now"));
  svg.replaceChildren(...parts);
  svg.setAttribute("aria-label", `${name}, at most ${most ? worded(most) : "none"} in the last ${duration(spanOf(looks))}`);
}

// ---- events

function drawEvents() {
  const last = state.events.slice(-SHOWN).reverse();
  const tones = { death: "bad", lost: "bad", start: "good" };
  $("events").replaceChildren(...last.map((one) => make("tr", {},
    make("td", { className: "time" }, clock(one.at)), make("td", { className: `wrap ${tones[one.kind] ?? ""}` }, one.text))));
  drawTimeline();
}

function drawTimeline() {
  const end = now();
  const recent = state.events.filter((one) => end - one.at < SPAN);
  const span = recent.length ? Math.max(SHORT, ...recent.map((one) => end - one.at)) : SPAN; // a note of the page stands before older ones
  const lanes = [...new Set(recent.filter((one) => one.path && one.kind !== "note").map((one) => one.path).reverse())];
  const shown = lanes.slice(0, LANES).sort();
  const svg = $("timeline");
  const width = svg.clientWidth || 600;
  const left = Math.min(180, width / 3);
  const step = 20;
  const height = shown.length * step;
  const at = (one) => left + (width - left - 6) * (1 - (end - one.at) / span);
  const parts = [];
  shown.forEach((path, lane) => {
    const y = lane * step + step / 2;
    const name = path.length * 6 > left ? `…${path.slice(-Math.floor(left / 6.5))}` : path;
    parts.push(draw("text", { x: 0, y: y + 4, class: "name" }, name), draw("path", { class: "axis", d: `M${left} ${y}H${width}` }));
  });
  for (const one of recent) {
    const lane = shown.indexOf(one.path);
    const x = at(one);
    const y = lane * step + step / 2;
    if (one.kind === "lost") parts.push(draw("path", { class: "mark-lost", d: `M${x} 0V${height}` }));
    if (lane < 0 || one.kind === "note") continue;
    const shape = one.kind === "death"
      ? draw("path", { class: "mark-death", d: `M${x - 4} ${y - 4}l8 8m0 -8l-8 8` })
      : one.kind === "start"
        ? draw("path", { class: "mark-start", d: `M${x} ${y - 6}v12` })
        : draw("circle", { class: "mark-end", cx: x, cy: y, r: 4 });
    shape.append(draw("title", {}, `${clock(one.at)} ${one.text}`));
    parts.push(shape);
  }
  parts.push(draw("text", { x: left, y: height + 14 }, `${duration(span)} ago`));
  parts.push(draw("text", { x: width, y: height + 14, "text-anchor": "end" }, "now"));
  if (!shown.length) parts.push(draw("text", { x: 0, y: 14 }, "nothing has died"));
  svg.setAttribute("viewBox", `0 0 ${width} ${height + 18}`);
  svg.style.height = `${height + 18}px`;
  svg.replaceChildren(...parts);
}

// ---- dead letters

function drawLetters(lost) {
  const button = (text, one, deed) => make("button", { type: "button", onclick: deed, ariaLabel: `${text} letter ${one.id}` }, text);
  $("letters-table").hidden = !state.letters.length;
  say($("no-letters"), state.letters.length ? (lost ? `${lost} older ones are not kept any more` : "") : "none");
  const rows = state.letters.slice(-100).reverse().map((one) => make("tr", {},
    make("td", { className: "wrap" }, `${one.message_type} to ${one.actor}`),
    make("td", { className: "number more" }, duration(Math.max(0, now() - one.at))),
    make("td", { className: "wrap" }, `${one.reason}: ${one.detail}`),
    make("td", {}, make("div", { className: "row-buttons" },
      button("Show", one, async () => show(`${one.message_type} to ${one.actor}`, (await get("letter", { id: one.id })).text)),
      button("Send again", one, () => change("requeue", one.id, `Send ${one.message_type} to ${one.actor} again?`)),
      button("Drop", one, () => change("drop", one.id, `Drop ${one.message_type} to ${one.actor} for good?`))))));
  const held = document.activeElement?.ariaLabel;
  $("letter-rows").replaceChildren(...rows);
  if (held) [...$("letter-rows").querySelectorAll("button")].find((one) => one.ariaLabel === held)?.focus();
}

// ---- questions and changes

async function answer(url, options) {
  try {
    const response = await fetch(url, options);
    if (response.status === 403) return { text: await response.text() };
    const found = await response.json();
    return { text: found.text ?? found.error };
  } catch {
    return { text: "no answer: actorctl web does not run" };
  }
}

const headers = { Authorization: `Bearer ${TOKEN}`, "Content-Type": "application/json" };
const get = (what, query) => answer(`${what}?${new URLSearchParams(query)}`, { headers });
const post = (verb, name) => answer("do", { method: "POST", headers, body: JSON.stringify({ verb, name }) });

function show(title, text, yes = "") {
  const dialog = $("dialog");
  if (dialog.open) dialog.close("no");
  say($("dialog-title"), title);
  say($("dialog-text"), text);
  $("dialog-text").hidden = !text;
  say($("dialog-no"), yes ? "Cancel" : "Close");
  say($("dialog-yes"), yes);
  $("dialog-yes").hidden = !yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((done) => { dialog.onclose = () => dialog.open || done(dialog.returnValue === "yes"); }); // the end of the one before may come late
}

async function change(verb, name, question, text = "") {
  const word = { restart: "Restart", stop: "Stop", requeue: "Send again", drop: "Drop", start: "Start" }[verb];
  if (question && !(await show(question, text, word))) return;
  show(`${word}: ${name}`, (await post(verb, name)).text);
}

$("filter").oninput = drawTree;
$("stacks").onclick = async () => {
  const path = state.chosen;
  show(`Stacks of ${path}`, (await get("stacks", { name: path })).text);
};
$("restart").onclick = () => change("restart", state.chosen, `Restart ${state.chosen}?`,
  "An actor gets a new process and its messages stay. Any other child is stopped and started.");
$("stop").onclick = () => change("stop", state.chosen, `Stop ${state.chosen}?`,
  "It is down until it is started. What waits for it becomes dead letters; of one process of a pool it is for the others.");
$("start").onclick = () => change("start", state.chosen, "");
setInterval(() => { drawStatus(); drawTimeline(); }, 1000);
addEventListener("resize", () => { drawTimeline(); drawChosen(); });
listen();
