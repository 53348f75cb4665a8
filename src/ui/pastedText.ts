// VS Code's inputs join the lines that are pasted: what was copied is read again where it was several.
import * as vscode from 'vscode';
import { pastedLines } from '../core/pastedLines.js';
import { t } from '../core/translate.js';
import { inTime } from './inTime.js';

export interface PastedText {
  /** Looks at what an input has become; resolves when it is known whether that was pasted. */
  look(value: string): Promise<void>;
  /** The text to read for what an input shows: with its lines where several were pasted. */
  of(value: string): string;
  /** Says that several lines are read; nothing for one. */
  note(value: string): string | undefined;
}

/** More at once than a key gives. */
const pastedLength = 8;
/** How long a clipboard may take, in milliseconds: in a browser it may wait for a permission. */
const clipboardMs = 300;

/** `changed` is called when an input turns out to show several lines that were pasted. */
export function createPastedText(changed: () => void): PastedText {
  let known: { value: string; text: string; lines: number } | undefined;
  let before = '';
  let looking = Promise.resolve();

  const read = async (value: string): Promise<void> => {
    const text = await vscode.env.clipboard.readText();
    const lines = pastedLines(value, text);
    if (lines === 0 || value !== before) return;
    known = { value, text, lines };
    changed();
  };
  const found = (value: string) => (known?.value === value ? known : undefined);
  return {
    look(value) {
      const grown = value.length - before.length;
      // Only where several lines mean something: nobody's clipboard is read for a host or a port.
      const isPaste = value !== before && grown >= pastedLength && /\bssh\b/.test(value);
      before = value;
      // Without a clipboard to read it stays as it is shown.
      if (isPaste) looking = inTime(clipboardMs, read(value));
      return looking;
    },
    of: (value) => found(value)?.text ?? value,
    note(value) {
      const lines = found(value)?.lines;
      return lines === undefined ? undefined : t('{lines} lines were pasted: they are read as lines', { lines });
    },
  };
}
