// Paints of a page about one row of several: what is read takes its time, and meanwhile another row may be asked for.

export interface PainterParts<Row, Page> {
  isSeen: () => boolean;
  /** The row that is asked for now. */
  row: () => Row;
  read: (row: Row) => Promise<Page>;
  show: (page: Page) => PromiseLike<void>;
  /** Calls back when the next paint may be. */
  later: (paint: () => void) => void;
}

/**
 * Gives what asks for a paint. There is one at a time; what is asked for during one comes after it, and what was read of a row
 * that is no longer asked for is not shown.
 */
export function createPainter<Row, Page>({ isSeen, row, read, show, later }: PainterParts<Row, Page>): () => void {
  let state: 'rests' | 'waits' | 'paints' | 'paintsAgain' = 'rests';
  const paint = async (): Promise<void> => {
    const of = row();
    const page = await read(of);
    if (isSeen() && row() === of) await show(page);
  };
  const over = () => {
    const isAskedAgain = state === 'paintsAgain';
    state = 'rests';
    if (isAskedAgain) ask();
  };
  const ask = (): void => {
    if (!isSeen()) return;
    if (state === 'paints') state = 'paintsAgain';
    if (state !== 'rests') return;
    state = 'waits';
    later(() => {
      state = 'paints';
      // Whatever went wrong, the next paint may do.
      void paint().then(over, over);
    });
  };
  return ask;
}
