/**
 * Two turns with the frameworks of npm, streamed by responses and by chat completions: Vercel's AI SDK, the OpenAI
 * Agents SDK and LangChain. The conversation is the one of conversation.py.
 */
import assert from 'node:assert/strict';
import { createOpenAI } from '@ai-sdk/openai';
import { HumanMessage, ToolMessage } from '@langchain/core/messages';
import { tool as langchainTool } from '@langchain/core/tools';
import { ChatOpenAI } from '@langchain/openai';
import {
  Agent,
  MemorySession,
  OpenAIChatCompletionsModel,
  OpenAIResponsesModel,
  run,
  setTracingDisabled,
  tool as agentTool,
} from '@openai/agents';
import { stepCountIs, streamText, tool as aiTool } from 'ai';
import OpenAI from 'openai';
import { z } from 'zod';

const model = 'gpt-5-mini';
const baseURL = process.env.OPENAI_BASE_URL;
const cities = ['Rome', 'Paris'];
const questions = ['How is the weather in Rome?', 'And how is it in Paris?'];
const expected = cities.map(
  (city) => `The function reports that it is sunny in ${city} and that it will stay so until tomorrow.`,
);
const description = 'The weather in a city.';
const parameters = z.object({ city: z.string() });

/** The function, which records each call in `cities`. */
const weatherFor = (calledWith) => async ({ city }) => {
  calledWith.push(city);
  return `sunny in ${city}`;
};

async function joined(texts) {
  let whole = '';
  for await (const text of texts) whole += text;
  return whole;
}

/** The second turn refers to the items of the first by their ids. */
async function converseWithAiSdk(chosen) {
  const [calledWith, streamed, final, messages] = [[], [], [], []];
  const weather = aiTool({ description, inputSchema: parameters, execute: weatherFor(calledWith) });
  for (const content of questions) {
    messages.push({ role: 'user', content });
    const turn = streamText({ model: chosen, messages, tools: { weather }, stopWhen: stepCountIs(4), maxRetries: 0 });
    streamed.push(await joined(turn.textStream));
    final.push(await turn.text);
    messages.push(...(await turn.response).messages);
  }
  return { streamed, final, calledWith };
}

async function converseWithAgents(chosen) {
  const [calledWith, streamed, final] = [[], [], []];
  const weather = agentTool({ name: 'weather', description, parameters, execute: weatherFor(calledWith) });
  const agent = new Agent({ name: 'Weather', instructions: 'Be brief.', model: chosen, tools: [weather] });
  const session = new MemorySession();
  for (const question of questions) {
    const turn = await run(agent, question, { stream: true, session });
    streamed.push(await joined(turn.toTextStream()));
    await turn.completed;
    final.push(turn.finalOutput);
  }
  return { streamed, final, calledWith };
}

async function converseWithLangChain(useResponsesApi) {
  const [calledWith, streamed, messages] = [[], [], []];
  const weather = langchainTool(weatherFor(calledWith), { name: 'weather', description, schema: parameters });
  const bound = new ChatOpenAI({ model, useResponsesApi, configuration: { baseURL } }).bindTools([weather]);
  for (const question of questions) {
    messages.push(new HumanMessage(question));
    for (;;) {
      let message;
      for await (const chunk of await bound.stream(messages)) message = message ? message.concat(chunk) : chunk;
      messages.push(message);
      if (!message.tool_calls.length) break;
      for (const { id, args } of message.tool_calls) {
        messages.push(new ToolMessage({ content: await weather.invoke(args), tool_call_id: id }));
      }
    }
    streamed.push(messages.at(-1).text);
  }
  return { streamed, final: streamed, calledWith };
}

setTracingDisabled(true);
const client = new OpenAI();
const aiSdk = createOpenAI({ baseURL });
const conversations = {
  'AI SDK by responses': () => converseWithAiSdk(aiSdk.responses(model)),
  'AI SDK by chat completions': () => converseWithAiSdk(aiSdk.chat(model)),
  'Agents SDK by responses': () => converseWithAgents(new OpenAIResponsesModel(client, model)),
  'Agents SDK by chat completions': () => converseWithAgents(new OpenAIChatCompletionsModel(client, model)),
  'LangChain by responses': () => converseWithLangChain(true),
  'LangChain by chat completions': () => converseWithLangChain(false),
};
console.log(`node ${process.version}`);
for (const [name, converse] of Object.entries(conversations)) {
  assert.deepEqual(await converse(), { streamed: expected, final: expected, calledWith: cities }, name);
  console.log(`ok ${name}`);
}
