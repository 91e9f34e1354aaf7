// The server's API, as any client uses it. The key is kept in this tab's session storage, and is sent nowhere else.

const KEY = "openresponses.key";
/** The deployment, whatever stands before its paths: this file is at `<root>console/api.js`. */
export const ROOT = new URL("../", import.meta.url);
export const BASE_URL = new URL("v1", ROOT).href;

/** A refusal of the server, or none at all (`status` 0). */
export class ApiError extends Error {
  /** @param {number} status @param {any} error @param {string} [requestId] */
  constructor(status, error, requestId = "") {
    super(error?.message || `The server answered ${status}`);
    this.status = status;
    this.code = error?.code ?? "";
    this.param = error?.param ?? "";
    this.requestId = requestId;
  }

  /** Whether the same request may succeed later. */
  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

/** What the tab keeps. Where the browser forbids that, or its store is full, it lasts until a reload. */
export const kept = {
  memory: /** @type {Map<string, string>} */ (new Map()),
  /** @param {string} name */
  get(name) {
    return this.memory.get(name) ?? guarded(() => sessionStorage.getItem(name)) ?? "";
  },
  /** @param {string} name @param {string} value "" forgets it */
  set(name, value) {
    this.memory.set(name, value);
    guarded(() => sessionStorage.removeItem(name));
    if (value) guarded(() => sessionStorage.setItem(name, value));
  },
};

/** @template T @param {() => T} use */
function guarded(use) {
  try {
    return use();
  } catch {
    return null;
  }
}

export const key = {
  get: () => kept.get(KEY),
  /** @param {string} value */
  set: (value) => kept.set(KEY, value),
  forget: () => kept.set(KEY, ""),
};

let refused = () => {};

/** What is to happen when the server no longer takes the key. @param {() => void} listener */
export function onRefused(listener) {
  refused = listener;
}

/**
 * Asks the server. Raises ApiError.
 * @param {string} path below the root, such as `v1/models`
 * @param {{method?: string, body?: unknown, signal?: AbortSignal}} [how]
 */
export async function ask(path, { method = "GET", body, signal } = {}) {
  const sent = key.get();
  const headers = /** @type {Record<string, string>} */ ({});
  if (sent) headers.authorization = `Bearer ${sent}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  let answer;
  try {
    answer = await fetch(new URL(path, ROOT), {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal,
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new ApiError(0, { message: "The server cannot be reached", code: "unreachable" });
  }
  if (answer.ok) return answer;
  const told = await answer.json().catch(() => null);
  if (answer.status === 401 && path.startsWith("v1/") && sent === key.get()) refused();
  const error = told?.error ?? { message: told?.message ?? (answer.status === 413 ? "The request is too large for the server" : "") };
  throw new ApiError(answer.status, error, answer.headers.get("x-request-id") ?? "");
}

/** @param {string} path @param {Parameters<typeof ask>[1]} [how] @returns {Promise<any>} */
export const read = async (path, how) => (await ask(path, how)).json();

/** @param {string} id @param {string} [rest] */
export const responsePath = (id, rest = "") => `v1/responses/${encodeURIComponent(id)}${rest}`;

/** A response with its timeline, where the server knows of that. @param {string} id @param {AbortSignal} signal */
export async function readResponse(id, signal) {
  try {
    return await read(responsePath(id, "?include[]=serverless:timeline"), { signal });
  } catch (error) {
    if (error instanceof ApiError && error.status === 400) return read(responsePath(id), { signal });
    throw error;
  }
}
