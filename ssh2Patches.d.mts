import type { Plugin } from 'esbuild';

export const ssh2Version: string;
export const ssh2Patches: readonly { file: string; why: string; from: string; to: string }[];
export function patchSsh2(path: string, text: string): string | undefined;
export function checkSsh2Version(): void;
export const patchedSsh2: Plugin;
