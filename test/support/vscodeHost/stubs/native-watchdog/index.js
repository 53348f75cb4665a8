// The native @vscode/native-watchdog ends the extension host when its parent died; here the whole process group is ended.
exports.start = () => {};
