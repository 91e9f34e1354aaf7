// Try: a conversation with a model. The server keeps it; the tab keeps the id of its newest response.

import { ApiError, ask, kept, read, readResponse, responsePath } from "./api.js";
import { LANGUAGES } from "./copy.js";
import { at, fill, h, put } from "./dom.js";
import { prepareForm, restore, setModel, settingsOf } from "./form.js";
import { Images } from "./images.js";
import { ItemView } from "./items.js";
import { OPEN } from "./keys.js";
import { follow } from "./stream.js";
import { arrows, choose } from "./tabs.js";
import { FormError } from "./tools.js";
import { TurnView } from "./turn.js";

const EXAMPLES = [
  { say: "Count to five." },
  { say: "What is 15 * 37?", tool: "serverless:calculator" },
];

export class Try {
  constructor() {
    this.images = new Images((problem) => this.refuse(problem));
    /** @type {TurnView | null} the answer that runs */
    this.running = null;
    /** @type {TurnView | null} */
    this.newest = null;
    this.previous = "";
    this.resuming = "";
    this.stopped = false;
    /** @type {any} */
    this.sent = null;
    this.abort = new AbortController();
    this.follows = true;
    this.frame = 0;
    prepareForm();
    this.copying = new CopyDialog(() => this.copied());
    this.listen();
    this.offerExamples();
  }

