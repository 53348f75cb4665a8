// What a language model may open: forwards of loopback to hosts that the user has written down, and presets. Whatever it
// says is read here, and nothing that it makes up is dialled.
import * as v from 'valibot';
import { isHostName } from './configForward.js';
import { printDestination } from './destination.js';
import { parseAnswer, type ForwardSpec } from './forwardSpec.js';
import { machineName } from './machine.js';
import { needsTrust, presetHost, presetTunnels, type Preset } from './preset.js';
import { scopeText } from './present.js';
import { printable, unseen } from './printable.js';
import { tunnelId, type NewTunnel } from './session.js';
import { presetCalled } from './subject.js';
import { t } from './translate.js';
import { accessText, askedAccess, effectText, failureText, isLoopback } from './wording.js';

/** What there is to open. */
export interface AgentWorld {
  /** The names that ssh_config has. */
  hosts: readonly string[];
  presets: readonly Preset[];
  trusted: boolean;
}

export type AgentOpen = { kind: 'forward'; tunnel: NewTunnel } | { kind: 'preset'; preset: Preset };
export type AgentDecision = { ok: true; open: AgentOpen } | { ok: false; reason: string };

/** UTF-16 units; no forward or name that a person writes is longer. */
const longest = 300;

const given = v.pipe(v.string(), v.nonEmpty(), v.maxLength(longest));
const openInput = v.union([v.strictObject({ preset: given }), v.strictObject({ host: given, forward: given })]);

/** What a model asks to be opened, or why that may not be. */
export function decideOpen(input: unknown, world: AgentWorld): AgentDecision {
  const read = v.safeParse(openInput, withoutEmpty(input));
  if (!read.success)
    return refuse(t('Give either a host and a forward, or a preset, as texts of at most 300 characters.'));
  return 'preset' in read.output ? decidePreset(read.output.preset, world) : decideForward(read.output, world);
}

/** Models like to fill in every field. */
function withoutEmpty(input: unknown): unknown {
  if (typeof input !== 'object' || input === null) return input;
  return Object.fromEntries(Object.entries(input).filter(([, value]) => value !== ''));
}

function decidePreset(name: string, { presets, trusted }: AgentWorld): AgentDecision {
  const preset = presetCalled(openablePresets({ presets, trusted }), name);
  if (!preset)
    return refuse(
      presetCalled(presets, name)
        ? failureText({ kind: 'workspaceUntrusted' })
        : t('No preset is called “{name}”. List the tunnels to see which there are.', { name: printable(name) }),
    );
  const reason = refusalOf(presetTunnels(preset));
  return reason === undefined ? { ok: true, open: { kind: 'preset', preset } } : refuse(reason);
}

function decideForward({ host, forward }: { host: string; forward: string }, { hosts }: AgentWorld): AgentDecision {
  if (!isHostName(host) || !hosts.includes(host))
    return refuse(
      t(
        '“{host}” is not a host of ssh_config. Give one of its names as it stands there, without a user, port or option.',
        {
          host: printable(host),
        },
      ),
    );
  // A model is told nothing of the environment.
  if (forward.includes('$')) return refuse(t('A forward that an agent opens can’t have variables.'));
  const read = parseAnswer(forward);
  if (!read.ok) return refuse(failureText(read.failure));
  const { spec } = read;
  if (spec.kind === 'remote')
    return refuse(t('An agent opens no remote forward (-R): it would let the server in here. Open it by hand.'));
  if (spec.listen.kind === 'unix')
    return refuse(t('An agent opens no Unix socket to listen on. Open it by hand, or let a port listen.'));
  const reason = refusalOf([{ destination: { host }, spec }]);
  if (reason !== undefined) return refuse(reason);
  return { ok: true, open: { kind: 'forward', tunnel: { destination: { host }, spec: boundHere(spec, spec.listen) } } };
}

