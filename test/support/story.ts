// A story of the ui run: what a person does from a beginning to an end, counted, timed and photographed.
import type { Keyboard, Locator, Mouse } from 'playwright-core';
import type { Workbench } from './workbench.js';

/**
 * The keystroke-level model (Card, Moran, Newell 1980), in seconds: a key of somebody who types as most do, a click with the
 * way of the mouse to it, and a thought before each thing that is done.
 */
const person = { key: 0.28, click: 1.3, thought: 1.35 };

export interface Told {
  /** Of a person: what the machine took, and what hands and head take. */
  readonly seconds: number;
  /** Of `seconds`, those that the machine took. */
  readonly machineSeconds: number;
  readonly keys: number;
  readonly clicks: number;
}

export interface Story {
  /** Writes out/screenshots/story-`name`-1.png, and so on; counts for nothing. */
  picture(): Promise<void>;
  /** Runs what the person of the story does not do, such as a look at what came of it; counts for nothing. */
  aside<T>(work: () => Promise<T>): Promise<T>;
  /** Ends it, prints the line of it, and gives what it took. */
  end(): Told;
}

/**
 * Counts from now on what is pressed and clicked in `window`, by the locators and the page's own keyboard and mouse. One
 * story at a time. `title` is for the line, `name` for the pictures.
 */
export function beginStory({ page, screenshot }: Workbench, title: string, name: string): Story {
  let keys = 0;
  let clicks = 0;
  let thoughts = 0;
  let isTyping = false;
  let isAside = false;
  let pictures = 0;
  let asideMs = 0;
  const began = performance.now();

  const act = (done: { keys?: number; clicks?: number; isTyping?: boolean }) => {
    if (isAside) return;
    keys += done.keys ?? 0;
    clicks += done.clicks ?? 0;
    thoughts++;
    isTyping = done.isTyping ?? false;
  };
  const typed = (text: string) => text !== '' && act({ keys: text.length, isTyping: true });
  const pressed = (chord: string) => {
    // The Enter behind what was typed needs no thought.
    if (chord === 'Enter' && isTyping && !isAside) {
      keys++;
      isTyping = false;
    } else act({ keys: chord.split(/(?<=.)\+/).length });
  };
  const clicked = () => act({ clicks: 1 });

  const undo: (() => void)[] = [];
  /** What failed was not done. */
  const count = <T extends object, K extends keyof T>(
    of: T,
    method: K,
    note: (self: unknown, first: string) => void,
  ) => {
    const own = Object.getOwnPropertyDescriptor(of, method);
    const original = of[method] as (...given: unknown[]) => Promise<unknown>;
    of[method] = async function (this: unknown, ...given: unknown[]) {
      const result = await original.apply(this, given);
      note(this, typeof given[0] === 'string' ? given[0] : '');
      return result;
    } as T[K];
    undo.push(() => (own ? Object.defineProperty(of, method, own) : Reflect.deleteProperty(of, method)));
  };
  const locators = Object.getPrototypeOf(page.locator('body')) as Locator;
  const here = (note: (text: string) => unknown) => (self: unknown, text: string) => {
    if ((self as Locator).page() === page) note(text);
  };
  count<Locator, 'fill'>(locators, 'fill', here(typed));
  count<Locator, 'pressSequentially'>(locators, 'pressSequentially', here(typed));
  count<Locator, 'press'>(locators, 'press', here(pressed));
  count<Locator, 'click'>(locators, 'click', here(clicked));
  count<Locator, 'dblclick'>(locators, 'dblclick', here(clicked));
  count<Locator, 'check'>(locators, 'check', here(clicked));
  count<Keyboard, 'press'>(page.keyboard, 'press', (_, chord) => pressed(chord));
  count<Keyboard, 'type'>(page.keyboard, 'type', (_, text) => typed(text));
  count<Mouse, 'click'>(page.mouse, 'click', clicked);

  const aside: Story['aside'] = async (work) => {
    if (isAside) return work();
    const from = performance.now();
    isAside = true;
    try {
      return await work();
    } finally {
      isAside = false;
      asideMs += performance.now() - from;
    }
  };

  return {
    aside,
    picture: () => aside(async () => void (await screenshot(`story-${name}-${++pictures}`))),
    end() {
      for (const step of undo.splice(0).reverse()) step();
      const machineSeconds = (performance.now() - began - asideMs) / 1000;
      const handsAndHead = keys * person.key + clicks * person.click + thoughts * person.thought;
      const told = { seconds: machineSeconds + handsAndHead, machineSeconds, keys, clicks };
      console.log(
        `story: ${title}: ${told.seconds.toFixed(1)} s, ${keys} key presses, ${clicks} clicks (${machineSeconds.toFixed(1)} s of it the machine’s)`,
      );
      return told;
    },
  };
}
