import assert from "node:assert";
import {
  Agent,
  MemorySession,
  OpenAIConversationsSession,
  OpenAIResponsesCompactionSession,
  run,
  setTracingDisabled,
  tool,
  withResponsesWebSocketSession,
} from "@openai/agents";
import { z } from "zod";
import { ASK, FACT, MODEL, TOLD, TOOLS, WEATHER, report } from "./cells.mjs";

setTracingDisabled(true);
const weather = tool({
  name: "weather",
  description: "The weather of today.",
  parameters: z.object({}),
  execute: async () => WEATHER,
});
const guide = new Agent({ name: "Guide", model: MODEL });
const forecaster = new Agent({ name: "Forecaster", model: MODEL, tools: [weather] });
const told = [
  { role: "user", content: TOLD[0].content },
  { role: "assistant", status: "completed", content: [{ type: "output_text", text: TOLD[1].content }] },
];

await report({
  compaction: async () => {
    const session = new OpenAIResponsesCompactionSession({
      underlyingSession: new MemorySession(),
      model: MODEL,
      shouldTriggerCompaction: () => true,
    });
    await session.addItems(told);
    await run(guide, "Very well.", { session });
    const items = await session.getItems();
    assert(items.some((item) => item.type === "compaction"));
    assert(!JSON.stringify(items).includes(FACT));
    return (await run(guide, ASK, { session })).finalOutput;
  },
  conversation: async () => {
    const session = new OpenAIConversationsSession();
    await session.addItems(told);
    assert((await run(forecaster, `${TOOLS} /fake tools`, { session })).finalOutput.includes(WEATHER));
    return (await run(guide, ASK, { session })).finalOutput;
  },
  socket: () =>
    withResponsesWebSocketSession(async (session) => {
      assert((await session.run(forecaster, `${TOOLS} /fake tools`)).finalOutput.includes(WEATHER));
      const first = await session.run(guide, told);
      return (await session.run(guide, ASK, { previousResponseId: first.lastResponseId })).finalOutput;
    }),
});
