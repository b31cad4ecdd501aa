// The path to an address, as Explain knows it: hops in a line, the views that agree, and problems.

import { byId, make, mark } from "./dom.js";

const VIEWS = [["frr", "FRR"], ["desired", "desired"], ["programmed", "programmed"], ["observed", "observed"]];
const MOST = 8; // paths of one group that are drawn

const stateOf = (name) => name.replace("ROW_STATE_", "").toLowerCase();

export class Path {
  /** `show` gets the ids of the graph's items on the way. */
  constructor(show, ask) {
    this.show = show;
    this.ask = ask;
    byId("path-close").addEventListener("click", () => this.close());
    byId("search").addEventListener("submit", (event) => {
      event.preventDefault();
      this.search(byId("search-vrf").value, byId("search-address").value.trim());
    });
  }

  close() {
    byId("path").hidden = true;
    this.asked = undefined;
    this.show([]);
  }

  async search(vrf, address) {
    if (!address) return byId("search-address").focus();
    const asked = (this.asked = {});
    const query = new URLSearchParams({ vrf, address });
    const answer = await this.ask(`api/explain?${query}`);
    if (this.asked !== asked) return undefined;
    byId("path").hidden = false;
    byId("path-title").textContent = `Path to ${answer.address ?? address} in VRF ${answer.vrf ?? vrf}`;
    byId("path-body").replaceChildren(...(answer.problem ? [problems([answer.problem])] : drawing(answer)));
    this.show(answer.problem ? [] : onTheWay(answer));
    return undefined;
  }
}

function lookup(answer) {
  return VIEWS.map(([name]) => answer[name]).find((it) => it?.route) ?? { paths: [] };
}

function onTheWay(answer) {
  const ids = [`vrf:${answer.vrf}`];
  for (const path of lookup(answer).paths) {
    if (path.vni) ids.push(`vni:${path.vni}`);
    if (path.vtep) ids.push(`vtep:${path.vtep}`);
    for (const port of path.ports) ids.push(`port:${port}`);
  }
  return ids;
}

function drawing(answer) {
  const from = lookup(answer);
  const ways = from.paths.slice(0, MOST).map((path) => way(answer, from, path));
  if (!ways.length) ways.push(line([start(answer), ...route(from)], "No way out"));
  if (from.paths.length > MOST) ways.push(make("span", { class: "quiet", text: `and ${from.paths.length - MOST} more ways` }));
  const wrong = answer.problems.length ? [problems(answer.problems)] : [];
  return [...ways, views(answer), ...wrong];
}

const start = (answer) => hop("Destination", answer.address, `VRF ${answer.vrf}`);

function route(from) {
  if (!from.route) return [hop("Route", "no route matches", "", true)];
  const state = stateOf(from.route.state);
  return [hop("FRR's route", from.route.prefix, `${from.route.protocol}, ${state}`, state === "failed")];
}

function way(answer, from, path) {
  const hops = [start(answer), ...route(from)];
  const { nexthop } = path;
  const share = from.paths.length > 1 ? `, weight ${path.weight}` : "";
  if (path.vtep) {
    hops.push(hop("Overlay", `VNI ${path.vni}`, `inner MAC ${path.mac || "unknown"}${share}`, !path.mac));
    hops.push(hop("Remote VTEP", path.vtep, path.underlay_prefix ? `underlay ${path.underlay_prefix}` : "no underlay route", !path.underlay_prefix));
  } else if (nexthop) {
    const name = nexthop.gateway || nexthop.device || nexthop.type.replace("NEXTHOP_TYPE_", "").toLowerCase();
    hops.push(hop("Next hop", name, `${nexthop.gateway && nexthop.device ? `dev ${nexthop.device}` : "direct"}${share}`));
  }
  hops.push(path.ports.length ? hop("Out of", path.ports.join(", "), "port") : hop("Out of", "no port", "the packet does not leave", true));
  return line(hops, `Way ${from.paths.indexOf(path) + 1}`);
}

function hop(what, name, more, broken = false) {
  return make("div", { class: broken ? "hop broken" : "hop" },
    make("small", { text: what }), make("b", { text: name }), make("small", { text: more }));
}

const line = (hops, label) => make("ol", { class: "way-line", "aria-label": label }, ...hops.map((it) => make("li", {}, it)));

function views(answer) {
  const items = VIEWS.map(([name, title]) => {
    const found = answer[name]?.route;
    if (name === "observed" && !answer.observed) return make("li", {}, mark("unknown"), `observed: ${answer.not_observed || "no answer"}`);
    const missing = name === "programmed" && answer.desired?.route && !found;
    const state = found ? "programmed" : missing ? "failed" : "unknown";
    return make("li", {}, mark(state), `${title}: ${found ? found.prefix || "dropped" : "no route"}`);
  });
  if (!answer.problems.length) items.push(make("li", { class: "quiet", text: "No problems: these agree" }));
  return make("ul", { class: "views", "aria-label": "Views of the route" }, ...items);
}

function problems(texts) {
  return make("ul", { class: "problems", "aria-label": "Problems" },
    ...texts.map((text) => make("li", {}, mark("failed"), make("span", { text }))));
}