  listen() {
    const message = at("message");
    at("composer").addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.send();
    });
    message.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.send();
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.running && !document.querySelector("dialog[open]")) this.stop();
    });
    at("stop").addEventListener("click", () => this.stop());
    at("new").addEventListener("click", () => this.begin());
    const moved = () => {
      const box = scrolled();
      this.follows = box.scrollHeight - box.scrollTop - box.clientHeight < 160;
    };
    for (const each of [at("conversation"), document]) each.addEventListener("scroll", moved, { passive: true });
    at("settings").addEventListener("submit", (/** @type {Event} */ event) => event.preventDefault());
  }

  offerExamples() {
    for (const { say, tool } of EXAMPLES) {
      const button = h("button", { type: "button", class: "quiet" }, say);
      button.addEventListener("click", async () => {
        at("message").value = say;
        if (tool && !settingsHaveTool(tool)) (await import("./tools.js")).addTool("hosted", { type: tool });
        at("message").focus();
      });
      put(at("examples"), button);
    }
  }

  /** The models of the key. */
  async models() {
    const { data } = await read("v1/models");
    fill(at("models"), data.map((/** @type {any} */ each) => h("option", { value: each.id })));
    if (!at("model").value && data.length) setModel(data[0].id);
  }

  /** Goes on where the tab was, or from another response. @param {string} [id] */
  async resume(id) {
    const open = JSON.parse(kept.get(OPEN) || "null");
    const from = id ?? open?.id;
    if (!from || (!id && this.newest) || [this.resuming, this.newest?.answer.response?.id].includes(from)) return;
    this.begin();
    this.resuming = from;
    try {
      await this.load(from, id, open?.id === from ? open.model : "");
    } finally {
      if (this.resuming === from) this.resuming = "";
    }
  }

  /** @param {string} from @param {string | undefined} id that the address names @param {string} model */
  async load(from, id, model) {
    const { signal } = this.abort; // another conversation ends this one
    let response;
    try {
      response = await readResponse(from, signal);
      const { data, has_more } = await read(responsePath(from, "/input_items?order=desc&limit=100"), { signal });
      if (has_more) this.show(h("p", { class: "faint" }, "Earlier items are not shown."));
      for (const item of data.reverse()) this.show(new ItemView(item).element);
    } catch (error) {
      if (signal.aborted) return;
      if (!response) return this.lost(error, from);
      this.show(h("p", { class: "problem" }, `What came before cannot be shown: ${/** @type {Error} */ (error).message}`));
    }
    restore(response, model);
    this.keep(from);
    const turn = this.newTurn();
    if (["queued", "in_progress"].includes(response.status)) {
      await this.run(turn, (signal) => follow(from, -1, signal));
    } else {
      turn.whole(response);
      this.previous = from;
    }
    this.scroll(true);
  }

  /** @param {unknown} error @param {string} id */
  lost(error, id) {
    kept.set(OPEN, "");
    this.refuse(`${id}: ${/** @type {Error} */ (error).message}`);
  }

  /** The input that the form would send. @returns {any} */
  input() {
    const text = at("message").value.trim();
    const answers = this.newest?.answers ?? [];
    const images = this.images.parts();
    if (!answers.length && !images.length) return text;
    const content = [...(text ? [{ type: "input_text", text }] : []), ...images];
    return [...answers, ...(content.length ? [{ type: "message", role: "user", content }] : [])];
  }

  /** @param {any} input */
  body(input) {
    return { ...settingsOf(), input, ...(this.previous && { previous_response_id: this.previous }), store: true };
  }

  copied() {
    const typed = this.input();
    const body = this.body(typed.length ? typed : (this.sent?.input ?? "Hello"));
    for (const tool of body.tools ?? []) if (tool.authorization) tool.authorization = "<the token>";
    return body;
  }

  async send() {
    if (this.running) return;
    const input = this.input();
    if (!input.length) return at("message").focus();
    let body;
    try {
      body = this.body(input);
    } catch (error) {
      if (!(error instanceof FormError)) throw error;
      return this.refuse(error.message, error.field);
    }
    this.refuse("");
    const [text, images] = [at("message").value, this.images.list];
    at("message").value = "";
    this.images.clear();
    const before = this.newest;
    before?.close();
    for (const item of typeof input === "string" ? [{ type: "message", role: "user", content: [{ type: "input_text", text: input }] }] : input) {
      this.show(new ItemView(item).element);
    }
    this.sent = body;
    const turn = this.newTurn();
    turn.live = true;
    await this.run(turn, async (signal) => {
      const answer = await ask("v1/responses", { method: "POST", body: { ...body, stream: true }, signal });
      return follow("", -1, signal, answer);
    });
    if (turn.answer.response || this.newest !== turn) return;
    this.newest = before; // it was refused: what it answered is still to be sent
    if (before?.answers.length) at("progress").textContent = "Send tries again";
    at("message").value ||= text;
    this.scroll(true); // the composer grew
    if (!this.images.list.length) (this.images.list = images), this.images.draw();
  }

  /** @param {TurnView} turn @param {(signal: AbortSignal) => Promise<AsyncGenerator<any>> | AsyncGenerator<any>} begin */
  async run(turn, begin) {
    const { signal } = (this.abort = new AbortController());
    this.busy(turn);
    try {
      for await (const event of await begin(signal)) {
        turn.take(event);
        const id = event.response?.id;
        if (event.type === "response.created" || event.type === "response.queued") this.keep(id);
        if (this.stopped && id) this.cancel(id);
        this.scroll();
      }
      if (turn.answer.response) this.previous = turn.answer.response.id;
    } catch (error) {
      if (!signal.aborted) turn.fail(error);
      if (error instanceof ApiError && error.status === 401 && turn.answer.response) this.newest = null; // another key goes on with it
    } finally {
      if (this.running === turn) this.busy(null);
      this.scroll();
    }
  }

  /** @param {TurnView | null} turn */
  busy(turn) {
    this.running = turn;
    this.stopped = false;
    at("stop").hidden = !turn;
    at("stop").disabled = false;
    at("send").disabled = Boolean(turn);
    at("progress").textContent = "";
    if (!turn && [document.body, at("stop")].includes(/** @type {any} */ (document.activeElement))) at("message").focus();
  }

  /** Ends the response on the server. Its stream then ends by itself. */
  stop() {
    if (!this.running || this.stopped) return;
    this.stopped = true;
    at("stop").disabled = true;
    at("progress").textContent = "Stopping…";
    const id = this.running.answer.response?.id;
    if (id) this.cancel(id);
  }

  /** @param {string} id */
  async cancel(id) {
    this.stopped = false;
    try {
      await ask(responsePath(id, "/cancel"), { method: "POST" });
    } catch (error) {
      at("stop").disabled = false;
      at("progress").textContent = `It could not be stopped: ${/** @type {Error} */ (error).message}`;
    }
  }

  /** A new conversation. */
  begin() {
    this.abort.abort(new Error("another conversation"));
    this.abort = new AbortController();
    this.resuming = "";
    this.running = this.newest = null;
    this.previous = "";
    this.sent = null;
    this.busy(null);
    this.refuse("");
    kept.set(OPEN, "");
    at("empty").hidden = false;
    fill(at("conversation"), at("empty"));
    at("message").focus();
  }

  newTurn() {
    const turn = new TurnView((text) => (at("said").textContent = text), () => this.send());
    this.newest = turn;
    this.show(turn.element);
    return turn;
  }

  /** @param {Node} node */
  show(node) {
    at("empty").hidden = true;
    put(at("conversation"), node);
    this.scroll(true);
  }

  /** Keeps what grows in view, unless its reader went elsewhere. @param {boolean} [always] */
  scroll(always = false) {
    if (always) this.follows = true;
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      const box = scrolled();
      if (this.follows) box.scrollTop = box.scrollHeight;
    });
  }

  /** @param {string} id */
  keep(id) {
    kept.set(OPEN, JSON.stringify({ id, model: at("model").value.trim() }));
  }

  /** @param {string} problem @param {HTMLElement} [field] */
  refuse(problem, field) {
    const told = at("form-error");
    told.textContent = problem;
    told.hidden = !problem;
    document.querySelectorAll("[aria-invalid]").forEach((each) => each.removeAttribute("aria-invalid"));
    if (!field) return;
    field.setAttribute("aria-invalid", "true");
    field.setAttribute("aria-describedby", "form-error");
    at("settings-fold").open = true;
    field.focus();
  }
}

