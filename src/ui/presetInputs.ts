// What a preset asks when it is started, one question after the other.
import * as vscode from 'vscode';
import { fillPreset, type Preset, type PresetQuestion } from '../core/preset.js';
import type { Answers, VariableWorld } from '../core/presetVariables.js';
import { t } from '../core/translate.js';
import { withoutLinks } from './messages.js';

const back = Symbol('back');

/** Undefined when it was closed. `last`: what was answered before, which is offered. */
export async function askInputs(
  preset: Preset,
  world: VariableWorld,
  last: Answers = {},
): Promise<Answers | undefined> {
  const { questions = [] } = preset;
  const given: string[] = [];
  /** What was answered up to a question, and left by Back. */
  const drafts = new Map<string, string>();
  while (given.length < questions.length) {
    const step = given.length;
    const question = questions[step]!;
    const before = questions.slice(0, step).map(({ id }, index) => [id, given[index]!] as const);
    const problemOf = (text: string) => {
      const filled = fillPreset(preset, world, Object.fromEntries([...before, [question.id, text]]));
      return filled.ok ? undefined : sentence(filled.message);
    };
    const own = Object.hasOwn(last, question.id) ? last[question.id] : undefined;
    const offered = drafts.get(question.id) ?? own ?? question.default ?? question.options?.[0] ?? '';
    const shown = { title: preset.name, step: step + 1, totalSteps: questions.length };
    const answer = await (question.options?.length ? pickAnswer : typeAnswer)(question, offered, shown, problemOf);
    if (answer === undefined) return undefined;
    if (answer === back) drafts.set(questions[step - 1]!.id, given.pop()!);
    else given.push(answer);
  }
  return Object.fromEntries(questions.map(({ id }, index) => [id, given[index]!]));
}

interface Shown {
  title: string;
  step: number;
  totalSteps: number;
}
type Asking = (
  question: PresetQuestion,
  offered: string,
  shown: Shown,
  problemOf: (text: string) => string | undefined,
) => Promise<string | typeof back | undefined>;

function show(
  input: vscode.QuickPick<vscode.QuickPickItem> | vscode.InputBox,
  { title, step, totalSteps }: Shown,
): void {
  input.title = title;
  input.ignoreFocusOut = true;
  if (totalSteps > 1) {
    input.step = step;
    input.totalSteps = totalSteps;
  }
  if (step > 1) input.buttons = [vscode.QuickInputButtons.Back];
  input.show();
}

const typeAnswer: Asking = (question, offered, shown, problemOf) => {
  const input = vscode.window.createInputBox();
  input.prompt = withoutLinks(question.description ?? t('Value of {name}', { name: question.id }));
  input.value = offered;
  const look = () => {
    // An empty box tells nothing new.
    const problem = input.value === '' ? undefined : problemOf(input.value);
    input.validationMessage = problem === undefined ? undefined : withoutLinks(problem);
  };
  look();
  return new Promise((resolve) => {
    input.onDidChangeValue(look);
    input.onDidTriggerButton(() => {
      resolve(back);
      input.hide();
    });
    input.onDidAccept(() => {
      const problem = problemOf(input.value);
      if (problem !== undefined) return void (input.validationMessage = withoutLinks(problem));
      resolve(input.value);
      input.hide();
    });
    input.onDidHide(() => {
      resolve(undefined);
      input.dispose();
    });
    show(input, shown);
  });
};

/** One of the options, or another answer that is typed. */
const pickAnswer: Asking = (question, offered, shown, problemOf) => {
  const pick = vscode.window.createQuickPick<vscode.QuickPickItem & { answer?: string }>();
  const options = [...new Set([...(question.options ?? []), ...(offered === '' ? [] : [offered])])];
  const items = options.map((answer) => {
    const problem = problemOf(answer);
    return problem === undefined ? { label: plain(answer), answer } : { label: plain(answer), detail: problem };
  });
  const look = () => {
    const typed = pick.value;
    if (typed === '' || options.includes(typed)) return void (pick.items = items);
    const problem = problemOf(typed);
    const item =
      problem === undefined
        ? { label: plain(typed), description: t('as typed'), answer: typed, alwaysShow: true }
        : { label: problem, iconPath: new vscode.ThemeIcon('error'), alwaysShow: true };
    pick.items = [...items, item];
  };
  pick.placeholder = withoutLinks(question.description ?? t('Value of {name}', { name: question.id }));
  look();
  pick.activeItems = pick.items.filter((item) => item.answer === offered);
  return new Promise((resolve) => {
    pick.onDidChangeValue(look);
    pick.onDidTriggerButton(() => {
      resolve(back);
      pick.hide();
    });
    pick.onDidAccept(() => {
      const [picked] = pick.selectedItems;
      if (picked?.answer === undefined) return;
      resolve(picked.answer);
      pick.hide();
    });
    pick.onDidHide(() => {
      resolve(undefined);
      pick.dispose();
    });
    show(pick, shown);
  });
};

/** Where it stands for itself, and not behind a place. */
function sentence(problem: string): string {
  return `${problem.slice(0, 1).toLocaleUpperCase()}${problem.slice(1)}.`;
}

/** A label would make icons of `$(name)`. */
function plain(text: string): string {
  return text.replaceAll('$(', '$ (');
}
