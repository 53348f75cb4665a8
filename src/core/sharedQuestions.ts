// One question for all who ask the same while it is on the screen: a double click, two debug sessions.

/** Gives what asks: who asks the same meanwhile gets the same answer, and who asks later is asked anew. */
export function createSharedQuestions(): <T>(key: string, ask: () => PromiseLike<T>) => Promise<T> {
  const open = new Map<string, Promise<unknown>>();
  return <T>(key: string, ask: () => PromiseLike<T>) => {
    const known = open.get(key) as Promise<T> | undefined;
    if (known) return known;
    const asked = Promise.resolve(ask()).finally(() => open.delete(key));
    open.set(key, asked);
    return asked;
  };
}
