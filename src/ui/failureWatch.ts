import type * as vscode from 'vscode';
import { listedNotes, noteFailure, type FailureNotes } from '../core/failureNotes.js';
import type { Session } from '../core/session.js';

/** What failed since the window opened, whether anybody looks or not. */
export interface FailureWatch extends vscode.Disposable {
  readonly notes: FailureNotes;
}

export function watchFailures(session: Session): FailureWatch {
  let notes: FailureNotes = {};
  const stop = session.onChange(({ wanted }, event) => {
    if (event) notes = noteFailure(notes, event, Date.now());
    notes = listedNotes(notes, wanted);
  });
  return {
    get notes() {
      return notes;
    },
    dispose: stop,
  };
}
