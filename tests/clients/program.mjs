// The steps of a program written for OpenAI: program.py in JavaScript.
//
//   OPENAI_BASE_URL=http://127.0.0.1:5000/v1 OPENAI_API_KEY=any node program.mjs [step ...]
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import OpenAI from 'openai';
import { zodResponseFormat, zodTextFormat } from 'openai/helpers/zod';
import { VERSION } from 'openai/version';
import { z } from 'zod';

const model = process.env.MODEL ?? 'gpt-5-mini';
const embeddingModel = process.env.EMBEDDING_MODEL ?? 'text-embedding-3-small';
const count = '[[offline tokens=12 interval=0.03]] Count to twelve in words, separated by spaces.';
const endless = '[[offline tokens=5000 interval=0.05]] Tell a very long story.';
const askForCall = '[[offline call=1]] How is the weather in Rome? Call the function.';
const weather = {
  name: 'weather',
  description: 'The weather in a city.',
  strict: true,
  parameters: {
    type: 'object',
    properties: { city: { type: 'string' } },
    required: ['city'],
    additionalProperties: false,
  },
};
const City = z.object({ name: z.string(), people: z.number().int(), rivers: z.array(z.string()) });

const joined = (kind, events) =>
  events.map((event) => (event.type === `response.${kind}.delta` ? event.delta : '')).join('');
const spoken = (events) => joined('output_text', events);
const numbers = (events) => events.map((event) => event.sequence_number);
const calls = (response) => response.output.filter((item) => item.type === 'function_call');
const userMessages = (content) => [{ role: 'user', content }];

async function all(iterable) {
  const events = [];
  for await (const event of iterable) events.push(event);
  return events;
}

async function first(stream, many) {
  const events = [];
  for await (const event of stream) if (events.push(event) === many) break;
  return events;
}

async function create(client) {
  const asked = { model, input: 'Say hello.', instructions: 'Be brief.', metadata: { a: 'b' } };
  const { data: response, request_id } = await client.responses.create(asked).withResponse();
  assert.equal(response.status, 'completed');
  assert.deepEqual(response.metadata, { a: 'b' });
  assert.ok(response.output_text);
  assert.ok(request_id);
  assert.equal(response.usage.total_tokens, response.usage.input_tokens + response.usage.output_tokens);
}

async function poll(client) {
  let response = await client.responses.create({ model, input: count, background: true });
  assert.equal(response.status, 'queued');
  while (['queued', 'in_progress'].includes(response.status)) {
    await pause(100);
    response = await client.responses.retrieve(response.id);
  }
  assert.equal(response.status, 'completed');
  assert.ok(response.output_text);
}

async function stream(client) {
  const events = await all(await client.responses.create({ model, input: count, stream: true }));
  assert.deepEqual(numbers(events), [...events.keys()]);
  assert.equal(events[0].type, 'response.created');
  assert.equal(events.at(-1).type, 'response.completed');
  assert.equal(spoken(events), events.at(-1).response.output[0].content[0].text);
}

async function streamWithHelper(client) {
  const snapshots = [];
  const streamed = client.responses.stream({ model, input: count });
  streamed.on('response.output_text.delta', ({ snapshot }) => snapshots.push(snapshot));
  assert.equal((await streamed.finalResponse()).output_text, snapshots.at(-1));
}

async function cutAndResume(client) {
  const head = await first(await client.responses.create({ model, input: count, background: true, stream: true }), 9);
  const after = { stream: true, starting_after: head.at(-1).sequence_number };
  const whole = [...head, ...(await all(await client.responses.retrieve(head[0].response.id, after)))];
  assert.deepEqual(numbers(whole), [...whole.keys()]);
  assert.equal(spoken(whole), whole.at(-1).response.output[0].content[0].text);
}

async function resumeWithHelper(client) {
  const response = await client.responses.create({ model, input: count, background: true });
  const streamed = client.responses.stream({ response_id: response.id, starting_after: 5 });
  assert.equal((await all(streamed))[0].sequence_number, 6);
  assert.ok((await streamed.finalResponse()).output_text);
}

async function cancelAtOnce(client) {
  const response = await client.responses.create({ model, input: endless, background: true });
  assert.equal((await client.responses.cancel(response.id)).status, 'cancelled');
  assert.equal((await client.responses.cancel(response.id)).status, 'cancelled');
}

