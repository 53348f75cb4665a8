import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Browser, Locator, Page } from 'playwright-core';
import { persistSecrets } from './browser';
import { eventually } from './eventually';
import { repositoryRoot, type VsCode } from './vscodeServer';

/**
 * What the functions that run in the page use of its elements. TypeScript's own DOM library would come into scope for
 * the whole program, and the core must not know a document.
 */
interface PageElement {
  readonly className: string;
  readonly textContent: string | null;
  readonly style: { readonly top: string; readonly display: string };
  getAttribute(name: string): string | null;
  matches(selector: string): boolean;
  closest(selector: string): PageElement | null;
  querySelector(selector: string): PageElement | null;
  querySelectorAll(selector: string): Iterable<PageElement>;
}

/** A VS Code window, read and worked as a person does: through what is on the screen. Every verb waits for what it needs. */
export type Workbench = Awaited<ReturnType<typeof openWorkbench>>;
export type View = ReturnType<typeof viewOf>;

export interface TreeRow {
  readonly label: string;
  readonly description: string;
  /** The name of its codicon, '' without one. */
  readonly icon: string;
  /** What a screen reader says. */
  readonly accessibleLabel: string;
  /** 1 at the top. */
  readonly level: number;
  /** Undefined for a row without children. */
  readonly expanded: boolean | undefined;
  readonly selected: boolean;
}

export interface QuickItem {
  readonly label: string;
  readonly description: string;
  readonly detail: string;
  /** The name of its codicon, '' without one. */
  readonly icon: string;
  /** The separator above it, '' in the middle of a group. */
  readonly group: string;
  /** Undefined where items have no box to tick. */
  readonly ticked: boolean | undefined;
}

export interface Toast {
  readonly severity: 'info' | 'warning' | 'error';
  readonly text: string;
  readonly buttons: readonly string[];
}

export interface Modal {
  readonly message: string;
  readonly detail: string;
  /** Sorted, since their order on the screen depends on the platform. */
  readonly buttons: readonly string[];
}

export interface StatusItem {
  readonly text: string;
  readonly icons: readonly string[];
  readonly background: 'none' | 'warning' | 'error';
  readonly accessibleLabel: string;
}

