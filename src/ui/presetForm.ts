// Making and changing a preset in a form: a list of its fields with their values, each with an input of its own. A form that is
// closed keeps what was typed, and goes on with it the next time.
import * as vscode from 'vscode';
import type { PresetColor, StoredPreset } from '../core/preset.js';
import {
  choicesOf,
  draftProblems,
  draftRows,
  emptyDraft,
  forwardEffect,
  forwardIndex,
  readForwardText,
  textOf,
  textProblem,
  withText,
  type ChoiceField,
  type DraftField,
  type DraftPlace,
  type DraftRow,
  type PresetDraft,
  type TextField,
} from '../core/presetDraft.js';
import { addPreset, findStored, presetGroups, presetNames, removePreset, replacePreset } from '../core/presetList.js';
import { scopeText } from '../core/present.js';
import { sameScope, type PresetKey } from '../core/subject.js';
import { t } from '../core/translate.js';
import type { Messages } from './messages.js';
import { openPresetsFile } from './openPresetsFile.js';
import { presetIcons } from './presetIcons.js';
import type { PresetFiles } from './presetFiles.js';
import type { Presets } from './presets.js';
import { askHost, askScope } from './presetSteps.js';
import { presetWorld, scopeForNew } from './settings.js';
import { askChoice, askName, askText, back, type Answer, type Step } from './steps.js';

export interface PresetForm {
  /** Begins with what is given, or goes on with what was not saved. Undefined: it was closed. */
  create(given?: Partial<StoredPreset>): Promise<SavedPreset | undefined>;
  /** Begins at the field, else with the list of fields. */
  edit(preset: PresetKey, field?: DraftField): Promise<SavedPreset | undefined>;
}

export interface SavedPreset {
  preset: PresetKey;
  starts: boolean;
}

export interface PresetFormParts {
  files: PresetFiles;
  /** Hosts of ssh_config. */
  hosts: () => Promise<readonly string[]>;
  /** What a consent is for, and whether there is one: what is typed here needs no other. */
  consents: Presets['consents'];
  messages: Messages;
}

/** A form as it stands, whether it is on the screen or was closed. */
interface Form {
  /** Of a preset that is there: which, and as it was read. */
  original?: { key: PresetKey; preset: StoredPreset };
  draft: PresetDraft;
  /** The field whose input is open, and what is typed there; undefined: the list of fields. */
  at?: DraftField;
  typed?: string;
  /** Where the user has not been led through yet. */
  lead: readonly DraftField[];
  /** The row that is active in the list. */
  active: DraftField | 'save';
}

const leadFields: readonly DraftField[] = ['name', 'host', 'forward 0'];

