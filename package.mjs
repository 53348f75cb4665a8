// What `npm run package` runs: makes the .vsix of what is built; --out names it. What .vscodeignore lets through is packed, but
// README without the pictures, which VS Code would not find, and without what is for those who work on it.
import { createVSIX, listFiles } from '@vscode/vsce';
import { cpSync, mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const forDevelopers = ['Try it, test it', 'Speed', 'How it is built'];

const { values } = parseArgs({ options: { out: { type: 'string', default: 'ssh-tunnels.vsix' } } });
mkdirSync('out', { recursive: true });
const folder = mkdtempSync(join('out', 'package-'));
try {
  for (const file of await listFiles({ dependencies: false })) cpSync(file, join(folder, file));
  writeFileSync(join(folder, 'README.md'), forUsers(readFileSync('README.md', 'utf8')));
  const manifest = JSON.parse(readFileSync('package.json', 'utf8'));
  for (const part of ['scripts', 'devDependencies']) delete manifest[part];
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
  await createVSIX({
    cwd: folder,
    packagePath: values.out,
    dependencies: false,
    allowMissingRepository: true,
    rewriteRelativeLinks: false,
  });
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function forUsers(readme) {
  const [head, ...sections] = readme.split(/^(?=## )/m);
  const kept = sections.filter((section) => !forDevelopers.some((title) => section.startsWith(`## ${title}\n`)));
  if (kept.length !== sections.length - forDevelopers.length) throw new Error('README has other sections');
  return [head, ...kept].join('').replace(/^!\[.*\n\n?/gm, '');
}
