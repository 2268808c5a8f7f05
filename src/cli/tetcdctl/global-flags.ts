// Flags that every command of tetcdctl takes.

import {
  boolFlag,
  durationFlag,
  type Flag,
  intFlag,
  stringFlag,
  stringsFlag,
} from '../shell/flags.ts';

/** Values of the global flags, by commander's names. */
export interface GlobalOptions {
  readonly endpoints: readonly string[];
  readonly debug: boolean;
  readonly writeOut: string;
  readonly hex: boolean;
  readonly dialTimeout: number;
  readonly commandTimeout: number;
  readonly keepaliveTime: number;
  readonly keepaliveTimeout: number;
  readonly maxRequestBytes: bigint;
  readonly maxRecvBytes: bigint;
  readonly insecureTransport: boolean;
  readonly insecureDiscovery: boolean;
  readonly insecureSkipTlsVerify: boolean;
  readonly cert: string;
  readonly key: string;
  readonly cacert: string;
  readonly authJwtToken: string;
  readonly user: string;
  readonly password: string;
  readonly discoverySrv: string;
  readonly discoverySrvName: string;
}

export function globalFlags(): Flag[] {
  return [...outputAndTime(), ...security()];
}

function outputAndTime(): Flag[] {
  return [
    stringsFlag({
      flag: '--endpoints',
      help: 'members to talk to, with commas between',
      initial: ['127.0.0.1:2379'],
    }),
    boolFlag({ flag: '--debug', help: 'say on standard error which settings are in force' }),
    stringFlag({
      flag: '-w, --write-out',
      help: 'form of the output: simple, json, fields, table or protobuf',
      initial: 'simple',
      values: ['fields', 'json', 'protobuf', 'simple', 'table'],
    }),
    boolFlag({ flag: '--hex', help: 'print keys, values and ids in hexadecimal' }),
    durationFlag({
      flag: '--dial-timeout',
      help: 'time for a connection to be made',
      initial: 2_000,
    }),
    durationFlag({
      flag: '--command-timeout',
      help: 'time for a command that is not meant to go on',
      initial: 5_000,
    }),
    durationFlag({
      flag: '--keepalive-time',
      help: 'a silent connection is probed after this long',
      initial: 2_000,
    }),
    durationFlag({
      flag: '--keepalive-timeout',
      help: 'a probed connection is given up after this long',
      initial: 6_000,
    }),
    intFlag({
      flag: '--max-request-bytes',
      help: 'largest request sent, in bytes; 0 is 2 MiB',
    }),
    intFlag({
      flag: '--max-recv-bytes',
      help: 'largest response accepted, in bytes; 0 is 2 GiB',
    }),
  ];
}

function security(): Flag[] {
  return [
    boolFlag({
      flag: '--insecure-transport',
      help: 'no TLS unless certificates or https endpoints are given',
      initial: true,
    }),
    boolFlag({
      flag: '--insecure-discovery',
      help: 'accept unencrypted endpoints found by discovery',
      initial: true,
    }),
    boolFlag({
      flag: '--insecure-skip-tls-verify',
      help: 'take any certificate of the server; for tests only',
    }),
    stringFlag({ flag: '--cert', help: "file with the client's certificate" }),
    stringFlag({ flag: '--key', help: "file with the key of the client's certificate" }),
    stringFlag({ flag: '--cacert', help: 'file with the certificates that vouch for the server' }),
    stringFlag({
      flag: '--auth-jwt-token',
      help: 'token to present instead of a user and password',
    }),
    stringFlag({ flag: '--user', help: 'name of the user, or name:password' }),
    stringFlag({ flag: '--password', help: 'password of the user' }),
    stringFlag({
      flag: '-d, --discovery-srv',
      help: 'domain whose SRV records name the endpoints',
    }),
    stringFlag({
      flag: '--discovery-srv-name',
      help: 'service name in those records',
    }),
  ];
}
