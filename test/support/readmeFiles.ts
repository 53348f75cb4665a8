import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from './vscodeServer.js';

/** The files that a section of README.md shows, by their paths: blocks of code below a line that begins with a path. */
export function readmeFiles(heading: string): Readonly<Record<string, string>> {
  const readme = readFileSync(join(repositoryRoot, 'README.md'), 'utf8');
  const section = readme.split(/^## /m).find((one) => one.startsWith(`${heading}\n`));
  assert.ok(section, `README has the section ${heading}`);
  const found = section.matchAll(/^`([^`\n]+\.\w+)`.*\n\n```\w+\n([\s\S]*?)^```$/gm);
  return Object.fromEntries([...found].map(([, path, content]) => [path!, content!]));
}
