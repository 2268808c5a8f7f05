// The log of a proxy, as its owner provides it.

type LogFields = Readonly<
  Record<string, string | number | boolean | Error | readonly string[] | undefined>
>;

export interface ProxyLog {
  debug(msg: string, fields?: LogFields): void;
  info(msg: string, fields?: LogFields): void;
  warn(msg: string, fields?: LogFields): void;
  error(msg: string, fields?: LogFields): void;
}