async function cancelWhileItRuns(client) {
  const streamed = await client.responses.create({ model, input: endless, background: true, stream: true });
  const events = [];
  for await (const event of streamed) {
    if (events.push(event) === 9) await client.responses.cancel(events[0].response.id);
  }
  const cancelled = await client.responses.retrieve(events[0].response.id);
  assert.equal(cancelled.status, 'cancelled');
  assert.equal(cancelled.output_text, spoken(events));
}

async function remove(client) {
  const ended = await client.responses.create({ model, input: 'Say hello.' });
  const running = await client.responses.create({ model, input: endless, background: true });
  for (const { id } of [ended, running]) {
    await client.responses.delete(id);
    await assert.rejects(client.responses.retrieve(id), OpenAI.NotFoundError);
  }
}

async function listInputItems(client) {
  const input = [0, 1, 2].map((number) => ({ role: 'user', content: `message ${number}` }));
  const response = await client.responses.create({ model, input });
  const listed = await all(client.responses.inputItems.list(response.id, { limit: 1, order: 'asc' }));
  assert.deepEqual(listed.map((item) => item.content[0].text), ['message 0', 'message 1', 'message 2']);
}

async function continueConversation(client) {
  const begun = await client.responses.create({ model, input: 'My name is Ada.' });
  const asked = { model, input: 'What is my name?', previous_response_id: begun.id };
  const answer = await client.responses.create(asked);
  assert.equal(answer.previous_response_id, begun.id);
  assert.ok(answer.usage.input_tokens > begun.usage.input_tokens);
}

async function callFunction(client) {
  const tools = [{ type: 'function', ...weather }];
  const asked = await client.responses.create({ model, input: askForCall, tools });
  const output = { type: 'function_call_output', call_id: calls(asked)[0].call_id, output: 'sunny' };
  assert.deepEqual(Object.keys(JSON.parse(calls(asked)[0].arguments)), ['city']);
  const onRecord = { model, input: [output], previous_response_id: asked.id, tools };
  const byHand = { model, input: [...userMessages(askForCall), ...asked.output, output], tools };
  for (const request of [onRecord, byHand]) assert.ok((await client.responses.create(request)).output_text);
}

async function streamCall(client) {
  const streamed = client.responses.stream({ model, input: askForCall, tools: [{ type: 'function', ...weather }] });
  const args = joined('function_call_arguments', await all(streamed));
  assert.equal(args, calls(await streamed.finalResponse())[0].arguments);
}

async function parse(client) {
  const asked = { model, input: 'Name a city.', text: { format: zodTextFormat(City, 'city') } };
  City.parse((await client.responses.parse(asked)).output_parsed);
  City.parse((await client.responses.stream(asked).finalResponse()).output_parsed);
}

async function chat(client) {
  const completion = await client.chat.completions.create({ model, messages: userMessages('Say hello.') });
  assert.ok(completion.choices[0].message.content);
  assert.equal(completion.choices[0].finish_reason, 'stop');
  assert.ok(completion.usage.total_tokens);
}

async function streamChat(client) {
  const asked = { model, messages: userMessages(count), stream_options: { include_usage: true } };
  const chunks = await all(await client.chat.completions.create({ ...asked, stream: true }));
  const last = chunks.pop();
  assert.ok(chunks.map((chunk) => chunk.choices[0].delta.content ?? '').join(''));
  assert.equal(chunks.at(-1).choices[0].finish_reason, 'stop');
  assert.deepEqual(last.choices, []);
  assert.ok(last.usage.total_tokens);
  assert.ok(await client.chat.completions.stream(asked).finalContent());
}

async function callFunctionInChat(client) {
  const asked = { model, messages: userMessages(askForCall), tools: [{ type: 'function', function: weather }] };
  const { message } = (await client.chat.completions.create(asked)).choices[0];
  const streamed = await client.chat.completions.stream(asked).finalMessage();
  assert.equal(streamed.tool_calls[0].function.arguments, message.tool_calls[0].function.arguments);
  asked.messages.push(message, { role: 'tool', tool_call_id: message.tool_calls[0].id, content: 'sunny' });
  assert.ok((await client.chat.completions.create(asked)).choices[0].message.content);
}

async function parseChat(client) {
  const asked = { model, messages: userMessages('Name a city.'), response_format: zodResponseFormat(City, 'city') };
  City.parse((await client.chat.completions.parse(asked)).choices[0].message.parsed);
}

