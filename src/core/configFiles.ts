// Which files ssh_config is made of, by their names: on some systems one has several spellings.
import { matchesPattern } from './configPattern.js';

/** The same for all spellings of a path: the case counts nowhere on Windows (`win32`) and macOS (`darwin`). */
function fileKey(file: string, platform: string): string {
  if (platform === 'win32') return file.replaceAll('/', '\\').toLowerCase();
  return platform === 'darwin' ? file.normalize('NFC').toLowerCase() : file;
}

/** Whether ssh reads the file, which an editor may spell in another way. */
export function isAmong(files: readonly string[], file: string, platform: string): boolean {
  const key = fileKey(file, platform);
  return files.some((other) => fileKey(other, platform) === key);
}

/**
 * Whether a file that was not known may be read, too: it is one of them, an Include's pattern has it, or it lies beside one
 * that an Include has found. The first of the files is the one that includes.
 */
export function mayBeIncluded(files: readonly string[], created: string, platform: string): boolean {
  const [folder, name] = splitPath(created, platform);
  return files.some((file, at) => {
    const [otherFolder, otherName] = splitPath(file, platform);
    if (otherFolder !== folder) return false;
    // Sets as in [a-z] are glob's; whoever reads the files knows them.
    return otherName === name || (/[*?[]/.test(otherName) ? matchesGlob(name, otherName) : at > 0);
  });
}

function matchesGlob(name: string, pattern: string): boolean {
  return pattern.includes('[') || matchesPattern(name, pattern);
}

function splitPath(file: string, platform: string): [folder: string, name: string] {
  const key = fileKey(file, platform);
  const at = key.lastIndexOf(platform === 'win32' ? '\\' : '/');
  return [key.slice(0, Math.max(at, 0)), key.slice(at + 1)];
}
