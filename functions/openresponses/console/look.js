// Look: the responses of the key's tenant, the newest first.

import { read } from "./api.js";
import { Detail } from "./detail.js";
import { badge, fill, h, plain, put } from "./dom.js";
import { pairsOf } from "./form.js";
import { NONE, cost, count, duration, moment, tokens } from "./format.js";
import { table } from "./table.js";
import { FormError } from "./tools.js";

const PAGE = 25;
const STATUSES = ["completed", "in_progress", "queued", "incomplete", "failed", "cancelled"];

/** @type {import("./table.js").Column<any>[]} */
const COLUMNS = [
  { label: "Response", wide: true, cell: (row) => h("a", { href: `#/look/${encodeURIComponent(row.id)}` }, h("code", {}, plain(shortened(row.id)))) },
  { label: "Status", cell: (row) => badge(row.status, row.error?.message ?? row.incomplete_details?.reason) },
  { label: "Model", cell: (row) => h("code", {}, plain(row.model)) },
  { label: "Target", cell: (row) => (row["serverless:target"] ? h("code", {}, plain(row["serverless:target"])) : NONE) },
  { label: "Turns", number: true, cell: (row) => count(row["serverless:turns"]) },
  { label: "Tokens", number: true, cell: (row) => tokens(row.usage) },
  { label: "Cost", number: true, cell: (row) => cost(row["serverless:cost"]) },
  { label: "Duration", number: true, cell: (row) => duration(row["serverless:seconds"]) },
  { label: "Created", number: true, cell: (row) => moment(row.created_at) },
];

export class Look {
  /** @param {HTMLElement} element */
  constructor(element) {
    this.element = element;
    this.detail = new Detail(element);
    this.asked = 0;
  }

  /** @param {string[]} path @param {URLSearchParams} query */
  show(path, query) {
    this.detail.hide();
    this.asked += 1;
    if (path[0]) return this.detail.show(path[0], path[1]);
    this.list(query);
  }

  hide() {
    this.detail.hide();
    this.asked += 1;
  }

  /** @param {URLSearchParams} query `status`, `model` and `metadata` as the form has them */
  list(query) {
    const body = h("div", { class: "panel", "aria-live": "off" });
    const told = h("p", { class: "faint", role: "status" });
    const more = h("button", { type: "button", hidden: true }, "Older");
    const filters = this.filters(query);
    fill(this.element, h("div", { class: "row" }, h("h1", {}, "Responses"), h("span", { class: "grow" }), told), filters, body, h("div", { class: "row" }, more));
    /** @type {any[]} */
    const rows = [];
    const page = async (/** @type {string} */ after) => {
      const asked = this.asked;
      told.textContent = "Reading…";
      more.disabled = true;
      try {
        const found = await read(`v1/responses?${search(filters, after)}`);
        if (asked !== this.asked) return;
        rows.push(...found.data);
        fill(body, table("Responses", COLUMNS, rows, "There is none of this kind."));
        told.textContent = `${count(rows.length)} ${rows.length === 1 ? "response" : "responses"}${found.has_more ? ", and older ones" : ""}`;
        more.hidden = !found.has_more;
        more.onclick = () => page(found.last_id);
      } catch (error) {
        told.textContent = "";
        if (asked !== this.asked) return;
        const again = h("button", { type: "button", on: { click: () => (problem.remove(), page(after)) } }, "Try again");
        const problem = h("p", { class: "problem row", role: "alert" }, h("span", { class: "grow" }, plain(/** @type {Error} */ (error).message)), !(error instanceof FormError) && again);
        put(body, problem);
      }
      more.disabled = false;
    };
    page("");
  }

  /** @param {URLSearchParams} query */
  filters(query) {
    const options = STATUSES.map((each) => h("option", { value: each, selected: query.get("status") === each }, each.replaceAll("_", " ")));
    const form = h(
      "form",
      { class: "filters", "aria-label": "Filters", novalidate: true },
      field("look-status", "Status", h("select", { name: "status" }, h("option", { value: "" }, "any"), options)),
      field("look-model", "Model", h("input", { name: "model", list: "models", value: query.get("model") ?? "", placeholder: "any", spellcheck: "false", autocomplete: "off" })),
      field("look-metadata", "Metadata", h("input", { name: "metadata", value: query.get("metadata") ?? "", placeholder: "key=value", spellcheck: "false", autocomplete: "off" })),
      h("button", { type: "submit", class: "main" }, "Show"),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const wanted = new URLSearchParams(/** @type {any} */ ([...new FormData(form)].filter(([, value]) => value)));
      const hash = `#/look${wanted.size ? `?${wanted}` : ""}`;
      if (location.hash === hash) this.show([], wanted);
      else location.hash = hash;
    });
    return form;
  }
}

/** @param {HTMLFormElement} filters @param {string} after */
function search(filters, after) {
  const named = (/** @type {string} */ name) => /** @type {HTMLInputElement} */ (filters.elements.namedItem(name));
  const asked = new URLSearchParams({ limit: String(PAGE) });
  for (const name of ["status", "model"]) if (named(name).value.trim()) asked.set(name, named(name).value.trim());
  const metadata = named("metadata");
  metadata.removeAttribute("aria-invalid");
  try {
    for (const [key, value] of Object.entries(pairsOf(metadata))) asked.set(`metadata[${key}]`, value);
  } catch (error) {
    if (error instanceof FormError) metadata.setAttribute("aria-invalid", "true");
    throw error;
  }
  if (after) asked.set("after", after);
  return asked;
}

/** @param {string} id @param {string} label @param {HTMLElement} control */
function field(id, label, control) {
  control.id = id;
  const made = h("div", { class: "field" }, h("label", { for: id }, label));
  put(made, control);
  return made;
}

/** @param {string} id */
const shortened = (id) => (id.length > 22 ? `${id.slice(0, 14)}…${id.slice(-6)}` : id);
