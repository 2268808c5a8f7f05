/** Input that breaks HTTP/1.1 or a limit of ours; `status` is what a server answers to it. */
export class HttpFault extends Error {
  override readonly name = 'HttpFault';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}
