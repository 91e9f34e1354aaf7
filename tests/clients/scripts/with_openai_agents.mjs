import { Agent, MemorySession, Runner, setTracingDisabled, tool } from "@openai/agents";
import { z } from "zod";
import { MODEL, STREAM, STRUCTURED, TEXT, TOOLS, TURNS, WEATHER, report } from "./cells.mjs";

setTracingDisabled(true);
const City = z.object({ name: z.string(), population: z.number().int() });
const weather = tool({
  name: "weather",
  description: "The weather of today.",
  parameters: z.object({}),
  execute: async () => WEATHER,
});
const runner = new Runner();
const agent = (more = {}) => new Agent({ name: "Guide", model: MODEL, ...more });

await report({
  text: async () => (await runner.run(agent(), TEXT)).finalOutput,
  stream: async () => {
    const pieces = [];
    for await (const piece of (await runner.run(agent(), STREAM, { stream: true })).toTextStream()) pieces.push(piece);
    return pieces;
  },
  tools: async () => (await runner.run(agent({ tools: [weather] }), TOOLS)).finalOutput,
  structured: async () => (await runner.run(agent({ outputType: City }), STRUCTURED)).finalOutput,
  turns: async () => {
    const session = new MemorySession();
    await runner.run(agent(), TURNS[0], { session });
    return (await runner.run(agent(), TURNS[1], { session })).finalOutput;
  },
});
