// A response's recorded steps (`serverless:timeline`): turns with what was tried before them, and calls.

import { badge, h, plain } from "./dom.js";
import { NONE, cost, count, duration } from "./format.js";
import { shownItems } from "./items.js";
import { spanOf } from "./spans.js";

/** @typedef {{type: string, began_at: number, seconds: number, [field: string]: any}} Step */

/** @param {any} response */
export function timeline(response) {
  /** @type {Step[]} */
  const steps = response["serverless:timeline"] ?? [];
  if (!steps.length) return [h("p", { class: "faint" }, "No timeline was recorded. Its items:"), shownItems(response.output)];
  const { begin, end } = /** @type {{begin: number, end: number}} */ (spanOf(steps));
  const items = new Map(response.output.map((/** @type {any} */ each) => [each.id, each]));
  const turns = steps.filter((each) => each.type === "turn");
  const tried = turns.flatMap((each) => each.attempts ?? []);
  return [
    h("p", { class: "faint" }, `${many(turns.length, "turn")}, ${many(steps.length - turns.length, "call")}, ${many(tried.length, "attempt")} before an answer, in ${duration(end - begin)}`),
    h("ol", { class: "card steps", "aria-label": "Timeline" }, steps.map((each) => step(each, begin, end - begin, items))),
  ];
}

/** @param {Step} each @param {number} begin @param {number} whole @param {Map<string, any>} items */
function step(each, begin, whole, items) {
  const turn = each.type === "turn";
  const bad = turn ? !each.target || each.error : !["completed", undefined].includes(each.outcome);
  const name = turn ? (each.target ?? "no answer") : each.tool;
  const marks = [each.discarded && badge("discarded", "Its worker died; the turn was taken again"), !turn && each.outcome !== "completed" && badge(each.outcome)];
  return h(
    "li",
    { class: "step", data: { type: each.type, ...(bad && { bad: "true" }) } },
    h("div", { class: "what" }, h("span", { class: "faint" }, turn ? "Turn " : `Call (${plain(each.kind ?? "")}) `), h("code", {}, plain(name)), " ", marks),
    track(each, begin, whole),
    h("span", { class: "facts" }, duration(each.seconds)),
    turn ? attempts(each) : null,
    h("div", { class: "more" }, turn ? turnFacts(each, begin) : callFacts(each, begin, items.get(each.item_id))),
  );
}

/** Where in the whole the step is. The first part of a turn waits for its first token. @param {Step} each @param {number} begin @param {number} whole */
function track(each, begin, whole) {
  const made = h("div", { class: "track", "aria-hidden": "true" });
  const part = (/** @type {string} */ kind, /** @type {number} */ from, /** @type {number} */ seconds) => {
    const bar = h("span", { class: kind });
    bar.style.left = `${Math.min(99, whole ? (100 * from) / whole : 0)}%`;
    bar.style.width = `${whole ? Math.max(0, (100 * seconds) / whole) : 100}%`;
    made.append(bar);
  };
  const from = each.began_at - begin;
  const first = each.type === "turn" && typeof each.first_seconds === "number" ? each.first_seconds : 0;
  if (first) part("bar wait", from, first);
  part("bar", from + first, (each.seconds ?? 0) - first);
  return made;
}

/** @param {Step} turn */
function attempts(turn) {
  const error = turn.error && (typeof turn.error === "string" ? turn.error : (turn.error.message ?? turn.error.code));
  const each = (/** @type {any} */ one) =>
    h("li", {}, badge(one.outcome ?? "failed"), h("code", {}, plain(one.target ?? "")), one.error ? h("code", { class: "faint" }, plain(one.error)) : null, h("span", {}, plain(one.message ?? "")), h("span", { class: "faint" }, one.seconds === undefined ? "" : duration(one.seconds)));
  if (!turn.attempts?.length && !error) return null;
  return h("ul", { class: "attempts", "aria-label": "Attempts before" }, (turn.attempts ?? []).map(each), error ? h("li", {}, badge("failed"), plain(error)) : null);
}

/** @param {Step} turn @param {number} begin */
function turnFacts(turn, begin) {
  const { usage } = turn;
  return [
    h("span", {}, `at ${duration(turn.began_at - begin)}`),
    h("span", {}, `first token ${duration(turn.first_seconds)}`),
    usage ? h("span", {}, `${count(usage.input_tokens)} tokens in (${count(usage.cached_tokens)} cached), ${count(usage.output_tokens)} out (${count(usage.reasoning_tokens)} of reasoning)`) : null,
    h("span", {}, turn.usd === undefined ? "" : `cost ${cost({ usd: turn.usd })}`),
    h("span", {}, turn.where === "handed_off" ? "in Step Functions" : turn.where === "inline" ? "inline" : NONE),
  ];
}

/** @param {Step} call @param {number} begin @param {any} item */
function callFacts(call, begin, item) {
  return [h("span", {}, `at ${duration(call.began_at - begin)}`), item?.arguments ? h("code", {}, plain(item.arguments.slice(0, 300))) : null];
}

/** @param {number} number @param {string} of */
const many = (number, of) => `${count(number)} ${of}${number === 1 ? "" : "s"}`;
