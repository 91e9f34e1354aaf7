// The tools of a request, as rows of the form: hosted ones, functions and MCP servers.

import { at, h, put } from "./dom.js";

const EXAMPLE = `{
  "type": "object",
  "properties": {"city": {"type": "string"}},
  "required": ["city"],
  "additionalProperties": false
}`;
let made = 0;

/** What is wrong with a field of the form. */
export class FormError extends Error {
  /** @param {string} message @param {HTMLElement} field */
  constructor(message, field) {
    super(message);
    this.field = field;
  }
}

/** @param {HTMLInputElement | HTMLTextAreaElement} field @param {string} what */
export function jsonOf(field, what) {
  let value;
  try {
    value = JSON.parse(field.value);
  } catch (error) {
    throw new FormError(`${what} is no JSON: ${/** @type {Error} */ (error).message}`, field);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new FormError(`${what} is no JSON object`, field);
  return value;
}

/** @type {Record<string, {legend: string, fields: (id: string) => Node[], read: (row: HTMLElement) => any, write: (row: HTMLElement, tool: any) => void}>} */
const KINDS = {
  hosted: {
    legend: "Hosted tool",
    fields: (id) => [field(id, "type", "Type", h("input", { list: "hosted-tools", placeholder: "serverless:calculator", autocomplete: "off", spellcheck: "false" }))],
    read: (row) => ({ type: needed(row, "type", "A hosted tool has a type, such as serverless:calculator") }),
    write: (row, tool) => set(row, "type", tool.type),
  },
  function: {
    legend: "Function",
    fields: (id) => [
      field(id, "name", "Name", h("input", { placeholder: "weather", autocomplete: "off", spellcheck: "false" })),
      field(id, "description", "Description", h("input", { autocomplete: "off" })),
      field(id, "parameters", "Parameters (JSON schema)", h("textarea", { class: "code", rows: 6, spellcheck: "false" }, EXAMPLE)),
    ],
    read: (row) => {
      const description = got(row, "description");
      return {
        type: "function",
        name: needed(row, "name", "A function has a name"),
        ...(description && { description }),
        parameters: jsonOf(input(row, "parameters"), "The parameters of a function"),
      };
    },
    write: (row, tool) => {
      set(row, "name", tool.name);
      set(row, "description", tool.description ?? "");
      set(row, "parameters", JSON.stringify(tool.parameters ?? { type: "object", properties: {} }, null, 2));
    },
  },
  mcp: {
    legend: "MCP server",
    fields: (id) => [
      field(id, "label", "Label", h("input", { placeholder: "docs", autocomplete: "off", spellcheck: "false" })),
      field(id, "url", "URL (none: a server of the deployment)", h("input", { type: "url", placeholder: "https://…/mcp", autocomplete: "off" })),
      field(id, "authorization", "Token for it", h("input", { type: "password", autocomplete: "off" })),
      field(id, "allowed", "Allowed tools (none: all)", h("input", { placeholder: "search, fetch", autocomplete: "off", spellcheck: "false" })),
      field(
        id,
        "approval",
        "Approval of calls",
        h("select", {}, h("option", { value: "always" }, "always"), h("option", { value: "never" }, "never")),
      ),
    ],
    read: (row) => {
      const [url, authorization] = [got(row, "url"), got(row, "authorization")];
      const allowed = got(row, "allowed").split(/[\s,]+/).filter(Boolean);
      return {
        type: "mcp",
        server_label: needed(row, "label", "An MCP server has a label"),
        ...(url && { server_url: url }),
        ...(authorization && { authorization }),
        ...(allowed.length && { allowed_tools: allowed }),
        require_approval: got(row, "approval"),
      };
    },
    write: (row, tool) => {
      set(row, "label", tool.server_label);
      set(row, "url", tool.server_url ?? "");
      set(row, "allowed", Array.isArray(tool.allowed_tools) ? tool.allowed_tools.join(", ") : "");
      set(row, "approval", tool.require_approval === "never" ? "never" : "always");
    },
  },
};

/** @param {string} kind @param {any} [tool] */
export function addTool(kind, tool) {
  made += 1;
  const id = `tool-${made}`;
  const { legend, fields, write } = KINDS[kind];
  const remove = h("button", { type: "button", class: "quiet", "aria-label": `Remove this ${legend}` }, "×");
  const row = h("fieldset", { class: "tool", data: { kind } }, h("legend", {}, legend), remove, fields(id));
  remove.addEventListener("click", () => {
    row.remove();
    /** @type {HTMLElement | null} */ (document.querySelector(`[data-add="${kind}"]`))?.focus();
  });
  if (tool) write(row, tool);
  put(at("tools"), row);
  return row;
}

/** The request's tools. Raises FormError. @returns {any[]} */
export function toolsOf() {
  return [...at("tools").querySelectorAll("fieldset.tool")].map((row) => KINDS[row.dataset.kind].read(row));
}

/** @param {any[]} tools those of a response */
export function setTools(tools) {
  at("tools").replaceChildren();
  for (const tool of tools) {
    if (tool.type === "function" || tool.type === "mcp") addTool(tool.type, tool);
    else if (typeof tool.type === "string") addTool("hosted", tool);
  }
}

/** @param {string} id @param {string} name @param {string} label @param {HTMLElement} control */
function field(id, name, label, control) {
  control.id = `${id}-${name}`;
  control.dataset.name = name;
  return h("div", { class: "field" }, h("label", { for: control.id }, label), control);
}

/** @param {HTMLElement} row @param {string} name @returns {HTMLInputElement} */
const input = (row, name) => /** @type {HTMLInputElement} */ (row.querySelector(`[data-name="${name}"]`));
/** @param {HTMLElement} row @param {string} name */
const got = (row, name) => input(row, name).value.trim();
/** @param {HTMLElement} row @param {string} name @param {string} value */
const set = (row, name, value) => void (input(row, name).value = value);

/** @param {HTMLElement} row @param {string} name @param {string} problem */
function needed(row, name, problem) {
  const value = got(row, name);
  if (!value) throw new FormError(problem, input(row, name));
  return value;
}
