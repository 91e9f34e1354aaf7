// One response: what it was, its timeline, its items, its input, its events and its execution.

import { ApiError, ask, read, readResponse, responsePath } from "./api.js";
import { badge, copier, fill, h, plain, put } from "./dom.js";
import { NONE, cost, count, duration, moment } from "./format.js";
import { shownItems } from "./items.js";
import { spanOf } from "./spans.js";
import { follow, pause } from "./stream.js";
import { pairs, table } from "./table.js";
import { arrows, choose } from "./tabs.js";
import { timeline } from "./timeline.js";
import { reason } from "./turn.js";

const TABS = { timeline: "Timeline", items: "Items", input: "Input", events: "Events", execution: "Execution" };
const RUNS = ["queued", "in_progress"];
const LINES = 5000; // of events that are shown

export class Detail {
  /** @param {HTMLElement} element */
  constructor(element) {
    this.element = element;
    this.abort = new AbortController();
  }

  hide() {
    this.abort.abort(new Error("another view"));
  }

  /** @param {string} id @param {string} [tab] */
  async show(id, tab = "timeline") {
    const { signal } = (this.abort = new AbortController());
    const chosen = tab in TABS ? tab : "timeline";
    const told = h("div", { class: "panel" });
    const panel = h("div", { class: "panel", role: "tabpanel", id: "detail-panel", "aria-labelledby": `detail-${chosen}` }, h("p", { class: "faint" }, "Reading…"));
    const tabs = tabList(id, chosen);
    const back = h("a", { href: "#/look" }, "All responses");
    fill(this.element, h("p", {}, back), h("h1", {}, h("code", {}, plain(id))), told, tabs, panel);
    for (;;) {
      try {
        const response = await readResponse(id, signal);
        fill(told, this.facts(response));
        await this.panel(panel, chosen, response, signal);
        if (!RUNS.includes(response.status) || chosen === "events") return;
      } catch (error) {
        if (signal.aborted) return;
        const passing = error instanceof ApiError && error.passing;
        fill(panel, h("p", { class: "problem", role: "alert" }, plain(/** @type {Error} */ (error).message), passing && ". Trying again…"));
        if (!passing) return;
      }
      if (!(await pause(2000, signal).then(() => true, () => false))) return;
    }
  }

  /** @param {any} response */
  facts(response) {
    const problem = response.error ? `${response.error.code}: ${response.error.message}` : reason(response.incomplete_details);
    const metadata = Object.entries(response.metadata ?? {});
    const link = (/** @type {string} */ other) => h("a", { href: `#/look/${encodeURIComponent(other)}` }, h("code", {}, plain(other)));
    const { usage } = response;
    const shown = pairs([
      ["Status", badge(response.status)],
      ["Model", h("code", {}, plain(response.model))],
      ["Created", moment(response.created_at)],
      ["Duration", response.completed_at ? duration(lasted(response)) : NONE],
      ["Input tokens", usage ? `${count(usage.input_tokens)} (${count(usage.input_tokens_details?.cached_tokens)} cached)` : NONE],
      ["Output tokens", usage ? `${count(usage.output_tokens)} (${count(usage.output_tokens_details?.reasoning_tokens)} of reasoning)` : NONE],
      ["Cost", cost(response["serverless:cost"])],
      ...(response.previous_response_id ? [/** @type {[string, Node]} */ (["Goes on from", link(response.previous_response_id)])] : []),
      ...(response.conversation ? [/** @type {[string, Node]} */ (["Conversation", h("code", {}, plain(response.conversation.id))])] : []),
      ...metadata.map(([name, value]) => /** @type {[string, string]} */ ([plain(name), plain(value)])),
    ]);
    const actions = h("div", { class: "row" }, h("a", { class: "button", href: `#/try/${encodeURIComponent(response.id)}` }, "Go on in Try"));
    if (RUNS.includes(response.status)) put(actions, stopper(response.id));
    return h("div", { class: "card" }, problem ? h("p", { class: "problem" }, plain(problem)) : null, shown, actions);
  }

