// Numbers, times and states as text.

export const STATES = ["programmed", "pending", "failed", "stale", "leaving", "unmanaged"];

export const MEANINGS = {
  programmed: "programmed: the datapath has it as FRR wants it",
  pending: "pending: desired, not yet in the datapath",
  failed: "failed: the datapath refused it, or it is down",
  stale: "stale: kept in the datapath, FRR has not repeated it",
};

const WORST = { failed: 0, stale: 1, pending: 2, leaving: 3 };
export const badness = (state) => WORST[state] ?? 4;

export const number = (value) => value.toLocaleString("en");

export function short(value) {
  for (const unit of ["", "k", "M", "G"]) {
    if (value < 999.5) return unit && value < 9.95 ? value.toFixed(1) + unit : value.toFixed(0) + unit;
    value /= 1000;
  }
  return `${value.toFixed(0)}T`;
}

export function span(seconds) {
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "m"], [1, "s"]])
    if (seconds >= size) return Math.floor(seconds / size) + unit;
  return "0s";
}

export const since = (at) => (at ? span(Date.now() / 1000 - at) : "-");

export const clock = (at) => new Date(at * 1000).toTimeString().slice(0, 8);

export const counted = (many, thing) => `${number(many)} ${thing}${many === 1 ? "" : "s"}`;

/** The state of a BGP session as a mark. */
export function ofSession(session) {
  if (session.state !== "Established") return "failed";
  return session.bfd && session.bfd !== "Up" ? "failed" : "programmed";
}

export function ofPort(port) {
  if (port.link === "down") return "failed";
  return port.state === "programmed" && port.link === "unknown" ? "unknown" : port.state;
}

export const ofVni = (vni) => (vni.down && vni.state === "programmed" ? "pending" : vni.state);