export function createPresetForm({ files, hosts, consents, messages }: PresetFormParts): PresetForm {
  /** Those that were closed, by what they are about. */
  const kept = new Map<string, Form>();

  const placeOf = ({ draft, original }: Form): DraftPlace => {
    const { scope } = draft;
    const names = presetNames(files.value(scope));
    const own = original && sameScope(original.key.scope, scope) ? original.key.name : undefined;
    return { world: presetWorld(scope), taken: names.filter((name) => name !== own) };
  };

  const titleOf = ({ original }: Form, label?: string): string => {
    const name = original?.key.name;
    if (name === undefined) return label === undefined ? t('New Preset') : t('New Preset: {field}', { field: label });
    return label === undefined
      ? t('Edit Preset “{name}”', { name })
      : t('Edit Preset “{name}”: {field}', { name, field: label });
  };

  const ask = (form: Form, field: DraftField): Promise<Answer<PresetDraft>> => {
    const place = placeOf(form);
    const { preset, scope } = form.draft;
    const row = draftRows(form.draft, place).find((one) => one.field === field);
    const number = form.lead.includes(field)
      ? ([leadFields.indexOf(field) + 1, leadFields.length] as const)
      : undefined;
    const step: Step = {
      title: titleOf(form, field === 'forward 0' ? t('Forward') : row?.label.replace(/…$/, '')),
      ...(number && { number }),
      text: form.typed ?? (isText(field) ? textOf(preset, field) : ''),
      onType: (text) => (form.typed = text),
    };
    const taken = async (answer: Promise<Answer<StoredPreset>>): Promise<Answer<PresetDraft>> => {
      const given = await answer;
      return typeof given === 'object' ? { preset: given, scope } : given;
    };
    const written = async (answer: Promise<Answer<string>>): Promise<Answer<StoredPreset>> => {
      const text = await answer;
      return typeof text === 'string' && isText(field)
        ? withText(preset, field, text)
        : (text as typeof back | undefined);
    };
    switch (field) {
      case 'name': {
        const prompt = t('How the preset is called in the Tunnels view');
        return taken(written(askText(step, prompt, t('Database'), (text) => textProblem('name', text, place))));
      }
      case 'host':
        return taken(
          written(
            askHost(step, t('Host to connect to: pick one, or type user@host:port'), hosts, (text) =>
              textProblem('host', text, place),
            ),
          ),
        );
      case 'description': {
        const prompt = t('What the preset is for; empty: no description');
        return taken(written(askText(step, prompt, '', (text) => textProblem('description', text, place))));
      }
      case 'group':
        return taken(written(askGroup(step, files, preset, (text) => textProblem('group', text, place))));
      case 'icon':
        return taken(written(askIcon(step, preset, (text) => textProblem('icon', text, place))));
      case 'start':
      case 'connect':
      case 'afterOpen':
      case 'terminalVariables':
      case 'color':
        return taken(askOne(step, preset, field));
      case 'scope':
        return askScope(step, t('Settings file that the preset stands in'), files.scopes(), scope, scope).then(
          (answer) => (typeof answer === 'object' ? { preset, scope: answer } : answer),
        );
      default:
        return taken(written(askForward(step, preset, field, place)));
    }
  };

  /** Gives what was chosen in the list of fields. */
  const askForm = (form: Form): Promise<FormChoice | undefined> => {
    const place = placeOf(form);
    const pick = vscode.window.createQuickPick<FormItem>();
    const settingsFile: vscode.QuickInputButton = {
      iconPath: new vscode.ThemeIcon('go-to-file'),
      tooltip: t('Edit in settings.json'),
    };
    pick.title = titleOf(form);
    pick.placeholder = t('Pick a field to change it');
    pick.ignoreFocusOut = true;
    pick.matchOnDescription = true;
    pick.buttons = [settingsFile];
    pick.items = formItems(form, place);
    const active = pick.items.find(({ choice }) =>
      form.active === 'save' ? choice?.kind === 'save' : choice?.kind === 'field' && choice.field === form.active,
    );
    if (active) pick.activeItems = [active];
    return new Promise((resolve) => {
      const choose = (choice: FormChoice | undefined) => {
        if (!choice) return;
        resolve(choice);
        pick.hide();
      };
      pick.onDidAccept(() => choose(pick.selectedItems[0]?.choice));
      pick.onDidTriggerButton(() => choose({ kind: 'settings' }));
      pick.onDidTriggerItemButton(({ item: { choice } }) => {
        if (choice?.kind === 'field') choose({ kind: 'remove', field: choice.field });
      });
      pick.onDidHide(() => {
        resolve(undefined);
        pick.dispose();
      });
      pick.show();
    });
  };

  /** Writes it where it belongs; the entry that it was goes only when the new one is there. */
  const save = async ({ draft: { preset, scope }, original }: Form): Promise<boolean> => {
    // It may have been changed in the file since the form was opened.
    if (original && !isSame(findStored(files.value(original.key.scope), original.key.name), original.preset)) {
      const { name } = original.key;
      void messages.show(
        'error',
        t('“{name}” has changed in the settings meanwhile, and was left as it is there. Edit it again.', { name }),
      );
      return false;
    }
    const isOwn = !original || consents.has(original.key);
    const isMoved = original && !sameScope(original.key.scope, scope);
    const name = original?.key.name;
    const isWritten = await files.change(scope, (value) =>
      name !== undefined && !isMoved ? replacePreset(value, name, preset) : addPreset(value, preset),
    );
    if (!isWritten) return false;
    if (isOwn) await consents.give(preset, scope);
    if (original && isMoved) await files.change(original.key.scope, (value) => removePreset(value, original.key.name));
    return true;
  };

  /** Goes on with a form until it is saved or closed. */
  const run = async (id: string, form: Form): Promise<SavedPreset | undefined> => {
    kept.set(id, form);
    for (;;) {
      if (form.at !== undefined) {
        const field = form.at;
        const answer = await ask(form, field);
        if (answer === undefined) return undefined;
        const { typed } = form;
        delete form.typed;
        delete form.at;
        const led = form.lead.indexOf(field);
        if (answer === back) {
          // To the step before, while it leads, with what was typed so far; else to the list of fields.
          if (led >= 0 && typed !== undefined && isText(field))
            form.draft = { ...form.draft, preset: withText(form.draft.preset, field, typed) };
          const before = led > 0 ? form.lead[led - 1] : undefined;
          if (before !== undefined) form.at = before;
          else if (led === 0) form.lead = [];
        } else {
          form.draft = answer;
          const next = led < 0 ? undefined : form.lead[led + 1];
          if (next !== undefined) form.at = next;
          else {
            form.active = led < 0 ? rowAfter(field, form.draft) : 'save';
            form.lead = [];
          }
        }
        continue;
      }
      const choice = await askForm(form);
      switch (choice?.kind) {
        case undefined:
          return undefined;
        case 'field':
          form.active = choice.field;
          form.at = choice.field;
          break;
        case 'remove':
          if (isText(choice.field))
            form.draft = { ...form.draft, preset: withText(form.draft.preset, choice.field, '') };
          break;
        case 'settings':
          await openPresetsFile(
            form.original?.key.scope ?? form.draft.scope,
            form.original && { name: form.original.key.name },
          );
          return undefined;
        case 'discard':
          kept.delete(id);
          return undefined;
        case 'save': {
          const [problem] = draftProblems(form.draft, placeOf(form));
          if (problem?.field !== undefined) {
            form.active = problem.field;
            form.at = problem.field;
          } else if (problem) {
            void messages.show('error', problem.message);
            return undefined;
          } else if (await save(form)) {
            kept.delete(id);
            const { preset, scope } = form.draft;
            return { preset: { name: preset.name, scope }, starts: choice.starts };
          } else return undefined;
        }
      }
    }
  };

  return {
    create(given) {
      const id = `new ${JSON.stringify(given ?? {})}`;
      const old = kept.get(id);
      if (old) return run(id, old);
      const preset = { ...emptyDraft, ...given };
      const missing = leadFields.filter((field) => isText(field) && textOf(preset, field) === '');
      const [at] = missing;
      return run(id, {
        draft: { preset, scope: scopeForNew() },
        ...(at !== undefined && { at }),
        lead: missing,
        active: 'save',
      });
    },
    edit(key, field) {
      const id = JSON.stringify([key.scope, key.name]);
      const preset = findStored(files.value(key.scope), key.name);
      if (!preset) return Promise.resolve(undefined);
      const old = kept.get(id);
      // What has been changed in the file meanwhile is not taken back by what was typed before.
      const isCurrent = old && isSame(old.original?.preset, preset);
      const form: Form = isCurrent
        ? old
        : { original: { key, preset }, draft: { preset, scope: key.scope }, lead: [], active: 'name' };
      if (field !== undefined && form.at !== field) {
        delete form.typed;
        form.at = field;
      }
      return run(id, form);
    },
  };
}

