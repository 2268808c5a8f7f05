/** Input that violates HTTP/1.1 or a limit; `status` is the server's answer to it. */
export class HttpFault extends Error {
  override readonly name = 'HttpFault';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}