/** With loopback written out: where nothing is written, GatewayPorts of ssh_config may mean the network. */
function boundHere(spec: ForwardSpec, listen: ForwardSpec['listen'] & { kind: 'tcp' }): ForwardSpec {
  return { ...spec, listen: { ...listen, bind: listen.bind ?? 'localhost' } };
}

/** Why an agent may not open these; undefined: it may. To be asked again of a preset whose inputs have been filled. */
export function refusalOf(tunnels: readonly NewTunnel[]): string | undefined {
  const isOpen = tunnels.some(({ spec: { listen } }) => listen.kind === 'tcp' && !isLoopback(listen.bind));
  return isOpen
    ? t(
        'An agent opens nothing to the network, only to loopback. Open it by hand, or write localhost as the bind address.',
      )
    : undefined;
}

function refuse(reason: string): AgentDecision {
  return { ok: false, reason };
}

/** What a workspace that is not trusted has to say is not passed on either. */
function openablePresets({ presets, trusted }: Pick<AgentWorld, 'presets' | 'trusted'>): readonly Preset[] {
  return presets.filter((preset) => trusted || !needsTrust(preset));
}

/** What is asked before a model opens something: a title, and a line for each thing that the user should know. */
export function openPrompt(open: AgentOpen): { title: string; lines: readonly string[] } {
  if (open.kind === 'forward') {
    const { destination, spec } = open.tunnel;
    const host = printDestination(destination);
    return { title: t('Open an SSH tunnel?'), lines: [...effectLines(spec, host), connectsText(host), staysText()] };
  }
  const { preset } = open;
  const host = presetHost(preset);
  const from = t('The preset “{name}” from {place}', { name: preset.name, place: scopeText(preset.scope) });
  const opens = preset.isUnfilled
    ? [...(preset.written?.forwards ?? []), t('You will be asked for its inputs.')]
    : preset.forwards.flatMap((spec) => effectLines(spec, host));
  return {
    title: t('Start the preset “{name}”?', { name: preset.name }),
    lines: [from, ...opens, connectsText(host), staysText()],
  };
}

function effectLines(spec: ForwardSpec, host: string): string[] {
  const machine = spec.kind === 'remote' ? host : machineName();
  const who = accessText(askedAccess(spec), machine, spec.listen.kind);
  return [effectText(spec, host), t('Who can connect: {who}', { who })];
}

function connectsText(host: string): string {
  return t('It connects to {host} over SSH with your keys.', { host });
}

function staysText(): string {
  return t('It stays open until you stop it.');
}

/** What a tunnel is told by. */
interface ToldTunnel {
  id: string;
  kind: string;
  state: string;
  listen: readonly object[];
  failure?: { code: string };
}

/**
 * What a model is told of a tunnel: of one that comes of a preset with variables not what they stand for, which its target,
 * its host and a failure’s words would tell.
 */
export function agentTunnel(info: ToldTunnel, presets: readonly Preset[]): object {
  const preset = presets.find((one) => one.written && presetTunnels(one).some((own) => tunnelId(own) === info.id));
  if (!preset) return info;
  const { kind, state, listen, failure } = info;
  return { preset: preset.name, kind, state, listen, ...(failure && { failure: { code: failure.code } }) };
}

/** What a model is told there is, besides the tunnels: hosts by name, presets without their descriptions. */
export function agentList({ hosts, ...world }: AgentWorld): {
  hosts: readonly string[];
  presets: readonly { name: string; host: string; forwards: readonly string[] }[];
} {
  const shown = openablePresets(world).map((preset) => {
    // As written: what the environment holds is not a model’s to know.
    const host = preset.written?.host ?? presetHost(preset);
    const forwards = preset.written?.forwards ?? preset.forwards.map((spec) => effectText(spec, host));
    return { name: preset.name, host, forwards };
  });
  return { hosts: hosts.filter((host) => isHostName(host) && !unseen.test(host)), presets: shown };
}
