import assert from 'node:assert/strict';
import { printSpec } from '../../src/core/forwardSpec.js';
import { printedForwards } from '../../src/core/printedForward.js';
import { parseOptionLines } from '../../src/core/sshConfig.js';

describe('printedForwards', () => {
  const table: [line: string, spec: string][] = [
    ['localforward 8080 [db]:80', '-L 8080:db:80'],
    ['localforward [*]:8080 [::1]:80', '-L *:8080:[::1]:80'],
    ['localforward []:8080 [db]:80', '-L :8080:db:80'],
    ['localforward 8080 /run/db', '-L 8080:/run/db'],
    ['localforward [::1]:8080 /run/db', '-L [::1]:8080:/run/db'],
    ['localforward /tmp/a b [db]:80', '-L /tmp/a b:db:80'],
    ['localforward /tmp/a /run/x y', '-L /tmp/a:/run/x y'],
    ['localforward /tmp/a b /run/x', '-L /tmp/a b:/run/x'],
    ['remoteforward 1080 [socks]:0', '-R 1080'],
    ['remoteforward 0 [a]:1', '-R 0:a:1'],
    ['remoteforward /run/%h /tmp/100%', '-R /run/%%h:/tmp/100%%'],
    ['dynamicforward 1080', '-D 1080'],
    ['dynamicforward [127.0.0.1]:1080', '-D 127.0.0.1:1080'],
  ];
  for (const [line, spec] of table)
    it(`reads “${line}”`, () => assert.deepEqual(printedForwards(parseOptionLines(line)).map(printSpec), [spec]));

  it('leaves out what is no forward', () =>
    assert.deepEqual(printedForwards(parseOptionLines('localforward\nlocalforward x\ndynamicforward\nport 22')), []));
});
