import { describe } from 'vitest';
import { clockContract } from '../clock-contract.fixture.ts';
import { createNodeEnv } from './node-env.ts';

describe('the real clock and timers', () => {
  clockContract(createNodeEnv);
});
