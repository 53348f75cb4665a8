// What a command is about: the rows that its arguments name, else what the user picks from those that are there.
import * as vscode from 'vscode';
import { configTunnel, noConfigForwards } from '../core/configForward.js';
import { presetRowsOf, type ConnectionRow, type ForwardRow, type PresetRow, type Status } from '../core/present.js';
import { presetTunnels } from '../core/preset.js';
import { tunnelId, tunnelsOf, type NewTunnel, type Session, type Tunnel } from '../core/session.js';
import { findPreset, readSubjects, type PresetKey, type Subject } from '../core/subject.js';
import type { Turns } from '../core/turns.js';
import type { ConfigList } from './configList.js';
import type { Presentation } from './presentation.js';
import type { PresetSettings } from './presets.js';
import type { Tree } from './tree.js';

export interface RowPicker {
  /** The rows that the arguments of a command name; undefined: the user picks. */
  subjects(given: unknown, selected: unknown): readonly Subject[] | undefined;
  /** Those on the list. */
  tunnelsOf(subject: Subject): readonly Tunnel[];
  /** The tunnels that a command is about, each once; without a row one that the user picks among those it is offered for. */
  tunnels(
    question: string,
    given: unknown,
    selected: unknown,
    isOffered?: (row: ForwardRow) => boolean,
  ): Promise<readonly Tunnel[]>;
  /** As `tunnels`, with the forwards of ssh_config that are not on the list. */
  newTunnels(
    question: string,
    given: unknown,
    selected: unknown,
    isOffered?: (row: ForwardRow) => boolean,
  ): Promise<readonly NewTunnel[]>;
  /** The connection of a row, or one that the user picks, by its tunnels; undefined: there is none. */
  connection(question: string, given: unknown): Promise<readonly [Tunnel, ...Tunnel[]] | undefined>;
  presets(
    question: string,
    given: unknown,
    selected: unknown,
    isOffered: (row: PresetRow) => boolean,
  ): Promise<readonly PresetKey[]>;
  forwardRows(): readonly ForwardRow[];
}

export function createRowPicker(
  session: Session,
  presentation: Presentation,
  presetSettings: PresetSettings,
  configList: Pick<ConfigList, 'current'>,
  tree: Tree,
  turns: Turns,
): RowPicker {
  const connectionRows = () =>
    presentation.presented.rows.filter((row): row is ConnectionRow => row.kind === 'connection');
  const forwardRows = () => connectionRows().flatMap(({ forwards }) => forwards);

  const subjects = (given: unknown, selected: unknown): readonly Subject[] | undefined =>
    readSubjects(given, selected)?.flatMap<Subject>((row) =>
      row.kind === 'selection' ? (readSubjects(tree.selection, tree.selection) ?? []) : [row],
    );

  /** What a row of ssh_config stands for, read from the list alone. */
  const configTunnels = (subject: Subject & { kind: 'configHost' | 'configForward' }): readonly NewTunnel[] => {
    const { forwards } = configList.current ?? noConfigForwards;
    if (subject.kind === 'configHost') return forwards.filter(({ host }) => host === subject.host).map(configTunnel);
    return forwards.map(configTunnel).filter((tunnel) => tunnelId(tunnel) === subject.id);
  };

  const newTunnelsOfSubject = (subject: Subject): readonly NewTunnel[] => {
    const isConfig = subject.kind === 'configHost' || subject.kind === 'configForward';
    return isConfig ? configTunnels(subject) : tunnelsOfSubject(subject);
  };

  const tunnelsOfSubject = (subject: Subject): readonly Tunnel[] => {
    const { wanted } = session.state;
    switch (subject.kind) {
      case 'forward':
        return wanted.tunnels.filter(({ id }) => id === subject.id);
      case 'connection':
        return tunnelsOf(wanted, subject.id);
      case 'preset':
      case 'presetGroup': {
        const { presets } = presetSettings.current;
        const own =
          subject.kind === 'preset'
            ? [findPreset(presets, subject.preset)]
            : presets.filter(({ group }) => group === subject.name);
        const ids = own.flatMap((preset) => (preset ? presetTunnels(preset).map(tunnelId) : []));
        return wanted.tunnels.filter(({ id }) => ids.includes(id));
      }
      case 'configHost':
      case 'configForward': {
        const ids = configTunnels(subject).map(tunnelId);
        return wanted.tunnels.filter(({ id }) => ids.includes(id));
      }
      case 'client':
      case 'presets':
      case 'problem':
      case 'sshConfig':
      case 'configProblem':
      case 'selection':
        return [];
    }
  };

  const pick = <T extends vscode.QuickPickItem>(question: string, items: T[]): Promise<T | undefined> =>
    turns.take(() => vscode.window.showQuickPick(items, { title: question, matchOnDescription: true }));

  const pickTunnels = async (
    question: string,
    isOffered: (row: ForwardRow) => boolean = () => true,
  ): Promise<readonly Tunnel[]> => {
    const items = forwardRows()
      .filter(isOffered)
      .map(({ id, label, description }) => ({ id, label, description }));
    const picked = await pick(question, items);
    return picked ? tunnelsOfSubject({ kind: 'forward', id: picked.id }) : [];
  };

  return {
    subjects,
    tunnelsOf: tunnelsOfSubject,
    forwardRows,
    async tunnels(question, given, selected, isOffered) {
      const rows = subjects(given, selected);
      return rows ? [...new Set(rows.flatMap(tunnelsOfSubject))] : pickTunnels(question, isOffered);
    },
    async newTunnels(question, given, selected, isOffered) {
      const rows = subjects(given, selected);
      if (!rows) return pickTunnels(question, isOffered);
      return [...new Map(rows.flatMap(newTunnelsOfSubject).map((tunnel) => [tunnelId(tunnel), tunnel])).values()];
    },
    async connection(question, given) {
      const rows = subjects(given, undefined);
      const items = connectionRows().map(({ id, label, description }) => ({ id, label, description }));
      // Nothing to choose from one.
      const picked = rows || items.length < 2 ? items[0] : await pick(question, items);
      const subject = rows ? rows[0] : picked && ({ kind: 'connection', id: picked.id } as const);
      const [first, ...more] = subject ? tunnelsOfSubject(subject) : [];
      return first && [first, ...more];
    },
    async presets(question, given, selected, isOffered) {
      const rows = subjects(given, selected);
      if (rows) return rows.flatMap((subject) => (subject.kind === 'preset' ? [subject.preset] : []));
      const items = presetRowsOf(presentation.presented)
        .filter(isOffered)
        .map(({ label, description, preset }) => ({ label, description, preset }));
      const picked = await pick(question, items);
      return picked ? [picked.preset] : [];
    },
  };
}

/** For a command that is offered for tunnels of some states. */
export function isOneOf(...statuses: readonly Status[]): (row: ForwardRow) => boolean {
  return ({ status }) => statuses.includes(status);
}
