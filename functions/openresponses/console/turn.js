// One answer in a conversation: its items while they grow, and what is known of it at its end.

import { Answer } from "./answer.js";
import { ApiError } from "./api.js";
import { badge, fill, h, plain, put } from "./dom.js";
import { cost, count, duration } from "./format.js";
import { ItemView } from "./items.js";
import { spanOf } from "./spans.js";

/** @typedef {import("./answer.js").Item} Item */

export class TurnView {
  /** @param {(text: string) => void} announce @param {() => void} answered called when the user has answered all calls */
  constructor(announce, answered) {
    this.answer = new Answer();
    this.announce = announce;
    this.answered = answered;
    this.began = performance.now();
    /** @type {number | null} */
    this.first = null;
    this.live = false;
    /** @type {(ItemView | undefined)[]} */
    this.views = [];
    /** @type {Map<Item, Item | null>} what the user is to answer, and the answer */
    this.asked = new Map();
    this.items = h("div", { class: "items" });
    this.foot = h("footer", { class: "facts" });
    this.element = h("section", { class: "turn", "aria-label": "Answer", "aria-busy": "true" }, this.items, this.foot);
    fill(this.foot, h("span", { class: "spinner", "aria-hidden": "true" }), "Waiting for the first event");
  }

  /** @param {any} event */
  take(event) {
    const changed = this.answer.apply(event);
    if (changed?.grew && this.live) this.first ??= (performance.now() - this.began) / 1000;
    if (changed) this.draw(changed.index, changed.grew);
    if (event.type === "response.output_item.added" && event.item.type !== "message") this.announce(`${event.item.type.replaceAll("_", " ")} begins`);
    if (event.type === "response.output_item.done") this.announce(spoken(event.item));
    if (event.type === "response.in_progress") fill(this.foot, h("span", { class: "spinner", "aria-hidden": "true" }), "In progress");
    if (event.type === "response.queued") fill(this.foot, h("span", { class: "spinner", "aria-hidden": "true" }), "Queued");
    if (this.answer.over) this.end();
  }

  /** @param {number} index @param {{field: string, part: number, delta: string}} [grew] */
  draw(index, grew) {
    const item = this.answer.items[index];
    const view = this.views[index];
    if (view && grew) return view.grow(item, grew);
    if (view) return view.draw(item);
    const made = (this.views[index] = new ItemView(item));
    const next = this.views.slice(index + 1).find(Boolean);
    this.items.insertBefore(made.element, next?.element ?? null);
  }

  /** Shows a response that is over. @param {any} response */
  whole(response) {
    this.answer.response = response;
    this.answer.items = response.output;
    this.answer.over = true;
    response.output.forEach((/** @type {Item} */ _, /** @type {number} */ index) => this.draw(index));
    this.end();
  }

  end() {
    const { response } = this.answer;
    this.final(response.output);
    this.element.removeAttribute("aria-busy");
    const span = spanOf(response["serverless:timeline"] ?? []);
    const seconds = this.live ? (performance.now() - this.began) / 1000 : span && span.end - span.begin;
    this.first ??= response["serverless:timeline"]?.[0]?.first_seconds ?? null;
    fill(
      this.foot,
      badge(response.status),
      fact("Target", h("code", {}, plain(response.model))),
      fact("Tokens", `${count(response.usage?.input_tokens)} in, ${count(response.usage?.output_tokens)} out`, details(response.usage)),
      fact("Cost", cost(response["serverless:cost"])),
      fact("First token", duration(this.first)),
      fact("Whole", duration(seconds)),
      h("a", { href: `#/look/${encodeURIComponent(response.id)}` }, "Timeline"),
    );
    const why = response.error?.message ?? reason(response.incomplete_details);
    if (why) put(this.items, h("p", { class: "problem" }, plain(why)));
    if (response.status === "completed") this.ask();
    this.announce(`The answer is ${response.status}${why ? `: ${why}` : ""}`);
  }

