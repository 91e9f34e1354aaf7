import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { MODEL, STREAM, STRUCTURED, TEXT, TOOLS, TURNS, WEATHER, report } from "./cells.mjs";

const client = new OpenAI();
const City = z.object({ name: z.string(), population: z.number().int() });
const weather = { type: "function", name: "weather", parameters: { type: "object", properties: {} } };

await report({
  text: async () => (await client.responses.create({ model: MODEL, input: TEXT })).output_text,
  stream: async () => {
    const pieces = [];
    for await (const event of await client.responses.create({ model: MODEL, input: STREAM, stream: true }))
      if (event.type === "response.output_text.delta") pieces.push(event.delta);
    return pieces;
  },
  tools: async () => {
    const asked = await client.responses.create({ model: MODEL, input: TOOLS, tools: [weather] });
    const input = asked.output
      .filter((item) => item.type === "function_call")
      .map((item) => ({ type: "function_call_output", call_id: item.call_id, output: WEATHER }));
    const more = { model: MODEL, input, tools: [weather], previous_response_id: asked.id };
    return (await client.responses.create(more)).output_text;
  },
  structured: async () => {
    const text = { format: zodTextFormat(City, "city") };
    return (await client.responses.parse({ model: MODEL, input: STRUCTURED, text })).output_parsed;
  },
  turns: async () => {
    const first = await client.responses.create({ model: MODEL, input: TURNS[0] });
    const more = { model: MODEL, input: TURNS[1], previous_response_id: first.id };
    return (await client.responses.create(more)).output_text;
  },
});
