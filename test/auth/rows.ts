// Users and roles as a data directory holds them.

import { join } from 'node:path';
import { bytesFromLatin1, latin1FromBytes } from '../../src/base/index.ts';
import { openDatabase } from '../../src/bbolt/index.ts';
import { createNodeEnv } from '../../src/net/index.ts';

/** Every row of the buckets of authentication, of a member that is down. */
export async function authRows(directory: string): Promise<string[]> {
  const path = join(directory, 'member', 'snap', 'db');
  const database = await openDatabase(createNodeEnv(), path, { readOnly: true });
  const tx = database.beginRead();
  const rows: string[] = [];
  for (const name of ['auth', 'authUsers', 'authRoles']) {
    const cursor = tx.bucket(bytesFromLatin1(name))!.cursor();
    for (let on = cursor.first(); on; on = cursor.next()) {
      rows.push(`${name} ${latin1FromBytes(cursor.key())} ${latin1FromBytes(cursor.value())}`);
    }
  }
  tx.close();
  await database.close();
  return rows;
}
