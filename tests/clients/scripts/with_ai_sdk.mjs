import { createOpenAI } from "@ai-sdk/openai";
import { Output, generateText, isStepCount, streamText, tool } from "ai";
import { z } from "zod";
import { MODEL, STREAM, STRUCTURED, TEXT, TOOLS, TURNS, WEATHER, report } from "./cells.mjs";

const openai = createOpenAI({ baseURL: process.env.OPENAI_BASE_URL });
const model = openai.responses(MODEL);
const City = z.object({ name: z.string(), population: z.number().int() });
const weather = tool({ description: "The weather of today.", inputSchema: z.object({}), execute: async () => WEATHER });

await report({
  text: async () => (await generateText({ model, prompt: TEXT })).text,
  stream: async () => {
    const pieces = [];
    for await (const piece of streamText({ model, prompt: STREAM }).textStream) pieces.push(piece);
    return pieces;
  },
  tools: async () =>
    (await generateText({ model, prompt: TOOLS, tools: { weather }, stopWhen: isStepCount(3) })).text,
  structured: async () =>
    (await generateText({ model, prompt: STRUCTURED, output: Output.object({ schema: City }) })).output,
  turns: async () => {
    const asked = { role: "user", content: TURNS[0] };
    const first = await generateText({ model, messages: [asked] });
    const messages = [asked, ...first.responseMessages, { role: "user", content: TURNS[1] }];
    return (await generateText({ model, messages })).text;
  },
});
