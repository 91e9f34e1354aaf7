// A table of rows, which on a phone is a list of cards.

import { fill, h } from "./dom.js";

/**
 * @template R
 * @typedef {{label: string, number?: boolean, wide?: boolean, cell: (row: R) => import("./dom.js").Child | import("./dom.js").Child[]}} Column
 */

/** @template R @param {string} caption @param {Column<R>[]} columns @param {R[]} rows @param {string} [none] */
export function table(caption, columns, rows, none = "None") {
  if (!rows.length) return h("p", { class: "faint" }, none);
  const kind = (/** @type {Column<R>} */ column) => [column.number && "number", column.wide && "wide"].filter(Boolean).join(" ");
  const head = columns.map((column) => h("th", { scope: "col", class: kind(column) }, column.label));
  const line = (/** @type {R} */ row) =>
    h("tr", {}, columns.map((column) => h("td", { class: kind(column), data: { label: column.label } }, column.cell(row))));
  return h(
    "div",
    { class: "scroll cards", role: "region", "aria-label": caption, tabindex: 0 },
    h("table", {}, h("caption", { class: "unseen" }, caption), h("thead", {}, h("tr", {}, head)), h("tbody", {}, rows.map(line))),
  );
}

/** Facts by their names. @param {[string, import("./dom.js").Child][]} facts */
export function pairs(facts) {
  return h("dl", { class: "pairs" }, facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

/** Draws only what changed, so that what is selected or focused stays. */
export class Fresh {
  /** @param {HTMLElement} element */
  constructor(element) {
    this.element = element;
    this.shown = "";
  }

  /** @param {unknown} data @param {() => import("./dom.js").Child | import("./dom.js").Child[]} draw */
  show(data, draw) {
    const now = JSON.stringify(data);
    if (now === this.shown) return;
    this.shown = now;
    fill(this.element, draw());
  }
}
