// The graph: buttons in columns, and lines between those that belong together.

import { byId, drawn, make, mark, set, setClass, setText, sync } from "./dom.js";
import { worstFirst } from "./nodes.js";
import { MEANINGS, badness, number } from "./words.js";

const CARDS = 30; // a column with more has tiles
const VAST = 200; // gets more room
const LINES = 240; // more lines than this are drawn for one item only

export class Graph {
  constructor(open) {
    this.open = open;
    this.graph = { columns: [], links: [] };
    this.near = null; // the item under the pointer or with the focus
    this.way = new Set(); // the items of a path that was asked for
    this.elements = new Map();
    this.root = byId("columns");
    sync(byId("legend"), Object.entries(MEANINGS), ([state]) => state,
      ([state, text]) => make("li", { title: text }, mark(state), state), () => {});
    new ResizeObserver(() => this.drawLines()).observe(this.root);
    for (const event of ["pointerover", "focusin"]) this.root.addEventListener(event, (it) => this.point(it.target));
    for (const event of ["pointerleave", "focusout"]) this.root.addEventListener(event, () => this.point(null));
    this.root.addEventListener("keydown", (event) => this.move(event));
  }

  show(graph) {
    this.graph = graph;
    this.related = null;
    this.elements = new Map();
    sync(this.root, graph.columns, (column) => column.id, newColumn, (element, column) => this.fill(element, column));
    this.root.classList.toggle("tall", graph.columns.some((column) => column.items.length > CARDS));
    this.paint();
  }

  showWay(ids) {
    this.way = new Set(ids);
    this.paint();
    const first = ids.map((id) => this.elements.get(id)).find(Boolean);
    first?.scrollIntoView({ block: "nearest" });
  }

  fill(element, column) {
    const [title, said, items] = element.children;
    setText(title.firstChild, column.title);
    setText(title.lastChild, column.items.length ? number(column.items.length) : "");
    const tiled = column.items.length > CARDS;
    said.hidden = !tiled;
    setClass(element, column.items.length > VAST ? "column tiled vast" : tiled ? "column tiled" : "column");
    const cards = tiled ? worstFirst(column.items).filter((item) => badness(item.state) < 2).slice(0, 8) : column.items;
    const asCards = new Set(cards.map((item) => item.id));
    const [list, tiles, none] = items.children;
    none.hidden = column.items.length > 0;
    sync(list, cards, (item) => item.id, () => this.newItem(), (it, item) => this.fillItem(it, item));
    const rest = tiled ? column.items.filter((item) => !asCards.has(item.id)) : [];
    sync(tiles, rest, (item) => item.id, () => this.newTile(), (it, item) => this.fillTile(it, item));
    const buttons = [...list.children, ...tiles.children];
    if (buttons.length && !buttons.some((it) => it.tabIndex === 0)) buttons[0].tabIndex = 0;
  }

  newItem() {
    return this.button(make("button", { type: "button", tabindex: "-1" }, mark("unknown"), make("span", { class: "name" }), make("span", { class: "more" })));
  }

  fillItem(element, item) {
    const [sign, name, more] = element.children;
    element.item = item;
    element.plainClass = badness(item.state) < 2 ? `item is-${item.state}` : "item";
    setClass(sign, `mark ${item.state}`);
    setText(name, item.name);
    setText(more, item.error ? `${item.state}: ${item.error}` : item.more);
    set(element, "aria-label", described(item));
    this.elements.set(item.id, element);
  }

  newTile() {
    return this.button(make("button", { type: "button", tabindex: "-1" }, mark("unknown")));
  }

  fillTile(element, item) {
    element.item = item;
    element.plainClass = "tile";
    setClass(element.firstChild, `mark ${item.state}`);
    set(element, "aria-label", described(item));
    this.elements.set(item.id, element);
  }

  button(element) {
    element.addEventListener("click", () => this.open(element.item));
    return element;
  }

  // -- what belongs together --------------------------------------------------------------------

  point(target) {
    const button = target?.closest?.("button");
    const item = button?.item ?? null;
    if (item?.id === this.near?.id) return;
    this.near = item;
    const said = button?.closest(".column").children[1];
    if (said && !said.hidden) setText(said, described(item));
    this.paint();
  }

