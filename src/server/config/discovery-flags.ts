// The flags of discovery: how a new member finds the others, in place of --initial-cluster.

import { boolFlag, choiceFlag, durationFlag, stringFlag, uniqueStringsFlag } from './flag-types.ts';

export const DISCOVERY_FLAGS = {
  'discovery-srv': stringFlag('', {
    group: 'clustering',
    help:
      'Domain whose DNS records _etcd-server-ssl._tcp and _etcd-server._tcp (SRV) name the members ' +
      'of the cluster.',
  }),
  'discovery-srv-name': stringFlag('', {
    group: 'clustering',
    help: 'Suffix of the service names of --discovery-srv: NAME asks for _etcd-server-NAME._tcp.',
  }),
  'discovery-endpoints': uniqueStringsFlag({
    group: 'clustering',
    help: 'Client addresses of another cluster, at which the members of a new one find each other.',
  }),
  'discovery-token': stringFlag('', {
    group: 'clustering',
    help:
      'Name of the new cluster there; how many members it has stands at ' +
      '/_etcd/registry/TOKEN/_config/size.',
  }),
  'discovery-dial-timeout': durationFlag('2s', {
    group: 'clustering',
    help: 'Time for a connection to --discovery-endpoints to be made.',
  }),
  'discovery-request-timeout': durationFlag('5s', {
    group: 'clustering',
    help: 'Time for a request to --discovery-endpoints.',
  }),
  'discovery-keepalive-time': durationFlag('2s', {
    group: 'clustering',
    help: 'A silent connection to --discovery-endpoints is probed after this long, at least 10s.',
  }),
  'discovery-keepalive-timeout': durationFlag('6s', {
    group: 'clustering',
    help: 'A probed connection is given up after this long.',
  }),
  'discovery-insecure-transport': boolFlag(true, {
    group: 'clustering',
    help: 'No TLS to --discovery-endpoints unless certificates or https:// addresses are given.',
  }),
  'discovery-insecure-skip-tls-verify': boolFlag(false, {
    group: 'clustering',
    help: 'Take any certificate of --discovery-endpoints; for tests only.',
  }),
  'discovery-cert': stringFlag('', {
    group: 'clustering',
    help: 'Certificate shown to --discovery-endpoints, in PEM.',
  }),
  'discovery-key': stringFlag('', {
    group: 'clustering',
    help: 'Private key of --discovery-cert.',
  }),
  'discovery-cacert': stringFlag('', {
    group: 'clustering',
    help: 'Certificates of the authorities that vouch for --discovery-endpoints, in PEM.',
  }),
  'discovery-user': stringFlag('', {
    group: 'clustering',
    help: 'Name of a user of --discovery-endpoints.',
  }),
  'discovery-password': stringFlag('', {
    group: 'clustering',
    help: 'Password of --discovery-user.',
  }),
  'discovery-fallback': choiceFlag(['exit', 'proxy'], {
    group: 'clustering',
    help: "Accepted for compatibility: 'proxy' is refused.",
  }),
} as const;
