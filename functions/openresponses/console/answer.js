// One response as its events make it. It knows nothing of how it is shown.

/** @typedef {{type: string, id?: string, status?: string, [field: string]: any}} Item */

export class Answer {
  constructor() {
    /** @type {any} */
    this.response = null;
    /** @type {Item[]} by output index */
    this.items = [];
    this.sequence = -1;
    /** @type {any} */
    this.error = null;
    this.over = false;
  }

  /**
   * Takes one event. Tells which item changed, and which text of it only grew by how much.
   * @param {any} event
   * @returns {{index: number, grew?: {field: string, part: number, delta: string}} | null}
   */
  apply(event) {
    if (typeof event.sequence_number === "number") this.sequence = Math.max(this.sequence, event.sequence_number);
    if (event.response) this.response = event.response;
    const index = event.output_index;
    switch (event.type) {
      case "response.output_item.added":
      case "response.output_item.done":
        this.items[index] = structuredClone(event.item);
        return { index };
      case "response.content_part.added":
      case "response.content_part.done":
        this.list(index, "content")[event.content_index] = structuredClone(event.part);
        return { index };
      case "response.reasoning_summary_part.added":
      case "response.reasoning_summary_part.done":
        this.list(index, "summary")[event.summary_index] = structuredClone(event.part);
        return { index };
      case "response.output_text.annotation.added":
        (this.part(index, "content", event.content_index).annotations ??= []).push(event.annotation);
        return { index };
      case "response.output_text.delta":
      case "response.reasoning.delta":
      case "response.reasoning_text.delta":
        return this.grow(index, "content", event.content_index, "text", event.delta);
      case "response.refusal.delta":
        return this.grow(index, "content", event.content_index, "refusal", event.delta);
      case "response.reasoning_summary_text.delta":
        return this.grow(index, "summary", event.summary_index, "text", event.delta);
      case "response.function_call_arguments.delta":
      case "response.mcp_call_arguments.delta":
        return this.lengthen(index, event.delta);
      case "response.image_generation_call.partial_image":
        if (!this.items[index]) return null;
        this.items[index].result = event.partial_image_b64;
        return { index };
      case "error":
        this.error = event.error;
        return null;
      case "response.completed":
      case "response.failed":
      case "response.incomplete":
        this.over = true;
        return null;
      default:
        return null;
    }
  }

  /** @param {number} index @param {string} name @returns {any[]} */
  list(index, name) {
    const item = (this.items[index] ??= { type: "message", role: "assistant" });
    return (item[name] ??= []);
  }

  /** @param {number} index @param {string} name @param {number} at */
  part(index, name, at) {
    const parts = this.list(index, name);
    return (parts[at] ??= { type: name === "summary" ? "summary_text" : "output_text" });
  }

  /** @param {number} index @param {string} list @param {number} at @param {string} field @param {string} delta */
  grow(index, list, at, field, delta) {
    const part = this.part(index, list, at);
    part[field] = (part[field] ?? "") + delta;
    return { index, grew: { field: list, part: at, delta } };
  }

  /** @param {number} index @param {string} delta */
  lengthen(index, delta) {
    const item = this.items[index];
    if (!item) return null;
    item.arguments = (item.arguments ?? "") + delta;
    return { index, grew: { field: "arguments", part: 0, delta } };
  }

  /** The items that there are: those of a dead turn may be missing. */
  get output() {
    return this.items.filter(Boolean);
  }
}
