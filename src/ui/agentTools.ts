// The tools of language models: one lists, and one opens what the user has said yes to.
import * as vscode from 'vscode';
import {
  agentList,
  agentTunnel,
  decideOpen,
  openPrompt,
  refusalOf,
  type AgentOpen,
  type AgentWorld,
} from '../core/agentTool.js';
import { failureOf, innermost } from '../core/failure.js';
import type { Holds } from '../core/holds.js';
import { clientAddress, readyText, reasonText } from '../core/present.js';
import type { NewTunnel, Session } from '../core/session.js';
import { tunnelState } from '../core/snapshot.js';
import { t } from '../core/translate.js';
import { failureText } from '../core/wording.js';
import { paragraphs } from './markdown.js';
import type { Presets, PresetSettings } from './presets.js';
import { tunnelInfo } from './tunnelInfo.js';

export interface AgentTools {
  readonly list: Required<vscode.LanguageModelTool<unknown>>;
  readonly open: Required<vscode.LanguageModelTool<unknown>>;
}

/** Calls that were asked about and not made. */
const mostAsked = 20;

export function createAgentTools(
  session: Session,
  holds: Holds,
  presets: Pick<Presets, 'agree' | 'allowed'>,
  presetSettings: Pick<PresetSettings, 'current'>,
  /** The names of ssh_config. */
  hosts: () => Promise<readonly string[]>,
): AgentTools {
  const world = async (): Promise<AgentWorld> => ({
    hosts: await hosts().catch(() => []),
    presets: presetSettings.current.presets,
    trusted: vscode.workspace.isTrusted,
  });

  const list: AgentTools['list'] = {
    prepareInvocation: () => ({ invocationMessage: t('Listing SSH tunnels') }),
    async invoke() {
      // Also as they were filled before.
      const known = [...presetSettings.current.presets, ...presets.allowed()];
      const tunnels = session.state.wanted.tunnels.map((tunnel) =>
        agentTunnel(tunnelInfo(tunnel, session.state), known),
      );
      return result(JSON.stringify({ tunnels, ...agentList(await world()) }, undefined, 2));
    },
  };

  /** The inputs with what the user was shown, one for each call: nothing else is opened, whatever the settings say by then. */
  const asked: string[] = [];
  const question = (input: unknown, wanted: AgentOpen) => JSON.stringify([input, openPrompt(wanted)]);

  const open: Required<vscode.LanguageModelTool<unknown>> = {
    async prepareInvocation({ input }) {
      const decision = decideOpen(input, await world());
      // Without a question, and so without a call.
      if (!decision.ok) throw new Error(decision.reason);
      const prompt = openPrompt(decision.open);
      asked.push(question(input, decision.open));
      asked.splice(0, asked.length - mostAsked);
      return {
        invocationMessage: t('Opening an SSH tunnel'),
        confirmationMessages: { title: prompt.title, message: paragraphs(prompt.lines) },
      };
    },
    async invoke({ input }, token) {
      const decision = decideOpen(input, await world());
      if (!decision.ok) return result(decision.reason);
      const at = asked.indexOf(question(input, decision.open));
      if (at < 0) return result(t('What it would open has changed since the user was asked. Call it again.'));
      asked.splice(at, 1);
      const tunnels = await tunnelsOf(decision.open);
      if (!tunnels || token.isCancellationRequested) return result(failureText({ kind: 'cancelled' }));
      const reason = refusalOf(tunnels);
      if (reason !== undefined) return result(reason);
      const { open: opened } = decision;
      const secretive = opened.kind === 'preset' && opened.preset.written ? opened.preset.name : undefined;
      return result(await start(tunnels, token, secretive));
    },
  };

  const tunnelsOf = async (wanted: AgentOpen): Promise<readonly NewTunnel[] | undefined> =>
    wanted.kind === 'forward' ? [wanted.tunnel] : presets.agree(wanted.preset);

  /** What came of it, in words; `preset`: the one with variables that it is of, see agentTunnel. */
  const start = async (
    tunnels: readonly NewTunnel[],
    token: vscode.CancellationToken,
    preset: string | undefined,
  ): Promise<string> => {
    const hold = holds.hold(tunnels, 'agent');
    const called = token.onCancellationRequested(() => hold.release());
    try {
      await hold.ready;
    } catch (error) {
      const failure = failureOf(error);
      const text =
        preset === undefined
          ? reasonText(failure, session.state)
          : t('The preset “{name}” could not be started ({code}).', { name: preset, code: innermost(failure).kind });
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
        const ready = preset === undefined ? readyText(tunnel, state) : t('{tunnel} is ready.', { tunnel: preset });
        return [ready, ...(address === undefined ? [] : [t('Connect to {address}.', { address })])];
      })
      .join(' ');
  };

  return { list, open };
}

function result(text: string): vscode.LanguageModelToolResult {
  return new vscode.LanguageModelToolResult([new vscode.LanguageModelTextPart(text)]);
}
