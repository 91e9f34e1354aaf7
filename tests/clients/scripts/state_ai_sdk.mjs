import assert from "node:assert";
import { openai } from "@ai-sdk/openai";
import { generateText } from "ai";
import OpenAI from "openai";
import { ASK, FACT, MODEL, TOLD, report } from "./cells.mjs";

const model = openai.responses(MODEL);

await report({
  compaction: async () => {
    const openai = { compactionTrigger: true };
    const { response } = await generateText({ model, messages: TOLD, providerOptions: { openai } });
    assert(!JSON.stringify(response.messages).includes(FACT));
    return (await generateText({ model, messages: [...response.messages, { role: "user", content: ASK }] })).text;
  },
  conversation: async () => {
    const { id } = await new OpenAI().conversations.create({ items: TOLD });
    return (await generateText({ model, prompt: ASK, providerOptions: { openai: { conversation: id } } })).text;
  },
});
