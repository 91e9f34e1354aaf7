// What the script of a JavaScript client shares with the others. The twin of cells.py.
export const MODEL = process.env.CLIENT_MODEL;
export const WEATHER = process.env.CLIENT_WEATHER;
export const FACT = process.env.CLIENT_FACT;
export const TOLD = [
  { role: "user", content: "Think of a word." },
  { role: "assistant", content: `It is ${FACT}.` },
];
export const ASK = "Which word?";
export const TEXT = "Say blue heron.";
export const STREAM = "Count one two three.";
export const TOOLS = "What is the weather?";
export const STRUCTURED = "Describe a city.";
export const TURNS = ["My name is Ada.", "What is my name?"];

export async function report(cells) {
  for (const [cell, run] of Object.entries(cells)) {
    let told;
    try {
      told = { value: await run() };
    } catch (error) {
      console.error(error);
      told = { error: `${error.name}: ${error.message}` };
    }
    console.log(JSON.stringify({ cell, ...told }));
  }
}
