// The tools of language models: one lists, and one opens what the user has said yes to.
import * as vscode from 'vscode';
import { agentList, decideOpen, openPrompt, refusalOf, type AgentOpen, type AgentWorld } from '../core/agentTool.js';
import { failureOf } from '../core/failure.js';
import type { Holds } from '../core/holds.js';
import { clientAddress, readyText, reasonText } from '../core/present.js';
import type { NewTunnel, Session } from '../core/session.js';
import { tunnelState } from '../core/snapshot.js';
import { t } from '../core/translate.js';
import { failureText } from '../core/wording.js';
import { languageModelTools } from './contributions.js';
import { paragraphs } from './markdown.js';
import type { Presets, PresetSettings } from './presets.js';
import { tunnelInfo } from './tunnelInfo.js';

export interface AgentTools extends vscode.Disposable {
  readonly open: Required<vscode.LanguageModelTool<unknown>>;
}

/** Calls that were asked about and not made. */
const mostAsked = 20;

export function createAgentTools(
  session: Session,
  holds: Holds,
  presets: Pick<Presets, 'agree'>,
  presetSettings: Pick<PresetSettings, 'current'>,
  /** The names of ssh_config. */
  hosts: () => Promise<readonly string[]>,
): AgentTools {
  const world = async (): Promise<AgentWorld> => ({
    hosts: await hosts().catch(() => []),
    presets: presetSettings.current.presets,
    trusted: vscode.workspace.isTrusted,
  });

  const list: vscode.LanguageModelTool<unknown> = {
    prepareInvocation: () => ({ invocationMessage: t('Listing SSH tunnels') }),
    async invoke() {
      const tunnels = session.state.wanted.tunnels.map((tunnel) => tunnelInfo(tunnel, session.state));
      return result(JSON.stringify({ tunnels, ...agentList(await world()) }, undefined, 2));
    },
  };

  /** By the input, what the user was shown: nothing else is opened, whatever the settings say by then. */
  const asked = new Map<string, string>();

  const open: Required<vscode.LanguageModelTool<unknown>> = {
    async prepareInvocation({ input }) {
      const decision = decideOpen(input, await world());
      // Without a question, and so without a call.
      if (!decision.ok) throw new Error(decision.reason);
      const prompt = openPrompt(decision.open);
      const key = JSON.stringify(input);
      asked.delete(key);
      asked.set(key, JSON.stringify(prompt));
      if (asked.size > mostAsked) asked.delete(asked.keys().next().value!);
      return {
        invocationMessage: t('Opening an SSH tunnel'),
        confirmationMessages: { title: prompt.title, message: paragraphs(prompt.lines) },
      };
    },
    async invoke({ input }, token) {
      const decision = decideOpen(input, await world());
      if (!decision.ok) return result(decision.reason);
      const key = JSON.stringify(input);
      const shown = asked.get(key);
      asked.delete(key);
      if (shown !== JSON.stringify(openPrompt(decision.open)))
        return result(t('What it would open has changed since the user was asked. Call it again.'));
      const tunnels = await tunnelsOf(decision.open);
      if (!tunnels || token.isCancellationRequested) return result(failureText({ kind: 'cancelled' }));
      const reason = refusalOf(tunnels);
      return result(reason ?? (await start(tunnels, token)));
    },
  };

  const tunnelsOf = async (wanted: AgentOpen): Promise<readonly NewTunnel[] | undefined> =>
    wanted.kind === 'forward' ? [wanted.tunnel] : presets.agree(wanted.preset);

  /** What came of it, in words. */
  const start = async (tunnels: readonly NewTunnel[], token: vscode.CancellationToken): Promise<string> => {
    const hold = holds.hold(tunnels, 'agent');
    const called = token.onCancellationRequested(() => hold.release());
    try {
      await hold.ready;
    } catch (error) {
      const text = reasonText(failureOf(error), session.state);
      hold.release();
      return text;
    } finally {
      called.dispose();
    }
    // The user has agreed to it and sees it: it is the user's from now on.
    hold.keep();
    const up = session.state.wanted.tunnels.filter(({ id }) => hold.tunnels.includes(id));
    return up
      .flatMap((tunnel) => {
        const state = tunnelState(tunnel, session.state.snapshot);
        if (state.kind !== 'ready') return [];
        const address = clientAddress(tunnel, state);
        return [readyText(tunnel, state), ...(address === undefined ? [] : [t('Connect to {address}.', { address })])];
      })
      .join(' ');
  };

  const parts = vscode.Disposable.from(
    vscode.lm.registerTool(languageModelTools.list, list),
    vscode.lm.registerTool(languageModelTools.open, open),
  );
  return { open, dispose: () => void parts.dispose() };
}

function result(text: string): vscode.LanguageModelToolResult {
  return new vscode.LanguageModelToolResult([new vscode.LanguageModelTextPart(text)]);
}
