// The settings of a request: read from the form, and written back from a response.

import { at } from "./dom.js";
import { FormError, addTool, jsonOf, setTools, toolsOf } from "./tools.js";

const SCHEMA = `{
  "type": "object",
  "properties": {"answer": {"type": "string"}, "sure": {"type": "boolean"}},
  "required": ["answer", "sure"],
  "additionalProperties": false
}`;

export function prepareForm() {
  at("schema").value = SCHEMA;
  at("format").addEventListener("change", () => (at("schema-fields").hidden = at("format").value !== "json_schema"));
  for (const button of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-add]"))) {
    button.addEventListener("click", () => {
      const row = addTool(/** @type {string} */ (button.dataset.add));
      /** @type {HTMLElement} */ (row.querySelector("input")).focus();
    });
  }
  at("model").addEventListener("input", () => setModel(at("model").value));
  if (!matchMedia("(max-width: 860px)").matches) return;
  at("settings-fold").open = false;
  at("message").placeholder = "Message";
}

/** @param {string} model */
export function setModel(model) {
  if (at("model").value !== model) at("model").value = model;
  at("model-shown").textContent = model; // where the form is folded
}

/** The body of a request, without its input. Raises FormError. @returns {any} */
export function settingsOf() {
  const body = /** @type {any} */ ({ model: at("model").value.trim() });
  if (!body.model) throw new FormError("Which model? provider/model, or the name of an alias", at("model"));
  const instructions = at("instructions").value.trim();
  if (instructions) body.instructions = instructions;
  const tools = toolsOf();
  if (tools.length) body.tools = tools;
  const format = formatOf();
  if (format) body.text = { format };
  const [effort, summary] = [at("effort").value, at("summary").value];
  if (effort || summary) body.reasoning = { ...(effort && { effort }), ...(summary && { summary }) };
  const temperature = numberOf("temperature", "The temperature");
  if (temperature !== undefined) body.temperature = temperature;
  const most = numberOf("max-output", "The most output tokens");
  if (most !== undefined) body.max_output_tokens = most;
  const metadata = pairsOf(at("metadata"));
  if (Object.keys(metadata).length) body.metadata = metadata;
  return body;
}

function formatOf() {
  const type = at("format").value;
  if (type !== "json_schema") return type ? { type } : null;
  const name = at("schema-name").value.trim();
  if (!name) throw new FormError("The schema has a name", at("schema-name"));
  return { type, name, schema: jsonOf(at("schema"), "The schema"), strict: true };
}

/** @param {string} id @param {string} what */
function numberOf(id, what) {
  const field = at(id);
  if (field.value === "" && !field.validity.badInput) return undefined;
  if (!field.checkValidity()) throw new FormError(`${what}: ${field.validationMessage}`, field);
  return Number(field.value);
}

/** `key=value`, with commas between. Raises FormError. @param {HTMLInputElement} field */
export function pairsOf(field) {
  const pairs = field.value.split(",").map((each) => each.trim()).filter(Boolean);
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf("=");
      if (at < 1) throw new FormError(`Metadata is key=value, and "${pair}" is not`, field);
      return [pair.slice(0, at).trim(), pair.slice(at + 1).trim()];
    }),
  );
}

/** What a response says of its request. A schema is not in it. @param {any} response @param {string} model */
export function restore(response, model) {
  setModel(model || response.model);
  at("instructions").value = response.instructions ?? "";
  setTools(response.tools ?? []);
  at("effort").value = response.reasoning?.effort ?? "";
  at("summary").value = response.reasoning?.summary ?? "";
  at("max-output").value = response.max_output_tokens ?? "";
  at("temperature").value = response.temperature === 1 ? "" : (response.temperature ?? "");
  at("metadata").value = Object.entries(response.metadata ?? {}).map((pair) => pair.join("=")).join(", ");
}
