// Says which messages OpenAI's SDK for JavaScript accepts. They come as JSON, a line each.
import { createInterface } from "node:readline";
import OpenAI from "openai";

const client = new OpenAI({ apiKey: "any" });
for await (const line of createInterface({ input: process.stdin })) {
  const { body, headers, secret } = JSON.parse(line);
  try {
    console.log((await client.webhooks.unwrap(body, headers, secret)).type);
  } catch (error) {
    if (!(error instanceof OpenAI.InvalidWebhookSignatureError)) throw error;
    console.log("refused");
  }
}
