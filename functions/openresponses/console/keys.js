// The dialog that asks for the API key.

import { key, kept, onRefused } from "./api.js";
import { at } from "./dom.js";

/** The name of the newest response in the tab's store. */
export const OPEN = "openresponses.open";

/** A key in the fragment, as `dev` prints it, is taken. Whatever is no view leaves the address. @returns {boolean} */
export function takeFromAddress() {
  const found = /^#(or_[A-Za-z0-9_]+)$/.exec(location.hash);
  if (found) key.set(found[1]);
  else if (!/^#[^/]/.test(location.hash)) return false;
  history.replaceState(null, "", `${location.pathname}${location.search}#/try`);
  return Boolean(found);
}

/** @param {() => void} changed called when there is another key, or none */
export function keyDialog(changed) {
  const dialog = at("key-dialog");
  const input = at("key-input");
  const why = at("key-why");

  /** @param {string} [reason] */
  function open(reason = "") {
    why.textContent = reason;
    why.hidden = !reason;
    input.value = "";
    at("key-forget").hidden = at("key-cancel").hidden = !key.get();
    if (!dialog.open) dialog.showModal();
    input.focus();
  }
  at("key-form").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    const value = input.value.trim();
    if (!/^[!-~]+$/.test(value)) return open("A key is one word, such as or_…");
    key.set(value);
    dialog.close();
    changed();
  });
  at("key-cancel").addEventListener("click", () => dialog.close());
  at("key-forget").addEventListener("click", () => {
    key.forget();
    kept.set(OPEN, "");
    location.reload();
  });
  dialog.addEventListener("cancel", (/** @type {Event} */ event) => key.get() || event.preventDefault());
  at("key-button").addEventListener("click", () => open());
  onRefused(() => {
    key.forget();
    open("The server does not take this key. It may be revoked, or of another server.");
  });
  return { open, ask: () => key.get() || open() };
}