export async function openWorkbench(
  browser: Browser,
  vscode: VsCode,
  folder: string,
  options: { width?: number; height?: number; scale?: number; language?: string } = {},
) {
  const context = await browser.newContext({
    viewport: { width: options.width ?? 1280, height: options.height ?? 800 },
    deviceScaleFactor: options.scale ?? 1,
    // Without the permission VS Code shows an error instead of reading the clipboard.
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  await persistSecrets(context, vscode.port);
  // tsx wraps named functions in a helper of its module, which isn't there when a function is sent into the page.
  await context.addInitScript('globalThis.__name = (named) => named');
  // What a language pack would set: VS Code asks extensions for that language, and its own words stay English without the pack.
  if (options.language) await context.addInitScript(`globalThis._VSCODE_NLS_LANGUAGE = '${options.language}'`);
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const url = vscode.url(folder);
  await page.goto(url);
  await isUp(page);

  const quickInput = quickInputOf(page);
  // Faded in: sooner a click or a picture may hit where it isn't yet.
  const toast = (text: string) =>
    page.locator('.notification-toast.notification-fade-in-done', { hasText: text }).first();
  const dialog = page.locator('.monaco-dialog-box');
  const statusItem = (idPrefix: string) => page.locator(`.part.statusbar .statusbar-item[id^="${idPrefix}"]`).first();

  return {
    page,
    quickInput,

    /** Runs a command from the palette by its full title there, such as "SSH Tunnels: Add Tunnel". */
    async runCommand(title: string): Promise<void> {
      // The palette doesn't take up commands that an extension adds while it is open: open it anew until the title is there.
      // An Escape that is taken late closes it, too.
      await eventually(async () => {
        await page.keyboard.press('Escape');
        await page.keyboard.press('F1');
        await quickInput.input.fill(`>${title}`, { timeout: 1500 });
        await quickInput.item(title).click({ timeout: 1500 });
      }, 30_000);
    },

    /** The titles that the palette offers for `filter`, best match first. */
    async offeredCommands(filter: string): Promise<string[]> {
      await eventually(async () => {
        await page.keyboard.press('F1');
        await quickInput.input.fill(`>${filter}`, { timeout: 1500 });
      });
      await quickInput.widget.locator('.monaco-list-row').first().waitFor();
      const items = await quickInput.items();
      await page.keyboard.press('Escape');
      return items.map((item) => item.label).filter((label) => label !== 'No matching commands');
    },

    /** A view of the side bar by the name in its header; opens the view container `container` unless it is open. */
    async view(container: string, name: string): Promise<View> {
      const tab = page.locator('.activitybar').getByRole('tab', { name: container });
      if ((await tab.getAttribute('aria-expanded')) !== 'true') await tab.click(); // a click on the open one closes it
      await page.mouse.move(640, 300); // where it rests its own tooltip may come up in place of the one that is asked for
      const view = viewOf(page, name);
      await view.pane.waitFor();
      // The only view of a container has no header of its own: its actions are in the container's title.
      if ((await view.header.isVisible()) && (await view.header.getAttribute('aria-expanded')) !== 'true')
        await view.header.click();
      return view;
    },

    /** The number or text on a view container's icon, '' without one. */
    async badge(container: string): Promise<string> {
      const badge = page.locator('.activitybar').getByRole('tab', { name: container }).locator('.badge-content');
      return (await badge.count()) === 0 ? '' : textOf(badge);
    },

    /** The notifications on the screen, newest first. Those without buttons leave it by themselves after some seconds. */
    toasts(): Promise<Toast[]> {
      return page.locator('.notification-toast').evaluateAll((nodes: PageElement[]) =>
        nodes.map((node) => {
          const icon = node.querySelector('.notification-list-item-icon')?.className ?? '';
          const buttons = [...node.querySelectorAll('.notification-list-item-buttons-container .monaco-button')];
          return {
            severity: icon.includes('codicon-error') ? 'error' : icon.includes('codicon-warning') ? 'warning' : 'info',
            text: node.querySelector('.notification-list-item-message')?.textContent ?? '',
            buttons: buttons.map((button) => button.textContent ?? '').filter((label) => label !== ''),
          };
        }),
      );
    },

    /** Waits for a notification that contains `text`. */
    async toast(text: string): Promise<Toast> {
      await toast(text).waitFor();
      const found = (await this.toasts()).find((candidate) => candidate.text.includes(text));
      if (!found) throw new Error(`the notification "${text}" went away`);
      return found;
    },

    async pressToast(text: string, button: string): Promise<void> {
      await toast(text).getByRole('button', { name: button, exact: true }).click();
    },

    async dismissToasts(): Promise<void> {
      await this.runCommand('Notifications: Clear All Notifications');
      await page.locator('.notification-toast').first().waitFor({ state: 'detached' });
    },

    /** Leaves them to the notification centre, as they do by themselves, unanswered, after ten seconds. */
    async hideToasts(): Promise<void> {
      // The key is first taken by what has the focus.
      await eventually(async () => {
        await page.keyboard.press('Escape');
        await page.locator('.notification-toast').first().waitFor({ state: 'hidden', timeout: 500 });
      });
    },

    /** Waits for a modal dialog. */
    /**
     * Presses a key until it has opened an input, or a question: which row is selected reaches VS Code's key bindings by the
     * extension, a moment after the row looks so.
     */
    async pressToOpen(key: string, what: 'input' | 'question'): Promise<void> {
      const opened = what === 'input' ? quickInput.widget : dialog;
      await eventually(async () => {
        if (await opened.isVisible()) return;
        await page.keyboard.press(key);
        await opened.waitFor({ timeout: 5000 });
      }, 20_000);
    },

    async modal(): Promise<Modal> {
      await dialog.waitFor();
      const buttons = await dialog.locator('.dialog-buttons .monaco-button').allInnerTexts();
      return {
        message: await textOf(dialog.locator('.dialog-message-text')),
        detail: (await dialog.locator('.dialog-message-detail, .dialog-message-body').allInnerTexts())
          .join('\n')
          .trim(),
        buttons: buttons.sort(),
      };
    },

    async pressModal(button: string): Promise<void> {
      // The next one may be there at once.
      const pressed = await dialog.elementHandle();
      await dialog.getByRole('button', { name: button, exact: true }).click();
      await pressed?.waitForElementState('hidden');
    },

    /** Answers the question whether the authors of the folder are trusted. */
    async answerTrust(trusted: boolean): Promise<void> {
      await dialog.getByText('Do you trust the authors').waitFor();
      await this.pressModal(trusted ? 'Yes, I trust the authors' : "No, I don't trust the authors");
    },

    /** A status bar item by the start of its id (publisher.name.id of the item); undefined while it is hidden. */
    async statusItem(idPrefix: string): Promise<StatusItem | undefined> {
      const [found] = await page
        .locator(`.part.statusbar .statusbar-item[id^="${idPrefix}"]:visible`)
        .evaluateAll((nodes: PageElement[]) =>
          nodes.map((node) => ({
            text: (node.textContent ?? '').trim().replace(/\s+/g, ' '),
            icons: [...node.querySelectorAll('.codicon')].map(
              (icon) => /codicon-([\w-]+)/.exec(icon.className)?.[1] ?? '',
            ),
            background: node.matches('.error-kind') ? 'error' : node.matches('.warning-kind') ? 'warning' : 'none',
            accessibleLabel: node.getAttribute('aria-label') ?? '',
          })),
        );
      return found as StatusItem | undefined;
    },

    /** `whileShown` is for a picture of it. */
    async statusTooltip(idPrefix: string, whileShown?: () => Promise<unknown>): Promise<string> {
      return hoverText(page, statusItem(idPrefix), whileShown);
    },

    /** Whether some tooltip is on the screen. */
    async showsHover(): Promise<boolean> {
      return (await hoversOf(page).count()) > 0;
    },

    async pressStatusItem(idPrefix: string): Promise<void> {
      await statusItem(idPrefix).click();
    },

    /** The text of the editor in front, as far as it is scrolled into sight. */
    async editorText(): Promise<string> {
      return visibleLines(page.locator('.editor-group-container.active .monaco-editor').first());
    },

    /** The text of the Output panel, as far as it is scrolled into sight. */
    async outputText(): Promise<string> {
      return visibleLines(page.locator('.part.panel .monaco-editor').first());
    },

    clipboard(): Promise<string> {
      return page.evaluate('navigator.clipboard.readText()');
    },
    /** Puts a text on the clipboard. */
    async setClipboard(text: string): Promise<void> {
      await page.evaluate(`navigator.clipboard.writeText(${JSON.stringify(text)})`);
    },

    /** Reloads the window, with all that the extension kept. */
    async reload(): Promise<void> {
      // The extension gathers what it keeps for 200 ms, VS Code writes that 100 ms later, and nothing shows when it has.
      await page.waitForTimeout(1000);
      await page.goto(url);
      await isUp(page);
    },

    /** Drags the side bar's edge. */
    async widenSideBar(width: number): Promise<void> {
      const sideBar = await page.locator('.part.sidebar').boundingBox();
      if (!sideBar) throw new Error('the side bar is hidden');
      const y = sideBar.y + sideBar.height / 2;
      await page.mouse.move(sideBar.x + sideBar.width + 2, y);
      await page.mouse.down();
      await page.mouse.move(sideBar.x + width, y, { steps: 4 });
      await page.mouse.up();
      await page.mouse.move(sideBar.x + width + 200, y);
    },

    /** Writes out/screenshots/`name`.png, of the whole window or of one part of it, and gives its path. */
    async screenshot(name: string, part?: Locator): Promise<string> {
      const path = join(repositoryRoot, 'out/screenshots', `${name}.png`);
      await mkdir(dirname(path), { recursive: true });
      // What fades in or out has done so.
      await (part ?? page).screenshot({ path, animations: 'disabled' });
      return path;
    },

    async close(): Promise<void> {
      await context.close();
    },
  };
}

function quickInputOf(page: Page) {
  const widget = page.locator('.quick-input-widget');
  const input = widget.locator('.quick-input-box input');
  const message = widget.locator('.quick-input-message');
  /** By label alone: description and detail don't count. */
  const item = (label: string) => {
    const named = page.locator('.quick-input-list-row:first-child .label-name', { hasText: exactly(label) });
    return widget.locator('.monaco-list-row', { has: named }).first();
  };

  return {
    widget,
    input,
    item,

    /** Waits for the step whose title, prompt or placeholder contains `text`. */
    async step(text: string): Promise<void> {
      await eventually(async () => {
        const shown = [await this.title(), await this.message(), await this.placeholder()];
        if (!(await widget.isVisible()) || !shown.some((part) => part.includes(text))) {
          throw new Error(`no quick input with "${text}", but ${JSON.stringify(shown)}`);
        }
      });
    },
    /** With the step, as in "Forward a port (2/3)". */
    async title(): Promise<string> {
      return (await textOf(widget.locator('.quick-input-title'))).replace(/^\u00a0$/, '');
    },
    /** The prompt below an input box, or what is wrong with its value. */
    message(): Promise<string> {
      return textOf(message);
    },
    async placeholder(): Promise<string> {
      return (await input.getAttribute('placeholder')) ?? '';
    },
    value(): Promise<string> {
      return input.inputValue();
    },
    /** Whether the value is refused: the box is red. */
    async isInvalid(): Promise<boolean> {
      return (await widget.locator('.monaco-inputbox.error').count()) > 0;
    },
    items(): Promise<QuickItem[]> {
      return widget.locator('.quick-input-list .monaco-list-row').evaluateAll((nodes: PageElement[]) =>
        nodes
          .sort((a, b) => Number(a.getAttribute('data-index')) - Number(b.getAttribute('data-index')))
          .map((node) => {
            // A heading that is hidden still has the text of the row that stood here before.
            const text = (selector: string) => {
              const part = node.querySelector(selector);
              return part?.style.display === 'none' ? '' : (part?.textContent ?? '').trim();
            };
            const box = node.querySelector('[role=checkbox], input[type=checkbox]');
            return {
              label: text('.quick-input-list-row:first-child .label-name'),
              description: text('.quick-input-list-row:first-child .label-description'),
              detail: text('.quick-input-list-label-meta .label-name'),
              icon: /codicon-([\w-]+)/.exec(node.querySelector('.quick-input-list-icon')?.className ?? '')?.[1] ?? '',
              group: text('.quick-input-list-separator'),
              ticked: box ? node.getAttribute('aria-checked') === 'true' : undefined,
            };
          }),
      );
    },
    /** All that the first item says, by its icon: what will come of what is typed, or what is wrong with it. */
    async verdict(): Promise<string> {
      const [first] = await this.items();
      const { icon, label, description, detail } = first ?? { icon: '', label: '', description: '', detail: '' };
      return [icon, label, description, detail].filter((text) => text !== '').join(' · ');
    },
    /** Whether it looks for more to offer. */
    async isBusy(): Promise<boolean> {
      return (await widget.locator('.monaco-progress-container.active').count()) > 0;
    },
    /** Replaces the value. */
    async type(text: string): Promise<void> {
      await input.fill(text);
    },
    /** Replaces the value by what the clipboard holds, as a person does. */
    async paste(): Promise<void> {
      await input.fill('');
      await input.press('ControlOrMeta+v');
    },
    /** Enter, with `text` typed first when it is given. */
    async accept(text?: string): Promise<void> {
      if (text !== undefined) await input.fill(text);
      await input.press('Enter');
      // VS Code runs it as a command, a little later: what is typed before would be entered, too.
      await page.waitForTimeout(100);
    },
    async pick(label: string): Promise<void> {
      await item(label).click();
    },
    /** Ticks or unticks an item of a list in which several can be picked. */
    async tick(label: string): Promise<void> {
      await item(label).click();
    },
    /** Presses a button that an item shows while the mouse is over it. */
    async pressItemButton(label: string, button: string): Promise<void> {
      await item(label).hover();
      await item(label).getByRole('button', { name: button }).click();
    },
    /** Presses a button of the title row. */
    async pressButton(button: string): Promise<void> {
      await widget
        .locator('.quick-input-titlebar, .quick-input-inline-action-bar')
        .getByRole('button', { name: button })
        .click();
    },
    async back(): Promise<void> {
      await this.pressButton('Back');
    },
    async dismiss(): Promise<void> {
      await page.keyboard.press('Escape');
      await widget.waitFor({ state: 'hidden' });
    },
    async closed(): Promise<void> {
      await widget.waitFor({ state: 'hidden' });
    },
  };
}

function viewOf(page: Page, name: string) {
  const pane = page.locator('.pane', { has: page.locator('.pane-header .title', { hasText: exactly(name) }) });
  const header = pane.locator('.pane-header');
  const row = (label: string) =>
    pane.locator('.monaco-list-row', { has: page.locator('.label-name', { hasText: exactly(label) }) }).first();
  const menuItem = (label: string) => page.getByRole('menuitem', { name: label, exact: true });
  const openMenu = async (label: string) => {
    await row(label).click({ button: 'right' });
    await page.locator('.monaco-menu').first().waitFor();
    await page.waitForTimeout(300); // a click sooner is taken for the end of the one that opened it
  };

  /** The view's own header, or the title of the container that it has for itself. */
  const titleBar = async () => {
    if (!(await header.isVisible())) return page.locator('.part.sidebar > .composite.title .title-actions');
    await header.hover();
    return header.locator('.actions');
  };

  return {
    pane,
    header,
    row,

    /** The rows on the screen, from the top. */
    rows(): Promise<TreeRow[]> {
      return pane.locator('.monaco-list-row[role=treeitem]').evaluateAll((nodes: PageElement[]) =>
        nodes
          .filter((node) => !node.closest('.monaco-tree-sticky-container'))
          .sort((a, b) => Number(a.getAttribute('data-index')) - Number(b.getAttribute('data-index')))
          .map((node) => {
            const text = (selector: string) => (node.querySelector(selector)?.textContent ?? '').trim();
            const icon = node.querySelector('.custom-view-tree-node-item-icon')?.className ?? '';
            const expanded = node.getAttribute('aria-expanded');
            return {
              label: text('.label-name'),
              description: text('.label-description'),
              icon: /codicon-([\w-]+)/.exec(icon)?.[1] ?? '',
              accessibleLabel: node.getAttribute('aria-label') ?? '',
              level: Number(node.getAttribute('aria-level')),
              expanded: expanded === null ? undefined : expanded === 'true',
              selected: node.getAttribute('aria-selected') === 'true',
            };
          }),
      );
    },
    /** The first click selects only this row, the others add to it. */
    async select(...labels: string[]): Promise<void> {
      for (const [index, label] of labels.entries()) {
        await row(label).click({ modifiers: index === 0 ? [] : ['ControlOrMeta'] });
      }
      await page.waitForTimeout(200); // a key sooner finds VS Code's mind elsewhere
    },
    /** Presses a key with the focus on a row, such as F2 or Delete. */
    async press(label: string, key: string): Promise<void> {
      await this.select(label);
      await page.keyboard.press(key);
    },
    async toggle(label: string): Promise<void> {
      await row(label).locator('.monaco-tl-twistie').click();
    },
    /** `whileShown` is for a picture of it. */
    tooltip(label: string, whileShown?: () => Promise<unknown>): Promise<string> {
      return hoverText(page, row(label).locator('.label-name'), whileShown);
    },
    async inlineActions(label: string): Promise<string[]> {
      await row(label).hover();
      return namesOf(row(label).locator('.actions .action-label'));
    },
    async pressInline(label: string, action: string): Promise<void> {
      // A row that is drawn anew under the mouse, or moves from under it, has lost its actions.
      await eventually(async () => {
        await row(label).hover();
        await row(label).getByRole('button', { name: action }).click({ timeout: 2000 });
      });
    },
    /** The entries of a row's context menu. */
    async menu(label: string): Promise<string[]> {
      await openMenu(label);
      const entries = await page
        .locator('.monaco-menu .action-menu-item .action-label:not(.separator)')
        .allInnerTexts();
      await page.keyboard.press('Escape');
      await page.locator('.monaco-menu').first().waitFor({ state: 'detached' });
      return entries;
    },
    async pressMenu(label: string, entry: string): Promise<void> {
      await openMenu(label);
      const menu = page.locator('.monaco-menu').first();
      // One that is still there has taken the click for the end of the one that opened it.
      await eventually(async () => {
        if (await menu.isVisible()) await menuItem(entry).click({ timeout: 2000 });
        await menu.waitFor({ state: 'hidden', timeout: 1000 });
      });
    },
    async titleActions(): Promise<string[]> {
      return namesOf((await titleBar()).locator('.action-label'));
    },
    async pressTitleAction(action: string): Promise<void> {
      await (await titleBar()).getByRole('button', { name: action }).click();
    },
    /** The text of an empty view, and the labels of its buttons. */
    async welcome(): Promise<{ text: string; buttons: string[] }> {
      const content = pane.locator('.welcome-view-content');
      await content.waitFor();
      const buttons = await content.locator('.monaco-button').allInnerTexts();
      return { text: (await content.locator('p').allInnerTexts()).join('\n').trim(), buttons };
    },
    async pressWelcome(button: string): Promise<void> {
      await pane.locator('.welcome-view-content').getByRole('button', { name: button }).click();
    },
    /** The line above the rows, '' without one. */
    async message(): Promise<string> {
      const message = pane.locator('.tree-explorer-viewlet-tree-view > .message:not(.hide)');
      return (await message.count()) === 0 ? '' : textOf(message);
    },
  };
}

async function isUp(page: Page): Promise<void> {
  await page.locator('.monaco-workbench .part.statusbar .statusbar-item').first().waitFor({ timeout: 60_000 });
}

function hoversOf(page: Page): Locator {
  return page.locator('.workbench-hover, .monaco-hover:not(.hidden)').filter({ visible: true });
}

/** Moves the mouse away before, since another hover may still be there, and after, since a hover lies over what is below its row. */
async function hoverText(page: Page, target: Locator, whileShown?: () => Promise<unknown>): Promise<string> {
  const hovers = hoversOf(page);
  let step = 0;
  const leave = () =>
    eventually(async () => {
      await page.mouse.move(640, 300 + (++step % 50)); // one that stays where it is isn't noticed to have left
      // A hover of what has the focus does not go with the mouse.
      if (step % 20 === 0) await page.keyboard.press('Escape');
      if ((await hovers.count()) > 0) throw new Error('the hover stays');
    });
  const text = await eventually(async () => {
    await leave();
    await target.hover();
    // Until a row's own has come.
    const told = hovers.filter({ hasNotText: /^\s*Loading\.\.\.\s*$/ }).first();
    await told.waitFor({ timeout: 3000 });
    return textOf(told);
  });
  await whileShown?.();
  await leave();
  return text.replaceAll('\u00a0', ' ');
}

async function visibleLines(editor: Locator): Promise<string> {
  const lines = await editor.locator('.view-line').evaluateAll((nodes: PageElement[]) =>
    nodes
      .map((node) => ({
        top: parseFloat(node.style.top),
        text: node.textContent ?? '',
      }))
      .sort((a, b) => a.top - b.top)
      .map((line) => line.text),
  );
  return lines.join('\n').replaceAll('\u00a0', ' ');
}

async function textOf(locator: Locator): Promise<string> {
  return (await locator.innerText()).trim();
}

async function namesOf(actions: Locator): Promise<string[]> {
  return actions.evaluateAll((nodes: PageElement[]) => nodes.map((node) => node.getAttribute('aria-label') ?? ''));
}

function exactly(text: string): RegExp {
  return new RegExp(`^\\s*${text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}\\s*$`);
}
