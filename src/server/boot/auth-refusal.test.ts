import { expect, test } from 'vitest';
import { bytesFromLatin1 } from '../../base/index.ts';
import { openDatabase } from '../../bbolt/index.ts';
import { createSimEnv } from '../../env/sim/index.ts';
import { SimMember, simConfig } from '../testing/sim-member.fixture.ts';
import { dataDirectoryOf } from './data-directory.ts';

test('a directory in which authentication is on is not served, and not changed', async () => {
  const env = createSimEnv({ seed: 1, autoRun: false });
  await env.run(async () => {
    const member = await SimMember.start(env);
    await member.put('a', '1');
    await member.stop();
    const path = dataDirectoryOf(simConfig()).database;
    const database = await openDatabase(env, path);
    const tx = await database.beginWrite();
    const auth = tx.createBucketIfNotExists(bytesFromLatin1('auth'));
    auth.put(bytesFromLatin1('authEnabled'), Uint8Array.of(1));
    await tx.commit();
    await database.close();
    const before = env.disk.contentOf(path).slice();
    await expect(SimMember.start(env)).rejects.toThrow('authentication is enabled');
    expect(env.disk.contentOf(path)).toEqual(before);
  });
});
