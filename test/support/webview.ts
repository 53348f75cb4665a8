import type { Frame, Page } from 'playwright-core';
import { eventually } from './eventually.js';

/** The frame of the webview on the screen that holds `selector`. */
export function webviewFrame(page: Page, selector = 'body *'): Promise<Frame> {
  return eventually(async () => {
    // It is `pending-frame` until it is loaded, and Playwright keeps the name that it had first.
    for (const frame of page.frames().filter((one) => /^(pending|active)-frame$/.test(one.name()))) {
      if (await frame.locator(selector).first().isVisible()) return frame;
    }
    throw new Error(`no webview shows ${selector}`);
  });
}

/** How the legs of the way that Tunnel Details shows in this frame stand, from whoever connects to the target. */
export function legsOf(frame: Frame): Promise<(string | null)[]> {
  return frame
    .locator('.leg:visible')
    .evaluateAll((nodes: { getAttribute(name: string): string | null }[]) =>
      nodes.map((node) => node.getAttribute('data-status')),
    );
}
