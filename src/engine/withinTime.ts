/** What the work comes to; undefined when it takes longer than so many milliseconds. It goes on, and rejects, on its own. */
export async function withinTime<T>(ms: number, work: Promise<T>): Promise<T | undefined> {
  let late: NodeJS.Timeout | undefined;
  const tooLate = new Promise<undefined>((resolve) => (late = setTimeout(resolve, ms, undefined)));
  try {
    return await Promise.race([work, tooLate]);
  } finally {
    clearTimeout(late);
  }
}
