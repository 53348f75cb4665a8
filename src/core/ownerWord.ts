// What the window that has a tunnel says of it to the others that want it, and by what they know that it is the same one.
import * as v from 'valibot';
import { printDestination } from './destination.js';
import type { ElsewhereState } from './engine.js';
import type { Failure } from './failure.js';
import { printSpec, type ForwardSpec } from './forwardSpec.js';
import type { HostRequest } from './plan.js';
import type { TunnelState } from './snapshot.js';
import { failureText } from './wording.js';

/** How it stands; or that it has failed, and that who says so has let go of it. */
export type OwnerWord = ElsewhereState | { kind: 'failed'; failure: Failure };

/** Changed with what is said: windows that don’t understand each other don’t share. */
const language = 2;

/**
 * The same text for the same forward over the same way to its host, whatever it is called. What only a workspace asks for may
 * go another way: it is resolved without `Match exec`.
 */
export function forwardIdentity(
  { destination, configFile, options, fromWorkspace }: HostRequest,
  spec: ForwardSpec,
): string {
  const way = [printDestination(destination), configFile ?? null, options, fromWorkspace ?? null];
  return JSON.stringify([language, printSpec(spec), ...way]);
}

/** One line of text. */
export function printOwnerWord(state: TunnelState): string {
  return JSON.stringify(wordOf(state));
}

function wordOf(state: TunnelState): OwnerWord {
  switch (state.kind) {
    case 'connecting':
    case 'stopped':
      return { kind: 'connecting' };
    case 'failed':
      return { kind: 'failed', failure: state.failure };
    case 'retrying': {
      const { kind, failure, attempt, retryAt } = state;
      return { kind, failure, attempt, ...(retryAt !== undefined && { retryAt }) };
    }
    case 'ready': {
      const { kind, bound, unbound, asked, access, refused, isIdle } = state;
      return { kind, bound, unbound, asked, access, ...(refused && { refused }), ...(isIdle && { isIdle }) };
    }
  }
}

/** What can’t be said to a person was not said by a window of this version. */
const failure = v.custom<Failure>((given) => {
  if (typeof given !== 'object' || given === null) return false;
  try {
    const text: unknown = failureText(given as Failure);
    return typeof text === 'string' && text !== '';
  } catch {
    return false;
  }
});
const port = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65535));
const count = v.pipe(v.number(), v.finite(), v.minValue(0));
const access = v.picklist(['user', 'machine', 'network']);

const ownerWord = v.variant('kind', [
  v.object({ kind: v.literal('connecting') }),
  v.object({
    kind: v.literal('ready'),
    bound: v.array(
      v.variant('kind', [
        v.object({ kind: v.literal('tcp'), address: v.string(), port }),
        v.object({ kind: v.literal('unix'), path: v.string() }),
      ]),
    ),
    unbound: v.array(failure),
    asked: access,
    access: v.union([access, v.literal('unknown')]),
    refused: v.exactOptional(failure),
    isIdle: v.exactOptional(v.literal(true)),
  }),
  v.object({ kind: v.literal('retrying'), failure, attempt: count, retryAt: v.exactOptional(count) }),
  v.object({ kind: v.literal('failed'), failure }),
]);

/** Undefined for what is no such word. */
export function parseOwnerWord(text: string): OwnerWord | undefined {
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch {
    return undefined;
  }
  const read = v.safeParse(ownerWord, given);
  return read.success ? read.output : undefined;
}
