// `tetcd gateway` and `tetcd grpc-proxy`: their commands, help in cobra's form, and refusals.

import { Command } from 'commander';
import { ownOptions, readCommandLine, UsageError } from '../../shell/command-line.ts';
import type { Flag } from '../../shell/flags.ts';
import { flagLines } from '../../shell/help.ts';
import type { Word } from '../../shell/words.ts';
import { type GatewayFlags, gatewayFlags } from './gateway-flags.ts';
import { type GrpcProxyFlags, grpcProxyFlags } from './grpc-proxy-flags.ts';

/** What a command line asks for. `text` ends with what etcd prints there. */
export type ProxyCommand =
  | { readonly kind: 'print'; readonly text: string }
  | { readonly kind: 'refuse'; readonly text: string }
  | { readonly kind: 'gateway'; readonly flags: GatewayFlags }
  | { readonly kind: 'grpc-proxy'; readonly flags: GrpcProxyFlags };

/** `argv` is without program and script; its first word is a group's name. */
export function readProxyCommand(argv: readonly Word[]): ProxyCommand {
  try {
    const line = readCommandLine(proxyTree(), argv);
    const { command } = line;
    if (line.wantsHelp) return { kind: 'print', text: helpOf(command) };
    return command.parent?.name() === 'gateway'
      ? { kind: 'gateway', flags: ownOptions<GatewayFlags>(line) }
      : { kind: 'grpc-proxy', flags: ownOptions<GrpcProxyFlags>(line) };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    const { message, command } = error;
    return { kind: 'refuse', text: `Error: ${message}\n${usageOf(command)}\n${message}` };
  }
}

/** The tree of commands, without what a member is started with. */
export function proxyTree(): Command {
  const root = new Command('tetcd');
  const gateway = add(root, 'gateway', 'commands about the gateway');
  add(gateway, 'start', 'start a TCP proxy before a cluster', gatewayFlags());
  const proxy = add(root, 'grpc-proxy', 'commands about the gRPC proxy');
  add(proxy, 'start', 'start a gRPC proxy before a cluster', grpcProxyFlags());
  return root;
}

function add(parent: Command, name: string, about: string, flags: readonly Flag[] = []): Command {
  const command = parent.command(name).description(about).helpOption(false).helpCommand(false);
  for (const flag of flags) command.addOption(flag);
  return command;
}

function helpOf(command: Command): string {
  return `${command.description()}\n\n${usageOf(command)}`;
}

function usageOf(command: Command): string {
  const path = pathOf(command);
  const parts = command.commands.map((each) => `  ${each.name().padEnd(11)} ${each.description()}`);
  const flags = `Flags:\n${flagLines(command.options as Flag[], command.name())}`;
  if (parts.length === 0) return `Usage:\n  ${path} [flags]\n\n${flags}\n`;
  const list = `Available Commands:\n${parts.join('\n')}`;
  const more = `Use "${path} [command] --help" for more about a command.`;
  return `Usage:\n  ${path} [command]\n\n${list}\n\n${flags}\n\n${more}\n`;
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}
