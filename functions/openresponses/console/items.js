// An item as it is shown, of each type. While it grows, its text is added to; nothing is drawn anew for a word.

import { badge, copier, fill, h, outward, plain, prose, put } from "./dom.js";
import { count, indented } from "./format.js";
import { Markdown } from "./markdown.js";

/** @typedef {import("./answer.js").Item} Item */

const SHOWN = 50_000; // characters of one text, before a button shows the rest: layout of more takes seconds

/** Draws one item, and what comes of it. */
export class ItemView {
  /** @param {Item} item @param {{answers?: Node | null}} [more] what stands below the item, such as buttons */
  constructor(item, more = {}) {
    this.element = h("article", { class: "item" });
    /** @type {Map<string, {add: (text: string) => void, length: number}>} the ends of texts that grow */
    this.growing = new Map();
    this.more = more;
    this.raw = false;
    this.draw(item);
  }

  /** @param {Item} item */
  draw(item) {
    this.growing.clear();
    this.item = item;
    this.element.dataset.type = item.type.startsWith("serverless:") ? "hosted" : item.type;
    if (item.role) this.element.dataset.role = item.role;
    fill(this.element, this.head(item), this.body(item));
    if (this.more.answers) put(this.element, this.more.answers);
  }

  /** @param {Item} item @param {{field: string, part: number, delta: string}} grew */
  grow(item, grew) {
    const end = this.growing.get(`${grew.field} ${grew.part}`);
    if (!end) return this.draw(item);
    if (end.length > SHOWN) return; // the whole text is there once the item is done
    end.length += grew.delta.length;
    end.add(grew.field === "arguments" ? plain(grew.delta) : prose(grew.delta));
  }

  /** @param {Item} item */
  head(item) {
    const [kind, name] = TITLES[item.type]?.(item) ?? title(item);
    const shown = item.status && item.status !== "completed" ? badge(item.status) : null;
    return h("header", {}, h("span", { class: "kind" }, kind), name && h("code", {}, plain(name)), shown, item.role === "assistant" && this.tools());
  }

  /** For an answer: its text as it was written, and a copy of it. */
  tools() {
    const raw = h("button", { type: "button", class: "quiet", "aria-pressed": String(this.raw) }, "Raw");
    raw.addEventListener("click", () => {
      this.raw = !this.raw;
      this.draw(this.item);
      /** @type {HTMLElement} */ (this.element.querySelector("[aria-pressed]")).focus();
    });
    const text = () => (this.item.content ?? []).map((/** @type {any} */ part) => part?.text ?? part?.refusal ?? "").join("\n");
    return h("span", { class: "tools" }, raw, copier(text));
  }

  /** @param {Item} item @returns {(Node | null)[]} */
  body(item) {
    switch (item.type) {
      case "message":
        return (item.content ?? []).flatMap((/** @type {any} */ part, /** @type {number} */ at) => this.part(part, "content", at));
      case "reasoning":
        return this.reasoning(item);
      case "mcp_list_tools":
        return [tools(item), failure(item.error)];
      case "mcp_approval_request":
        return [this.code("arguments", item.arguments)];
      case "mcp_approval_response":
        return [h("p", {}, item.approve ? "Approved" : "Refused", item.reason ? `: ${plain(item.reason)}` : "")];
      case "function_call_output":
      case "custom_tool_call_output":
        return [output(item.output)];
      case "web_search_call":
        return search(item);
      case "image_generation_call":
        return image(item);
      default:
        return this.call(item);
    }
  }

  /** @param {any} part @param {string} field @param {number} at @returns {(Node | null)[]} */
  part(part, field, at) {
    switch (part?.type) {
      case "input_image":
        return [picture(part)];
      case "input_file":
        return [h("p", { class: "file" }, "File ", h("code", {}, plain(part.filename ?? part.file_url ?? part.file_id ?? "")))];
      case "refusal":
        return [h("p", { class: "refusal" }, "Refused: "), this.text(field, at, part.refusal)];
      case "output_text": {
        const [text, images] = this.raw ? [part.text] : withoutImages(part.text ?? "");
        return [this.text(field, at, text, !this.raw), ...(images ?? []), citations(part.annotations)];
      }
      default:
        return [this.text(field, at, part?.text)];
    }
  }

