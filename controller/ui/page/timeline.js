// The time line: how many rows changed in each look, marks of faults, and a list of both.

import { byId, drawn, make, mark, set, setClass, setText, sync } from "./dom.js";
import { clock, counted } from "./words.js";

const WINDOW_S = 300;
const KEPT = 300;
const HIGH = 48;

export class TimeLine {
  constructor() {
    this.entries = [];
    this.samples = [];
    this.made = 0;
    const faults = byId("time-faults");
    faults.addEventListener("change", () => byId("entries").classList.toggle("faults", faults.checked));
    set(byId("bars"), "viewBox", `0 0 ${WINDOW_S} ${HIGH}`);
  }

  add(entries) {
    for (const [at, tone, subject, text] of entries) this.entries.unshift({ key: ++this.made, at, tone, subject, text });
    this.entries.sort((a, b) => b.at - a.at || b.key - a.key);
    this.entries.length = Math.min(this.entries.length, KEPT);
    sync(byId("entries"), this.entries, (it) => it.key, newEntry, () => {});
    this.draw();
  }

  sample(samples) {
    this.samples.push(...samples);
    this.samples.splice(0, this.samples.length - 300);
    this.draw();
  }

  draw() {
    const now = Math.max(Date.now() / 1000, this.samples.at(-1)?.at ?? 0);
    const inside = (it) => it.at > now - WINDOW_S;
    const bars = this.samples.filter((it) => inside(it) && it.changes);
    const most = Math.max(1, ...bars.map((it) => it.changes));
    const marks = this.entries.filter((it) => inside(it) && it.tone !== "note").slice(0, 60);
    const x = (at) => Math.max(0, WINDOW_S - (now - at)).toFixed(1);
    setText(byId("time-most"), bars.length ? `at most ${counted(most, "change")} in 2 s` : "no changes");
    const shapes = [
      ...marks.map((it) => ({ key: `m${it.key}`, name: it.tone === "bad" ? "fault" : "cure", path: `M${x(it.at)} 0V${HIGH}` })),
      ...bars.map((it) => {
        const height = Math.max(2, (Math.log1p(it.changes) / Math.log1p(most)) * (HIGH - 6));
        return { key: `b${it.at}`, name: "bar-of", path: `M${x(it.at - 1.6)} ${HIGH}v${-height.toFixed(1)}h1.6V${HIGH}z` };
      }),
    ];
    sync(byId("bars"), shapes, (it) => it.key, () => drawn("path"), (element, it) => {
      set(element, "d", it.path);
      setClass(element, it.name);
    });
    const faults = marks.filter((it) => it.tone === "bad").length;
    set(byId("bars"), "aria-label", `${counted(bars.reduce((sum, it) => sum + it.changes, 0), "change")} and ${counted(faults, "fault")} in five minutes`);
  }
}

function newEntry(it) {
  const time = make("time", { datetime: new Date(it.at * 1000).toISOString(), text: clock(it.at) });
  const tone = it.tone === "note" ? "" : make("span", { class: "unseen", text: it.tone === "bad" ? "fault" : "cured" });
  return make("li", { class: it.tone === "bad" ? "bad-line" : `${it.tone}-line` }, time, mark(it.tone),
    make("span", { text: it.subject, title: it.subject }), make("span", { title: it.text }, it.text, tone));
}
