// The dialog that asks for the API key.

import { key, onRefused } from "./api.js";
import { at } from "./dom.js";

/** A key in the fragment, as `dev` prints it: it is taken, and leaves the address. @returns {boolean} */
export function takeFromAddress() {
  const found = /^#(or_[A-Za-z0-9_]+)$/.exec(location.hash);
  if (!found) return false;
  key.set(found[1]);
  history.replaceState(null, "", `${location.pathname}${location.search}#/try`);
  return true;
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
    sessionStorage.clear();
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
