// Starts the page: the stream's parts come in, and what depends on them is drawn once a frame.

import { byId, make, set, setClass, setText, sync } from "./dom.js";
import { Drawer } from "./drawer.js";
import { Graph } from "./graph.js";
import { graphOf } from "./nodes.js";
import { Traffic, showCounts, showPlanes, showSessions } from "./panels.js";
import { Path } from "./path.js";
import { TimeLine } from "./timeline.js";
import { counted, number, ofSession, since } from "./words.js";

const parts = { daemon: { problem: "" }, ports: { problem: "", ports: [] } };
const changed = new Set();
let lost = false;

/** Ask the server; whatever goes wrong is an answer with a `problem`. */
async function ask(path) {
  try {
    const response = await fetch(path);
    const answer = await response.json();
    return response.ok ? answer : { ...answer, code: response.status };
  } catch {
    return { problem: "no answer: does `dualpath ui` still run?" };
  }
}

const traffic = new Traffic((item) => drawer.open(item));
const drawer = new Drawer(ask, traffic);
const graph = new Graph((item) => drawer.open(item));
const timeLine = new TimeLine();
new Path((ids) => graph.showWay(ids), ask);

// -- drawing --------------------------------------------------------------------------------------

function draw() {
  const { status, node, ports } = parts;
  const fresh = new Set(changed);
  changed.clear();
  const any = (...names) => names.some((name) => fresh.has(name));
  if (any("daemon", "status", "lost")) notice();
  if (status && any("status", "clock")) {
    setText(byId("about"), `${status.version} \u00b7 ${status.about || status.datapath} \u00b7 up ${since(status.started)}`);
    showCounts(status.counts, (item) => drawer.open(item));
    showSessions(status.sessions, (item) => drawer.open(item));
    showPlanes(status);
  }
  if (status && node && any("status", "node", "ports", "clock")) {
    graph.show(graphOf(status, node, ports.ports));
    vrfs(node);
  }
  if (any("ports", "sample")) traffic.show(ports.ports);
}

function soon(name) {
  if (!changed.size) requestAnimationFrame(draw);
  changed.add(name);
}

function vrfs(node) {
  const names = ["default", ...node.vrfs.map((it) => it.name).sort()];
  sync(byId("search-vrf"), names, (it) => it, (it) => make("option", { value: it, text: it }), () => {});
}

// -- the line below the head ----------------------------------------------------------------------

function notice() {
  const [tone, mark, text] = words();
  setClass(byId("notice"), tone);
  setClass(byId("notice").firstChild, `mark ${mark}`);
  setText(byId("notice-text"), text);
  document.title = `${tone === "bad" ? "✕ " : ""}Dualpath`;
}

function words() {
  const { daemon, status } = parts;
  if (lost) return ["bad", "failed", "No connection to `dualpath ui`: this page is old, it connects again by itself"];
  if (daemon.problem) return ["bad", "failed", `No answer from the daemon: ${daemon.problem}; this page is old`];
  if (!status) return ["", "pending", "Asking the daemon"];
  if (!status.ready) return ["bad", "failed", `Not ready: ${status.not_ready}`];
  return rowsInWords(status);
}

function rowsInWords(status) {
  const sum = (name) => status.counts.reduce((all, it) => all + it[name], 0);
  const down = status.sessions.filter((it) => ofSession(it) === "failed" && (it.since || it.reason || it.bfd));
  const said = [];
  if (sum("failed")) said.push(`${counted(sum("failed"), "row")} refused by the datapath`);
  if (down.length) said.push(`${counted(down.length, "BGP session")} down: ${down.slice(0, 3).map((it) => it.peer).join(", ")}`);
  if (said.length) return ["bad", "failed", ["Ready", ...said, ...(status.degraded ? [status.degraded] : [])].join("; ")];
  if (status.degraded) return ["warn", "stale", `Ready, degraded: ${status.degraded}`];
  if (status.trial) return ["warn", "stale", status.trial];
  if (sum("stale")) return ["warn", "stale", `Ready; ${counted(sum("stale"), "row")} held: ${status.reason || "FRR has not repeated them"}`];
  const coming = status.planes.find((it) => it.role === "preparing");
  if (coming) return ["", "pending", `Ready; a switch to ${coming.name} is under way: ${number(coming.programmed)} of ${counted(coming.desired, "row")} programmed there`];
  const waiting = Math.max(0, sum("desired") - sum("programmed"));
  if (waiting) return ["", "pending", `Ready; ${counted(waiting, "row")} to be programmed`];
  return ["", "programmed", `Ready: ${counted(sum("programmed"), "row")} programmed, none refused`];
}

// -- the stream -----------------------------------------------------------------------------------

function listen() {
  const stream = new EventSource("api/stream");
  for (const part of ["daemon", "status", "node", "ports"])
    stream.addEventListener(part, (event) => {
      parts[part] = JSON.parse(event.data);
      soon(part);
    });
  stream.addEventListener("entry", (event) => timeLine.add(JSON.parse(event.data)));
  stream.addEventListener("sample", (event) => {
    const samples = JSON.parse(event.data);
    traffic.add(samples);
    timeLine.sample(samples);
    soon("sample");
  });
  stream.addEventListener("open", () => {
    if (lost) location.reload(); // the board sends all again
  });
  stream.addEventListener("error", () => {
    lost = true;
    soon("lost");
    if (stream.readyState === EventSource.CLOSED) setTimeout(listen, 3000); // it was refused
  });
}

// -- dark and light -------------------------------------------------------------------------------

function theme() {
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => set(root, "data-theme", localStorage.getItem("theme") ?? (system.matches ? "dark" : "light"));
  system.addEventListener("change", apply);
  byId("theme").addEventListener("click", () => {
    localStorage.setItem("theme", root.dataset.theme === "dark" ? "light" : "dark");
    apply();
  });
  apply();
}

theme();
if (location.search) history.replaceState(null, "", location.pathname); // the key is a cookie now
listen();
setInterval(() => soon("clock"), 15000); // ages