async function embed(client) {
  const asked = { model: embeddingModel, input: ['first text', 'second'] };
  const byDefault = await client.embeddings.create(asked);
  const floats = await client.embeddings.create({ ...asked, encoding_format: 'float' });
  const packed = await client.embeddings.create({ ...asked, encoding_format: 'base64' });
  assert.deepEqual(byDefault.data.map((row) => row.index), [0, 1]);
  assert.deepEqual(byDefault.data.map((row) => row.embedding), floats.data.map((row) => row.embedding));
  assert.deepEqual(packed.data.map((row) => unpacked(row.embedding)), floats.data.map((row) => row.embedding));
}

function unpacked(text) {
  const bytes = Uint8Array.from(Buffer.from(text, 'base64'));
  return Array.from(new Float32Array(bytes.buffer));
}

async function listModels(client) {
  const listed = await all(client.models.list());
  assert.ok(listed.some(({ id }) => id === model));
  assert.equal((await client.models.retrieve(model)).id, model);
}

/** Errors of the API and the client: bad requests, unknown ids, timeouts, no server. */
async function meetErrorsOfItsOwn(client) {
  const isBadInput = (error) =>
    error instanceof OpenAI.BadRequestError && error.param === 'input' && Boolean(error.code && error.requestID);
  await assert.rejects(client.responses.create({ model, input: 5 }), isBadInput);
  await assert.rejects(client.responses.retrieve(`resp_${'0'.repeat(32)}`), OpenAI.NotFoundError);
  await assert.rejects(client.models.retrieve('no-such-model'), OpenAI.NotFoundError);
  const hurried = { timeout: 500, maxRetries: 0 };
  await assert.rejects(client.responses.create({ model, input: endless }, hurried), OpenAI.APIConnectionTimeoutError);
  const elsewhere = client.withOptions({ baseURL: 'http://127.0.0.1:9/v1', maxRetries: 0 });
  await assert.rejects(all(elsewhere.models.list()), OpenAI.APIConnectionError);
  const once = { headers: { 'Idempotency-Key': crypto.randomUUID() } };
  const [{ id }, again] = [
    await client.responses.create({ model, input: 'a' }, once),
    await client.responses.create({ model, input: 'a' }, once),
  ];
  assert.equal(id, again.id);
  await assert.rejects(client.responses.create({ model, input: 'b' }, once), OpenAI.BadRequestError);
}

/** Provider errors, with and without streaming. Streamed calls raise them before the first event. */
async function meetErrorsOfTheModel(client) {
  const ordered = {
    'status=400': OpenAI.BadRequestError,
    'status=404': OpenAI.NotFoundError,
    'status=429 code=insufficient_quota': OpenAI.RateLimitError,
    'status=500': OpenAI.InternalServerError,
  };
  for (const [words, kind] of Object.entries(ordered)) {
    const input = `[[offline ${words}]]`;
    for (const how of [{}, { stream: true }]) {
      await assert.rejects(client.responses.create({ model, input, ...how }), kind);
      await client.responses.create({ model, input: 'hello' }); // a provider that only fails is waited for
      await assert.rejects(client.chat.completions.create({ model, messages: userMessages(input), ...how }), kind);
      await client.responses.create({ model, input: 'hello' });
    }
    await assert.rejects(client.embeddings.create({ model: embeddingModel, input }), kind);
  }
}

/** A background stream starts before the error, so its last event contains the error. */
async function meetErrorsInStreams(client) {
  const input = '[[offline status=400]]';
  const last = (await all(await client.responses.create({ model, input, background: true, stream: true }))).at(-1);
  assert.deepEqual([last.type, last.response.error.code], ['response.failed', 'invalid_prompt']);
}

async function workConcurrently(client) {
  const ask = async () => spoken(await all(await client.responses.create({ model, input: count, stream: true })));
  assert.equal(new Set(await Promise.all(Array.from({ length: 10 }, ask))).size, 1);
}

const steps = [
  ...[create, poll, stream, streamWithHelper, cutAndResume, resumeWithHelper, cancelAtOnce, cancelWhileItRuns],
  ...[remove, listInputItems, continueConversation, callFunction, streamCall, parse],
  ...[chat, streamChat, callFunctionInChat, parseChat, embed, listModels],
  ...[meetErrorsOfItsOwn, meetErrorsOfTheModel, meetErrorsInStreams, workConcurrently],
];

const named = process.argv.slice(2);
const client = new OpenAI();
console.log(`openai ${VERSION}, node ${process.version}`);
for (const step of steps) {
  if (named.length && !named.includes(step.name)) continue;
  await step(client);
  console.log(`ok ${step.name}`);
}
