// The drawer: facts of what was clicked, and its rows, a page of 200 at a time.

import { byId, make, mark, sync } from "./dom.js";
import { STATES, counted, since } from "./words.js";

const LISTS = { vrf: "vrfs", vni: "vnis", port: "ports", "remote-vtep": "vteps", flood: "vteps", mac: "macs", neighbor: "neighbors", nexthop: "nexthops", route: "routes", lsp: "lsps" };
const GONE = 410; // a page_token of an earlier daemon

export class Drawer {
  constructor(ask, traffic) {
    this.ask = ask;
    this.traffic = traffic;
    this.root = byId("drawer");
    this.state = byId("drawer-state");
    this.state.append(make("option", { value: "", text: "any" }), ...STATES.map((it) => make("option", { value: it, text: it })));
    this.state.addEventListener("change", () => this.list(this.shown));
    byId("drawer-close").addEventListener("click", () => this.close());
    byId("more").addEventListener("click", () => this.page());
    document.addEventListener("keydown", (event) => event.key === "Escape" && !this.root.hidden && this.close());
  }

  open(item) {
    const { title, facts, lists } = describe(item, this.traffic);
    this.from = document.activeElement;
    byId("drawer-title").textContent = title;
    byId("facts").replaceChildren(...facts.flatMap(([name, text]) => [make("dt", { text: name }), make("dd", { text: text || "-" })]));
    this.state.value = item.kind === "rows" ? item.state : "";
    byId("lists").replaceChildren(...lists.map((it) => make("button", { type: "button", text: it.title, on: { click: () => this.list(it) } })));
    this.lists = lists;
    for (const bar of this.root.querySelectorAll(".bar")) bar.hidden = !lists.length;
    byId("drawer-body").hidden = !lists.length;
    this.root.hidden = false;
    byId("drawer-title").focus();
    if (lists.length) this.list(lists[0]);
  }

  close() {
    this.root.hidden = true;
    this.shown = undefined;
    this.from?.focus?.();
  }

  list(shown) {
    this.shown = shown;
    [...byId("lists").children].forEach((it, at) => it.setAttribute("aria-pressed", this.lists[at] === shown));
    this.next = "";
    this.table = undefined;
    this.many = 0;
    this.page();
  }

  async page() {
    const { shown } = this;
    const query = new URLSearchParams(shown.query);
    if (this.state.value) query.set("state", this.state.value);
    if (this.next) query.set("page", this.next);
    byId("more").hidden = true;
    const answer = await this.ask(`api/rows/${shown.kind}?${query}`);
    if (this.shown !== shown) return;
    if (answer.problem) {
      this.note(answer.code === GONE ? "the daemon was restarted: open the list again" : answer.problem);
      return;
    }
    if (!this.table) {
      this.table = make("tbody");
      const heads = answer.columns.map((text) => make("th", { scope: "col", text: text.toLowerCase() }));
      byId("drawer-body").replaceChildren(make("table", {}, make("thead", {}, make("tr", {}, ...heads)), this.table));
    }
    this.table.append(...answer.rows.map((cells, at) => line(answer, cells, answer.states[at])));
    this.many += answer.rows.length;
    this.next = answer.next;
    byId("more").hidden = !this.next;
    this.note(this.many ? `${counted(this.many, "row")}${this.next ? ", there are more" : ""}` : "no rows");
  }

  note(text) {
    byId("drawer-note").textContent = text;
  }
}

function line(answer, cells, state) {
  return make("tr", {}, ...cells.map((text, at) =>
    answer.columns[at] === "STATE" ? make("td", { class: `is-${state}` }, mark(state), ` ${text}`) : make("td", { text, title: text.length > 40 ? text : undefined })));
}

const list = (title, kind, query = {}) => ({ title, kind, query });

function describe(item, traffic) {
  const { it } = item;
  switch (item.kind) {
    case "rows":
      return { title: `Rows: ${item.name}`, facts: [], lists: LISTS[item.name] ? [list(LISTS[item.name], LISTS[item.name])] : [] };
    case "VRF":
      return {
        title: `VRF ${it.name}`,
        facts: [["State", standing(it)], ["L3VNI", it.l3vni ? String(it.l3vni) : "none"]],
        lists: [list("Routes", "routes", { vrf: it.name }), list("VNIs", "vnis", { vrf: it.name }), list("Ports", "ports", { vrf: it.name })],
      };
    case "VNI":
      return {
        title: `L${it.layer}VNI ${it.vni}`,
        facts: [["State", standing(it)], ["VRF", it.vrf], ["In FRR", it.down ? "down" : "up"], ["Remote VTEPs", it.vteps.join(", ")]],
        lists: it.layer === 2
          ? [list("MACs", "macs", { vni: it.vni }), list("Neighbors", "neighbors", { vni: it.vni }), list("VTEPs", "vteps", { vni: it.vni })]
          : [list("Routes", "routes", { vni: it.vni }), list("VTEPs", "vteps", { vni: it.vni }), list("Next hops", "nexthops", { vni: it.vni })],
      };
    case "VTEP":
      return { title: `VTEP ${it.address}`, facts: [["State", item.state], ["VNIs", it.vnis.join(", ")]], lists: [list("VTEPs", "vteps")] };
    case "BGP":
      return { title: `BGP ${it.peer}`, facts: session(it), lists: [] };
    default:
      return {
        title: `Port ${it.name}`,
        facts: port(it, traffic.rates(it.name)),
        lists: it.vni ? [list("MACs", "macs", { vni: it.vni })] : [list("Routes", "routes", { vrf: it.vrf || "default" })],
      };
  }
}

const standing = (it) => (it.error ? `${it.state}: ${it.error}` : it.state);

const session = (it) => [
  ["State", it.state], ["Since", it.since ? since(it.since) : "never, or not now"], ["VRF", it.vrf], ["Peer's AS", String(it.as)],
  ["BFD", it.bfd || "none"], ["Prefixes", `${it.received} received, ${it.sent} sent`], ["Last reset", it.reason],
];

const port = (it, [rxBits, rx, txBits, tx, lost]) => [
  ["State", standing(it)], ["Link", it.link], ["In", it.vni ? `VNI ${it.vni}` : it.vrf], ["Addresses", it.addresses.join(", ")],
  ["Host", it.host], ["Traffic", `${rx} packets/s and ${rxBits} bit/s in, ${tx} packets/s and ${txBits} bit/s out, ${lost} lost/s`],
];
