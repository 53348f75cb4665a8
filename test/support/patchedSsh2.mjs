// Patches ssh2 where the sources run without a bundle; .mocharc.json has it imported.
import { Module } from 'node:module';
import { checkSsh2Version, patchSsh2 } from '../../ssh2Patches.mjs';

checkSsh2Version();
const compile = Module.prototype._compile;
Module.prototype._compile = function (text, path, ...rest) {
  return compile.call(this, patchSsh2(path, text) ?? text, path, ...rest);
};
