// Research that outlives this program. The server works in the background and keeps the stream: started again, the
// program goes on after the last event that it has seen.
//
//   node research.mjs "QUESTION"          follow the stream
//   node research.mjs --poll "QUESTION"   ask every second how far it is
//
// OPENAI_BASE_URL and OPENAI_API_KEY say where the server is, MODEL which model answers.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import OpenAI from 'openai';

const PLACE = process.env.PLACE ?? 'research.json';
const words = process.argv.slice(2);
const poll = words[0] === '--poll' && words.shift();
const client = new OpenAI();

const RUNNING = ['queued', 'in_progress'];

const keep = (place) => writeFileSync(PLACE, JSON.stringify(place));
const kept = () => (existsSync(PLACE) ? JSON.parse(readFileSync(PLACE, 'utf8')) : null);

async function begin() {
  const request = {
    model: process.env.MODEL ?? 'offline/demo',
    input: words.join(' ') || 'What is a blue heron?',
    background: true,
    tools: JSON.parse(process.env.TOOLS ?? '[]'), // such as [{"type": "web_search"}]
  };
  const response = await client.responses.create(request);
  console.error(`research ${response.id} began`);
  return { id: response.id, question: request.input, text: '' };
}

async function follow(place) {
  const stream = await client.responses.retrieve(place.id, { stream: true, starting_after: place.after });
  for await (const event of stream) {
    if (event.type === 'response.output_text.delta') {
      place.text += event.delta;
      process.stdout.write(event.delta);
    }
    place.after = event.sequence_number;
    keep(place);
  }
}

async function wait(place) {
  let response = await client.responses.retrieve(place.id);
  while (RUNNING.includes(response.status)) {
    console.error(`${response.status}, ${response.output.length} items`);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    response = await client.responses.retrieve(place.id);
  }
  process.stdout.write(response.output_text);
}

const found = kept();
const place = found ?? (await begin());
keep(place);
if (found) {
  console.error(`research ${place.id} goes on after event ${place.after ?? 'none'}: ${place.question}`);
  if (!poll) process.stdout.write(place.text); // what was printed before
}
try {
  let response;
  do {
    await (poll ? wait(place) : follow(place)); // a connection lasts 15 minutes at most
    response = await client.responses.retrieve(place.id);
  } while (RUNNING.includes(response.status));
  const { status, error, usage } = response;
  console.error(`\nresearch ${place.id} is ${status}, ${usage?.total_tokens ?? 0} tokens`, error ?? '');
  rmSync(PLACE);
  process.exitCode = status === 'completed' ? 0 : 1;
} catch (error) {
  if (error.status === 404) rmSync(PLACE); // it expired, or is another server's: the next run begins anew
  console.error(`\nresearch ${place.id}: ${error.message}`);
  process.exitCode = 1;
}
