// The ids that package.json contributes, typed; test/core/contributions.test.ts compares the two.

export const commands = {
  forwardPort: 'sshTunnels.forwardPort',
  newFromCommand: 'sshTunnels.newFromCommand',
  addForward: 'sshTunnels.addForward',
  commandLine: 'sshTunnels.commandLine',
  start: 'sshTunnels.start',
  startOnFreePort: 'sshTunnels.startOnFreePort',
  stop: 'sshTunnels.stop',
  stopOrRemove: 'sshTunnels.stopOrRemove',
  retryNow: 'sshTunnels.retryNow',
  giveUp: 'sshTunnels.giveUp',
  restart: 'sshTunnels.restart',
  remove: 'sshTunnels.remove',
  rename: 'sshTunnels.rename',
  edit: 'sshTunnels.edit',
  copyAddress: 'sshTunnels.copyAddress',
  copySshCommand: 'sshTunnels.copySshCommand',
  copyConfigBlock: 'sshTunnels.copyConfigBlock',
  openInBrowser: 'sshTunnels.openInBrowser',
  disconnectClient: 'sshTunnels.disconnectClient',
  showDetails: 'sshTunnels.showDetails',
  showLog: 'sshTunnels.showLog',
  copyDiagnostics: 'sshTunnels.copyDiagnostics',
  savePreset: 'sshTunnels.savePreset',
  startPreset: 'sshTunnels.startPreset',
  stopPreset: 'sshTunnels.stopPreset',
  editPresets: 'sshTunnels.editPresets',
  newPreset: 'sshTunnels.newPreset',
  editPreset: 'sshTunnels.editPreset',
  duplicatePreset: 'sshTunnels.duplicatePreset',
  movePresetUp: 'sshTunnels.movePresetUp',
  movePresetDown: 'sshTunnels.movePresetDown',
  removePreset: 'sshTunnels.removePreset',
  importPresets: 'sshTunnels.importPresets',
  startGroup: 'sshTunnels.startGroup',
  stopGroup: 'sshTunnels.stopGroup',
  startConfigForward: 'sshTunnels.startConfigForward',
  goToDefinition: 'sshTunnels.goToDefinition',
  explain: 'sshTunnels.explain',
  localPort: 'sshTunnels.localPort',
  openWalkthrough: 'sshTunnels.openWalkthrough',
  trySandbox: 'sshTunnels.trySandbox',
  removeSandbox: 'sshTunnels.removeSandbox',
  manageTrust: 'sshTunnels.manageTrust',
  forgetSecrets: 'sshTunnels.forgetSecrets',
} as const;
export type CommandId = (typeof commands)[keyof typeof commands];

export const views = { tunnels: 'sshTunnels.tunnels', details: 'sshTunnels.details' } as const;
export const viewContainers = { sshTunnels: 'sshTunnels' } as const;

/** The tools of language models. */
export const languageModelTools = { list: 'sshTunnels_list', open: 'sshTunnels_open' } as const;

export const walkthrough = 'firstTunnel';

/** VS Code makes this command for each view. */
export const focusTunnelsView = `${views.tunnels}.focus`;

export const settings = {
  presets: 'sshTunnels.presets',
  autoStart: 'sshTunnels.autoStart',
  sshConfigFile: 'sshTunnels.sshConfigFile',
  identityFile: 'sshTunnels.identityFile',
  defaultBind: 'sshTunnels.defaultBind',
  findServerPorts: 'sshTunnels.findServerPorts',
  restoreTunnels: 'sshTunnels.restoreTunnels',
  notifications: 'sshTunnels.notifications',
  keepaliveSeconds: 'sshTunnels.keepaliveSeconds',
  parkSeconds: 'sshTunnels.parkSeconds',
  idleMinutes: 'sshTunnels.idleMinutes',
} as const;

/** The language of ssh_config files, which other extensions contribute, too. */
export const sshConfigLanguage = 'ssh_config';

/** For `when` clauses. */
export const contextKeys = {
  /** The states that the tunnels have, such as `failed portInUse ready`. */
  tunnels: 'sshTunnels.states',
  /** The states that the presets have, `locked` and `partly` among them. */
  presets: 'sshTunnels.presetStates',
  /** The states that the forwards of ssh_config have. */
  config: 'sshTunnels.configStates',
  /** Somebody has asked for the details, who are shown what there is, and be it nothing. */
  detailsAsked: 'sshTunnels.detailsAsked',
  /** The `viewItem` of the one selected row. */
  selected: 'sshTunnels.selected',
} as const;
