import assert from 'node:assert/strict';
import { isAmong, mayBeIncluded } from '../../src/core/configFiles.js';

describe('the files of ssh_config', () => {
  const spellings: [platform: string, listed: string, edited: string, isSame: boolean][] = [
    ['win32', 'C:\\Users\\ann\\.ssh\\config', 'c:\\Users\\ann\\.ssh\\config', true],
    ['win32', 'C:\\Users\\ann/.ssh/config', 'c:\\users\\Ann\\.ssh\\config', true],
    ['win32', 'C:\\Users\\ann\\.ssh\\config', 'd:\\Users\\ann\\.ssh\\config', false],
    ['darwin', '/Users/Ann/.ssh/config', '/users/ann/.ssh/config', true],
    ['darwin', '/Users/Zo\u00eb/.ssh/config', '/Users/Zoe\u0308/.ssh/config', true],
    ['linux', '/home/ann/.ssh/config', '/home/ann/.ssh/config', true],
    ['linux', '/home/ann/.ssh/config', '/home/ann/.ssh/Config', false],
    ['linux', '/home/ann/.ssh/a\\b', '/home/ann/.ssh/a/b', false],
  ];
  for (const [platform, listed, edited, isSame] of spellings)
    it(`are ${isSame ? 'the same' : 'two'} on ${platform}: ${listed} and ${edited}`, () => {
      assert.equal(isAmong([listed], edited, platform), isSame);
      assert.equal(mayBeIncluded([listed], edited, platform), isSame);
    });

  const created: [title: string, files: string[], file: string, may: boolean][] = [
    ['beside the first file', ['/tmp/cfg', '/etc/ssh/ssh_config'], '/tmp/socket', false],
    ['one that a pattern has', ['/h/config', '/h/*.conf'], '/h/a.conf', true],
    ['one that no pattern has', ['/h/config', '/h/*.conf'], '/h/master-a', false],
    ['one of a set, which is not looked into', ['/h/config', '/h/[a-c].conf'], '/h/d.conf', true],
    ['one beside what an Include has found', ['/h/config', '/h/config.d/a'], '/h/config.d/b', true],
    ['one in another folder', ['/h/config', '/h/config.d/a'], '/h/config.d/x/b', false],
    ['the file of an Include that was not there', ['/h/config', '/h/work'], '/h/work', true],
  ];
  for (const [title, files, file, may] of created)
    it(`${may ? 'may' : 'do not'} get a new one: ${title}`, () =>
      assert.equal(mayBeIncluded(files, file, 'linux'), may));
});
