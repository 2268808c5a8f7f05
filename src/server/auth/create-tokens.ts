// The provider of tokens that `--auth-token` asks for.

import type { Env } from '../../env/index.ts';
import type { AuthConfig } from '../config/index.ts';
import type { Logger } from '../telemetry/log.ts';
import { type JwtSignatures, loadJwtSignatures } from './jwt-signatures.ts';
import { JwtTokens } from './jwt-tokens.ts';
import { SimpleTokens } from './simple-tokens.ts';
import { readTokenSettings } from './token-option.ts';
import { NO_TOKENS, type TokenProvider } from './token-provider.ts';

/**
 * Rejects with INVALID_ARGUMENT and etcd's text for a setting with which etcd does not start. `signatures`:
 * others than the library's.
 */
export async function createTokens(
  config: AuthConfig,
  env: Env,
  log: Logger,
  signatures?: JwtSignatures,
): Promise<TokenProvider> {
  const { clock, timers, entropy } = env;
  const settings = await readTokenSettings(config.token, env.disk, log);
  switch (settings.kind) {
    case 'none':
      return NO_TOKENS;
    case 'simple':
      return new SimpleTokens({ clock, timers, entropy, ttlMs: config.simpleTokenTtlMs });
    case 'jwt': {
      const { key, ttlMs } = settings;
      const used = signatures ?? (await loadJwtSignatures());
      return new JwtTokens({ key, signatures: used, ttlMs, clock, entropy, log });
    }
  }
}
