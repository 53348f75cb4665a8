// Which forwards the user has allowed to be open to the network, once for all windows.
import type * as vscode from 'vscode';

export interface NetworkConsents {
  /** By `networkConsentKey`. */
  has(key: string): boolean;
  give(keys: readonly string[]): Promise<void>;
}

const stateKey = 'networkConsents';

export function createNetworkConsents(context: vscode.ExtensionContext): NetworkConsents {
  const given = () => context.globalState.get<readonly string[]>(stateKey, []);
  return {
    has: (key) => given().includes(key),
    async give(keys) {
      const all = [...new Set([...given(), ...keys])];
      if (all.length > given().length) await context.globalState.update(stateKey, all);
    },
  };
}
