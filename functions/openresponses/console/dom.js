// Makes elements. What others wrote becomes text nodes alone: nothing here reads HTML.

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * An element. `props`: `class`, `on` (listeners by event), properties that the element has, and else attributes.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, any>} [props]
 * @param {...(Child | Child[])} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function h(tag, props = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") made.className = value;
    else if (name === "on") for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener);
    else if (name === "data") Object.assign(made.dataset, value);
    else if (PROPERTIES.has(name)) /** @type {any} */ (made)[name] = value;
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  put(made, ...children);
  return made;
}

const PROPERTIES = new Set(["value", "checked", "disabled", "hidden", "open", "selected", "textContent", "multiple"]);

/** @param {Element} parent @param {...(Child | Child[])} children */
export function put(parent, ...children) {
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(child instanceof Node ? child : String(child));
  }
}

/** @param {Element} parent @param {...(Child | Child[])} children */
export function fill(parent, ...children) {
  parent.replaceChildren();
  put(parent, ...children);
}

/**
 * The element of this id.
 * @param {string} id
 * @returns {any}
 */
export function at(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

// Characters that control how others are shown. Bidirectional ones can make a name or an argument read as another one:
// https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
const OVERRIDES = /[\u202a-\u202e\u2066-\u2069]/g;

/** @param {string} character */
const escaped = (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;

/** Names, arguments, ids: with each character that is not seen written out. @param {unknown} value */
export const plain = (value) => String(value).replace(UNSEEN, escaped);

/** What somebody wrote to be read. @param {string} value */
export const prose = (value) => value.replace(OVERRIDES, escaped);

/** @param {string} name @param {string} [title] */
export function badge(name, title) {
  return h("span", { class: "badge", data: { state: name }, title }, plain(name.replaceAll("_", " ")));
}

/**
 * A link to another place, if its address is of the web or of mail: nothing that a response names is run.
 * @param {string} url @param {string} label
 */
export function outward(url, label) {
  let target = null;
  try {
    const parsed = new URL(url);
    if (["https:", "http:", "mailto:"].includes(parsed.protocol)) target = parsed.href;
  } catch {
    // no address: it is shown as text
  }
  if (!target) return h("span", { title: plain(url) }, plain(label));
  return h("a", { href: target, target: "_blank", rel: "noopener noreferrer", title: plain(target) }, plain(label));
}

/** A button that copies. @param {() => string} text @param {string} [label] */
export function copier(text, label = "Copy") {
  const button = h("button", { type: "button", class: "quiet" }, label);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text());
      button.textContent = "Copied";
    } catch {
      button.textContent = "The browser forbids it";
    }
    setTimeout(() => (button.textContent = label), 1500);
  });
  return button;
}