  /** The final output leaves out the items of a turn that died and was taken again. @param {Item[]} output */
  final(output) {
    const ids = new Set(output.map((each) => each.id));
    this.answer.items.forEach((item, index) => {
      if (item?.id && !ids.has(item.id)) this.views[index]?.element.classList.add("discarded");
    });
  }

  /** @param {unknown} error */
  fail(error) {
    this.element.removeAttribute("aria-busy");
    const known = error instanceof ApiError ? error : null;
    const text = plain(error instanceof Error ? error.message : String(error));
    put(this.items, h("p", { class: "problem" }, text));
    const facts = [badge("failed"), known?.status && fact("HTTP", String(known.status)), known?.code && fact("Code", h("code", {}, plain(known.code)))];
    fill(this.foot, ...facts.map((each) => each || null), known?.param && fact("Field", h("code", {}, plain(known.param))), known?.requestId && fact("Request", h("code", {}, plain(known.requestId))));
    this.announce(`Failed: ${text}`);
  }

  /** Asks the user for what the model waits for: the answers of functions, and approvals. */
  ask() {
    this.answer.items.forEach((item, index) => {
      const controls = item?.type === "function_call" ? this.functionAnswer(item) : item?.type === "mcp_approval_request" ? this.approval(item) : null;
      if (!controls) return;
      this.asked.set(item, null);
      const view = this.views[index];
      if (view) (view.more = { answers: controls }), put(view.element, controls);
    });
  }

  /** @param {Item} call */
  functionAnswer(call) {
    const id = `answer-${call.id}`;
    const text = h("textarea", { id, class: "code", rows: 2, spellcheck: "false" });
    const button = h("button", { type: "submit", class: "main" }, "Answer the call");
    const form = h("form", { class: "answers" }, h("label", { for: id }, "What the function answers"), text, h("div", { class: "row" }, button));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      text.disabled = button.disabled = true;
      this.decide(call, { type: "function_call_output", call_id: call.call_id, output: text.value });
    });
    return form;
  }

  /** @param {Item} request */
  approval(request) {
    const row = h("div", { class: "answers row", role: "group", "aria-label": `Approval of ${plain(request.name)}` });
    const button = (/** @type {boolean} */ approve) =>
      h("button", { type: "button", class: approve ? "main" : "" }, approve ? "Approve" : "Refuse");
    for (const approve of [true, false]) {
      const made = button(approve);
      made.addEventListener("click", () => {
        fill(row, badge(approve ? "approved" : "refused"));
        this.decide(request, { type: "mcp_approval_response", approval_request_id: request.id, approve });
      });
      put(row, made);
    }
    return row;
  }

  /** @param {Item} item @param {Item} answer */
  decide(item, answer) {
    this.asked.set(item, answer);
    if ([...this.asked.values()].every(Boolean)) this.answered();
  }

  /** What the user has answered. @returns {Item[]} */
  get answers() {
    return /** @type {Item[]} */ ([...this.asked.values()].filter(Boolean));
  }

  /** Nothing more is asked of this answer. What was answered stays, until it was sent. */
  close() {
    for (const view of this.views) view?.element.querySelectorAll(".answers button, .answers textarea").forEach((each) => ((/** @type {any} */ (each)).disabled = true));
  }
}

/** @param {string} name @param {string | Node} value @param {string} [title] */
export const fact = (name, value, title) => h("span", { class: "fact", title }, h("span", { class: "name" }, name), " ", value);

/** @param {any} usage */
const details = (usage) =>
  usage ? `${count(usage.input_tokens_details?.cached_tokens)} cached, ${count(usage.output_tokens_details?.reasoning_tokens)} of reasoning` : undefined;

/** @param {any} details a response's `incomplete_details` */
export function reason(details) {
  if (!details) return "";
  return `Incomplete: ${details.reason}${details.message ? `. ${details.message}` : ""}`;
}

/** What a screen reader is told of an item that is done. @param {Item} item */
function spoken(item) {
  if (item.type !== "message") return `${item.type.replaceAll("_", " ")} is ${item.status ?? "done"}`;
  return (item.content ?? []).map((/** @type {any} */ part) => part.text ?? part.refusal ?? "").join(" ").slice(0, 1000);
}
