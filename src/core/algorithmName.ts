// Names of algorithms, key types and extensions of SSH, which name no host and no user.

/** Domains of which algorithms and extensions have their names. */
export const ofAlgorithms = /(?:^|@)(?:openssh\.com|libssh\.org|lysator\.liu\.se|[\w.]*tartarus\.org)$/i;

/** Without the numbers at their ends. */
const algorithmWords = new Set(
  `
  3des aes aes128 arcfour blowfish c cast cbc cert chacha20 ctr curve25519 curve448 des diffie dss ecdh ecdsa ed ed25519 etm
  exchange ext gcm gost group gssapi hellman hmac hostbased info interactive kex kexguess2 keyboard keyex md mic mlkem768x25519
  mlkem768nistp mlkem1024nistp nistp none openssh password poly1305 publickey rijndael ripemd rsa s seed serpent sha sk
  sntrup761x25519 sntrup4591761x25519 ssh strict twofish umac v webauthn with x509v zlib
`
    .trim()
    .split(/\s+/),
);

/** Whether it is made of words that algorithms, key types and ways to log in are called by. */
export function isAlgorithm(text: string): boolean {
  const [name = '', ...domain] = text.split('@');
  if (domain.length > 0 && !ofAlgorithms.test(domain.join('@'))) return false;
  return name.split(/[-._]/).every((word) => /^\d{1,5}$/.test(word) || algorithmWords.has(word.toLowerCase().replace(/(?<=\D)\d{1,3}$/, ''))); // prettier-ignore
}
