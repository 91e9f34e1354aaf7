import assert from "node:assert";
import OpenAI from "openai";
import { ResponsesWS } from "openai/resources/responses/ws";
import { ASK, FACT, MODEL, TOLD, TOOLS, WEATHER, report } from "./cells.mjs";

const client = new OpenAI();
const weather = { type: "function", name: "weather", parameters: { type: "object", properties: {} } };

await report({
  compaction: async () => {
    const { output } = await client.responses.compact({ model: MODEL, input: TOLD });
    assert.equal(output.filter((item) => item.type === "compaction").length, 1);
    assert(!JSON.stringify(output).includes(FACT));
    const input = [...output, { role: "user", content: ASK }];
    return (await client.responses.create({ model: MODEL, input })).output_text;
  },
  count: async () => {
    assert((await client.responses.inputTokens.count({ model: MODEL, input: ASK })).input_tokens > 0);
    return FACT;
  },
  conversation: async () => {
    const { id } = await client.conversations.create({ items: TOLD });
    const { output_text } = await client.responses.create({ model: MODEL, input: ASK, conversation: { id } });
    const roles = [];
    for await (const item of client.conversations.items.list(id, { limit: 2 })) roles.push(item.role);
    assert.deepEqual(roles, ["assistant", "user", "assistant", "user"]);
    assert((await client.conversations.delete(id)).deleted);
    return output_text;
  },
  socket: async () => {
    const socket = new ResponsesWS(client);
    const messages = socket.stream();
    const turn = async (more) => {
      socket.send({ type: "response.create", model: MODEL, store: false, ...more });
      for (;;) {
        const { value } = await messages.next();
        if (value.type === "error") throw value.error;
        if (value.type === "message" && value.message.type === "response.completed") return value.message.response;
      }
    };
    const tools = [weather];
    const asked = await turn({ input: `${TOOLS} /fake tools`, tools });
    const output = { type: "function_call_output", call_id: asked.output[0].call_id, output: WEATHER };
    const answered = await turn({ input: [output], tools, previous_response_id: asked.id });
    assert(JSON.stringify(answered.output).includes(WEATHER));
    const told = await turn({ input: TOLD });
    const said = await turn({ input: ASK, previous_response_id: told.id });
    socket.close();
    return said.output[0].content[0].text;
  },
});
