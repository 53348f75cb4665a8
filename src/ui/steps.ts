// The inputs of a form: a text, one of several answers, or either. Each has Back, and tells what is typed as it is typed.
import * as vscode from 'vscode';
import { t } from '../core/translate.js';
import { withoutIcons, withoutLinks } from './messages.js';

export const back = Symbol('back');

/** Undefined: it was closed. */
export type Answer<T> = T | typeof back | undefined;

export interface Step {
  title: string;
  /** Which of how many, where it is one of those that lead through a form. */
  number?: readonly [step: number, total: number];
  /** There is nothing to go back to. */
  isFirst?: boolean;
  /** What stands in it at first. */
  text: string;
  onType?: (text: string) => void;
}

/** `note` says what a text means, `problem` why it can’t be taken. An empty text is wrong only once it is entered. */
export function askText(
  { text, onType, ...step }: Step,
  prompt: string,
  placeholder: string,
  problem: (text: string) => string | undefined,
  note: (text: string) => string | undefined = () => undefined,
): Promise<Answer<string>> {
  const box = vscode.window.createInputBox();
  const check = (isEntered: boolean) => {
    const wrong = box.value.trim() === '' && !isEntered ? undefined : problem(box.value);
    const said = wrong ?? (box.value.trim() === '' ? undefined : note(box.value));
    const { Error, Info } = vscode.InputBoxValidationSeverity;
    box.validationMessage = said === undefined ? undefined : { message: withoutLinks(said), severity: wrong === undefined ? Info : Error }; // prettier-ignore
    return wrong === undefined;
  };
  begin(box, step);
  box.prompt = withoutLinks(prompt);
  box.placeholder = placeholder;
  box.value = text;
  check(false);
  return shown(box, (resolve) => {
    box.onDidChangeValue((value) => {
      onType?.(value);
      check(false);
    });
    box.onDidAccept(() => check(true) && resolve(box.value.trim()));
  });
}

/** `isActive`: where Enter leads at first. */
type ChoiceItem<T> = vscode.QuickPickItem & { answer?: T; isActive?: boolean };

/** One of several answers. */
export function askChoice<T>(step: Step, placeholder: string, items: readonly ChoiceItem<T>[]): Promise<Answer<T>> {
  const pick = vscode.window.createQuickPick<ChoiceItem<T>>();
  begin(pick, step);
  pick.placeholder = placeholder;
  pick.matchOnDescription = true;
  pick.items = items;
  activate(pick, items);
  return shown(pick, (resolve) => {
    pick.onDidAccept(() => {
      const answer = pick.selectedItems[0]?.answer;
      if (answer !== undefined) resolve(answer);
    });
  });
}

/**
 * One of the offered names, or another one that is typed. `isWhole`: what is typed is meant as it is, and no beginning of an
 * offered name. `offered` may come later.
 */
export function askName(
  { text, onType, ...step }: Step,
  placeholder: string,
  offered: readonly ChoiceItem<string>[] | Promise<readonly ChoiceItem<string>[]>,
  problem: (text: string) => string | undefined,
  isWhole: (text: string) => boolean = () => false,
): Promise<Answer<string>> {
  const pick = vscode.window.createQuickPick<ChoiceItem<string>>();
  let known: readonly ChoiceItem<string>[] = [];
  const typed = (): ChoiceItem<string>[] => {
    const value = pick.value.trim();
    if (value === '' || known.some(({ answer }) => answer === value)) return [];
    const wrong = problem(value);
    // Not the text alone: as a whole match it would stand above the names that begin with it.
    const row = { label: t('Use “{text}”', { text: withoutIcons(value) }), alwaysShow: true };
    if (wrong !== undefined) return [{ ...row, label: wrong, iconPath: new vscode.ThemeIcon('error') }];
    return [{ ...row, iconPath: new vscode.ThemeIcon('arrow-right') }];
  };
  const show = () => {
    const own = typed();
    const separator = { label: t('As typed'), kind: vscode.QuickPickItemKind.Separator };
    const isFirst = known.length === 0 || isWhole(pick.value.trim());
    pick.items = own.length === 0 ? known : isFirst ? [...own, ...known] : [...known, separator, ...own];
  };
  begin(pick, step);
  pick.placeholder = placeholder;
  pick.value = text;
  if (offered instanceof Promise) {
    pick.busy = true;
    offered.then(
      (found) => {
        known = found;
        show();
      },
      // They are an offer: without them it is typed.
      () => {},
    ).finally(() => (pick.busy = false)); // prettier-ignore
  } else known = offered;
  show();
  activate(pick, known);
  return shown(pick, (resolve) => {
    pick.onDidChangeValue((value) => {
      onType?.(value);
      show();
    });
    pick.onDidAccept(() => {
      const value = pick.value.trim();
      const [picked] = pick.selectedItems;
      // Enter may come before the list has followed what was typed: then that counts, and not the row of before.
      const isOffered = picked?.answer !== undefined && isMatch(value, picked.label);
      const answer = isOffered ? picked.answer : problem(value) === undefined ? value : undefined;
      if (answer !== undefined) resolve(answer);
    });
  });
}

function begin(
  input: vscode.QuickPick<vscode.QuickPickItem> | vscode.InputBox,
  { title, number, isFirst }: Omit<Step, 'text' | 'onType'>,
): void {
  input.title = title;
  if (number) [input.step, input.totalSteps] = number;
  input.ignoreFocusOut = true;
  if (!isFirst) input.buttons = [vscode.QuickInputButtons.Back];
}

/** Else VS Code takes the first. */
function activate<T>(pick: vscode.QuickPick<ChoiceItem<T>>, items: readonly ChoiceItem<T>[]): void {
  const active = items.find(({ isActive }) => isActive);
  if (active) pick.activeItems = [active];
}

function shown<T>(
  input: vscode.QuickPick<vscode.QuickPickItem> | vscode.InputBox,
  listen: (resolve: (answer: T) => void) => void,
): Promise<Answer<T>> {
  return new Promise((resolve) => {
    const answer = (given: Answer<T>) => {
      resolve(given);
      input.hide();
    };
    listen(answer);
    input.onDidTriggerButton((button) => button === vscode.QuickInputButtons.Back && answer(back));
    input.onDidHide(() => {
      resolve(undefined);
      input.dispose();
    });
    input.show();
  });
}

/** Who writes a user, a port, an option or a variable means just that; a bare name may be the beginning of one in the list. */
export function isWholeHost(text: string): boolean {
  return /[@:$]|\s-|^-/.test(text);
}

/** Whether a row can be in the list for what is typed: its letters are in the label, in their order. */
export function isMatch(typed: string, label: string): boolean {
  let at = 0;
  return [...typed.toLowerCase().replace(/\s/g, '')].every((letter) => {
    at = label.toLowerCase().indexOf(letter, at) + 1;
    return at > 0;
  });
}
