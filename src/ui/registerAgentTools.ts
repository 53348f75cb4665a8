import * as vscode from 'vscode';
import type { AgentTools } from './agentTools.js';
import { languageModelTools } from './contributions.js';

/** Registers the tools of language models; what they do is asked for when one is called. */
export function registerAgentTools(tools: () => Promise<AgentTools>): AgentTools & vscode.Disposable {
  const late = (name: keyof AgentTools): AgentTools['open'] => ({
    prepareInvocation: async (options, token) => (await tools())[name].prepareInvocation(options, token),
    invoke: async (options, token) => (await tools())[name].invoke(options, token),
  });
  const own = { list: late('list'), open: late('open') };
  const parts = vscode.Disposable.from(
    vscode.lm.registerTool(languageModelTools.list, own.list),
    vscode.lm.registerTool(languageModelTools.open, own.open),
  );
  return { ...own, dispose: () => void parts.dispose() };
}