type FormChoice =
  | { kind: 'field' | 'remove'; field: DraftField }
  | { kind: 'save'; starts: boolean }
  | { kind: 'settings' | 'discard' };
type FormItem = vscode.QuickPickItem & { choice?: FormChoice };

function formItems(form: Form, place: DraftPlace): FormItem[] {
  const { draft, original } = form;
  const rows = draftRows(draft, place);
  const [problem] = draftProblems(draft, place);
  const isChanged = !original || !isSame(original.preset, draft.preset) || !sameScope(original.key.scope, draft.scope); // prettier-ignore
  const save: FormItem = {
    label: t('Save'),
    description: problem ? problem.message : t('to {place}', { place: scopeText(draft.scope) }),
    iconPath: new vscode.ThemeIcon(problem ? 'error' : 'save'),
    alwaysShow: true,
    choice: { kind: 'save', starts: false },
  };
  const saveAndStart: FormItem = {
    label: t('Save and Start'),
    iconPath: new vscode.ThemeIcon('play'),
    choice: { kind: 'save', starts: true },
  };
  const discard: FormItem = {
    label: original ? t('Discard Changes') : t('Discard This Preset'),
    iconPath: new vscode.ThemeIcon('discard'),
    choice: { kind: 'discard' },
  };
  return [
    save,
    ...(original || problem ? [] : [saveAndStart]),
    ...rows.flatMap((row, at): FormItem[] => [
      ...(rows[at - 1]?.section === row.section
        ? []
        : [{ label: row.section, kind: vscode.QuickPickItemKind.Separator }]),
      fieldItem(row, draft),
    ]),
    ...(isChanged ? [{ label: '', kind: vscode.QuickPickItemKind.Separator }, discard] : []),
  ];
}