  /** @param {Item} item */
  reasoning(item) {
    const parts = [
      ...(item.summary ?? []).map((/** @type {any} */ part, /** @type {number} */ at) => this.text("summary", at, part?.text, true)),
      ...(item.content ?? []).map((/** @type {any} */ part, /** @type {number} */ at) => this.text("content", at, part?.text, true)),
    ];
    if (parts.length) return parts;
    return [h("p", { class: "faint" }, item.encrypted_content ? "Encrypted" : "Nothing of it is shown")];
  }

  /** Any call: its arguments, its output, and what failed. @param {Item} item */
  call(item) {
    if (typeof item.arguments !== "string" && typeof item.input !== "string") return [pre(JSON.stringify(item, null, 2))];
    const failed = item.status === "failed";
    return [
      this.code("arguments", item.arguments ?? item.input),
      item.output === null || item.output === undefined ? null : output(item.output, failed),
      failure(item.error),
    ];
  }

  /** @param {string} field @param {number} at @param {string | undefined} text @param {boolean} [marked] as Markdown, unless it is JSON or too long for it */
  text(field, at, text = "", marked = false) {
    if (!marked || text.length > SHOWN || JSON_BEGINS.test(text)) return this.grown(field, at, h("div", { class: "prose", dir: "auto" }), prose(text));
    const made = new Markdown(prose(text));
    this.growing.set(`${field} ${at}`, { add: (more) => made.append(more), length: text.length });
    return made.element;
  }

  /** @param {string} field @param {string} text */
  code(field, text = "") {
    return this.grown(field, 0, h("pre", { tabindex: 0, "aria-label": field }), plain(indented(text)));
  }

  /** @param {string} field @param {number} at @param {HTMLElement} into @param {string} text */
  grown(field, at, into, text) {
    const node = document.createTextNode(text.slice(0, SHOWN));
    into.append(node);
    this.growing.set(`${field} ${at}`, { add: (more) => node.appendData(more), length: text.length });
    return text.length > SHOWN ? h("div", {}, into, rest(into, text)) : into;
  }
}

