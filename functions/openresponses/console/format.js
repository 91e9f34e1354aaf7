// Numbers, times and JSON as they are shown. What is unknown is a dash.

export const NONE = "–";

/** @param {number | null | undefined} seconds */
export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return NONE;
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** @param {number | null | undefined} value */
export const count = (value) => (typeof value === "number" ? value.toLocaleString("en-US") : NONE);

/** @param {any} cost a response's `serverless:cost` */
export function cost(cost) {
  const usd = cost?.usd;
  if (typeof usd !== "string" && typeof usd !== "number") return NONE;
  if (!Number.isFinite(Number(usd))) return String(usd);
  return Number(usd) === 0 ? "$0" : `$${usd}`;
}

/** @param {number | null | undefined} at Unix seconds */
export function moment(at) {
  if (typeof at !== "number") return NONE;
  const date = new Date(at * 1000);
  const clock = date.toLocaleTimeString("en-GB");
  return date.toDateString() === new Date().toDateString() ? clock : `${date.toLocaleDateString("en-CA")} ${clock}`;
}

/** @param {any} usage */
export function tokens(usage) {
  if (!usage) return NONE;
  return `${count(usage.input_tokens)} → ${count(usage.output_tokens)}`;
}

/** JSON of others, indented if it is JSON of more than a line. @param {string} text */
export function indented(text) {
  try {
    const value = JSON.parse(text);
    return text.length < 80 ? text : JSON.stringify(value, null, 2);
  } catch {
    return text;
  }
}

/** @param {number} bytes */
export function size(bytes) {
  return bytes < 1024 ? `${bytes} B` : bytes < 1048576 ? `${Math.round(bytes / 1024)} KB` : `${(bytes / 1048576).toFixed(1)} MB`;
}