function fieldItem({ field, label, value, detail, problem }: DraftRow, { preset }: PresetDraft): FormItem {
  const index = forwardIndex(field);
  const isForward = index !== undefined && index < preset.forwards.length;
  const said = problem ?? detail;
  return {
    label,
    ...(value !== '' && { description: value }),
    ...(said !== undefined && { detail: said }),
    iconPath: problem === undefined ? fieldIcon(field, preset) : new vscode.ThemeIcon('error'),
    ...(isForward && {
      buttons: [{ iconPath: new vscode.ThemeIcon('trash'), tooltip: t('Remove {label}', { label }) }],
    }),
    choice: { kind: 'field', field },
  };
}

function fieldIcon(field: DraftField, preset: StoredPreset): NonNullable<vscode.QuickPickItem['iconPath']> {
  const index = forwardIndex(field);
  if (index !== undefined) return new vscode.ThemeIcon(index < preset.forwards.length ? 'arrow-right' : 'add');
  switch (field) {
    case 'icon':
      return new vscode.ThemeIcon(preset.icon ?? 'symbol-misc');
    case 'color':
      return preset.color === undefined ? new vscode.ThemeIcon('symbol-color') : colorIcon(preset.color);
    case 'name':
      return new vscode.ThemeIcon('bookmark');
    case 'host':
      return new vscode.ThemeIcon('server');
    case 'start':
      return new vscode.ThemeIcon('play');
    case 'connect':
      return new vscode.ThemeIcon('plug');
    case 'afterOpen':
      return new vscode.ThemeIcon('globe');
    case 'terminalVariables':
      return new vscode.ThemeIcon('terminal');
    case 'group':
      return new vscode.ThemeIcon('folder');
    case 'description':
      return new vscode.ThemeIcon('note');
    default:
      return new vscode.ThemeIcon('file-code');
  }
}

/** As VS Code's own themes have them for charts: rows of a quick pick draw their icons without a theme's colour. */
const shades: Readonly<Record<PresetColor, readonly [dark: string, light: string]>> = {
  red: ['#f14c4c', '#e51400'],
  orange: ['#d18616', '#d18616'],
  yellow: ['#cca700', '#bf8803'],
  green: ['#89d185', '#388a34'],
  blue: ['#3794ff', '#1a85ff'],
  purple: ['#b180d7', '#652d90'],
};

