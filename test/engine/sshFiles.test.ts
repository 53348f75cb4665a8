import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseDestination } from '../../src/core/destination.js';
import { resolveRoute } from '../../src/engine/sshFiles.js';

describe('resolveRoute', () => {
  let folder: string;
  before(() => (folder = mkdtempSync(join(tmpdir(), 'ssh-tunnels-'))));
  after(() => rmSync(folder, { recursive: true }));

  for (const withSsh of [true, false])
    it(`honours the options of a destination, with blanks in their values, ${withSsh ? 'through' : 'without'} ssh -G`, async () => {
      const key = join(folder, 'my key');
      const config = join(folder, 'config');
      writeFileSync(key, '');
      writeFileSync(config, 'Host bastion\n  Port 2222\nHost *\n  ConnectTimeout 7\n');
      const read = parseDestination(
        `-J ann@bastion -i "${key}" -o 'IdentityAgent="/my agent/socket"' -b 127.0.0.1 -4 -o ServerAliveInterval=9 bob@web01:2200`,
      );
      assert.ok(read.ok);
      const route = await resolveRoute(
        { destination: read.destination, options: [], configFile: withSsh ? config : 'none' },
        new AbortController().signal,
        () => {},
      );
      assert.deepEqual(
        route.map(({ hostName, user, port }) => [hostName, user, port]),
        [
          ['bastion', 'ann', withSsh ? 2222 : 22],
          ['web01', 'bob', 2200],
        ],
      );
      const { identityFiles, identityAgent, bindAddress, addressFamily, serverAliveInterval } = route[1]!;
      assert.deepEqual(
        { identityFiles, identityAgent, bindAddress, addressFamily, serverAliveInterval },
        {
          identityFiles: [key],
          identityAgent: '/my agent/socket',
          bindAddress: '127.0.0.1',
          addressFamily: 4,
          serverAliveInterval: 9,
        },
      );
      assert.equal(route[1]!.connectTimeout === 7, withSsh);
    });
});