const JSON_BEGINS = /^\s*(?:\{|\[\s*[[{"\d])/;
const DATA_IMAGE = /!\[([^[\]]{0,500})\]\((data:image\/(?:png|jpeg|gif|webp);base64,[\w+/=]+)\)/g;

/** The text, and the images that it carries itself. @param {string} text @returns {[string, Node[]]} */
function withoutImages(text) {
  /** @type {Node[]} */
  const images = [];
  const left = text.replace(DATA_IMAGE, (_, alt, image_url) => (images.push(picture({ image_url }, alt)), ""));
  return [left, images];
}

/** @type {Record<string, string>} */
const ROLES = { user: "You", assistant: "Model", system: "System", developer: "Developer" };
/** @type {Record<string, (item: Item) => [string, string?]>} */
const TITLES = {
  message: (item) => [ROLES[item.role] ?? plain(item.role)],
  reasoning: () => ["Reasoning"],
  function_call: (item) => ["Function call", item.name],
  function_call_output: () => ["Function output"],
  custom_tool_call: (item) => ["Tool call", item.name],
  mcp_list_tools: (item) => ["MCP tools", item.server_label],
  mcp_call: (item) => ["MCP call", `${item.server_label}.${item.name}`],
  mcp_approval_request: (item) => ["MCP approval", `${item.server_label}.${item.name}`],
  mcp_approval_response: () => ["MCP approval"],
  web_search_call: (item) => ["Web search", item.action?.type],
  image_generation_call: () => ["Image"],
  compaction: () => ["Compaction"],
};

/** @param {Item} item @returns {[string, string?]} */
function title(item) {
  if (item.type === "serverless:rejected_call") return ["Rejected call", item.name];
  if (item.type.startsWith("serverless:")) return ["Hosted call", item.type];
  return [plain(item.type.replaceAll("_", " ")), item.name];
}

/** @param {string} text @param {string} [label] */
export function pre(text, label = "JSON") {
  const shown = plain(text);
  const made = h("pre", { tabindex: 0, "aria-label": label }, shown.slice(0, SHOWN));
  return shown.length > SHOWN ? h("div", {}, made, rest(made, shown)) : made;
}

/** @param {HTMLElement} into @param {string} text */
function rest(into, text) {
  const button = h("button", { type: "button", class: "quiet" }, `Show all ${count(text.length)} characters`);
  button.addEventListener("click", () => {
    into.textContent = text;
    button.remove();
  });
  return button;
}

/** What a tool answered: text, or parts. @param {any} told @param {boolean} [failed] */
function output(told, failed = false) {
  const label = failed ? "error" : "output";
  if (typeof told === "string") return labelled(label, pre(indented(told), label));
  const parts = Array.isArray(told) ? told : [told];
  return labelled(label, ...parts.map((part) => (part?.type === "input_image" ? picture(part) : pre(part?.text ?? JSON.stringify(part), label))));
}

/** @param {string} label @param {...Node} nodes */
const labelled = (label, ...nodes) => h("div", { class: `told ${label}` }, h("span", { class: "label" }, label), ...nodes);

/** @param {any} error */
function failure(error) {
  if (!error) return null;
  return h("p", { class: "problem" }, plain(typeof error === "string" ? error : error.message ?? JSON.stringify(error)));
}

/** @param {Item} item */
function tools(item) {
  const rows = (item.tools ?? []).map((/** @type {any} */ each) => h("li", {}, h("code", {}, plain(each.name)), " ", plain(each.description ?? "")));
  return h("details", {}, h("summary", {}, `${count(rows.length)} tools`), h("ul", {}, rows));
}

/** @param {Item} item */
function search(item) {
  const results = (item.results ?? []).map((/** @type {any} */ each) => h("li", {}, outward(each.url, each.title || each.url)));
  const asked = item.action?.query ?? item.action?.url ?? (item.action?.queries ?? []).join(", ");
  return [asked ? h("p", {}, h("code", {}, plain(asked))) : null, results.length ? h("ul", {}, results) : null, failure(item.error)];
}

/** @param {any[] | undefined} annotations */
function citations(annotations) {
  if (!annotations?.length) return null;
  const each = (/** @type {any} */ one) => h("li", {}, one?.url ? outward(one.url, one.title || one.url) : plain(one?.filename ?? one?.type ?? ""));
  return h("ol", { class: "citations", "aria-label": "Sources" }, annotations.map(each));
}

/** A picture of which a part or the whole is made. @param {Item} item */
function image(item) {
  const kind = { iVBOR: "png", "/9j/": "jpeg", UklGR: "webp", R0lGO: "gif" }[String(item.result).slice(0, 5).replace(/^\/9j\/.*/, "/9j/")];
  const told = item.revised_prompt ? h("p", { class: "faint" }, plain(item.revised_prompt)) : null;
  if (!item.result) return [told ?? h("p", { class: "faint" }, "No image yet"), failure(item.error)];
  return [picture({ image_url: `data:image/${kind};base64,${item.result}` }, item.revised_prompt), told];
}

/** Only what the item itself carries is loaded. @param {any} part @param {string} [alt] */
function picture(part, alt = "") {
  const url = String(part.image_url ?? "");
  if (/^data:image\/(png|jpeg|gif|webp);base64,/.test(url)) return h("img", { src: url, alt: plain(alt || "Image of this message") });
  return h("p", { class: "file" }, "Image ", url ? outward(url, url.slice(0, 200)) : plain(part.file_id ?? ""));
}

/** All items of a list, with a button that copies them. @param {Item[]} items */
export function shownItems(items) {
  return h("div", { class: "items" }, items.map((item) => new ItemView(item).element), items.length ? copier(() => JSON.stringify(items, null, 2), "Copy as JSON") : h("p", { class: "faint" }, "None"));
}
