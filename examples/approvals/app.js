// An agent with the tools of an MCP server. The server makes no call before the user has approved it.
// What a model or a server says is set with textContent: none of it becomes markup.

const form = document.querySelector('#ask');
const log = document.querySelector('#log');
const send = form.querySelector('button');
let previous; // the id of the last response: the server keeps the conversation

/** Shows characters that could disguise a text (controls, and those that turn its direction) as their codes. */
const plain = (text) =>
  String(text).replace(
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
    (each) => `\\u${each.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

function add(kind, text = '') {
  const block = document.createElement('div');
  block.className = kind;
  block.textContent = plain(text);
  log.append(block);
  return block;
}

/** The events of a stream: https://html.spec.whatwg.org/multipage/server-sent-events.html */
async function* events(body) {
  let rest = '';
  for (const reader = body.pipeThrough(new TextDecoderStream()).getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith('data: {')) yield JSON.parse(line.slice(6));
    }
  }
}

/** One response: its text while it comes, its calls, and then the calls that wait for an approval. */
async function respond(input) {
  const { base, key, model, mcp } = Object.fromEntries(new FormData(form));
  const answer = await fetch(`${base.replace(/\/$/, '')}/responses`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      model,
      input,
      stream: true,
      previous_response_id: previous,
      // The server and its approvals are said in each request: the conversation does not keep them.
      tools: [{ type: 'mcp', server_label: 'mcp', server_url: mcp, require_approval: 'always' }],
    }),
  });
  if (!answer.ok) throw new Error((await answer.json()).error.message);
  const texts = {};
  for await (const event of events(answer.body)) {
    if (event.type === 'response.output_text.delta') {
      texts[event.item_id] ??= add('answer');
      texts[event.item_id].append(plain(event.delta));
    } else if (event.type === 'response.output_item.done' && event.item.type === 'mcp_call') {
      const { name, arguments: given, output, error } = event.item;
      add('call', `${name}(${given}): ${error ? `failed: ${JSON.stringify(error)}` : output}`);
    } else if (event.type === 'error') {
      throw new Error(event.error?.message ?? event.message);
    } else if (event.type === 'response.failed') {
      throw new Error(event.response.error.message);
    } else if (event.type === 'response.completed' || event.type === 'response.incomplete') {
      previous = event.response.id;
      return event.response.output.filter((item) => item.type === 'mcp_approval_request');
    }
  }
  throw new Error('The connection ended before the answer did.');
}

/** Shows a call that waits, with its buttons, and tells what the user decides. */
function decide(request) {
  const block = add('approval', `May I call ${request.name}(${request.arguments})?\n`);
  block.setAttribute('role', 'group');
  block.setAttribute('aria-label', `Approval of ${plain(request.name)}`);
  return new Promise((decided) => {
    const buttons = [true, false].map((approve) => {
      const button = document.createElement('button');
      button.textContent = approve ? 'Approve' : 'Refuse';
      button.addEventListener('click', () => {
        buttons.forEach((each) => each.remove());
        block.append(approve ? 'Approved.' : 'Refused.');
        decided({ type: 'mcp_approval_response', approval_request_id: request.id, approve });
      });
      return button;
    });
    block.append(...buttons);
    buttons[0].focus();
  });
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  send.disabled = true;
  const { message } = form.elements;
  try {
    add('question', message.value);
    let waiting = await respond(message.value);
    message.value = '';
    while (waiting.length > 0) waiting = await respond(await Promise.all(waiting.map(decide)));
  } catch (error) {
    add('error', error.message).setAttribute('role', 'alert');
  } finally {
    send.disabled = false;
    message.focus();
  }
});
