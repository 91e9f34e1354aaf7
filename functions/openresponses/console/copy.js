// A request as code that runs: curl, and the OpenAI SDK for Python and JavaScript. The key is read from the environment.

import { BASE_URL } from "./api.js";

/** @param {any} value @param {string} pad @returns {string} */
function python(value, pad = "    ") {
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "object") return JSON.stringify(value);
  const list = Array.isArray(value);
  const inside = `${pad}    `;
  const parts = list
    ? value.map((each) => inside + python(each, inside))
    : Object.entries(value).map(([name, each]) => `${inside}${JSON.stringify(name)}: ${python(each, inside)}`);
  if (!parts.length) return list ? "[]" : "{}";
  const [open, close] = list ? "[]" : "{}";
  return `${open}\n${parts.join(",\n")},\n${pad}${close}`;
}

/** @type {Record<string, {label: string, write: (body: any) => string}>} */
export const LANGUAGES = {
  curl: {
    label: "curl",
    write: (body) =>
      [
        `curl -N ${quoted(`${BASE_URL}/responses`)} \\`,
        `  -H "Authorization: Bearer $OPENAI_API_KEY" \\`,
        `  -H 'Content-Type: application/json' \\`,
        `  -d @- <<'JSON'`,
        JSON.stringify({ ...body, stream: true }, null, 2).replaceAll("!", "\\u0021"), // an interactive shell reads ! even here
        "JSON",
      ].join("\n"),
  },
  python: {
    label: "Python",
    write: (body) =>
      [
        "from openai import OpenAI",
        "",
        `client = OpenAI(base_url=${JSON.stringify(BASE_URL)})  # reads OPENAI_API_KEY`,
        "stream = client.responses.create(",
        ...Object.entries({ ...body, stream: true }).map(([name, value]) => `    ${name}=${python(value)},`),
        ")",
        "for event in stream:",
        '    if event.type == "response.output_text.delta":',
        '        print(event.delta, end="", flush=True)',
        '    elif event.type == "response.output_item.done" and event.item.type != "message":',
        "        print(event.item.to_json())",
      ].join("\n"),
  },
  javascript: {
    label: "JavaScript",
    write: (body) =>
      [
        'import OpenAI from "openai";',
        "",
        `const client = new OpenAI({ baseURL: ${JSON.stringify(BASE_URL)} }); // reads OPENAI_API_KEY`,
        `const stream = await client.responses.create(${JSON.stringify({ ...body, stream: true }, null, 2)});`,
        "for await (const event of stream) {",
        '  if (event.type === "response.output_text.delta") process.stdout.write(event.delta);',
        '  else if (event.type === "response.output_item.done" && event.item.type !== "message") console.log(event.item);',
        "}",
      ].join("\n"),
  },
};

/** For a POSIX shell. @param {string} text */
const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
