// Run: what `openresponses dev` runs. It is there for whoever has the key that dev printed.

import { ApiError, read } from "./api.js";
import { EXECUTION_COLUMNS } from "./detail.js";
import { badge, fill, h, plain, put } from "./dom.js";
import { NONE, count, moment } from "./format.js";
import { pre } from "./items.js";
import { pause } from "./stream.js";
import { Fresh, pairs, table } from "./table.js";

const EVERY = 2000;
const LINES = 1000;

/** @type {import("./table.js").Column<any>[]} */
const FUNCTIONS = [
  { label: "Function", wide: true, cell: (row) => h("code", {}, plain(row.name)) },
  { label: "Sandboxes", number: true, cell: (row) => `${count(row.busy)} busy, ${count(row.sandboxes)} of ${count(row.limit)}` },
  { label: "Invocations", number: true, cell: (row) => count(row.invocations) },
  { label: "Errors", number: true, cell: (row) => count(row.errors) },
  { label: "Cold starts", number: true, cell: (row) => count(row.cold_starts) },
  { label: "Last cold start", number: true, cell: (row) => (typeof row.last_cold_start_ms === "number" ? `${Math.round(row.last_cold_start_ms)} ms` : NONE) },
  { label: "Timeout", number: true, cell: (row) => `${row.timeout_s} s` },
  { label: "Memory", number: true, cell: (row) => `${row.memory_mb} MB` },
];
/** @type {import("./table.js").Column<any>[]} */
const PROVIDERS = [
  { label: "Provider", wide: true, cell: (row) => h("code", {}, plain(row.name)) },
  { label: "Dialect", cell: (row) => plain(row.dialect || NONE) },
  { label: "Address", cell: (row) => (row.invalid ? h("span", { class: "problem" }, plain(row.invalid)) : plain(row.base_url || NONE)) },
  { label: "Key", cell: (row) => (row.key ? "set" : NONE) },
  { label: "Circuit", cell: (row) => (row.circuit ? badge(row.circuit) : NONE) },
  { label: "Failures", number: true, cell: (row) => count(row.failures) },
  { label: "Last failure", cell: (row) => (row.last_error ? `${moment(row.last_error_at)}: ${plain(row.last_error)}` : NONE) },
];
/** @type {import("./table.js").Column<any>[]} */
const KEYS = [
  { label: "Key", wide: true, cell: (row) => [h("code", {}, plain(row.id)), " ", plain(row.name ?? "")] },
  { label: "Tenant", cell: (row) => plain(row.tenant) },
  { label: "State", cell: (row) => badge(row.state) },
  { label: "Models", cell: (row) => plain((row.models ?? []).join(", ") || "all") },
  { label: "Limits", cell: (row) => plain(row.limits || "none") },
  { label: "Requests", number: true, cell: (row) => count(row.requests) },
  { label: "Tokens", number: true, cell: (row) => `${count(row.input_tokens)} → ${count(row.output_tokens)}` },
  { label: "Cost", number: true, cell: (row) => (row.usd === undefined ? NONE : `$${plain(row.usd)}`) },
];

export class Run {
  /** @param {HTMLElement} element */
  constructor(element) {
    this.abort = new AbortController();
    const told = h("p", { class: "faint", role: "status" });
    this.told = told;
    const section = (/** @type {string} */ name) => {
      const body = h("div", { class: "panel" });
      put(element, h("section", { class: "panel", "aria-label": name }, h("h2", {}, name), body));
      return new Fresh(body);
    };
    fill(element, h("div", { class: "row" }, h("h1", {}, "What runs here"), h("span", { class: "grow" }), told));
    this.problems = section("Problems");
    this.functions = section("Functions");
    this.executions = section("Executions");
    this.providers = section("Providers");
    this.keys = section("Keys");
    this.where = section("Where");
    this.log = new Log();
    put(element, this.log.element);
  }

  show() {
    this.hide();
    const { signal } = (this.abort = new AbortController());
    this.poll(signal).catch(() => {});
    this.log.follow(signal).catch(() => {});
  }