function colorIcon(color: PresetColor): { dark: vscode.Uri; light: vscode.Uri } {
  const [dark, light] = shades[color].map((shade) => {
    const picture = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="6" fill="${shade}"/></svg>`;
    return vscode.Uri.parse(`data:image/svg+xml;base64,${Buffer.from(picture).toString('base64')}`);
  });
  return { dark: dark!, light: light! };
}

function askForward(
  step: Step,
  preset: StoredPreset,
  field: DraftField,
  { world }: DraftPlace,
): Promise<Answer<string>> {
  const index = forwardIndex(field) ?? 0;
  // The last one can't be left out.
  const mayGo = preset.forwards.length > 1 || index > 0;
  const prompt =
    mayGo && index < preset.forwards.length
      ? t('What to forward: 5432, db:5432 or ssh’s own -L, -R, -D; empty: this forward goes')
      : t('What to forward: 5432, db:5432 or ssh’s own -L, -R, -D');
  const problem = (text: string) => {
    if (text.trim() === '' && mayGo) return undefined;
    const read = readForwardText(text, world);
    return read.ok ? undefined : read.problem;
  };
  const note = (text: string) => forwardEffect(text, preset.host, world);
  return askText(step, prompt, '-L 5432:db:5432', problem, note).then((text) => {
    if (typeof text !== 'string' || text === '') return text;
    const read = readForwardText(text, world);
    return read.ok ? read.text : text;
  });
}

function askGroup(
  step: Step,
  files: PresetFiles,
  { group }: StoredPreset,
  problem: (text: string) => string | undefined,
): Promise<Answer<string>> {
  const names = new Set(files.scopes().flatMap((scope) => presetGroups(files.value(scope))));
  const item = (label: string, answer: string, icon: string) => ({
    label,
    answer,
    iconPath: new vscode.ThemeIcon(icon),
    ...((group ?? '') === answer && { description: t('as now') }),
  });
  const offered = [item(t('No group'), '', 'circle-slash'), ...[...names].map((name) => item(name, name, 'folder'))];
  const placeholder = t('Group that the preset stands in: pick one, or type a new one');
  return askName({ ...step, text: '' }, placeholder, offered, problem);
}

function askIcon(
  step: Step,
  { icon }: StoredPreset,
  problem: (text: string) => string | undefined,
): Promise<Answer<string>> {
  const now = (name: string) => (icon ?? '') === name && { description: t('as now') };
  const offered = [
    { label: t('No icon'), answer: '', iconPath: new vscode.ThemeIcon('circle-slash'), ...now('') },
    ...presetIcons.map((name) => ({ label: name, answer: name, iconPath: new vscode.ThemeIcon(name), ...now(name) })),
  ];
  const placeholder = t('Icon of the preset: pick one, or type the name of another product icon');
  return askName({ ...step, text: '' }, placeholder, offered, problem);
}

async function askOne(step: Step, preset: StoredPreset, field: ChoiceField): Promise<Answer<StoredPreset>> {
  const items = choicesOf(field).map(({ label, detail, chosen, isChosen, color }) => ({
    label,
    ...(detail !== undefined && { detail }),
    ...(isChosen(preset) && { description: t('as now') }),
    ...(field === 'color' && { iconPath: color ? colorIcon(color) : new vscode.ThemeIcon('circle-slash') }),
    isActive: isChosen(preset),
    answer: chosen(preset),
  }));
  return askChoice<StoredPreset>(step, t('Pick one'), items);
}

function isText(field: DraftField): field is TextField {
  return forwardIndex(field) !== undefined || ['name', 'host', 'description', 'group', 'icon'].includes(field);
}

/** The row to go on with: a new forward’s stands where the next one is added now. */
function rowAfter(field: DraftField, { preset }: PresetDraft): DraftField | 'save' {
  const index = forwardIndex(field);
  return index !== undefined && index > preset.forwards.length ? 'save' : field;
}

function isSame(one: StoredPreset | undefined, other: StoredPreset): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
