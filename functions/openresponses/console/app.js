// The page: which view is shown, by the address's fragment, and the key that all of them use.

import { key, read } from "./api.js";
import { at } from "./dom.js";
import { keyDialog, takeFromAddress } from "./keys.js";
import { arrows, choose } from "./tabs.js";
import { Try } from "./try.js";

const VIEWS = ["try", "look", "run"];
takeFromAddress();
const keys = keyDialog(start);
const trying = new Try();
/** @type {Record<string, {show: (path: string[], query: URLSearchParams) => void, hide: () => void}>} */
const loaded = {};
arrows(at("views"));
at("skip").addEventListener("click", (/** @type {Event} */ event) => {
  event.preventDefault(); // its fragment would be taken for a view
  at("main").focus();
});

/** Once there is a key. */
async function start() {
  await trying.models().catch((error) => error.status !== 401 && trying.refuse(`The models are not known: ${error.message}`));
  if (!key.get()) return;
  await offerRun();
  route();
}

/** Run is there where `openresponses dev` is. */
async function offerRun() {
  const local = await read("_local/console.json").catch(() => null);
  at("tab-run").hidden = !local?.functions;
}

/** `#/look/resp_1/items?status=failed`: a view, what it is of, and a query. */
async function route() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const parts = path.split("/").map(decoded);
  const name = VIEWS.includes(parts[0]) && !at(`tab-${parts[0]}`).hidden ? parts[0] : "try";
  choose(at("views"), name);
  for (const each of VIEWS) at(`view-${each}`).hidden = each !== name;
  document.title = `${at(`tab-${name}`).textContent} · openresponses`;
  document.body.dataset.view = name;
  for (const [each, view] of Object.entries(loaded)) if (each !== name) view.hide();
  if (!key.get()) return keys.ask();
  if (name === "try") return trying.resume(parts[1]);
  const view = (loaded[name] ??= await viewOf(name));
  if (at(`view-${name}`).hidden) return; // the user went on while it was loaded
  view.show(parts.slice(1), new URLSearchParams(query));
}

/** @param {string} part */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** @param {string} name */
async function viewOf(name) {
  const { Look } = await import("./look.js");
  if (name === "look") return new Look(at("view-look"));
  const { Run } = await import("./run.js");
  return new Run(at("view-run"));
}

addEventListener("hashchange", () => (takeFromAddress() ? start() : route()));
performance.mark("usable");
if (key.get()) start();
else route();
