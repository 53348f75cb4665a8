// What ssh2 lacks, as changes of its text: its key exchanges are closures that nothing else can reach. The logic is in
// src/engine/keyExchange.ts and ssh2Inside.ts, which puts both into the `hooks` that the patched kex.js exports.
// Applied by esbuild.mjs to the bundles and by test/support/patchedSsh2.mjs where the sources run unbundled.
import { readFileSync } from 'node:fs';

/** The only version whose text is known. */
export const ssh2Version = '1.17.0';

export const ssh2Patches = [
  {
    file: 'kex.js',
    why: 'a place for our own functions',
    from: `const EMPTY_BUFFER = Buffer.alloc(0);`,
    to: `const EMPTY_BUFFER = Buffer.alloc(0);
const hooks = {};`,
  },
  {
    file: 'kex.js',
    why: 'ssh2Inside.ts fills it in, and sees by it that ssh2 is patched',
    from: `module.exports = {
  KexInit,`,
    to: `module.exports = {
  hooks,
  KexInit,`,
  },
  {
    file: 'constants.js',
    why: 'allows ML-KEM, the default of OpenSSH 10',
    from: `const SUPPORTED_KEX = DEFAULT_KEX.concat([`,
    to: `const SUPPORTED_KEX = DEFAULT_KEX.concat([
  'mlkem768x25519-sha256',`,
  },
  {
    file: 'kex.js',
    why: 'ML-KEM: its shared secret is a string, where all others are numbers',
    from: `  class Curve25519Exchange extends KeyExchange {`,
    to: `  class HybridExchange extends KeyExchange {
    constructor(...args) {
      super(...args);
      this.type = 'hybrid';
      this.hashName = 'sha256';
      this._half = hooks.startHybrid();
    }
    generateKeys() {}
    getPublicKey() {
      return this._half.publicValue;
    }
    convertPublicKey(key) {
      return key;
    }
    computeSecret(answer) {
      return this._half.secret(answer);
    }
  }

  class Curve25519Exchange extends KeyExchange {`,
  },
  {
    file: 'kex.js',
    why: 'ML-KEM by its name',
    from: `      switch (kexType) {
        case 'curve25519-sha256':`,
    to: `      switch (kexType) {
        case 'mlkem768x25519-sha256':
          return new HybridExchange(...args);
        case 'curve25519-sha256':`,
  },
  {
    file: 'constants.js',
    why: 'allows host certificates',
    from: `const SUPPORTED_SERVER_HOST_KEY = DEFAULT_SERVER_HOST_KEY.concat([`,
    to: `const SUPPORTED_SERVER_HOST_KEY = DEFAULT_SERVER_HOST_KEY.concat([
  'ssh-ed25519-cert-v01@openssh.com',
  'ecdsa-sha2-nistp256-cert-v01@openssh.com',
  'ecdsa-sha2-nistp384-cert-v01@openssh.com',
  'ecdsa-sha2-nistp521-cert-v01@openssh.com',
  'rsa-sha2-512-cert-v01@openssh.com',
  'rsa-sha2-256-cert-v01@openssh.com',`,
  },
  {
    file: 'kex.js',
    why: 'the type that a host key names is not always the name of its algorithm',
    from: `            if (hostPubKeyType !== this.negotiated.serverHostKey) {`,
    to: `            if (hostPubKeyType
                  !== hooks.hostKeyType(this.negotiated.serverHostKey)) {`,
  },
  {
    file: 'kex.js',
    why: 'a certificate is no key to ssh2, and its parser lets bytes behind a key pass',
    from: `      if (!isServer) {
        bufferParser.init(this._sig, 0);`,
    to: `      if (!isServer) {
        hooks.checkSignature(
          negotiated.serverHostKey, this._hostKey, this._sig, exchangeHash
        );
      } else if (false) {
        bufferParser.init(this._sig, 0);`,
  },
  {
    file: 'kex.js',
    why: 'a server’s public value is checked as OpenSSH does',
    from: `      let secret = this.computeSecret(this._dhData);`,
    to: `      if (!isServer)
        hooks.checkAnswer(negotiated.kex, this._dhData, this.getDHParams?.());
      let secret = this.computeSecret(this._dhData);`,
  },
  {
    file: 'kex.js',
    why: 'a group that the server chose is checked as OpenSSH does',
    from: `          // TODO: validate prime`,
    to: `          hooks.checkGroup(prime, gen, this._minBits, this._maxBits);`,
  },
  {
    file: 'kex.js',
    why: 'OpenSSL would look for up to half a minute whether a group’s prime is one',
    from: `        this._dh = createDiffieHellman(this._prime, this._generator);`,
    to: `        this._dh = hooks.groupHalf(this._prime, this._generator);`,
  },
  {
    file: 'kex.js',
    why: 'Electron lacks some groups, and looks as long at others',
    from: `        this._dh = createDiffieHellmanGroup(this.groupName);`,
    to: `        this._dh = hooks.namedGroupHalf(this.groupName);`,
  },
  {
    file: 'kex.js',
    why: 'a server that is ahead of itself is to be named so, and not by a property of undefined',
    from: `  return this._kex.parse(payload);`,
    to: `  if (this._kex === undefined)
    throw new Error(\`Received packet \${type} before KEXINIT\`);
  return this._kex.parse(payload);`,
  },
  {
    file: 'kex.js',
    why: 'packets of our own are sealed where they can be, at half of the work',
    from: `          this._protocol._cipher = createCipher(hsCipherConfig);`,
    to: `          this._protocol._cipher =
            hooks.cipher?.(hsCipherConfig) ?? createCipher(hsCipherConfig);`,
  },
  {
    file: 'kex.js',
    why: 'and opened, before anything is copied',
    from: `        this._protocol._decipher = createDecipher(config);`,
    to: `        this._protocol._decipher =
          hooks.decipher?.(config) ?? createDecipher(config);`,
  },
  {
    file: 'Protocol.js',
    why: 'while a person looks at a new host key, its server could log us in, and would be sent what follows in the clear',
    from: `  const type = payload[0];
  if (type === MESSAGE.USERAUTH_SUCCESS`,
    to: `  const type = payload[0];
  if (!this._server && !this._kex._hostVerified
      && type > MESSAGE.DEBUG && type !== MESSAGE.EXT_INFO) {
    throw new Error(\`Received packet \${type} before the host key was accepted\`);
  }
  if (type === MESSAGE.USERAUTH_SUCCESS`,
  },
  {
    file: 'handlers.misc.js',
    why: 'a server that claims millions of questions would get the memory for them; each takes 5 bytes at least',
    from: `        if (numPrompts !== undefined) {
          prompts = new Array(numPrompts);`,
    to: `        if (numPrompts !== undefined
            && numPrompts <= bufferParser.avail() / 5) {
          prompts = new Array(numPrompts);`,
  },
  {
    file: 'handlers.misc.js',
    why: 'ssh2 would read anything as a key, private ones and whole files too; and it would forget those it does not know',
    from: `            const key = parseKey(keyRaw);
            if (!(key instanceof Error))
              data.push(key);`,
    to: `            data.push(keyRaw);`,
  },
];

