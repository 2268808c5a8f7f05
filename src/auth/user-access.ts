// The ranges of all roles of a user, put together.

import { authpb } from '../protocol/index.ts';
import { Access } from './access.ts';
import type { Name } from './names.ts';
import { intervalOf } from './permission.ts';
import { PermissionTree } from './permission-tree.ts';
import type { Role } from './role.ts';
import type { User } from './user.ts';

const { Type } = authpb;

/** What a user without the role `root` may do. Roles that do not exist permit nothing. */
export function accessOfUser(user: User, roles: ReadonlyMap<Name, Role>): Access {
  const read = new PermissionTree();
  const write = new PermissionTree();
  for (const name of user.roles) {
    for (const { type, key, rangeEnd } of roles.get(name)?.permissions ?? []) {
      const [begin, end] = intervalOf(key, rangeEnd);
      if (type === Type.READ || type === Type.READWRITE) read.add(begin, end);
      if (type === Type.WRITE || type === Type.READWRITE) write.add(begin, end);
    }
  }
  return Access.granted(read, write);
}