  hide() {
    this.abort.abort(new Error("another view"));
  }

  /** @param {AbortSignal} signal */
  async poll(signal) {
    for (;;) {
      try {
        this.draw(await read("_local/console.json", { signal }));
        this.told.textContent = "";
      } catch (error) {
        if (signal.aborted) throw error;
        this.told.textContent = `dev does not answer: ${/** @type {Error} */ (error).message}`;
        if (error instanceof ApiError && error.status === 401) return;
      }
      await pause(document.hidden ? 5 * EVERY : EVERY, signal);
    }
  }

  /** @param {any} told */
  draw(told) {
    this.problems.show(told.problems, () => problems(told.problems));
    this.functions.show(told.functions, () => table("Functions", FUNCTIONS, told.functions));
    this.executions.show(told.executions, () => table("Executions", EXECUTION_COLUMNS, told.executions, "None yet: a background response, or a loop that was handed off, starts one."));
    this.providers.show(told.providers, () => table("Providers", PROVIDERS, told.providers, "None yet: openresponses providers set NAME --local"));
    this.keys.show(told.keys, () => table("Keys", KEYS, told.keys));
    const { template, base_url, reloaded_at } = told;
    this.where.show({ template, base_url, reloaded_at }, () => h("div", { class: "card" }, pairs([["Template", h("code", {}, plain(template))], ["Base URL", h("code", {}, plain(base_url))], ["Loaded", moment(reloaded_at)]])));
  }
}

/** @param {any[]} all */
function problems(all) {
  if (!all.length) return h("p", { class: "faint" }, "None");
  const each = (/** @type {any} */ one, /** @type {number} */ at) =>
    h("details", { class: "card", open: at === 0 }, h("summary", {}, badge(one.kind), " ", h("strong", {}, plain(one.title)), " ", h("span", { class: "faint" }, moment(one.at))), pre(one.text, "What it says"));
  return [...all].sort((a, b) => b.at - a.at).slice(0, 20).map(each);
}

class Log {
  constructor() {
    this.next = 0;
    this.list = h("ol", { class: "lines", tabindex: 0, "aria-label": "Log" });
    const filter = h("input", { id: "log-filter", placeholder: "only lines with …", spellcheck: "false", autocomplete: "off" });
    filter.addEventListener("input", () => {
      this.wanted = filter.value.toLowerCase();
      for (const line of /** @type {Iterable<HTMLElement>} */ (this.list.children)) this.hideOther(line);
    });
    this.wanted = "";
    const head = h("div", { class: "filters" }, h("h2", { class: "grow" }, "Log"), h("div", { class: "field" }, h("label", { for: "log-filter" }, "Filter"), filter));
    this.element = h("section", { class: "panel", "aria-label": "Log" }, head, this.list);
  }

  /** @param {AbortSignal} signal */
  async follow(signal) {
    for (;;) {
      try {
        const told = await read(`_local/log.json?after=${this.next}`, { signal });
        this.next = told.next;
        this.add(told.lines);
        if (!told.lines.length) await pause(200, signal);
      } catch (error) {
        if (signal.aborted || (error instanceof ApiError && error.status === 401)) throw error;
        this.next = 0; // dev may have begun anew
        await pause(EVERY, signal);
        this.list.replaceChildren();
      }
    }
  }

  /** @param {any[]} lines */
  add(lines) {
    const follows = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 40;
    for (const line of lines) {
      const made = h("li", { data: { level: line.level } }, h("span", { class: "at" }, `${moment(line.at)} ${plain(line.function ?? "")} `), plain(line.text));
      this.hideOther(made);
      put(this.list, made);
    }
    while (this.list.children.length > LINES) this.list.firstElementChild?.remove();
    if (follows) this.list.scrollTop = this.list.scrollHeight;
  }

  /** @param {HTMLElement} line */
  hideOther(line) {
    line.hidden = Boolean(this.wanted) && !(line.textContent ?? "").toLowerCase().includes(this.wanted);
  }
}
