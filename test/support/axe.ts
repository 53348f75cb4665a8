import { readFileSync } from 'node:fs';
import type { Frame, Page } from 'playwright-core';

const source = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');

interface Violation {
  readonly id: string;
  readonly impact: 'minor' | 'moderate' | 'serious' | 'critical' | null;
  readonly help: string;
  readonly nodes: readonly { readonly target: readonly unknown[]; readonly failureSummary?: string }[];
}

/**
 * What axe-core finds serious or critical in a page or a webview's frame, one line for each; `within` is a selector of what is
 * looked at, all unless given; `except` are rules that are left out.
 */
export async function axeFindings(
  where: Page | Frame,
  within = 'html',
  except: readonly string[] = [],
): Promise<string[]> {
  // A webview's policy stops a script tag; what the browser's own debugger evaluates passes.
  await where.evaluate(`${source};0`);
  const options = { resultTypes: ['violations'], iframes: false };
  const question = `axe.run(${JSON.stringify(within)}, ${JSON.stringify(options)}).then(({ violations }) => violations)`;
  const violations = await where.evaluate<Violation[]>(question);
  return violations
    .filter(({ id, impact }) => (impact === 'serious' || impact === 'critical') && !except.includes(id))
    .flatMap(({ id, impact, help, nodes }) =>
      nodes.map(
        ({ target, failureSummary }) => `${impact}: ${id}: ${help}: ${target.join(' ')}: ${failureSummary ?? ''}`,
      ),
    );
}
