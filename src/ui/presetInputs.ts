// What a preset asks when it is started, one question after the other.
import { fillPreset, type Preset, type PresetQuestion } from '../core/preset.js';
import type { Answers, VariableWorld } from '../core/presetVariables.js';
import { t } from '../core/translate.js';
import { withoutIcons, withoutLinks } from './messages.js';
import { askName, askText, back, type Answer, type Step } from './steps.js';

export type AskInputs = typeof askInputs;

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
    const at = given.length;
    const question = questions[at]!;
    const before = questions.slice(0, at).map(({ id }, index) => [id, given[index]!] as const);
    const problemOf = (text: string) => {
      const filled = fillPreset(preset, world, Object.fromEntries([...before, [question.id, text]]));
      return filled.ok ? undefined : sentence(filled.message);
    };
    const own = Object.hasOwn(last, question.id) ? last[question.id] : undefined;
    const offered = drafts.get(question.id) ?? own ?? question.default ?? question.options?.[0] ?? '';
    const step: Step = {
      title: preset.name,
      ...(questions.length > 1 && { number: [at + 1, questions.length] }),
      ...(at === 0 && { isFirst: true }),
      text: '',
    };
    const answer = await ask(question, offered, step, problemOf);
    if (answer === undefined) return undefined;
    if (answer === back) drafts.set(questions[at - 1]!.id, given.pop()!);
    else given.push(answer);
  }
  return Object.fromEntries(questions.map(({ id }, index) => [id, given[index]!]));
}

function ask(
  { id, description, options = [] }: PresetQuestion,
  offered: string,
  step: Step,
  problemOf: (text: string) => string | undefined,
): Promise<Answer<string>> {
  const prompt = withoutLinks(description ?? t('Value of {name}', { name: id }));
  if (options.length === 0) return askText({ ...step, text: offered }, prompt, '', problemOf);
  const answers = new Set([...options, ...(offered === '' ? [] : [offered])]);
  const items = [...answers].map((answer) => {
    const problem = problemOf(answer);
    return {
      label: withoutIcons(answer),
      isActive: answer === offered,
      ...(problem === undefined ? { answer } : { detail: problem }),
    };
  });
  return askName(step, prompt, items, problemOf);
}

/** Where it stands for itself, and not behind a place. */
function sentence(problem: string): string {
  return `${problem.slice(0, 1).toLocaleUpperCase()}${problem.slice(1)}.`;
}
