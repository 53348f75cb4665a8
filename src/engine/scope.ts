/** Owns resources from their birth: closes them in reverse order and waits for each. */
export interface Scope {
  /** Registers what undoes a resource; returns what undoes it earlier. In a closed scope it is undone at once. */
  own(close: () => Promise<void> | void): () => Promise<void>;
  /** Closes all that is owned; a second call waits for the same end. */
  close(): Promise<void>;
}

export function createScope(onError: (error: unknown) => void): Scope {
  const owned = new Set<() => Promise<void>>();
  let closing: Promise<void> | undefined;
  const closeAll = async () => {
    for (const close of [...owned].reverse()) await close();
  };
  return {
    own(close) {
      let done: Promise<void> | undefined;
      const undo = () =>
        (done ??= (async () => {
          try {
            await close();
          } catch (error) {
            onError(error);
          } finally {
            owned.delete(undo);
          }
        })());
      owned.add(undo);
      if (closing) void undo();
      return undo;
    },
    close: () => (closing ??= closeAll()),
  };
}