  /** @param {HTMLElement} panel @param {string} tab @param {any} response @param {AbortSignal} signal */
  async panel(panel, tab, response, signal) {
    switch (tab) {
      case "items":
        return fill(panel, shownItems(response.output));
      case "input":
        return fill(panel, await input(response.id, signal));
      case "events":
        return events(panel, response.id, signal);
      case "execution":
        return fill(panel, await executions(response.id, signal));
      default:
        return fill(panel, timeline(response));
    }
  }
}

/** In seconds; of a response without a timeline, whole ones. @param {any} response */
function lasted(response) {
  const span = spanOf(response["serverless:timeline"] ?? []);
  return span ? span.end - span.begin : response.completed_at - response.created_at;
}

/** @param {string} id @param {string} chosen */
function tabList(id, chosen) {
  const list = h("div", { role: "tablist", "aria-label": "What is shown of the response" });
  for (const [name, label] of Object.entries(TABS)) {
    if (name === "execution" && /** @type {HTMLElement} */ (document.getElementById("tab-run")).hidden) continue;
    put(list, h("a", { role: "tab", id: `detail-${name}`, data: { tab: name }, "aria-controls": "detail-panel", href: `#/look/${encodeURIComponent(id)}/${name}` }, label));
  }
  choose(list, chosen);
  arrows(list);
  return list;
}

/** @param {string} id */
function stopper(id) {
  const button = h("button", { type: "button" }, "Cancel it");
  button.addEventListener("click", async () => {
    button.disabled = true;
    await ask(responsePath(id, "/cancel"), { method: "POST" }).catch((error) => (button.textContent = plain(error.message)));
  });
  return button;
}

/** What the model was shown. @param {string} id @param {AbortSignal} signal */
async function input(id, signal) {
  const { data, has_more } = await read(responsePath(id, "/input_items?order=desc&limit=100"), { signal });
  return [has_more ? h("p", { class: "faint" }, "The newest 100 items:") : null, shownItems(data.reverse())];
}

/** Each event as a line of JSON, also those that are still to come. @param {HTMLElement} panel @param {string} id @param {AbortSignal} signal */
async function events(panel, id, signal) {
  /** @type {string[]} */
  const all = [];
  const list = h("ol", { class: "lines", tabindex: 0, "aria-label": "Events" });
  const told = h("span", { class: "grow faint", role: "status" });
  fill(panel, h("div", { class: "row" }, told, copier(() => all.join("\n"), "Copy as JSON lines")), list);
  const say = (/** @type {string} */ more) => (told.textContent = `${count(all.length)} events${all.length > LINES ? `, the first ${count(LINES)} are shown` : ""}${more}`);
  for await (const event of follow(id, -1, signal)) {
    const line = JSON.stringify(event);
    all.push(line);
    if (all.length <= LINES) put(list, h("li", {}, plain(line.slice(0, 20_000)), line.length > 20_000 && "…"));
    if (all.length % 50 === 0) say(" so far");
  }
  say("");
}

/** @param {string} id @param {AbortSignal} signal */
async function executions(id, signal) {
  const { executions: all } = await read("_local/console.json", { signal });
  const own = all.filter((/** @type {any} */ each) => each.response_id === id);
  return table("Executions", EXECUTION_COLUMNS, own, "It had no execution in Step Functions: one invocation made all of it.");
}

/** @type {import("./table.js").Column<any>[]} */
export const EXECUTION_COLUMNS = [
  { label: "Execution", wide: true, cell: (row) => h("a", { href: `#/look/${encodeURIComponent(row.response_id)}/execution` }, h("code", {}, plain(row.name))) },
  { label: "Status", cell: (row) => badge(row.status) },
  { label: "State", cell: (row) => plain(row.state || NONE) },
  { label: "History", number: true, cell: (row) => `${count(row.events)} events` },
  { label: "Began", number: true, cell: (row) => moment(row.started_at) },
  { label: "Took", number: true, cell: (row) => (row.stopped_at ? duration(row.stopped_at - row.started_at) : NONE) },
];
