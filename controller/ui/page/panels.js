// The tables at the side: the datapath, rows by kind, BGP sessions, ports with their traffic.

import { byId, drawn, make, mark, set, setClass, setText, sync } from "./dom.js";
import { badness, number, ofPort, ofSession, short, since } from "./words.js";

const SHOWN = 40; // of a table; the rest is in the list that a click opens
const SPARKS = 90; // samples of a sparkline

const body = (id) => byId(id).tBodies[0];

function row(cells, act) {
  const button = make("button", { type: "button", on: { click: act } }, mark("unknown"), make("span"));
  return make("tr", {}, make("td", {}, button), ...Array.from({ length: cells }, () => make("td")));
}

function head(element, state, text, label) {
  const button = element.firstChild.firstChild;
  setClass(button.firstChild, `mark ${state}`);
  setText(button.lastChild, text);
  set(button, "aria-label", label);
  set(button, "title", label);
}

// -- rows by kind -----------------------------------------------------------------------------------

export function showCounts(counts, open) {
  const shown = counts.filter((it) => it.desired || it.programmed || it.failed || it.unmanaged);
  sync(body("counts"), shown, (it) => it.kind, (it) => {
    const made = row(4, () => open({ kind: "rows", name: it.kind, state: made.failed ? "failed" : "" }));
    return made;
  }, (element, it) => {
    element.failed = it.failed;
    const waiting = it.desired !== it.programmed && !it.failed;
    const state = it.failed ? "failed" : it.stale ? "stale" : waiting ? "pending" : "programmed";
    head(element, state, it.kind, `${it.kind}: ${it.programmed} of ${it.desired} programmed, ${it.failed} failed, ${it.stale} stale`);
    const cells = [...element.cells].slice(1);
    [it.desired, it.programmed, it.failed, it.stale].forEach((value, at) => setText(cells[at], number(value)));
    setClass(cells[1], waiting ? "is-pending" : "");
    setClass(cells[2], it.failed ? "is-failed" : "zero");
    setClass(cells[3], it.stale ? "is-stale" : "zero");
  });
}

// -- BGP --------------------------------------------------------------------------------------------

export function showSessions(sessions, open) {
  const sorted = sessions.toSorted((a, b) => badness(ofSession(a)) - badness(ofSession(b)));
  const up = sessions.filter((it) => ofSession(it) === "programmed").length;
  setText(byId("bgp-count"), sessions.length ? `${up} of ${sessions.length} up` : "none");
  sync(body("sessions"), sorted.slice(0, SHOWN), (it) => `${it.vrf} ${it.peer}`, (it) => {
    const made = row(4, () => open({ kind: "BGP", name: it.peer, it: made.it }));
    return made;
  }, (element, it) => {
    element.it = it;
    head(element, ofSession(it), it.peer, `BGP ${it.peer} in ${it.vrf}: ${it.state}${it.bfd ? `, BFD ${it.bfd}` : ""}`);
    const bfd = it.bfd && it.bfd !== "Up" && it.state === "Established" ? `BFD ${it.bfd}` : it.state;
    [it.vrf, bfd, since(it.since), number(it.received)].forEach((text, at) => setText(element.cells[at + 1], text));
    setClass(element.cells[2], ofSession(it) === "failed" ? "is-failed" : "");
  });
}

// -- the datapath and its switch ----------------------------------------------------------------------

export function showPlanes(status) {
  const root = byId("planes");
  const two = status.planes.length > 0;
  const ports = status.planes.reduce((sum, it) => sum + it.ports.length, 0);
  const wanted = two ? status.planes.map((it) => ({ ...it, of: ports })) : [{ name: "", status }];
  sync(root, wanted, (it) => (two ? `plane ${it.name}` : "facts"), two ? newPlane : newFacts, two ? fillPlane : fillFacts);
}

