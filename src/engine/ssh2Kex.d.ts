// The part of ssh2 that ssh2Patches.mjs opens.
declare module 'ssh2/lib/protocol/kex.js' {
  /** Absent where ssh2 is not patched. */
  export const hooks: object | undefined;
}
