// Server-sent events over fetch, since EventSource sends no key: https://html.spec.whatwg.org/multipage/server-sent-events.html

import { ApiError, ask, responsePath } from "./api.js";

/**
 * The events of an answer. Ends at `[DONE]` or with the body.
 * @param {Response} answer
 * @returns {AsyncGenerator<any, boolean>} true if the stream was whole
 */
export async function* eventsOf(answer) {
  if (!answer.body) return false;
  let buffer = "";
  let data = "";
  for await (const text of chunks(answer.body)) {
    buffer += text;
    let end;
    let begin = 0;
    while ((end = buffer.indexOf("\n", begin)) >= 0) {
      const line = buffer.slice(begin, buffer[end - 1] === "\r" ? end - 1 : end);
      begin = end + 1;
      if (line === "") {
        if (data === "[DONE]") return true;
        if (data) yield JSON.parse(data);
        data = "";
      } else if (line.startsWith("data:")) {
        data += (data && "\n") + line.slice(line[5] === " " ? 6 : 5);
      }
    }
    buffer = buffer.slice(begin);
  }
  return false;
}

/** @param {ReadableStream<Uint8Array>} body */
async function* chunks(body) {
  const reader = body.pipeThrough(/** @type {any} */ (new TextDecoderStream())).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield /** @type {string} */ (value);
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

const OVER = new Set(["response.completed", "response.failed", "response.incomplete"]);
const TRIES = 6;

/**
 * The events of a stored response after number `after`, over as many connections as it takes. A connection that gives
 * nothing new is tried again for half a minute. Raises ApiError.
 * @param {string} id @param {number} after @param {AbortSignal} signal @param {Response} [first] an answer that began
 * @returns {AsyncGenerator<any, void>}
 */
export async function* follow(id, after, signal, first) {
  let failures = 0;
  let answer = first;
  while (failures < TRIES) {
    try {
      answer ??= await ask(responsePath(id, `?stream=true${after < 0 ? "" : `&starting_after=${after}`}`), { signal });
      for await (const event of eventsOf(answer)) {
        if (event.type === "serverless:detached") break;
        if (typeof event.sequence_number === "number" && event.sequence_number >= 0) {
          if (event.sequence_number <= after) continue;
          after = event.sequence_number;
        }
        id = event.response?.id ?? id;
        failures = 0;
        yield event;
        if (OVER.has(event.type)) return;
      }
    } catch (error) {
      if (signal.aborted || (error instanceof ApiError && !error.passing)) throw error;
      if (!id) throw error;
    }
    if (!id) throw new ApiError(0, { message: "The stream broke before it began", code: "stream_broken" });
    answer = undefined;
    failures += 1;
    await pause(2 ** failures * 250, signal);
  }
  throw new ApiError(0, { message: "The stream broke, and could not be resumed", code: "stream_broken" });
}

/** @param {number} milliseconds @param {AbortSignal} signal */
export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });
}