function newFacts() {
  const list = make("dl", { class: "facts-line" });
  for (const name of ["Forwards", "FRR", "FPM session", "Repaired"]) list.append(make("dt", { text: name }), make("dd"));
  list.style.margin = "0";
  return list;
}

function fillFacts(element, { status }) {
  const session = status.session ? `${status.session}, ${status.session_state}${status.reason ? `: ${status.reason}` : ""}` : "none yet";
  const cells = element.querySelectorAll("dd");
  [`${status.about || status.datapath} in ${status.netns}`, `in ${status.frr_netns || "-"}, bridge ${status.bridge}`, session, `${number(status.repaired)} rows since the start`]
    .forEach((text, at) => { setText(cells[at], text); set(cells[at], "title", text); });
}

function newPlane() {
  return make("div", { class: "plane" }, make("b"), make("span"), make("progress"), make("span", { class: "quiet" }), make("span", { class: "quiet below" }));
}

function fillPlane(element, it) {
  const [name, role, bar, figure, below] = element.children;
  setText(name, it.name);
  setText(role, it.role);
  setClass(role, `role ${it.role}`);
  set(bar, "max", Math.max(1, it.desired));
  set(bar, "value", it.programmed);
  set(bar, "aria-label", `${it.name}: ${it.programmed} of ${it.desired} rows programmed`);
  setText(figure, `${number(it.programmed)} of ${number(it.desired)} rows`);
  const ports = it.ports.length ? `has the traffic of ${it.ports.length} of ${it.of} ports: ${it.ports.join(", ")}` : "has the traffic of no port";
  setText(below, it.problem || (it.failed ? `${number(it.failed)} rows refused; ${ports}` : ports));
  setClass(below, it.problem || it.failed ? "below is-failed" : "quiet below");
}

// -- ports ------------------------------------------------------------------------------------------

export class Traffic {
  constructor(open) {
    this.open = open;
    this.samples = [];
  }

  add(samples) {
    this.samples.push(...samples);
    this.samples.splice(0, this.samples.length - SPARKS);
  }

  rates(name) {
    return this.samples.at(-1)?.rates[name] ?? [0, 0, 0, 0, 0];
  }

  show(ports) {
    const order = ports.toSorted((a, b) => badness(ofPort(a)) - badness(ofPort(b)) || (a.type < b.type ? 1 : a.type > b.type ? -1 : 0));
    sync(body("ports"), order.slice(0, SHOWN), (it) => it.name, () => this.newRow(), (element, it) => this.fill(element, it));
  }

  newRow() {
    const made = row(4, () => this.open({ kind: "port", name: made.it.name, it: made.it }));
    made.cells[1].append(drawn("svg", { class: "spark", viewBox: `0 0 ${SPARKS} 24`, preserveAspectRatio: "none", "aria-hidden": "true" },
      drawn("path", { class: "tx" }), drawn("path", { class: "rx" })));
    return made;
  }

  fill(element, it) {
    element.it = it;
    const [, received, , sent, lost] = this.rates(it.name);
    const state = ofPort(it);
    head(element, state, it.name, `port ${it.name}: link ${it.link}, ${received} packets/s in, ${sent} out`);
    [short(received), short(sent), short(lost)].forEach((text, at) => setText(element.cells[at + 2], text));
    setClass(element.cells[4], lost ? "is-failed" : "zero");
    const [tx, rx] = element.cells[1].firstChild.children;
    const series = [1, 3].map((at) => this.samples.map((sample) => sample.rates[it.name]?.[at] ?? 0));
    const most = Math.max(1, ...series[0], ...series[1]);
    set(rx, "d", spark(series[0], most));
    set(tx, "d", spark(series[1], most));
  }
}

/** A line that ends at the right; an older sample moves to the left. */
function spark(values, most) {
  const first = SPARKS - values.length;
  return values.map((value, at) => `${at ? "L" : "M"}${first + at} ${(22.5 - (value / most) * 20).toFixed(1)}`).join("");
}
