// An answer's Markdown as elements: headings, lists, code, tables, quotes, links. HTML in it stays text. What grows is
// drawn at most once a frame, and only its last block anew. Each pattern takes linear time, or is bounded.

import { copier, h, outward } from "./dom.js";

const FENCE = /^ {0,3}(`{3,}|~{3,}) *([^\s`]*)[^`]*$/;
const HEADING = /^ {0,3}(#{1,6})(?: |$)/;
const RULE = /^ {0,3}([-*_])(?: *\1){2,} *$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( *)(?:[-*+]|(\d{1,9})[.)])(?: +(?=\S)|$)/;
const DASHES = /^ *\|? *:?-+:? *(?:\| *:?-+:? *)*\|? *$/;
const DEEP = 6;
const INLINE = new RegExp(
  [
    String.raw`\\([!-/:-@[-\x60{-~])`, // 1: escaped
    String.raw`(?<!\x60)(\x60{1,3})(?!\x60)([^]{0,1000}?[^\x60])\2(?!\x60)`, // 2, 3: code
    String.raw`!?\[([^[\]]{1,500})\]\(((?:[^\s()<>]|\([^\s()<>]*\))+)(?: +"[^"]{0,200}")?\)`, // 4, 5: link
    String.raw`\*\*(?=\S)([^]{0,1000}?\S)\*\*(?!\*)`, // 6: bold
    String.raw`(?<![\w*])\*(?![\s*])([^*]{0,999}[^\s*])\*(?!\*)`, // 7: italic
    String.raw`(?<!\w)_(?![\s_])([^_]{0,999}[^\s_])_(?!\w)`, // 8: italic
    String.raw`\b(https?:\/\/[^\s<>"\x60*]{0,2000}[^\s<>"\x60*'.,;:!?)\]])`, // 9: an address
  ].join("|"),
  "g",
);

export class Markdown {
  /** @param {string} text */
  constructor(text) {
    this.element = h("div", { class: "prose marked", dir: "auto" });
    this.text = text;
    this.settled = 0; // where the last block begins: those before it stay as they are
    /** @type {Element | null} */
    this.last = null;
    this.timer = 0;
    this.wait = 16; // milliseconds
    this.draw(false);
  }

  /** @param {string} delta */
  append(delta) {
    this.text += delta;
    this.timer ||= setTimeout(() => this.draw(true), this.wait);
  }

  /** @param {boolean} grows */
  draw(grows) {
    const began = performance.now();
    this.timer = 0;
    const lines = this.text.slice(this.settled).split("\n");
    const found = blocksOf(lines, 0);
    const end = found.at(-1);
    if (!end) return;
    const code = found.length === 1 && this.last?.querySelector("code")?.firstChild;
    if (code instanceof Text && end.code?.startsWith(code.data)) {
      code.appendData(end.code.slice(code.length));
    } else {
      this.last?.remove();
      this.element.append(...found.map((each) => each.make(grows && each === end)));
      this.last = this.element.lastElementChild;
    }
    for (const line of lines.slice(0, end.from)) this.settled += line.length + 1;
    this.wait = Math.max(16, 8 * (performance.now() - began)); // it takes a ninth of the time at most
  }
}

/**
 * @typedef {{from: number, code?: string, make: (grows: boolean) => HTMLElement}} Block
 * `from` is its first line, `code` what a block of code holds
 */

/** @param {string[]} lines @param {number} depth @returns {Block[]} */
function blocksOf(lines, depth) {
  /** @type {Block[]} */
  const found = [];
  let at = 0;
  /** @param {(line: string, index: number) => boolean} goesOn @returns {string[]} the lines of the block that begins here */
  const take = (goesOn) => {
    const from = at;
    do at += 1;
    while (at < lines.length && goesOn(lines[at], at));
    return lines.slice(from, at);
  };
  while (at < lines.length) {
    const [line, from] = [lines[at], at];
    const add = (/** @type {Block["make"]} */ make, /** @type {string} */ code) => found.push({ from, make, code });
    let match;
    if (!line.trim()) {
      at += 1;
    } else if ((match = FENCE.exec(line))) {
      const [, mark, language] = match;
      const code = take((each) => !(each.trim().startsWith(mark) && !each.trim().replaceAll(mark[0], ""))).slice(1).join("\n");
      at += 1;
      add(() => codeBlock(code, language), code);
    } else if ((match = HEADING.exec(line))) {
      take(() => false);
      const [text, level] = [line.slice(match[0].length).trim().replace(/ #+$/, ""), Math.min(6, match[1].length + 2)];
      add((grows) => h("div", { class: "heading", role: "heading", "aria-level": level, dir: "auto" }, inline(text, grows)));
    } else if (RULE.test(line)) {
      take(() => false);
      add(() => h("hr"));
    } else if (depth < DEEP && QUOTE.test(line)) {
      const inner = take((each) => QUOTE.test(each)).map((each) => each.replace(QUOTE, ""));
      add((grows) => h("blockquote", { dir: "auto" }, made(inner, depth, grows)));
    } else if (depth < DEEP && (match = ITEM.exec(line))) {
      const [{ length: indent }, number] = [match[1], match[2]];
      const own = (/** @type {RegExpExecArray | null} */ each) => each && each[1].length <= indent + 1 && (each[2] === undefined) === (number === undefined);
      const inside = (/** @type {string} */ each) => own(ITEM.exec(each)) || each.startsWith(" ".repeat(indent + 2));
      const all = take((each, index) => (each.trim() ? inside(each) || (Boolean(lines[index - 1].trim()) && !begins(each)) : lines.slice(index, index + 3).some(inside)));
      add((grows) => list(all, own, number, depth, grows));
    } else if (heads(lines, at)) {
      const rows = take((each) => each.includes("|"));
      add(() => tableOf(rows));
    } else {
      const text = take((each, index) => Boolean(each.trim()) && !begins(each) && !heads(lines, index)).join("\n");
      add((grows) => h("p", { dir: "auto" }, inline(text, grows)));
    }
  }
  return found;
}

/** @param {string} line */
const begins = (line) => [FENCE, HEADING, RULE, QUOTE, ITEM].some((each) => each.test(line));

/** Whether a table begins here. @param {string[]} lines @param {number} at */
const heads = (lines, at) => lines[at].includes("|") && lines[at + 1]?.includes("|") && DASHES.test(lines[at + 1]) && cells(lines[at]).length < 40;

/** @param {string[]} lines @param {number} depth @param {boolean} grows */
const made = (lines, depth, grows) => blocksOf(lines, depth + 1).map((each, at, all) => each.make(grows && at === all.length - 1));

/** @param {string[]} lines @param {(item: RegExpExecArray | null) => boolean | null} own @param {string | undefined} number @param {number} depth @param {boolean} grows */
function list(lines, own, number, depth, grows) {
  /** @type {{width: number, lines: string[]}[]} */
  const items = [];
  for (const line of lines) {
    const match = ITEM.exec(line);
    if (match && own(match)) items.push({ width: match[0].length, lines: [line.slice(match[0].length)] });
    else items[items.length - 1].lines.push(line.slice(Math.min(items[items.length - 1].width, line.search(/\S|$/))));
  }
  const shown = items.map((each, at) => h("li", { dir: "auto" }, made(each.lines, depth, grows && at === items.length - 1)));
  return number === undefined ? h("ul", { dir: "auto" }, shown) : h("ol", { dir: "auto", start: number }, shown);
}

/** @param {string} code @param {string} language */
function codeBlock(code, language) {
  const shown = h("code", {}, document.createTextNode(code));
  const head = h("div", { class: "row" }, h("span", { class: "label grow" }, language || "code"), copier(() => shown.textContent ?? ""));
  return h("div", { class: "codeblock", dir: "ltr" }, head, h("pre", { tabindex: 0, "aria-label": "Code block" }, shown));
}

/** @param {string} line */
const cells = (line) => line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/);

/** @param {string[]} rows */
function tableOf([head, , ...rows]) {
  const row = (/** @type {string} */ line, /** @type {"td" | "th"} */ tag) => h("tr", {}, cells(line).slice(0, 40).map((each) => h(tag, { dir: "auto" }, inline(each.trim(), false))));
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Table" }, h("table", {}, h("thead", {}, row(head, "th")), h("tbody", {}, rows.map((each) => row(each, "td")))));
}

/** @param {string} text @param {boolean} grows its end may be missing, and is then guessed @param {number} [depth] @returns {(Node | string)[]} */
function inline(text, grows, depth = 0) {
  if (grows) text = closed(text);
  /** @type {(Node | string)[]} */
  const shown = [];
  let from = 0;
  if (depth < DEEP)
    for (const match of text.matchAll(INLINE)) {
      shown.push(text.slice(from, match.index));
      from = match.index + match[0].length;
      const [, escape, , code, label, url, bold, star, line, address] = match;
      const more = (/** @type {string} */ inner) => inline(inner, false, depth + 1);
      if (escape) shown.push(escape);
      else if (code) shown.push(h("code", {}, code));
      else if (label) shown.push(outward(url, label));
      else if (address) shown.push(outward(address, address));
      else shown.push(bold ? h("strong", {}, more(bold)) : h("em", {}, more(star ?? line)));
    }
  shown.push(text.slice(from));
  return shown.filter(Boolean);
}

/** So that words do not change their looks once the end of their mark comes. @param {string} text */
function closed(text) {
  const cut = text.replace(/!?\[([^[\]]{0,500})(?:\](?:\([^\s()]*)?)?$/, "$1").replace(/(?<=\s|^)[*_`]{1,2}$/, "");
  const odd = (/** @type {string} */ mark) => cut.slice(-1000).split(mark).length % 2 === 0;
  return odd("`") ? `${cut}\`` : odd("**") ? `${cut.replace(/\*$/, "")}**` : cut;
}
