import assert from 'node:assert/strict';
import { machineName, placeNote, placeOf, placeText, usePlace, type Surroundings } from '../../src/core/machine.js';

const plain: Surroundings = {
  remoteName: undefined,
  extension: 'ui',
  shownIn: 'desktop',
  hostName: 'web01',
  wslName: undefined,
};

describe('where tunnels listen', () => {
  afterEach(() => usePlace({ kind: 'here' }));

  const onRemote = { extension: 'workspace', remoteName: 'ssh-remote' } as const;
  for (const [what, given, name] of [
    ['a plain window', {}, 'this machine'],
    ['a plain window whose extension runs beside the workspace', { extension: 'workspace' }, 'this machine'],
    ['Remote-SSH, at the user’s side', { remoteName: 'ssh-remote' }, 'this computer'],
    ['WSL, at the user’s side', { remoteName: 'wsl' }, 'this computer'],
    ['Remote-SSH', onRemote, 'web01'],
    ['Remote-SSH in a browser', { ...onRemote, shownIn: 'web' }, 'web01'],
    ['WSL', { ...onRemote, remoteName: 'wsl', wslName: 'Ubuntu' }, 'WSL: Ubuntu'],
    ['WSL without a name', { ...onRemote, remoteName: 'wsl' }, 'WSL'],
    ['a dev container', { ...onRemote, remoteName: 'dev-container' }, 'the container'],
    ['an attached container', { ...onRemote, remoteName: 'attached-container' }, 'the container'],
    ['a codespace in a browser', { ...onRemote, remoteName: 'codespaces', shownIn: 'web' }, 'the codespace'],
    ['a remote of another kind', { ...onRemote, remoteName: 'k8s' }, 'the remote machine'],
    ['a VS Code tunnel', { ...onRemote, remoteName: 'tunnel', shownIn: 'web' }, 'web01'],
    ['code-server', { ...onRemote, remoteName: '127.0.0.1:8080', shownIn: 'web' }, 'the machine that runs VS Code'],
    [
      'a server without an address',
      { ...plain, extension: 'workspace', shownIn: 'web' },
      'the machine that runs VS Code',
    ],
  ] as const satisfies readonly (readonly [string, Partial<Surroundings>, string])[])
    it(`is said in ${what}: ${name}`, () => {
      usePlace(placeOf({ ...plain, ...given }));
      assert.equal(machineName(), name);
      const isPlain = name === 'this machine';
      assert.equal(placeText(), isPlain ? undefined : `Listening on ${name}`);
    });

  it('tells who can’t use the address: programs of the remote, or the browser at the user’s side', () => {
    assert.equal(placeNote(), undefined);
    usePlace(placeOf({ ...plain, remoteName: 'wsl' }));
    assert.match(placeNote() ?? '', /^Tunnels listen on this computer: programs in the remote window.* don’t reach/);
    usePlace(placeOf({ ...plain, ...onRemote }));
    assert.match(
      placeNote() ?? '',
      /^Tunnels listen on web01: a browser on your computer gets there by Open in Browser/,
    );
  });
});
