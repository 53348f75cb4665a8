// Stands in for the native @vscode/spdlog, with no more of it than VS Code's server calls: appends lines to the log file.
const fs = require('node:fs');
const path = require('node:path');

const names = ['trace', 'debug', 'info', 'warn', 'error', 'critical'];
const info = 2;

class Logger {
  constructor(_kind, _name, file) {
    this.file = file;
    this.level = info;
    fs.mkdirSync(path.dirname(file), { recursive: true });
  }
  getLevel() {
    return this.level;
  }
  setLevel(level) {
    this.level = level;
  }
  clearFormatters() {}
  setPattern() {}
  flush() {}
  drop() {}
}

names.forEach((name, level) => {
  Logger.prototype[name] = function (message) {
    if (level >= this.level) fs.appendFileSync(this.file, `${new Date().toISOString()} [${name}] ${message}\n`);
  };
});

exports.version = 0;
exports.Logger = Logger;
exports.setLevel = () => {};
exports.setFlushOn = () => {};
exports.createRotatingLogger = async (name, file) => new Logger('rotating', name, file);
exports.createAsyncRotatingLogger = exports.createRotatingLogger;