  neighbors(id) {
    if (!this.related) {
      this.related = new Map();
      const add = (a, b) => (this.related.get(a) ?? this.related.set(a, new Set()).get(a)).add(b);
      for (const [a, b] of this.graph.links) { add(a, b); add(b, a); }
    }
    return this.related.get(id) ?? new Set();
  }

  paint() {
    const near = this.near ? this.neighbors(this.near.id) : new Set();
    for (const [id, element] of this.elements) {
      const extra = this.way.has(id) ? " way" : near.has(id) || id === this.near?.id ? " near" : "";
      setClass(element, element.plainClass + extra);
    }
    this.drawLines();
  }

  drawLines() {
    const svg = byId("edges");
    const { links } = this.graph;
    const lines = links.length > LINES ? links.filter((pair) => this.classOf(pair)) : links;
    const box = this.root.getBoundingClientRect();
    const boxes = new Map();
    const boxOf = (id) => boxes.get(id) ?? boxes.set(id, this.elements.get(id)?.getBoundingClientRect()).get(id);
    const shown = [];
    for (const pair of lines.slice(0, 4 * LINES)) {
      const [a, b] = pair.map(boxOf);
      if (a && b) shown.push({ key: pair.join(" "), name: this.classOf(pair), path: curve(a, b, box) });
    }
    shown.sort((a, b) => a.name.length - b.name.length || (a.name > b.name ? 1 : -1)); // what is marked is on top
    set(svg, "width", this.root.scrollWidth);
    set(svg, "height", this.root.scrollHeight);
    sync(svg, shown, (line) => line.key, () => drawn("path"), (element, line) => {
      set(element, "d", line.path);
      setClass(element, line.name);
    });
  }

  classOf([a, b]) {
    if (this.way.has(a) && this.way.has(b)) return "way";
    return this.near && (a === this.near.id || b === this.near.id) ? "near" : "";
  }

  // -- keys -------------------------------------------------------------------------------------

  /** One button of a column can be reached with Tab; arrows, Home and End move among the others. */
  move(event) {
    const column = event.target.closest(".column");
    if (!column || !event.target.item) return;
    const buttons = [...column.querySelectorAll("button")];
    const at = buttons.indexOf(event.target);
    const columns = [...this.root.children];
    const step = { ArrowDown: at + rowOf(event.target), ArrowUp: at - rowOf(event.target), Home: 0, End: buttons.length - 1 }[event.key];
    let next = step === undefined ? undefined : buttons[Math.max(0, Math.min(buttons.length - 1, step))];
    if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      const by = event.key === "ArrowRight" ? 1 : -1;
      const beside = event.target.plainClass === "tile" ? buttons[at + by] : undefined;
      next = beside ?? this.across(columns, columns.indexOf(column) + by, event.target.item.id, by);
    }
    if (!next) return;
    event.preventDefault();
    for (const button of next.closest(".column").querySelectorAll("button")) button.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  }

  /** The next column's first item that belongs to this one, or its first. */
  across(columns, at, id, by) {
    for (; columns[at]; at += by) {
      const buttons = [...columns[at].querySelectorAll("button")];
      const near = this.neighbors(id);
      if (buttons.length) return buttons.find((it) => near.has(it.item.id)) ?? buttons[0];
    }
    return undefined;
  }
}

const described = (item) => `${item.kind} ${item.name}: ${item.state}${item.error ? `: ${item.error}` : ""}, ${item.more}`;

function rowOf(button) {
  if (button.plainClass !== "tile") return 1;
  return Math.max(1, Math.floor(button.parentElement.clientWidth / button.offsetWidth));
}

function newColumn(column) {
  return make("div", { class: "column", role: "group", "aria-label": column.title },
    make("h3", {}, make("span"), make("span")),
    make("div", { class: "said", hidden: true, "aria-hidden": "true", text: "Point at a mark to read it" }),
    make("div", { class: "items" },
      make("div", { class: "items list" }), make("div", { class: "tiles" }), make("span", { class: "none", text: "none" })));
}

function curve(a, b, box) {
  const [x1, x2] = a.left < b.left ? [a.right, b.left] : [a.left, b.right];
  const [y1, y2] = [a.top + a.height / 2, b.top + b.height / 2];
  const [left, top] = [x1 - box.left, y1 - box.top];
  const [right, bottom] = [x2 - box.left, y2 - box.top];
  const middle = (left + right) / 2;
  return `M${left} ${top}C${middle} ${top} ${middle} ${bottom} ${right} ${bottom}`;
}
