// What the graph has: items in five columns, and which of them belong together. No document here.

import { badness, counted, ofPort, ofSession, ofVni, since } from "./words.js";

const byName = new Intl.Collator("en", { numeric: true }).compare;

export function graphOf(status, node, ports) {
  const columns = [
    { id: "fabric", title: "Fabric", items: fabric(status, ports) },
    { id: "vteps", title: "VTEPs of others", items: vteps(node) },
    { id: "vnis", title: "VNIs", items: vnis(node) },
    { id: "vrfs", title: "VRFs", items: vrfs(node, status) },
    { id: "ports", title: "Host ports", items: hosts(status, node, ports) },
  ];
  return { columns, links: links(node, ports, columns) };
}

const inFabric = (port) => port.type === "nic" && (port.vrf === "default" || port.vrf === "") && !port.vni;

function fabric(status, ports) {
  const sessions = status.sessions.filter((it) => it.vrf === "default").map(session);
  return [...sessions, ...ports.filter(inFabric).map((it) => port(it, []))];
}

function session(it) {
  const bfd = it.bfd && it.bfd !== "Up" ? `, BFD ${it.bfd}` : "";
  const more = `AS ${it.as}, ${it.state === "Established" ? since(it.since) : it.state}${bfd}`;
  return { id: `bgp:${it.vrf} ${it.peer}`, kind: "BGP", name: it.peer, more, state: ofSession(it), it };
}

function port(it, sessions) {
  const where = it.vni ? `VNI ${it.vni}` : it.vrf;
  const down = sessions.find((one) => ofSession(one) === "failed" && one.since);
  const speaks = sessions.length ? `, BGP ${sessions.map((one) => (one.state === "Established" ? "up" : one.state)).join(", ")}` : "";
  const mine = ofPort(it);
  const more = it.type === "nic" ? `port, link ${it.link}` : `${where || "unused"}, link ${it.link}${speaks}`;
  return { id: `port:${it.name}`, kind: "port", name: it.name, more, state: down && mine === "programmed" ? "failed" : mine, error: it.error, it };
}

function vteps(node) {
  const found = new Map();
  for (const vni of node.vnis) for (const address of vni.vteps) found.set(address, [...(found.get(address) ?? []), vni.vni]);
  return [...found].sort(([a], [b]) => byName(a, b)).map(([address, of]) => ({
    id: `vtep:${address}`, kind: "VTEP", name: address, more: counted(of.length, "VNI"),
    state: node.vteps[address] ?? "programmed", it: { address, vnis: of },
  }));
}

function vnis(node) {
  const sorted = node.vnis.toSorted((a, b) => byName(a.vrf, b.vrf) || b.layer - a.layer || a.vni - b.vni);
  return sorted.map((it) => ({
    id: `vni:${it.vni}`, kind: "VNI", name: String(it.vni),
    more: `L${it.layer}${it.vrf ? ` of ${it.vrf}` : ""}`,
    state: ofVni(it), error: it.error ?? (it.down ? "FRR has it down" : ""), it,
  }));
}

function vrfs(node, status) {
  const known = new Map(node.vrfs.map((it) => [it.name, it]));
  for (const it of status.sessions) if (!known.has(it.vrf)) known.set(it.vrf, { name: it.vrf, l3vni: 0, state: "programmed" });
  known.delete("default");
  return [...known.values()].sort((a, b) => byName(a.name, b.name)).map((it) => ({
    id: `vrf:${it.name}`, kind: "VRF", name: it.name, more: it.l3vni ? `L3VNI ${it.l3vni}` : "no L3VNI",
    state: it.state, error: it.error, it,
  }));
}

function hosts(status, node, ports) {
  const of = new Map(node.vnis.map((it) => [it.vni, it.vrf]));
  const vrf = (it) => it.vrf || of.get(it.vni) || "";
  const peers = new Map(status.sessions.map((it) => [`${it.vrf} ${it.peer}`, it]));
  const own = (it) => it.hosts.map((address) => peers.get(`${it.vrf} ${address}`)).filter(Boolean);
  return ports.filter((it) => !inFabric(it))
    .toSorted((a, b) => byName(vrf(a), vrf(b)) || a.vni - b.vni || byName(a.name, b.name))
    .map((it) => port(it, own(it)));
}

/** Pairs of ids, from left to right. */
function links(node, ports, columns) {
  const known = new Set(columns.flatMap((column) => column.items.map((item) => item.id)));
  const found = [];
  const add = (a, b) => known.has(a) && known.has(b) && found.push([a, b]);
  const uplinks = ports.filter(inFabric);
  const others = columns[1].items;
  if (uplinks.length * others.length <= 48) for (const up of uplinks) for (const other of others) add(`port:${up.name}`, other.id);
  for (const vni of node.vnis) {
    for (const address of vni.vteps) add(`vtep:${address}`, `vni:${vni.vni}`);
    if (vni.vrf) add(`vni:${vni.vni}`, `vrf:${vni.vrf}`);
  }
  for (const it of ports) if (!inFabric(it)) add(it.vni ? `vni:${it.vni}` : `vrf:${it.vrf}`, `port:${it.name}`);
  return found;
}

/** What is wrong comes first where there are many. */
export const worstFirst = (items) => items.toSorted((a, b) => badness(a.state) - badness(b.state));