/** What scrolls: the conversation, and on a phone the page. @returns {Element} */
function scrolled() {
  const box = at("conversation");
  return box.scrollHeight > box.clientHeight + 1 ? box : (document.scrollingElement ?? document.documentElement);
}

/** @param {string} type */
const settingsHaveTool = (type) => [...document.querySelectorAll('#tools [data-name="type"]')].some((each) => /** @type {any} */ (each).value === type);

class CopyDialog {
  /** @param {() => any} body */
  constructor(body) {
    this.body = body;
    this.language = "curl";
    this.code = "";
    const list = at("languages");
    for (const [name, { label }] of Object.entries(LANGUAGES)) {
      const tab = h("button", { type: "button", role: "tab", id: `lang-${name}`, "aria-controls": "code-panel", data: { tab: name } }, label);
      tab.addEventListener("click", () => this.show(name));
      put(list, tab);
    }
    arrows(list);
    at("copy-open").addEventListener("click", () => {
      this.show(this.language);
      at("copy-dialog").showModal();
    });
    at("copy-close").addEventListener("click", () => at("copy-dialog").close());
    at("copy-now").addEventListener("click", async () => {
      await navigator.clipboard.writeText(this.code).then(
        () => (at("copy-now").textContent = "Copied"),
        () => (at("copy-now").textContent = "Select the text, and copy it"),
      );
      setTimeout(() => (at("copy-now").textContent = "Copy"), 1500);
    });
  }

  /** @param {string} language */
  show(language) {
    this.language = language;
    choose(at("languages"), language);
    at("code-panel").setAttribute("aria-labelledby", `lang-${language}`);
    try {
      this.code = LANGUAGES[language].write(this.body());
      at("code").textContent = this.code.replace(/(base64,[\w+/=]{200})[\w+/=]{1000,}/g, "$1… (Copy has all of it)");
    } catch (error) {
      if (!(error instanceof FormError)) throw error;
      at("code").textContent = this.code = `# ${error.message}`;
    }
  }
}
