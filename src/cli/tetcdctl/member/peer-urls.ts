// The flag `--peer-urls`.

import { EXIT, ExitError } from '../../shell/exit.ts';
import { type Flag, stringFlag } from '../../shell/flags.ts';

export interface PeerUrlsOptions {
  readonly peerUrls: string;
}

export function peerUrlsFlag(): Flag {
  return stringFlag({ flag: '--peer-urls', help: 'peer URLs of the member, with commas between' });
}

/** BAD_ARGS if there are none. The client checks their form. */
export function peerUrlsOf({ peerUrls }: PeerUrlsOptions): readonly string[] {
  if (peerUrls === '') throw new ExitError(EXIT.BAD_ARGS, 'member peer urls not provided');
  return peerUrls.split(',');
}
