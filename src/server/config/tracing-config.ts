// What the flags of distributed tracing say together. They are looked at only where it is on, as in etcd.

import { goQuote } from '../../base/index.ts';
import type { FlagValues } from './flags.ts';
import type { TracingConfig } from './server-config.ts';

const SAMPLES_PER_MILLION_MAX = 1_000_000;
const PORT_MAX = 65_535;
/** As of gRPC's resolvers of names. */
const DEFAULT_PORT = 443;
const HOST_PORT =
  /^(?:dns:\/\/\/|passthrough:\/\/\/)?(?:\[([^[\]]+)\]|([^[\]:/]+))(?::(\d{1,5}))?$/;
const SOCKET = /^unix:(?:\/\/)?(.+)$/;

/** Undefined where nothing is traced; a text where the flags are wrong. */
export function buildTracing(values: FlagValues): TracingConfig | string | undefined {
  if (!values['enable-distributed-tracing']) return undefined;
  const rate = values['distributed-tracing-sampling-rate'];
  if (rate < 0 || rate > SAMPLES_PER_MILLION_MAX) {
    const what = rate < 0 ? 'must be positive' : `must be less than ${SAMPLES_PER_MILLION_MAX}`;
    return `distributed tracing configurition is not valid: (tracing sampling rate ${what})`;
  }
  const text = values['distributed-tracing-address'];
  const address = addressOf(text);
  if (address === undefined) {
    return `--distributed-tracing-address ${goQuote(text)} must be "host:port"`;
  }
  return {
    address,
    serviceName: values['distributed-tracing-service-name'],
    instanceId: values['distributed-tracing-instance-id'],
    samplesPerMillion: rate,
  };
}

/** As gRPC takes it: `host:port`, a host alone, or the path of a Unix socket. */
function addressOf(text: string): TracingConfig['address'] | undefined {
  const socket = SOCKET.exec(text);
  if (socket !== null) return { host: '', port: 0, path: socket[1]! };
  const [, bracketed, host = bracketed, port] = HOST_PORT.exec(text) ?? [];
  const number = port === undefined ? DEFAULT_PORT : Number(port);
  return host === undefined || number > PORT_MAX ? undefined : { host, port: number };
}