const patchedFile = /[\\/]node_modules[\\/]ssh2[\\/]lib[\\/]protocol[\\/]([\w.]+)$/;

/** The text of a file with its patches; undefined for a file without any. Throws where a text to change is not there once. */
export function patchSsh2(path, text) {
  const [, file] = patchedFile.exec(path) ?? [];
  const patches = ssh2Patches.filter((patch) => patch.file === file);
  if (patches.length === 0) return undefined;
  let patched = text;
  for (const { from, to, why } of patches) {
    const pieces = patched.split(from);
    if (pieces.length !== 2)
      throw new Error(`ssh2’s ${file} has changed, found ${pieces.length - 1} times (${why}):\n${from}`);
    patched = pieces.join(to);
  }
  return patched;
}

/** Throws when another version of ssh2 is installed than the one that the patches were made for. */
export function checkSsh2Version() {
  const { version } = JSON.parse(readFileSync(new URL('node_modules/ssh2/package.json', import.meta.url), 'utf8'));
  if (version !== ssh2Version) throw new Error(`ssh2 is ${version}; ssh2Patches.mjs is made for ${ssh2Version}`);
}

/** Patches ssh2 in a bundle. */
export const patchedSsh2 = {
  name: 'patched-ssh2',
  setup(setup) {
    checkSsh2Version();
    setup.onLoad({ filter: patchedFile }, ({ path }) => {
      const contents = patchSsh2(path, readFileSync(path, 'utf8'));
      return contents === undefined ? undefined : { contents, loader: 'js' };
    });
  },
};
